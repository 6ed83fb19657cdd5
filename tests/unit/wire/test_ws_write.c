/* SPDX-License-Identifier: Apache-2.0 */
/* wire/ws_frame, writing: heads, the mask, control frames. */
#include "wire/ws_frame.h"
#include "wire_test.h"
#include "ws_story.h"

static const uint8_t example_mask[4] = {0x37, 0xfa, 0x21, 0x3d};

static struct span head_of(enum ws_opcode opcode, uint64_t len, const uint8_t *mask)
{
    static uint8_t head[WS_FRAME_HEAD];

    return span_of(head, ws_frame_write_head(head, opcode, len, mask));
}

TEST(ws_frame_writes_minimal_heads)
{
    CHECK(span_equal(head_of(WS_BINARY, 0, NULL), BYTES("82 00")));
    CHECK(span_equal(head_of(WS_TEXT, 5, NULL), BYTES("81 05")));
    CHECK(span_equal(head_of(WS_BINARY, 125, NULL), BYTES("82 7d")));
    CHECK(span_equal(head_of(WS_BINARY, 126, NULL), BYTES("82 7e 00 7e")));
    CHECK(span_equal(head_of(WS_BINARY, 256, NULL), BYTES("82 7e 01 00")));
    CHECK(span_equal(head_of(WS_BINARY, 65535, NULL), BYTES("82 7e ff ff")));
    CHECK(span_equal(head_of(WS_BINARY, 65536, NULL), BYTES("82 7f 00 00 00 00 00 01 00 00")));
    CHECK(span_equal(head_of(WS_TEXT, 5, example_mask), BYTES("81 85 37 fa 21 3d")));
    CHECK(span_equal(head_of(WS_BINARY, 126, example_mask), BYTES("82 fe 00 7e 37 fa 21 3d")));
    CHECK(span_equal(head_of(WS_BINARY, 65536, example_mask),
                     BYTES("82 ff 00 00 00 00 00 01 00 00 37 fa 21 3d")));
}

TEST(ws_frame_writes_heads_of_parts_without_the_final_bit)
{
    uint8_t head[WS_FRAME_HEAD];

    CHECK(span_equal(span_of(head, ws_frame_write_part_head(head, WS_TEXT, 5, NULL)),
                     BYTES("01 05")));
    CHECK(span_equal(span_of(head, ws_frame_write_part_head(head, WS_CONTINUATION, 256, NULL)),
                     BYTES("00 7e 01 00")));
}

/* Against one byte at a time, for every length, alignment and offset that could matter. */
TEST(ws_frame_masks_like_one_byte_at_a_time)
{
    uint8_t fast[96];
    uint8_t slow[96];

    for (size_t start = 0; start < 9; start++) {
        for (size_t len = 0; len <= 80; len++) {
            for (uint64_t offset = 0; offset < 9; offset++) {
                for (size_t i = 0; i < sizeof fast; i++)
                    fast[i] = slow[i] = (uint8_t)(i * 7 + len);
                ws_frame_mask((struct room){.ptr = fast + start, .len = len}, example_mask, offset);
                for (size_t i = 0; i < len; i++)
                    slow[start + i] ^= example_mask[(offset + i) % 4];
                assert_memory_equal(fast, slow, sizeof fast);
            }
        }
    }
}

TEST(ws_frame_mask_goes_on_at_offsets_over_32_bits)
{
    uint8_t bytes[5] = {0};

    ws_frame_mask((struct room){.ptr = bytes, .len = 5}, example_mask, 0x100000003U);
    CHECK(span_equal(span_of(bytes, 5), BYTES("3d 37 fa 21 3d")));
}

TEST(ws_frame_sends_control_frames)
{
    struct pool pool;
    struct buf out;
    struct err err;

    pool_init(&pool, 1024, 1, 0);
    buf_init(&out, &pool, BUF_PLAIN);
    CHECK_INT(ws_frame_send_control(&out, WS_PING, span_text("Hello"), NULL, &err), 0);
    CHECK(span_equal(buf_span(&out), BYTES("89 05 48 65 6c 6c 6f")));
    buf_consume(&out, buf_len(&out));
    CHECK_INT(ws_frame_send_control(&out, WS_PONG, span_text("Hello"), example_mask, &err), 0);
    CHECK(span_equal(buf_span(&out), BYTES("8a 85 37 fa 21 3d 7f 9f 4d 51 58")));
    buf_consume(&out, buf_len(&out));
    CHECK_INT(ws_frame_send_control(&out, WS_PONG, span_of(NULL, 0), example_mask, &err), 0);
    CHECK(span_equal(buf_span(&out), BYTES("8a 80 37 fa 21 3d")));
    buf_fini(&out);
    pool_fini(&pool);
}

TEST(ws_frame_sends_close_frames_that_it_reads)
{
    struct pool pool;
    struct buf out;
    struct err err;

    pool_init(&pool, 1024, 1, 0);
    buf_init(&out, &pool, BUF_PLAIN);
    CHECK_INT(ws_frame_send_close(&out, 1002, span_text("bad"), NULL, &err), 0);
    CHECK_STR(ws_story(WS_CLIENT, 0, buf_span(&out)), "close 1002 626164");
    buf_consume(&out, buf_len(&out));
    CHECK_INT(ws_frame_send_close(&out, 1000, span_of(NULL, 0), example_mask, &err), 0);
    CHECK_STR(ws_story(WS_SERVER, 0, buf_span(&out)), "close 1000");
    buf_consume(&out, buf_len(&out));
    /* 1005 stands for "no code" and never travels: the answer to an empty close is an empty one */
    CHECK_INT(ws_frame_send_close(&out, 1005, span_of(NULL, 0), NULL, &err), 0);
    CHECK(span_equal(buf_span(&out), BYTES("88 00")));
    buf_fini(&out);
    pool_fini(&pool);
}

TEST(ws_frame_sends_a_control_frame_whole_or_not_at_all)
{
    struct pool pool;
    struct buf out;
    struct buf other;
    struct err err;

    pool_init(&pool, 16, 1, 0);
    buf_init(&out, &pool, BUF_PLAIN);
    buf_init(&other, &pool, BUF_PLAIN);
    CHECK_INT(buf_append(&out, span_text("0123456789"), &err), 0);
    CHECK_INT(ws_frame_send_control(&out, WS_PING, span_text("Hello"), NULL, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK_SPAN(buf_span(&out), "0123456789");
    CHECK_INT(ws_frame_send_control(&other, WS_PING, span_text("Hello"), NULL, &err), -1);
    CHECK_INT(err.code, ERR_MEMORY);
    CHECK(buf_is_empty(&other));
    buf_fini(&out);
    pool_fini(&pool);
}

TEST_MAIN(TEST_OF(ws_frame_writes_minimal_heads),
          TEST_OF(ws_frame_writes_heads_of_parts_without_the_final_bit),
          TEST_OF(ws_frame_masks_like_one_byte_at_a_time),
          TEST_OF(ws_frame_mask_goes_on_at_offsets_over_32_bits),
          TEST_OF(ws_frame_sends_control_frames),
          TEST_OF(ws_frame_sends_close_frames_that_it_reads),
          TEST_OF(ws_frame_sends_a_control_frame_whole_or_not_at_all))
