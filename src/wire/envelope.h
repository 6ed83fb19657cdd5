/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_WIRE_ENVELOPE_H
#define EXEAT_WIRE_ENVELOPE_H

#include "base/buf.h"
#include "wire/chunk.h"
#include "wire/ws_frame.h"

/* One chunk in one binary frame: what every payload byte of a tunnel travels in. */

#define ENVELOPE_HEAD (WS_FRAME_HEAD + CHUNK_HEAD)

/*
 * Frame head and chunk head for a payload of `len` <= LIMIT_CHUNK bytes; `mask` NULL for a server.
 * With a mask the chunk head is masked already, and the payload must be masked from offset
 * *mask_offset on. Returns the length of both heads.
 */
size_t envelope_write_head(uint8_t head[ENVELOPE_HEAD], size_t len, const uint8_t mask[4],
                           size_t *mask_offset);

/*
 * A whole envelope appended to `out`, all or nothing: one copy of the payload. For what is small
 * or already somewhere else. ERR_LIMIT, ERR_MEMORY.
 */
int envelope_send(struct buf *out, struct span payload, const uint8_t mask[4], struct err *err);

/*
 * Without a copy of the payload: reserve room for the head in `out`, let the caller write up to
 * room.len payload bytes behind it, then close before anything else happens to `out`. `expected` is
 * a guess of the payload's length; a wrong guess costs a memmove, and only if `out` was not empty.
 * room.len is 0 if there is no room; closing is then allowed, not needed.
 */
struct envelope {
    struct buf *out;      /* borrowed until closed */
    size_t head_len;      /* private */
    struct room reserved; /* private */
};

struct room envelope_open(struct envelope *envelope, struct buf *out, size_t expected);

/* `len` payload bytes were written; 0 takes everything back. */
void envelope_close(struct envelope *envelope, size_t len, const uint8_t mask[4]);

#endif
