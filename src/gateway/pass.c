/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The origin is dialled while the tunnel is in REACH. Then payload goes to its
 * socket from where it was unmasked, and the socket is read straight into the queue of frames:
 * nothing is copied here, and whoever does not take what it was sent stops the other. For TLS the
 * ClientHello is held back until its name is known to be the one of CONNECT (threat C1).
 *
 * There is no half-close on the wire (docs/protocol.md section 6): when the origin ends, the close
 * frame goes out behind its last byte, and what the client had sent by then still gets through
 * (LAST). When the client ends, the origin gets a FIN and may answer for a while (HALF). An end out
 * of order on one side is one on the other: nothing incomplete looks complete (threat H10).
 */
#include "gateway/pass.h"

#include <errno.h>

#include "base/num.h"
#include "crypto/sni.h"
#include "gateway/reply.h"
#include "gateway/tunnel_join.h"
#include "gateway/tunnel_pump.h"
#include "gateway/worker.h"
#include "os/log.h"
#include "wire/envelope.h"

/* Kept free in the queue of frames for a pong and the close frame. */
#define PASS_RESERVE 4096

/* The least worth a read, and the most behind other frames: up to there heads have one size. */
#define PASS_READ_MIN 16384
#define PASS_READ_MAX 65000

static const unsigned state_next[] = {
    [PASS_RESOLVE] = 1u << PASS_CONNECT | 1u << PASS_OVER,
    [PASS_CONNECT] = 1u << PASS_PEEK | 1u << PASS_CARRY | 1u << PASS_OVER,
    [PASS_PEEK] = 1u << PASS_CARRY | 1u << PASS_OVER,
    [PASS_CARRY] = 1u << PASS_HALF | 1u << PASS_LAST | 1u << PASS_OVER,
    [PASS_HALF] = 1u << PASS_OVER,
    [PASS_LAST] = 1u << PASS_OVER,
    [PASS_OVER] = 0,
};

static void state_deadline(struct pass *pass)
{
    const struct config_timeouts *timeouts = &pass->worker->role.config.timeouts;
    const int64_t deadlines[] = {
#define PASS_DEADLINE(name, deadline, ends) deadline,
        PASS_STATES(PASS_DEADLINE)
#undef PASS_DEADLINE
    };

    tunnel_deadline(pass->tunnel, deadlines[pass->state]);
}

static void pass_enter(struct pass *pass, enum pass_state next)
{
    ENSURE(state_next[pass->state] & 1u << next);
    pass->state = next;
    state_deadline(pass);
}

/* --- to the origin's socket --- */

static void stream_ready(struct stream *stream)
{
    struct pass *pass = stream->owner;

    tunnel_wake(pass->tunnel);
}

static void dial_resolved(void *owner)
{
    pass_enter(owner, PASS_CONNECT);
}

static void dial_done(void *owner, int fd, const struct address *address, const struct err *why)
{
    struct pass *pass = owner;
    struct tunnel *tunnel = pass->tunnel;
    struct text text;

    pass->dialing = NULL;
    tunnel->reach_done = 1;
    err_clear(&tunnel->reach_err);
    if (fd < 0) {
        tunnel->reach_err = *why;
    } else if (stream_open(&pass->stream, &pass->worker->loop, fd, stream_ready, pass,
                           &tunnel->reach_err) == 0) {
        text_init(&text, pass->address, sizeof pass->address);
        socket_write_address(&text, address);
        (void)text_str(&text);
    }
    tunnel_wake(tunnel);
}

struct pass *pass_open(struct tunnel *tunnel, struct err *err)
{
    struct worker *worker = tunnel->worker;
    struct pass *pass = pool_take(&worker->pass_pool);
    const struct origin_dial_calls calls = {dial_resolved, dial_done, pass};

    if (pass == NULL) {
        (void)err_set(err, ERR_LIMIT, "too many tunnels that go through unread");
        return NULL;
    }
    *pass = (struct pass){.tunnel = tunnel, .worker = worker, .state = PASS_RESOLVE};
    buf_init(&pass->hello, share_pool(&tunnel->session->share, SHARE_BLOCKS), BUF_PLAIN);
    pass->dialing = origin_dial_start(worker, &tunnel->host, tunnel->port, &calls, err);
    if (pass->dialing != NULL)
        return pass;
    pool_give(&worker->pass_pool, pass);
    return NULL;
}

static void stream_closed(struct stream *stream)
{
    struct pass *pass = stream->owner;

    pool_give(&pass->worker->pass_pool, pass);
}

void pass_free(struct pass *pass)
{
    if (pass->dialing != NULL)
        origin_dial_cancel(pass->dialing);
    buf_fini(&pass->hello);
    if (!pass->stream.is_open)
        pool_give(&pass->worker->pass_pool, pass);
    else if (pass->is_cut || pass->state != PASS_OVER)
        stream_reset(&pass->stream, stream_closed);
    else
        stream_close(&pass->stream, stream_closed);
}

int pass_start(struct pass *pass, struct err *err)
{
    struct tunnel *tunnel = pass->tunnel;
    int is_tls = tunnel->decision.rule->action == RULE_PASS;

    if (envelope_send(&tunnel->out, reply_established(), NULL, err) < 0)
        return -1;
    tunnel_enter(tunnel, TUNNEL_PASS);
    pass_enter(pass, is_tls ? PASS_PEEK : PASS_CARRY);
    return 1;
}

/* --- ends --- */

static void pass_record(const struct pass *pass, enum record_verdict verdict, const struct err *why)
{
    struct tunnel *tunnel = pass->tunnel;
    struct record record;

    tunnel_record(tunnel, &record);
    record.method = span_text("CONNECT");
    record.verdict = verdict;
    record.rule = tunnel->decision.rule->name;
    record.status = 200;
    record.address = span_text(pass->address);
    record.bytes_in = pass->bytes_in;
    record.bytes_out = pass->bytes_out;
    record.ms = (uint64_t)(pass->worker->loop.now_ms - tunnel->start_ms);
    if (why != NULL) {
        record.reason = span_text(err_reason(why->code));
        record.detail = span_text(why->text);
    }
    audit_link_end(&pass->worker->audit, 0, &record);
}

/* Both have ended, each in order. */
static void pass_finish(struct pass *pass)
{
    pass_record(pass, RECORD_ALLOW, NULL);
    pass_enter(pass, PASS_OVER);
    tunnel_finish(pass->tunnel);
}

void pass_abort(struct pass *pass, const struct err *err)
{
    if (pass->state < PASS_PEEK || pass->state == PASS_OVER)
        return;
    pass_record(pass, RECORD_ERROR, err);
    pass->is_cut = 1;
    pass_enter(pass, PASS_OVER);
}

/* Cut off: what came before is delivered, and the close frame says that more should have come. */
static void pass_fail(struct pass *pass, const struct err *err)
{
    log_debug("tunnel %llu: %s", (unsigned long long)pass->tunnel->number, err->text);
    pass_abort(pass, err);
    tunnel_send_close(pass->tunnel, 1011, err_reason(err->code));
    tunnel_finish(pass->tunnel);
}

/* --- the ClientHello --- */

/* What the client is told: an alert, as a server would send it. Nothing went to the origin. */
static void pass_refuse(struct pass *pass, uint8_t alert, enum record_verdict verdict,
                        const struct err *err)
{
    struct buf *out = &pass->tunnel->out;
    struct envelope_mark mark;
    struct err send_err;

    log_info("tunnel %llu to %s:%u: %s", (unsigned long long)pass->tunnel->number,
             pass->tunnel->host.name, pass->tunnel->port, err->text);
    if (envelope_begin(&mark, out, &send_err) == 0) {
        (void)tls_write_alert(out, alert, &send_err);
        envelope_finish(&mark);
    }
    pass_record(pass, verdict, err);
    pass->is_cut = 1;
    pass_enter(pass, PASS_OVER);
    tunnel_finish(pass->tunnel);
}

/*
 * One name (threats C1, C4). An address cannot stand in a ClientHello (RFC 6066 section 3), so a
 * tunnel to one needs none; for a name silence is no answer, for the origin would choose one.
 */
static int name_check(const struct tunnel *tunnel, const struct sni *sni, struct err *err)
{
    struct host host;

    if (sni->name_len == 0 && tunnel->host.kind != HOST_NAME)
        return 0;
    if (sni->name_len == 0)
        return err_set(err, ERR_MISDIRECTED, "no server name in a tunnel to %.60s",
                       tunnel->host.name);
    if (target_read_host(span_of(sni->name, sni->name_len), &host, err) < 0 ||
        !target_is_same_host(&host, &tunnel->host))
        return err_set(err, ERR_MISDIRECTED, "server name %.40s in a tunnel to %.40s", sni->name,
                       tunnel->host.name);
    return 0;
}

static bool client_has_ended(const struct pass *pass)
{
    const struct tunnel *tunnel = pass->tunnel;

    return tunnel->peer_closed && tunnel->payload.len == 0 && tunnel->frame.len == 0 &&
           buf_is_empty(&pass->hello);
}

static int peek_step(struct pass *pass)
{
    struct tunnel *tunnel = pass->tunnel;
    size_t taken = buf_append_some(&pass->hello, tunnel->payload);
    struct sni sni;
    struct err err;
    int peeked;

    tunnel_payload_used(tunnel, taken);
    if (taken == 0 && tunnel->peer_closed && tunnel->payload.len == 0 && tunnel->frame.len == 0) {
        (void)err_set(&err, ERR_CLOSED, "the client ended before its ClientHello did");
        pass_fail(pass, &err);
        return 1;
    }
    if (taken == 0)
        return 0;
    peeked = sni_peek(buf_span(&pass->hello), &sni, &err);
    if (peeked == 0)
        return 1;
    if (peeked < 0)
        pass_refuse(pass, TLS_ALERT_HANDSHAKE_FAILURE, RECORD_DENY, &err);
    else if (name_check(tunnel, &sni, &err) < 0)
        pass_refuse(pass, TLS_ALERT_UNRECOGNIZED_NAME, RECORD_DENY, &err);
    else
        pass_enter(pass, PASS_CARRY);
    return 1;
}

/* --- both ways --- */

/* Drop what the origin will not take, so that the client's end is seen. */
static int up_drop(struct pass *pass)
{
    size_t len = pass->tunnel->payload.len;

    buf_fini(&pass->hello);
    tunnel_payload_used(pass->tunnel, len);
    return len > 0;
}

static int up_carry(struct pass *pass)
{
    struct tunnel *tunnel = pass->tunnel;
    int from_hello = !buf_is_empty(&pass->hello);
    struct err err;
    ssize_t sent;

    if (pass->up_is_dead)
        return up_drop(pass);
    if (from_hello)
        sent = stream_push(&pass->stream, &pass->hello, &err);
    else
        sent = stream_push_span(&pass->stream, tunnel->payload, &err);
    if (sent < 0) {
        /* What it had to say before may lie here still. EPIPE: its FIN came before its RST. */
        pass->up_is_dead = 1;
        pass->was_reset = err.sys != EPIPE;
        return 1;
    }
    if (!from_hello)
        tunnel_payload_used(tunnel, (size_t)sent);
    pass->bytes_in += (uint64_t)sent;
    return sent > 0;
}

static bool has_room(const struct pass *pass)
{
    return buf_free_len(&pass->tunnel->out) >= PASS_RESERVE + PASS_READ_MIN;
}

static int down_carry(struct pass *pass, struct err *err)
{
    struct buf *out = &pass->tunnel->out;
    size_t most = buf_is_empty(out) ? LIMIT_CHUNK : PASS_READ_MAX;
    struct envelope envelope;
    struct room room;
    ssize_t len;

    if (pass->stream.has_ended || !pass->stream.can_read || !has_room(pass) ||
        !tunnel_may_read(pass->tunnel))
        return 0;
    most = num_min(most, buf_free_len(out) - PASS_RESERVE);
    room = envelope_open(&envelope, out, PASS_READ_MIN);
    room.len = num_min(room.len, most);
    len = stream_pull_room(&pass->stream, room, err);
    envelope_close(&envelope, len > 0 ? (size_t)len : 0, NULL);
    if (len < 0)
        return err_set(err, ERR_ORIGIN_CLOSED, "the origin has reset the connection");
    pass->bytes_out += (uint64_t)len;
    return len > 0;
}

static int origin_end(struct pass *pass)
{
    struct err err;

    if (pass->was_reset) {
        (void)err_set(&err, ERR_ORIGIN_CLOSED, "the origin has reset the connection");
        pass_fail(pass, &err);
    } else if (pass->state == PASS_CARRY && !pass->up_is_dead) {
        tunnel_send_close(pass->tunnel, 1000, "");
        pass_enter(pass, PASS_LAST);
    } else {
        pass_finish(pass);
    }
    return 1;
}

static int client_end(struct pass *pass)
{
    uint16_t code = pass->tunnel->close_code;
    struct err err;

    if (code != 1000 && code != 1005) {
        (void)err_set(&err, ERR_CLOSED, "the tunnel was cut off at the client's side");
        pass_fail(pass, &err);
    } else if (pass->state == PASS_LAST) {
        pass_finish(pass);
    } else {
        stream_shut_write(&pass->stream);
        pass_enter(pass, PASS_HALF);
    }
    return 1;
}

static int carry_step(struct pass *pass)
{
    struct err err;
    int up = pass->state == PASS_HALF ? 0 : up_carry(pass);
    int down = down_carry(pass, &err);

    if (down < 0) {
        pass_fail(pass, &err);
        return 1;
    }
    if (up > 0 || down > 0) {
        if (pass->state == PASS_CARRY)
            state_deadline(pass);
        return 1;
    }
    if (pass->stream.has_ended && pass->state != PASS_LAST)
        return origin_end(pass);
    if (client_has_ended(pass) && pass->state != PASS_HALF)
        return client_end(pass);
    return 0;
}

int pass_pump(struct pass *pass, struct err *err)
{
    /* Behind a close frame nothing counts (RFC 6455 section 5.5.1). */
    if (pass->tunnel->close_code == 0 && tunnel_decode(pass->tunnel, err) < 0)
        return -1;
    switch (pass->state) {
    case PASS_PEEK:
        return peek_step(pass);
    case PASS_CARRY:
    case PASS_HALF:
    case PASS_LAST:
        return carry_step(pass);
    case PASS_RESOLVE:
    case PASS_CONNECT:
    case PASS_OVER:
        break;
    }
    return 0;
}

void pass_want(struct pass *pass)
{
    unsigned interest = 0;

    if (!pass->stream.is_open || pass->state == PASS_OVER)
        return;
    if (pass->state >= PASS_CARRY && has_room(pass) && tunnel_may_read(pass->tunnel))
        interest |= LOOP_READ;
    if (pass->state >= PASS_CARRY && !pass->up_is_dead &&
        (pass->tunnel->payload.len > 0 || !buf_is_empty(&pass->hello)))
        interest |= LOOP_WRITE;
    stream_want(&pass->stream, interest);
}

bool pass_holds_nothing(const struct pass *pass)
{
    return buf_is_empty(&pass->hello);
}

void pass_expired(struct pass *pass)
{
    const char *name = pass->tunnel->host.name;
    struct err err;

    switch (pass->state) {
    case PASS_PEEK:
        (void)err_set(&err, ERR_REQUEST_TIMEOUT, "no ClientHello in time");
        pass_refuse(pass, TLS_ALERT_HANDSHAKE_FAILURE, RECORD_ERROR, &err);
        break;
    case PASS_CARRY:
        (void)err_set(&err, ERR_TIMEOUT, "%.60s: nothing moved for too long", name);
        pass_fail(pass, &err);
        break;
    case PASS_HALF:
        (void)err_set(&err, ERR_TIMEOUT, "%.60s did not end in time after the client", name);
        pass_fail(pass, &err);
        break;
    case PASS_LAST:
        (void)err_set(&err, ERR_TIMEOUT, "the relay did not end in time after %.60s", name);
        tunnel_abort(pass->tunnel, &err);
        break;
    case PASS_RESOLVE:
    case PASS_CONNECT:
    case PASS_OVER:
        break;
    }
}
