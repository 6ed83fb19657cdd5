/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envelopes. The heads stand in front of a payload whose length is known last:
 *
 *     out: | bytes queued before | gap | frame head | chunk head | payload ... |
 *                                 reserved.ptr       reserved.ptr + head_len
 *
 * In an empty queue the longest heads get room, and the gap that is left in front of shorter ones
 * is consumed: the payload never moves. Behind queued bytes a gap cannot be; there room is left
 * for the heads of a server's envelope of the expected length, and the payload moves if it was not
 * one.
 */
#include "wire/envelope.h"

#include "base/limits.h"
#include "base/num.h"

size_t envelope_write_head(uint8_t head[ENVELOPE_HEAD], size_t len, const uint8_t mask[4],
                           size_t *mask_offset)
{
    uint8_t chunk_head[CHUNK_HEAD];
    size_t chunk_len = chunk_write_head(chunk_head, len);
    size_t frame_len = ws_frame_write_head(head, WS_BINARY, chunk_len + len, mask);

    if (mask != NULL)
        ws_frame_mask((struct room){.ptr = chunk_head, .len = chunk_len}, mask, 0);
    memcpy(head + frame_len, chunk_head, chunk_len);
    *mask_offset = chunk_len;
    return frame_len + chunk_len;
}

int envelope_send(struct buf *out, struct span payload, const uint8_t mask[4], struct err *err)
{
    uint8_t head[ENVELOPE_HEAD];
    size_t mask_offset;
    size_t head_len;
    struct room room;

    if (payload.len > LIMIT_CHUNK)
        return err_set(err, ERR_LIMIT, "chunk of %zu bytes, limit %d", payload.len, LIMIT_CHUNK);
    head_len = envelope_write_head(head, payload.len, mask, &mask_offset);
    if (buf_free_len(out) < head_len + payload.len)
        return err_set(err, ERR_LIMIT, "%zu bytes for a queue with room for %zu",
                       head_len + payload.len, buf_free_len(out));
    room = buf_reserve(out, head_len + payload.len);
    if (room.len < head_len + payload.len)
        return err_set(err, ERR_MEMORY, "no buffer left");
    memcpy(room.ptr, head, head_len);
    if (payload.len > 0)
        memcpy(room.ptr + head_len, payload.ptr, payload.len);
    if (mask != NULL)
        ws_frame_mask((struct room){.ptr = room.ptr + head_len, .len = payload.len}, mask,
                      mask_offset);
    buf_commit(out, head_len + payload.len);
    return 0;
}

struct room envelope_open(struct envelope *envelope, struct buf *out, size_t expected)
{
    bool was_empty = buf_is_empty(out);
    uint8_t head[ENVELOPE_HEAD];
    size_t mask_offset;
    struct room reserved = buf_reserve(out, num_min(expected, LIMIT_CHUNK) + ENVELOPE_HEAD);

    *envelope = (struct envelope){.out = out, .reserved = reserved};
    if (reserved.len <= ENVELOPE_HEAD) {
        buf_commit(out, 0);
        return (struct room){.ptr = NULL, .len = 0};
    }
    expected = num_min(num_min(expected, LIMIT_CHUNK), reserved.len - ENVELOPE_HEAD);
    envelope->head_len =
        was_empty ? ENVELOPE_HEAD : envelope_write_head(head, expected, NULL, &mask_offset);
    return (struct room){
        .ptr = reserved.ptr + envelope->head_len,
        .len = num_min(reserved.len - ENVELOPE_HEAD, LIMIT_CHUNK),
    };
}

void envelope_close(struct envelope *envelope, size_t len, const uint8_t mask[4])
{
    struct buf *out = envelope->out;
    struct room reserved = envelope->reserved;
    uint8_t head[ENVELOPE_HEAD];
    size_t mask_offset;
    size_t head_len;
    size_t gap = 0;

    if (len == 0) {
        buf_commit(out, 0);
        return;
    }
    ENSURE(envelope->head_len > 0 && len <= LIMIT_CHUNK && len <= reserved.len - ENVELOPE_HEAD);
    head_len = envelope_write_head(head, len, mask, &mask_offset);
    if (buf_is_empty(out)) {
        gap = envelope->head_len - head_len;
    } else if (head_len != envelope->head_len) {
        memmove(reserved.ptr + head_len, reserved.ptr + envelope->head_len, len);
        if (out->kind == BUF_SECRET && head_len < envelope->head_len)
            explicit_bzero(reserved.ptr + head_len + len, envelope->head_len - head_len);
    }
    memcpy(reserved.ptr + gap, head, head_len);
    if (mask != NULL)
        ws_frame_mask((struct room){.ptr = reserved.ptr + gap + head_len, .len = len}, mask,
                      mask_offset);
    buf_commit(out, gap + head_len + len);
    buf_consume(out, gap);
}
