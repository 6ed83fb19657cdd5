/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A head to be sent, as nghttp2 takes it: checked as h1_write checks it, so that nothing in it
 * could mean two things to whoever reads it.
 */
#include "http/h2_names.h"

#include "base/text.h"
#include "http/token.h"

/* A head that was read, with all that is added to it. */
#define HEAD_MAX (2UL * LIMIT_HEAD)

/* What nghttp2 takes to write one head. */
#define FRAMES_MEMORY (HEAD_MAX + 32768)

/* Never in a compression table, here or at a proxy (RFC 7541 section 7.1.3). */
static void names_add(struct h2_names *names, struct span name, struct span value, uint8_t flags)
{
    ENSURE(names->count < H2_NAMES_MAX);
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

static int fields_add(struct h2_names *names, const struct http_fields *fields, uint8_t flags,
                      struct err *err)
{
    if (fields->count >= H2_NAMES_MAX - H2_PSEUDO_COUNT - 1)
        return err_set(err, ERR_INTERNAL, "%zu fields", fields->count);
    for (size_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];

        if (field_check(field, err) < 0)
            return -1;
        names_add(names, field->name, field->value, flags);
    }
    return 0;
}

static void length_add(struct h2_names *names, uint64_t length)
{
    struct text text;

    text_init(&text, names->length, sizeof names->length);
    text_add_u64(&text, length);
    names_add(names, span_text("content-length"), text_span(&text), NGHTTP2_NV_FLAG_NONE);
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

int h2_names_request(struct h2_names *names, const struct h2_request *request, enum h2_end end,
                     struct err *err)
{
    const struct http_request *message = request->request;
    bool is_connect =
        span_equal(message->method, span_text("CONNECT")) && request->protocol.len == 0;
    uint8_t flags = NGHTTP2_NV_FLAG_NO_INDEX;

    if (request_check(request, end, err) < 0)
        return -1;
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

/* Whether content may follow (RFC 9110 sections 6.4.1 and 8.6). */
static bool has_content(struct span method, int status)
{
    if (status < 200 || status == 204 || status == 304)
        return false;
    return !span_equal(method, span_text("HEAD"));
}

/* 1xx, 204 and 2xx to CONNECT say nothing about content. */
static bool has_length(struct span method, int status)
{
    if (status < 200 || status == 204)
        return false;
    return status >= 300 || !span_equal(method, span_text("CONNECT"));
}

static int response_check(const struct http_response *response, struct span method, enum h2_end end,
                          struct err *err)
{
    const struct http_framing *framing = &response->framing;
    bool has_bytes = framing->body == HTTP_BODY_LENGTH && framing->length > 0;

    if (response->status < 200 || response->status > 599)
        return err_set(err, ERR_INTERNAL, "final status %d", response->status);
    if (end == H2_GOES_ON && !has_content(method, response->status))
        return err_set(err, ERR_INTERNAL, "content in a response with status %d", response->status);
    if (has_bytes && !has_length(method, response->status))
        return err_set(err, ERR_INTERNAL, "a length in a response with status %d",
                       response->status);
    if (has_bytes && end == H2_ENDS && has_content(method, response->status))
        return err_set(err, ERR_INTERNAL, "a response with content that ends with its head");
    return 0;
}

/* Cookies stay out of the compression table; the rest of a response is worth compressing. */
static void names_protect(struct h2_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        if (span_equal_nocase(span_of(names->items[i].name, names->items[i].namelen),
                              span_text("set-cookie")))
            names->items[i].flags |= NGHTTP2_NV_FLAG_NO_INDEX;
    }
}

static int status_add(struct h2_names *names, const struct http_response *response, struct err *err)
{
    names->status[0] = (char)('0' + response->status / 100);
    names->status[1] = (char)('0' + response->status / 10 % 10);
    names->status[2] = (char)('0' + response->status % 10);
    names_add(names, span_text(":status"), span_of(names->status, 3), NGHTTP2_NV_FLAG_NONE);
    if (fields_add(names, &response->fields, NGHTTP2_NV_FLAG_NONE, err) < 0)
        return -1;
    names_protect(names);
    return 0;
}

int h2_names_interim(struct h2_names *names, const struct http_response *response, struct err *err)
{
    if (response->status < 100 || response->status > 199 || response->status == 101)
        return err_set(err, ERR_INTERNAL, "interim status %d", response->status);
    return status_add(names, response, err);
}

int h2_names_response(struct h2_names *names, const struct http_response *response,
                      struct span method, enum h2_end end, struct err *err)
{
    if (response_check(response, method, end, err) < 0 || status_add(names, response, err) < 0)
        return -1;
    if (response->framing.body == HTTP_BODY_LENGTH && has_length(method, response->status))
        length_add(names, response->framing.length);
    return 0;
}

int h2_names_trailers(struct h2_names *names, const struct http_fields *trailers, struct err *err)
{
    for (size_t i = 0; i < trailers->count; i++) {
        struct span name = trailers->items[i].name;

        if (!http_name_can_trail(name))
            return err_set(err, ERR_INTERNAL, "'%.*s' among the trailers", (int)name.len,
                           (const char *)name.ptr);
    }
    return fields_add(names, trailers, NGHTTP2_NV_FLAG_NO_INDEX, err);
}

/*
 * Before a head is queued: what is left for nghttp2 must be enough for the copy that waits and for
 * the frames made of it, because later it could only end the connection.
 */
int h2_names_check(const struct h2_names *names, const struct h2_memory *memory, struct err *err)
{
    if (names->bytes > HEAD_MAX)
        return err_set(err, ERR_LIMIT, "a head of %zu bytes", names->bytes);
    if (h2_memory_left(memory) < names->bytes + sizeof names->items + FRAMES_MEMORY)
        return err_set(err, ERR_MEMORY, "too many heads wait to be sent");
    return 0;
}
