/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input, frame by frame. Each head is looked at before nghttp2 gets it: what is not allowed
 * at all ends the connection, what makes work without being of use is counted (threats B3, B5).
 *
 * nghttp2 does not say at once when it has found an error of the connection: it queues a GOAWAY and
 * ignores the rest. So wherever a frame ends that it did not report as read, it is given a PING
 * acknowledgement, which it begins if it is alive and which changes nothing. The error is then told
 * by the h2_feed() that brought its frame, however the input is cut.
 */
#include "base/num.h"
#include "http/h2_session.h"

#define PREFACE_LEN 24
#define PAYLOAD_MAX 16384 /* RFC 9113 section 4.2: we ask for no more */

#define PROBE_LEN (H2_FRAME_HEAD + 8)

void h2_frame_init(struct h2 *h2)
{
    h2->preface_left = h2->options.role == H2_SERVER ? PREFACE_LEN : 0;
}

/* A field block begins or goes on. */
static int block_count(struct h2 *h2, const nghttp2_frame_hd *hd)
{
    struct h2_block *block = &h2->block;
    struct err err;

    if (hd->type == NGHTTP2_HEADERS) {
        block->continuations = 0;
        block->wire_bytes = 0;
    } else {
        block->continuations++;
    }
    block->wire_bytes += hd->length;
    block->is_open = (hd->flags & NGHTTP2_FLAG_END_HEADERS) == 0;
    if (block->continuations > LIMIT_H2_CONTINUATIONS || block->wire_bytes > LIMIT_H2_BLOCK) {
        (void)err_set(&err, ERR_LIMIT, "a field block of %zu bytes in %zu frames",
                      block->wire_bytes, block->continuations + 1);
        return h2_fail(h2, NGHTTP2_ENHANCE_YOUR_CALM, &err);
    }
    if (hd->type == NGHTTP2_HEADERS && h2->options.role == H2_CLIENT &&
        h2_stream_find(h2, hd->stream_id) == NULL)
        return h2_spend(h2, H2_BUDGET_STRAYS);
    return hd->length == 0 ? h2_spend(h2, H2_BUDGET_EMPTY) : 0;
}

static void id_add(struct h2_ids *ids, int32_t id)
{
    ids->ids[ids->next] = id;
    ids->next = (ids->next + 1) % H2_IDS;
}

static bool id_is_in(const struct h2_ids *ids, int32_t id)
{
    for (size_t i = 0; i < H2_IDS; i++) {
        if (ids->ids[i] == id)
            return true;
    }
    return false;
}

void h2_frame_forget(struct h2 *h2, const struct h2_stream *stream)
{
    id_add(stream->recv_ended || stream->is_dropped ? &h2->ended : &h2->dropped, stream->id);
}

/*
 * A server's streams that nghttp2 has forgotten. A peer that has ended one may say nothing more on
 * it; where we ended it, what comes was on its way. And no stream is opened behind a later one.
 */
static int closed_check(struct h2 *h2, const nghttp2_frame_hd *hd)
{
    struct err err;

    if (h2->options.role != H2_SERVER || hd->stream_id == 0 ||
        h2_stream_find(h2, hd->stream_id) != NULL ||
        (hd->type != NGHTTP2_DATA && hd->type != NGHTTP2_HEADERS))
        return 0;
    if (id_is_in(&h2->ended, hd->stream_id)) {
        (void)err_set(&err, ERR_SYNTAX, "a frame of type %u on stream %d, which was ended",
                      hd->type, (int)hd->stream_id);
        return h2_fail(h2, NGHTTP2_STREAM_CLOSED, &err);
    }
    if (hd->type == NGHTTP2_HEADERS && !id_is_in(&h2->dropped, hd->stream_id) &&
        hd->stream_id <= nghttp2_session_get_last_proc_stream_id(h2->session)) {
        (void)err_set(&err, ERR_SYNTAX, "stream %d is opened behind a later one",
                      (int)hd->stream_id);
        return h2_fail(h2, NGHTTP2_PROTOCOL_ERROR, &err);
    }
    return 0;
}

/* A reset while there is work for the stream, or for nothing (threat B1). */
static int rst_count(struct h2 *h2, const nghttp2_frame_hd *hd)
{
    struct h2_stream *stream = h2_stream_find(h2, hd->stream_id);

    if (stream == NULL)
        return h2_spend(h2, H2_BUDGET_STRAYS);
    stream->is_dropped = 1;
    if (stream->is_reset ||
        (h2->options.role == H2_SERVER ? stream->is_end_sent != 0 : stream->recv_ended != 0))
        return 0;
    return h2_spend(h2, H2_BUDGET_RESETS);
}

static int data_count(struct h2 *h2, const nghttp2_frame_hd *hd)
{
    const struct h2_stream *stream = h2_stream_find(h2, hd->stream_id);

    h2->frame_content = 0;
    return stream == NULL || stream->is_reset ? h2_spend(h2, H2_BUDGET_STRAYS) : 0;
}

static int frame_count(struct h2 *h2, const nghttp2_frame_hd *hd)
{
    switch (hd->type) {
    case NGHTTP2_DATA:
        return data_count(h2, hd);
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
        return block_count(h2, hd);
    case NGHTTP2_RST_STREAM:
        return rst_count(h2, hd);
    case NGHTTP2_PING:
        return h2_spend(h2, H2_BUDGET_PINGS);
    case NGHTTP2_SETTINGS:
        return h2_spend(h2, H2_BUDGET_SETTINGS);
    case NGHTTP2_PRIORITY:
        return h2_spend(h2, H2_BUDGET_PRIORITIES);
    case NGHTTP2_WINDOW_UPDATE:
        return h2_spend(h2, H2_BUDGET_WINDOWS);
    default:
        return h2_spend(h2, H2_BUDGET_STRAYS);
    }
}

/* What ends the connection whatever nghttp2 would make of it. */
static int frame_check(struct h2 *h2, const nghttp2_frame_hd *hd)
{
    struct err err;

    if (!h2->has_frames && (hd->type != NGHTTP2_SETTINGS || (hd->flags & NGHTTP2_FLAG_ACK) != 0)) {
        (void)err_set(&err, h2_syntax(h2), "the first frame is of type %u", hd->type);
        return h2_fail(h2, NGHTTP2_PROTOCOL_ERROR, &err);
    }
    h2->has_frames = 1;
    if (hd->length > PAYLOAD_MAX) {
        (void)err_set(&err, h2_syntax(h2), "a frame of %zu bytes", hd->length);
        return h2_fail(h2, NGHTTP2_FRAME_SIZE_ERROR, &err);
    }
    if (h2->block.is_open != (hd->type == NGHTTP2_CONTINUATION)) {
        (void)err_set(&err, h2_syntax(h2), "a frame of type %u %s a field block", hd->type,
                      h2->block.is_open ? "in" : "outside");
        return h2_fail(h2, NGHTTP2_PROTOCOL_ERROR, &err);
    }
    if (hd->type == NGHTTP2_PUSH_PROMISE) {
        (void)err_set(&err, h2_syntax(h2), "PUSH_PROMISE, which our settings exclude");
        return h2_fail(h2, NGHTTP2_PROTOCOL_ERROR, &err);
    }
    if (hd->type == NGHTTP2_PRIORITY && hd->stream_id == 0) { /* which nghttp2 does not read */
        (void)err_set(&err, h2_syntax(h2), "PRIORITY of stream 0");
        return h2_fail(h2, NGHTTP2_PROTOCOL_ERROR, &err);
    }
    return closed_check(h2, hd) < 0 ? -1 : frame_count(h2, hd);
}

static nghttp2_frame_hd head_read(const uint8_t head[H2_FRAME_HEAD])
{
    return (nghttp2_frame_hd){
        .length = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2],
        .type = head[3],
        .flags = head[4],
        .stream_id = (int32_t)((uint32_t)(head[5] & 0x7f) << 24 | (uint32_t)head[6] << 16 |
                               (uint32_t)head[7] << 8 | head[8]),
    };
}

static int bytes_give(struct h2 *h2, struct span bytes)
{
    return h2_check(h2, nghttp2_session_mem_recv(h2->session, bytes.ptr, bytes.len));
}

/* Whether nghttp2 has met an error in the frame that ends here. */
static int probe_give(struct h2 *h2)
{
    static const uint8_t probe[PROBE_LEN] = {
        [2] = PROBE_LEN - H2_FRAME_HEAD, [3] = NGHTTP2_PING, [4] = NGHTTP2_FLAG_ACK};
    struct err err;
    int result;

    h2->is_alive = 0;
    h2->is_probing = 1;
    result = bytes_give(h2, span_of(probe, sizeof probe));
    h2->is_probing = 0;
    if (result < 0)
        return -1;
    /* After a GOAWAY without error and its last stream nothing is read either. */
    if (h2->is_alive || (!h2->is_broken && !nghttp2_session_want_read(h2->session)))
        return 0;
    (void)err_set(&err, h2_syntax(h2), "an HTTP/2 connection error in a frame of type %u",
                  h2->frame_head[3]);
    return h2_fail(h2, NGHTTP2_PROTOCOL_ERROR, &err);
}

static int frame_end(struct h2 *h2)
{
    h2->frame_head_len = 0;
    return h2->is_frame_read || h2->block.is_open ? 0 : probe_give(h2);
}

static int preface_feed(struct h2 *h2, struct span in, size_t *used)
{
    *used = num_min(in.len, h2->preface_left);
    h2->preface_left -= *used;
    return bytes_give(h2, span_first(in, *used));
}

static int head_feed(struct h2 *h2, struct span in, size_t *used)
{
    nghttp2_frame_hd hd;

    *used = num_min(in.len, H2_FRAME_HEAD - h2->frame_head_len);
    memcpy(h2->frame_head + h2->frame_head_len, in.ptr, *used);
    h2->frame_head_len += *used;
    if (h2->frame_head_len < H2_FRAME_HEAD)
        return 0;
    hd = head_read(h2->frame_head);
    h2->frame_left = hd.length;
    h2->is_frame_read = 0;
    if (frame_check(h2, &hd) < 0 || bytes_give(h2, span_of(h2->frame_head, H2_FRAME_HEAD)) < 0)
        return -1;
    return h2->frame_left == 0 ? frame_end(h2) : 0;
}

static int payload_feed(struct h2 *h2, struct span in, size_t *used)
{
    *used = num_min(in.len, h2->frame_left);
    h2->frame_left -= *used;
    if (bytes_give(h2, span_first(in, *used)) < 0)
        return -1;
    return h2->frame_left == 0 ? frame_end(h2) : 0;
}

int h2_frame_feed(struct h2 *h2, struct span in)
{
    while (in.len > 0) {
        size_t used;
        int result;

        if (h2->preface_left > 0)
            result = preface_feed(h2, in, &used);
        else if (h2->frame_head_len < H2_FRAME_HEAD)
            result = head_feed(h2, in, &used);
        else
            result = payload_feed(h2, in, &used);
        if (result < 0)
            return -1;
        in = span_from(in, used);
    }
    return 0;
}
