/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads written after the payload they stand in front of. At the front of an empty queue the room
 * kept is the longest there is and what is left over is consumed; elsewhere the payload moves if
 * the guess was wrong.
 */
#include "wire/envelope_mark.h"

#include "base/limits.h"
#include "base/num.h"
#include "wire/envelope.h"

int envelope_begin(struct envelope_mark *mark, struct buf *out, size_t expected, struct err *err)
{
    uint8_t head[ENVELOPE_HEAD] = {0};
    size_t mask_offset;

    *mark = (struct envelope_mark){.out = out, .start = buf_len(out)};
    mark->head_len = mark->start == 0 ? ENVELOPE_HEAD
                                      : envelope_write_head(head, num_min(expected, LIMIT_CHUNK),
                                                            NULL, &mask_offset);
    return buf_append(out, span_of(head, mark->head_len), err);
}

void envelope_finish(struct envelope_mark *mark)
{
    struct buf *out = mark->out;
    size_t len = buf_len(out) - mark->start - mark->head_len;
    uint8_t head[ENVELOPE_HEAD];
    size_t mask_offset;
    size_t head_len;
    struct room bytes;

    if (len == 0) {
        buf_drop_last(out, mark->head_len);
        return;
    }
    head_len = envelope_write_head(head, len, NULL, &mask_offset);
    if (mark->start == 0) {
        bytes = buf_bytes(out);
        memcpy(bytes.ptr + mark->head_len - head_len, head, head_len);
        buf_consume(out, mark->head_len - head_len);
        return;
    }
    if (head_len > mark->head_len) {
        struct room more = buf_reserve(out, head_len - mark->head_len);

        ENSURE(more.len >= head_len - mark->head_len);
        buf_commit(out, head_len - mark->head_len);
    }
    bytes = buf_bytes(out);
    if (head_len != mark->head_len)
        memmove(bytes.ptr + mark->start + head_len, bytes.ptr + mark->start + mark->head_len, len);
    memcpy(bytes.ptr + mark->start, head, head_len);
    if (head_len < mark->head_len)
        buf_drop_last(out, mark->head_len - head_len);
}
