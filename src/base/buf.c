/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The byte queue. One linear block: readers get one span, writers one room. Bytes move to the
 * front only when at least as much room is won as bytes are moved, or when the caller needs it.
 */
#include "base/buf.h"

void buf_init(struct buf *buf, struct pool *pool, enum buf_kind kind)
{
    *buf = (struct buf){.pool = pool, .kind = kind};
}

static void block_release(struct buf *buf)
{
    pool_give(buf->pool, buf->block);
    buf->block = NULL;
    buf->head = 0;
    buf->tail = 0;
}

void buf_fini(struct buf *buf)
{
    if (buf->block == NULL)
        return;
    buf_consume(buf, buf_len(buf));
    if (buf->block != NULL)
        block_release(buf);
}

int buf_move(struct buf *buf, struct pool *pool, struct err *err)
{
    if (buf->block != NULL && pool_move(buf->pool, pool) < 0)
        return err_set(err, ERR_MEMORY, "no buffer left");
    buf->pool = pool;
    return 0;
}

struct span buf_span(const struct buf *buf)
{
    if (buf->block == NULL)
        return span_of(NULL, 0);
    return span_of(buf->block + buf->head, buf_len(buf));
}

struct room buf_bytes(struct buf *buf)
{
    if (buf->block == NULL)
        return (struct room){.ptr = NULL, .len = 0};
    return (struct room){.ptr = buf->block + buf->head, .len = buf_len(buf)};
}

void buf_consume(struct buf *buf, size_t len)
{
    ENSURE(len <= buf_len(buf));
    if (buf->kind == BUF_SECRET && len > 0)
        explicit_bzero(buf->block + buf->head, len);
    buf->head += len;
    if (buf_is_empty(buf) && buf->block != NULL)
        block_release(buf);
}

static void bytes_to_front(struct buf *buf)
{
    size_t len = buf_len(buf);
    size_t old_tail = buf->tail;

    ENSURE(len <= buf->pool->item_size);
    memmove(buf->block, buf->block + buf->head, len);
    buf->head = 0;
    buf->tail = len;
    if (buf->kind == BUF_SECRET)
        explicit_bzero(buf->block + len, old_tail - len);
}

struct room buf_reserve(struct buf *buf, size_t wanted)
{
    size_t capacity = buf->pool->item_size;

    if (buf->block == NULL) {
        buf->block = pool_take(buf->pool);
        buf->head = 0;
        buf->tail = 0;
        if (buf->block == NULL)
            return (struct room){.ptr = NULL, .len = 0};
    }
    if (buf->head > 0 && (buf->head >= buf_len(buf) || capacity - buf->tail < wanted))
        bytes_to_front(buf);
    return (struct room){.ptr = buf->block + buf->tail, .len = capacity - buf->tail};
}

void buf_commit(struct buf *buf, size_t len)
{
    if (buf->block == NULL) {
        ENSURE(len == 0);
        return;
    }
    ENSURE(len <= buf->pool->item_size - buf->tail);
    buf->tail += len;
    if (buf_is_empty(buf))
        block_release(buf);
}

void buf_drop_last(struct buf *buf, size_t len)
{
    ENSURE(len <= buf_len(buf));
    if (buf->kind == BUF_SECRET && len > 0)
        explicit_bzero(buf->block + buf->tail - len, len);
    buf->tail -= len;
    if (buf_is_empty(buf) && buf->block != NULL)
        block_release(buf);
}

size_t buf_append_some(struct buf *buf, struct span bytes)
{
    struct room room = buf_reserve(buf, bytes.len);
    size_t len = bytes.len < room.len ? bytes.len : room.len;

    if (len > 0)
        memcpy(room.ptr, bytes.ptr, len);
    buf_commit(buf, len);
    return len;
}

int buf_append(struct buf *buf, struct span bytes, struct err *err)
{
    if (bytes.len > buf_free_len(buf))
        return err_set(err, ERR_LIMIT, "%zu bytes for a queue with room for %zu", bytes.len,
                       buf_free_len(buf));
    if (bytes.len > 0 && buf_append_some(buf, bytes) == 0)
        return err_set(err, ERR_MEMORY, "no buffer left");
    return 0;
}
