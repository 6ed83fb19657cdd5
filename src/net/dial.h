/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_NET_DIAL_H
#define EXEAT_NET_DIAL_H

#include "base/limits.h"
#include "net/loop.h"
#include "net/socket.h"

/* Connect to one of several addresses, the next one when one fails (250 ms head start each). */
struct dial {
    struct loop *loop;
    struct address addresses[LIMIT_ADDRESS_COUNT];
    size_t count;
    size_t next;
    struct loop_watch watch; /* private: of the attempt under way */
    struct loop_deadline deadline;
    struct err last; /* why the last attempt failed */
    /* Exactly once: a connected descriptor (the callee's) and its address, or -1 with *err. Never
     * from within dial_start(). */
    void (*on_done)(struct dial *dial, int fd, const struct address *address,
                    const struct err *err);
    void *owner; /* borrowed */
    void *state; /* private */
};

/* `count` >= 1. `attempt_ms`: limit for one address when others are left. */
int dial_start(struct dial *dial, struct loop *loop, const struct address *addresses, size_t count,
               int64_t attempt_ms, struct err *err);

/* No on_done after this. The struct must stay until `on_closed`, called in the reap step, or is
 * free at once if dial_cancel() returns 0 (nothing was under way); 1: on_closed will come. */
int dial_cancel(struct dial *dial, void (*on_closed)(struct dial *));

#endif
