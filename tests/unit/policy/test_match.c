/* SPDX-License-Identifier: Apache-2.0 */
/* Host patterns and path globs. */
#include "policy/match.h"

#include "test.h"

static struct pool pool;
static struct arena arena;

static int read_pattern(const char *text, struct host_pattern *pattern, struct err *err)
{
    err_clear(err);
    return match_read_host_pattern(span_text(text), &arena, pattern, err);
}

static bool is_match(const char *pattern_text, const char *host_text)
{
    struct host_pattern pattern;
    struct host host;
    struct err err;

    CHECK_INT(read_pattern(pattern_text, &pattern, &err), 0);
    CHECK_INT(target_read_host(span_text(host_text), &host, &err), 0);
    return match_host(&pattern, &host);
}

static bool is_path(const char *glob, const char *path)
{
    return match_path(span_text(glob), span_text(path));
}

TEST(an_exact_pattern_matches_its_host_and_no_other_E11)
{
    CHECK(is_match("a.com", "a.com"));
    CHECK(!is_match("a.com", "x.a.com"));
    CHECK(!is_match("a.com", "xa.com"));
    CHECK(!is_match("a.com", "a.com.evil"));
    CHECK(!is_match("a.com", "a.co"));
    CHECK(!is_match("x.a.com", "a.com"));
}

TEST(a_pattern_below_matches_whole_labels_E11)
{
    CHECK(is_match("*.a.com", "x.a.com"));
    CHECK(is_match("*.a.com", "y.x.a.com"));
    CHECK(!is_match("*.a.com", "a.com"));
    CHECK(!is_match("*.a.com", "xa.com"));
    CHECK(!is_match("*.a.com", "x.xa.com"));
    CHECK(!is_match("*.a.com", "a.com.evil"));
    CHECK(!is_match("*.a.com", "x.a.com.evil"));
}

TEST(every_spelling_of_a_name_gets_the_same_answer_E1_E2)
{
    CHECK(is_match("a.com", "A.com."));
    CHECK(is_match("A.COM.", "a.com"));
    CHECK(is_match("*.A.Com", "X.a.com."));
}

TEST(an_address_is_matched_by_itself_only_C5)
{
    CHECK(is_match("*", "a.com"));
    CHECK(!is_match("*", "10.0.0.1"));
    CHECK(!is_match("*", "[::1]"));
    CHECK(is_match("10.0.0.1", "10.0.0.1"));
    CHECK(!is_match("10.0.0.1", "10.0.0.11"));
    CHECK(is_match("[::1]", "[0:0::1]"));
}

TEST(patterns_that_are_no_hosts_are_refused_E3_E4)
{
    static const char *const bad[] = {
        "",           "a..com",     "*.",       "**",      "a.*.com",     "*a.com",  "a.*",
        "*.*.com",    "a com",      "http://a", "a.com/x", "a.com:443",   "u@a.com", "0177.1",
        "0x7f000001", "*.10.0.0.1", "*.[::1]",  "[::1",    "\xc3\xa9.com"};
    struct host_pattern pattern;
    struct err err;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (read_pattern(bad[i], &pattern, &err) == 0)
            print_error("'%s' was taken\n", bad[i]);
        CHECK_INT(read_pattern(bad[i], &pattern, &err), -1);
        CHECK_INT(err.code, ERR_CONFIG);
        CHECK(err.text[0] != 0);
    }
}

TEST(a_star_stays_within_a_segment)
{
    CHECK(is_path("/v1/*", "/v1/users"));
    CHECK(is_path("/v1/*", "/v1/"));
    CHECK(!is_path("/v1/*", "/v1"));
    CHECK(!is_path("/v1/*", "/v1/users/7"));
    CHECK(is_path("/v1/*/keys", "/v1/users/keys"));
    CHECK(!is_path("/v1/*/keys", "/v1/users/7/keys"));
    CHECK(is_path("/a*b*c", "/aXbYbZc"));
    CHECK(!is_path("/a*b", "/a/b"));
}

TEST(two_stars_cross_segments)
{
    CHECK(is_path("/api/**", "/api/"));
    CHECK(is_path("/api/**", "/api/x/y/z"));
    CHECK(!is_path("/api/**", "/api"));
    CHECK(!is_path("/api/**", "/apix/y"));
    CHECK(is_path("**", "*"));
    CHECK(is_path("**", ""));
    CHECK(is_path("**/keys", "/v1/users/7/keys"));
    CHECK(is_path("/**/a/*/b", "/x/a/a/y/b"));
    CHECK(!is_path("/**/a/*/b", "/x/a/y/z/b"));
}

TEST(a_path_matches_as_a_whole_and_byte_for_byte_E12)
{
    CHECK(is_path("/admin", "/admin"));
    CHECK(!is_path("/admin", "/admin/"));
    CHECK(!is_path("/admin", "/x/admin"));
    CHECK(!is_path("/admin", "/Admin"));
    CHECK(!is_path("/admin/**", "//admin/x"));
    CHECK(is_path("/a%2Fb", "/a%2Fb"));
    CHECK(!is_path("/a/b", "/a%2Fb"));
    CHECK(!is_path("", "/"));
    CHECK(is_path("", ""));
}

/* A backtracking matcher needs longer than the age of the world for this one. */
TEST(no_path_makes_a_glob_slow)
{
    static uint8_t path[LIMIT_TARGET];
    char glob[MATCH_GLOB_MAX + 1];

    memset(path, 'a', sizeof path);
    path[0] = '/';
    glob[0] = '/';
    for (size_t i = 1; i + 4 < MATCH_GLOB_MAX; i += 3)
        memcpy(glob + i, "**a", 4);
    CHECK(match_path(span_text(glob), span_of(path, sizeof path)));
    glob[strlen(glob) - 1] = 'b';
    CHECK(!match_path(span_text(glob), span_of(path, sizeof path)));
}

TEST(globs_that_could_never_match_are_refused_E12)
{
    static const char *const bad[] = {"",     "api",   "/a b",  "/a?x=1", "/a#x", "/%2f", "/%7E",
                                      "/%41", "/%",    "/%4",   "/%00",   "/%zz", "/./a", "/a/..",
                                      "/***", "/\x7f", "/\xc3", "/a\\b",  "*/x",  "/a\"b"};
    static const char *const good[] = {"/",      "/**",           "**",       "*",
                                       "/a%2Fb", "/%20",          "/a;v=1/*", "/...",
                                       "/.a",    "/@:!$&'()+,;=", "**.git/**"};
    struct err err;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        err_clear(&err);
        if (match_check_glob(span_text(bad[i]), &err) == 0)
            print_error("'%s' was taken\n", bad[i]);
        CHECK_INT(match_check_glob(span_text(bad[i]), &err), -1);
        CHECK_INT(err.code, ERR_CONFIG);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK_INT(match_check_glob(span_text(good[i]), &err), 0);
}

TEST(a_glob_has_a_longest_length)
{
    char glob[MATCH_GLOB_MAX + 2] = "/";
    struct err err;

    memset(glob + 1, 'a', MATCH_GLOB_MAX);
    CHECK_INT(match_check_glob(span_text(glob), &err), -1);
    glob[MATCH_GLOB_MAX] = 0;
    CHECK_INT(match_check_glob(span_text(glob), &err), 0);
    CHECK(match_path(span_text(glob), span_text(glob)));
}

static bool is_covered(const char *wide_text, const char *narrow_text)
{
    struct host_pattern wide;
    struct host_pattern narrow;
    struct err err;

    CHECK_INT(read_pattern(wide_text, &wide, &err), 0);
    CHECK_INT(read_pattern(narrow_text, &narrow, &err), 0);
    return match_covers(&wide, &narrow);
}

TEST(a_wider_pattern_covers_a_narrower_one)
{
    CHECK(is_covered("*", "a.com"));
    CHECK(is_covered("*", "*.a.com"));
    CHECK(is_covered("*", "*"));
    CHECK(!is_covered("*", "10.0.0.1"));
    CHECK(is_covered("*.com", "*.a.com"));
    CHECK(is_covered("*.com", "a.com"));
    CHECK(is_covered("*.a.com", "*.a.com"));
    CHECK(!is_covered("*.a.com", "a.com"));
    CHECK(!is_covered("*.a.com", "*.com"));
    CHECK(!is_covered("*.a.com", "*"));
    CHECK(!is_covered("a.com", "*.a.com"));
    CHECK(is_covered("a.com", "a.com"));
    CHECK(is_covered("10.0.0.1", "10.0.0.1"));
}

static int setup(void **state)
{
    (void)state;
    pool_init(&pool, LIMIT_ARENA_BLOCK, 1024, 0);
    arena_init(&arena, &pool, 1 << 20);
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
        TEST_OF(an_exact_pattern_matches_its_host_and_no_other_E11),
        TEST_OF(a_pattern_below_matches_whole_labels_E11),
        TEST_OF(every_spelling_of_a_name_gets_the_same_answer_E1_E2),
        TEST_OF(an_address_is_matched_by_itself_only_C5),
        TEST_OF(patterns_that_are_no_hosts_are_refused_E3_E4),
        TEST_OF(a_star_stays_within_a_segment),
        TEST_OF(two_stars_cross_segments),
        TEST_OF(a_path_matches_as_a_whole_and_byte_for_byte_E12),
        TEST_OF(no_path_makes_a_glob_slow),
        TEST_OF(globs_that_could_never_match_are_refused_E12),
        TEST_OF(a_glob_has_a_longest_length),
        TEST_OF(a_wider_pattern_covers_a_narrower_one),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
