/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_POOL_H
#define EXEAT_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Items of one size with an upper limit on how many are out at once. Free items are kept for
 * reuse up to `keep`; the last one given is the first one taken, so it is warm.
 *
 * A share of a pool has a limit of its own and takes its items from that pool, so that one user of
 * many cannot have them all. A share may be shared again.
 */
struct pool {
    size_t item_size;
    size_t limit;
    size_t keep;
    size_t used;
    size_t idle;
    void *idle_first;    /* owned, linked through the items */
    struct pool *parent; /* borrowed: outlives the share; NULL: a pool with items of its own */
};

/* No memory is taken yet. `item_size` >= 8. */
void pool_init(struct pool *pool, size_t item_size, size_t limit, size_t keep);

/* A share of `parent`, of which at most `limit` items are out at once. */
void pool_init_share(struct pool *share, struct pool *parent, size_t limit);

/* All items must be back. */
void pool_fini(struct pool *pool);

/* NULL at the limit, of the pool or of one that it is a share of, or without memory. The content is
 * undefined. */
void *pool_take(struct pool *pool);

/* `item` came from this pool; NULL is ignored. */
void pool_give(struct pool *pool, void *item);

/*
 * `size` bytes in one piece, which count as as many items as they would fill. The same `size` gives
 * them back.
 */
void *pool_take_piece(struct pool *pool, size_t size);
void pool_give_piece(struct pool *pool, void *piece, size_t size);

/*
 * An item that was taken from `from` is given to `to` from now on; both are shares of the same
 * pool, or one of them is that pool. -1 if `to` is at its limit: then nothing has changed.
 */
int pool_move(struct pool *from, struct pool *to);

/* Whether one more item can be had: of this pool and of all that it is a share of. */
bool pool_has_item(const struct pool *pool);

/* Plain zeroed memory for what is made once or rarely; NULL without memory. */
void *pool_block_new(size_t size);
void pool_block_free(void *block);

#endif
