/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content of a message. Lengths are counted down; chunks (RFC 9112 section 7.1) are read line byte
 * by line byte and data span by span:
 *
 *     SIZE -> DIGITS [-> EXTENSION] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *                                          `-> LINE -> TRAILER -> VALUE -> LINE_LF -> LINE ...
 *                                               `-> LAST_LF -> DONE
 *
 * Extensions and trailers are checked and dropped (threats A6, A7); nothing of them is stored.
 */
#include "http/h1_body.h"

#include "base/limits.h"
#include "http/token.h"

#define SIZE_DIGITS 16

enum body_phase {
    BODY_COUNTED, /* by length or until close */
    BODY_SIZE,    /* the first digit of a chunk line */
    BODY_DIGITS,
    BODY_EXTENSION,
    BODY_SIZE_LF,
    BODY_DATA,
    BODY_DATA_CR,
    BODY_DATA_LF,
    BODY_LINE, /* the first byte of a trailer line or of the empty line */
    BODY_TRAILER,
    BODY_VALUE,
    BODY_LINE_LF,
    BODY_LAST_LF,
    BODY_DONE,
    BODY_FAILED,
};

void h1_body_init(struct h1_body *body, const struct http_framing *framing,
                  enum err_code syntax_error)
{
    *body = (struct h1_body){.kind = framing->body, .error = syntax_error};
    switch (framing->body) {
    case HTTP_BODY_NONE:
        body->phase = BODY_DONE;
        break;
    case HTTP_BODY_LENGTH:
        body->left = framing->length;
        body->phase = framing->length == 0 ? BODY_DONE : BODY_COUNTED;
        break;
    case HTTP_BODY_CHUNKED:
        body->phase = BODY_SIZE;
        break;
    case HTTP_BODY_UNTIL_CLOSE:
        body->phase = BODY_COUNTED;
        break;
    }
}

static int body_fail(struct h1_body *body, const char *what, uint8_t byte, struct err *err)
{
    body->phase = BODY_FAILED;
    return err_set(err, body->error, "%s: byte 0x%02x", what, byte);
}

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* A byte of the size, of the CR or ';' behind it. */
static int size_byte(struct h1_body *body, uint8_t byte, struct err *err)
{
    int value = hex_value(byte);

    if (value >= 0) {
        if (body->line_len == SIZE_DIGITS)
            return body_fail(body, "chunk size of more than 16 digits", byte, err);
        body->left = body->left << 4 | (uint64_t)value;
        body->line_len++;
        body->phase = BODY_DIGITS;
        return 0;
    }
    if (body->phase == BODY_DIGITS && byte == '\r') {
        body->phase = BODY_SIZE_LF;
        return 0;
    }
    if (body->phase == BODY_DIGITS && byte == ';') {
        body->line_len = 0;
        body->phase = BODY_EXTENSION;
        return 0;
    }
    return body_fail(body, "chunk size", byte, err);
}

static int extension_byte(struct h1_body *body, uint8_t byte, struct err *err)
{
    if (byte == '\r') {
        body->phase = BODY_SIZE_LF;
        return 0;
    }
    if (!token_is_value_byte(byte))
        return body_fail(body, "chunk extension", byte, err);
    if (++body->line_len > LIMIT_CHUNK_EXTENSION || ++body->extensions > LIMIT_CHUNK_EXTENSIONS)
        return body_fail(body, "too long chunk extensions", byte, err);
    return 0;
}

/* A byte of the trailer section after the last chunk (RFC 9112 section 7.1.2). */
static int trailer_byte(struct h1_body *body, uint8_t byte, struct err *err)
{
    if (body->phase == BODY_LINE && byte == '\r') {
        body->phase = BODY_LAST_LF;
        return 0;
    }
    if (body->phase == BODY_VALUE) {
        if (byte == '\r')
            body->phase = BODY_LINE_LF;
        else if (!token_is_value_byte(byte))
            return body_fail(body, "trailer value", byte, err);
        return 0;
    }
    if (body->phase == BODY_TRAILER && byte == ':') {
        body->phase = BODY_VALUE;
        return 0;
    }
    if (!token_is_tchar(byte))
        return body_fail(body, "trailer name", byte, err);
    body->phase = BODY_TRAILER;
    return 0;
}

/* The byte that must come now, and what comes after it. */
static int expect_byte(struct h1_body *body, uint8_t byte, uint8_t expected, enum body_phase next,
                       struct err *err)
{
    if (byte != expected)
        return body_fail(body, "end of a chunk line", byte, err);
    body->phase = (int)next;
    return 0;
}

/* One byte that is not content. */
static int line_byte(struct h1_body *body, uint8_t byte, struct err *err)
{
    if (body->phase >= BODY_LINE && ++body->trailers > LIMIT_TRAILER)
        return body_fail(body, "too long trailers", byte, err);
    switch ((enum body_phase)body->phase) {
    case BODY_SIZE:
    case BODY_DIGITS:
        return size_byte(body, byte, err);
    case BODY_EXTENSION:
        return extension_byte(body, byte, err);
    case BODY_SIZE_LF:
        return expect_byte(body, byte, '\n', body->left == 0 ? BODY_LINE : BODY_DATA, err);
    case BODY_DATA_CR:
        return expect_byte(body, byte, '\r', BODY_DATA_LF, err);
    case BODY_DATA_LF:
        body->line_len = 0; /* and nothing is left of the chunk */
        return expect_byte(body, byte, '\n', BODY_SIZE, err);
    case BODY_LINE:
    case BODY_TRAILER:
    case BODY_VALUE:
        return trailer_byte(body, byte, err);
    case BODY_LINE_LF:
        return expect_byte(body, byte, '\n', BODY_LINE, err);
    case BODY_LAST_LF:
        return expect_byte(body, byte, '\n', BODY_DONE, err);
    case BODY_COUNTED:
    case BODY_DATA:
    case BODY_DONE:
    case BODY_FAILED:
        break;
    }
    ensure_failed("a byte of a chunk line", __FILE__, __LINE__);
}

/* As much content as there is, of what is left. */
static struct span counted_take(struct h1_body *body, struct span in)
{
    struct span data = in;

    if (body->kind == HTTP_BODY_UNTIL_CLOSE)
        return data;
    if (data.len > body->left)
        data.len = (size_t)body->left;
    body->left -= data.len;
    if (body->left == 0)
        body->phase = body->phase == BODY_DATA ? BODY_DATA_CR : BODY_DONE;
    return data;
}

int h1_body_feed(struct h1_body *body, struct span in, size_t *used, struct span *data,
                 struct err *err)
{
    *used = 0;
    *data = span_of(NULL, 0);
    if (body->phase == BODY_FAILED)
        return err_set(err, body->error, "content after an error");
    while (*used < in.len && body->phase != BODY_DONE) {
        if (body->phase == BODY_COUNTED || body->phase == BODY_DATA) {
            *data = counted_take(body, span_from(in, *used));
            *used += data->len;
            break;
        }
        if (line_byte(body, in.ptr[*used], err) < 0)
            return -1;
        (*used)++;
    }
    return body->phase == BODY_DONE;
}
