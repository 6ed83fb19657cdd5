/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A request is looked at completely before anything of it goes anywhere: its
 * names must be the tunnel's, the policy must allow method and path, every credential must be here.
 * Then an origin connection is taken and the request is written anew from its parts. From there on
 * both contents flow at the same time (exchange_forward.c), each limited by the room on its other
 * side. Every exchange leaves exactly one record.
 */
#include "gateway/exchange.h"

#include "gateway/inspect.h"
#include "gateway/reply.h"
#include "gateway/tunnel.h"
#include "gateway/tunnel_pump.h"
#include "gateway/worker.h"
#include "os/clock.h"

static const unsigned state_next[] = {
    [EXCHANGE_HEAD] = 1u << EXCHANGE_SECRET | 1u << EXCHANGE_DONE,
    [EXCHANGE_SECRET] = 1u << EXCHANGE_ORIGIN | 1u << EXCHANGE_DONE,
    [EXCHANGE_ORIGIN] = 1u << EXCHANGE_SECRET | 1u << EXCHANGE_FORWARD | 1u << EXCHANGE_DONE,
    [EXCHANGE_FORWARD] =
        1u << EXCHANGE_HEAD | 1u << EXCHANGE_ORIGIN | 1u << EXCHANGE_UPGRADED | 1u << EXCHANGE_DONE,
    [EXCHANGE_UPGRADED] = 1u << EXCHANGE_DONE,
    [EXCHANGE_DONE] = 0,
};

static struct worker *worker_of(const struct exchange *exchange)
{
    return exchange->inspect->tunnel->worker;
}

void exchange_touch(struct exchange *exchange)
{
    const struct config_timeouts *timeouts = &worker_of(exchange)->role.config.timeouts;
    const int64_t deadlines[] = {
#define EXCHANGE_DEADLINE(name, deadline, ends) deadline,
        EXCHANGE_STATES(EXCHANGE_DEADLINE)
#undef EXCHANGE_DEADLINE
    };

    int64_t in_ms = deadlines[exchange->state];

    if (exchange->state == EXCHANGE_FORWARD)
        in_ms = exchange_pace_moved(exchange);
    loop_deadline_set(&exchange->deadline, in_ms);
}

void exchange_enter(struct exchange *exchange, enum exchange_state next)
{
    ENSURE(state_next[exchange->state] & 1u << next);
    exchange->state = next;
    if (next == EXCHANGE_FORWARD)
        exchange_pace_begin(exchange);
    exchange_touch(exchange);
}

void exchange_queue(struct exchange *exchange)
{
    if (exchange->is_ready)
        return;
    exchange->is_ready = 1;
    list_add_last(&exchange->inspect->ready, &exchange->ready_node, exchange);
}

void exchange_wake(struct exchange *exchange)
{
    exchange_queue(exchange);
    tunnel_wake(exchange->inspect->tunnel);
}

/* --- its beginning and its end --- */

static void deadline_expired(struct loop_deadline *deadline);

static void message_begin(struct exchange *exchange)
{
    exchange->request = NULL;
    exchange->target = (struct target){.path = {0}};
    exchange->decision = (struct decision){.verdict = VERDICT_DENY};
    memset(exchange->credentials, 0, sizeof exchange->credentials);
    exchange->origin_done = 0;
    exchange->has_retried = 0;
    exchange->request_done = 0;
    exchange->response_head_done = 0;
    exchange->response_done = 0;
    exchange->upgrade = UPGRADE_NONE;
    exchange->is_upgraded = 0;
    exchange->is_recorded = 0;
    exchange->audit_handle = 0;
    exchange->bytes_in = 0;
    exchange->bytes_out = 0;
    exchange->status = 0;
    exchange->start_ms = 0;
    exchange->address[0] = '\0';
}

static struct exchange *exchange_make(struct inspect *inspect, struct err *err)
{
    struct worker *worker = inspect->tunnel->worker;
    struct share *share = &inspect->tunnel->session->share;
    struct exchange *exchange = pool_take(share_pool(share, SHARE_EXCHANGES));

    if (exchange == NULL) {
        (void)share_refuse(share, SHARE_EXCHANGES, err);
        return NULL;
    }
    *exchange = (struct exchange){.inspect = inspect, .state = EXCHANGE_HEAD};
    exchange_origin_init(exchange);
    loop_deadline_init(&exchange->deadline, &worker->loop, deadline_expired, exchange);
    arena_init(&exchange->arena, share_pool(share, SHARE_HEADS), 4 * LIMIT_HEAD);
    h1_init(&exchange->h1, H1_REQUESTS);
    message_begin(exchange);
    list_add_last(&inspect->exchanges, &exchange->node, exchange);
    exchange_touch(exchange);
    return exchange;
}

struct exchange *exchange_new(struct inspect *inspect, struct err *err)
{
    struct exchange *exchange = exchange_make(inspect, err);

    if (exchange == NULL)
        return NULL;
    codec_init_h1(&exchange->client, &exchange->h1, &inspect->plain_in, &inspect->seal);
    h1_begin(&exchange->h1, &exchange->arena, span_of(NULL, 0));
    return exchange;
}

struct exchange *exchange_new_h2(struct inspect *inspect, struct h2_stream *stream, struct err *err)
{
    struct exchange *exchange = exchange_make(inspect, err);

    if (exchange == NULL)
        return NULL;
    codec_init_h2(&exchange->client, stream);
    stream->owner = exchange;
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    struct inspect *inspect = exchange->inspect;
    struct err err;

    (void)err_set(&err, ERR_CLOSED, "the tunnel has ended");
    exchange_abort(exchange, &err);
    codec_fini(&exchange->client);
    loop_deadline_clear(&exchange->deadline);
    if (exchange->is_ready)
        list_remove(&inspect->ready, &exchange->ready_node);
    list_remove(&inspect->exchanges, &exchange->node);
    arena_reset(&exchange->arena);
    pool_give(share_pool(&inspect->tunnel->session->share, SHARE_EXCHANGES), exchange);
}

bool exchange_is_idle(const struct exchange *exchange)
{
    return exchange->state == EXCHANGE_HEAD && exchange->client.kind == CODEC_H1 &&
           !h1_is_midway(&exchange->h1);
}

bool exchange_holds_nothing(const struct exchange *exchange)
{
    return exchange->origin == NULL || origin_holds_nothing(exchange->origin);
}

void exchange_abort(struct exchange *exchange, const struct err *err)
{
    if (exchange->state == EXCHANGE_DONE)
        return;
    if (!exchange_is_idle(exchange))
        exchange_record(exchange, err);
    exchange_leave(exchange, ORIGIN_DISCARD);
    exchange_enter(exchange, EXCHANGE_DONE);
}

/* Our own answer. What cannot be sent any more is not: the connection ends anyway. */
static void answer_write(struct exchange *exchange, const struct err *err)
{
    struct worker *worker = worker_of(exchange);
    struct reply reply = {.err = *err, .generation = worker->role.config.policy.generation};
    struct span method = span_of(NULL, 0);
    struct reply_parts parts;
    struct err send_err;

    if (exchange->decision.rule != NULL)
        reply.rule = exchange->decision.rule->name;
    if (exchange->start_ms != 0)
        method = codec_request(&exchange->client)->method;
    reply_make(&reply, &parts);
    exchange->status = parts.response.status;
    if (span_equal(method, span_text("HEAD")))
        (void)codec_send_response(&exchange->client, &parts.response, method, H2_ENDS, &send_err);
    else if (codec_send_response(&exchange->client, &parts.response, method, H2_GOES_ON,
                                 &send_err) == 0 &&
             codec_send_data(&exchange->client, parts.content, &send_err) == 0)
        (void)codec_send_end(&exchange->client, NULL, &send_err);
}

void exchange_fail(struct exchange *exchange, const struct err *err)
{
    struct inspect *inspect = exchange->inspect;
    int is_cut = exchange->response_head_done && !exchange->response_done;
    int is_h2 = exchange->client.kind == CODEC_H2;

    if (exchange->state == EXCHANGE_DONE)
        return;
    if (!exchange->response_head_done && !codec_is_reset(&exchange->client))
        answer_write(exchange, err);
    exchange_record(exchange, err);
    exchange_leave(exchange, ORIGIN_DISCARD);
    exchange_enter(exchange, EXCHANGE_DONE);
    if (is_h2 && is_cut)
        h2_reset(exchange->client.stream, H2_INTERNAL_ERROR);
    else if (is_cut)
        tunnel_abort(inspect->tunnel, err);
    else if (!is_h2)
        inspect->closing = 1;
}

/* --- its steps --- */

static int head_step(struct exchange *exchange)
{
    int was_idle = exchange_is_idle(exchange);
    struct codec_event event;
    struct err err;
    int result;

    if (exchange->client.kind == CODEC_H1 && buf_is_empty(&exchange->inspect->plain_in))
        return 0;
    if (exchange->start_wall_ms == 0 || was_idle) {
        exchange->start_wall_ms = clock_wall_ms();
        exchange->start_ms = 0;
        loop_deadline_set(&exchange->deadline, worker_of(exchange)->role.config.timeouts.head_ms);
    }
    result = codec_read(&exchange->client, SIZE_MAX, &event, &err);
    if (result > 0) {
        ENSURE(event.type == CODEC_HEAD);
        codec_read_done(&exchange->client);
        exchange->start_ms = worker_of(exchange)->loop.now_ms;
        exchange->request = codec_request(&exchange->client);
        if (exchange->request->framing.persistence == HTTP_CLOSE)
            exchange->must_close = 1;
        result = exchange_check(exchange, &err);
        if (result == 0)
            exchange_enter(exchange, EXCHANGE_SECRET);
    } else if (result == 0) {
        return 0;
    }
    if (result < 0)
        exchange_fail(exchange, &err);
    return 1;
}

/* 1: all are here. 0: wait. */
static int credentials_ask(struct exchange *exchange, struct err *err)
{
    struct tunnel *tunnel = exchange->inspect->tunnel;
    const struct rule *rule = exchange->decision.rule;

    for (size_t i = 0; i < rule->injection_count; i++) {
        struct credential_query *query = &exchange->credentials[i];
        struct span value;
        int have;

        if (!decide_injection(&rule->injections[i], exchange->scheme))
            continue;
        query->rule_index = exchange->decision.rule_index;
        query->credential = rule->injections[i].credential;
        query->host = &tunnel->host;
        query->port = tunnel->port;
        query->scheme = exchange->scheme;
        have = session_credential(tunnel->session, query, &value, err);
        if (have <= 0)
            return have;
    }
    return 1;
}

static int secret_step(struct exchange *exchange)
{
    struct err err;
    int have = credentials_ask(exchange, &err);

    if (have == 0)
        return 0;
    if (have < 0 || (exchange->origin == NULL && exchange_origin_start(exchange, &err) < 0))
        exchange_fail(exchange, &err);
    else
        exchange_enter(exchange, EXCHANGE_ORIGIN);
    return 1;
}

/* A head needs some, and whoever has none yet can wait: its session wakes it. */
static bool lacks_buffers(const struct exchange *exchange)
{
    struct session *session = exchange->inspect->tunnel->session;

    return session_is_starved(session) && !share_has_spare_buffers(&session->share);
}

static int origin_step(struct exchange *exchange)
{
    struct err err;
    int waited = exchange_origin_wait(exchange, &err);
    int have;

    if (waited < 0) {
        exchange_fail(exchange, &err);
        return 1;
    }
    if (!exchange->origin_done)
        return waited;
    if (exchange->origin_err.code != ERR_OK) {
        err = exchange->origin_err;
        exchange_fail(exchange, &err);
        return 1;
    }
    if (lacks_buffers(exchange))
        return 0;
    have = credentials_ask(exchange, &err);
    if (have == 0) {
        exchange_enter(exchange, EXCHANGE_SECRET); /* they were changed while we dialled */
        return 1;
    }
    if (have < 0 || exchange_send_request(exchange, &err) < 0) {
        exchange_fail(exchange, &err);
        return 1;
    }
    memcpy(exchange->address, exchange->origin->address, sizeof exchange->address);
    exchange_enter(exchange, EXCHANGE_FORWARD);
    return 1;
}

/* The client's stream is gone: so is its reason to go on (RFC 9113 section 8.7). */
static int is_cancelled(const struct exchange *exchange)
{
    return exchange->state != EXCHANGE_DONE && codec_is_reset(&exchange->client);
}

int exchange_step(struct exchange *exchange)
{
    struct err err;

    if (is_cancelled(exchange)) {
        (void)err_set(&err, ERR_CLOSED, "the client has cancelled its request");
        exchange_abort(exchange, &err);
        return 1;
    }
    switch (exchange->state) {
    case EXCHANGE_HEAD:
        return head_step(exchange);
    case EXCHANGE_SECRET:
        return secret_step(exchange);
    case EXCHANGE_ORIGIN:
        return origin_step(exchange);
    case EXCHANGE_FORWARD:
        return exchange_forward(exchange);
    case EXCHANGE_UPGRADED:
        return exchange_carry(exchange);
    case EXCHANGE_DONE:
        break;
    }
    return 0;
}

static enum origin_fate origin_fate_of(const struct exchange *exchange)
{
    const struct codec *server = &exchange->server;

    if (!exchange->request_done)
        return ORIGIN_DISCARD;
    if (server->kind == CODEC_H1 && server->h1->response.framing.persistence == HTTP_CLOSE)
        return ORIGIN_DISCARD;
    return ORIGIN_KEEP;
}

void exchange_complete(struct exchange *exchange)
{
    int must_close = exchange->must_close || !exchange->request_done;

    exchange_record(exchange, NULL);
    exchange->inspect->served++;
    exchange_leave(exchange, origin_fate_of(exchange));
    if (exchange->client.kind == CODEC_H2) {
        exchange_enter(exchange, EXCHANGE_DONE); /* the stream ends with it */
        return;
    }
    if (must_close || worker_of(exchange)->is_draining) {
        exchange_enter(exchange, EXCHANGE_DONE);
        exchange->inspect->closing = 1;
        return;
    }
    exchange_enter(exchange, EXCHANGE_HEAD);
    arena_reset(&exchange->arena);
    h1_begin(&exchange->h1, &exchange->arena, span_of(NULL, 0));
    message_begin(exchange);
}

void exchange_want(struct exchange *exchange)
{
    struct origin *origin = exchange->origin;

    if (origin != NULL && origin->state == ORIGIN_BUSY && origin->h2 == NULL)
        origin_want(origin,
                    tunnel_may_read(exchange->inspect->tunnel) ? ORIGIN_READS : ORIGIN_WAITS);
}

static void deadline_expired(struct loop_deadline *deadline)
{
    struct exchange *exchange = deadline->owner;
    struct tunnel *tunnel = exchange->inspect->tunnel;
    struct err err;
    int64_t in_ms;

    exchange_wake(exchange);
    switch (exchange->state) {
    case EXCHANGE_HEAD:
        if (exchange_is_idle(exchange)) {
            exchange->inspect->closing = 1;
            return;
        }
        (void)err_set(&err, ERR_REQUEST_TIMEOUT, "the request head was not complete in time");
        break;
    case EXCHANGE_SECRET:
        (void)err_set(&err, ERR_CREDENTIAL, "the vault did not answer in time");
        break;
    case EXCHANGE_FORWARD:
        in_ms = exchange_pace_check(exchange, &err);
        if (in_ms < 0)
            break;
        loop_deadline_set(deadline, in_ms);
        return;
    case EXCHANGE_ORIGIN:
        if (exchange->wait.session != NULL) {
            (void)err_set(&err, ERR_SESSION_LIMIT,
                          "all connections to %s are in use (limits.origins_per_host)",
                          tunnel->host.name);
            break;
        }
        /* fall through */
    case EXCHANGE_UPGRADED:
        (void)err_set(&err, ERR_TIMEOUT, "%s: nothing moved for too long", tunnel->host.name);
        break;
    case EXCHANGE_DONE:
        tunnel_finish(tunnel);
        return;
    }
    exchange_fail(exchange, &err);
}
