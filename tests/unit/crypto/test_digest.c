/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/digest.h"

#include "base/text.h"
#include "test.h"

static const char *hex(struct span bytes)
{
    static char memory[129];
    struct text text;

    text_init(&text, memory, sizeof memory);
    text_add_hex(&text, bytes);
    return text_str(&text);
}

TEST(digest_sha1_of_abc)
{
    uint8_t out[DIGEST_SHA1];

    digest_sha1(span_text("abc"), out);
    CHECK_STR(hex(span_of(out, sizeof out)), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

/* RFC 6455 section 1.3: the accept value of a WebSocket opening. */
TEST(digest_sha1_of_a_websocket_key)
{
    uint8_t out[DIGEST_SHA1];

    digest_sha1(span_text("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"), out);
    CHECK_STR(hex(span_of(out, sizeof out)), "b37a4f2cc0624f1690f64606cf385945b2bec4ea");
}

TEST(digest_sha256_of_abc_and_of_nothing)
{
    uint8_t out[DIGEST_SHA256];

    digest_sha256(span_text("abc"), out);
    CHECK_STR(hex(span_of(out, sizeof out)),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_sha256(span_of(NULL, 0), out);
    CHECK_STR(hex(span_of(out, sizeof out)),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(digest_of_parts_is_digest_of_the_whole)
{
    const struct span parts[] = {span_text("a"), span_of(NULL, 0), span_text("bc")};
    uint8_t whole[DIGEST_SHA256];
    uint8_t out[DIGEST_SHA256];

    digest_sha256(span_text("abc"), whole);
    digest_sha256_parts(parts, 3, out);
    CHECK(span_equal(span_of(out, sizeof out), span_of(whole, sizeof whole)));
}

TEST(digest_random_gives_other_bytes_each_time)
{
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};
    struct err err;

    CHECK_INT(digest_random((struct room){a, sizeof a}, &err), 0);
    CHECK_INT(digest_random((struct room){b, sizeof b}, &err), 0);
    CHECK(!span_equal(span_of(a, sizeof a), span_of(b, sizeof b)));
}

TEST(digest_setup_can_be_called_twice)
{
    struct err err;

    CHECK_INT(digest_setup(&err), 0);
    CHECK_INT(digest_setup(&err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(digest_sha1_of_abc),
        TEST_OF(digest_sha1_of_a_websocket_key),
        TEST_OF(digest_sha256_of_abc_and_of_nothing),
        TEST_OF(digest_of_parts_is_digest_of_the_whole),
        TEST_OF(digest_random_gives_other_bytes_each_time),
        TEST_OF(digest_setup_can_be_called_twice),
    };
    struct err err;

    if (digest_setup(&err) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
