/* SPDX-License-Identifier: Apache-2.0 */
/* The tables against the words of RFC 9110, for all 256 bytes. */
#include "http/token.h"

#include "test.h"

static bool is_tchar_by_rfc(int byte)
{
    if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
        (byte >= 'A' && byte <= 'Z'))
        return true;
    return byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
}

static bool is_value_by_rfc(int byte)
{
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

TEST(token_classes_are_those_of_rfc_9110)
{
    for (int byte = 0; byte < 256; byte++) {
        CHECK_INT(token_is_tchar((uint8_t)byte), is_tchar_by_rfc(byte));
        CHECK_INT(token_is_value_byte((uint8_t)byte), is_value_by_rfc(byte));
    }
}

TEST(token_needs_a_byte)
{
    CHECK(!token_is_token(span_of(NULL, 0)));
    CHECK(token_is_token(span_text("x")));
    CHECK(!token_is_token(span_text("x y")));
    CHECK(!token_is_token(span_text("x:")));
    CHECK(token_is_value(span_of(NULL, 0)));
}

/* Eight bytes at a time must see what one at a time sees, wherever the bad byte is. */
TEST(token_value_finds_each_of_256_bytes_at_each_place)
{
    for (int byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < 40; at++) {
            uint8_t text[40];

            memset(text, byte % 2 == 0 ? 'a' : 0xc3, sizeof text);
            text[at] = (uint8_t)byte;
            CHECK_INT(token_count_value_bytes(span_of(text, sizeof text)),
                      is_value_by_rfc(byte) ? sizeof text : at);
            CHECK_INT(token_is_value(span_of(text, at + 1)), is_value_by_rfc(byte));
            CHECK(token_is_value(span_of(text, at)));
        }
    }
}

TEST(token_value_counts_tabs_and_what_follows_them)
{
    CHECK_INT(token_count_value_bytes(span_text("\t\t\t\t\t\t\t\t\t\t\t\tabc\x01")), 15);
    CHECK_INT(token_count_value_bytes(span_text("abcdefg\tabcdefgh\r\n")), 16);
    CHECK_INT(token_count_tchars(span_text("Content-Length: 5")), 14);
}

TEST_MAIN(TEST_OF(token_classes_are_those_of_rfc_9110), TEST_OF(token_needs_a_byte),
          TEST_OF(token_value_finds_each_of_256_bytes_at_each_place),
          TEST_OF(token_value_counts_tabs_and_what_follows_them))
