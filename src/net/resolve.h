/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_NET_RESOLVE_H
#define EXEAT_NET_RESOLVE_H

#include "base/limits.h"
#include "http/target.h"
#include "net/loop.h"
#include "net/socket.h"

/*
 * DNS, asynchronous (c-ares), both families, on our loop. One resolver per process. Needs no file
 * after resolve_init() (the sandbox forbids them).
 */
struct resolver;

/* `servers` as "address[:port],..." or NULL for the system's. Reads resolv.conf and hosts now. */
struct resolver *resolver_new(struct loop *loop, const char *servers, int64_t timeout_ms,
                              struct err *err);
void resolver_free(struct resolver *resolver); /* answers what is open with ERR_CLOSED */

/* A name that is not asked for: `address` without port. Bounded to 1024. */
int resolver_add_static(struct resolver *resolver, struct span name, const struct address *address,
                        struct err *err);

struct resolve_query {
    /* Exactly one call: count >= 1, or 0 with *err (ERR_DNS, ERR_TIMEOUT). Never from within
     * resolve_start(). */
    void (*on_done)(struct resolve_query *query, const struct address *addresses, size_t count,
                    const struct err *err);
    void *owner; /* borrowed */
    void *state; /* private */
};

/* `query` must stay until on_done or resolve_cancel(). An address literal answers itself. */
int resolve_start(struct resolver *resolver, struct resolve_query *query, const struct host *host,
                  uint16_t port, struct err *err);
void resolve_cancel(struct resolve_query *query);

#endif
