/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow of one uplink:
 *
 *     client --recv--> [frame head | chunk head | payload] link.out --(TLS)--> gateway
 *     client <--send-- client_out <--copy-- payload <--chunk--frame-- link.in <--(TLS)-- gateway
 *
 * Up, the payload is read straight behind room for its heads and masked where it lies. Each side
 * is read only while its opposite has room: TCP is the only flow control there is.
 *
 * With a forward (requests that name whole URLs) the client's bytes go through it: into its
 * client_in, out of it through our client_in; what comes goes into its tunnel_in.
 */
#include "relay/uplink.h"

#include "base/num.h"
#include "wire/envelope.h"

#define ROUNDS       32  /* before others get their turn */
#define CONTROL_ROOM 256 /* in link.out, for a pong or close while reading */
#define PULL_ROOM    16384

/* --- up: client to gateway --- */

static int is_held(const struct uplink *uplink)
{
    return uplink->state == UPLINK_DIAL || uplink->state == UPLINK_WAIT ||
           uplink->state == UPLINK_JOIN;
}

/* What comes out of the tunnel goes here. */
static struct buf *payload_out(struct uplink *uplink)
{
    return uplink->forward != NULL ? &uplink->forward->tunnel_in : &uplink->client_out;
}

static int can_pull_payload(const struct uplink *uplink)
{
    return buf_is_empty(&uplink->client_in) &&
           buf_free_len(&uplink->link.out) >= ENVELOPE_HEAD + PULL_ROOM;
}

static int wants_client(const struct uplink *uplink)
{
    if (uplink->forward != NULL)
        return buf_free_len(&uplink->forward->client_in) > 0 && uplink->state != UPLINK_HALF;
    if (uplink->state == UPLINK_HEAD)
        return buf_len(&uplink->client_in) <= LIMIT_CONNECT_HEAD;
    if (is_held(uplink))
        return buf_len(&uplink->client_in) - uplink->head_len < LIMIT_EARLY;
    if (uplink->state == UPLINK_ANSWER || uplink->state == UPLINK_OPEN)
        return can_pull_payload(uplink);
    return uplink->state != UPLINK_HALF;
}

/* What came before the tunnel was open: one copy, once. */
static int early_send(struct uplink *uplink, struct err *err)
{
    struct span early = buf_span(&uplink->client_in);
    size_t room = buf_free_len(&uplink->link.out);
    uint8_t mask[4];

    if (early.len == 0 || room < ENVELOPE_HEAD + PULL_ROOM)
        return 0;
    early = span_first(early, num_min(early.len, room - ENVELOPE_HEAD));
    mask_next(&uplink->worker->masks, mask);
    if (envelope_send(&uplink->link.out, early, mask, err) < 0)
        return -1;
    buf_consume(&uplink->client_in, early.len);
    return 1;
}

/* Put the heads in front of `len` payload bytes that lie at the queue's end behind a gap. */
static void payload_wrap(struct uplink *uplink, size_t start, size_t len)
{
    struct buf *out = &uplink->link.out;
    uint8_t *at = buf_bytes(out).ptr + start;
    uint8_t head[ENVELOPE_HEAD];
    uint8_t mask[4];
    size_t mask_offset;
    size_t head_len;
    size_t gap;

    mask_next(&uplink->worker->masks, mask);
    head_len = envelope_write_head(head, len, mask, &mask_offset);
    ENSURE(head_len <= ENVELOPE_HEAD && start + ENVELOPE_HEAD + len == buf_len(out));
    gap = ENVELOPE_HEAD - head_len;
    ws_frame_mask((struct room){.ptr = at + ENVELOPE_HEAD, .len = len}, mask, mask_offset);
    if (start == 0) {
        memcpy(at + gap, head, head_len);
        buf_consume(out, gap);
        return;
    }
    memcpy(at, head, head_len);
    memmove(at + head_len, at + ENVELOPE_HEAD, len);
    buf_drop_last(out, gap);
}

static int payload_pull(struct uplink *uplink, struct err *err)
{
    struct buf *out = &uplink->link.out;
    size_t start = buf_len(out);
    struct room gap;
    ssize_t len;

    if (!can_pull_payload(uplink) || !uplink->client.can_read || uplink->client.has_ended)
        return 0;
    gap = buf_reserve(out, ENVELOPE_HEAD + PULL_ROOM);
    if (gap.len < ENVELOPE_HEAD + PULL_ROOM) {
        buf_commit(out, 0);
        return 0;
    }
    memset(gap.ptr, 0, ENVELOPE_HEAD);
    buf_commit(out, ENVELOPE_HEAD);
    len = stream_pull(&uplink->client, out, err);
    if (len > 0)
        payload_wrap(uplink, start, (size_t)len);
    else
        buf_drop_last(out, ENVELOPE_HEAD);
    return len < 0 ? -1 : len > 0;
}

static int pull_open(struct uplink *uplink, struct err *err)
{
    return uplink->forward != NULL ? uplink_forward_pull(uplink, err) : payload_pull(uplink, err);
}

/* The client's bytes in any state. */
static int client_pull(struct uplink *uplink, struct err *err)
{
    ssize_t len;

    if (uplink->state == UPLINK_ANSWER || uplink->state == UPLINK_OPEN) {
        int moved = early_send(uplink, err);
        int pulled = moved < 0 ? -1 : pull_open(uplink, err);

        if (pulled < 0)
            return -1;
        if (uplink->client.has_ended && buf_is_empty(&uplink->client_in) &&
            (uplink->forward == NULL || forward_has_sent_all(uplink->forward)))
            uplink_enter(uplink, UPLINK_HALF);
        return moved || pulled;
    }
    if (uplink->forward != NULL)
        return uplink_forward_pull(uplink, err);
    if (!wants_client(uplink))
        return 0;
    len = stream_pull(&uplink->client, &uplink->client_in, err);
    if (len > 0 && (uplink->state == UPLINK_DRAIN || uplink->state == UPLINK_LINGER))
        buf_consume(&uplink->client_in, (size_t)len);
    return len < 0 ? -1 : len > 0;
}

/* --- down: gateway to client --- */

static int payload_take(struct uplink *uplink, struct span data, struct err *err)
{
    struct span payload;
    size_t used;

    while (data.len > 0) {
        if (chunk_feed(&uplink->chunk, data, &used, &payload, err) < 0)
            return -1;
        if (payload.len > 0) {
            if (buf_append(payload_out(uplink), payload, err) < 0)
                return -1;
            uplink->has_payload = uplink->forward == NULL;
            if (uplink->state == UPLINK_ANSWER)
                uplink_enter(uplink, UPLINK_OPEN);
        }
        data = span_from(data, used);
    }
    return 0;
}

static int close_take(struct uplink *uplink, const struct ws_event *event, struct err *err)
{
    uint8_t mask[4];
    struct err ignored;

    mask_next(&uplink->worker->masks, mask);
    if (!uplink->close_sent &&
        ws_frame_send_close(&uplink->link.out, event->close_code == 1005 ? 1000 : event->close_code,
                            span_of(NULL, 0), mask, &ignored) == 0)
        uplink->close_sent = 1;
    (void)link_pump(&uplink->link, &ignored);
    if (event->close_code != 1000)
        return err_set(err, ERR_GATEWAY, "gateway: it ended the tunnel with code %u",
                       event->close_code);
    if (uplink->forward != NULL) {
        uplink_forward_lost(uplink, NULL);
        return 0;
    }
    if (!uplink->has_payload)
        return err_set(err, ERR_GATEWAY, "gateway: it ended the tunnel without an answer");
    uplink_finish(uplink);
    return 0;
}

static int event_take(struct uplink *uplink, const struct ws_event *event, struct err *err)
{
    uint8_t mask[4];

    switch (event->type) {
    case WS_EVENT_DATA:
        return event->opcode == WS_TEXT ? 0 : payload_take(uplink, event->data, err);
    case WS_EVENT_MESSAGE_END:
        return event->opcode == WS_TEXT ? 0 : chunk_end(&uplink->chunk, err);
    case WS_EVENT_PING:
        mask_next(&uplink->worker->masks, mask);
        return ws_frame_send_control(&uplink->link.out, WS_PONG, event->data, mask, err);
    case WS_EVENT_PONG:
        return 0;
    case WS_EVENT_CLOSE:
        return close_take(uplink, event, err);
    }
    return 0;
}

/* The gateway broke the framing: say so to it, then end. Section 3. */
static void breach_tell(struct uplink *uplink)
{
    uint16_t code = ws_frame_close_code(&uplink->ws);
    struct err ignored;
    uint8_t mask[4];

    if (uplink->close_sent)
        return;
    mask_next(&uplink->worker->masks, mask);
    if (ws_frame_send_close(&uplink->link.out, code == 1009 ? 1009 : 1002, span_of(NULL, 0), mask,
                            &ignored) == 0)
        (void)link_pump(&uplink->link, &ignored);
}

static int is_joined(const struct uplink *uplink)
{
    return uplink->state == UPLINK_ANSWER || uplink->state == UPLINK_OPEN ||
           uplink->state == UPLINK_HALF;
}

/* Frames out of link.in, never more than the client's queue can take. */
static int frames_take(struct uplink *uplink, struct err *err)
{
    struct room in = buf_bytes(&uplink->link.in);
    struct ws_event event;
    size_t used;

    in.len = num_min(in.len, buf_free_len(payload_out(uplink)));
    if (in.len == 0 || buf_free_len(&uplink->link.out) < CONTROL_ROOM)
        return 0;
    if (ws_frame_feed(&uplink->ws, in, &used, err) < 0) {
        breach_tell(uplink);
        return -1;
    }
    while (is_joined(uplink) && ws_frame_next(&uplink->ws, &event)) {
        if (event_take(uplink, &event, err) < 0) {
            breach_tell(uplink);
            return -1;
        }
    }
    if (is_joined(uplink))
        buf_consume(&uplink->link.in, used);
    return used > 0;
}

static int down_pump(struct uplink *uplink, struct err *err)
{
    int moved = 0;
    int step = 1;

    while (step > 0 && is_joined(uplink)) {
        step = frames_take(uplink, err);
        moved |= step > 0;
    }
    if (step < 0)
        return -1;
    if (is_joined(uplink) && buf_is_empty(&uplink->link.in) && link_has_ended(&uplink->link))
        return err_set(err, ERR_GATEWAY, "gateway: the connection was lost");
    return moved;
}

/* --- all of it --- */

/* 1 moved, 0 nothing, -1: handled, do not go on. */
static int link_step(struct uplink *uplink)
{
    struct err err;
    int moved = link_pump(&uplink->link, &err);

    if (moved < 0 && is_joined(uplink) && !buf_is_empty(&uplink->link.in)) {
        moved = 0; /* what came before the reset first */
        if (frames_take(uplink, &err) <= 0)
            moved = -1;
    }
    if (moved < 0) {
        if (is_joined(uplink))
            uplink_lose(uplink, &err);
        else
            uplink_retry(uplink, &err);
        return -1;
    }
    switch (uplink->state) {
    case UPLINK_DIAL:
        return uplink->link.state == LINK_OPEN ? uplink_send_upgrade(uplink) : moved;
    case UPLINK_JOIN:
        return uplink_read_upgrade(uplink) < 0 ? -1 : moved;
    case UPLINK_ANSWER:
    case UPLINK_OPEN:
    case UPLINK_HALF:
        if (uplink->link.out.kind == BUF_SECRET && buf_is_empty(&uplink->link.out))
            uplink->link.out.kind = BUF_PLAIN; /* the token has left; payload is not wiped */
        return moved;
    case UPLINK_HEAD:
    case UPLINK_FORWARD:
    case UPLINK_WAIT:
    case UPLINK_DRAIN:
    case UPLINK_LINGER:
    case UPLINK_CLOSED:
    case UPLINK_STATE_COUNT:
        return 0;
    }
    return 0;
}

/* After everything is written: FIN, and wait until the client has read it. */
static int end_step(struct uplink *uplink)
{
    if (uplink->state == UPLINK_DRAIN && buf_is_empty(&uplink->client_out)) {
        stream_shut_write(&uplink->client);
        uplink_enter(uplink, UPLINK_LINGER);
    }
    if (uplink->state == UPLINK_LINGER && uplink->client.has_ended) {
        uplink_close(uplink, LINK_END_FIN);
        return -1;
    }
    return 0;
}

/* Whether the deadline is one of silence: a head has its 10 s, however it comes in. */
static int is_patient(const struct uplink *uplink)
{
    if (uplink->forward != NULL)
        return (uplink->state == UPLINK_OPEN || uplink->state == UPLINK_FORWARD) &&
               uplink->forward->state != FORWARD_HEAD;
    return uplink->state == UPLINK_OPEN;
}

/* One time around. 1 something moved, 0 nothing, -1 the uplink is closed. */
static int round_step(struct uplink *uplink)
{
    enum uplink_state before = uplink->state;
    struct err err;
    ssize_t pushed;
    int moved = client_pull(uplink, &err);

    if (moved < 0) {
        uplink_close(uplink, LINK_END_RESET);
        return -1;
    }
    if (uplink->state == UPLINK_HEAD && uplink_read_head(uplink) < 0 &&
        uplink->state == UPLINK_CLOSED)
        return -1;
    if (uplink->link.state != LINK_IDLE && uplink->link.state != LINK_CLOSING)
        moved |= link_step(uplink) > 0;
    if (is_joined(uplink)) {
        int down = down_pump(uplink, &err);

        if (down < 0)
            uplink_lose(uplink, &err);
        moved |= down > 0;
    }
    if (uplink->forward != NULL)
        moved |= uplink_forward_step(uplink) > 0;
    if (uplink->state == UPLINK_CLOSED)
        return -1;
    pushed = stream_push(&uplink->client, &uplink->client_out, &err);
    if (pushed < 0) {
        uplink_close(uplink, LINK_END_RESET);
        return -1;
    }
    if (end_step(uplink) < 0)
        return -1;
    if (is_patient(uplink) && (moved || pushed > 0))
        uplink_touch(uplink);
    return moved || pushed > 0 || uplink->state != before;
}

void uplink_pump(struct uplink *uplink)
{
    unsigned interest = 0;
    int moved = 1;

    if (uplink->state == UPLINK_CLOSED)
        return;
    for (int i = 0; i < ROUNDS && moved > 0; i++)
        moved = round_step(uplink);
    if (moved < 0)
        return;
    if (moved > 0)
        loop_later(&uplink->worker->loop, &uplink->again, uplink_on_again, uplink);
    if (wants_client(uplink))
        interest |= LOOP_READ;
    if (!buf_is_empty(&uplink->client_out))
        interest |= LOOP_WRITE;
    stream_want(&uplink->client, interest);
    if (uplink->link.stream.is_open)
        link_want(&uplink->link);
}
