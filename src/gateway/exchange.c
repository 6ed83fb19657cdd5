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

    tunnel_deadline(exchange->inspect->tunnel, deadlines[exchange->state]);
}

void exchange_enter(struct exchange *exchange, enum exchange_state next)
{
    ENSURE(state_next[exchange->state] & 1u << next);
    exchange->state = next;
    exchange_touch(exchange);
}

static void origin_opened(struct origin_user *user, struct origin *origin, const struct err *err)
{
    struct exchange *exchange = user->owner;

    exchange->origin_done = 1;
    err_clear(&exchange->origin_err);
    if (origin == NULL) {
        exchange->origin = NULL;
        exchange->origin_err = *err;
    }
    tunnel_wake(exchange->inspect->tunnel);
}

static void origin_ready(struct origin_user *user)
{
    struct exchange *exchange = user->owner;

    tunnel_wake(exchange->inspect->tunnel);
}

static void message_begin(struct exchange *exchange)
{
    arena_reset(&exchange->arena);
    h1_begin(&exchange->h1, &exchange->arena, span_of(NULL, 0));
    exchange->target = (struct target){.path = {0}};
    exchange->decision = (struct decision){.verdict = VERDICT_DENY};
    memset(exchange->credentials, 0, sizeof exchange->credentials);
    exchange->origin_done = 0;
    exchange->has_retried = 0;
    exchange->request_done = 0;
    exchange->response_head_done = 0;
    exchange->response_done = 0;
    exchange->wants_upgrade = 0;
    exchange->is_upgraded = 0;
    exchange->is_recorded = 0;
    exchange->audit_handle = 0;
    exchange->bytes_in = 0;
    exchange->bytes_out = 0;
    exchange->status = 0;
    exchange->start_ms = 0;
    exchange->address[0] = '\0';
}

void exchange_init(struct exchange *exchange, struct inspect *inspect)
{
    struct worker *worker = inspect->tunnel->worker;

    *exchange = (struct exchange){.inspect = inspect, .state = EXCHANGE_HEAD};
    exchange->user = (struct origin_user){
        .on_open = origin_opened,
        .on_ready = origin_ready,
        .owner = exchange,
    };
    arena_init(&exchange->arena, &worker->arena_blocks, 4 * LIMIT_HEAD);
    h1_init(&exchange->h1, H1_REQUESTS);
    message_begin(exchange);
}

static void origin_drop(struct exchange *exchange)
{
    if (exchange->origin != NULL)
        origin_close(exchange->origin);
    exchange->origin = NULL;
}

void exchange_fini(struct exchange *exchange)
{
    struct err err;

    (void)err_set(&err, ERR_CLOSED, "the tunnel has ended");
    exchange_abort(exchange, &err);
    arena_reset(&exchange->arena);
}

bool exchange_is_idle(const struct exchange *exchange)
{
    return exchange->state == EXCHANGE_HEAD && !h1_is_midway(&exchange->h1);
}

void exchange_abort(struct exchange *exchange, const struct err *err)
{
    if (exchange->state == EXCHANGE_DONE)
        return;
    if (!exchange_is_idle(exchange))
        exchange_record(exchange, err);
    origin_drop(exchange);
    exchange_enter(exchange, EXCHANGE_DONE);
}

static void answer_write(struct exchange *exchange, const struct err *err)
{
    struct worker *worker = worker_of(exchange);
    struct reply reply = {.err = *err, .generation = worker->role.config.policy.generation};
    char memory[REPLY_MAX];
    struct text text;
    struct err send_err;

    if (exchange->decision.rule != NULL)
        reply.rule = exchange->decision.rule->name;
    if (exchange->start_ms != 0 && span_equal(exchange->h1.request.method, span_text("HEAD")))
        reply.content = REPLY_HEAD_ONLY;
    text_init(&text, memory, sizeof memory);
    reply_write(&reply, &text);
    (void)buf_append(&exchange->inspect->seal.gather, text_span(&text), &send_err);
    exchange->status = err_status(err->code);
}

void exchange_fail(struct exchange *exchange, const struct err *err)
{
    struct inspect *inspect = exchange->inspect;
    int is_cut = exchange->response_head_done && !exchange->response_done;

    if (exchange->state == EXCHANGE_DONE)
        return;
    if (!exchange->response_head_done)
        answer_write(exchange, err);
    exchange_record(exchange, err);
    origin_drop(exchange);
    exchange_enter(exchange, EXCHANGE_DONE);
    if (is_cut)
        tunnel_abort(inspect->tunnel, err);
    else
        inspect->closing = 1;
}

/* One name (threats A8, A9, C2, C3, C6): every request asks for the host of its tunnel. */
static int name_check(struct exchange *exchange, struct err *err)
{
    const struct tunnel *tunnel = exchange->inspect->tunnel;
    const struct http_request *request = &exchange->h1.request;
    const struct http_field *field = http_fields_find(&request->fields, span_text("host"), NULL);
    struct host host;
    uint16_t port;

    if (target_read(request->target, &exchange->arena, &exchange->target, err) < 0)
        return -1;
    if (exchange->target.form == TARGET_ASTERISK &&
        !span_equal(request->method, span_text("OPTIONS")))
        return err_set(err, ERR_TARGET, "the target '*' belongs to OPTIONS");
    if (field != NULL) {
        if (target_read_authority(field->value, 443, &host, &port, err) < 0)
            return -1;
        if (port != tunnel->port || !target_is_same_host(&host, &tunnel->host))
            return err_set(err, ERR_MISDIRECTED, "Host %.40s in a tunnel to %.40s:%u", host.name,
                           tunnel->host.name, tunnel->port);
    }
    if (exchange->target.form == TARGET_ABSOLUTE &&
        (!span_equal(exchange->target.scheme, span_text("https")) ||
         exchange->target.port != tunnel->port ||
         !target_is_same_host(&exchange->target.host, &tunnel->host)))
        return err_set(err, ERR_MISDIRECTED, "request for another host in a tunnel to %.40s:%u",
                       tunnel->host.name, tunnel->port);
    return 0;
}

static int request_check(struct exchange *exchange, struct err *err)
{
    const struct tunnel *tunnel = exchange->inspect->tunnel;
    const struct http_request *request = &exchange->h1.request;
    const struct policy *policy = &worker_of(exchange)->role.config.policy;

    if (span_equal(request->method, span_text("CONNECT")) ||
        span_equal(request->method, span_text("TRACE")))
        return err_set(err, ERR_METHOD, "%.*s is not served in a tunnel", (int)request->method.len,
                       (const char *)request->method.ptr);
    if (name_check(exchange, err) < 0)
        return -1;
    decide_request(policy,
                   &(const struct decide_query){&tunnel->host, tunnel->port, RULE_HTTPS,
                                                request->method, exchange->target.path},
                   &exchange->decision);
    if (exchange->decision.verdict == VERDICT_ALLOW) {
        if (exchange->decision.rule->injection_count > EXCHANGE_INJECTIONS)
            return err_set(err, ERR_LIMIT, "a rule with more than %d credentials",
                           EXCHANGE_INJECTIONS);
        return 0;
    }
    if (exchange->decision.rule == NULL)
        return err_set(err, ERR_POLICY, "no rule of the policy allows this method and path here");
    return err_set(err, ERR_POLICY, "rule %.*s denies this request",
                   (int)exchange->decision.rule->name.len,
                   (const char *)exchange->decision.rule->name.ptr);
}

static int head_step(struct exchange *exchange)
{
    struct inspect *inspect = exchange->inspect;
    struct buf *in = &inspect->plain_in;
    int was_idle = exchange_is_idle(exchange);
    struct h1_event event;
    struct err err;
    size_t used;

    if (buf_is_empty(in))
        return 0;
    if (was_idle) {
        exchange->start_wall_ms = clock_wall_ms();
        exchange->start_ms = 0;
        tunnel_deadline(inspect->tunnel, worker_of(exchange)->role.config.timeouts.head_ms);
    }
    if (h1_feed(&exchange->h1, buf_span(in), &used, &err) < 0) {
        exchange_fail(exchange, &err);
        return 1;
    }
    buf_consume(in, used);
    if (!h1_next(&exchange->h1, &event))
        return 0;
    ENSURE(event.type == H1_HEAD);
    exchange->start_ms = worker_of(exchange)->loop.now_ms;
    if (exchange->h1.request.framing.persistence == HTTP_CLOSE)
        exchange->must_close = 1;
    exchange->wants_upgrade = exchange_wants_upgrade(&exchange->h1.request);
    if (request_check(exchange, &err) < 0)
        exchange_fail(exchange, &err);
    else
        exchange_enter(exchange, EXCHANGE_SECRET);
    return 1;
}

static int origin_start(struct exchange *exchange, struct err *err)
{
    struct tunnel *tunnel = exchange->inspect->tunnel;

    exchange->origin_done = 0;
    if (!exchange->has_retried) {
        exchange->origin =
            origin_take(tunnel->session, &tunnel->host, tunnel->port, &exchange->user);
        if (exchange->origin != NULL) {
            exchange->origin_done = 1;
            err_clear(&exchange->origin_err);
            return 0;
        }
    }
    exchange->origin =
        origin_open(tunnel->session, &tunnel->host, tunnel->port, &exchange->user, err);
    return exchange->origin == NULL ? -1 : 0;
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

        query->rule_index = exchange->decision.rule_index;
        query->credential = rule->injections[i].credential;
        query->host = &tunnel->host;
        query->port = tunnel->port;
        query->scheme = RULE_HTTPS;
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
    if (have < 0) {
        exchange_fail(exchange, &err);
        return 1;
    }
    if (exchange->origin == NULL && origin_start(exchange, &err) < 0)
        exchange_fail(exchange, &err);
    else
        exchange_enter(exchange, EXCHANGE_ORIGIN);
    return 1;
}

static int origin_step(struct exchange *exchange)
{
    struct err err;
    int have;

    if (!exchange->origin_done)
        return 0;
    if (exchange->origin_err.code != ERR_OK) {
        err = exchange->origin_err;
        exchange_fail(exchange, &err);
        return 1;
    }
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

int exchange_step(struct exchange *exchange)
{
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

static bool origin_may_stay(const struct exchange *exchange)
{
    return exchange->request_done && exchange->origin->h1.response.framing.persistence == HTTP_KEEP;
}

void exchange_complete(struct exchange *exchange)
{
    int must_close = exchange->must_close || !exchange->request_done;

    exchange_record(exchange, NULL);
    exchange->inspect->served++;
    if (origin_may_stay(exchange))
        origin_give(exchange->origin);
    else
        origin_close(exchange->origin);
    exchange->origin = NULL;
    if (must_close || worker_of(exchange)->is_draining) {
        exchange_enter(exchange, EXCHANGE_DONE);
        exchange->inspect->closing = 1;
        return;
    }
    exchange_enter(exchange, EXCHANGE_HEAD);
    message_begin(exchange);
}

void exchange_want(struct exchange *exchange)
{
    if (exchange->origin != NULL && exchange->origin->state == ORIGIN_BUSY)
        origin_want(exchange->origin,
                    tunnel_may_read(exchange->inspect->tunnel) ? ORIGIN_READS : ORIGIN_WAITS);
}

void exchange_expired(struct exchange *exchange)
{
    struct inspect *inspect = exchange->inspect;
    struct err err;

    switch (exchange->state) {
    case EXCHANGE_HEAD:
        if (exchange_is_idle(exchange)) {
            inspect->closing = 1;
            return;
        }
        (void)err_set(&err, ERR_REQUEST_TIMEOUT, "the request head was not complete in time");
        break;
    case EXCHANGE_SECRET:
        (void)err_set(&err, ERR_CREDENTIAL, "the vault did not answer in time");
        break;
    case EXCHANGE_ORIGIN:
    case EXCHANGE_FORWARD:
    case EXCHANGE_UPGRADED:
        (void)err_set(&err, ERR_TIMEOUT, "%s: nothing moved for too long",
                      inspect->tunnel->host.name);
        break;
    case EXCHANGE_DONE:
        tunnel_finish(inspect->tunnel);
        return;
    }
    exchange_fail(exchange, &err);
}
