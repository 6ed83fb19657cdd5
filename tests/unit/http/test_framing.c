/* SPDX-License-Identifier: Apache-2.0 */
/* Where content ends, read from whole heads. */
#include "http/framing.h"

#include "fixture.h"

static struct http_framing framing_of_fields(const char *lines)
{
    static char head[1024];
    struct http_request request;

    (void)snprintf(head, sizeof head, "POST / HTTP/1.1\r\n" HOST "%s\r\n", lines);
    CHECK(request_read(head, &request) > 0);
    return request.framing;
}

static struct http_framing framing_of_answer(const char *head, const char *method)
{
    struct http_response response;

    CHECK(response_read(head, method, &response) > 0);
    return response.framing;
}

TEST(framing_refuses_length_and_coding_together_A1)
{
    CHECK_INT(fields_error("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), ERR_SYNTAX);
    CHECK_INT(fields_error("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), ERR_SYNTAX);
    CHECK_INT(fields_error("Transfer-Encoding: x\r\nContent-Length: 0\r\n"), ERR_SYNTAX);
}

TEST(framing_refuses_every_length_that_is_not_one_run_of_digits_A2)
{
    static const char *const bad[] = {
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\ncontent-length: 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5,5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 5.0\r\n",
        "Content-Length: 5;\r\n",
        "Content-Length:\r\n",
        "Content-Length: 9223372036854775808\r\n",
        "Content-Length: 1000000000000000000\r\n", /* 19 digits */
        "Content_Length: 5\r\n",
        "Transfer_Encoding: chunked\r\n",
        "Content-Length:\t5\r\n",
        "Content-Length: 5\t\r\n",
        "content-length: 5 \t \r\n",
        "Connection: keep-alive\t\r\n",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(fields_error(bad[i]), ERR_SYNTAX);
    CHECK_INT(framing_of_fields("Content-Length: 999999999999999999\r\n").length,
              999999999999999999);
    CHECK_INT(framing_of_fields("CONTENT-LENGTH:  05 \r\n").length, 5);
    CHECK_INT(framing_of_fields("Content-Length: 0\r\n").body, HTTP_BODY_LENGTH);
}

TEST(framing_knows_chunked_only_A3)
{
    static const char *const unsupported[] = {"xchunked", "chunkedx",         "chunked, identity",
                                              "identity", "gzip, chunked",    "chunked;q=1",
                                              "chunked,", "chunked, chunked", "\"chunked\"",
                                              "",         "chunked , chunked"};
    char line[128];

    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++) {
        (void)snprintf(line, sizeof line, "Transfer-Encoding: %s\r\n", unsupported[i]);
        CHECK_INT(fields_error(line), ERR_UNSUPPORTED);
    }
    CHECK_INT(fields_error("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
              ERR_SYNTAX);
    CHECK_INT(fields_error("Transfer-Encoding:\tchunked\r\n"), ERR_SYNTAX);
    CHECK_INT(fields_error("Transfer-Encoding: chunked\t\r\n"), ERR_SYNTAX);
    CHECK_INT(fields_error("Transfer-Encoding: \x0b"
                           "chunked\r\n"),
              ERR_SYNTAX);
    CHECK_INT(fields_error("Transfer-Encoding : chunked\r\n"), ERR_SYNTAX);
    CHECK_INT(request_error("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"),
              ERR_SYNTAX);
    CHECK_INT(framing_of_fields("Transfer-Encoding: ChunKed\r\n").body, HTTP_BODY_CHUNKED);
}

TEST(framing_wants_exactly_one_host_C3)
{
    CHECK_INT(request_error("GET / HTTP/1.1\r\n\r\n"), ERR_SYNTAX);
    CHECK_INT(request_error("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), ERR_SYNTAX);
    CHECK_INT(request_error("GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n"), ERR_SYNTAX);
    CHECK_INT(request_error("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), ERR_SYNTAX);
    CHECK_INT(request_error("GET / HTTP/1.0\r\n\r\n"), ERR_OK);
}

TEST(framing_of_connect_has_no_content)
{
    struct http_request request;

    CHECK(request_read("CONNECT a:1 HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", &request) > 0);
    CHECK_INT(request.framing.body, HTTP_BODY_NONE);
    CHECK_INT(request_error("CONNECT a:1 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n"),
              ERR_SYNTAX);
    CHECK_INT(request_error("CONNECT a:1 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"),
              ERR_SYNTAX);
}

TEST(framing_keeps_connections_as_rfc_9112_section_9_3_says)
{
    struct http_request request;

    CHECK_INT(framing_of_fields("").persistence, HTTP_KEEP);
    CHECK_INT(framing_of_fields("Connection: x, Close\r\n").persistence, HTTP_CLOSE);
    CHECK_INT(framing_of_fields("Connection: x\r\nConnection: close\r\n").persistence, HTTP_CLOSE);
    CHECK_INT(framing_of_fields("Connection: keep-alive, close\r\n").persistence, HTTP_CLOSE);
    CHECK(request_read("GET / HTTP/1.0\r\n\r\n", &request) > 0);
    CHECK_INT(request.framing.persistence, HTTP_CLOSE);
    CHECK(request_read("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &request) > 0);
    CHECK_INT(request.framing.persistence, HTTP_KEEP);
    CHECK_INT(framing_of_answer("HTTP/1.0 204 x\r\n\r\n", "GET").persistence, HTTP_CLOSE);
    CHECK_INT(framing_of_answer("HTTP/1.1 204 x\r\n\r\n", "GET").persistence, HTTP_KEEP);
}

TEST(framing_of_responses_refuses_ambiguity_A11)
{
    static const char *const bad[] = {
        "HTTP/1.1 200 x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 x\r\nContent-Length: 1, 1\r\n\r\n",
        "HTTP/1.1 200 x\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 x\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 x\r\nTransfer-Encoding: chunked\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(response_error(bad[i], "GET"), ERR_ORIGIN_SYNTAX);
        CHECK_INT(response_error(bad[i], "HEAD"), ERR_ORIGIN_SYNTAX);
    }
}

TEST(framing_of_bare_responses_has_no_content_whatever_they_say_A11)
{
    static const char *const bare[] = {"100", "101", "103", "204", "304"};
    static const char *const claims[] = {"Content-Length: 5", "Transfer-Encoding: chunked", "X: y"};
    char head[128];

    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < 3; k++) {
            struct http_framing framing;

            (void)snprintf(head, sizeof head, "HTTP/1.1 %s x\r\n%s\r\n\r\n", bare[i], claims[k]);
            framing = framing_of_answer(head, "GET");
            CHECK_INT(framing.body, HTTP_BODY_NONE);
            /* What may follow after all must not be taken for the next response. */
            CHECK_INT(framing.persistence, k < 2 && i != 4 ? HTTP_CLOSE : HTTP_KEEP);
        }
    }
    CHECK_INT(framing_of_answer("HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\n", "CONNECT").body,
              HTTP_BODY_NONE);
    CHECK_INT(framing_of_answer("HTTP/1.1 403 x\r\nContent-Length: 5\r\n\r\n", "CONNECT").body,
              HTTP_BODY_LENGTH);
}

TEST(framing_of_a_response_to_head_keeps_the_length)
{
    struct http_framing framing =
        framing_of_answer("HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\n", "HEAD");

    CHECK_INT(framing.body, HTTP_BODY_LENGTH);
    CHECK_INT(framing.length, 5);
    framing = framing_of_answer("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD");
    CHECK_INT(framing.body, HTTP_BODY_NONE);
    framing = framing_of_answer("HTTP/1.1 200 x\r\n\r\n", "HEAD");
    CHECK_INT(framing.body, HTTP_BODY_NONE);
    CHECK_INT(framing.persistence, HTTP_KEEP);
}

TEST(framing_of_responses_ends_with_the_connection_without_a_claim)
{
    struct http_framing framing = framing_of_answer("HTTP/1.1 200 x\r\n\r\n", "GET");

    CHECK_INT(framing.body, HTTP_BODY_UNTIL_CLOSE);
    CHECK_INT(framing.persistence, HTTP_CLOSE);
    framing = framing_of_answer("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n", "GET");
    CHECK_INT(framing.body, HTTP_BODY_CHUNKED);
    CHECK_INT(framing.persistence, HTTP_KEEP);
}

TEST_MAIN(TEST_OF(framing_refuses_length_and_coding_together_A1),
          TEST_OF(framing_refuses_every_length_that_is_not_one_run_of_digits_A2),
          TEST_OF(framing_knows_chunked_only_A3), TEST_OF(framing_wants_exactly_one_host_C3),
          TEST_OF(framing_of_connect_has_no_content),
          TEST_OF(framing_keeps_connections_as_rfc_9112_section_9_3_says),
          TEST_OF(framing_of_responses_refuses_ambiguity_A11),
          TEST_OF(framing_of_bare_responses_has_no_content_whatever_they_say_A11),
          TEST_OF(framing_of_a_response_to_head_keeps_the_length),
          TEST_OF(framing_of_responses_ends_with_the_connection_without_a_claim))
