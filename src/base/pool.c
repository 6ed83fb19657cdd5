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

void pool_init_share(struct pool *share, struct pool *parent, size_t limit)
{
    *share = (struct pool){.item_size = parent->item_size, .limit = limit, .parent = parent};
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

static struct pool *root_of(struct pool *pool)
{
    while (pool->parent != NULL)
        pool = pool->parent;
    return pool;
}

/* Up to `end`, which is not counted; NULL: all. */
static bool has_room(const struct pool *pool, const struct pool *end, size_t count)
{
    for (; pool != end; pool = pool->parent) {
        if (pool->used >= pool->limit || pool->limit - pool->used < count)
            return false;
    }
    return true;
}

static void count_add(struct pool *pool, const struct pool *end, size_t count)
{
    for (; pool != end; pool = pool->parent)
        pool->used += count;
}

static void count_remove(struct pool *pool, const struct pool *end, size_t count)
{
    for (; pool != end; pool = pool->parent) {
        ENSURE(pool->used >= count);
        pool->used -= count;
    }
}

bool pool_has_item(const struct pool *pool)
{
    return has_room(pool, NULL, 1);
}

void *pool_take(struct pool *pool)
{
    struct pool *root = root_of(pool);
    struct idle_item *item = root->idle_first;

    if (!has_room(pool, NULL, 1))
        return NULL;
    if (item != NULL) {
        root->idle_first = item->next;
        root->idle--;
    } else {
        item = malloc(pool->item_size);
        if (item == NULL)
            return NULL;
    }
    count_add(pool, NULL, 1);
    return item;
}

void pool_give(struct pool *pool, void *item)
{
    struct pool *root = root_of(pool);
    struct idle_item *idle = item;

    if (idle == NULL)
        return;
    count_remove(pool, NULL, 1);
    if (root->idle >= root->keep) {
        free(idle);
        return;
    }
    idle->next = root->idle_first;
    root->idle_first = idle;
    root->idle++;
}

static size_t items_of(const struct pool *pool, size_t size)
{
    return size / pool->item_size + (size % pool->item_size != 0);
}

void *pool_take_piece(struct pool *pool, size_t size)
{
    size_t count = items_of(pool, size);
    void *piece = has_room(pool, NULL, count) ? malloc(size) : NULL;

    if (piece != NULL)
        count_add(pool, NULL, count);
    return piece;
}

void pool_give_piece(struct pool *pool, void *piece, size_t size)
{
    if (piece == NULL)
        return;
    count_remove(pool, NULL, items_of(pool, size));
    free(piece);
}

int pool_move(struct pool *from, struct pool *to)
{
    struct pool *root = root_of(from);

    ENSURE(root == root_of(to));
    if (!has_room(to, root, 1))
        return -1;
    count_remove(from, root, 1);
    count_add(to, root, 1);
    return 0;
}

void *pool_block_new(size_t size)
{
    return calloc(1, size);
}

void pool_block_free(void *block)
{
    free(block);
}
