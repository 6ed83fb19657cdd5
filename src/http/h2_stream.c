/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a stream lives. Two may need it: the user, who holds it from h2_next() or h2_open() to
 * h2_release(), and nghttp2, which knows it until both messages are complete or it was reset. It
 * is freed when neither does:
 *
 *                    nghttp2 knows it                     is_closed
 *     is_held        in use                               the user may read, and releases
 *     not held       new, or its last bytes go out        freed
 *
 * A stream that ends before the user has seen it is never shown. When the connection goes first,
 * the user's streams are detached: `h2` is NULL, and h2_release() frees.
 */
#include "base/num.h"
#include "http/h2_session.h"

/* A head, interim heads and trailers, each once as read and once as the user sends it. */
#define ARENA_LIMIT (6UL * LIMIT_HEAD)

struct h2_stream *h2_stream_new(struct h2 *h2, int32_t id)
{
    struct h2_stream *stream;

    if (h2->streams.count >= h2->options.streams)
        return NULL;
    stream = pool_take(h2->options.pools.streams);
    if (stream == NULL)
        return NULL;
    *stream = (struct h2_stream){.h2 = h2, .id = id, .pool = h2->options.pools.streams};
    arena_init(&stream->arena, h2->options.pools.arena, ARENA_LIMIT);
    buf_init(&stream->recv, h2->options.pools.recv, BUF_PLAIN);
    buf_init(&stream->send, h2->options.pools.send, BUF_PLAIN);
    list_add_last(&h2->streams, &stream->node, stream);
    return stream;
}

struct h2_stream *h2_stream_find(const struct h2 *h2, int32_t id)
{
    return id == 0 ? NULL : nghttp2_session_get_stream_user_data(h2->session, id);
}

static void ready_remove(struct h2_stream *stream)
{
    stream->fresh = 0;
    if (!stream->is_ready)
        return;
    stream->is_ready = 0;
    list_remove(&stream->h2->ready, &stream->ready_node);
}

/* Bytes that nobody will read: only the connection's window gets them back. */
static void window_give(struct h2 *h2, size_t len)
{
    if (len > 0 && !h2->is_over)
        (void)nghttp2_session_consume_connection(h2->session, len);
}

/* Out of the engine's lists, without its content. */
static void stream_unlink(struct h2_stream *stream)
{
    struct h2 *h2 = stream->h2;

    ready_remove(stream);
    list_remove(&h2->streams, &stream->node);
    h2->closed -= stream->is_closed != 0;
    h2->held -= stream->is_held != 0;
    if (h2->block.stream == stream)
        h2->block.stream = NULL;
}

static void stream_give(struct h2_stream *stream)
{
    buf_fini(&stream->recv);
    buf_fini(&stream->send);
    arena_reset(&stream->arena);
    pool_give(stream->pool, stream);
}

void h2_stream_free(struct h2_stream *stream)
{
    window_give(stream->h2, buf_len(&stream->recv));
    stream_unlink(stream);
    stream_give(stream);
}

void h2_stream_tell(struct h2_stream *stream, unsigned news)
{
    struct h2 *h2 = stream->h2;

    /* One that the user has not seen shows itself by its head. */
    if (stream->is_released || (!stream->is_held && !stream->has_head))
        return;
    stream->fresh |= news;
    if (stream->is_ready)
        return;
    stream->is_ready = 1;
    list_add_last(&h2->ready, &stream->ready_node, stream);
}

int h2_next(struct h2 *h2, struct h2_stream **stream)
{
    struct h2_stream *first = list_first(&h2->ready);

    if (first == NULL)
        return 0;
    first->news = first->fresh;
    ready_remove(first);
    if (!first->is_held) {
        first->is_held = 1;
        h2->held++;
    }
    *stream = first;
    return 1;
}

/* Nothing goes out any more, and nothing that comes is kept. */
static void stream_end(struct h2_stream *stream, uint32_t code)
{
    stream->is_reset = 1;
    stream->reset_code = code;
    buf_fini(&stream->send);
}

void h2_stream_close(struct h2_stream *stream, uint32_t code)
{
    struct h2 *h2 = stream->h2;
    int is_complete = stream->recv_ended && stream->is_end_sent;

    stream->is_closed = 1;
    h2->closed++;
    if (is_complete)
        h2_budget_exchange(&h2->budget);
    if (!is_complete && !stream->is_reset) {
        stream_end(stream, code);
        stream->may_retry =
            h2->options.role == H2_CLIENT && code == H2_REFUSED_STREAM && !stream->has_head;
        /* RFC 9113 section 8.1: a server may answer early and ask for no more of the request. */
        if (h2->options.role == H2_SERVER || !stream->recv_ended)
            h2_stream_tell(stream, H2_NEWS_RESET);
    }
    if (!stream->is_held) {
        h2_stream_free(stream);
        return;
    }
    if (stream->is_reset && h2->block.stream == stream)
        h2->block.stream = NULL;
}

/* Without memory there is no way to tell the peer: the connection ends by its own error soon. */
static void rst_queue(struct h2_stream *stream, uint32_t code)
{
    if (!stream->is_closed && !stream->h2->is_over)
        (void)nghttp2_submit_rst_stream(stream->h2->session, NGHTTP2_FLAG_NONE, stream->id, code);
}

int h2_stream_fail(struct h2_stream *stream, uint32_t code, const struct err *err)
{
    if (stream->is_reset)
        return 0;
    stream_end(stream, code);
    stream->head_err = *err;
    rst_queue(stream, code);
    h2_stream_tell(stream, H2_NEWS_RESET);
    return h2_spend(stream->h2, H2_BUDGET_FAULTS);
}

int h2_stream_receive(struct h2_stream *stream, struct span bytes)
{
    struct err err;

    if (stream == NULL)
        return 0;
    if (stream->is_reset || stream->is_released) {
        window_give(stream->h2, bytes.len);
        return 0;
    }
    if (buf_append(&stream->recv, bytes, &err) < 0) {
        window_give(stream->h2, bytes.len);
        if (err.code == ERR_LIMIT) /* only before it has seen our settings */
            return h2_stream_fail(stream, NGHTTP2_FLOW_CONTROL_ERROR, &err);
        stream_end(stream, H2_ENHANCE_YOUR_CALM);
        stream->head_err = err;
        rst_queue(stream, H2_ENHANCE_YOUR_CALM);
        h2_stream_tell(stream, H2_NEWS_RESET);
        return 0;
    }
    h2_stream_tell(stream, H2_NEWS_DATA);
    return 0;
}

void h2_stream_sent(struct h2_stream *stream)
{
    stream->is_end_sent = 1;
    if (stream->is_released && !stream->recv_ended && !stream->is_reset)
        h2_reset(stream, H2_NO_ERROR);
}

void h2_recv_used(struct h2_stream *stream, size_t len)
{
    struct h2 *h2 = stream->h2;

    buf_consume(&stream->recv, len);
    if (h2 == NULL || h2->is_over || len == 0)
        return;
    if (!stream->is_closed)
        (void)nghttp2_session_consume_stream(h2->session, stream->id, len);
    window_give(h2, len);
}

void h2_reset(struct h2_stream *stream, enum h2_code code)
{
    if (stream->h2 == NULL || stream->is_reset)
        return;
    stream_end(stream, code);
    rst_queue(stream, code);
    ready_remove(stream);
}

/* What becomes of a stream that the user has let go and that nghttp2 still knows. */
static void stream_finish(struct h2_stream *stream)
{
    int is_server = stream->h2->options.role == H2_SERVER;

    if (stream->send_ended && (stream->recv_ended || is_server)) {
        if (!stream->recv_ended && stream->is_end_sent)
            h2_reset(stream, H2_NO_ERROR);
        return;
    }
    h2_reset(stream, H2_CANCEL);
}

void h2_release(struct h2_stream *stream)
{
    struct h2 *h2 = stream->h2;

    ENSURE(stream->is_held);
    if (h2 == NULL) {
        stream_give(stream);
        return;
    }
    if (stream->is_closed) {
        h2_stream_free(stream);
        return;
    }
    stream->is_held = 0;
    stream->is_released = 1;
    h2->held--;
    ready_remove(stream);
    window_give(h2, buf_len(&stream->recv));
    buf_fini(&stream->recv);
    stream_finish(stream);
}

void h2_stream_detach(struct h2_stream *stream)
{
    int is_held = stream->is_held;

    if (!stream->is_reset && !stream->is_closed) {
        stream_end(stream, stream->h2->failure_code);
        stream->may_retry = stream->h2->options.role == H2_CLIENT && !stream->is_opened;
    }
    stream_unlink(stream);
    stream->h2 = NULL;
    stream->is_reset = 1;
    if (!is_held)
        stream_give(stream);
}
