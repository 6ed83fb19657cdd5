/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_LINK_H
#define EXEAT_RELAY_LINK_H

#include "crypto/tls.h"
#include "net/dial.h"
#include "net/resolve.h"
#include "net/stream.h"
#include "relay/endpoint.h"

/*
 * A byte pipe to the gateway: name, connection, corporate proxy, TLS. Its owner sees two queues of
 * plain bytes, `in` and `out`, once the state is LINK_OPEN.
 */

/* What all links of a process share. */
struct link_plan {
    struct loop *loop;                /* borrowed */
    struct resolver *resolver;        /* borrowed */
    struct pool *blocks;              /* borrowed: of the queues */
    struct arena *scratch;            /* borrowed: for heads, empty between calls */
    const struct endpoint *gateway;   /* borrowed */
    const struct parent_proxy *proxy; /* borrowed */
    struct tls_context *tls;          /* borrowed; NULL for a gateway without TLS */
};

enum link_state {
    LINK_IDLE,
    LINK_RESOLVE,
    LINK_DIAL,
    LINK_PROXY, /* waits for the corporate proxy's 200 */
    LINK_SHAKE,
    LINK_OPEN,
    LINK_FAILED, /* `failure` says why; waits for link_close() */
    LINK_CLOSING,
};

enum link_end { LINK_END_FIN, LINK_END_RESET };

struct link {
    const struct link_plan *plan; /* borrowed */
    enum link_state state;
    struct resolve_query query;
    struct dial dial;
    struct stream stream;
    struct tls tls;
    struct buf sealed_in; /* ciphertext, empty without TLS */
    struct buf sealed_out;
    struct buf in;
    struct buf out;
    size_t scanned; /* of the proxy's answer */
    int is_choked;  /* `in` was full: the TLS engine may hold more */
    struct err failure;
    void (*on_ready)(struct link *link); /* something may move, or the state has changed */
    void (*on_closed)(struct link *link);
    void *owner; /* borrowed */
};

void link_init(struct link *link, const struct link_plan *plan, void (*on_ready)(struct link *),
               void *owner);

/* In LINK_IDLE. on_ready follows; never from within. ERR_GATEWAY. */
int link_start(struct link *link, struct err *err);

/* Move bytes between the socket and the queues. 1 something moved, 0 nothing, -1 ERR_GATEWAY. */
int link_pump(struct link *link, struct err *err);

/* After each pump: wait for what can move. */
void link_want(struct link *link);

/* The gateway will send no more than what is in `in`. */
int link_has_ended(const struct link *link);

/*
 * 1: on_closed will come in the reap step, the memory must stay until then; 0: nothing was open.
 * Afterwards the state is LINK_IDLE and it can be started again.
 */
int link_close(struct link *link, enum link_end end, void (*on_closed)(struct link *));

#endif
