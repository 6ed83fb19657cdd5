/* SPDX-License-Identifier: Apache-2.0 */
/* How an exchange comes by its origin, what it hears of it, and how it lets go of it. */
#include "gateway/exchange.h"
#include "gateway/inspect.h"
#include "gateway/tunnel.h"

static void origin_opened(struct origin_user *user, struct origin *origin, const struct err *err)
{
    struct exchange *exchange = user->owner;

    exchange->origin_done = 1;
    err_clear(&exchange->origin_err);
    if (origin == NULL) {
        exchange->origin = NULL;
        exchange->origin_err = *err;
    }
    exchange_wake(exchange);
}

static void origin_ready(struct origin_user *user)
{
    exchange_wake(user->owner);
}

/* What came before the end may still be read from the stream. */
static void origin_lost(struct origin_user *user, const struct err *err)
{
    struct exchange *exchange = user->owner;

    exchange->origin = NULL;
    exchange->origin_err = *err;
    exchange_wake(exchange);
}

static void turn_came(struct origin_wait *wait)
{
    exchange_wake(wait->owner);
}

void exchange_origin_init(struct exchange *exchange)
{
    exchange->wait = (struct origin_wait){.on_turn = turn_came, .owner = exchange};
    exchange->user = (struct origin_user){
        .on_open = origin_opened,
        .on_ready = origin_ready,
        .on_lost = origin_lost,
        .owner = exchange,
    };
}

void exchange_leave(struct exchange *exchange, enum origin_fate fate)
{
    struct origin *origin = exchange->origin;

    codec_fini(&exchange->server);
    origin_wait_cancel(&exchange->wait);
    exchange->origin = NULL;
    if (origin == NULL)
        return;
    if (origin->state == ORIGIN_BUSY)
        origin_leave(origin, &exchange->user, fate);
    else
        origin_close(origin);
}

static struct origin_target origin_target_of(const struct exchange *exchange)
{
    const struct tunnel *tunnel = exchange->inspect->tunnel;

    return (struct origin_target){
        .host = &tunnel->host,
        .port = tunnel->port,
        .scheme = exchange->scheme,
        .version = exchange->upgrade == UPGRADE_NONE ? ORIGIN_ANY_VERSION : ORIGIN_ONLY_H1,
        .is_fresh = exchange->has_retried,
    };
}

int exchange_origin_start(struct exchange *exchange, struct err *err)
{
    struct session *session = exchange->inspect->tunnel->session;
    const struct origin_target target = origin_target_of(exchange);

    exchange->origin_done = 0;
    switch (
        origin_ask(session, &target, &exchange->user, &exchange->wait, &exchange->origin, err)) {
    case ORIGIN_TAKEN:
        exchange->origin_done = 1;
        err_clear(&exchange->origin_err);
        return 0;
    case ORIGIN_OPENS:
    case ORIGIN_WAITS_ITS_TURN:
        return 0;
    case ORIGIN_REFUSED:
        break;
    }
    return -1;
}

int exchange_origin_wait(struct exchange *exchange, struct err *err)
{
    if (exchange->wait.session == NULL)
        return 0;
    if (exchange_origin_start(exchange, err) < 0)
        return -1;
    if (exchange->wait.session != NULL)
        return 0;
    exchange_touch(exchange); /* its time begins now */
    return 1;
}

int exchange_retry(struct exchange *exchange, struct err *err)
{
    exchange->has_retried = 1;
    exchange_leave(exchange, ORIGIN_DISCARD);
    if (exchange_origin_start(exchange, err) < 0)
        return -1;
    exchange_enter(exchange, EXCHANGE_ORIGIN);
    return 0;
}
