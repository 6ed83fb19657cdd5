/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads written after the payload they stand in front of. The room kept is the longest a server's
 * heads can be, so that a queue filled to its last byte still holds them. At the front of an empty
 * queue what is left over is consumed; elsewhere the payload moves down to shorter heads.
 */
#include "wire/envelope_mark.h"

#include "base/limits.h"
#include "wire/envelope.h"

/* Frame head with a 64-bit length and no mask, chunk head with a varint of three bytes. */
#define MARK_HEAD (10 + 4)

int envelope_begin(struct envelope_mark *mark, struct buf *out, struct err *err)
{
    static const uint8_t head[MARK_HEAD];

    *mark = (struct envelope_mark){.out = out, .start = buf_len(out)};
    return buf_append(out, span_of(head, sizeof head), err);
}

void envelope_finish(struct envelope_mark *mark)
{
    struct buf *out = mark->out;
    size_t len = buf_len(out) - mark->start - MARK_HEAD;
    uint8_t head[ENVELOPE_HEAD];
    size_t mask_offset;
    size_t head_len;
    uint8_t *at;

    if (len == 0) {
        buf_drop_last(out, MARK_HEAD);
        return;
    }
    head_len = envelope_write_head(head, len, NULL, &mask_offset);
    ENSURE(head_len <= MARK_HEAD);
    at = buf_bytes(out).ptr + mark->start;
    if (mark->start == 0) {
        memcpy(at + MARK_HEAD - head_len, head, head_len);
        buf_consume(out, MARK_HEAD - head_len);
        return;
    }
    if (head_len < MARK_HEAD)
        memmove(at + head_len, at + MARK_HEAD, len);
    memcpy(at, head, head_len);
    buf_drop_last(out, MARK_HEAD - head_len);
}
