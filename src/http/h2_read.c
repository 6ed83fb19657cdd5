/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nghttp2 understood. Its callbacks run inside h2_feed() and only take note: the user hears of
 * it from h2_next().
 */
#include "http/h2_session.h"

/* Of the probe, see h2_frame.c; frames were counted before nghttp2 saw them. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
    struct h2 *h2 = user;

    (void)session;
    (void)hd;
    h2->is_alive = 1;
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;
    struct h2_stream *stream = h2_stream_find(h2, frame->hd.stream_id);
    static const nghttp2_extpri fair = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1};

    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        int32_t id = frame->hd.stream_id;

        stream = h2_stream_new(h2, id);
        if (stream == NULL) {
            if (nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, H2_REFUSED_STREAM) != 0)
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        } else {
            (void)nghttp2_session_set_stream_user_data(session, id, stream);
            /* All streams take turns, whatever the peer says about their order. */
            (void)nghttp2_session_change_extpri_stream_priority(session, id, &fair, 1);
        }
    }
    h2_block_begin(&h2->block, stream);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    nghttp2_vec name_bytes = nghttp2_rcbuf_get_buf(name);
    nghttp2_vec value_bytes = nghttp2_rcbuf_get_buf(value);

    (void)session;
    (void)frame;
    (void)flags;
    return h2_block_add(user, span_of(name_bytes.base, name_bytes.len),
                        span_of(value_bytes.base, value_bytes.len)) < 0
               ? NGHTTP2_ERR_CALLBACK_FAILURE
               : 0;
}

/* nghttp2 would leave the field out and go on. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    (void)session;
    (void)frame;
    (void)name;
    (void)value;
    (void)flags;
    (void)user;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *user)
{
    struct h2 *h2 = user;
    struct h2_stream *stream = h2_stream_find(h2, id);

    (void)flags;
    h2->frame_content += len;
    h2_budget_earn(&h2->budget, H2_BUDGET_PINGS, 1);
    if (stream == NULL)
        return nghttp2_session_consume_connection(session, len) != 0 ? NGHTTP2_ERR_CALLBACK_FAILURE
                                                                     : 0;
    return h2_stream_receive(stream, span_of(data, len)) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static void message_end(struct h2_stream *stream)
{
    stream->recv_ended = 1;
    h2_stream_tell(stream, H2_NEWS_END);
}

static int headers_read(struct h2 *h2, const nghttp2_frame_hd *hd)
{
    struct h2_stream *stream = h2->block.stream;
    bool ends = (hd->flags & NGHTTP2_FLAG_END_STREAM) != 0;
    struct err err;
    unsigned news;

    if (stream == NULL || stream->is_reset)
        return 0;
    if (h2_block_end(h2, ends ? H2_ENDS : H2_GOES_ON, &news, &err) < 0) {
        uint32_t code = err.code == ERR_MEMORY ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR;

        return h2_stream_fail(stream, code, &err);
    }
    if (news != 0)
        h2_stream_tell(stream, news);
    if (ends)
        message_end(stream);
    return 0;
}

static int data_read(struct h2 *h2, const nghttp2_frame_hd *hd)
{
    struct h2_stream *stream = h2_stream_find(h2, hd->stream_id);
    bool ends = (hd->flags & NGHTTP2_FLAG_END_STREAM) != 0;

    if (ends && stream != NULL && !stream->is_reset)
        message_end(stream);
    return !ends && h2->frame_content == 0 ? h2_spend(h2, H2_BUDGET_EMPTY) : 0;
}

static int frame_read(struct h2 *h2, const nghttp2_frame *frame)
{
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        return headers_read(h2, &frame->hd);
    case NGHTTP2_DATA:
        return data_read(h2, &frame->hd);
    case NGHTTP2_SETTINGS:
        h2->has_settings |= (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0;
        return 0;
    case NGHTTP2_PING:
        h2->is_pinging &= (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0 || h2->is_probing;
        return 0;
    case NGHTTP2_GOAWAY:
        h2->is_goaway = 1;
        return 0;
    default:
        return 0;
    }
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;

    (void)session;
    h2->is_frame_read = 1;
    return frame_read(h2, frame) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct h2_stream *stream = h2_stream_find(user, id);

    (void)session;
    if (stream != NULL) {
        h2_frame_forget(user, stream);
        h2_stream_close(stream, code);
    }
    return 0;
}

void h2_read_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
