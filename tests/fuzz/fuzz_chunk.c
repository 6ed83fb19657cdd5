/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks: the input is one message. Read at once and byte by byte it is the same chunk or none, and
 * a chunk that was accepted is the one that we would have written.
 */
#include "base/limits.h"
#include "wire/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Length of the payload at the end of the message, or -1. */
static ssize_t run(struct span message, size_t step)
{
    struct chunk chunk;
    struct span payload;
    struct err err;
    size_t total = 0;

    chunk_init(&chunk);
    while (message.len > 0) {
        struct span piece = span_first(message, message.len < step ? message.len : step);
        size_t used;

        if (chunk_feed(&chunk, piece, &used, &payload, &err) < 0) {
            ENSURE(err.code == ERR_CHUNK);
            return -1;
        }
        ENSURE(used > 0 && used <= piece.len && payload.len <= used);
        ENSURE(payload.len == 0 || payload.ptr + payload.len == piece.ptr + used);
        message = span_from(message, used);
        total += payload.len;
    }
    return chunk_end(&chunk, &err) < 0 ? -1 : (ssize_t)total;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span message = span_of(bytes, len);
    ssize_t payload_len = run(message, len + 1);
    uint8_t head[CHUNK_HEAD];

    ENSURE(run(message, 1) == payload_len);
    if (payload_len < 0 || len == 0)
        return 0;
    ENSURE(payload_len <= LIMIT_CHUNK);
    ENSURE(chunk_write_head(head, (size_t)payload_len) + (size_t)payload_len == len);
    ENSURE(memcmp(head, bytes, len - (size_t)payload_len) == 0);
    return 0;
}
