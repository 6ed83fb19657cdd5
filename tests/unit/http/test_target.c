/* SPDX-License-Identifier: Apache-2.0 */
#include "http/target.h"

#include "fixture.h"

static int target_result(struct span text, struct target *target)
{
    err_clear(&fixture_err);
    return target_read(text, arena_fresh(), target, &fixture_err);
}

static void check_path(const char *text, const char *path)
{
    struct target target;

    CHECK_INT(target_result(span_text(text), &target), 0);
    CHECK_INT(target.form, TARGET_ORIGIN);
    CHECK_SPAN(target.path, path);
}

static void check_refused(const char *text)
{
    struct target target;

    CHECK_INT(target_result(span_text(text), &target), -1);
    CHECK_INT(fixture_err.code, ERR_TARGET);
}

TEST(target_decodes_unreserved_and_nothing_else)
{
    check_path("/", "/");
    check_path("/a/b.c", "/a/b.c");
    check_path("/%61%2d%7E%5f%2E%30", "/a-~_.0");
    check_path("/%2f%3a%c3%a9%0d%0a%20", "/%2F%3A%C3%A9%0D%0A%20");
    check_path("/a;b=c,d!$&'()*+:@", "/a;b=c,d!$&'()*+:@");
    check_path("/%2561", "/%2561"); /* once, never twice */
    check_path("//a//b//", "//a//b//");
}

TEST(target_removes_dot_segments_E12)
{
    check_path("/a/./b", "/a/b");
    check_path("/a/../b", "/b");
    check_path("/a/b/..", "/a/");
    check_path("/a/b/.", "/a/b/");
    check_path("/.", "/");
    check_path("/a/..", "/");
    check_path("/./././a", "/a");
    check_path("/a/b/c/./../../g", "/a/g"); /* RFC 3986 section 5.2.4 */
    check_path("/a/%2e%2e/b", "/b");
    check_path("/a/.%2E/b", "/b");
    check_path("/a/%2e/b", "/a/b");
    check_path("/a//../b", "/a/b");
    check_path("/a/...", "/a/...");
    check_path("/a/..b/.c", "/a/..b/.c");
    check_path("/public/../admin", "/admin");
}

TEST(target_refuses_to_leave_the_root_E12)
{
    check_refused("/..");
    check_refused("/../a");
    check_refused("/a/../..");
    check_refused("/a/../../b");
    check_refused("/%2e%2e/a");
}

/* What a server that decodes first, or drops ";..." first, would take for dots. */
TEST(target_refuses_dot_segments_in_disguise_E12)
{
    static const char *const bad[] = {
        "/a/%2e%2fb",  "/a/..%2fb", "/a/..%5cb",   "/a/b%2F..", "/a/b%5c..",  "/a/b%2f..%2fc",
        "/a/.%2Fb",    "/a/..;/b",  "/a/..;x=y/b", "/a/.;/b",   "/a/..%3b/b", "/a/%2e%2e;/b",
        "/a/b%2F.%5C", "/..%2F",    "/a/%2f..",    "/a/b;..",   "/..;",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_refused(bad[i]);
    check_path("/a%2Fb/c%5Cd", "/a%2Fb/c%5Cd");
    check_path("/repos/a%2Fb..c/x;y", "/repos/a%2Fb..c/x;y");
    check_path("/a..;b", "/a..;b");
}

TEST(target_refuses_bad_escapes_and_nul_E12)
{
    check_refused("/%");
    check_refused("/%a");
    check_refused("/%zz");
    check_refused("/%0g");
    check_refused("/a%");
    check_refused("/%%41");
    check_refused("/%00");
    check_refused("/a%00b");
    check_refused("/?%");
    check_refused("/?a=%z1");
}

/* J1, A5: all 256 bytes, in the path and in the query. */
TEST(target_knows_the_bytes_of_the_uri_grammar)
{
    for (int byte = 0; byte < 256; byte++) {
        char path[] = "/a@b";
        char query[] = "/?a@b";
        struct target target;
        bool is_path = byte != 0 && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789-._~!$&'()*+,;=:@/?",
                                           byte) != NULL;
        bool is_query = byte > 0x20 && byte < 0x7f && byte != '#' && byte != '%';

        path[2] = (char)byte;
        query[3] = (char)byte;
        CHECK_INT(target_result(span_of(path, 4), &target), is_path ? 0 : -1);
        CHECK_INT(target_result(span_of(query, 5), &target), is_query ? 0 : -1);
        if (is_query)
            CHECK(span_equal(target.query, span_of(query + 1, 4)));
    }
}

TEST(target_leaves_the_query_as_it_is)
{
    struct target target;

    CHECK_INT(target_result(span_text("/a/../b?x=/../%2e%2F&y[]=1?z"), &target), 0);
    CHECK_SPAN(target.path, "/b");
    CHECK_SPAN(target.query, "?x=/../%2e%2F&y[]=1?z");
    CHECK_INT(target_result(span_text("/?"), &target), 0);
    CHECK_SPAN(target.query, "?");
}

TEST(target_refuses_fragments_and_other_forms)
{
    check_refused("");
    check_refused("a");
    check_refused("a/b");
    check_refused("**");
    check_refused("/a#b");
    check_refused("/?a#b");
    check_refused("example.com:443");
    check_refused("?a");
    check_refused("\\a");
}

TEST(target_knows_the_asterisk)
{
    struct target target;

    CHECK_INT(target_result(span_text("*"), &target), 0);
    CHECK_INT(target.form, TARGET_ASTERISK);
    CHECK_SPAN(target.path, "*");
    CHECK_INT(target.query.len, 0);
}

static void check_absolute(const char *text, const char *host, uint16_t port, const char *rest)
{
    struct target target;
    char both[64];

    CHECK_INT(target_result(span_text(text), &target), 0);
    CHECK_INT(target.form, TARGET_ABSOLUTE);
    CHECK_STR(target.host.name, host);
    CHECK_INT(target.port, port);
    CHECK_SPAN(target.scheme, port == 80 ? "http" : "https");
    (void)snprintf(both, sizeof both, "%.*s%.*s", (int)target.path.len,
                   (const char *)target.path.ptr, (int)target.query.len,
                   (const char *)target.query.ptr);
    CHECK_STR(both, rest);
}

TEST(target_reads_absolute_form_A9)
{
    check_absolute("http://A.example", "a.example", 80, "/");
    check_absolute("HTTPS://a.example./x/../y?z", "a.example", 443, "/y?z");
    check_absolute("https://a.example:8443/", "a.example", 8443, "/");
    check_absolute("https://[::1]:443?q", "::1", 443, "/?q");
    check_refused("http://");
    check_refused("http:///a");
    check_refused("http:/a");
    check_refused("http:a");
    check_refused("ftp://a/");
    check_refused("httpx://a/");
    check_refused("http://user@a/");
    check_refused("http://user:pw@a/");
    check_refused("http://a:0/");
    check_refused("http://a:/");
    check_refused("http://0x7f.1/");
    check_refused("http://a#b");
    check_refused("http://a\\@b/");
    check_refused("://a/");
}

TEST(target_has_limits)
{
    static char text[LIMIT_TARGET + 2];
    struct arena small;
    struct target target;

    memset(text, 'a', sizeof text);
    text[0] = '/';
    CHECK_INT(target_result(span_of(text, LIMIT_TARGET), &target), 0);
    CHECK_INT(target.path.len, LIMIT_TARGET);
    CHECK_INT(target_result(span_of(text, LIMIT_TARGET + 1), &target), -1);
    arena_init(&small, &fixture_blocks, 16);
    CHECK_INT(target_read(span_of(text, 17), &small, &target, &fixture_err), -1);
    CHECK_INT(fixture_err.code, ERR_MEMORY);
}

/* Normal form: what comes out is what goes in the next time. */
TEST(target_is_stable_when_read_again)
{
    static const char *const texts[] = {"/a/../b/./c", "/%7e%2f%41", "//x/..//y", "/a/b/../",
                                        "/%25%32%65"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct target target;
        char once[64];

        CHECK_INT(target_result(span_text(texts[i]), &target), 0);
        memcpy(once, target.path.ptr, target.path.len);
        once[target.path.len] = '\0';
        check_path(once, once);
    }
}

TEST_MAIN(TEST_OF(target_decodes_unreserved_and_nothing_else),
          TEST_OF(target_removes_dot_segments_E12), TEST_OF(target_refuses_to_leave_the_root_E12),
          TEST_OF(target_refuses_dot_segments_in_disguise_E12),
          TEST_OF(target_refuses_bad_escapes_and_nul_E12),
          TEST_OF(target_knows_the_bytes_of_the_uri_grammar),
          TEST_OF(target_leaves_the_query_as_it_is),
          TEST_OF(target_refuses_fragments_and_other_forms), TEST_OF(target_knows_the_asterisk),
          TEST_OF(target_reads_absolute_form_A9), TEST_OF(target_has_limits),
          TEST_OF(target_is_stable_when_read_again))
