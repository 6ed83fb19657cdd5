/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunk: one protobuf message with one bytes field, read without holding it. Everything that
 * protobuf tolerates and a writer of chunks has no reason for is refused (unknown or repeated
 * fields, overlong varints): what is skipped silently would be a hole in the byte stream.
 *
 *     TAG --0a--> LENGTH --varint--> PAYLOAD --chunk_end()--> TAG
 */
#include "wire/chunk.h"

#include "base/limits.h"
#include "base/num.h"

enum chunk_phase { CHUNK_TAG, CHUNK_LENGTH, CHUNK_PAYLOAD, CHUNK_FAILED };

#define CHUNK_TAG_BYTE   0x0a /* field 1, wire type 2 */
#define CHUNK_VARINT_MAX 5

_Static_assert(LIMIT_CHUNK < 1 << 21, "chunk_write_head() writes varints of at most three bytes");

void chunk_init(struct chunk *chunk)
{
    *chunk = (struct chunk){.phase = CHUNK_TAG};
}

static int chunk_fail(struct chunk *chunk)
{
    chunk->phase = CHUNK_FAILED;
    return -1;
}

/* One byte of the varint; the least significant group comes first. */
static int length_feed(struct chunk *chunk, uint8_t byte, struct err *err)
{
    chunk->left |= (uint64_t)(byte & 0x7fU) << (7 * chunk->varint_len);
    chunk->varint_len++;
    if ((byte & 0x80U) != 0) {
        if (chunk->varint_len == CHUNK_VARINT_MAX)
            return err_set(err, ERR_CHUNK, "chunk: length of more than %d bytes", CHUNK_VARINT_MAX);
        return 0;
    }
    if (byte == 0 && chunk->varint_len > 1)
        return err_set(err, ERR_CHUNK, "chunk: length is not minimal");
    if (chunk->left > LIMIT_CHUNK)
        return err_set(err, ERR_CHUNK, "chunk: %llu bytes, limit %d",
                       (unsigned long long)chunk->left, LIMIT_CHUNK);
    chunk->phase = CHUNK_PAYLOAD;
    return 0;
}

static int head_feed(struct chunk *chunk, uint8_t byte, struct err *err)
{
    if (chunk->phase == CHUNK_LENGTH)
        return length_feed(chunk, byte, err);
    if (byte != CHUNK_TAG_BYTE)
        return err_set(err, ERR_CHUNK, "chunk: tag 0x%02x", byte);
    chunk->phase = CHUNK_LENGTH;
    return 0;
}

int chunk_feed(struct chunk *chunk, struct span in, size_t *used, struct span *payload,
               struct err *err)
{
    size_t at = 0;

    *used = 0;
    *payload = span_of(NULL, 0);
    if (chunk->phase == CHUNK_FAILED)
        return err_set(err, ERR_CHUNK, "chunk: failed before");
    while (at < in.len && chunk->phase != CHUNK_PAYLOAD) {
        if (head_feed(chunk, in.ptr[at], err) < 0)
            return chunk_fail(chunk);
        at++;
    }
    if (at < in.len && chunk->left == 0) {
        (void)err_set(err, ERR_CHUNK, "chunk: %zu bytes behind the payload", in.len - at);
        return chunk_fail(chunk);
    }
    if (at < in.len) {
        *payload = span_of(in.ptr + at, in.len - at);
        if (payload->len > chunk->left)
            payload->len = (size_t)chunk->left;
        chunk->left -= payload->len;
        at += payload->len;
    }
    *used = at;
    return 0;
}

int chunk_end(struct chunk *chunk, struct err *err)
{
    switch ((enum chunk_phase)chunk->phase) {
    case CHUNK_TAG:
        break;
    case CHUNK_LENGTH:
        (void)err_set(err, ERR_CHUNK, "chunk: message ends within the length");
        return chunk_fail(chunk);
    case CHUNK_PAYLOAD:
        if (chunk->left > 0) {
            (void)err_set(err, ERR_CHUNK, "chunk: message ends %llu bytes before its payload",
                          (unsigned long long)chunk->left);
            return chunk_fail(chunk);
        }
        break;
    case CHUNK_FAILED:
        return err_set(err, ERR_CHUNK, "chunk: failed before");
    }
    chunk_init(chunk);
    return 0;
}

size_t chunk_write_head(uint8_t head[CHUNK_HEAD], size_t len)
{
    size_t at = 0;

    ENSURE(len <= LIMIT_CHUNK);
    head[at++] = CHUNK_TAG_BYTE;
    while (len >= 0x80) {
        head[at++] = (uint8_t)(len | 0x80);
        len >>= 7;
    }
    head[at++] = (uint8_t)len;
    return at;
}
