/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>

#include "base/limits.h"
#include "test.h"

static struct pool blocks;

static struct arena arena_of(size_t limit)
{
    struct arena arena;

    if (blocks.item_size == 0)
        pool_init(&blocks, LIMIT_ARENA_BLOCK, 8, 2);
    arena_init(&arena, &blocks, limit);
    return arena;
}

TEST(arena_gives_zeroed_aligned_memory)
{
    struct arena arena = arena_of(65536);

    for (int round = 0; round < 3; round++) {
        for (size_t size = 1; size < 300; size += 7) {
            uint8_t *piece = arena_take(&arena, size);

            ENSURE(piece != NULL);
            CHECK_INT((uintptr_t)piece % alignof(max_align_t), 0);
            for (size_t i = 0; i < size; i++)
                CHECK_INT(piece[i], 0);
            memset(piece, 0xff, size); /* the next round must not see it */
        }
        arena_reset(&arena);
        CHECK_INT(arena.used, 0);
        CHECK_INT(blocks.used, 0);
    }
}

TEST(arena_pieces_do_not_overlap)
{
    struct arena arena = arena_of(65536);
    uint8_t *pieces[64];

    for (size_t i = 0; i < 64; i++) {
        pieces[i] = arena_take(&arena, 100 + i);
        memset(pieces[i], (int)i, 100 + i);
    }
    for (size_t i = 0; i < 64; i++) {
        for (size_t k = 0; k < 100 + i; k++)
            CHECK_INT(pieces[i][k], i);
    }
    arena_reset(&arena);
}

TEST(arena_holds_its_limit)
{
    struct arena arena = arena_of(1000);

    CHECK(arena_take(&arena, 600) != NULL);
    CHECK(arena_take(&arena, 401) == NULL);
    CHECK(arena_take(&arena, SIZE_MAX) == NULL);
    CHECK(arena_take(&arena, 400) != NULL);
    CHECK(arena_take(&arena, 1) == NULL);
    arena_reset(&arena);
    CHECK(arena_take(&arena, 1000) != NULL);
    arena_reset(&arena);
}

TEST(arena_gives_large_pieces_blocks_of_their_own)
{
    struct arena arena = arena_of(1 << 20);
    uint8_t *large;

    CHECK(arena_take(&arena, 16) != NULL);
    CHECK_INT(blocks.used, 1);
    large = arena_take(&arena, 20000);
    ENSURE(large != NULL);
    memset(large, 1, 20000);
    CHECK_INT(blocks.used, 6); /* it counts as the five that it would fill */
    CHECK(arena_take(&arena, 10000) == NULL);
    arena_reset(&arena);
    CHECK_INT(blocks.used, 0);
}

TEST(arena_ends_with_the_blocks_of_its_pool)
{
    struct arena arena = arena_of(1 << 20);
    size_t count = 0;

    while (arena_take(&arena, 3000) != NULL)
        count++;
    CHECK_INT(count, 8);
    arena_reset(&arena);
}

TEST(arena_copies_bytes)
{
    struct arena arena = arena_of(64);
    char bytes[] = "bytes";
    struct span copy = arena_copy(&arena, span_text(bytes));

    bytes[0] = 'x';
    CHECK_SPAN(copy, "bytes");
    CHECK_INT(arena_copy(&arena, span_of(NULL, 0)).len, 0);
    copy = arena_copy(&arena,
                      span_text("sixty bytes are more than the fifty-nine that are left now: 60"));
    CHECK(copy.ptr == NULL && copy.len == 0);
    arena_reset(&arena);
}

TEST_MAIN(TEST_OF(arena_gives_zeroed_aligned_memory), TEST_OF(arena_pieces_do_not_overlap),
          TEST_OF(arena_holds_its_limit), TEST_OF(arena_gives_large_pieces_blocks_of_their_own),
          TEST_OF(arena_ends_with_the_blocks_of_its_pool), TEST_OF(arena_copies_bytes))
