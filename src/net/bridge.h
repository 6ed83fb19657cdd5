/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_NET_BRIDGE_H
#define EXEAT_NET_BRIDGE_H

#include "base/buf.h"

/*
 * A connected socket between two descriptors of any kind (pipes, terminals, files, which the event
 * loop cannot all wait for): for a program that has nothing else to do. Nothing here changes the
 * flags of `in` and `out`, for others may have them open too. The process ignores SIGPIPE.
 */
struct bridge {
    int socket;      /* owned: bridge_fini() closes it */
    int in;          /* borrowed */
    int out;         /* borrowed */
    struct buf up;   /* for the socket */
    struct buf down; /* from it */
    int in_has_ended;
    int socket_has_ended;
    int socket_is_shut; /* FIN was sent: `in` has ended, and everything of it has gone */
};

/* Takes `socket`, which is non-blocking. */
void bridge_init(struct bridge *bridge, struct pool *blocks, int socket, int in, int out);
void bridge_fini(struct bridge *bridge);

/*
 * Send what is in `up` and wait until something has come into `down`, or the socket has ended;
 * `in` and `out` are not touched. ERR_TIMEOUT, ERR_CLOSED, ERR_SYSTEM.
 */
int bridge_fetch(struct bridge *bridge, int timeout_ms, struct err *err);

/*
 * Both ways until the socket has ended and everything is written. 0; ERR_CLOSED: the socket was
 * reset, or nobody reads `out` any more; ERR_SYSTEM.
 */
int bridge_run(struct bridge *bridge, struct err *err);

#endif
