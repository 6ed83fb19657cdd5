/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials into header fields. */
#include "policy/inject.h"

#include "test.h"

static struct pool pool;
static struct arena arena;
static struct http_fields fields;

#define TEXT(literal)                                                                              \
    {                                                                                              \
        (const uint8_t *)(literal), sizeof(literal) - 1                                            \
    }

static struct injection bearer[] = {
    {.header = TEXT("authorization"), .before = TEXT("Bearer "), .after = TEXT("")},
    {.header = TEXT("x-api-key"), .before = TEXT(""), .after = TEXT("!"), .credential = 1}};
static const struct rule rule = {.injections = bearer, .injection_count = 2};
static struct span values[] = {TEXT("s3cret"), TEXT("key")};

static void start(void)
{
    struct err err;

    arena_reset(&arena);
    CHECK_INT(http_fields_init(&fields, &arena, 8, &err), 0);
}

static void add(const char *name, const char *value)
{
    struct err err;

    CHECK_INT(http_fields_add(&fields, span_text(name), span_text(value), &err), 0);
}

static const struct http_field *find(const char *name)
{
    return http_fields_find(&fields, span_text(name), NULL);
}

TEST(the_value_stands_in_its_format_in_its_header_D3)
{
    struct err err;

    start();
    add("Host", "a.com");
    CHECK_INT(inject_fields(&rule, values, &arena, &fields, &err), 0);
    CHECK_INT(fields.count, 3);
    CHECK_SPAN(find("host")->value, "a.com");
    CHECK_SPAN(find("authorization")->value, "Bearer s3cret");
    CHECK_SPAN(find("x-api-key")->value, "key!");
}

TEST(a_field_that_is_not_due_goes_and_none_is_added_C9)
{
    const struct span first[] = {TEXT("s3cret"), {NULL, 0}};
    struct err err;

    start();
    add("X-Api-Key", "mine");
    CHECK_INT(inject_fields(&rule, first, &arena, &fields, &err), 0);
    CHECK_INT(fields.count, 1);
    CHECK_SPAN(find("authorization")->value, "Bearer s3cret");
    CHECK(find("x-api-key") == NULL);
}

TEST(every_copy_of_the_client_goes_and_exactly_one_stays_C9)
{
    struct err err;

    start();
    add("Authorization", "Bearer mine");
    add("AUTHORIZATION", "again");
    add("X_Api_Key", "mine");
    add("x-api_key", "mine");
    add("X-Api-Key", "mine");
    add("X-Api-Keys", "stays");
    CHECK_INT(inject_fields(&rule, values, &arena, &fields, &err), 0);
    CHECK_INT(fields.count, 3);
    CHECK_INT(http_fields_count(&fields, span_text("authorization")), 1);
    CHECK_INT(http_fields_count(&fields, span_text("x-api-key")), 1);
    CHECK_SPAN(find("authorization")->value, "Bearer s3cret");
    CHECK_SPAN(find("x-api-key")->value, "key!");
    CHECK_SPAN(find("x-api-keys")->value, "stays");
}

TEST(a_value_that_is_no_field_value_is_refused_and_not_shown_D5)
{
    static const char *const bad[] = {"a\rb", "a\nb", "\x01", "a\x7f", "\xc3\xa9", " a", "a\t", ""};
    struct err err;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct span broken[] = {values[0], span_text(bad[i])};

        CHECK_INT(inject_check_value(broken[1], &err), -1);
        CHECK_INT(err.code, ERR_CONFIG);
        start();
        CHECK_INT(inject_fields(&rule, broken, &arena, &fields, &err), -1);
        CHECK_INT(err.code, ERR_CREDENTIAL);
        CHECK(strstr(err.text, "x-api-key") != NULL);
        CHECK(strstr(err.text, "s3cret") == NULL);
    }
    CHECK_INT(inject_check_value(span_of("a\0b", 3), &err), -1);
    CHECK(strstr(err.text, "at 1") != NULL);
}

TEST(a_value_has_a_longest_length_D5)
{
    static uint8_t value[LIMIT_SECRET + 1];
    struct err err;

    memset(value, 'k', sizeof value);
    CHECK_INT(inject_check_value(span_of(value, LIMIT_SECRET), &err), 0);
    CHECK_INT(inject_check_value(span_of(value, LIMIT_SECRET + 1), &err), -1);
    CHECK_INT(inject_check_value(span_text("inner blank\tis fine"), &err), 0);
}

TEST(injected_values_are_wiped_and_others_stay_D8)
{
    struct span secret;
    struct err err;

    start();
    add("accept", "text/plain");
    CHECK_INT(inject_fields(&rule, values, &arena, &fields, &err), 0);
    secret = find("authorization")->value;
    inject_wipe(&rule, &fields);
    CHECK_INT(secret.len, 13);
    for (size_t i = 0; i < secret.len; i++)
        CHECK_INT(secret.ptr[i], 0);
    CHECK_SPAN(find("accept")->value, "text/plain");
}

TEST(what_was_injected_before_an_error_is_wiped_D8)
{
    struct span broken[] = {values[0], span_text("a\nb")};
    struct err err;

    start();
    CHECK_INT(inject_fields(&rule, broken, &arena, &fields, &err), -1);
    CHECK_INT(find("authorization")->value.ptr[7], 0);
}

TEST(no_room_for_a_field_is_an_error)
{
    struct err err;

    start();
    for (int i = 0; i < 7; i++)
        add("x-other", "1");
    CHECK_INT(inject_fields(&rule, values, &arena, &fields, &err), -1);
    CHECK_INT(err.code, ERR_TOO_LARGE);
}

static int setup(void **state)
{
    (void)state;
    pool_init(&pool, LIMIT_ARENA_BLOCK, 64, 0);
    arena_init(&arena, &pool, 1 << 16);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    pool_fini(&pool);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(the_value_stands_in_its_format_in_its_header_D3),
        TEST_OF(a_field_that_is_not_due_goes_and_none_is_added_C9),
        TEST_OF(every_copy_of_the_client_goes_and_exactly_one_stays_C9),
        TEST_OF(a_value_that_is_no_field_value_is_refused_and_not_shown_D5),
        TEST_OF(a_value_has_a_longest_length_D5),
        TEST_OF(injected_values_are_wiped_and_others_stay_D8),
        TEST_OF(what_was_injected_before_an_error_is_wiped_D8),
        TEST_OF(no_room_for_a_field_is_an_error),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
