/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include "base/ensure.h"
#include "dies.h"

TEST(pool_takes_up_to_its_limit)
{
    struct pool pool;
    void *first;
    void *second;

    pool_init(&pool, 64, 2, 2);
    first = pool_take(&pool);
    second = pool_take(&pool);
    CHECK(first != NULL && second != NULL && first != second);
    CHECK(pool_take(&pool) == NULL);
    CHECK_INT(pool.used, 2);
    memset(first, 0xaa, 64);
    memset(second, 0x55, 64);
    pool_give(&pool, first);
    first = pool_take(&pool);
    CHECK(first != NULL);
    CHECK(pool_take(&pool) == NULL);
    pool_give(&pool, second);
    CHECK_INT(pool.used, 1);
    pool_give(&pool, NULL);
    CHECK_INT(pool.used, 1);
    pool_give(&pool, first);
    pool_fini(&pool);
}

TEST(pool_keeps_idle_items_up_to_keep)
{
    struct pool pool;
    void *items[8];

    pool_init(&pool, 32, 8, 3);
    for (int i = 0; i < 8; i++)
        items[i] = pool_take(&pool);
    for (int i = 0; i < 8; i++)
        pool_give(&pool, items[i]);
    CHECK(pool.idle <= 3);
    CHECK_INT(pool.used, 0);
    /* What was given last is warm and comes first; a sanitizer has all freed. */
    if (pool.idle > 0) {
        items[0] = pool_take(&pool);
        CHECK(items[0] == items[2]);
        pool_give(&pool, items[0]);
    }
    pool_fini(&pool);
    CHECK_INT(pool.idle, 0);
}

static void give_without_take(void)
{
    static char item[64];
    struct pool pool;

    pool_init(&pool, 64, 1, 1);
    pool_give(&pool, item);
}

static void fini_with_items_out(void)
{
    struct pool pool;

    pool_init(&pool, 64, 1, 1);
    (void)pool_take(&pool);
    pool_fini(&pool);
}

TEST(pool_counts_what_is_out)
{
    check_dies(give_without_take);
    check_dies(fini_with_items_out);
}

TEST(pool_blocks_are_zeroed)
{
    uint8_t *block = pool_block_new(4096);

    ENSURE(block != NULL);
    for (size_t i = 0; i < 4096; i++)
        CHECK_INT(block[i], 0);
    pool_block_free(block);
    pool_block_free(NULL);
}

TEST_MAIN(TEST_OF(pool_takes_up_to_its_limit), TEST_OF(pool_keeps_idle_items_up_to_keep),
          TEST_OF(pool_counts_what_is_out), TEST_OF(pool_blocks_are_zeroed))
