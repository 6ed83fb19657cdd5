/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_POOL_H
#define EXEAT_BASE_POOL_H

#include <stddef.h>

/*
 * Items of one size with an upper limit on how many are out at once. Free items are kept for
 * reuse up to `keep`; the last one given is the first one taken, so it is warm.
 */
struct pool {
    size_t item_size;
    size_t limit;
    size_t keep;
    size_t used;
    size_t idle;
    void *idle_first; /* owned, linked through the items */
};

/* No memory is taken yet. `item_size` >= 8. */
void pool_init(struct pool *pool, size_t item_size, size_t limit, size_t keep);

/* All items must be back. */
void pool_fini(struct pool *pool);

/* NULL at the limit or without memory. The content is undefined. */
void *pool_take(struct pool *pool);

/* `item` came from this pool; NULL is ignored. */
void pool_give(struct pool *pool, void *item);

/* Plain zeroed memory for what is made once or rarely; NULL without memory. */
void *pool_block_new(size_t size);
void pool_block_free(void *block);

#endif
