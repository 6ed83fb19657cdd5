/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_ORIGIN_WAIT_H
#define EXEAT_GATEWAY_ORIGIN_WAIT_H

#include "gateway/origin.h"

/*
 * A session has at most limits.origins_per_host connections to one place. Who needs one more waits
 * until one is given back or gone, in the order of asking.
 */
struct origin_wait {
    struct list_node node;   /* in session->waits */
    struct session *session; /* borrowed; NULL: it does not wait */
    struct origin_target target;
    void (*on_turn)(struct origin_wait *wait); /* ask again, but later: wake what does */
    void *owner;                               /* borrowed */
};

/*
 * A connection for `target`, whose host stays where it is while it waits. ORIGIN_TAKEN: *origin is
 * BUSY and the user's, ORIGIN_OPENS: the user will hear, ORIGIN_WAITS_ITS_TURN: ask again when told
 * so. ORIGIN_REFUSED with *err: see origin_open().
 */
enum origin_answer { ORIGIN_TAKEN, ORIGIN_OPENS, ORIGIN_WAITS_ITS_TURN, ORIGIN_REFUSED };
enum origin_answer origin_ask(struct session *session, const struct origin_target *target,
                              struct origin_user *user, struct origin_wait *wait,
                              struct origin **origin, struct err *err);

/* It needs none any more. Safe if it does not wait, and on a zeroed one. */
void origin_wait_cancel(struct origin_wait *wait);

/* This connection can be used by others, or one more may be made: the first who waits has its turn.
 */
void origin_wait_wake(struct origin *origin);

/* A session that has all the connections it may have has reached the place if one is verified. */
bool origin_wait_is_reached(struct session *session, const struct origin_target *target);

#endif
