/* SPDX-License-Identifier: Apache-2.0 */
/* wire/hello: docs/protocol.md section 4, threats F and G5. */
#include "base/limits.h"
#include "wire/chunk.h"
#include "wire/hello.h"
#include "wire_test.h"

static struct hello hello;
static struct err err;

static int read_text(const char *payload)
{
    return hello_read(span_text(payload), &hello, &err);
}

/* A hello with good credentials in front of which `line` stands. */
static int read_line(const char *line)
{
    char payload[1024];

    (void)snprintf(payload, sizeof payload, "%s\r\nProxy-Authorization: Basic Y3NlXzE6dG9r\r\n\r\n",
                   line);
    return read_text(payload);
}

/* A hello with a good request line and `fields`, which bring their CRLF along. */
static int read_fields(const char *fields)
{
    char payload[1024];

    (void)snprintf(payload, sizeof payload, "CONNECT example.com:443 HTTP/1.1\r\n%s\r\n", fields);
    return read_text(payload);
}

static int read_basic(struct span session, struct span token)
{
    static char memory[16384];
    struct text text;

    text_init(&text, memory, sizeof memory);
    text_add_str(&text, "CONNECT example.com:443 HTTP/1.1\r\nProxy-Authorization: Basic ");

    static uint8_t basic[8192];

    memcpy(basic, session.ptr, session.len);
    basic[session.len] = ':';
    memcpy(basic + session.len + 1, token.ptr, token.len);
    text_add_base64(&text, span_of(basic, session.len + 1 + token.len));
    text_add_str(&text, "\r\n\r\n");
    CHECK(!text.overflow);
    return hello_read(text_span(&text), &hello, &err);
}

static bool is_wiped(void)
{
    for (size_t i = 0; i < sizeof hello.basic; i++) {
        if (hello.basic[i] != 0)
            return false;
    }
    return hello.basic_len == 0;
}

static const char vector[] =
    "434f4e4e454354206578616d706c652e636f6d3a34343320485454502f312e310d0a50726f78792d417574"
    "686f72697a6174696f6e3a2042617369632059334e6c587a4536644739720d0a0d0a";

TEST(hello_writes_the_vector_of_the_protocol)
{
    char memory[256];
    uint8_t head[CHUNK_HEAD];
    struct text text;

    text_init(&text, memory, sizeof memory);
    hello_write(&text, span_text("CONNECT example.com:443 HTTP/1.1"), span_text("cse_1"),
                span_text("tok"));
    CHECK(!text.overflow);
    CHECK(span_equal(text_span(&text), BYTES(vector)));
    CHECK(span_equal(span_of(head, chunk_write_head(head, text.len)), BYTES("0a 4d")));
}

TEST(hello_reads_the_vector_of_the_protocol)
{
    struct span payload = BYTES(vector);

    CHECK_INT(hello_read(payload, &hello, &err), 0);
    CHECK_SPAN(target_host_span(&hello.host), "example.com");
    CHECK_INT(hello.host.kind, HOST_NAME);
    CHECK_INT(hello.port, 443);
    CHECK_SPAN(hello.connect_line, "CONNECT example.com:443 HTTP/1.1");
    CHECK(hello.connect_line.ptr == payload.ptr);
    CHECK_SPAN(hello_session(&hello), "cse_1");
    CHECK_SPAN(hello_token(&hello), "tok");
    hello_fini(&hello);
    CHECK(is_wiped());
}

TEST(hello_reads_what_other_relays_may_write)
{
    CHECK_INT(read_line("CONNECT example.com:443 HTTP/1.0"), 0);
    CHECK_INT(read_line("CONNECT [2001:db8::1]:8443 HTTP/1.1"), 0);
    CHECK_INT(hello.host.kind, HOST_IPV6);
    CHECK_INT(hello.port, 8443);
    CHECK_INT(read_fields("proxy-authorization:basic Y3NlXzE6dG9r\r\n"), 0);
    CHECK_SPAN(hello_token(&hello), "tok");
    CHECK_INT(read_fields("PROXY-AUTHORIZATION: \t BASIC Y3NlXzE6dG9r \r\n"), 0);
    CHECK_INT(read_fields("Host: example.com\r\nProxy-Authorization: Basic Y3NlXzE6dG9r\r\n"
                          "User-Agent:\r\nX: \xc3\xa9\r\n"),
              0);
    CHECK_SPAN(hello_session(&hello), "cse_1");
}

TEST(hello_splits_the_credentials_at_the_first_colon)
{
    CHECK_INT(read_fields("Proxy-Authorization: Basic YTpiOmM=\r\n"), 0); /* a:b:c */
    CHECK_SPAN(hello_session(&hello), "a");
    CHECK_SPAN(hello_token(&hello), "b:c");
}

TEST(hello_refuses_request_lines_that_are_no_connect)
{
    static const char *const lines[] = {
        "GET example.com:443 HTTP/1.1",
        "connect example.com:443 HTTP/1.1",
        "CONNECT  example.com:443 HTTP/1.1",
        "CONNECT example.com:443  HTTP/1.1",
        "CONNECT example.com:443 HTTP/1.1 ",
        " CONNECT example.com:443 HTTP/1.1",
        "CONNECT\texample.com:443 HTTP/1.1",
        "CONNECT example.com:443",
        "CONNECT example.com:443 HTTP/1.2",
        "CONNECT example.com:443 HTTP/2.0",
        "CONNECT example.com:443 http/1.1",
        "CONNECT",
        "CONNECT ",
        "",
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        err_clear(&err);
        CHECK_INT(read_line(lines[i]), -1);
        CHECK(err.code == ERR_HELLO || err.code == ERR_TARGET);
        CHECK(is_wiped());
    }
}

TEST(hello_refuses_bad_targets_with_their_own_code)
{
    CHECK_INT(read_line("CONNECT example.com HTTP/1.1"), -1);
    CHECK_INT(err.code, ERR_TARGET);
    CHECK_INT(read_line("CONNECT example.com:0 HTTP/1.1"), -1);
    CHECK_INT(err.code, ERR_TARGET);
    CHECK_INT(read_line("CONNECT user@example.com:443 HTTP/1.1"), -1);
    CHECK_INT(err.code, ERR_TARGET);
    CHECK_INT(read_line("CONNECT 0x7f000001:443 HTTP/1.1"), -1);
    CHECK_INT(err.code, ERR_TARGET);
}

TEST(hello_refuses_lines_that_do_not_end_in_crlf)
{
    CHECK_INT(read_text("CONNECT a.example:1 HTTP/1.1\nProxy-Authorization: Basic YTpi\n\n"), -1);
    CHECK_INT(err.code, ERR_HELLO);
    CHECK_INT(read_text("CONNECT a.example:1 HTTP/1.1\r\nProxy-Authorization: Basic YTpi\n\r\n"),
              -1);
    CHECK_INT(err.code, ERR_HELLO);
    CHECK_INT(read_text("CONNECT a.example:1 HTTP/1.1\r\nProxy-Authorization: Basic YTpi\r\n\n"),
              -1);
    CHECK_INT(read_fields("X: a\rProxy-Authorization: Basic YTpi\r\n"), -1);
    CHECK_INT(err.code, ERR_HELLO);
}

TEST(hello_refuses_a_head_that_does_not_end_with_the_chunk)
{
    CHECK_INT(read_text(""), -1);
    CHECK_INT(err.code, ERR_HELLO);
    CHECK_INT(read_text("\r\n"), -1);
    CHECK_INT(err.code, ERR_HELLO);
    CHECK_INT(read_text("CONNECT a.example:1 HTTP/1.1\r\n"), -1);
    CHECK_INT(read_text("CONNECT a.example:1 HTTP/1.1\r\nProxy-Authorization: Basic YTpi\r\n"), -1);
    CHECK(is_wiped());
    CHECK_INT(read_text("CONNECT a.example:1 HTTP/1.1\r\nProxy-Authorization: Basic YTpi\r\n\r"),
              -1);
    CHECK_INT(
        read_text("CONNECT a.example:1 HTTP/1.1\r\nProxy-Authorization: Basic YTpi\r\n\r\n\x16"),
        -1);
    CHECK_STR(err.text, "hello: 1 bytes behind the empty line");
    CHECK(is_wiped());
}

TEST(hello_wants_proxy_authorization_once)
{
    CHECK_INT(read_fields(""), -1);
    CHECK_STR(err.text, "hello: no Proxy-Authorization");
    CHECK_INT(read_fields("Authorization: Basic YTpi\r\n"), -1);
    CHECK_INT(err.code, ERR_HELLO);
    CHECK_INT(read_fields("Proxy-Authorization: Basic YTpi\r\nproxy-authorization: Basic YTpi\r\n"),
              -1);
    CHECK_STR(err.text, "hello: two Proxy-Authorization fields");
    CHECK(is_wiped());
}

TEST(hello_refuses_malformed_fields)
{
    CHECK_INT(read_fields("Proxy-Authorization : Basic YTpi\r\n"), -1);
    CHECK_INT(err.code, ERR_HELLO);
    CHECK_INT(read_fields("Proxy-Authorization: Basic YTpi\r\n folded\r\n"), -1);
    CHECK_INT(read_fields("Proxy-Authorization: Basic YTpi\r\nno colon\r\n"), -1);
    CHECK_INT(read_fields("Proxy-Authorization: Basic YTpi\r\n: empty\r\n"), -1);
    CHECK_INT(read_fields("Proxy-Authorization: Basic YTpi\r\nX: \x01\r\n"), -1);
    CHECK_INT(read_fields("Proxy-Authorization: Basic YTpi\r\nX: \x7f\r\n"), -1);
    CHECK(is_wiped());
}

TEST(hello_refuses_other_schemes_and_bad_base64)
{
    static const char *const values[] = {
        "Bearer tok", "Basic",        "Basic ",         "BasicYTpi",    "Basic  YTpi",
        "Basic YTp",  "Basic YTpi=",  "Basic Y Tpi",    "Basic YTpiYQ", "Basic YTpiYR==",
        "Basic YT-i", "Basic =YTpi=", "Negotiate YTpi",
    };

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char field[128];

        (void)snprintf(field, sizeof field, "Proxy-Authorization: %s\r\n", values[i]);
        err_clear(&err);
        CHECK_INT(read_fields(field), -1);
        CHECK_INT(err.code, ERR_HELLO);
        CHECK(is_wiped());
    }
}

TEST(hello_wants_a_session_and_a_token)
{
    CHECK_INT(read_fields("Proxy-Authorization: Basic YWI=\r\n"), -1); /* ab */
    CHECK_STR(err.text, "hello: credentials without a colon");
    CHECK_INT(read_fields("Proxy-Authorization: Basic OnQ=\r\n"), -1);     /* :t */
    CHECK_INT(read_fields("Proxy-Authorization: Basic czo=\r\n"), -1);     /* s: */
    CHECK_INT(read_fields("Proxy-Authorization: Basic czoKdA==\r\n"), -1); /* s:LFt */
    CHECK_STR(err.text, "hello: control byte in the credentials");
    CHECK(is_wiped());
}

TEST(hello_bounds_session_token_and_payload) /* G5: at most 4 KiB */
{
    static char letters[LIMIT_CONNECT_HEAD + 1];

    memset(letters, 'a', sizeof letters);
    CHECK_INT(read_basic(span_of(letters, LIMIT_SESSION_ID), span_of(letters, LIMIT_TOKEN)), 0);
    CHECK_INT(hello_session(&hello).len, LIMIT_SESSION_ID);
    CHECK_INT(hello_token(&hello).len, LIMIT_TOKEN);
    CHECK_INT(read_basic(span_of(letters, LIMIT_SESSION_ID + 1), span_text("t")), -1);
    CHECK_INT(err.code, ERR_HELLO);
    CHECK(is_wiped());
    CHECK_INT(read_basic(span_text("s"), span_of(letters, LIMIT_TOKEN + 1)), -1);
    CHECK_INT(err.code, ERR_HELLO);
    CHECK(is_wiped());
    CHECK_INT(read_basic(span_text("s"), span_of(letters, 8000)), -1);
    CHECK_INT(err.code, ERR_HELLO);
    CHECK_INT(hello_read(span_of(letters, LIMIT_CONNECT_HEAD + 1), &hello, &err), -1);
    CHECK_STR(err.text, "hello: 8193 bytes, limit 8192");
}

TEST(hello_errors_never_quote_the_credentials)
{
    static const char *const fields[] = {
        "Proxy-Authorization: Basic c2VjcmV0c2VjcmV0!\r\n",
        "Proxy-Authorization: Bearer secretsecret\r\n",
        "Proxy-Authorization secretsecret\r\n",
        "Proxy-Authorization: Basic c2VjcmV0c2VjcmV0\r\n",
    };

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        CHECK_INT(read_fields(fields[i]), -1);
        CHECK(strstr(err.text, "secret") == NULL && strstr(err.text, "c2Vj") == NULL);
    }
}

TEST(hello_reads_what_it_writes)
{
    char memory[8192];
    struct text text;

    text_init(&text, memory, sizeof memory);
    hello_write(&text, span_text("CONNECT a.example:8443 HTTP/1.0"), span_text("s"),
                span_text("t:u:v"));
    CHECK_INT(hello_read(text_span(&text), &hello, &err), 0);
    CHECK_SPAN(hello_session(&hello), "s");
    CHECK_SPAN(hello_token(&hello), "t:u:v");
    CHECK_INT(hello.port, 8443);
}

TEST(hello_that_does_not_fit_overflows)
{
    char memory[76]; /* one byte less than the vector */
    static char letters[LIMIT_TOKEN + LIMIT_SESSION_ID + 1];
    char large[8192];
    struct text text;

    text_init(&text, memory, sizeof memory);
    hello_write(&text, span_text("CONNECT example.com:443 HTTP/1.1"), span_text("cse_1"),
                span_text("tok"));
    CHECK(text.overflow);
    memset(letters, 'a', sizeof letters);
    text_init(&text, large, sizeof large);
    hello_write(&text, span_text("CONNECT example.com:443 HTTP/1.1"), span_text("s"),
                span_of(letters, sizeof letters));
    CHECK(text.overflow);
}

TEST_MAIN(TEST_OF(hello_writes_the_vector_of_the_protocol),
          TEST_OF(hello_reads_the_vector_of_the_protocol),
          TEST_OF(hello_reads_what_other_relays_may_write),
          TEST_OF(hello_splits_the_credentials_at_the_first_colon),
          TEST_OF(hello_refuses_request_lines_that_are_no_connect),
          TEST_OF(hello_refuses_bad_targets_with_their_own_code),
          TEST_OF(hello_refuses_lines_that_do_not_end_in_crlf),
          TEST_OF(hello_refuses_a_head_that_does_not_end_with_the_chunk),
          TEST_OF(hello_wants_proxy_authorization_once), TEST_OF(hello_refuses_malformed_fields),
          TEST_OF(hello_refuses_other_schemes_and_bad_base64),
          TEST_OF(hello_wants_a_session_and_a_token),
          TEST_OF(hello_bounds_session_token_and_payload),
          TEST_OF(hello_errors_never_quote_the_credentials), TEST_OF(hello_reads_what_it_writes),
          TEST_OF(hello_that_does_not_fit_overflows))
