/* SPDX-License-Identifier: Apache-2.0 */
/* Bump allocation in chained blocks. */
#include "base/arena.h"

#include <stdalign.h>

enum arena_block_kind { BLOCK_POOLED, BLOCK_OWN };

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t cap;
    enum arena_block_kind kind;
    alignas(max_align_t) uint8_t bytes[];
};

void arena_init(struct arena *arena, struct pool *pool, size_t limit)
{
    ENSURE(pool->item_size >= 2 * sizeof(struct arena_block));
    *arena = (struct arena){.pool = pool, .limit = limit};
}

void arena_reset(struct arena *arena)
{
    while (arena->first != NULL) {
        struct arena_block *block = arena->first;

        arena->first = block->next;
        if (block->kind == BLOCK_POOLED)
            pool_give(arena->pool, block);
        else
            pool_give_piece(arena->pool, block, sizeof *block + block->cap);
    }
    arena->used = 0;
}

static struct arena_block *block_new(struct arena *arena, size_t size)
{
    size_t pooled = arena->pool->item_size - sizeof(struct arena_block);
    struct arena_block *block;

    if (size <= pooled) {
        block = pool_take(arena->pool);
        if (block == NULL)
            return NULL;
        block->cap = pooled;
        block->kind = BLOCK_POOLED;
    } else {
        block = pool_take_piece(arena->pool, sizeof *block + size);
        if (block == NULL)
            return NULL;
        block->cap = size;
        block->kind = BLOCK_OWN;
    }
    block->used = 0;
    block->next = arena->first;
    arena->first = block;
    return block;
}

void *arena_take(struct arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);

    if (size > arena->limit - arena->used)
        return NULL;

    size_t padded = (size + align - 1) / align * align;
    struct arena_block *block = arena->first;

    if (block == NULL || block->cap - block->used < padded)
        block = block_new(arena, padded);
    if (block == NULL)
        return NULL;

    void *piece = block->bytes + block->used;

    block->used += padded;
    arena->used += size;
    memset(piece, 0, size);
    return piece;
}

struct span arena_copy(struct arena *arena, struct span bytes)
{
    uint8_t *copy;

    if (bytes.len == 0)
        return span_of(NULL, 0);
    copy = arena_take(arena, bytes.len);
    if (copy == NULL)
        return span_of(NULL, 0);
    memcpy(copy, bytes.ptr, bytes.len);
    return span_of(copy, bytes.len);
}
