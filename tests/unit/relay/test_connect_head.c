/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/connect_head.h"

#include "base/limits.h"
#include "split.h"
#include "test.h"

struct reader {
    size_t scanned;
    int is_done;
};
static struct reader reader;
static char story_memory[16384];

static void reader_start(void *engine)
{
    *(struct reader *)engine = (struct reader){0};
}

static ssize_t reader_feed(void *engine, struct room piece, struct text *story)
{
    struct reader *self = engine;
    struct connect_head head;
    struct err err;
    ssize_t len;

    if (self->is_done)
        return (ssize_t)piece.len;
    len = connect_head_read(span_of_room(piece), &self->scanned, &head, &err);
    if (len < 0) {
        text_addf(story, "%s: %s", err_reason(err.code), err.text);
        return -1;
    }
    if (len > 0) {
        self->is_done = 1;
        text_addf(story, "%zd ", len);
        text_add(story, head.line);
    }
    return len;
}

static const char *story_of(struct span input)
{
    struct split_engine engine = {.start = reader_start, .feed = reader_feed, .engine = &reader};
    struct text story;

    text_init(&story, story_memory, sizeof story_memory - 1);
    split_check(&engine, input, &story);
    return text_str(&story);
}

#define STORY(literal) story_of(span_of(literal, sizeof(literal) - 1))

/* Found by fuzzing: the line travels in the hello, where no control byte belongs. */
TEST(connect_head_refuses_a_tab_in_the_request_line)
{
    CHECK_STR(STORY("CONNECT a.example:443\tx HTTP/1.1\r\n\r\n"),
              "bad_request: tab in the request line");
    CHECK_STR(STORY("CONNECT a.example:443 HTTP/1.1\r\nHost:\ta.example\r\n\r\n"),
              "51 CONNECT a.example:443 HTTP/1.1");
}

TEST(connect_head_reads_what_real_clients_send)
{
    /* Python up to 3.11: HTTP/1.0 and no field at all. */
    CHECK_STR(STORY("CONNECT a.example:443 HTTP/1.0\r\n\r\n"), "34 CONNECT a.example:443 HTTP/1.0");
    /* lftp: HTTP/1.1 without Host. */
    CHECK_STR(STORY("CONNECT a.example:443 HTTP/1.1\r\n\r\nxx"),
              "34 CONNECT a.example:443 HTTP/1.1");
    CHECK_STR(STORY("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nUser-Agent: curl\r\n\r\n"),
              "53 CONNECT a:1 HTTP/1.1");
}

TEST(connect_head_refuses_bare_lf_and_bare_cr)
{
    CHECK_STR(STORY("CONNECT a:1 HTTP/1.1\n\n"), "bad_request: LF without CR at 20");
    CHECK_STR(STORY("CONNECT a:1 HTTP/1.1\r\nA: b\n\r\n"), "bad_request: LF without CR at 26");
    CHECK_STR(STORY("CONNECT a:1\rHTTP/1.1\r\n\r\n"), "bad_request: CR without LF at 11");
}

TEST(connect_head_refuses_control_bytes)
{
    CHECK_STR(STORY("CONNECT a\0b:1 HTTP/1.1\r\n\r\n"), "bad_request: byte 0x00 at 9");
    CHECK_STR(STORY("CONNECT a:1 HTTP/1.1\r\nA: \x7f\r\n\r\n"), "bad_request: byte 0x7f at 25");
}

TEST(connect_head_refuses_another_method_by_name)
{
    CHECK(strstr(STORY("GET http://a/ HTTP/1.1\r\n\r\n"), "method_not_allowed: ") != NULL);
    CHECK(strstr(STORY("connect a:1 HTTP/1.1\r\n\r\n"), "method_not_allowed: ") != NULL);
}

TEST(connect_head_refuses_a_line_that_is_none)
{
    CHECK(strstr(STORY("\r\n\r\n"), "bad_request: ") != NULL);
    CHECK(strstr(STORY("CONNECT\r\n\r\n"), "bad_request: ") != NULL);
    CHECK(strstr(STORY("CONNECT a:1\r\n\r\n"), "bad_request: ") != NULL);
    CHECK(strstr(STORY("CONNECT a:1 HTTP/2.0\r\n\r\n"), "bad_request: ") != NULL);
    CHECK(strstr(STORY("CONNECT a:1  HTTP/1.1\r\n\r\n"), "bad_request: ") != NULL);
}

/* docs/protocol.md section 5: 400 when 8192 bytes passed without CRLFCRLF. */
TEST(connect_head_may_be_8192_bytes_and_not_one_more)
{
    static uint8_t bytes[LIMIT_CONNECT_HEAD + 1];
    const char *start = "CONNECT a:1 HTTP/1.1\r\nA: ";
    struct connect_head head;
    size_t scanned = 0;
    struct err err;

    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, start, strlen(start));
    memcpy(bytes + LIMIT_CONNECT_HEAD - 4, "\r\n\r\n", 4);
    CHECK_INT(connect_head_read(span_of(bytes, LIMIT_CONNECT_HEAD), &scanned, &head, &err),
              LIMIT_CONNECT_HEAD);
    memset(bytes + LIMIT_CONNECT_HEAD - 4, 'x', 1);
    memcpy(bytes + LIMIT_CONNECT_HEAD - 3, "\r\n\r\n", 4);
    scanned = 0;
    CHECK_INT(connect_head_read(span_of(bytes, LIMIT_CONNECT_HEAD), &scanned, &head, &err), 0);
    CHECK_INT(connect_head_read(span_of(bytes, LIMIT_CONNECT_HEAD + 1), &scanned, &head, &err), -1);
    CHECK_INT(err.code, ERR_SYNTAX);
}

TEST(connect_head_knows_tls_and_socks_by_their_first_byte)
{
    CHECK_INT(connect_head_kind(0x16), CONNECT_HEAD_TLS);
    CHECK_INT(connect_head_kind(0x04), CONNECT_HEAD_SOCKS4);
    CHECK_INT(connect_head_kind(0x05), CONNECT_HEAD_SOCKS5);
    CHECK_INT(connect_head_kind('C'), CONNECT_HEAD_HTTP);
}

TEST_MAIN(TEST_OF(connect_head_refuses_a_tab_in_the_request_line),
          TEST_OF(connect_head_reads_what_real_clients_send),
          TEST_OF(connect_head_refuses_bare_lf_and_bare_cr),
          TEST_OF(connect_head_refuses_control_bytes),
          TEST_OF(connect_head_refuses_another_method_by_name),
          TEST_OF(connect_head_refuses_a_line_that_is_none),
          TEST_OF(connect_head_may_be_8192_bytes_and_not_one_more),
          TEST_OF(connect_head_knows_tls_and_socks_by_their_first_byte))
