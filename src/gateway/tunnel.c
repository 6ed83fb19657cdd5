/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Events only say that something may move (tunnel_wake); the pump runs once at
 * the end of the tick, so that whatever came together is answered together. Everything a tunnel
 * waits for leaves its result in the struct and wakes it: there is no other way in.
 */
#include "gateway/tunnel.h"

#include <unistd.h>

#include "base/text.h"
#include "gateway/inspect.h"
#include "gateway/pass.h"
#include "gateway/reply.h"
#include "gateway/tunnel_join.h"
#include "gateway/tunnel_pump.h"
#include "gateway/worker.h"
#include "os/clock.h"
#include "os/log.h"
#include "wire/envelope.h"

/* Rounds of one pump before others get their turn. */
#define TUNNEL_ROUNDS 16

static const char *const state_names[] = {
#define TUNNEL_NAME(name, deadline, ends) #name,
    TUNNEL_STATES(TUNNEL_NAME)
#undef TUNNEL_NAME
};

static const unsigned state_next[] = {
    [TUNNEL_JOIN] = 1u << TUNNEL_AUTH | 1u << TUNNEL_DRAIN | 1u << TUNNEL_CLOSED,
    [TUNNEL_AUTH] = 1u << TUNNEL_HELLO | 1u << TUNNEL_DRAIN | 1u << TUNNEL_CLOSED,
    [TUNNEL_HELLO] = 1u << TUNNEL_REACH | 1u << TUNNEL_DRAIN | 1u << TUNNEL_CLOSED,
    [TUNNEL_REACH] =
        1u << TUNNEL_INSPECT | 1u << TUNNEL_PASS | 1u << TUNNEL_DRAIN | 1u << TUNNEL_CLOSED,
    [TUNNEL_INSPECT] = 1u << TUNNEL_DRAIN | 1u << TUNNEL_CLOSED,
    [TUNNEL_PASS] = 1u << TUNNEL_DRAIN | 1u << TUNNEL_CLOSED,
    [TUNNEL_DRAIN] = 1u << TUNNEL_CLOSED,
    [TUNNEL_CLOSED] = 0,
};

void tunnel_deadline(struct tunnel *tunnel, int64_t in_ms)
{
    if (in_ms > 0)
        loop_deadline_set(&tunnel->deadline, in_ms);
}

void tunnel_deadline_clear(struct tunnel *tunnel)
{
    loop_deadline_clear(&tunnel->deadline);
}

void tunnel_deadline_keep(struct tunnel *tunnel, int64_t in_ms)
{
    if (tunnel->deadline.at_ms == 0)
        loop_deadline_set(&tunnel->deadline, in_ms);
}

void tunnel_enter(struct tunnel *tunnel, enum tunnel_state next)
{
    const struct config_timeouts *timeouts = &tunnel->worker->role.config.timeouts;
    const int64_t deadlines[] = {
#define TUNNEL_DEADLINE(name, deadline, ends) deadline,
        TUNNEL_STATES(TUNNEL_DEADLINE)
#undef TUNNEL_DEADLINE
    };

    ENSURE(state_next[tunnel->state] & 1u << next);
    log_debug("tunnel %llu: %s -> %s after %lld ms", (unsigned long long)tunnel->number,
              state_names[tunnel->state], state_names[next],
              (long long)(tunnel->worker->loop.now_ms - tunnel->start_ms));
    tunnel->state = next;
    tunnel_deadline(tunnel, deadlines[next]);
}

static void stream_closed(struct stream *stream)
{
    struct tunnel *tunnel = stream->owner;
    struct worker *worker = tunnel->worker;

    list_remove(&worker->tunnels, &tunnel->node);
    pool_give(share_pool(&worker->share, SHARE_TUNNELS), tunnel);
    worker_check_drained(worker);
}

/* What carried the payload. */
static void carrier_free(struct tunnel *tunnel)
{
    if (tunnel->inspect != NULL)
        inspect_free(tunnel->inspect);
    tunnel->inspect = NULL;
    if (tunnel->pass != NULL)
        pass_free(tunnel->pass);
    tunnel->pass = NULL;
}

static void carrier_abort(struct tunnel *tunnel, const struct err *err)
{
    if (tunnel->inspect != NULL)
        inspect_abort(tunnel->inspect, err);
    if (tunnel->pass != NULL)
        pass_abort(tunnel->pass, err);
}

static void parts_release(struct tunnel *tunnel)
{
    struct worker *worker = tunnel->worker;

    carrier_free(tunnel);
    origin_wait_cancel(&tunnel->reach_wait);
    if (tunnel->reaching != NULL)
        origin_close(tunnel->reaching);
    tunnel->reaching = NULL;
    vault_link_forget(&worker->vault, &tunnel->auth);
    secret_fini(&tunnel->token);
    loop_deadline_clear(&tunnel->deadline);
    loop_later_cancel(&worker->loop, &tunnel->task);
    if (tunnel->has_outer)
        tls_fini(&tunnel->outer);
    arena_reset(&tunnel->arena);
    buf_fini(&tunnel->net_in);
    buf_fini(&tunnel->net_out);
    buf_fini(&tunnel->clear_in);
    buf_fini(&tunnel->out);
    buf_fini(&tunnel->hello_in);
    if (tunnel->session != NULL)
        session_remove_tunnel(tunnel->session, tunnel);
    else
        list_remove(&worker->tunnels_alone, &tunnel->session_node);
    tunnel->session = NULL;
}

int tunnel_share(struct tunnel *tunnel, struct share *share, struct err *err)
{
    struct buf *const bufs[] = {&tunnel->net_in, &tunnel->net_out, &tunnel->clear_in, &tunnel->out,
                                &tunnel->hello_in};
    struct pool *before = tunnel->net_in.pool;
    struct pool *blocks = share_pool(share, SHARE_BLOCKS);

    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) {
        struct err ignored;

        if (buf_move(bufs[i], blocks, err) == 0)
            continue;
        while (i-- > 0)
            ENSURE(buf_move(bufs[i], before, &ignored) == 0);
        return share_refuse(share, SHARE_BLOCKS, err);
    }
    list_remove(&tunnel->worker->tunnels_alone, &tunnel->session_node);
    return 0;
}

static void tunnel_close(struct tunnel *tunnel, int is_clean)
{
    if (tunnel->state == TUNNEL_CLOSED)
        return;
    tunnel_enter(tunnel, TUNNEL_CLOSED);
    parts_release(tunnel);
    if (is_clean)
        stream_close(&tunnel->stream, stream_closed);
    else
        stream_reset(&tunnel->stream, stream_closed);
}

void tunnel_abort(struct tunnel *tunnel, const struct err *err)
{
    if (tunnel->state == TUNNEL_CLOSED)
        return;
    log_debug("tunnel %llu: %s", (unsigned long long)tunnel->number, err->text);
    carrier_abort(tunnel, err);
    tunnel_close(tunnel, 0);
}

void tunnel_finish(struct tunnel *tunnel)
{
    if (tunnel->state == TUNNEL_DRAIN || tunnel->state == TUNNEL_CLOSED)
        return;
    tunnel_send_close(tunnel, 1000, "");
    tunnel_enter(tunnel, TUNNEL_DRAIN);
}

static enum record_kind kind_of(const struct decision *decision)
{
    if (decision->verdict != VERDICT_ALLOW || decision->rule == NULL)
        return RECORD_REFUSED;
    if (decision->rule->action == RULE_PASS)
        return RECORD_PASS;
    return decision->rule->action == RULE_TCP ? RECORD_TCP : RECORD_INSPECT;
}

void tunnel_record(const struct tunnel *tunnel, struct record *record)
{
    const struct session *session = tunnel->session;

    *record = (struct record){
        .time_ms = tunnel->start_wall_ms,
        .mono_ms = tunnel->start_ms,
        .tunnel = tunnel->number,
        .generation = tunnel->worker->role.config.policy.generation,
        .host = target_host_span(&tunnel->host),
        .port = tunnel->port,
        .kind = kind_of(&tunnel->decision),
    };
    if (session != NULL) {
        record->session = session_id(session);
        record->tenant = span_of(session->tenant->name, session->tenant->name_len);
    }
}

/* The answer to the CONNECT that is not 200, and its record. */
static void refusal_write(struct tunnel *tunnel, const struct err *err)
{
    struct worker *worker = tunnel->worker;
    const struct rule *rule = tunnel->decision.rule;
    struct reply reply = {.err = *err, .generation = worker->role.config.policy.generation};
    struct record record;
    char memory[REPLY_MAX];
    struct text text;
    struct err send_err;

    if (rule != NULL)
        reply.rule = rule->name;
    text_init(&text, memory, sizeof memory);
    reply_write(&reply, &text);
    (void)envelope_send(&tunnel->out, text_span(&text), NULL, &send_err);

    tunnel_record(tunnel, &record);
    record.method = span_text("CONNECT");
    record.verdict =
        err->code == ERR_POLICY || err->code == ERR_ADDRESS ? RECORD_DENY : RECORD_ERROR;
    record.rule = reply.rule;
    record.status = err_status(err->code);
    record.reason = span_text(err_reason(err->code));
    record.detail = span_text(err->text);
    record.ms = (uint64_t)(worker->loop.now_ms - tunnel->start_ms);
    audit_link_end(&worker->audit, 0, &record);
}

void tunnel_refuse(struct tunnel *tunnel, const struct err *err)
{
    refusal_write(tunnel, err);
    tunnel_finish(tunnel);
}

/* --- events --- */

void tunnel_wake(struct tunnel *tunnel)
{
    if (tunnel->state != TUNNEL_CLOSED)
        loop_later(&tunnel->worker->loop, &tunnel->task, tunnel->task.run, tunnel);
}

static void stream_ready(struct stream *stream)
{
    tunnel_wake(stream->owner);
}

static void deadline_expired(struct loop_deadline *deadline)
{
    struct tunnel *tunnel = deadline->owner;
    struct err err;

    switch (tunnel->state) {
    case TUNNEL_JOIN:
    case TUNNEL_AUTH:
        (void)err_set(&err, tunnel->state == TUNNEL_JOIN ? ERR_REQUEST_TIMEOUT : ERR_TIMEOUT,
                      "no %s in time", tunnel->state == TUNNEL_JOIN ? "request" : "answer");
        tunnel_join_refuse(tunnel, &err);
        break;
    case TUNNEL_HELLO:
        (void)err_set(&err, ERR_REQUEST_TIMEOUT, "no CONNECT in time");
        tunnel_refuse(tunnel, &err);
        break;
    case TUNNEL_REACH:
        (void)err_set(&err, ERR_TIMEOUT, "%s did not answer in time", tunnel->host.name);
        tunnel_refuse(tunnel, &err);
        break;
    case TUNNEL_INSPECT:
        inspect_expired(tunnel->inspect);
        break;
    case TUNNEL_PASS:
        pass_expired(tunnel->pass);
        break;
    case TUNNEL_DRAIN:
    case TUNNEL_CLOSED:
        tunnel_close(tunnel, 0);
        return;
    }
    tunnel_wake(tunnel);
}

/* --- the pump --- */

static int drain_step(struct tunnel *tunnel)
{
    const struct buf *out = tunnel->has_outer ? &tunnel->net_out : &tunnel->out;

    tunnel->payload = span_of(NULL, 0);
    tunnel->frame = span_of(NULL, 0);
    tunnel->held = 0;
    carrier_free(tunnel);
    buf_consume(tunnel_in(tunnel), buf_len(tunnel_in(tunnel)));
    if (!buf_is_empty(&tunnel->out) || !buf_is_empty(out))
        return 0;
    if (!tunnel->shut) {
        tunnel->shut = 1;
        stream_shut_write(&tunnel->stream);
    }
    if (tunnel->stream.has_ended)
        tunnel_close(tunnel, 1);
    return 0;
}

static int tunnel_step(struct tunnel *tunnel, struct err *err)
{
    switch (tunnel->state) {
    case TUNNEL_JOIN:
        return tunnel_join_step(tunnel, err);
    case TUNNEL_AUTH:
        return tunnel_auth_step(tunnel);
    case TUNNEL_HELLO:
        return tunnel_hello_step(tunnel, err);
    case TUNNEL_REACH:
        return tunnel_reach_step(tunnel, err);
    case TUNNEL_INSPECT:
        return inspect_pump(tunnel->inspect, err);
    case TUNNEL_PASS:
        return pass_pump(tunnel->pass, err);
    case TUNNEL_DRAIN:
        return drain_step(tunnel);
    case TUNNEL_CLOSED:
        break;
    }
    return 0;
}

/* The relay broke the protocol: say so in the close frame if there is a WebSocket. */
static void protocol_fail(struct tunnel *tunnel, const struct err *err)
{
    uint16_t code = ws_frame_close_code(&tunnel->ws);

    log_info("tunnel %llu: %s", (unsigned long long)tunnel->number, err->text);
    if (tunnel->state == TUNNEL_DRAIN || tunnel->state == TUNNEL_CLOSED) {
        tunnel_close(tunnel, 0);
        return;
    }
    carrier_abort(tunnel, err);
    if (tunnel->state == TUNNEL_HELLO && code != 1009)
        refusal_write(tunnel, err);
    tunnel_send_close(tunnel, code, err_reason(err->code));
    tunnel_enter(tunnel, TUNNEL_DRAIN);
}

static void peer_gone(struct tunnel *tunnel)
{
    struct err err;

    (void)err_set(&err, ERR_CLOSED, "the client has closed its connection");
    carrier_abort(tunnel, &err);
    tunnel_finish(tunnel);
}

static int pump_round(struct tunnel *tunnel)
{
    enum tunnel_state before = tunnel->state;
    struct err err;
    int pulled = tunnel_pull(tunnel, &err);
    int stepped = pulled < 0 ? 0 : tunnel_step(tunnel, &err);
    int pushed;

    if (tunnel->state == TUNNEL_CLOSED)
        return 0;
    if (pulled < 0) {
        tunnel_abort(tunnel, &err);
        return 0;
    }
    if (stepped < 0)
        protocol_fail(tunnel, &err);
    else if (tunnel->peer_closed && tunnel->state != TUNNEL_PASS && tunnel->payload.len == 0 &&
             tunnel->frame.len == 0 && pulled == 0 && stepped == 0)
        peer_gone(tunnel);
    if (tunnel->state == TUNNEL_CLOSED)
        return 0;
    pushed = tunnel_push(tunnel, &err);
    if (pushed < 0) {
        tunnel_abort(tunnel, &err);
        return 0;
    }
    /* A new state may have work that no byte brings: a tunnel that only has to end. */
    return pulled > 0 || stepped > 0 || pushed > 0 || tunnel->state != before;
}

static void tunnel_run(struct loop_task *task)
{
    struct tunnel *tunnel = task->owner;

    for (int round = 0; tunnel->state != TUNNEL_CLOSED; round++) {
        if (round == TUNNEL_ROUNDS) {
            tunnel_wake(tunnel);
            break;
        }
        if (!pump_round(tunnel))
            break;
    }
    if (tunnel->state == TUNNEL_CLOSED)
        return;
    tunnel_want(tunnel);
    if (tunnel->inspect != NULL)
        inspect_want(tunnel->inspect);
    if (tunnel->pass != NULL)
        pass_want(tunnel->pass);
}

static void tunnel_setup(struct tunnel *tunnel)
{
    struct worker *worker = tunnel->worker;
    struct pool *blocks = share_pool(&worker->joining, SHARE_BLOCKS);

    tunnel->number = ++worker->next_tunnel;
    tunnel->start_wall_ms = clock_wall_ms();
    tunnel->start_ms = worker->loop.now_ms;
    tunnel->spoke_ms = worker->loop.now_ms;
    tunnel->task.run = tunnel_run;
    loop_deadline_init(&tunnel->deadline, &worker->loop, deadline_expired, tunnel);
    buf_init(&tunnel->net_in, blocks, BUF_SECRET);
    buf_init(&tunnel->net_out, blocks, BUF_PLAIN);
    buf_init(&tunnel->clear_in, blocks, BUF_SECRET);
    buf_init(&tunnel->out, blocks, BUF_PLAIN);
    buf_init(&tunnel->hello_in, blocks, BUF_SECRET);
    arena_init(&tunnel->arena, share_pool(&worker->joining, SHARE_HEADS), 2 * LIMIT_HEAD);
    ws_frame_init(&tunnel->ws, WS_SERVER, LIMIT_FRAME);
    chunk_init(&tunnel->chunk);
    h1_init(&tunnel->h1, H1_REQUESTS);
    h1_begin(&tunnel->h1, &tunnel->arena, span_of(NULL, 0));
    tunnel_deadline(tunnel, worker->role.config.timeouts.handshake_ms);
}

/*
 * Who opens a tunnel and means it has a session within milliseconds: at the limit those who wait
 * longest go, so that a flood of slow ones keeps nobody out (threat G6).
 */
static void room_make(struct worker *worker)
{
    struct tunnel *oldest = list_first(&worker->tunnels_alone);
    struct err err;

    if (oldest == NULL || (worker->tunnels_alone.count < worker->role.config.limits.joining &&
                           share_has_last_buffers(&worker->joining)))
        return;
    (void)err_set(&err, ERR_LIMIT, "%zu connections have not authenticated (limits.joining)",
                  worker->tunnels_alone.count);
    share_say(&worker->joining, SHARE_TUNNELS, err.text);
    tunnel_abort(oldest, &err);
}

void tunnel_open(struct worker *worker, struct listener *listener, int fd)
{
    struct tunnel *tunnel;
    struct err err;

    room_make(worker);
    tunnel = pool_take(share_pool(&worker->share, SHARE_TUNNELS));
    if (tunnel == NULL) {
        (void)share_refuse(&worker->share, SHARE_TUNNELS, &err);
        (void)close(fd);
        return;
    }
    *tunnel = (struct tunnel){.worker = worker, .has_outer = listener->tls_context != NULL};
    if (stream_open(&tunnel->stream, &worker->loop, fd, stream_ready, tunnel, &err) < 0)
        goto fail;
    if (tunnel->has_outer &&
        tls_init_server(&tunnel->outer, listener->tls_context, NULL, &err) < 0) {
        stream_close(&tunnel->stream, NULL);
        goto fail;
    }
    list_add_last(&worker->tunnels, &tunnel->node, tunnel);
    list_add_last(&worker->tunnels_alone, &tunnel->session_node, tunnel);
    tunnel_setup(tunnel);
    tunnel_wake(tunnel);
    return;

fail:
    log_warning("connection refused: %s", err.text);
    pool_give(share_pool(&worker->share, SHARE_TUNNELS), tunnel);
}
