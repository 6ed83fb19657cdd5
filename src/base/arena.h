/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_ARENA_H
#define EXEAT_BASE_ARENA_H

#include "base/pool.h"
#include "base/span.h"

/*
 * Memory with one common end: what is taken is given back all at once. Small pieces come from
 * blocks of a pool, a piece larger than a block gets one of its own that counts as several.
 */
struct arena {
    struct pool *pool;         /* borrowed: outlives the arena; its items are the blocks */
    struct arena_block *first; /* owned */
    size_t used;               /* bytes handed out */
    size_t limit;
};

void arena_init(struct arena *arena, struct pool *pool, size_t limit);

/* Everything taken is gone; the arena can be used again. Wipes nothing. */
void arena_reset(struct arena *arena);

/* Zeroed, aligned for any type. NULL at the limit or without memory. */
void *arena_take(struct arena *arena, size_t size);

/* A copy of `bytes`. ptr NULL (with len 0) if there was no room, unless bytes.len is 0. */
struct span arena_copy(struct arena *arena, struct span bytes);

#endif
