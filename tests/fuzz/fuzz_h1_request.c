/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: the first byte chooses the cuts. What is accepted, written anew and read again is the
 * same request, and one request only (threats A1-A8, invariant I5).
 */
#include "fuzz/http/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void request_check(struct stream *stream)
{
    struct http_request request = stream->h1.request;
    struct http_request again;
    struct pool blocks;
    struct buf out;
    struct err err;
    size_t scanned = 0;

    fields_strip(&request.fields);
    pool_init(&blocks, 2UL * LIMIT_HEAD, 1, 0);
    buf_init(&out, &blocks, BUF_PLAIN);
    ENSURE(h1_write_request(&request, &out, &err) == 0);
    ENSURE(h1_read_request(buf_span(&out), &scanned, &stream->arena, &again, &err) ==
           (ssize_t)buf_len(&out));
    fields_strip(&again.fields);
    ENSURE(span_equal(again.method, request.method));
    ENSURE(span_equal(again.target, request.target));
    ENSURE(again.version == request.version);
    fields_ensure_equal(&request.fields, &again.fields);
    framing_ensure_equal(request.framing, again.framing);
    stream_hash(stream, buf_span(&out));
    buf_fini(&out);
    pool_fini(&blocks);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct stream stream = {.role = H1_REQUESTS, .check = request_check};

    if (len >= 1 && len < 2UL * LIMIT_HEAD)
        stream_check(&stream, span_of(bytes + 1, len - 1), bytes[0]);
    return 0;
}
