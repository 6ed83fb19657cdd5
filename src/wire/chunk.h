/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_WIRE_CHUNK_H
#define EXEAT_WIRE_CHUNK_H

#include "base/err.h"
#include "base/span.h"

/*
 * `message Chunk { bytes data = 1; }`, one per binary message (docs/protocol.md section 3), read
 * streaming. Strict: tag 0a, minimal varint of at most 5 bytes, nothing behind the payload.
 */
struct chunk {
    int phase;           /* private */
    uint64_t left;       /* private: payload still to come */
    unsigned varint_len; /* private */
};

void chunk_init(struct chunk *chunk);

/*
 * Take bytes of a message until some payload is found or all is taken. *payload borrows from
 * `in` and may be empty. ERR_CHUNK.
 */
int chunk_feed(struct chunk *chunk, struct span in, size_t *used, struct span *payload,
               struct err *err);

/* The message is complete: checks that the chunk is (an empty message is an empty chunk) and
 * starts over. ERR_CHUNK. */
int chunk_end(struct chunk *chunk, struct err *err);

#define CHUNK_HEAD 6
/* Tag and length in front of a payload of `len` <= LIMIT_CHUNK bytes. Returns 2 to 4. */
size_t chunk_write_head(uint8_t head[CHUNK_HEAD], size_t len);

#endif
