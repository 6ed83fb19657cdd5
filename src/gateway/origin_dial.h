/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_ORIGIN_DIAL_H
#define EXEAT_GATEWAY_ORIGIN_DIAL_H

#include "net/dial.h"
#include "net/resolve.h"

struct worker;
struct origin_dial;

/*
 * Resolve once, check every answer, dial only what was checked (threats E5-E8). Calls come never
 * from within origin_dial_start(); `on_done` exactly once unless cancelled, then the dial is gone.
 */
struct origin_dial_calls {
    void (*on_resolved)(void *owner);
    void (*on_done)(void *owner, int fd, const struct address *address, const struct err *err);
    void *owner; /* borrowed */
};

struct origin_dial *origin_dial_start(struct worker *worker, const struct host *host, uint16_t port,
                                      const struct origin_dial_calls *calls, struct err *err);
size_t origin_dial_size(void); /* of the pool's items */
void origin_dial_cancel(struct origin_dial *dial);

#endif
