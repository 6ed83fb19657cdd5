/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of HTTP/2 to an origin. Its users put into their streams and take out of them
 * whenever they like; the connection itself runs once at the end of a tick: what the socket has is
 * fed to the engine, streams with news wake their exchanges, and what the streams have to say goes
 * out together. It has no deadline while it is used: exchanges have theirs.
 */
#include "gateway/exchange.h"
#include "gateway/inspect.h"
#include "gateway/worker.h"

/* Rounds of one run before others get their turn. */
#define ORIGIN_ROUNDS 16

static void task_run(struct loop_task *task)
{
    origin_h2_run(task->owner);
}

int origin_h2_start(struct origin *origin, struct err *err)
{
    struct share *share = &origin->session->share;
    const struct h2_options options = {
        .role = H2_CLIENT,
        .pools = share->h2_pools,
        .memory = &share->h2_memory,
        .streams = LIMIT_STREAM_COUNT,
        .window = LIMIT_CONNECTION_WINDOW,
    };

    origin->h2 = h2_new(&options, err);
    if (origin->h2 == NULL)
        return err->code == ERR_LIMIT ? share_refuse_h2(share, err) : -1;
    /* Whoever waited for it is its first user. */
    list_add_last(&origin->users, &origin->user->node, origin->user);
    origin->user = NULL;
    list_add_last(&origin->session->shared_origins, &origin->node, origin);
    return 0;
}

void origin_wake(struct origin *origin)
{
    if (origin->h2 != NULL)
        loop_later(&origin->worker->loop, &origin->task, task_run, origin);
}

static void news_tell(struct origin *origin)
{
    struct h2_stream *stream;

    while (h2_next(origin->h2, &stream)) {
        struct exchange *exchange = stream->owner;

        exchange->server.news |= stream->news;
        exchange_wake(exchange);
    }
}

static int bytes_take(struct origin *origin, enum origin_end *end, struct err *err)
{
    int pulled = origin_pull(origin, end, err);

    if (pulled < 0)
        return -1;
    if (buf_is_empty(&origin->plain_in))
        return pulled;
    if (h2_feed(origin->h2, buf_span(&origin->plain_in), err) < 0)
        return -1;
    buf_consume(&origin->plain_in, buf_len(&origin->plain_in));
    return 1;
}

static int bytes_give(struct origin *origin, struct err *err)
{
    int drained = h2_drain(origin->h2, &origin->seal.gather, err);
    int pushed = drained < 0 ? -1 : origin_push(origin, err);

    return pushed < 0 ? -1 : drained > 0 || pushed > 0;
}

/* Moved 1, nothing 0, -1 the connection is at its end. */
static int round_run(struct origin *origin, struct err *err)
{
    enum origin_end end;
    struct err ignored;
    int taken = bytes_take(origin, &end, err);
    int given;

    news_tell(origin); /* also what came before an error */
    if (taken < 0) {
        (void)bytes_give(origin, &ignored); /* our GOAWAY */
        return -1;
    }
    given = bytes_give(origin, err);
    if (given < 0)
        return -1;
    if (end != ORIGIN_GOES_ON && taken == 0)
        return err_set(err, ERR_ORIGIN_CLOSED, "%.80s has closed its connection",
                       origin->host.name);
    if (h2_is_done(origin->h2) && origin->users.count == 0 && buf_is_empty(&origin->seal.gather) &&
        buf_is_empty(&origin->net_out))
        return err_set(err, ERR_ORIGIN_CLOSED, "%.80s has ended the session", origin->host.name);
    return taken > 0 || given > 0;
}

void origin_h2_run(struct origin *origin)
{
    struct err err;
    int moved = 1;

    h2_tick_until(origin->h2, origin->worker->loop.now_ms);
    for (int round = 0; moved > 0; round++) {
        if (round == ORIGIN_ROUNDS) {
            origin_wake(origin);
            break;
        }
        moved = round_run(origin, &err);
    }
    if (moved < 0)
        origin_fail(origin, &err);
    else
        origin_want(origin, !session_is_starved(origin->session) ||
                                    share_has_last_buffers(&origin->session->share)
                                ? ORIGIN_READS
                                : ORIGIN_WAITS);
}
