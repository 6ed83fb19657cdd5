/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages become frames. Heads are checked as h1_write checks them and copied by nghttp2; content
 * waits in the stream's `send` and goes from there into the output without another copy.
 */
#include "base/num.h"
#include "base/text.h"
#include "http/h2_session.h"
#include "http/token.h"

/* Pseudo-fields and content-length beyond the fields of the message and its spares. */
#define NAMES_MAX (2 * LIMIT_FIELD_COUNT)

/* A head that was read, with all that is added to it. */
#define HEAD_MAX (2UL * LIMIT_HEAD)

/* What nghttp2 takes to write one head. */
#define FRAMES_MEMORY (HEAD_MAX + 32768)

/* A smaller DATA frame than this waits for more room in the output. */
#define DATA_LEAST 4096

struct names {
    nghttp2_nv items[NAMES_MAX];
    size_t count;
    size_t bytes;    /* of names and values */
    char length[24]; /* the value of content-length */
};

/* Never in a compression table, here or at a proxy (RFC 7541 section 7.1.3). */
static void names_add(struct names *names, struct span name, struct span value, uint8_t flags)
{
    ENSURE(names->count < NAMES_MAX);
    names->bytes += name.len + value.len;
    /* nghttp2 only reads them, and copies names in lower case. */
    names->items[names->count++] = (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.ptr,
        .namelen = name.len,
        .value = (uint8_t *)(uintptr_t)value.ptr,
        .valuelen = value.len,
        .flags = flags,
    };
}

static bool is_visible(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7f)
            return false;
    }
    return text.len > 0;
}

/* Fields that HTTP/2 does not have, or that follow from the rest of the message. */
static bool is_forbidden(const struct http_field *field)
{
    static const char *const forbidden[] = {
        "connection",        "keep-alive", "proxy-connection",
        "transfer-encoding", "upgrade",    "content-length",
    };

    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
        if (http_name_is_like(field->name, span_text(forbidden[i])))
            return true;
    }
    return span_equal_nocase(field->name, span_text("te")) &&
           !span_equal_nocase(field->value, span_text("trailers"));
}

static int field_check(const struct http_field *field, struct err *err)
{
    struct span trimmed = span_trim(field->value);

    if (!token_is_token(field->name))
        return err_set(err, ERR_INTERNAL, "the name of a field is no token");
    if (!token_is_value(field->value) || trimmed.len != field->value.len)
        return err_set(err, ERR_INTERNAL, "the value of field '%.*s' has a control byte or blanks",
                       (int)field->name.len, (const char *)field->name.ptr);
    if (is_forbidden(field))
        return err_set(err, ERR_INTERNAL, "'%.*s' among the fields", (int)field->name.len,
                       (const char *)field->name.ptr);
    return 0;
}

static int fields_add(struct names *names, const struct http_fields *fields, uint8_t flags,
                      struct err *err)
{
    if (fields->count >= NAMES_MAX - H2_PSEUDO_COUNT - 1)
        return err_set(err, ERR_INTERNAL, "%zu fields", fields->count);
    for (size_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];

        if (field_check(field, err) < 0)
            return -1;
        names_add(names, field->name, field->value, flags);
    }
    return 0;
}

static void length_add(struct names *names, uint64_t length)
{
    struct text text;

    text_init(&text, names->length, sizeof names->length);
    text_add_u64(&text, length);
    names_add(names, span_text("content-length"), text_span(&text), NGHTTP2_NV_FLAG_NONE);
}

/* All content has been taken: trailers follow or the stream ends. */
static int content_end(struct h2_stream *stream, uint32_t *flags)
{
    const struct http_fields *trailers = &stream->send_trailers;
    struct names names = {.count = 0};
    struct err err;

    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (trailers->count == 0)
        return 0;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    ENSURE(fields_add(&names, trailers, NGHTTP2_NV_FLAG_NO_INDEX, &err) == 0); /* h2_send_end() */
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

/*
 * Before a head is queued: what is left for nghttp2 must be enough for the copy that waits and for
 * the frames made of it, because later it could only end the connection.
 */
static int names_check(const struct h2 *h2, const struct names *names, struct err *err)
{
    size_t left = h2->memory.limit - num_min(h2->memory.used, h2->memory.limit);

    if (names->bytes > HEAD_MAX)
        return err_set(err, ERR_LIMIT, "a head of %zu bytes", names->bytes);
    if (left < names->bytes + sizeof names->items + FRAMES_MEMORY)
        return err_set(err, ERR_MEMORY, "too many heads wait to be sent");
    return 0;
}

static int submit_check(int result, struct err *err)
{
    if (result >= 0)
        return 0;
    if (result == NGHTTP2_ERR_NOMEM)
        return err_set(err, ERR_MEMORY, "no memory for an HTTP/2 frame");
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

static int request_check(const struct h2_request *request, enum h2_end end, struct err *err)
{
    const struct http_request *message = request->request;
    const struct http_framing *framing = &message->framing;

    if (!token_is_token(message->method))
        return err_set(err, ERR_INTERNAL, "the method is no token");
    if (!is_visible(message->target) || !is_visible(request->authority) ||
        !token_is_token(request->scheme))
        return err_set(err, ERR_INTERNAL, "target, authority or scheme are not visible ASCII");
    if (request->protocol.len > 0 &&
        (!token_is_token(request->protocol) || !span_equal(message->method, span_text("CONNECT"))))
        return err_set(err, ERR_INTERNAL, "the protocol is no token or not of CONNECT");
    if (framing->body == HTTP_BODY_UNTIL_CLOSE)
        return err_set(err, ERR_INTERNAL, "a request until close");
    if (end == H2_ENDS && framing->body == HTTP_BODY_LENGTH && framing->length > 0)
        return err_set(err, ERR_INTERNAL, "a request with content that ends with its head");
    if (http_fields_count(&message->fields, span_text("host")) > 0)
        return err_set(err, ERR_INTERNAL, "Host beside the authority");
    return 0;
}

static int request_names(struct names *names, const struct h2_request *request, struct err *err)
{
    const struct http_request *message = request->request;
    bool is_connect =
        span_equal(message->method, span_text("CONNECT")) && request->protocol.len == 0;
    uint8_t flags = NGHTTP2_NV_FLAG_NO_INDEX;

    names_add(names, span_text(":method"), message->method, NGHTTP2_NV_FLAG_NONE);
    if (request->protocol.len > 0)
        names_add(names, span_text(":protocol"), request->protocol, NGHTTP2_NV_FLAG_NONE);
    if (!is_connect) {
        names_add(names, span_text(":scheme"), request->scheme, NGHTTP2_NV_FLAG_NONE);
        names_add(names, span_text(":path"), message->target, flags);
    }
    names_add(names, span_text(":authority"), request->authority, NGHTTP2_NV_FLAG_NONE);
    if (fields_add(names, &message->fields, flags, err) < 0)
        return -1;
    if (message->framing.body == HTTP_BODY_LENGTH)
        length_add(names, message->framing.length);
    return 0;
}

struct h2_stream *h2_open(struct h2 *h2, const struct h2_request *request, enum h2_end end,
                          struct err *err)
{
    struct names names = {.count = 0};
    struct h2_stream *stream;
    int32_t id;

    ENSURE(h2->options.role == H2_CLIENT);
    if (request_check(request, end, err) < 0 || request_names(&names, request, err) < 0)
        return NULL;
    if (h2->is_over || h2->is_goaway) {
        (void)err_set(err, ERR_ORIGIN_CLOSED, "the connection takes no more requests");
        return NULL;
    }
    if (h2_open_count(h2) == 0) {
        (void)err_set(err, ERR_LIMIT, "no stream is free");
        return NULL;
    }
    if (names_check(h2, &names, err) < 0)
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

/* Whether content may follow (RFC 9110 sections 6.4.1 and 8.6). */
static bool has_content(const struct h2_stream *stream, int status)
{
    if (status < 200 || status == 204 || status == 304)
        return false;
    return !span_equal(stream->request.method, span_text("HEAD"));
}

/* 1xx, 204 and 2xx to CONNECT say nothing about content. */
static bool has_length(const struct h2_stream *stream, int status)
{
    if (status < 200 || status == 204)
        return false;
    return status >= 300 || !span_equal(stream->request.method, span_text("CONNECT"));
}

static int response_check(const struct h2_stream *stream, const struct http_response *response,
                          enum h2_end end, struct err *err)
{
    const struct http_framing *framing = &response->framing;
    bool has_bytes = framing->body == HTTP_BODY_LENGTH && framing->length > 0;

    if (response->status < 200 || response->status > 599)
        return err_set(err, ERR_INTERNAL, "final status %d", response->status);
    if (end == H2_GOES_ON && !has_content(stream, response->status))
        return err_set(err, ERR_INTERNAL, "content in a response with status %d", response->status);
    if (has_bytes && !has_length(stream, response->status))
        return err_set(err, ERR_INTERNAL, "a length in a response with status %d",
                       response->status);
    if (has_bytes && end == H2_ENDS && has_content(stream, response->status))
        return err_set(err, ERR_INTERNAL, "a response with content that ends with its head");
    return 0;
}

/* Cookies stay out of the compression table; the rest of a response is worth compressing. */
static void names_protect(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        if (span_equal_nocase(span_of(names->items[i].name, names->items[i].namelen),
                              span_text("set-cookie")))
            names->items[i].flags |= NGHTTP2_NV_FLAG_NO_INDEX;
    }
}

static int response_names(struct names *names, const struct http_response *response, char status[4],
                          struct err *err)
{
    status[0] = (char)('0' + response->status / 100);
    status[1] = (char)('0' + response->status / 10 % 10);
    status[2] = (char)('0' + response->status % 10);
    names_add(names, span_text(":status"), span_of(status, 3), NGHTTP2_NV_FLAG_NONE);
    if (fields_add(names, &response->fields, NGHTTP2_NV_FLAG_NONE, err) < 0)
        return -1;
    names_protect(names);
    return 0;
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
    struct names names = {.count = 0};
    char status[4];

    if (open_check(stream, err) < 0)
        return -1;
    ENSURE(!stream->has_response);
    if (response->status < 100 || response->status > 199 || response->status == 101)
        return err_set(err, ERR_INTERNAL, "interim status %d", response->status);
    if (response_names(&names, response, status, err) < 0 ||
        names_check(stream->h2, &names, err) < 0)
        return -1;
    return submit_check(nghttp2_submit_headers(stream->h2->session, NGHTTP2_FLAG_NONE, stream->id,
                                               NULL, names.items, names.count, NULL),
                        err);
}

int h2_send_response(struct h2_stream *stream, const struct http_response *response,
                     enum h2_end end, struct err *err)
{
    struct names names = {.count = 0};
    char status[4];

    if (open_check(stream, err) < 0)
        return -1;
    ENSURE(!stream->has_response);
    if (response_check(stream, response, end, err) < 0 ||
        response_names(&names, response, status, err) < 0 ||
        names_check(stream->h2, &names, err) < 0)
        return -1;
    if (response->framing.body == HTTP_BODY_LENGTH && has_length(stream, response->status))
        length_add(&names, response->framing.length);
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
    struct names names = {.count = 0};
    struct http_fields kept;

    if (fields_add(&names, trailers, NGHTTP2_NV_FLAG_NO_INDEX, err) < 0 ||
        names_check(stream->h2, &names, err) < 0 ||
        http_fields_init(&kept, &stream->arena, trailers->count, err) < 0)
        return -1;
    for (size_t i = 0; i < trailers->count; i++) {
        const struct http_field *field = &trailers->items[i];
        struct span name = arena_copy(&stream->arena, field->name);
        struct span value = arena_copy(&stream->arena, field->value);

        if (!http_name_can_trail(field->name))
            return err_set(err, ERR_INTERNAL, "'%.*s' among the trailers", (int)field->name.len,
                           (const char *)field->name.ptr);
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
