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

TEST(pool_share_has_a_limit_of_its_own_K2)
{
    struct pool all;
    struct pool one;
    struct pool two;
    void *items[5];

    pool_init(&all, 64, 5, 0);
    pool_init_share(&one, &all, 3);
    pool_init_share(&two, &all, 4);
    for (int i = 0; i < 3; i++)
        CHECK((items[i] = pool_take(&one)) != NULL);
    CHECK(pool_take(&one) == NULL);
    CHECK(!pool_has_item(&one) && pool_has_item(&two));
    for (int i = 3; i < 5; i++)
        CHECK((items[i] = pool_take(&two)) != NULL);
    CHECK(pool_take(&two) == NULL); /* below its own limit: `all` is at its */
    CHECK_INT(all.used, 5);
    for (int i = 0; i < 5; i++)
        pool_give(i < 3 ? &one : &two, items[i]);
    CHECK_INT(one.used + two.used + all.used, 0);
    pool_fini(&one);
    pool_fini(&two);
    pool_fini(&all);
}

TEST(pool_share_of_a_share_counts_for_all)
{
    struct pool all;
    struct pool tenant;
    struct pool session;
    void *item;

    pool_init(&all, 64, 9, 0);
    pool_init_share(&tenant, &all, 1);
    pool_init_share(&session, &tenant, 9);
    item = pool_take(&session);
    CHECK(item != NULL && pool_take(&session) == NULL);
    CHECK_INT(tenant.used, 1);
    pool_give(&session, item);
    CHECK_INT(tenant.used + all.used + session.used, 0);
}

TEST(pool_moves_an_item_between_shares)
{
    struct pool all;
    struct pool one;
    struct pool two;
    void *items[2];

    pool_init(&all, 64, 9, 0);
    pool_init_share(&one, &all, 2);
    pool_init_share(&two, &all, 1);
    items[0] = pool_take(&one);
    items[1] = pool_take(&all);
    CHECK_INT(pool_move(&one, &two), 0);
    CHECK_INT(one.used, 0);
    CHECK_INT(two.used, 1);
    CHECK_INT(pool_move(&all, &two), -1);
    CHECK_INT(pool_move(&all, &one), 0);
    CHECK_INT(pool_move(&one, &all), 0);
    CHECK_INT(all.used, 2);
    CHECK_INT(one.used, 0);
    pool_give(&two, items[0]);
    pool_give(&all, items[1]);
    pool_fini(&all);
}

TEST(pool_piece_counts_as_the_items_that_it_would_fill)
{
    struct pool pool;
    void *piece;

    pool_init(&pool, 64, 3, 0);
    CHECK(pool_take_piece(&pool, 3 * 64 + 1) == NULL);
    piece = pool_take_piece(&pool, 2 * 64 + 1);
    CHECK(piece != NULL);
    CHECK_INT(pool.used, 3);
    CHECK(pool_take(&pool) == NULL);
    pool_give_piece(&pool, piece, 2 * 64 + 1);
    pool_give_piece(&pool, NULL, 1);
    CHECK_INT(pool.used, 0);
    pool_fini(&pool);
}

TEST_MAIN(TEST_OF(pool_takes_up_to_its_limit), TEST_OF(pool_keeps_idle_items_up_to_keep),
          TEST_OF(pool_counts_what_is_out), TEST_OF(pool_blocks_are_zeroed),
          TEST_OF(pool_share_has_a_limit_of_its_own_K2),
          TEST_OF(pool_share_of_a_share_counts_for_all), TEST_OF(pool_moves_an_item_between_shares),
          TEST_OF(pool_piece_counts_as_the_items_that_it_would_fill))
