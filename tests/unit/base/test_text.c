/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <jansson.h>

#include "test.h"

static char memory[4096];

static struct text text_fresh(void)
{
    struct text text;

    text_init(&text, memory, sizeof memory);
    return text;
}

TEST(text_adds_what_fits_and_remembers_what_did_not)
{
    struct text text;
    struct err err;
    char small[4];

    text_init(&text, small, sizeof small);
    text_add_str(&text, "abc");
    text_add_str(&text, "de");
    CHECK(text.overflow);
    text_add_str(&text, "f"); /* would fit, but the text has a hole already */
    CHECK_SPAN(text_span(&text), "abc");
    CHECK_INT(text_check(&text, "a name", &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK_STR(err.text, "a name is longer than 4 bytes");
    text_init(&text, small, sizeof small);
    text_add_str(&text, "abcd");
    CHECK_INT(text_check(&text, "a name", &err), 0);
    CHECK_STR(text_str(&text), "abc"); /* no room for the NUL: it takes the last byte's */
    CHECK(text.overflow);
}

TEST(text_writes_numbers_and_formats)
{
    struct text text = text_fresh();

    text_add_u64(&text, 0);
    text_add_char(&text, ' ');
    text_add_u64(&text, UINT64_MAX);
    text_addf(&text, " %d %s", -5, "x");
    CHECK_SPAN(text_span(&text), "0 18446744073709551615 -5 x");
}

TEST(text_addf_overflows_cleanly)
{
    char small[8];
    struct text text;

    text_init(&text, small, sizeof small);
    text_addf(&text, "%s", "1234567");
    CHECK(!text.overflow);
    CHECK_SPAN(text_span(&text), "1234567");
    text_addf(&text, "%d", 12);
    CHECK(text.overflow);
    CHECK_INT(text.len, 7);
}

TEST(text_writes_hex_lower_and_printable)
{
    struct text text = text_fresh();

    text_add_hex(&text, span_of("\x00\xff\x1a", 3));
    text_add_char(&text, ' ');
    text_add_lower(&text, span_text("AbC@[\xc3\x89"));
    text_add_char(&text, ' ');
    text_add_printable(&text, span_of("a\r\n\0\x1b\x7f\xc3", 7));
    CHECK_SPAN(text_span(&text), "00ff1a abc@[\xc3\x89 a\\x0d\\x0a\\x00\\x1b\\x7f\\xc3");
}

static void check_json(struct span bytes, const char *expected)
{
    struct text text = text_fresh();

    text_add_json(&text, bytes);
    CHECK_SPAN(text_span(&text), expected);
}

TEST(text_json_escapes_what_could_break_a_line_J1)
{
    check_json(span_of(NULL, 0), "\"\"");
    check_json(span_text("plain"), "\"plain\"");
    check_json(span_text("a\"b\\c/"), "\"a\\\"b\\\\c/\"");
    check_json(span_of("\r\n\t\0\x1b\x7f", 6), "\"\\u000d\\u000a\\u0009\\u0000\\u001b\\u007f\"");
    check_json(span_text("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
               "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

/* RFC 3629: overlong forms, surrogates, beyond U+10FFFF, cut off, stray continuation. */
TEST(text_json_replaces_bytes_that_are_not_utf8_J1)
{
    check_json(span_text("\xff"), "\"\\ufffd\"");
    check_json(span_text("\x80"), "\"\\ufffd\"");
    check_json(span_text("\xc0\xaf"), "\"\\ufffd\\ufffd\"");
    check_json(span_text("\xe0\x80\xaf"), "\"\\ufffd\\ufffd\\ufffd\"");
    check_json(span_text("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"");
    check_json(span_text("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
    check_json(span_text("\xe2\x82"), "\"\\ufffd\\ufffd\"");
    check_json(span_text("\xe2\x82x"), "\"\\ufffd\\ufffdx\"");
    check_json(span_text("\xc3\xa9\xc3"), "\"\xc3\xa9\\ufffd\"");
}

/* A JSON reader of others takes all we write, and it is one line. */
TEST(text_json_is_json_for_random_bytes_J1)
{
    uint64_t seed = 3;

    for (int i = 0; i < 20000; i++) {
        struct text text = text_fresh();
        uint8_t bytes[24];
        json_t *json;

        for (size_t k = 0; k < sizeof bytes; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            bytes[k] = (uint8_t)(seed >> 56);
            if (seed >> 54 & 1)
                bytes[k] |= 0x80;
        }
        text_add_json(&text, span_of(bytes, sizeof bytes));
        CHECK(span_find(text_span(&text), '\n') < 0);
        json = json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        CHECK(json != NULL && json_is_string(json));
        json_decref(json);
    }
}

static void check_base64(const char *plain, const char *encoded)
{
    struct text text = text_fresh();
    uint8_t decoded[64];
    struct err err;
    ssize_t len;

    text_add_base64(&text, span_text(plain));
    CHECK_SPAN(text_span(&text), encoded);
    len = text_read_base64(span_text(encoded), (struct room){.ptr = decoded, .len = sizeof decoded},
                           &err);
    CHECK(len >= 0);
    CHECK_SPAN(span_of(decoded, (size_t)len), plain);
}

/* The vectors of RFC 4648 section 10, and the one of docs/protocol.md section 4. */
TEST(text_base64_both_ways)
{
    check_base64("", "");
    check_base64("f", "Zg==");
    check_base64("fo", "Zm8=");
    check_base64("foo", "Zm9v");
    check_base64("foob", "Zm9vYg==");
    check_base64("fooba", "Zm9vYmE=");
    check_base64("foobar", "Zm9vYmFy");
    check_base64("cse_1:tok", "Y3NlXzE6dG9r");
}

TEST(text_base64url_has_no_padding)
{
    struct text text = text_fresh();

    text_add_base64url(&text, span_of("\xfb\xff\xfe\xff", 4));
    CHECK_SPAN(text_span(&text), "-__-_w");
}

TEST(text_read_base64_is_strict)
{
    static const char *const bad[] = {
        "Zg",   "Zg=",  "Z===", "====", "Zh==",     "Zm9=",   "Zm9v\n",
        "Zm9 ", "Zg=v", "=Zg=", "Zm-v", "Zg==Zg==", "Zm\x80v"};
    uint8_t out[8];
    struct err err;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(text_read_base64(span_text(bad[i]), (struct room){.ptr = out, .len = 8}, &err),
                  -1);
        CHECK_INT(err.code, ERR_SYNTAX);
    }
    CHECK_INT(text_read_base64(span_of("Zm\0v", 4), (struct room){.ptr = out, .len = 8}, &err), -1);
    CHECK_INT(text_read_base64(span_text("Zm9v"), (struct room){.ptr = out, .len = 2}, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK_INT(text_read_base64(span_text("Zm9v"), (struct room){.ptr = out, .len = 3}, &err), 3);
}

TEST_MAIN(TEST_OF(text_adds_what_fits_and_remembers_what_did_not),
          TEST_OF(text_writes_numbers_and_formats), TEST_OF(text_addf_overflows_cleanly),
          TEST_OF(text_writes_hex_lower_and_printable),
          TEST_OF(text_json_escapes_what_could_break_a_line_J1),
          TEST_OF(text_json_replaces_bytes_that_are_not_utf8_J1),
          TEST_OF(text_json_is_json_for_random_bytes_J1), TEST_OF(text_base64_both_ways),
          TEST_OF(text_base64url_has_no_padding), TEST_OF(text_read_base64_is_strict))
