/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages become frames. nghttp2 copies heads at once; content waits in the stream's `send` and
 * goes from there into the output without another copy.
 */
#include "base/num.h"
#include "http/h2_names.h"

/* A smaller DATA frame than this waits for more room in the output. */
#define DATA_LEAST 4096

/* All content has been taken: trailers follow or the stream ends. */
static int content_end(struct h2_stream *stream, uint32_t *flags)
{
    const struct http_fields *trailers = &stream->send_trailers;
    struct h2_names names = {.count = 0};
    struct err err;

    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (trailers->count == 0)
        return 0;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    ENSURE(h2_names_trailers(&names, trailers, &err) == 0); /* as in h2_send_end() */
    return nghttp2_submit_trailer(stream->h2->session, stream->id, names.items, names.count);
}

/* nghttp2 asks how much content the next DATA frame has; `len` is what the peer's windows allow. */
static ssize_t on_data_read(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t len,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct h2 *h2 = user;
    struct h2_stream *stream = h2_stream_find(h2, id);
    size_t room = buf_free_len(h2->out) - num_min(buf_free_len(h2->out), H2_FRAME_ROOM);

    (void)session;
    (void)bytes;
    (void)source;
    if (stream == NULL || stream->is_reset)
        return NGHTTP2_ERR_DEFERRED;
    len = num_min(len, buf_len(&stream->send));
    if (len == 0 && !stream->send_ended) {
        stream->is_deferred = 1;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (room < H2_FRAME_HEAD + num_min(len, DATA_LEAST))
        return NGHTTP2_ERR_PAUSE;
    len = num_min(len, room - H2_FRAME_HEAD);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (stream->send_ended && len == buf_len(&stream->send) && content_end(stream, flags) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return (ssize_t)len;
}

/* Follows on_data_read() at once, so that the room is still there. */
static int on_data_send(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                        size_t len, nghttp2_data_source *source, void *user)
{
    struct h2 *h2 = user;
    struct h2_stream *stream = h2_stream_find(h2, frame->hd.stream_id);
    struct err err;

    (void)session;
    (void)source;
    ENSURE(stream != NULL && len <= buf_len(&stream->send));
    ENSURE(buf_append(h2->out, span_of(head, H2_FRAME_HEAD), &err) == 0);
    if (len > 0)
        ENSURE(buf_append(h2->out, span_first(buf_span(&stream->send), len), &err) == 0);
    buf_consume(&stream->send, len);
    h2_budget_earn(&h2->budget, H2_BUDGET_WINDOWS, 4);
    h2_budget_earn(&h2->budget, H2_BUDGET_PINGS, 1);
    if (!stream->send_ended)
        h2_stream_tell(stream, H2_NEWS_ROOM);
    return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h2 = user;
    struct h2_stream *stream = h2_stream_find(h2, frame->hd.stream_id);

    (void)session;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        if (stream == NULL)
            break;
        stream->is_opened = 1;
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
            h2_stream_sent(stream);
        break;
    case NGHTTP2_RST_STREAM: /* by nghttp2 itself, for a fault of the peer (threat B2) */
        if (stream == NULL || !stream->is_reset)
            (void)h2_spend(h2, H2_BUDGET_FAULTS);
        break;
    case NGHTTP2_GOAWAY:
        h2->is_goaway = 1;
        h2->is_broken |= frame->goaway.error_code != NGHTTP2_NO_ERROR;
        break;
    default:
        break;
    }
    return 0;
}

void h2_write_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_data_send);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
}

static const nghttp2_data_provider provider = {.read_callback = on_data_read};

static int submit_check(int result, struct err *err)
{
    if (result >= 0)
        return 0;
    return err_set(err, ERR_INTERNAL, "HTTP/2: %s", nghttp2_strerror(result));
}

size_t h2_open_count(const struct h2 *h2)
{
    size_t open = h2->streams.count - h2->closed;
    size_t remote;

    if (h2->is_over || h2->is_goaway ||
        nghttp2_session_get_next_stream_id(h2->session) > INT32_MAX ||
        h2->streams.count >= h2->options.streams)
        return 0;
    remote =
        nghttp2_session_get_remote_settings(h2->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return remote <= open ? 0 : num_min(remote - open, h2->options.streams - h2->streams.count);
}

struct h2_stream *h2_open(struct h2 *h2, const struct h2_request *request, enum h2_end end,
                          struct err *err)
{
    struct h2_names names = {.count = 0};
    struct h2_stream *stream;
    int32_t id;

    ENSURE(h2->options.role == H2_CLIENT);
    if (h2_names_request(&names, request, end, err) < 0)
        return NULL;
    if (h2->is_over || h2->is_goaway) {
        (void)err_set(err, ERR_ORIGIN_CLOSED, "the connection takes no more requests");
        return NULL;
    }
    if (h2_open_count(h2) == 0) {
        (void)err_set(err, ERR_LIMIT, "no stream is free");
        return NULL;
    }
    if (h2_names_check(&names, &h2->memory, err) < 0)
        return NULL;
    stream = h2_stream_new(h2, 0);
    if (stream == NULL) {
        (void)err_set(err, ERR_MEMORY, "no memory for a stream");
        return NULL;
    }
    id = nghttp2_submit_request(h2->session, NULL, names.items, names.count,
                                end == H2_ENDS ? NULL : &provider, stream);
    if (submit_check(id, err) < 0) {
        h2_stream_free(stream);
        return NULL;
    }
    stream->id = id;
    stream->is_held = 1;
    h2->held++;
    stream->is_bare = span_equal(request->request->method, span_text("HEAD"));
    stream->send_ended = end == H2_ENDS;
    return stream;
}

static int open_check(const struct h2_stream *stream, struct err *err)
{
    if (stream->h2 == NULL || stream->h2->is_over || stream->is_reset || stream->is_closed)
        return err_set(err, ERR_CLOSED, "the stream is reset");
    ENSURE(stream->is_held && !stream->send_ended);
    return 0;
}

int h2_send_interim(struct h2_stream *stream, const struct http_response *response, struct err *err)
{
    struct h2_names names = {.count = 0};

    if (open_check(stream, err) < 0)
        return -1;
    ENSURE(!stream->has_response);
    if (h2_names_interim(&names, response, err) < 0 ||
        h2_names_check(&names, &stream->h2->memory, err) < 0)
        return -1;
    return submit_check(nghttp2_submit_headers(stream->h2->session, NGHTTP2_FLAG_NONE, stream->id,
                                               NULL, names.items, names.count, NULL),
                        err);
}

int h2_send_response(struct h2_stream *stream, const struct http_response *response,
                     enum h2_end end, struct err *err)
{
    struct h2_names names = {.count = 0};

    if (open_check(stream, err) < 0)
        return -1;
    ENSURE(!stream->has_response);
    if (h2_names_response(&names, response, stream->request.method, end, err) < 0 ||
        h2_names_check(&names, &stream->h2->memory, err) < 0)
        return -1;
    if (submit_check(nghttp2_submit_response(stream->h2->session, stream->id, names.items,
                                             names.count, end == H2_ENDS ? NULL : &provider),
                     err) < 0)
        return -1;
    stream->has_response = 1;
    stream->send_ended = end == H2_ENDS;
    return 0;
}

size_t h2_send_room(const struct h2_stream *stream)
{
    if (stream->h2 == NULL || stream->is_reset || stream->send_ended)
        return 0;
    if (stream->h2->options.role == H2_SERVER && !stream->has_response)
        return 0;
    return buf_free_len(&stream->send);
}

/* nghttp2 asks again for content. */
static int data_resume(struct h2_stream *stream, struct err *err)
{
    if (!stream->is_deferred)
        return 0;
    stream->is_deferred = 0;
    return submit_check(nghttp2_session_resume_data(stream->h2->session, stream->id), err);
}

int h2_send_data(struct h2_stream *stream, struct span bytes, struct err *err)
{
    if (open_check(stream, err) < 0)
        return -1;
    ENSURE(bytes.len <= h2_send_room(stream));
    if (bytes.len == 0)
        return 0;
    if (buf_append(&stream->send, bytes, err) < 0)
        return -1;
    return data_resume(stream, err);
}

static int trailers_keep(struct h2_stream *stream, const struct http_fields *trailers,
                         struct err *err)
{
    struct h2_names names = {.count = 0};
    struct http_fields kept;

    if (h2_names_trailers(&names, trailers, err) < 0 ||
        h2_names_check(&names, &stream->h2->memory, err) < 0 ||
        http_fields_init(&kept, &stream->arena, trailers->count, err) < 0)
        return -1;
    for (size_t i = 0; i < trailers->count; i++) {
        const struct http_field *field = &trailers->items[i];
        struct span name = arena_copy(&stream->arena, field->name);
        struct span value = arena_copy(&stream->arena, field->value);

        if (name.ptr == NULL || (value.ptr == NULL && field->value.len > 0))
            return err_set(err, ERR_MEMORY, "no memory for trailers");
        if (http_fields_add(&kept, name, value, err) < 0)
            return -1;
    }
    stream->send_trailers = kept;
    return 0;
}

int h2_send_end(struct h2_stream *stream, const struct http_fields *trailers, struct err *err)
{
    if (open_check(stream, err) < 0)
        return -1;
    ENSURE(stream->h2->options.role == H2_CLIENT || stream->has_response);
    if (trailers != NULL && trailers->count > 0 && trailers_keep(stream, trailers, err) < 0)
        return -1;
    stream->send_ended = 1;
    return data_resume(stream, err);
}
