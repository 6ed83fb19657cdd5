/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Responses: the first byte chooses the cuts and the method that is answered. What is accepted,
 * written anew and read again is the same response (threats A11, A12).
 */
#include "fuzz/http/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void response_check(struct stream *stream)
{
    struct http_response response = stream->h1.response;
    struct http_response again;
    struct pool blocks;
    struct buf out;
    struct err err;
    size_t scanned = 0;

    fields_strip(&response.fields);
    pool_init(&blocks, 2UL * LIMIT_HEAD, 1, 0);
    buf_init(&out, &blocks, BUF_PLAIN);
    ENSURE(h1_write_response(&response, stream->method, &out, &err) == 0);
    ENSURE(h1_read_response(buf_span(&out), &scanned, stream->method, &stream->arena, &again,
                            &err) == (ssize_t)buf_len(&out));
    fields_strip(&again.fields);
    ENSURE(again.status == response.status && again.version == response.version);
    ENSURE(span_equal(again.reason, response.reason));
    fields_ensure_equal(&response.fields, &again.fields);
    if (response.status < 200) /* nothing is said about the connection in those */
        again.framing.persistence = response.framing.persistence;
    framing_ensure_equal(response.framing, again.framing);
    stream_hash(stream, buf_span(&out));
    buf_fini(&out);
    pool_fini(&blocks);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char *const methods[] = {"GET", "HEAD", "CONNECT", "POST"};
    static struct stream stream = {.role = H1_RESPONSES, .check = response_check};

    if (len < 1 || len >= 2UL * LIMIT_HEAD)
        return 0;
    stream.method = span_text(methods[bytes[0] & 3]);
    stream_check(&stream, span_of(bytes + 1, len - 1), bytes[0]);
    return 0;
}
