/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as fields of any content: lengths and bytes of names and values, behind a byte of
 * flags. What the engine shows to its user makes exactly one HTTP/1.1 request, which is read back
 * as the same (threat B9).
 */
#include "fuzz/http/h2_user.h"
#include "http/h1_read.h"
#include "http/h1_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Names that matter, so that the fuzzer need not find them letter by letter. */
static const char *const known_names[] = {
    ":method", ":scheme", ":authority", ":path",  ":protocol",         "host",
    "cookie",  "te",      "connection", "expect", "transfer-encoding", "content-length",
};

static uint8_t wire[65536];
static size_t wire_len;

static void wire_add(struct span bytes)
{
    ENSURE(bytes.len <= sizeof wire - wire_len);
    if (bytes.len > 0)
        memcpy(wire + wire_len, bytes.ptr, bytes.len);
    wire_len += bytes.len;
}

/* RFC 7541 section 5.2; lengths are below 255. */
static void string_add(struct span bytes)
{
    const uint8_t head[2] = {0x7f, (uint8_t)(bytes.len - 127)};

    if (bytes.len < 127) {
        uint8_t byte = (uint8_t)bytes.len;

        wire_add(span_of(&byte, 1));
    } else {
        wire_add(span_of(head, sizeof head));
    }
    wire_add(bytes);
}

static struct span piece_take(struct span *in)
{
    size_t len = num_min(in->ptr[0], in->len - 1);
    struct span piece;

    len = num_min(len, 250);
    piece = span_of(in->ptr + 1, len);
    *in = span_from(*in, 1 + len);
    return piece;
}

/* The fields as literals; a name's length of 0xf0 and more stands for a known name. */
static void block_write(struct span in)
{
    const size_t known_count = sizeof known_names / sizeof known_names[0];

    while (in.len >= 2 && wire_len < 16000) {
        struct span name;

        wire_add(span_of("\0", 1));
        if (in.ptr[0] >= 0xf0) {
            name = span_text(known_names[(in.ptr[0] - 0xf0U) % known_count]);
            in = span_from(in, 1);
        } else {
            name = piece_take(&in);
        }
        string_add(name);
        string_add(in.len > 0 ? piece_take(&in) : span_of(NULL, 0));
    }
}

static void fields_ensure_equal(const struct http_fields *a, const struct http_fields *b)
{
    ENSURE(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        ENSURE(span_equal(a->items[i].name, b->items[i].name));
        ENSURE(span_equal(a->items[i].value, b->items[i].value));
    }
}

static void fields_strip(struct http_fields *fields)
{
    (void)http_fields_remove(fields, span_text("content-length"));
    (void)http_fields_remove(fields, span_text("transfer-encoding"));
}

/* As the gateway does it for an origin that speaks HTTP/1.1. */
static void request_check(struct h2_stream *stream, struct buf *out)
{
    struct http_request request = stream->request;
    struct http_request again;
    struct err err;
    size_t scanned = 0;

    ENSURE(http_fields_count(&request.fields, span_text("connection")) == 0);
    ENSURE(http_fields_count(&request.fields, span_text("host")) == 1);
    ENSURE(http_fields_remove_hop(&request.fields, &err) == 0);
    fields_strip(&request.fields);
    if (span_equal(request.method, span_text("CONNECT")))
        return; /* whose meaning in HTTP/1.1 is another: the user refuses or bridges it */
    ENSURE(h1_write_request(&request, out, &err) == 0);
    if (request.fields.count > LIMIT_FIELD_COUNT - 2)
        return;
    ENSURE(h1_read_request(buf_span(out), &scanned, &stream->arena, &again, &err) ==
           (ssize_t)buf_len(out));
    ENSURE(span_equal(again.method, request.method) && span_equal(again.target, request.target));
    if (request.framing.body == HTTP_BODY_NONE)
        ENSURE(again.framing.body == HTTP_BODY_NONE || again.framing.length == 0);
    else
        ENSURE(again.framing.body == request.framing.body);
    if (request.framing.body == HTTP_BODY_LENGTH)
        ENSURE(again.framing.length == request.framing.length);
    fields_strip(&again.fields);
    fields_ensure_equal(&request.fields, &again.fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const uint8_t settings[9] = {[3] = 4};
    struct user user;
    struct h2_stream *stream;
    uint8_t head[9] = {[3] = 1, [8] = 1};
    struct err err;

    if (len < 1)
        return 0;
    wire_len = 0;
    block_write(span_of(bytes + 1, len - 1));
    if (wire_len > 16384)
        return 0;
    head[1] = (uint8_t)(wire_len >> 8);
    head[2] = (uint8_t)wire_len;
    head[4] = (uint8_t)(4 | (bytes[0] & 1));
    user_init(&user, H2_SERVER, bytes[0] >> 1);
    ENSURE(h2_feed(user.h2, span_text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), &err) == 0);
    ENSURE(h2_feed(user.h2, span_of(settings, sizeof settings), &err) == 0);
    ENSURE(h2_feed(user.h2, span_of(head, sizeof head), &err) == 0);
    if (wire_len > 0)
        ENSURE(h2_feed(user.h2, span_of(wire, wire_len), &err) == 0);
    if (h2_next(user.h2, &stream)) {
        user_hold(&user, stream);
        ENSURE(stream->head_err.code == ERR_OK || stream->head_err.code == ERR_TOO_LARGE);
        if (stream->head_err.code == ERR_OK)
            request_check(stream, &user.out);
        buf_consume(&user.out, buf_len(&user.out));
    }
    user_fini(&user);
    return 0;
}
