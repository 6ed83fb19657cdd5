/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads of HTTP/1, read strictly: what two readers could read in two ways is refused.
 *
 * First the end is looked for, LF by LF, and each byte once however the input is cut. Only a head
 * that is complete is parsed, so that nothing here has to wait in the middle; the empty line at the
 * end stops every loop. Fields gather on the stack and move into the arena when all are known.
 */
#include "http/h1_read.h"

#include "base/limits.h"
#include "http/framing.h"
#include "http/token.h"

/* A position in a complete head. */
struct reader {
    struct span head;
    size_t at;
    enum err_code syntax;
    enum err_code too_large;
};

/* What to call errors in each kind of message. */
static struct reader reader_of(enum h1_read_kind kind)
{
    if (kind == H1_READ_RESPONSE)
        return (struct reader){.syntax = ERR_ORIGIN_SYNTAX, .too_large = ERR_ORIGIN_SYNTAX};
    return (struct reader){.syntax = ERR_SYNTAX, .too_large = ERR_TOO_LARGE};
}

static bool can_start(uint8_t byte, enum h1_read_kind kind)
{
    return kind == H1_READ_REQUEST ? token_is_tchar(byte) : byte == 'H';
}

ssize_t h1_read_end(struct span in, size_t *scanned, enum h1_read_kind kind, struct err *err)
{
    struct reader reader = reader_of(kind);
    struct span window = span_first(in, in.len < LIMIT_HEAD ? in.len : LIMIT_HEAD);
    size_t at = *scanned;

    if (window.len > 0 && !can_start(window.ptr[0], kind))
        return err_set(err, reader.syntax, "no message starts with byte 0x%02x", window.ptr[0]);
    while (at < window.len) {
        ssize_t found = span_find(span_from(window, at), '\n');

        if (found < 0)
            break;
        at += (size_t)found + 1;
        if (at < 2 || window.ptr[at - 2] != '\r')
            return err_set(err, reader.syntax, "head: bare LF at %zu", at - 1);
        if (at >= 4 && window.ptr[at - 3] == '\n')
            return (ssize_t)at;
    }
    *scanned = window.len;
    if (window.len == LIMIT_HEAD)
        return err_set(err, reader.too_large, "head of more than %d bytes", LIMIT_HEAD);
    return 0;
}

static struct span reader_rest(const struct reader *reader)
{
    return span_from(reader->head, reader->at);
}

static uint8_t reader_byte(const struct reader *reader)
{
    ENSURE(reader->at < reader->head.len);
    return reader->head.ptr[reader->at];
}

static struct span reader_take(struct reader *reader, size_t len)
{
    struct span taken = span_first(reader_rest(reader), len);

    reader->at += len;
    return taken;
}

/* Take what is expected next; says whether it was there. */
static bool reader_skip(struct reader *reader, struct span expected)
{
    if (!span_starts(reader_rest(reader), expected))
        return false;
    reader->at += expected.len;
    return true;
}

static int reader_refuse(const struct reader *reader, const char *what, struct err *err)
{
    return err_set(err, reader->syntax, "%s: byte 0x%02x at %zu", what, reader_byte(reader),
                   reader->at);
}

static int reader_skip_crlf(struct reader *reader, const char *what, struct err *err)
{
    if (!reader_skip(reader, span_of("\r\n", 2)))
        return reader_refuse(reader, what, err);
    return 0;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* "HTTP/1.0" or "HTTP/1.1" (RFC 9112 section 2.3). */
static int version_read(struct reader *reader, enum http_version *version, struct err *err)
{
    struct span rest = reader_rest(reader);

    if (reader_skip(reader, span_of("HTTP/1.1", 8))) {
        *version = HTTP_1_1;
        return 0;
    }
    if (reader_skip(reader, span_of("HTTP/1.0", 8))) {
        *version = HTTP_1_0;
        return 0;
    }
    if (rest.len >= 8 && memcmp(rest.ptr, "HTTP/", 5) == 0 && is_digit(rest.ptr[5]) &&
        rest.ptr[6] == '.' && is_digit(rest.ptr[7]))
        return err_set(err, reader->syntax == ERR_SYNTAX ? ERR_UNSUPPORTED : reader->syntax,
                       "version %c.%c of HTTP", rest.ptr[5], rest.ptr[7]);
    return reader_refuse(reader, "HTTP version", err);
}

static size_t target_len(struct span text)
{
    size_t len = 0;

    while (len < text.len && text.ptr[len] > 0x20 && text.ptr[len] < 0x7f)
        len++;
    return len;
}

/* method SP request-target SP HTTP-version CRLF (RFC 9112 section 3). */
static int request_line_read(struct reader *reader, struct http_request *request, struct err *err)
{
    request->method = reader_take(reader, token_count_tchars(reader_rest(reader)));
    if (request->method.len == 0 || !reader_skip(reader, span_of(" ", 1)))
        return reader_refuse(reader, "method", err);
    if (request->method.len > LIMIT_FIELD)
        return err_set(err, reader->too_large, "method of %zu bytes", request->method.len);
    request->target = reader_take(reader, target_len(reader_rest(reader)));
    if (request->target.len == 0 || !reader_skip(reader, span_of(" ", 1)))
        return reader_refuse(reader, "request target", err);
    if (request->target.len > LIMIT_TARGET)
        return err_set(err, reader->too_large, "request target of %zu bytes", request->target.len);
    if (version_read(reader, &request->version, err) < 0)
        return -1;
    return reader_skip_crlf(reader, "request line", err);
}

/* HTTP-version SP status-code [SP reason] CRLF (RFC 9112 section 4; some leave out the blank). */
static int status_line_read(struct reader *reader, struct http_response *response, struct err *err)
{
    int status = 0;

    if (version_read(reader, &response->version, err) < 0)
        return -1;
    if (!reader_skip(reader, span_of(" ", 1)))
        return reader_refuse(reader, "status line", err);
    for (int i = 0; i < 3; i++, reader->at++) {
        if (!is_digit(reader_byte(reader)))
            return reader_refuse(reader, "status", err);
        status = status * 10 + (reader_byte(reader) - '0');
    }
    if (status < 100 || status > 599)
        return err_set(err, reader->syntax, "status %03d", status);
    response->status = status;
    response->reason = span_of(NULL, 0);
    if (reader_skip(reader, span_of(" ", 1)))
        response->reason = reader_take(reader, token_count_value_bytes(reader_rest(reader)));
    if (response->reason.len > LIMIT_FIELD)
        return err_set(err, reader->too_large, "reason of %zu bytes", response->reason.len);
    return reader_skip_crlf(reader, "status line", err);
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* What decides where a message ends, and whether another one may follow. */
static bool is_framing_name(struct span name)
{
    return span_equal_nocase(name, span_text("content-length")) ||
           span_equal_nocase(name, span_text("transfer-encoding")) ||
           span_equal_nocase(name, span_text("connection"));
}

/*
 * RFC 9110 allows HTAB around every value, but readers disagree about it just where it matters
 * (threats A2, A3): llhttp refuses a length and a coding with it, and overlooks "keep-alive".
 */
static int tab_check(const struct reader *reader, struct span name, size_t colon, struct err *err)
{
    struct span raw = span_of(reader->head.ptr + colon, reader->at - colon);

    if (is_framing_name(name) && span_find(raw, '\t') >= 0)
        return err_set(err, reader->syntax, "HTAB in %.*s", (int)name.len, (const char *)name.ptr);
    return 0;
}

/* name ":" OWS value OWS CRLF (RFC 9112 section 5). */
static int field_read(struct reader *reader, struct http_field *field, struct err *err)
{
    size_t start = reader->at;
    size_t colon;

    if (is_blank(reader_byte(reader)))
        return reader_refuse(reader, "folded field", err);
    field->name = reader_take(reader, token_count_tchars(reader_rest(reader)));
    if (field->name.len == 0 || reader_byte(reader) != ':')
        return reader_refuse(reader, "field name", err);
    colon = reader->at++;
    while (is_blank(reader_byte(reader)))
        reader->at++;
    field->value = reader_take(reader, token_count_value_bytes(reader_rest(reader)));
    if (reader->at - start > LIMIT_FIELD)
        return err_set(err, reader->too_large, "field line of %zu bytes", reader->at - start);
    while (field->value.len > 0 && is_blank(field->value.ptr[field->value.len - 1]))
        field->value.len--;
    if (tab_check(reader, field->name, colon, err) < 0)
        return -1;
    return reader_skip_crlf(reader, "field value", err);
}

/* All field lines and the empty line. */
static int fields_read(struct reader *reader, struct arena *arena, struct http_fields *fields,
                       struct err *err)
{
    struct http_field items[LIMIT_FIELD_COUNT];
    size_t count = 0;

    while (!reader_skip(reader, span_of("\r\n", 2))) {
        if (count == LIMIT_FIELD_COUNT)
            return err_set(err, reader->too_large, "more than %d fields", LIMIT_FIELD_COUNT);
        if (field_read(reader, &items[count++], err) < 0)
            return -1;
    }
    if (http_fields_init(fields, arena, count + H1_FIELDS_SPARE, err) < 0)
        return -1;
    memcpy(fields->items, items, count * sizeof items[0]);
    fields->count = count;
    return 0;
}

ssize_t h1_read_request(struct span in, size_t *scanned, struct arena *arena,
                        struct http_request *request, struct err *err)
{
    struct reader reader = reader_of(H1_READ_REQUEST);
    ssize_t end = h1_read_end(in, scanned, H1_READ_REQUEST, err);

    if (end <= 0)
        return end;
    reader.head = span_first(in, (size_t)end);
    if (request_line_read(&reader, request, err) < 0 ||
        fields_read(&reader, arena, &request->fields, err) < 0 ||
        framing_of_request(request, err) < 0)
        return -1;
    ENSURE(reader.at == reader.head.len);
    return end;
}

ssize_t h1_read_response(struct span in, size_t *scanned, struct span method, struct arena *arena,
                         struct http_response *response, struct err *err)
{
    struct reader reader = reader_of(H1_READ_RESPONSE);
    ssize_t end = h1_read_end(in, scanned, H1_READ_RESPONSE, err);

    if (end <= 0)
        return end;
    reader.head = span_first(in, (size_t)end);
    if (status_line_read(&reader, response, err) < 0 ||
        fields_read(&reader, arena, &response->fields, err) < 0 ||
        framing_of_response(response, method, err) < 0)
        return -1;
    ENSURE(reader.at == reader.head.len);
    return end;
}
