/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebSocket that echoes. Nothing is held but two queues: what arrives of a message goes out as a
 * part of one, so that a message may be longer than memory; text is checked as it passes. A message
 * that arrives in one piece goes back as one frame. Reading stops while `out` has no room.
 *
 * After an error our close frame goes out, then FIN; the peer's bytes are read and forgotten until
 * its FIN, so that no reset overtakes the close frame.
 */
#include "echo_peer.h"

#include "base/limits.h"
#include "base/num.h"
#include "crypto/digest.h"
#include "http/h1_read.h"

#define SHAKE_MS   10000
#define CLOSING_MS 2000
/* In `out`, beyond payload: two heads, a pong and a close frame. */
#define OUT_SPARE 512

#define CODE_ABNORMAL 1006
#define CODE_TEXT     1007

static void on_stream_closed(struct stream *stream)
{
    struct echo_peer *peer = stream->owner;

    buf_fini(&peer->in);
    buf_fini(&peer->out);
    arena_reset(&peer->arena);
    pool_fini(&peer->heads);
    peer->on_end(peer);
}

static void peer_end(struct echo_peer *peer)
{
    if (peer->phase == ECHO_GONE)
        return;
    peer->phase = ECHO_GONE;
    loop_deadline_clear(&peer->deadline);
    stream_close(&peer->stream, on_stream_closed);
}

static void on_deadline(struct loop_deadline *deadline)
{
    struct echo_peer *peer = deadline->owner;

    if (peer->phase == ECHO_SHAKE)
        (void)err_set(&peer->err, ERR_TIMEOUT, "no handshake in time");
    peer_end(peer);
}

/* A fresh mask for a client; NULL for a server. */
static const uint8_t *mask_make(const struct echo_peer *peer, uint8_t mask[4])
{
    struct err ignored;

    if (peer->role == WS_SERVER)
        return NULL;
    ENSURE(digest_random((struct room){.ptr = mask, .len = 4}, &ignored) == 0);
    return mask;
}

/* No more is said after what is queued. */
static void closing_enter(struct echo_peer *peer)
{
    peer->phase = ECHO_CLOSING;
    loop_deadline_set(&peer->deadline, CLOSING_MS);
}

static int close_send(struct echo_peer *peer, uint16_t code, struct err *err)
{
    uint8_t mask[4];

    closing_enter(peer);
    peer->code = code;
    return ws_frame_send_close(&peer->out, code, span_of(NULL, 0), mask_make(peer, mask), err);
}

/* Send back one piece of a message. */
static int part_send(struct echo_peer *peer, const struct ws_event *event, struct span data,
                     bool is_final, struct err *err)
{
    enum ws_opcode opcode = peer->is_midway ? WS_CONTINUATION : event->opcode;
    uint8_t head[WS_FRAME_HEAD];
    uint8_t fresh[4];
    const uint8_t *mask = mask_make(peer, fresh);
    size_t len = is_final ? ws_frame_write_head(head, opcode, data.len, mask)
                          : ws_frame_write_part_head(head, opcode, data.len, mask);
    struct room room;

    if (buf_append(&peer->out, span_of(head, len), err) < 0 ||
        buf_append(&peer->out, data, err) < 0)
        return -1;
    if (mask != NULL) {
        room = buf_bytes(&peer->out);
        ws_frame_mask((struct room){.ptr = room.ptr + room.len - data.len, .len = data.len}, mask,
                      0);
    }
    peer->is_midway = !is_final;
    return 0;
}

/* DATA, and the MESSAGE_END right behind it if there is one; or MESSAGE_END alone. */
static int message_handle(struct echo_peer *peer, const struct ws_event *event, struct err *err)
{
    struct span data = event->type == WS_EVENT_DATA ? event->data : span_of(NULL, 0);
    struct ws_event next;
    bool is_final = event->type == WS_EVENT_MESSAGE_END || ws_frame_next(&peer->ws, &next);

    if (event->opcode == WS_TEXT) {
        if (!ws_utf8_feed(&peer->utf8, data) || (is_final && !ws_utf8_is_whole(&peer->utf8))) {
            (void)err_set(&peer->err, ERR_CHUNK, "websocket: text is not UTF-8");
            return close_send(peer, CODE_TEXT, err);
        }
    }
    if (is_final)
        peer->utf8 = (struct ws_utf8){0};
    return part_send(peer, event, data, is_final, err);
}

static int event_handle(struct echo_peer *peer, const struct ws_event *event, struct err *err)
{
    uint8_t mask[4];

    switch (event->type) {
    case WS_EVENT_DATA:
    case WS_EVENT_MESSAGE_END:
        return message_handle(peer, event, err);
    case WS_EVENT_PING:
        return ws_frame_send_control(&peer->out, WS_PONG, event->data, mask_make(peer, mask), err);
    case WS_EVENT_PONG:
        return 0;
    case WS_EVENT_CLOSE:
        peer->has_closed = true;
        return close_send(peer, event->close_code, err);
    }
    return 0;
}

/* As much of `in` as `out` has room for. */
static int frames_pump(struct echo_peer *peer, struct err *err)
{
    struct ws_event event;
    size_t used = 1;

    while (used > 0 && peer->phase == ECHO_OPEN && buf_free_len(&peer->out) > OUT_SPARE) {
        struct room in = buf_bytes(&peer->in);
        int result;

        in.len = num_min(in.len, buf_free_len(&peer->out) - OUT_SPARE);
        result = ws_frame_feed(&peer->ws, in, &used, err);
        if (result < 0) {
            peer->err = *err;
            return close_send(peer, ws_frame_close_code(&peer->ws), err);
        }
        while (peer->phase == ECHO_OPEN && ws_frame_next(&peer->ws, &event)) {
            if (event_handle(peer, &event, err) < 0)
                return -1;
        }
        buf_consume(&peer->in, used);
    }
    return 0;
}

static void open_enter(struct echo_peer *peer)
{
    peer->phase = ECHO_OPEN;
    loop_deadline_clear(&peer->deadline);
    ws_frame_init(&peer->ws, peer->role, peer->frame_limit);
}

/* Why it is no upgrade; the connection ends behind the answer. */
static int refusal_send(struct echo_peer *peer, const struct err *why, struct err *err)
{
    char memory[256];
    struct text text;
    int status = err_status(why->code);

    peer->err = *why;
    closing_enter(peer);
    text_init(&text, memory, sizeof memory);
    text_addf(&text, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n%sConnection: close\r\n\r\n", status,
              err_reason(why->code), status == 426 ? "Upgrade: websocket\r\n" : "");
    return buf_append(&peer->out, text_span(&text), err);
}

static int request_handle(struct echo_peer *peer, struct err *err)
{
    char accept[WS_SHAKE_ACCEPT + 1];
    struct http_request request;
    struct err why;
    ssize_t len =
        h1_read_request(buf_span(&peer->in), &peer->scanned, &peer->arena, &request, &why);

    if (len == 0)
        return 0;
    if (len < 0 || ws_shake_read_upgrade(&request, accept, &why) < 0)
        return refusal_send(peer, &why, err);
    open_enter(peer);
    buf_consume(&peer->in, (size_t)len);
    return ws_shake_answer(accept, &peer->out, err);
}

static int response_handle(struct echo_peer *peer, struct err *err)
{
    struct http_response response;
    ssize_t len = h1_read_response(buf_span(&peer->in), &peer->scanned, span_text("GET"),
                                   &peer->arena, &response, err);

    if (len == 0)
        return 0;
    if (len < 0 || ws_shake_check(&peer->shake, &response, err) < 0)
        return -1;
    open_enter(peer);
    buf_consume(&peer->in, (size_t)len);
    return 0;
}

static int peer_step(struct echo_peer *peer, struct err *err)
{
    if (stream_pull(&peer->stream, &peer->in, err) < 0)
        return -1;
    if (peer->phase == ECHO_SHAKE && !buf_is_empty(&peer->in) &&
        (peer->role == WS_SERVER ? request_handle(peer, err) : response_handle(peer, err)) < 0)
        return -1;
    if (peer->phase == ECHO_OPEN && frames_pump(peer, err) < 0)
        return -1;
    if (peer->phase == ECHO_CLOSING)
        buf_consume(&peer->in, buf_len(&peer->in));
    return stream_push(&peer->stream, &peer->out, err) < 0 ? -1 : 0;
}

static bool out_has_room(const struct echo_peer *peer)
{
    return buf_free_len(&peer->out) > OUT_SPARE;
}

/* What arrived has been read, and what there was to say is with the system. */
static void end_check(struct echo_peer *peer)
{
    if (peer->stream.has_ended) {
        if (peer->code == CODE_ABNORMAL && peer->err.code == ERR_OK)
            (void)err_set(&peer->err, ERR_CLOSED, "the connection ended without a close frame");
        peer_end(peer);
        return;
    }
    /* The server ends the connection (RFC 6455 section 7.1.1), a client only after an error. */
    if (peer->phase == ECHO_CLOSING && (peer->role == WS_SERVER || !peer->has_closed))
        stream_shut_write(&peer->stream);
}

static void peer_pump(struct echo_peer *peer)
{
    struct err err;
    unsigned interest = 0;

    do {
        if (peer_step(peer, &err) < 0) {
            if (peer->code == CODE_ABNORMAL)
                peer->err = err;
            peer_end(peer);
            return;
        }
    } while (peer->phase == ECHO_OPEN && !buf_is_empty(&peer->in) && out_has_room(peer));
    if (buf_is_empty(&peer->out))
        end_check(peer);
    if (peer->phase == ECHO_GONE)
        return;
    if (out_has_room(peer) && buf_free_len(&peer->in) > 0)
        interest |= LOOP_READ;
    if (!buf_is_empty(&peer->out))
        interest |= LOOP_WRITE;
    stream_want(&peer->stream, interest);
}

static void on_ready(struct stream *stream)
{
    peer_pump(stream->owner);
}

static int request_send(struct echo_peer *peer, struct err *err)
{
    char memory[2 * LIMIT_TARGET];
    uint8_t nonce[16];
    struct text text;

    if (digest_random((struct room){.ptr = nonce, .len = sizeof nonce}, err) < 0)
        return -1;
    ws_shake_key(&peer->shake, nonce);
    text_init(&text, memory, sizeof memory);
    ws_shake_write(&peer->shake, &text);
    if (text_check(&text, "upgrade request", err) < 0)
        return -1;
    return buf_append(&peer->out, text_span(&text), err);
}

int echo_peer_open(struct echo_peer *peer, const struct echo_setup *setup, int fd, struct err *err)
{
    *peer = (struct echo_peer){
        .role = setup->shake == NULL ? WS_SERVER : WS_CLIENT,
        .phase = ECHO_SHAKE,
        .frame_limit = setup->frame_limit,
        .code = CODE_ABNORMAL,
        .on_end = setup->on_end,
        .owner = setup->owner,
    };
    pool_init(&peer->heads, LIMIT_ARENA_BLOCK, 64, 0);
    arena_init(&peer->arena, &peer->heads, 4UL * LIMIT_HEAD);
    buf_init(&peer->in, setup->queues, BUF_PLAIN);
    buf_init(&peer->out, setup->queues, BUF_PLAIN);
    if (stream_open(&peer->stream, setup->loop, fd, on_ready, peer, err) < 0)
        return -1;
    loop_deadline_init(&peer->deadline, setup->loop, on_deadline, peer);
    loop_deadline_set(&peer->deadline, SHAKE_MS);
    if (setup->shake != NULL) {
        peer->shake = *setup->shake;
        if (request_send(peer, &peer->err) < 0) {
            peer_end(peer);
            return 0;
        }
    }
    peer_pump(peer);
    return 0;
}
