/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "dies.h"

static struct pool blocks;
static struct buf buf;

static void buf_fresh(size_t size, size_t limit, enum buf_kind kind)
{
    buf_fini(&buf);
    pool_fini(&blocks);
    pool_init(&blocks, size, limit, 0);
    buf_init(&buf, &blocks, kind);
}

static void append(const char *text)
{
    struct err err;

    CHECK_INT(buf_append(&buf, span_text(text), &err), 0);
}

TEST(buf_owns_no_block_while_it_is_empty)
{
    buf_fresh(64, 1, BUF_PLAIN);
    CHECK_INT(blocks.used, 0);
    CHECK_INT(buf_span(&buf).len, 0);
    CHECK_INT(buf_bytes(&buf).len, 0);
    CHECK_INT(buf_free_len(&buf), 64);
    append("abc");
    CHECK_INT(blocks.used, 1);
    buf_consume(&buf, 3);
    CHECK_INT(blocks.used, 0);
    (void)buf_reserve(&buf, 8);
    CHECK_INT(blocks.used, 1);
    buf_commit(&buf, 0);
    CHECK_INT(blocks.used, 0);
}

TEST(buf_is_a_queue)
{
    buf_fresh(64, 1, BUF_PLAIN);
    append("hello ");
    append("world");
    CHECK_SPAN(buf_span(&buf), "hello world");
    buf_consume(&buf, 6);
    append("!");
    CHECK_SPAN(buf_span(&buf), "world!");
    CHECK_INT(buf_len(&buf), 6);
    buf_drop_last(&buf, 2);
    CHECK_SPAN(buf_span(&buf), "worl");
    buf_drop_last(&buf, 4);
    CHECK(buf_is_empty(&buf));
    CHECK_INT(blocks.used, 0);
}

TEST(buf_append_takes_all_or_nothing)
{
    struct err err;

    buf_fresh(16, 1, BUF_PLAIN);
    append("0123456789");
    CHECK_INT(buf_append(&buf, span_text("1234567"), &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK_SPAN(buf_span(&buf), "0123456789");
    append("123456");
    CHECK_INT(buf_free_len(&buf), 0);
    CHECK_INT(buf_append_some(&buf, span_text("x")), 0);
    CHECK_INT(buf_reserve(&buf, 1).len, 0);
    buf_commit(&buf, 0);
    buf_consume(&buf, 4);
    CHECK_INT(buf_append_some(&buf, span_text("abcdefgh")), 4);
    CHECK_SPAN(buf_span(&buf), "456789123456abcd");
}

TEST(buf_says_when_the_pool_is_at_its_limit)
{
    struct err err;
    void *last;

    buf_fresh(16, 1, BUF_PLAIN);
    last = pool_take(&blocks);
    CHECK_INT(buf_append(&buf, span_text("x"), &err), -1);
    CHECK_INT(err.code, ERR_MEMORY);
    CHECK_INT(buf_append_some(&buf, span_text("x")), 0);
    CHECK_INT(buf_append(&buf, span_of(NULL, 0), &err), 0);
    pool_give(&blocks, last);
}

TEST(buf_moves_bytes_to_the_front_where_room_is_wanted)
{
    struct room room;

    buf_fresh(16, 1, BUF_PLAIN);
    append("0123456789");
    buf_consume(&buf, 2);
    room = buf_reserve(&buf, 6);
    CHECK_INT(room.len, 6);
    buf_commit(&buf, 0);
    room = buf_reserve(&buf, 8);
    CHECK_INT(room.len, 8);
    memcpy(room.ptr, "abcdefgh", 8);
    buf_commit(&buf, 8);
    CHECK_SPAN(buf_span(&buf), "23456789abcdefgh");
}

/* Any order of adding and taking gives the bytes back in their order. */
TEST(buf_keeps_the_order_through_random_use)
{
    uint64_t seed = 7;
    uint8_t in = 0;
    uint8_t expected = 0;

    buf_fresh(97, 1, BUF_SECRET);
    for (int i = 0; i < 20000; i++) {
        uint8_t piece[64];
        size_t len;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        len = (size_t)(seed >> 40) % sizeof piece;
        if (seed >> 63 != 0) {
            for (size_t k = 0; k < len; k++)
                piece[k] = (uint8_t)(in + k);
            in = (uint8_t)(in + buf_append_some(&buf, span_of(piece, len)));
            continue;
        }
        len = len < buf_len(&buf) ? len : buf_len(&buf);
        for (size_t k = 0; k < len; k++)
            CHECK_INT(buf_span(&buf).ptr[k], expected++);
        buf_consume(&buf, len);
    }
}

TEST(buf_wipes_secrets_that_were_taken)
{
    const uint8_t *block;

    buf_fresh(32, 1, BUF_SECRET);
    append("secret....rest");
    block = buf_span(&buf).ptr;
    buf_consume(&buf, 10);
    for (int i = 0; i < 10; i++)
        CHECK_INT(block[i], 0);
    (void)buf_reserve(&buf, 28); /* moves "rest" to the front, and leaves no second copy */
    buf_commit(&buf, 0);
    CHECK_SPAN(buf_span(&buf), "rest");
    for (int i = 4; i < 14; i++)
        CHECK_INT(block[i], 0);
}

static void consume_too_much(void)
{
    append("abc");
    buf_consume(&buf, 4);
}

static void commit_too_much(void)
{
    struct room room = buf_reserve(&buf, 1);

    buf_commit(&buf, room.len + 1);
}

TEST(buf_ends_the_process_on_wrong_use)
{
    buf_fresh(32, 1, BUF_PLAIN);
    check_dies(consume_too_much);
    check_dies(commit_too_much);
    buf_fini(&buf);
}

TEST(buf_moves_its_block_to_another_share)
{
    struct pool all;
    struct pool one;
    struct pool none;
    struct buf moved;
    struct err err;

    pool_init(&all, 64, 4, 0);
    pool_init_share(&one, &all, 1);
    pool_init_share(&none, &all, 0);
    buf_init(&moved, &all, BUF_PLAIN);
    CHECK_INT(buf_append(&moved, span_text("abc"), &err), 0);
    CHECK_INT(buf_move(&moved, &none, &err), -1);
    CHECK_INT(err.code, ERR_MEMORY);
    CHECK_INT(buf_move(&moved, &one, &err), 0);
    CHECK_INT(one.used, 1);
    CHECK_INT(buf_len(&moved), 3);
    buf_fini(&moved);
    CHECK_INT(one.used + all.used, 0);
    CHECK_INT(buf_move(&moved, &none, &err), 0); /* empty: there is nothing to count */
    CHECK(buf_reserve(&moved, 1).len == 0);
    pool_fini(&all);
}

TEST_MAIN(TEST_OF(buf_owns_no_block_while_it_is_empty), TEST_OF(buf_is_a_queue),
          TEST_OF(buf_append_takes_all_or_nothing), TEST_OF(buf_says_when_the_pool_is_at_its_limit),
          TEST_OF(buf_moves_bytes_to_the_front_where_room_is_wanted),
          TEST_OF(buf_keeps_the_order_through_random_use),
          TEST_OF(buf_wipes_secrets_that_were_taken), TEST_OF(buf_ends_the_process_on_wrong_use),
          TEST_OF(buf_moves_its_block_to_another_share))
