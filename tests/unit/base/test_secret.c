/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include "base/limits.h"
#include "test.h"

TEST(secret_is_a_copy)
{
    char token[] = "token";
    struct secret secret;
    struct err err;

    CHECK_INT(secret_init(&secret, span_text(token), &err), 0);
    memset(token, 'x', sizeof token);
    CHECK_SPAN(secret_span(&secret), "token");
    secret_fini(&secret);
    CHECK(secret.ptr == NULL && secret.len == 0);
    secret_fini(&secret); /* twice is safe */
}

TEST(secret_may_be_empty_and_has_a_limit)
{
    static uint8_t bytes[LIMIT_SECRET + 1];
    struct secret secret;
    struct err err;

    CHECK_INT(secret_init(&secret, span_of(NULL, 0), &err), 0);
    CHECK_INT(secret_span(&secret).len, 0);
    secret_fini(&secret);
    CHECK_INT(secret_init(&secret, span_of(bytes, LIMIT_SECRET), &err), 0);
    secret_fini(&secret);
    CHECK_INT(secret_init(&secret, span_of(bytes, LIMIT_SECRET + 1), &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    secret_fini(&secret);
}

TEST(secret_moves_and_leaves_nothing_behind)
{
    struct secret from;
    struct secret to;
    struct err err;
    const uint8_t *place;

    CHECK_INT(secret_init(&from, span_text("new"), &err), 0);
    CHECK_INT(secret_init(&to, span_text("old"), &err), 0);
    place = from.ptr;
    secret_move(&to, &from);
    CHECK(to.ptr == place); /* moved, not copied */
    CHECK_SPAN(secret_span(&to), "new");
    CHECK(from.ptr == NULL && from.len == 0);
    secret_fini(&to);
}

TEST(secret_equal_sees_every_bit)
{
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};

    CHECK(secret_equal(span_of(a, 32), span_of(b, 32)));
    for (size_t bit = 0; bit < 256; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK(!secret_equal(span_of(a, 32), span_of(b, 32)));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    CHECK(!secret_equal(span_of(a, 32), span_of(b, 31)));
    CHECK(secret_equal(span_of(NULL, 0), span_of(NULL, 0)));
}

TEST_MAIN(TEST_OF(secret_is_a_copy), TEST_OF(secret_may_be_empty_and_has_a_limit),
          TEST_OF(secret_moves_and_leaves_nothing_behind), TEST_OF(secret_equal_sees_every_bit))
