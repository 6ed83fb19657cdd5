/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_NET_DIAL_H
#define EXEAT_NET_DIAL_H

#include "base/limits.h"
#include "net/loop.h"
#include "net/socket.h"

#define DIAL_ATTEMPT_COUNT 4 /* under way at once */

/* Private: one connection attempt. A slot is used again only after its reap step. */
struct dial_attempt {
    struct loop_watch watch;
    struct dial *dial;
    size_t address;   /* index */
    int64_t until_ms; /* given up from then on if the slot is needed */
    int is_busy;      /* from its start to its reap step */
};

/*
 * Connect to one of several addresses, in their order: the next one starts when one fails, or
 * after a head start of 250 ms beside those under way (RFC 8305 section 5). The first to connect
 * wins.
 */
struct dial {
    struct loop *loop;
    struct address addresses[LIMIT_ADDRESS_COUNT];
    size_t count;
    size_t next; /* address to try */
    struct dial_attempt attempts[DIAL_ATTEMPT_COUNT];
    size_t busy_count; /* attempts not reaped yet */
    int64_t attempt_ms;
    int64_t head_start_until_ms;
    int fd;        /* connected and not handed over yet, or -1 */
    size_t winner; /* index of its address */
    int is_over;   /* connected, failed or cancelled: nothing new is started */
    int is_cancelled;
    struct loop_deadline deadline;
    struct loop_task task;
    struct err last; /* why the last attempt failed */
    /*
     * Exactly once: a connected descriptor (the callee's) and its address, or -1 with *err. Never
     * from within dial_start(), and only when everything under way has been reaped: the struct may
     * be freed or used again in the call.
     */
    void (*on_done)(struct dial *dial, int fd, const struct address *address,
                    const struct err *err);
    void (*on_closed)(struct dial *dial);
    void *owner; /* borrowed */
};

/*
 * on_done and owner are set by the caller before, the rest is filled here. `count` >= 1.
 * `attempt_ms`: limit for one address when others are left and every attempt is taken; the limit
 * for all is the owner's, by dial_cancel().
 */
int dial_start(struct dial *dial, struct loop *loop, const struct address *addresses, size_t count,
               int64_t attempt_ms, struct err *err);

/*
 * No on_done after this. The struct must stay until `on_closed`, called in the reap step, or is
 * free at once if dial_cancel() returns 0 (nothing was under way); 1: on_closed will come.
 */
int dial_cancel(struct dial *dial, void (*on_closed)(struct dial *));

#endif
