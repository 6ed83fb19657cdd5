/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1_write.h"

#include "fixture.h"

static struct pool out_blocks;
static struct buf out;

static struct buf *out_fresh(size_t size)
{
    buf_fini(&out);
    pool_init(&out_blocks, size, 1, 0);
    buf_init(&out, &out_blocks, BUF_PLAIN);
    return &out;
}

static struct http_request request_of(const char *method, enum http_body body)
{
    struct http_request request = {.version = HTTP_1_1,
                                   .method = span_text(method),
                                   .target = span_text("/a?b"),
                                   .framing = {.body = body, .length = 42}};

    fields_fill(&request.fields, FIELDS("Host", "a", "X-Empty", ""));
    return request;
}

static struct http_response response_of(int status, enum http_body body)
{
    struct http_response response = {.version = HTTP_1_1,
                                     .status = status,
                                     .reason = span_text("Why Not"),
                                     .framing = {.body = body, .length = 42}};

    fields_fill(&response.fields, FIELDS("A", "b"));
    return response;
}

static void check_request(const struct http_request *request, const char *expected)
{
    CHECK_INT(h1_write_request(request, out_fresh(4096), &fixture_err), 0);
    CHECK_SPAN(buf_span(&out), expected);
}

static void check_response(const struct http_response *response, const char *method,
                           const char *expected)
{
    CHECK_INT(h1_write_response(response, span_text(method), out_fresh(4096), &fixture_err), 0);
    CHECK_SPAN(buf_span(&out), expected);
}

static void check_request_refused(const struct http_request *request)
{
    CHECK_INT(h1_write_request(request, out_fresh(4096), &fixture_err), -1);
    CHECK_INT(fixture_err.code, ERR_INTERNAL);
    CHECK(buf_is_empty(&out) && out.block == NULL);
}

static void check_response_refused(const struct http_response *response, const char *method)
{
    CHECK_INT(h1_write_response(response, span_text(method), out_fresh(4096), &fixture_err), -1);
    CHECK_INT(fixture_err.code, ERR_INTERNAL);
    CHECK(buf_is_empty(&out) && out.block == NULL);
}

TEST(h1_write_request_byte_for_byte)
{
    struct http_request request = request_of("GET", HTTP_BODY_NONE);

    check_request(&request, "GET /a?b HTTP/1.1\r\nHost: a\r\nX-Empty: \r\n\r\n");
    request = request_of("POST", HTTP_BODY_NONE);
    check_request(&request,
                  "POST /a?b HTTP/1.1\r\nHost: a\r\nX-Empty: \r\nContent-Length: 0\r\n\r\n");
    request = request_of("POST", HTTP_BODY_LENGTH);
    check_request(&request,
                  "POST /a?b HTTP/1.1\r\nHost: a\r\nX-Empty: \r\nContent-Length: 42\r\n\r\n");
    request = request_of("GET", HTTP_BODY_CHUNKED);
    request.framing.persistence = HTTP_CLOSE;
    check_request(&request, "GET /a?b HTTP/1.1\r\nHost: a\r\nX-Empty: \r\n"
                            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    request = request_of("DELETE", HTTP_BODY_LENGTH);
    request.framing.length = 0;
    check_request(&request,
                  "DELETE /a?b HTTP/1.1\r\nHost: a\r\nX-Empty: \r\nContent-Length: 0\r\n\r\n");
    request = request_of("GET", HTTP_BODY_NONE);
    request.version = HTTP_1_0;
    check_request(&request, "GET /a?b HTTP/1.0\r\nHost: a\r\nX-Empty: \r\n"
                            "Connection: keep-alive\r\n\r\n");
    request.version = HTTP_2;
    check_request(&request, "GET /a?b HTTP/1.1\r\nHost: a\r\nX-Empty: \r\n\r\n");
}

TEST(h1_write_says_content_length_0_after_post_put_and_patch_only)
{
    static const struct {
        const char *method;
        int says;
    } rows[] = {{"POST", 1}, {"PUT", 1},     {"PATCH", 1},  {"GET", 0},
                {"HEAD", 0}, {"OPTIONS", 0}, {"DELETE", 0}, {"post", 0}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_request request = request_of(rows[i].method, HTTP_BODY_NONE);

        CHECK_INT(h1_write_request(&request, out_fresh(4096), &fixture_err), 0);
        CHECK_INT(span_find_span(buf_span(&out), span_text("Content-Length: 0\r\n\r\n")) > 0,
                  rows[i].says);
    }
}

TEST(h1_write_response_byte_for_byte)
{
    struct http_response response = response_of(200, HTTP_BODY_LENGTH);

    check_response(&response, "GET", "HTTP/1.1 200 Why Not\r\nA: b\r\nContent-Length: 42\r\n\r\n");
    check_response(&response, "HEAD", "HTTP/1.1 200 Why Not\r\nA: b\r\nContent-Length: 42\r\n\r\n");
    response = response_of(200, HTTP_BODY_NONE);
    check_response(&response, "GET", "HTTP/1.1 200 Why Not\r\nA: b\r\nContent-Length: 0\r\n\r\n");
    check_response(&response, "HEAD", "HTTP/1.1 200 Why Not\r\nA: b\r\n\r\n");
    check_response(&response, "CONNECT", "HTTP/1.1 200 Why Not\r\nA: b\r\n\r\n");
    response.reason = span_of(NULL, 0);
    response.framing.persistence = HTTP_CLOSE;
    check_response(&response, "GET",
                   "HTTP/1.1 200 \r\nA: b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    response = response_of(500, HTTP_BODY_CHUNKED);
    check_response(&response, "GET",
                   "HTTP/1.1 500 Why Not\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n");
    response = response_of(200, HTTP_BODY_UNTIL_CLOSE);
    check_response(&response, "GET", "HTTP/1.1 200 Why Not\r\nA: b\r\nConnection: close\r\n\r\n");
    response = response_of(204, HTTP_BODY_NONE);
    check_response(&response, "GET", "HTTP/1.1 204 Why Not\r\nA: b\r\n\r\n");
    response = response_of(304, HTTP_BODY_NONE);
    check_response(&response, "GET", "HTTP/1.1 304 Why Not\r\nA: b\r\n\r\n");
    response = response_of(103, HTTP_BODY_NONE);
    response.framing.persistence = HTTP_CLOSE;
    check_response(&response, "GET", "HTTP/1.1 103 Why Not\r\nA: b\r\n\r\n");
}

TEST(h1_write_lets_an_upgrade_through)
{
    struct http_response response = response_of(101, HTTP_BODY_NONE);

    fields_fill(&response.fields, FIELDS("Upgrade", "websocket", "Connection", "Upgrade"));
    check_response(&response, "GET",
                   "HTTP/1.1 101 Why Not\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
}

/* A5, A11, J1: nothing that ends a line early is ever sent. */
TEST(h1_write_refuses_each_byte_that_could_split_a_message_A5)
{
    static const char *const bad[] = {"a\rb", "a\nb", "a\r\nX: y", "\r\n", "a\x01", "a\x7f"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_request request = request_of("GET", HTTP_BODY_NONE);
        struct http_response response = response_of(200, HTTP_BODY_NONE);

        request.method = span_text(bad[i]);
        check_request_refused(&request);
        request = request_of("GET", HTTP_BODY_NONE);
        request.target = span_text(bad[i]);
        check_request_refused(&request);
        request = request_of("GET", HTTP_BODY_NONE);
        request.fields.items[1].name = span_text(bad[i]);
        check_request_refused(&request);
        request = request_of("GET", HTTP_BODY_NONE);
        request.fields.items[1].value = span_text(bad[i]);
        check_request_refused(&request);
        response.reason = span_text(bad[i]);
        check_response_refused(&response, "GET");
        response = response_of(200, HTTP_BODY_NONE);
        response.fields.items[0].value = span_text(bad[i]);
        check_response_refused(&response, "GET");
    }
}

TEST(h1_write_refuses_nul_and_blanks_where_they_do_not_belong)
{
    struct http_request request = request_of("GET", HTTP_BODY_NONE);

    request.fields.items[0].value = span_of("a\0b", 3);
    check_request_refused(&request);
    request = request_of("GET", HTTP_BODY_NONE);
    request.target = span_text("/a b");
    check_request_refused(&request);
    request.target = span_text("");
    check_request_refused(&request);
    request = request_of("", HTTP_BODY_NONE);
    check_request_refused(&request);
    request = request_of("GET", HTTP_BODY_NONE);
    request.fields.items[0].name = span_text("");
    check_request_refused(&request);
    request.fields.items[0].name = span_text("a:b");
    check_request_refused(&request);
}

TEST(h1_write_refuses_fields_that_contradict_the_framing_A1)
{
    static const char *const bad[] = {"Content-Length", "content_length", "Transfer-Encoding",
                                      "TRANSFER_ENCODING", "Connection"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_request request = request_of("GET", HTTP_BODY_NONE);

        request.fields.items[1].name = span_text(bad[i]);
        check_request_refused(&request);
    }
}

TEST(h1_write_refuses_framings_that_the_message_cannot_have)
{
    struct http_request request = request_of("GET", HTTP_BODY_UNTIL_CLOSE);
    struct http_response response = response_of(200, HTTP_BODY_CHUNKED);

    check_request_refused(&request);
    request = request_of("POST", HTTP_BODY_CHUNKED);
    request.version = HTTP_1_0;
    check_request_refused(&request);
    check_response_refused(&response, "HEAD");
    check_response_refused(&response, "CONNECT");
    response.version = HTTP_1_0;
    check_response_refused(&response, "GET");
    response = response_of(304, HTTP_BODY_CHUNKED);
    check_response_refused(&response, "GET");
    response = response_of(204, HTTP_BODY_LENGTH);
    check_response_refused(&response, "GET");
    response = response_of(99, HTTP_BODY_NONE);
    check_response_refused(&response, "GET");
    response = response_of(600, HTTP_BODY_NONE);
    check_response_refused(&response, "GET");
}

TEST(h1_write_writes_all_or_nothing)
{
    struct http_request request = request_of("GET", HTTP_BODY_NONE);
    void *last;

    CHECK_INT(h1_write_request(&request, out_fresh(64), &fixture_err), -1);
    CHECK_INT(fixture_err.code, ERR_LIMIT);
    CHECK(buf_is_empty(&out));
    (void)out_fresh(4096);
    last = pool_take(&out_blocks);
    CHECK_INT(h1_write_request(&request, &out, &fixture_err), -1);
    CHECK_INT(fixture_err.code, ERR_MEMORY);
    CHECK(buf_is_empty(&out) && out.block == NULL);
    pool_give(&out_blocks, last);
    /* Behind what is there already, moved to the front where that makes room. */
    CHECK_INT(buf_append(&out, span_text("x"), &fixture_err), 0);
    CHECK_INT(h1_write_request(&request, &out, &fixture_err), 0);
    CHECK_SPAN(buf_span(&out), "xGET /a?b HTTP/1.1\r\nHost: a\r\nX-Empty: \r\n\r\n");
}

static void check_chunk(size_t len, const char *expected)
{
    static const struct http_framing chunked = {.body = HTTP_BODY_CHUNKED};
    uint8_t head[H1_CHUNK_HEAD];
    size_t used = h1_write_chunk_head(&chunked, len, head);

    CHECK_SPAN(span_of(head, used), expected);
}

TEST(h1_write_chunks)
{
    static const struct http_framing chunked = {.body = HTTP_BODY_CHUNKED};
    static const struct http_framing by_length = {.body = HTTP_BODY_LENGTH, .length = 5};
    uint8_t head[H1_CHUNK_HEAD];

    check_chunk(1, "1\r\n");
    check_chunk(15, "f\r\n");
    check_chunk(16, "10\r\n");
    check_chunk(0x4a0c, "4a0c\r\n");
    check_chunk(SIZE_MAX, "ffffffffffffffff\r\n");
    CHECK_SPAN(h1_write_chunk_tail(&chunked), "\r\n");
    CHECK_SPAN(h1_write_end(&chunked), "0\r\n\r\n");
    CHECK_INT(h1_write_chunk_head(&by_length, 5, head), 0);
    CHECK_INT(h1_write_chunk_tail(&by_length).len, 0);
    CHECK_INT(h1_write_end(&by_length).len, 0);
}

TEST_MAIN(TEST_OF(h1_write_request_byte_for_byte),
          TEST_OF(h1_write_says_content_length_0_after_post_put_and_patch_only),
          TEST_OF(h1_write_response_byte_for_byte), TEST_OF(h1_write_lets_an_upgrade_through),
          TEST_OF(h1_write_refuses_each_byte_that_could_split_a_message_A5),
          TEST_OF(h1_write_refuses_nul_and_blanks_where_they_do_not_belong),
          TEST_OF(h1_write_refuses_fields_that_contradict_the_framing_A1),
          TEST_OF(h1_write_refuses_framings_that_the_message_cannot_have),
          TEST_OF(h1_write_writes_all_or_nothing), TEST_OF(h1_write_chunks))
