/* SPDX-License-Identifier: Apache-2.0 */
/* wire/ws_utf8: RFC 3629, threat I5. */
#include "wire/ws_utf8.h"
#include "wire_test.h"

/* How many bytes are taken before the first that is refused; -1: all, and the text is whole. */
static int refused_at(struct span text)
{
    struct ws_utf8 utf8 = {0};

    for (size_t i = 0; i < text.len; i++) {
        if (!ws_utf8_feed(&utf8, span_of(text.ptr + i, 1)))
            return (int)i;
    }
    return ws_utf8_is_whole(&utf8) ? -1 : (int)text.len;
}

TEST(ws_utf8_takes_the_first_and_last_of_each_length)
{
    CHECK_INT(refused_at(BYTES("00 7f")), -1);
    CHECK_INT(refused_at(BYTES("c280 dfbf")), -1);
    CHECK_INT(refused_at(BYTES("e0a080 ed9fbf ee8080 efbfbf")), -1);
    CHECK_INT(refused_at(BYTES("f0908080 f48fbfbf")), -1);
    CHECK_INT(refused_at(BYTES("")), -1);
}

TEST(ws_utf8_refuses_at_the_first_byte_that_is_wrong)
{
    CHECK_INT(refused_at(BYTES("80")), 0);
    CHECK_INT(refused_at(BYTES("c080")), 0);
    CHECK_INT(refused_at(BYTES("c1bf")), 0);
    CHECK_INT(refused_at(BYTES("e09f80")), 1);
    CHECK_INT(refused_at(BYTES("eda080")), 1);
    CHECK_INT(refused_at(BYTES("f08f8080")), 1);
    CHECK_INT(refused_at(BYTES("f4908080")), 1);
    CHECK_INT(refused_at(BYTES("f5808080")), 0);
    CHECK_INT(refused_at(BYTES("ff")), 0);
    CHECK_INT(refused_at(BYTES("e28241")), 2);
    CHECK_INT(refused_at(BYTES("f0908041")), 3);
}

TEST(ws_utf8_is_not_whole_within_a_sequence)
{
    CHECK_INT(refused_at(BYTES("41 c3")), 2);
    CHECK_INT(refused_at(BYTES("e282")), 2);
    CHECK_INT(refused_at(BYTES("f09080")), 3);
}

/* By arithmetic, not by the table: every code point there could be. */
static bool is_scalar(uint32_t point)
{
    return point <= 0x10ffff && !(point >= 0xd800 && point <= 0xdfff);
}

static size_t encode(uint32_t point, uint8_t out[4])
{
    size_t len = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

    for (size_t i = len - 1; i > 0; i--, point >>= 6)
        out[i] = (uint8_t)(0x80 | (point & 0x3f));
    out[0] = (uint8_t)(len == 1 ? point : (0xf0U << (4 - len) & 0xff) | point);
    return len;
}

TEST(ws_utf8_takes_every_code_point_but_surrogates)
{
    uint8_t bytes[4];

    for (uint32_t point = 0; point < 0x1fffff; point++) {
        size_t len = encode(point, bytes);

        CHECK_INT(refused_at(span_of(bytes, len)) == -1, is_scalar(point));
    }
}

TEST_MAIN(TEST_OF(ws_utf8_takes_the_first_and_last_of_each_length),
          TEST_OF(ws_utf8_refuses_at_the_first_byte_that_is_wrong),
          TEST_OF(ws_utf8_is_not_whole_within_a_sequence),
          TEST_OF(ws_utf8_takes_every_code_point_but_surrogates))
