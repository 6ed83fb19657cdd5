/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_EXCHANGE_PACE_H
#define EXEAT_GATEWAY_EXCHANGE_PACE_H

#include <stdint.h>

#include "base/err.h"

struct exchange;

/* How fast contents move, while an exchange is in FORWARD. Private to exchange_pace.c. */
struct exchange_pace {
    int64_t moved_ms;    /* when anything did */
    int is_measured;     /* the request's content has to come at a rate */
    int was_held;        /* the client could not send: the other side took nothing */
    int64_t body_ms;     /* when this window of the rate began */
    uint64_t body_bytes; /* of content by then */
    int64_t taken_ms;    /* when the client last took something, or had nothing to take */
    uint64_t taken;      /* bytes that it had taken by then */
};

/* FORWARD begins. */
void exchange_pace_begin(struct exchange *exchange);

/* After each step: whose turn is it? */
void exchange_pace_look(struct exchange *exchange);

/* Something has moved: the time until the next thing that could be over, in ms. */
int64_t exchange_pace_moved(struct exchange *exchange);

/*
 * The deadline has passed. The time until the next one, or -1 with *err: ERR_TIMEOUT when nothing
 * moves or the client takes nothing, ERR_REQUEST_TIMEOUT when its content is too slow.
 */
int64_t exchange_pace_check(struct exchange *exchange, struct err *err);

#endif
