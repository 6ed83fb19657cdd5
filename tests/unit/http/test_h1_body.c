/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1_body.h"

#include "../../split.h"
#include "fixture.h"

static const struct http_framing chunked = {.body = HTTP_BODY_CHUNKED};

/* Reads all of `in`; the content goes to `content`. 1 complete, 0 not yet, -1 with fixture_err. */
static int body_read(const struct http_framing *framing, struct span in, struct text *content,
                     size_t *taken)
{
    struct h1_body body;
    int result = 0;

    err_clear(&fixture_err);
    *taken = 0;
    h1_body_init(&body, framing, ERR_SYNTAX);
    for (;;) {
        struct span data;
        size_t used;

        result = h1_body_feed(&body, span_from(in, *taken), &used, &data, &fixture_err);
        if (result < 0)
            return -1;
        *taken += used;
        if (data.len > 0) /* borrows from the input: nothing is copied */
            CHECK(data.ptr >= in.ptr && data.ptr + data.len <= in.ptr + in.len);
        text_add(content, data);
        if (result > 0 || used == 0)
            return result;
    }
}

static void check_content(const char *in, const char *expected)
{
    static char memory[65536];
    struct text content;
    size_t taken;

    text_init(&content, memory, sizeof memory);
    CHECK_INT(body_read(&chunked, span_text(in), &content, &taken), 1);
    CHECK_SPAN(text_span(&content), expected);
    CHECK_INT(taken, strlen(in));
}

/* 0 if the chunks are good so far. */
static int chunks_result(struct span in)
{
    static char memory[65536];
    struct text content;
    size_t taken;

    text_init(&content, memory, sizeof memory);
    return body_read(&chunked, in, &content, &taken);
}

static void check_refused(const char *in)
{
    CHECK_INT(chunks_result(span_text(in)), -1);
    CHECK_INT(fixture_err.code, ERR_SYNTAX);
}

TEST(h1_body_by_length_takes_exactly_that)
{
    struct http_framing framing = {.body = HTTP_BODY_LENGTH, .length = 5};
    struct h1_body body;
    struct span data;
    size_t used;

    h1_body_init(&body, &framing, ERR_SYNTAX);
    CHECK_INT(h1_body_feed(&body, span_text("abc"), &used, &data, &fixture_err), 0);
    CHECK_SPAN(data, "abc");
    CHECK_INT(h1_body_feed(&body, span_of(NULL, 0), &used, &data, &fixture_err), 0);
    CHECK_INT(used, 0);
    CHECK_INT(h1_body_feed(&body, span_text("deGET /"), &used, &data, &fixture_err), 1);
    CHECK_SPAN(data, "de");
    CHECK_INT(used, 2);
    CHECK_INT(h1_body_feed(&body, span_text("GET /"), &used, &data, &fixture_err), 1);
    CHECK_INT(used, 0);
    CHECK_INT(data.len, 0);
}

TEST(h1_body_of_no_length_is_complete_at_once)
{
    struct http_framing framing = {.body = HTTP_BODY_LENGTH, .length = 0};
    struct h1_body body;
    struct span data;
    size_t used;

    h1_body_init(&body, &framing, ERR_SYNTAX);
    CHECK_INT(h1_body_feed(&body, span_text("x"), &used, &data, &fixture_err), 1);
    CHECK_INT(used, 0);
    framing.body = HTTP_BODY_NONE;
    h1_body_init(&body, &framing, ERR_SYNTAX);
    CHECK_INT(h1_body_feed(&body, span_of(NULL, 0), &used, &data, &fixture_err), 1);
}

TEST(h1_body_until_close_never_ends)
{
    struct http_framing framing = {.body = HTTP_BODY_UNTIL_CLOSE};
    struct h1_body body;
    struct span data;
    size_t used;

    h1_body_init(&body, &framing, ERR_ORIGIN_SYNTAX);
    CHECK_INT(h1_body_feed(&body, span_text("abc"), &used, &data, &fixture_err), 0);
    CHECK_SPAN(data, "abc");
}

TEST(h1_body_reads_chunks)
{
    check_content("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world");
    check_content("0\r\n\r\n", "");
    check_content("000\r\n\r\n", "");
    check_content("A\r\n0123456789\r\n0\r\n\r\n", "0123456789");
    check_content("0000000000000003\r\n\r\na\r\n0\r\n\r\n", "\r\na");
    check_content("1;a=b;c=\"d e\"\r\nx\r\n0;last\r\n\r\n", "x");
    check_content("1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n", "x");
}

TEST(h1_body_takes_no_byte_behind_the_end_A8)
{
    static const char in[] = "1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n";
    char memory[16];
    struct text content;
    size_t taken;

    text_init(&content, memory, sizeof memory);
    CHECK_INT(body_read(&chunked, span_text(in), &content, &taken), 1);
    CHECK_INT(taken, 11);
}

TEST(h1_body_refuses_bad_chunk_lines_A6)
{
    static const char *const bad[] = {
        "0x1\r\na\r\n",
        "1_0\r\n",
        "-1\r\n",
        "+1\r\na\r\n",
        "\r\n",
        " 1\r\na\r\n",
        "1 \r\na\r\n",
        "1 ;a\r\n",
        "\t1\r\n",
        "g\r\n",
        "00000000000000001\r\n",
        "1\na\r\n",
        "1\ra\r\n",
        ";a\r\n",
        "1\r\nab\r\n",
        "1\r\na\n",
        "1\r\na\r0",
        "1\r\na0\r\n",
        "1\r\n\r\n\r",
        "0\r\n\n",
        "1;a\nb\r\n",
        "1;a\x01\r\n",
        "1;a\x7f\r\n",
        "1;\r\r\n",
        "1,\r\n",
        "fffffffffffffffff\r\n",
        "0\r\n\r\r",
        "1;a\rb\r\n",
        "\n1\r\n",
        "1.0\r\n",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_refused(bad[i]);
    CHECK_INT(chunks_result(span_of("1;a\0\r\n", 6)), -1);
    /* 16 digits are a size, however large. */
    CHECK_INT(chunks_result(span_text("ffffffffffffffff\r\nabc")), 0);
}

TEST(h1_body_bounds_the_extensions_A6)
{
    static char memory[LIMIT_CHUNK_EXTENSIONS * 2];
    static char filler[LIMIT_CHUNK_EXTENSION + 1];
    struct text text;

    memset(filler, 'e', sizeof filler);
    text_init(&text, memory, sizeof memory);
    for (size_t total = 0; total < LIMIT_CHUNK_EXTENSIONS; total += LIMIT_CHUNK_EXTENSION) {
        text_add_str(&text, "1;");
        text_add(&text, span_of(filler, LIMIT_CHUNK_EXTENSION));
        text_add_str(&text, "\r\nx\r\n");
    }
    CHECK_INT(chunks_result(text_span(&text)), 0);
    text_add_str(&text, "1;e");
    CHECK_INT(chunks_result(text_span(&text)), -1);

    text_init(&text, memory, sizeof memory);
    text_add_str(&text, "1;");
    text_add(&text, span_of(filler, LIMIT_CHUNK_EXTENSION + 1));
    CHECK_INT(chunks_result(text_span(&text)), -1);
}

TEST(h1_body_drops_trailers_whatever_they_are_called_A7)
{
    check_content("0\r\nContent-Length: 5\r\nHost: evil\r\nDD-API-KEY: x\r\n\r\n", "");
}

TEST(h1_body_refuses_trailers_that_are_no_fields_A7)
{
    static const char *const bad[] = {
        "0\r\nA\r\n\r\n",   "0\r\n: b\r\n\r\n", "0\r\nA : b\r\n\r\n",
        "0\r\nA: b\n\r\n",  "0\r\n A: b\r\n",   "0\r\nA: b\r\n c\r\n",
        "0\r\nA: \x01\r\n", "0\r\nA: b\rc\r\n", "0\r\nA: b\r\n\r\r",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_refused(bad[i]);
}

TEST(h1_body_bounds_the_trailers_A7)
{
    static char memory[LIMIT_TRAILER + 64];
    struct text text;
    size_t start;

    text_init(&text, memory, sizeof memory);
    text_add_str(&text, "0\r\nA:");
    start = 3;
    while (text.len < start + LIMIT_TRAILER - 4)
        text_add_char(&text, 'b');
    text_add_str(&text, "\r\n\r\n");
    CHECK_INT(text.len, start + LIMIT_TRAILER);
    CHECK_INT(chunks_result(text_span(&text)), 1);
    text.len -= 4;
    text_add_str(&text, "b\r\n\r\n");
    CHECK_INT(chunks_result(text_span(&text)), -1);
}

TEST(h1_body_calls_errors_as_it_was_told_and_stays_closed)
{
    struct h1_body body;
    struct span data;
    size_t used;

    h1_body_init(&body, &chunked, ERR_ORIGIN_SYNTAX);
    CHECK_INT(h1_body_feed(&body, span_text("x"), &used, &data, &fixture_err), -1);
    CHECK_INT(fixture_err.code, ERR_ORIGIN_SYNTAX);
    CHECK_INT(h1_body_feed(&body, span_text("0\r\n\r\n"), &used, &data, &fixture_err), -1);
    CHECK_INT(fixture_err.code, ERR_ORIGIN_SYNTAX);
}

static void story_start(void *engine)
{
    h1_body_init(engine, &chunked, ERR_SYNTAX);
}

static ssize_t story_feed(void *engine, struct room piece, struct text *story)
{
    struct span data;
    size_t used;
    int result = h1_body_feed(engine, span_of_room(piece), &used, &data, &fixture_err);

    if (result < 0) {
        text_add_str(story, "!");
        return -1;
    }
    text_add(story, data);
    if (result > 0 && used > 0)
        text_add_str(story, "$");
    return (ssize_t)used;
}

TEST(h1_body_tells_the_same_however_it_is_cut)
{
    static const char *const inputs[] = {
        "5\r\nhello\r\n6;x=y\r\n world\r\n1\r\n\r\r\n0\r\nA: b\r\nC:\r\n\r\nrest",
        "5\r\nhello\r\n00\r\n\r\n",
        "5\r\nhello\r\nx\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
    };
    static struct h1_body body;
    static const struct split_engine engine = {
        .start = story_start, .feed = story_feed, .engine = &body};
    char memory[256];
    struct text story;

    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        text_init(&story, memory, sizeof memory);
        split_check(&engine, span_text(inputs[i]), &story);
        CHECK_SPAN(text_span(&story),
                   ((const char *const[]){"hello world\r$", "hello$", "hello!", "ab!"})[i]);
    }
}

TEST_MAIN(TEST_OF(h1_body_by_length_takes_exactly_that),
          TEST_OF(h1_body_of_no_length_is_complete_at_once),
          TEST_OF(h1_body_until_close_never_ends), TEST_OF(h1_body_reads_chunks),
          TEST_OF(h1_body_takes_no_byte_behind_the_end_A8),
          TEST_OF(h1_body_refuses_bad_chunk_lines_A6), TEST_OF(h1_body_bounds_the_extensions_A6),
          TEST_OF(h1_body_drops_trailers_whatever_they_are_called_A7),
          TEST_OF(h1_body_refuses_trailers_that_are_no_fields_A7),
          TEST_OF(h1_body_bounds_the_trailers_A7),
          TEST_OF(h1_body_calls_errors_as_it_was_told_and_stays_closed),
          TEST_OF(h1_body_tells_the_same_however_it_is_cut))
