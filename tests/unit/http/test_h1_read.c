/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1_read.h"

#include <ctype.h>

#include "base/text.h"
#include "fixture.h"

/* `head` with `byte` in place of its '@'. */
static enum err_code request_error_with(const char *head, uint8_t byte)
{
    char bytes[256];
    struct span text = span_text(head);
    ssize_t at = span_find(text, '@');
    struct http_request request;

    ENSURE(at >= 0 && text.len < sizeof bytes);
    memcpy(bytes, text.ptr, text.len);
    bytes[at] = (char)byte;
    return request_read_span(span_of(bytes, text.len), &request) < 0 ? fixture_err.code : ERR_OK;
}

TEST(h1_read_request_gives_all_parts)
{
    static const char head[] = "POST /a?b=c HTTP/1.1\r\nHost: a.example\r\nX-Empty:\r\n"
                               "Accept: \t text/html,  */* \t\r\nContent-Length: 12\r\n\r\nbody";
    struct http_request request;

    CHECK_INT(request_read(head, &request), (ssize_t)(sizeof head - 1 - 4));
    CHECK_SPAN(request.method, "POST");
    CHECK_SPAN(request.target, "/a?b=c");
    CHECK_INT(request.version, HTTP_1_1);
    CHECK_INT(request.fields.count, 4);
    CHECK(request.fields.cap >= 4 + H1_FIELDS_SPARE);
    CHECK_SPAN(request.fields.items[0].name, "Host");
    CHECK_SPAN(request.fields.items[0].value, "a.example");
    CHECK_SPAN(request.fields.items[1].name, "X-Empty");
    CHECK_SPAN(request.fields.items[1].value, "");
    CHECK_SPAN(request.fields.items[2].value, "text/html,  */*");
    CHECK_INT(request.framing.body, HTTP_BODY_LENGTH);
    CHECK_INT(request.framing.length, 12);
}

TEST(h1_read_waits_for_every_byte_and_scans_none_twice)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
    struct http_request request;
    size_t scanned = 0;

    (void)arena_fresh();
    for (size_t len = 0; len < sizeof head - 1; len++) {
        CHECK_INT(
            h1_read_request(span_of(head, len), &scanned, &fixture_arena, &request, &fixture_err),
            0);
        CHECK_INT(scanned, len);
    }
    CHECK_INT(h1_read_request(span_of(head, sizeof head - 1), &scanned, &fixture_arena, &request,
                              &fixture_err),
              (ssize_t)sizeof head - 1);
}

TEST(h1_read_refuses_folded_and_blank_led_fields_A4)
{
    CHECK_INT(fields_error("X: a\r\n b\r\n"), ERR_SYNTAX);
    CHECK_INT(fields_error("X: a\r\n\tb\r\n"), ERR_SYNTAX);
    CHECK_INT(fields_error("X: a\r\n \r\n"), ERR_SYNTAX);
    CHECK_INT(fields_error("X : a\r\n"), ERR_SYNTAX);
    CHECK_INT(fields_error("X\t: a\r\n"), ERR_SYNTAX);
    CHECK_INT(request_error("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), ERR_SYNTAX);
    CHECK_INT(fields_error("X\r\n"), ERR_SYNTAX);
    CHECK_INT(fields_error(": a\r\n"), ERR_SYNTAX);
    CHECK_INT(response_error("HTTP/1.1 200 x\r\nX: a\r\n b\r\n\r\n", "GET"), ERR_ORIGIN_SYNTAX);
    CHECK_INT(response_error("HTTP/1.1 200 x\r\nX : a\r\n\r\n", "GET"), ERR_ORIGIN_SYNTAX);
}

TEST(h1_read_refuses_bare_lf_A5)
{
    CHECK_INT(request_error("GET / HTTP/1.1\nHost: a\r\n\r\n"), ERR_SYNTAX);
    CHECK_INT(request_error("GET / HTTP/1.1\r\nHost: a\n\r\n"), ERR_SYNTAX);
    CHECK_INT(request_error("GET / HTTP/1.1\r\nHost: a\r\n\n"), ERR_SYNTAX);
    CHECK_INT(request_error("GET / HTTP/1.1\r\nHost: a\n\n"), ERR_SYNTAX);
    CHECK_INT(response_error("HTTP/1.1 200 x\nX: a\r\n\r\n", "GET"), ERR_ORIGIN_SYNTAX);
}

TEST(h1_read_refuses_bare_cr_A5)
{
    CHECK_INT(request_error("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_SYNTAX);
    CHECK_INT(fields_error("X: a\rb\r\n"), ERR_SYNTAX);
    CHECK_INT(fields_error("X: a\r\r\n"), ERR_SYNTAX);
    CHECK_INT(fields_error("\rX: a\r\n"), ERR_SYNTAX);
    CHECK_INT(response_error("HTTP/1.1 200 \r\r\n\r\n", "GET"), ERR_ORIGIN_SYNTAX);
}

/* 0 of 256 bytes where RFC 9110 forbids it, NUL among them. */
TEST(h1_read_lets_no_forbidden_byte_through_A5)
{
    for (int i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        bool is_value = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
        bool is_tchar = isalnum(byte) || (byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);

        CHECK_INT(request_error_with("GET / HTTP/1.1\r\nHost: a\r\nX: a@b\r\n\r\n", byte),
                  is_value ? ERR_OK : ERR_SYNTAX);
        /* A second colon ends the name early, which is a value then. */
        CHECK_INT(request_error_with("GET / HTTP/1.1\r\nHost: a\r\nX@X: a\r\n\r\n", byte),
                  is_tchar || byte == ':' ? ERR_OK : ERR_SYNTAX);
        CHECK_INT(request_error_with("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", byte),
                  is_tchar ? ERR_OK : ERR_SYNTAX);
        CHECK_INT(request_error_with("GET /@ HTTP/1.1\r\nHost: a\r\n\r\n", byte),
                  byte > 0x20 && byte < 0x7f ? ERR_OK : ERR_SYNTAX);
    }
}

TEST(h1_read_request_refuses_other_start_lines)
{
    static const char *const bad[] = {
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.\r\nHost: a\r\n\r\n",
        "GET / HTTP/11\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.10\r\nHost: a\r\n\r\n",
        "GET / HTTPS/1.1\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\x16\x03\x01\x02",
    };
    static const char *const unsupported[] = {
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        "GET / HTTP/0.9\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(request_error(bad[i]), ERR_SYNTAX);
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++)
        CHECK_INT(request_error(unsupported[i]), ERR_UNSUPPORTED);
}

/* Every form of target passes here, to be compared with the tunnel's host by the caller (A9). */
TEST(h1_read_request_hands_every_target_form_on_A9)
{
    struct http_request request;

    CHECK(request_read("GET http://other/ HTTP/1.1\r\n" HOST "\r\n", &request) > 0);
    CHECK_SPAN(request.target, "http://other/");
    CHECK(request_read("CONNECT other:443 HTTP/1.1\r\n" HOST "\r\n", &request) > 0);
    CHECK_SPAN(request.target, "other:443");
    CHECK(request_read("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", &request) > 0);
    CHECK_SPAN(request.target, "*");
}

/* A request with a target, one field value and `count` fields of the given lengths. */
static enum err_code request_error_sized(size_t target, size_t value, size_t count)
{
    static char memory[4 * LIMIT_HEAD];
    static char filler[2 * LIMIT_HEAD];
    struct http_request request;
    struct text text;

    memset(filler, 'a', sizeof filler);
    text_init(&text, memory, sizeof memory);
    text_add_str(&text, "GET /");
    text_add(&text, span_of(filler, target - 1));
    text_add_str(&text, " HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 0; i < count; i++) {
        text_add_str(&text, "X:");
        text_add(&text, span_of(filler, value));
        text_add_str(&text, "\r\n");
    }
    text_add_str(&text, "\r\n");
    CHECK(!text.overflow);
    return request_read_span(text_span(&text), &request) < 0 ? fixture_err.code : ERR_OK;
}

TEST(h1_read_request_holds_its_limits_A10)
{
    CHECK_INT(request_error_sized(LIMIT_TARGET, 1, 1), ERR_OK);
    CHECK_INT(request_error_sized(LIMIT_TARGET + 1, 1, 1), ERR_TOO_LARGE);
    CHECK_INT(request_error_sized(1, LIMIT_FIELD - 2, 1), ERR_OK);
    CHECK_INT(request_error_sized(1, LIMIT_FIELD - 1, 1), ERR_TOO_LARGE);
    CHECK_INT(request_error_sized(1, 1, LIMIT_FIELD_COUNT - 1), ERR_OK);
    CHECK_INT(request_error_sized(1, 1, LIMIT_FIELD_COUNT), ERR_TOO_LARGE);
    CHECK_INT(request_error_sized(1, 1, 10001), ERR_TOO_LARGE);
    /* 25 + n + 2 bytes: "GET / HTTP/1.1", "Host: a", fields of 16384 + 4 bytes and the end. */
    CHECK_INT(request_error_sized(1, (LIMIT_HEAD - 27) / 4 - 4, 4), ERR_OK);
    CHECK_INT(request_error_sized(1, (LIMIT_HEAD - 27) / 4 - 3, 4), ERR_TOO_LARGE);
    CHECK_INT(request_error_sized(2 * LIMIT_HEAD, 1, 1), ERR_TOO_LARGE);
}

TEST(h1_read_request_does_not_wait_for_the_end_of_an_endless_head_A10)
{
    static char endless[LIMIT_HEAD];
    struct http_request request;
    size_t scanned = 0;

    memset(endless, 'a', sizeof endless);
    CHECK_INT(h1_read_request(span_of(endless, LIMIT_HEAD - 1), &scanned, arena_fresh(), &request,
                              &fixture_err),
              0);
    CHECK_INT(h1_read_request(span_of(endless, LIMIT_HEAD), &scanned, &fixture_arena, &request,
                              &fixture_err),
              -1);
    CHECK_INT(fixture_err.code, ERR_TOO_LARGE);
}

TEST(h1_read_response_gives_all_parts)
{
    struct http_response response;

    CHECK_INT(response_read("HTTP/1.0 404 Not Found, r\xc3\xa9"
                            "ally\r\nA: b\r\n\r\n",
                            "GET", &response),
              41);
    CHECK_INT(response.version, HTTP_1_0);
    CHECK_INT(response.status, 404);
    CHECK_SPAN(response.reason, "Not Found, r\xc3\xa9"
                                "ally");
    CHECK_INT(response.fields.count, 1);
    CHECK(response_read("HTTP/1.1 200 \r\n\r\n", "GET", &response) > 0);
    CHECK_SPAN(response.reason, "");
    CHECK(response_read("HTTP/1.1 200\r\n\r\n", "GET", &response) > 0);
    CHECK_INT(response.status, 200);
    CHECK_SPAN(response.reason, "");
}

TEST(h1_read_response_refuses_other_status_lines_A11)
{
    static const char *const bad[] = {
        "HTTP/0.9 200 x\r\n\r\n", "HTTP/2.0 200 x\r\n\r\n",     "HTTP/1.2 200 x\r\n\r\n",
        "HTTP/1.1 000 x\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n",     "HTTP/1.1 600 x\r\n\r\n",
        "HTTP/1.1 999 x\r\n\r\n", "HTTP/1.1 20 x\r\n\r\n",      "HTTP/1.1 2000 x\r\n\r\n",
        "HTTP/1.1 200x\r\n\r\n",  "HTTP/1.1  200 x\r\n\r\n",    "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 \r\n\r\n",      "http/1.1 200 x\r\n\r\n",     "<html>oops</html>",
        "ICY 200 OK\r\n\r\n",     "HTTP/1.1 2 0 x\r\n\r\n",     "\r\nHTTP/1.1 200 x\r\n\r\n",
        "HTTP/1.1 -12 x\r\n\r\n", "HTTP/1.1 200 a\x01\r\n\r\n", "HTTP/1.1 200 a\x7f\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(response_error(bad[i], "GET"), ERR_ORIGIN_SYNTAX);
}

TEST(h1_read_response_holds_its_limits_A11)
{
    static char memory[2 * LIMIT_HEAD];
    struct text text;

    text_init(&text, memory, sizeof memory);
    text_add_str(&text, "HTTP/1.1 200 x\r\n");
    for (int i = 0; i <= LIMIT_FIELD_COUNT; i++)
        text_add_str(&text, "X: y\r\n");
    text_add_str(&text, "\r\n");
    CHECK_INT(response_error(text_str(&text), "GET"), ERR_ORIGIN_SYNTAX);
    memset(memory, 'H', LIMIT_HEAD);
    memory[LIMIT_HEAD] = '\0';
    CHECK_INT(response_error(memory, "GET"), ERR_ORIGIN_SYNTAX);
}

TEST(h1_read_says_when_there_is_no_memory)
{
    struct http_request request;
    struct arena arena;
    size_t scanned = 0;

    (void)arena_fresh();
    arena_init(&arena, &fixture_blocks, 16);
    CHECK_INT(h1_read_request(span_text("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), &scanned, &arena,
                              &request, &fixture_err),
              -1);
    CHECK_INT(fixture_err.code, ERR_MEMORY);
}

TEST_MAIN(TEST_OF(h1_read_request_gives_all_parts),
          TEST_OF(h1_read_waits_for_every_byte_and_scans_none_twice),
          TEST_OF(h1_read_refuses_folded_and_blank_led_fields_A4),
          TEST_OF(h1_read_refuses_bare_lf_A5), TEST_OF(h1_read_refuses_bare_cr_A5),
          TEST_OF(h1_read_lets_no_forbidden_byte_through_A5),
          TEST_OF(h1_read_request_refuses_other_start_lines),
          TEST_OF(h1_read_request_hands_every_target_form_on_A9),
          TEST_OF(h1_read_request_holds_its_limits_A10),
          TEST_OF(h1_read_request_does_not_wait_for_the_end_of_an_endless_head_A10),
          TEST_OF(h1_read_response_gives_all_parts),
          TEST_OF(h1_read_response_refuses_other_status_lines_A11),
          TEST_OF(h1_read_response_holds_its_limits_A11),
          TEST_OF(h1_read_says_when_there_is_no_memory))
