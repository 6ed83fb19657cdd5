/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools: the only place beside the arena that asks libc for memory. Under AddressSanitizer an
 * idle item is freed at once, so that a use after pool_give() is found.
 */
#include "base/pool.h"

#include <stdlib.h>

#include "base/ensure.h"

#if defined(__SANITIZE_ADDRESS__)
#define POOL_KEEPS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_KEEPS 0
#endif
#endif
#ifndef POOL_KEEPS
#define POOL_KEEPS 1
#endif

struct idle_item {
    struct idle_item *next;
};

void pool_init(struct pool *pool, size_t item_size, size_t limit, size_t keep)
{
    ENSURE(item_size >= sizeof(struct idle_item));
    *pool = (struct pool){
        .item_size = item_size,
        .limit = limit,
        .keep = POOL_KEEPS ? keep : 0,
    };
}

void pool_fini(struct pool *pool)
{
    ENSURE(pool->used == 0);
    while (pool->idle_first != NULL) {
        struct idle_item *item = pool->idle_first;

        pool->idle_first = item->next;
        free(item);
    }
    pool->idle = 0;
}

void *pool_take(struct pool *pool)
{
    if (pool->used >= pool->limit)
        return NULL;

    struct idle_item *item = pool->idle_first;

    if (item != NULL) {
        pool->idle_first = item->next;
        pool->idle--;
    } else {
        item = malloc(pool->item_size);
        if (item == NULL)
            return NULL;
    }
    pool->used++;
    return item;
}

void pool_give(struct pool *pool, void *item)
{
    struct idle_item *idle = item;

    if (idle == NULL)
        return;
    ENSURE(pool->used > 0);
    pool->used--;
    if (pool->idle >= pool->keep) {
        free(idle);
        return;
    }
    idle->next = pool->idle_first;
    pool->idle_first = idle;
    pool->idle++;
}

void *pool_block_new(size_t size)
{
    return calloc(1, size);
}

void pool_block_free(void *block)
{
    free(block);
}
