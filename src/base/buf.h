/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_BUF_H
#define EXEAT_BASE_BUF_H

#include "base/err.h"
#include "base/pool.h"
#include "base/span.h"

/*
 * A byte queue of fixed capacity: the item size of its pool. An empty queue owns no block, so an
 * idle connection costs nothing here. Full means: stop reading.
 */
enum buf_kind {
    BUF_PLAIN,
    BUF_SECRET, /* consumed bytes are wiped: for what may hold a credential */
};

struct buf {
    struct pool *pool; /* borrowed: outlives the buf */
    uint8_t *block;    /* owned; NULL while empty */
    size_t head;       /* first byte held */
    size_t tail;       /* one past the last byte held */
    enum buf_kind kind;
};

void buf_init(struct buf *buf, struct pool *pool, enum buf_kind kind);
void buf_fini(struct buf *buf);

/* Its block counts for `pool` from now on: see pool_move(). ERR_MEMORY at the limit of that. */
int buf_move(struct buf *buf, struct pool *pool, struct err *err);

static inline size_t buf_len(const struct buf *buf)
{
    return buf->tail - buf->head;
}

static inline bool buf_is_empty(const struct buf *buf)
{
    return buf->tail == buf->head;
}

/* How many bytes can still be added. */
static inline size_t buf_free_len(const struct buf *buf)
{
    return buf->pool->item_size - buf_len(buf);
}

/* All bytes held, in one piece. Borrowed until the next call that changes the queue. */
struct span buf_span(const struct buf *buf);

/* The same, writable: for unmasking in place. */
struct room buf_bytes(struct buf *buf);

/* Drop the first `len` bytes; the block goes back to the pool with the last byte. */
void buf_consume(struct buf *buf, size_t len);

/*
 * Contiguous free room behind the bytes held, as much as there is; moves the bytes to the front
 * where that pays or where less than `wanted` is left. len 0 if the queue is full or the pool is
 * at its limit. Must be followed by buf_commit(), with 0 if nothing was written.
 */
struct room buf_reserve(struct buf *buf, size_t wanted);
void buf_commit(struct buf *buf, size_t len);

/* Take back the last `len` bytes added. */
void buf_drop_last(struct buf *buf, size_t len);

/* All or nothing: ERR_LIMIT if `bytes` do not fit, ERR_MEMORY if the pool is at its limit. */
int buf_append(struct buf *buf, struct span bytes, struct err *err);

/* As much as fits; returns how much. */
size_t buf_append_some(struct buf *buf, struct span bytes);

#endif
