/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. WebSocket payload is unmasked where it lies in the input queue, and the
 * spans of frame, chunk and payload all point there. Therefore nothing is read into that queue and
 * nothing is consumed from it while payload is left: a consumer that cannot take more stops the
 * socket, and that is the whole flow control.
 */
#include "gateway/tunnel_pump.h"

#include "gateway/inspect.h"
#include "gateway/pass.h"
#include "gateway/worker.h"
#include "os/log.h"

static int outer_pull(struct tunnel *tunnel, struct err *err)
{
    size_t before = buf_len(&tunnel->clear_in);
    size_t used = 0;

    if (tls_feed(&tunnel->outer, buf_span(&tunnel->net_in), &used, &tunnel->clear_in,
                 &tunnel->net_out, err) < 0)
        return -1;
    buf_consume(&tunnel->net_in, used);
    if (tunnel->outer.state == TLS_ENDED)
        tunnel->peer_closed = 1;
    return used > 0 || buf_len(&tunnel->clear_in) != before;
}

static bool holds_nothing(const struct tunnel *tunnel)
{
    return buf_is_empty(&tunnel->net_in) && buf_is_empty(&tunnel->net_out) &&
           buf_is_empty(&tunnel->clear_in) && buf_is_empty(&tunnel->out) &&
           (tunnel->inspect == NULL || inspect_holds_nothing(tunnel->inspect)) &&
           (tunnel->pass == NULL || pass_holds_nothing(tunnel->pass));
}

bool tunnel_may_read(struct tunnel *tunnel)
{
    /* What HTTP/2 has queued goes out only when the windows that open it are read. */
    bool is_h2 = tunnel->inspect != NULL && tunnel->inspect->h2 != NULL;

    struct session *session = tunnel->session;
    struct worker *worker = tunnel->worker;
    const struct share *share = session == NULL ? &worker->joining : &session->share;

    if (session == NULL ? !worker_is_starved(worker) : !session_is_starved(session))
        return true;
    return (is_h2 && share_has_last_buffers(share)) ||
           (holds_nothing(tunnel) && share_has_spare_buffers(share));
}

int tunnel_pull(struct tunnel *tunnel, struct err *err)
{
    ssize_t pulled = 0;
    int moved = 0;

    if (tunnel->payload.len > 0 || tunnel->frame.len > 0)
        return 0;
    if (tunnel_may_read(tunnel))
        pulled = stream_pull(&tunnel->stream, &tunnel->net_in, err);
    if (pulled < 0)
        return -1;
    if (tunnel->has_outer)
        moved = outer_pull(tunnel, err);
    if (moved < 0)
        return -1;
    if (tunnel->stream.has_ended && buf_is_empty(&tunnel->net_in) && pulled == 0 && moved == 0)
        tunnel->peer_closed = 1;
    return pulled > 0 || moved > 0;
}

void tunnel_send_close(struct tunnel *tunnel, uint16_t code, const char *reason)
{
    struct err err;

    if (tunnel->close_sent || !tunnel->is_websocket)
        return;
    if (ws_frame_send_close(&tunnel->out, code, span_text(reason), NULL, &err) == 0)
        tunnel->close_sent = 1;
}

static void event_handle(struct tunnel *tunnel, const struct ws_event *event, struct err *err,
                         int *result)
{
    *result = 0;
    switch (event->type) {
    case WS_EVENT_DATA:
        if (event->opcode == WS_BINARY)
            tunnel->frame = event->data;
        break;
    case WS_EVENT_MESSAGE_END:
        if (event->opcode != WS_BINARY)
            break;
        *result = chunk_end(&tunnel->chunk, err);
        if (tunnel->state == TUNNEL_HELLO && !buf_is_empty(&tunnel->hello_in))
            tunnel->hello_complete = 1;
        break;
    case WS_EVENT_PING:
        /* A pong that finds no room is left out: the next ping gets one (RFC 6455 5.5.3). */
        if (buf_free_len(&tunnel->out) > 2 * TLS_RECORD_MAX && !tunnel->close_sent)
            *result = ws_frame_send_control(&tunnel->out, WS_PONG, event->data, NULL, err);
        break;
    case WS_EVENT_PONG:
        break;
    case WS_EVENT_CLOSE:
        tunnel->peer_closed = 1;
        tunnel->close_code = event->close_code;
        break;
    }
}

/* One step: 1 if there may be more to do at once. */
static int decode_step(struct tunnel *tunnel, struct err *err)
{
    struct buf *in = tunnel_in(tunnel);
    struct ws_event event;
    size_t used = 0;
    int result;

    if (tunnel->frame.len > 0) {
        if (chunk_feed(&tunnel->chunk, tunnel->frame, &used, &tunnel->payload, err) < 0)
            return -1;
        tunnel->frame = span_from(tunnel->frame, used);
        return 1;
    }
    if (ws_frame_next(&tunnel->ws, &event)) {
        event_handle(tunnel, &event, err, &result);
        return result < 0 ? -1 : 1; /* the loop stops at the end of the hello */
    }
    if (tunnel->held > 0) {
        buf_consume(in, tunnel->held);
        tunnel->held = 0;
    }
    if (buf_is_empty(in))
        return 0;
    if (ws_frame_feed(&tunnel->ws, buf_bytes(in), &used, err) < 0)
        return -1;
    tunnel->held = used;
    return used > 0;
}

int tunnel_decode(struct tunnel *tunnel, struct err *err)
{
    int more = 1;

    while (tunnel->payload.len == 0 && more > 0) {
        if (tunnel->hello_complete && tunnel->state == TUNNEL_HELLO)
            return 0;
        more = decode_step(tunnel, err);
    }
    return more < 0 ? -1 : tunnel->payload.len > 0;
}

void tunnel_payload_used(struct tunnel *tunnel, size_t used)
{
    tunnel->payload = span_from(tunnel->payload, used);
}

static int outer_push(struct tunnel *tunnel, struct err *err)
{
    size_t used = 0;
    int moved = 0;

    while (!buf_is_empty(&tunnel->out) && tunnel->outer.state == TLS_OPEN) {
        if (tls_send(&tunnel->outer, buf_span(&tunnel->out), &used, &tunnel->net_out, err) < 0)
            return -1;
        if (used == 0)
            break;
        buf_consume(&tunnel->out, used);
        moved = 1;
    }
    return moved;
}

int tunnel_push(struct tunnel *tunnel, struct err *err)
{
    int moved = tunnel->has_outer ? outer_push(tunnel, err) : 0;
    ssize_t pushed;

    if (moved < 0)
        return -1;
    pushed = stream_push(&tunnel->stream, tunnel->has_outer ? &tunnel->net_out : &tunnel->out, err);
    if (pushed < 0)
        return -1;
    if (pushed > 0)
        tunnel->spoke_ms = tunnel->worker->loop.now_ms;
    return moved > 0 || pushed > 0;
}

void tunnel_want(struct tunnel *tunnel)
{
    const struct buf *out = tunnel->has_outer ? &tunnel->net_out : &tunnel->out;
    unsigned interest = 0;
    int is_full = tunnel->payload.len > 0 || tunnel->frame.len > 0;
    int waits = tunnel->state == TUNNEL_AUTH || (is_full && tunnel->state != TUNNEL_DRAIN);

    if (!waits && !tunnel->stream.has_ended && buf_free_len(&tunnel->net_in) > 0 &&
        tunnel_may_read(tunnel))
        interest |= LOOP_READ;
    if (!buf_is_empty(out))
        interest |= LOOP_WRITE;
    stream_want(&tunnel->stream, interest);
}
