/* SPDX-License-Identifier: Apache-2.0 */
#include "base/span.h"

#include "dies.h"

TEST(span_of_nothing_is_equal_to_nothing)
{
    CHECK(span_equal(span_of(NULL, 0), span_text("")));
    CHECK(span_equal_nocase(span_of(NULL, 0), span_text("")));
    CHECK(span_starts(span_text("a"), span_of(NULL, 0)));
    CHECK(span_ends(span_text("a"), span_of(NULL, 0)));
    CHECK_INT(span_find(span_of(NULL, 0), 'a'), -1);
    CHECK_INT(span_from(span_of(NULL, 0), 0).len, 0);
    CHECK_INT(span_trim(span_of(NULL, 0)).len, 0);
}

TEST(span_compares_all_bytes)
{
    CHECK(span_equal(span_of("a\0b", 3), span_of("a\0b", 3)));
    CHECK(!span_equal(span_of("a\0b", 3), span_of("a\0c", 3)));
    CHECK(!span_equal(span_text("a"), span_text("ab")));
    CHECK(!span_equal(span_text("a"), span_text("A")));
}

/* Only A-Z and a-z are one: '@' and '`', '[' and '{' are not, nor are bytes above 0x7f. */
TEST(span_equal_nocase_folds_ascii_letters_only)
{
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            uint8_t x = (uint8_t)a;
            uint8_t y = (uint8_t)b;
            bool is_letter = (x | 0x20) >= 'a' && (x | 0x20) <= 'z';
            bool same = x == y || (is_letter && (x ^ y) == 0x20);

            CHECK_INT(span_equal_nocase(span_of(&x, 1), span_of(&y, 1)), same);
        }
    }
}

TEST(span_starts_and_ends)
{
    CHECK(span_starts(span_text("Bearer x"), span_text("Bearer ")));
    CHECK(!span_starts(span_text("Bear"), span_text("Bearer")));
    CHECK(span_ends(span_text("a.example.com"), span_text(".com")));
    CHECK(!span_ends(span_text("com"), span_text(".com")));
}

TEST(span_finds_the_first)
{
    CHECK_INT(span_find(span_text("a:b:c"), ':'), 1);
    CHECK_INT(span_find(span_of("a\0b", 3), 0), 1);
    CHECK_INT(span_find_span(span_text("a\r\nb\r\n\r\n"), span_text("\r\n\r\n")), 4);
    CHECK_INT(span_find_span(span_text("abc"), span_text("abcd")), -1);
    CHECK_INT(span_find_span(span_text("aab"), span_text("ab")), 1);
}

TEST(span_trims_blanks_on_both_ends_only)
{
    CHECK_SPAN(span_trim(span_text(" \t\r\na b\r\n")), "a b");
    CHECK_SPAN(span_trim(span_text(" \t ")), "");
    CHECK_SPAN(span_trim(span_text("\va\f")), "\va\f");
}

static void cut_behind_the_end(void)
{
    (void)span_from(span_text("abc"), 4);
}

static void first_behind_the_end(void)
{
    (void)span_first(span_text("abc"), 4);
}

TEST(span_cuts_within_its_bounds_only)
{
    CHECK_SPAN(span_from(span_text("abc"), 1), "bc");
    CHECK_SPAN(span_from(span_text("abc"), 3), "");
    CHECK_SPAN(span_first(span_text("abc"), 2), "ab");
    check_dies(cut_behind_the_end);
    check_dies(first_behind_the_end);
}

TEST_MAIN(TEST_OF(span_of_nothing_is_equal_to_nothing), TEST_OF(span_compares_all_bytes),
          TEST_OF(span_equal_nocase_folds_ascii_letters_only), TEST_OF(span_starts_and_ends),
          TEST_OF(span_finds_the_first), TEST_OF(span_trims_blanks_on_both_ends_only),
          TEST_OF(span_cuts_within_its_bounds_only))
