/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing side of HTTP/1.1. Everything is checked and counted before the first byte is
 * written, so that a message goes out whole or not at all, and nothing in it can end a line early.
 */
#include "http/h1_write.h"

#include "base/text.h"
#include "http/token.h"

/* "Transfer-Encoding: chunked", "Connection: keep-alive", version, status and line ends. */
#define FRAMING_MAX 128

static bool is_visible(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7f)
            return false;
    }
    return text.len > 0;
}

/* Fields by which the message would say two things about its end. */
static bool is_framing_field(const struct http_field *field)
{
    if (http_name_is_like(field->name, span_text("connection")))
        return !span_equal_nocase(field->value, span_text("upgrade"));
    return http_name_is_like(field->name, span_text("content-length")) ||
           http_name_is_like(field->name, span_text("transfer-encoding"));
}

/* Adds the bytes needed for the fields and the empty line to *len. */
static int fields_check(const struct http_fields *fields, size_t *len, struct err *err)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];

        if (!token_is_token(field->name))
            return err_set(err, ERR_INTERNAL, "the name of field %zu is no token", i);
        if (!token_is_value(field->value))
            return err_set(err, ERR_INTERNAL, "the value of field '%.*s' has a control byte",
                           (int)field->name.len, (const char *)field->name.ptr);
        if (is_framing_field(field))
            return err_set(err, ERR_INTERNAL, "'%.*s' among the fields", (int)field->name.len,
                           (const char *)field->name.ptr);
        *len += field->name.len + field->value.len + 4;
    }
    return 0;
}

static void fields_write(const struct http_fields *fields, struct text *text)
{
    for (size_t i = 0; i < fields->count; i++) {
        text_add(text, fields->items[i].name);
        text_add(text, span_of(": ", 2));
        text_add(text, fields->items[i].value);
        text_add(text, span_of("\r\n", 2));
    }
}

static void length_write(struct text *text, uint64_t length)
{
    text_add_str(text, "Content-Length: ");
    text_add_u64(text, length);
    text_add_str(text, "\r\n");
}

static void connection_write(struct text *text, enum http_version version,
                             enum http_persistence persistence)
{
    if (persistence == HTTP_CLOSE)
        text_add_str(text, "Connection: close\r\n");
    else if (version == HTTP_1_0)
        text_add_str(text, "Connection: keep-alive\r\n");
}

/* Room for `len` bytes in one piece; text_send() gives back what is not used. */
static int text_open(struct text *text, struct buf *out, size_t len, struct err *err)
{
    struct room room;

    if (len > buf_free_len(out))
        return err_set(err, ERR_LIMIT, "a head of up to %zu bytes where %zu have room", len,
                       buf_free_len(out));
    room = buf_reserve(out, len);
    if (room.len < len) {
        buf_commit(out, 0);
        return err_set(err, ERR_MEMORY, "no buffer left for a head");
    }
    text_init(text, room.ptr, room.len);
    return 0;
}

static void text_send(const struct text *text, struct buf *out)
{
    ENSURE(!text->overflow);
    buf_commit(out, text->len);
}

static int request_check(const struct http_request *request, size_t *len, struct err *err)
{
    if (!token_is_token(request->method))
        return err_set(err, ERR_INTERNAL, "the method is no token");
    if (!is_visible(request->target))
        return err_set(err, ERR_INTERNAL, "the target is not visible ASCII");
    if (request->framing.body == HTTP_BODY_UNTIL_CLOSE)
        return err_set(err, ERR_INTERNAL, "a request until close");
    if (request->framing.body == HTTP_BODY_CHUNKED && request->version == HTTP_1_0)
        return err_set(err, ERR_INTERNAL, "chunks in HTTP/1.0");
    *len = FRAMING_MAX + request->method.len + request->target.len;
    return fields_check(&request->fields, len, err);
}

/* Methods whose requests are expected to have content (RFC 9110 section 8.6). */
static bool method_has_content(struct span method)
{
    return span_equal(method, span_text("POST")) || span_equal(method, span_text("PUT")) ||
           span_equal(method, span_text("PATCH"));
}

static const char *version_text(enum http_version version)
{
    return version == HTTP_1_0 ? "HTTP/1.0" : "HTTP/1.1";
}

int h1_write_request(const struct http_request *request, struct buf *out, struct err *err)
{
    const struct http_framing *framing = &request->framing;
    struct text text;
    size_t len;

    if (request_check(request, &len, err) < 0 || text_open(&text, out, len, err) < 0)
        return -1;
    text_add(&text, request->method);
    text_add_char(&text, ' ');
    text_add(&text, request->target);
    text_add_char(&text, ' ');
    text_add_str(&text, version_text(request->version));
    text_add_str(&text, "\r\n");
    fields_write(&request->fields, &text);
    if (framing->body == HTTP_BODY_CHUNKED)
        text_add_str(&text, "Transfer-Encoding: chunked\r\n");
    else if (framing->body == HTTP_BODY_LENGTH)
        length_write(&text, framing->length);
    else if (method_has_content(request->method))
        length_write(&text, 0);
    connection_write(&text, request->version, framing->persistence);
    text_add_str(&text, "\r\n");
    text_send(&text, out);
    return 0;
}

/* What a response may say about content (RFC 9110 section 8.6, RFC 9112 section 6.1). */
enum content_words {
    CONTENT_SILENT,  /* 1xx, 204, 2xx to CONNECT: no word about it */
    CONTENT_LENGTH,  /* 304 and answers to HEAD: a length may stand, no content comes */
    CONTENT_FOLLOWS, /* all others */
};

static enum content_words content_words(int status, struct span method)
{
    if (status < 200 || status == 204)
        return CONTENT_SILENT;
    if (status < 300 && span_equal(method, span_text("CONNECT")))
        return CONTENT_SILENT;
    if (status == 304 || span_equal(method, span_text("HEAD")))
        return CONTENT_LENGTH;
    return CONTENT_FOLLOWS;
}

static int response_check(const struct http_response *response, enum content_words words,
                          size_t *len, struct err *err)
{
    const struct http_framing *framing = &response->framing;

    if (response->status < 100 || response->status > 599)
        return err_set(err, ERR_INTERNAL, "status %d", response->status);
    if (!token_is_value(response->reason))
        return err_set(err, ERR_INTERNAL, "the reason has a control byte");
    if (framing->body == HTTP_BODY_CHUNKED &&
        (response->version == HTTP_1_0 || words != CONTENT_FOLLOWS))
        return err_set(err, ERR_INTERNAL, "chunks in a response that cannot have them");
    if (framing->body == HTTP_BODY_LENGTH && framing->length > 0 && words == CONTENT_SILENT)
        return err_set(err, ERR_INTERNAL, "content in a response with status %d", response->status);
    *len = FRAMING_MAX + response->reason.len;
    return fields_check(&response->fields, len, err);
}

static void content_write(const struct http_framing *framing, enum content_words words,
                          struct text *text)
{
    if (words == CONTENT_SILENT)
        return;
    if (framing->body == HTTP_BODY_CHUNKED)
        text_add_str(text, "Transfer-Encoding: chunked\r\n");
    else if (framing->body == HTTP_BODY_LENGTH)
        length_write(text, framing->length);
    else if (framing->body == HTTP_BODY_NONE && words == CONTENT_FOLLOWS)
        length_write(text, 0);
}

int h1_write_response(const struct http_response *response, struct span method, struct buf *out,
                      struct err *err)
{
    enum content_words words = content_words(response->status, method);
    enum http_persistence persistence = response->framing.persistence;
    struct text text;
    size_t len;

    if (response_check(response, words, &len, err) < 0 || text_open(&text, out, len, err) < 0)
        return -1;
    text_add_str(&text, version_text(response->version));
    text_add_char(&text, ' ');
    text_add_u64(&text, (uint64_t)response->status);
    text_add_char(&text, ' ');
    text_add(&text, response->reason);
    text_add_str(&text, "\r\n");
    fields_write(&response->fields, &text);
    content_write(&response->framing, words, &text);
    if (response->framing.body == HTTP_BODY_UNTIL_CLOSE)
        persistence = HTTP_CLOSE;
    if (response->status >= 200)
        connection_write(&text, response->version, persistence);
    text_add_str(&text, "\r\n");
    text_send(&text, out);
    return 0;
}

size_t h1_write_chunk_head(const struct http_framing *framing, size_t len,
                           uint8_t head[H1_CHUNK_HEAD])
{
    static const char digits[] = "0123456789abcdef";
    size_t used = 0;
    unsigned shift = 0;

    if (framing->body != HTTP_BODY_CHUNKED)
        return 0;
    ENSURE(len > 0);
    while (shift < 60 && (uint64_t)len >> (shift + 4) != 0)
        shift += 4;
    for (; shift > 0; shift -= 4)
        head[used++] = (uint8_t)digits[(uint64_t)len >> shift & 15];
    head[used++] = (uint8_t)digits[len & 15];
    head[used++] = '\r';
    head[used++] = '\n';
    return used;
}

struct span h1_write_chunk_tail(const struct http_framing *framing)
{
    return framing->body == HTTP_BODY_CHUNKED ? span_of("\r\n", 2) : span_of(NULL, 0);
}

struct span h1_write_end(const struct http_framing *framing)
{
    return framing->body == HTTP_BODY_CHUNKED ? span_of("0\r\n\r\n", 5) : span_of(NULL, 0);
}
