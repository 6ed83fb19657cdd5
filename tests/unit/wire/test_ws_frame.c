/* SPDX-License-Identifier: Apache-2.0 */
/* wire/ws_frame, reading: RFC 6455 section 5, threats I1 to I5 and I8. */
#include "base/limits.h"
#include "wire_test.h"
#include "ws_story.h"

/* Frames from a server (seen by a client) need no mask: the bytes of a test can be read. */
#define AT_CLIENT(hex) ws_story(WS_CLIENT, 1000, BYTES(hex))
#define AT_SERVER(hex) ws_story(WS_SERVER, 1000, BYTES(hex))

TEST(ws_frame_reads_the_examples_of_rfc6455_section_5_7)
{
    CHECK_STR(AT_CLIENT("81 05 48 65 6c 6c 6f"), "text 48656c6c6f end");
    CHECK_STR(AT_SERVER("81 85 37 fa 21 3d 7f 9f 4d 51 58"), "text 48656c6c6f end");
    CHECK_STR(AT_CLIENT("01 03 48 65 6c 80 02 6c 6f"), "text 48656c6c6f end");
    CHECK_STR(AT_CLIENT("89 05 48 65 6c 6c 6f"), "ping 48656c6c6f");
    CHECK_STR(AT_SERVER("8a 85 37 fa 21 3d 7f 9f 4d 51 58"), "pong 48656c6c6f");
}

/* Feed in two pieces; every byte of the payload must come out as 0x5a. */
static void check_pieces(struct room input, size_t cut, size_t expected)
{
    struct ws_frame ws;
    struct ws_event event;
    struct err err;
    size_t received = 0;
    size_t used;
    int ends = 0;

    ws_frame_init(&ws, WS_SERVER, LIMIT_FRAME);
    for (size_t at = 0; at < input.len; at += used) {
        struct room piece = {.ptr = input.ptr + at, .len = (at < cut ? cut : input.len) - at};

        CHECK_INT(ws_frame_feed(&ws, piece, &used, &err), 0);
        CHECK(used > 0);
        while (ws_frame_next(&ws, &event)) {
            ends += event.type == WS_EVENT_MESSAGE_END;
            for (size_t i = 0; i < event.data.len; i++)
                CHECK_INT(event.data.ptr[i], 0x5a);
            received += event.data.len;
        }
    }
    CHECK_INT(received, expected);
    CHECK_INT(ends, 1);
}

TEST(ws_frame_reads_every_class_of_length)
{
    static const size_t lengths[] = {0, 1, 125, 126, 127, 128, 255, 256, 65535, 65536, 65537};
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    static uint8_t input[WS_FRAME_HEAD + 65540];

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (size_t cut = 1; cut < 24; cut++) {
            size_t head_len = ws_frame_write_head(input, WS_BINARY, lengths[i], mask);
            struct room payload = {.ptr = input + head_len, .len = lengths[i]};

            memset(payload.ptr, 0x5a, payload.len);
            ws_frame_mask(payload, mask, 0);
            check_pieces((struct room){.ptr = input, .len = head_len + payload.len},
                         cut < head_len + payload.len ? cut : 1, payload.len);
        }
    }
}

TEST(ws_frame_reads_empty_messages_and_frames)
{
    CHECK_STR(AT_CLIENT("82 00"), "end");
    CHECK_STR(AT_CLIENT("82 00 82 00"), "end end");
    CHECK_STR(AT_CLIENT("02 00 00 00 00 00"), ""); /* nothing yet, and nothing held */
    CHECK_STR(AT_CLIENT("02 00 00 01 78 00 00 80 00"), "binary 78 end");
    CHECK_STR(AT_CLIENT("89 00 8a 00"), "ping pong");
    CHECK_STR(AT_SERVER("82 80 01 02 03 04"), "end");
}

TEST(ws_frame_delivers_control_frames_within_a_message)
{
    CHECK_STR(AT_CLIENT("02 02 68 69 89 01 70 80 01 21"), "binary 6869 ping 70 binary 21 end");
    CHECK_STR(AT_SERVER("02 82 01 01 01 01 69 68 89 81 70 00 00 00 00 80 82 02 02 02 02 23 22"),
              "binary 6869 ping 70 binary 2120 end");
}

TEST(ws_frame_delivers_text_without_looking_into_it)
{
    CHECK_STR(AT_CLIENT("81 02 ff fe 82 01 78"), "text fffe end binary 78 end");
}

TEST(ws_frame_wants_the_mask_of_the_role) /* I1 */
{
    CHECK_STR(AT_SERVER("82 01"), "error 1002");
    CHECK_STR(AT_SERVER("89 00"), "error 1002");
    CHECK_STR(AT_CLIENT("82 81"), "error 1002");
    CHECK_STR(AT_CLIENT("82 00 82 80"), "end error 1002");
}

TEST(ws_frame_refuses_reserved_bits) /* I1, I8: no extension was negotiated */
{
    CHECK_STR(AT_CLIENT("c2"), "error 1002"); /* RSV1: permessage-deflate */
    CHECK_STR(AT_CLIENT("a2"), "error 1002");
    CHECK_STR(AT_CLIENT("92"), "error 1002");
    CHECK_STR(AT_CLIENT("c9"), "error 1002");
    CHECK_STR(AT_CLIENT("02 01 78 c0"), "binary 78 error 1002");
}

TEST(ws_frame_refuses_reserved_opcodes) /* I1 */
{
    static const uint8_t opcodes[] = {3, 4, 5, 6, 7, 11, 12, 13, 14, 15};

    for (size_t i = 0; i < sizeof opcodes; i++) {
        uint8_t first = (uint8_t)(0x80 | opcodes[i]);

        CHECK_STR(ws_story(WS_CLIENT, 1000, span_of(&first, 1)), "error 1002");
        CHECK_STR(ws_story(WS_CLIENT, 1000, span_of(&opcodes[i], 1)), "error 1002");
    }
}

TEST(ws_frame_refuses_lengths_that_are_not_minimal) /* I1 */
{
    CHECK_STR(AT_CLIENT("82 7e 00 7d"), "error 1002");
    CHECK_STR(AT_CLIENT("82 7e 00 00"), "error 1002");
    CHECK_STR(AT_CLIENT("82 7e 00 7e"), "");
    CHECK_STR(AT_CLIENT("82 7f 00 00 00 00 00 00 ff ff"), "error 1002");
    CHECK_STR(AT_CLIENT("82 7f 00 00 00 00 00 00 00 05"), "error 1002");
}

TEST(ws_frame_refuses_a_length_with_the_high_bit) /* I1 */
{
    CHECK_STR(AT_CLIENT("82 7f 80 00 00 00 00 00 00 01"), "error 1002");
    CHECK_STR(AT_CLIENT("82 7f ff ff ff ff ff ff ff ff"), "error 1002");
}

TEST(ws_frame_refuses_long_or_fragmented_control_frames) /* I2 */
{
    CHECK_STR(AT_CLIENT("89 7e"), "error 1002");
    CHECK_STR(AT_CLIENT("88 7f"), "error 1002");
    CHECK_STR(AT_SERVER("8a fe"), "error 1002");
    CHECK_STR(AT_CLIENT("09"), "error 1002");
    CHECK_STR(AT_CLIENT("08"), "error 1002");
    CHECK_STR(AT_CLIENT("0a"), "error 1002");
}

TEST(ws_frame_refuses_interleaved_messages) /* I2 */
{
    CHECK_STR(AT_CLIENT("80"), "error 1002");
    CHECK_STR(AT_CLIENT("00"), "error 1002");
    CHECK_STR(AT_CLIENT("82 00 80"), "end error 1002");
    CHECK_STR(AT_CLIENT("02 01 78 82"), "binary 78 error 1002");
    CHECK_STR(AT_CLIENT("02 00 01"), "error 1002");
}

TEST(ws_frame_takes_a_million_fragments_without_growing) /* I2 */
{
    struct ws_frame ws;
    struct ws_event event;
    struct err err;
    size_t used;
    size_t received = 0;

    ws_frame_init(&ws, WS_CLIENT, 1000);
    for (int i = 0; i < 1000000; i++) {
        uint8_t frame[] = {i == 0 ? 0x02 : 0x00, 0x01, 0x78};

        CHECK_INT(ws_frame_feed(&ws, (struct room){.ptr = frame, .len = 3}, &used, &err), 0);
        CHECK_INT(used, 3);
        while (ws_frame_next(&ws, &event))
            received += event.data.len;
    }
    CHECK_INT(received, 1000000);
}

TEST(ws_frame_refuses_a_frame_over_the_limit_at_its_length) /* I3: 1009 at limit + 1 */
{
    CHECK_STR(AT_CLIENT("82 7e 03 e8"), ""); /* 1000 */
    CHECK_STR(AT_CLIENT("82 7e 03 e9"), "error 1009");
    CHECK_STR(AT_SERVER("82 fe 03 e9"), "error 1009"); /* the mask is not waited for */
    CHECK_STR(AT_CLIENT("82 7f 7f ff ff ff ff ff ff ff"), "error 1009");
    CHECK_STR(AT_CLIENT("02 01 78 80 7e 03 e9"), "binary 78 error 1009");
    CHECK_STR(ws_story(WS_CLIENT, 3, BYTES("82 03 78 79 7a 82 04")),
              "binary 78797a end error 1009");
    CHECK_STR(ws_story(WS_CLIENT, 3, BYTES("89 04 01 02 03 04")), "ping 01020304");
    CHECK_STR(ws_story(WS_CLIENT, LIMIT_FRAME, BYTES("82 7f 00 00 00 00 00 08 00 10")), "");
    CHECK_STR(ws_story(WS_CLIENT, LIMIT_FRAME, BYTES("82 7f 00 00 00 00 00 08 00 11")),
              "error 1009");
}

TEST(ws_frame_reads_close_frames)
{
    CHECK_STR(AT_CLIENT("88 00"), "close 1005");
    CHECK_STR(AT_CLIENT("88 02 03 e8"), "close 1000");
    CHECK_STR(AT_CLIENT("88 05 03 e9 62 79 65"), "close 1001 627965");
    CHECK_STR(AT_SERVER("88 82 ff ff ff ff fc 17"), "close 1000");
    CHECK_STR(AT_CLIENT("02 01 78 88 02 03 e8"), "binary 78 close 1000");
}

TEST(ws_frame_refuses_a_close_frame_of_one_byte)
{
    CHECK_STR(AT_CLIENT("88 01"), "error 1002");
    CHECK_STR(AT_SERVER("88 81"), "error 1002");
}

/* RFC 6455 section 7.4; 1012 to 1014 were registered later. */
TEST(ws_frame_knows_which_close_codes_may_be_sent)
{
    for (unsigned code = 0; code <= 65535; code += code < 5100 ? 1 : 101) {
        uint8_t frame[] = {0x88, 0x02, (uint8_t)(code >> 8), (uint8_t)(code & 0xff)};
        bool is_valid = (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) ||
                        (code >= 3000 && code <= 4999);
        struct ws_frame ws;
        struct ws_event event;
        struct err err;
        size_t used;

        ws_frame_init(&ws, WS_CLIENT, 1000);
        CHECK_INT(ws_frame_feed(&ws, (struct room){.ptr = frame, .len = 4}, &used, &err),
                  is_valid ? 0 : -1);
        CHECK_INT(ws_frame_close_code(&ws), 1002);
        CHECK_INT(ws_frame_next(&ws, &event), is_valid);
        CHECK(!is_valid || event.close_code == code);
    }
}

TEST(ws_frame_wants_utf8_in_the_reason_of_a_close) /* I5 */
{
    CHECK_STR(AT_CLIENT("88 06 03 e8 f0 9f 98 80"), "close 1000 f09f9880");
    CHECK_STR(AT_CLIENT("88 09 03 e8 c3 a9 e2 82 ac ed 9f"), "error 1007"); /* cut off */
    CHECK_STR(AT_CLIENT("88 0a 03 e8 c3 a9 e2 82 ac ed 9f bf"), "close 1000 c3a9e282aced9fbf");
    CHECK_STR(AT_CLIENT("88 03 03 e8 80"), "error 1007");
    CHECK_STR(AT_CLIENT("88 03 03 e8 ff"), "error 1007");
    CHECK_STR(AT_CLIENT("88 04 03 e8 c0 af"), "error 1007");       /* overlong '/' */
    CHECK_STR(AT_CLIENT("88 05 03 e8 e0 80 af"), "error 1007");    /* overlong '/' */
    CHECK_STR(AT_CLIENT("88 06 03 e8 f0 8f bf bf"), "error 1007"); /* overlong U+FFFF */
    CHECK_STR(AT_CLIENT("88 05 03 e8 ed a0 80"), "error 1007");    /* surrogate */
    CHECK_STR(AT_CLIENT("88 06 03 e8 f4 90 80 80"), "error 1007"); /* over U+10FFFF */
    CHECK_STR(AT_CLIENT("88 06 03 e8 f4 8f bf bf"), "close 1000 f48fbfbf");
    CHECK_STR(AT_CLIENT("88 05 03 e8 c3 28 41"), "error 1007");
}

TEST(ws_frame_delivers_nothing_after_close) /* I4: close + data, close twice */
{
    CHECK_STR(AT_CLIENT("88 02 03 e8 82 01 78"), "close 1000");
    CHECK_STR(AT_CLIENT("88 02 03 e8 88 02 03 e9"), "close 1000");
    CHECK_STR(AT_CLIENT("88 02 03 e8 ff ff ff ff ff"), "close 1000");
}

TEST(ws_frame_takes_and_forgets_what_follows_close) /* I4 */
{
    uint8_t close_frame[] = {0x88, 0x00};
    uint8_t data[] = {0x82, 0x01, 0x78};
    struct ws_frame ws;
    struct ws_event event;
    struct err err;
    size_t used;

    ws_frame_init(&ws, WS_CLIENT, 1000);
    CHECK_INT(ws_frame_feed(&ws, (struct room){.ptr = close_frame, .len = 2}, &used, &err), 0);
    CHECK_INT(ws_frame_next(&ws, &event), 1);
    CHECK_INT(event.close_code, 1005);
    CHECK_INT(ws_frame_feed(&ws, (struct room){.ptr = data, .len = 3}, &used, &err), 0);
    CHECK_INT(used, 3);
    CHECK_INT(ws_frame_next(&ws, &event), 0);
}

TEST(ws_frame_takes_nothing_while_an_event_waits)
{
    uint8_t frames[] = {0x89, 0x01, 'a', 0x89, 0x01, 'b'};
    struct room room = {.ptr = frames, .len = sizeof frames};
    struct ws_frame ws;
    struct ws_event event;
    struct err err;
    size_t used;

    ws_frame_init(&ws, WS_CLIENT, 1000);
    CHECK_INT(ws_frame_feed(&ws, room, &used, &err), 0);
    CHECK_INT(used, 3);
    CHECK_INT(ws_frame_feed(&ws, (struct room){.ptr = frames + 3, .len = 3}, &used, &err), 0);
    CHECK_INT(used, 0);
    CHECK_INT(ws_frame_next(&ws, &event), 1);
    CHECK_SPAN(event.data, "a");
    CHECK_INT(ws_frame_next(&ws, &event), 0);
}

TEST(ws_frame_unmasks_where_the_bytes_lie)
{
    uint8_t frame[] = {0x82, 0x83, 1, 2, 3, 4, 'a' ^ 1, 'b' ^ 2, 'c' ^ 3};
    struct ws_frame ws;
    struct ws_event event;
    struct err err;
    size_t used;

    ws_frame_init(&ws, WS_SERVER, 1000);
    CHECK_INT(ws_frame_feed(&ws, (struct room){.ptr = frame, .len = 9}, &used, &err), 0);
    CHECK_INT(ws_frame_next(&ws, &event), 1);
    CHECK(event.data.ptr == frame + 6);
    CHECK_SPAN(event.data, "abc");
    CHECK_INT(ws_frame_next(&ws, &event), 1);
    CHECK_INT(event.type, WS_EVENT_MESSAGE_END);
    CHECK_INT(event.opcode, WS_BINARY);
}

TEST(ws_frame_stays_failed_after_an_error)
{
    uint8_t bad[] = {0x83};
    uint8_t good[] = {0x82, 0x00};
    struct ws_frame ws;
    struct err err;
    size_t used;

    ws_frame_init(&ws, WS_CLIENT, 1000);
    CHECK_INT(ws_frame_feed(&ws, (struct room){.ptr = bad, .len = 1}, &used, &err), -1);
    CHECK_STR(err.text, "websocket: reserved opcode 3");
    CHECK_INT(ws_frame_feed(&ws, (struct room){.ptr = good, .len = 2}, &used, &err), -1);
    CHECK_INT(err.code, ERR_CHUNK);
    CHECK_INT(ws_frame_close_code(&ws), 1002);
}

TEST_MAIN(TEST_OF(ws_frame_reads_the_examples_of_rfc6455_section_5_7),
          TEST_OF(ws_frame_reads_every_class_of_length),
          TEST_OF(ws_frame_reads_empty_messages_and_frames),
          TEST_OF(ws_frame_delivers_control_frames_within_a_message),
          TEST_OF(ws_frame_delivers_text_without_looking_into_it),
          TEST_OF(ws_frame_wants_the_mask_of_the_role), TEST_OF(ws_frame_refuses_reserved_bits),
          TEST_OF(ws_frame_refuses_reserved_opcodes),
          TEST_OF(ws_frame_refuses_lengths_that_are_not_minimal),
          TEST_OF(ws_frame_refuses_a_length_with_the_high_bit),
          TEST_OF(ws_frame_refuses_long_or_fragmented_control_frames),
          TEST_OF(ws_frame_refuses_interleaved_messages),
          TEST_OF(ws_frame_takes_a_million_fragments_without_growing),
          TEST_OF(ws_frame_refuses_a_frame_over_the_limit_at_its_length),
          TEST_OF(ws_frame_reads_close_frames), TEST_OF(ws_frame_refuses_a_close_frame_of_one_byte),
          TEST_OF(ws_frame_knows_which_close_codes_may_be_sent),
          TEST_OF(ws_frame_wants_utf8_in_the_reason_of_a_close),
          TEST_OF(ws_frame_delivers_nothing_after_close),
          TEST_OF(ws_frame_takes_and_forgets_what_follows_close),
          TEST_OF(ws_frame_takes_nothing_while_an_event_waits),
          TEST_OF(ws_frame_unmasks_where_the_bytes_lie),
          TEST_OF(ws_frame_stays_failed_after_an_error))
