/* SPDX-License-Identifier: Apache-2.0 */
/* wire/ws_shake: RFC 6455 section 4, docs/protocol.md section 2, threats I6, I8 and G5. */
#include "base/limits.h"
#include "crypto/digest.h"
#include "http/h1_read.h"
#include "wire/ws_shake.h"
#include "wire_test.h"

static struct pool blocks;
static struct arena arena;
static struct err err;
static struct http_request request;
static struct http_response response;
static struct span token;
static char accept_value[WS_SHAKE_ACCEPT + 1];

/* The key and the accept value of RFC 6455 section 1.3. */
static struct ws_shake shake = {.key = "dGhlIHNhbXBsZSBub25jZQ=="};
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define KEY    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static int setup(void **state)
{
    (void)state;
    pool_init(&blocks, LIMIT_ARENA_BLOCK, 64, 8);
    arena_init(&arena, &blocks, LIMIT_HEAD);
    return digest_setup(&err);
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    pool_fini(&blocks);
    return 0;
}

static int parse_request(struct span head)
{
    size_t scanned = 0;

    arena_reset(&arena);
    CHECK_INT(h1_read_request(head, &scanned, &arena, &request, &err), head.len);
    err_clear(&err);
    return ws_shake_read(&request, &token, accept_value, &err);
}

/* A request line, Host and `fields`; the code of the refusal, ERR_OK if it is an upgrade. */
static enum err_code read_request(const char *line, const char *fields)
{
    static char head[LIMIT_HEAD];
    int len = snprintf(head, sizeof head, "%s\r\nHost: gw.example\r\n%s\r\n", line, fields);

    CHECK(len > 0 && (size_t)len < sizeof head);
    if (parse_request(span_of(head, (size_t)len)) == 0)
        return ERR_OK;
    CHECK(err.code != ERR_OK);
    return err.code;
}

#define GET "GET /v1/tunnel HTTP/1.1"
/* All that is needed, each time but one piece. */
#define UPGRADE       "Upgrade: websocket\r\n"
#define CONNECTION    "Connection: Upgrade\r\n"
#define VERSION       "Sec-WebSocket-Version: 13\r\n"
#define TYPE          "Content-Type: application/proto\r\n"
#define AUTHORIZATION "Authorization: Bearer tok\r\n"

static enum err_code read_fields(const char *fields)
{
    return read_request(GET, fields);
}

static enum err_code check_response(const char *head)
{
    size_t scanned = 0;

    arena_reset(&arena);
    CHECK_INT(
        h1_read_response(span_text(head), &scanned, span_text("GET"), &arena, &response, &err),
        strlen(head));
    err_clear(&err);
    return ws_shake_check(&shake, &response, &err) == 0 ? ERR_OK : err.code;
}

TEST(ws_shake_key_is_base64_of_the_nonce)
{
    struct ws_shake own;

    ws_shake_key(&own, (const uint8_t *)"the sample nonce");
    CHECK_STR(own.key, "dGhlIHNhbXBsZSBub25jZQ=="); /* RFC 6455 section 1.3 */
}

TEST(ws_shake_reads_a_request_of_the_tunnel)
{
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY VERSION TYPE AUTHORIZATION), ERR_OK);
    CHECK_SPAN(token, "tok");
    CHECK_STR(accept_value, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* RFC 6455 section 1.3 */
}

TEST(ws_shake_ignores_case_order_and_what_it_does_not_use)
{
    CHECK_INT(read_fields("authorization: bearer a.b-c_d/e+f~g==\r\ncontent-type: "
                          "Application/Proto\r\nsec-websocket-version: 13\r\nsec-websocket-key: "
                          "dGhlIHNhbXBsZSBub25jZQ==\r\nconnection: keep-alive, upgrade\r\n"
                          "upgrade: WebSocket\r\nUser-Agent: x\r\nContent-Length: 0\r\n"),
              ERR_OK);
    CHECK_SPAN(token, "a.b-c_d/e+f~g==");
    CHECK_INT(
        read_fields(UPGRADE "Connection: keep-alive\r\n" CONNECTION KEY VERSION TYPE AUTHORIZATION),
        ERR_OK);
}

TEST(ws_shake_writes_and_reads_a_websocket_that_is_no_tunnel)
{
    char memory[512];
    struct ws_shake own = {.host = span_text("echo.example"), .path = span_text("/chat?a=b")};
    struct text text;

    memcpy(own.key, shake.key, sizeof own.key);
    text_init(&text, memory, sizeof memory);
    ws_shake_write(&own, &text);
    CHECK_INT(parse_request(text_span(&text)), -1);
    CHECK_INT(err.code, ERR_MEDIA_TYPE);
    CHECK_INT(ws_shake_read_upgrade(&request, accept_value, &err), 0);
    CHECK_STR(accept_value, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    CHECK_INT(http_fields_count(&request.fields, span_text("Authorization")), 0);
    CHECK_INT(http_fields_count(&request.fields, span_text("Content-Type")), 0);
}

TEST(ws_shake_writes_what_it_reads)
{
    struct ws_shake own = {
        .host = span_text("gw.example:8443"),
        .path = span_text("/v1/code/upstreamproxy/ws"),
        .token = span_text("tok"),
        .key = "dGhlIHNhbXBsZSBub25jZQ==",
    };
    char memory[512];
    struct text text;

    text_init(&text, memory, sizeof memory);
    ws_shake_write(&own, &text);
    CHECK_STR(text_str(&text), "GET /v1/code/upstreamproxy/ws HTTP/1.1\r\n"
                               "Host: gw.example:8443\r\n"
                               "Upgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                               "Sec-WebSocket-Version: 13\r\n"
                               "Content-Type: application/proto\r\n"
                               "Authorization: Bearer tok\r\n"
                               "\r\n");
    CHECK_INT(parse_request(text_span(&text)), 0);
    CHECK_SPAN(request.target, "/v1/code/upstreamproxy/ws");
    CHECK_SPAN(token, "tok");
}

TEST(ws_shake_offers_no_extension_and_no_subprotocol) /* I8 */
{
    struct ws_shake own = {span_text("h"), span_text("/"), span_text("t"), "k"};
    char memory[512];
    struct text text;

    ws_shake_key(&own, (const uint8_t *)"0123456789abcdef");
    text_init(&text, memory, sizeof memory);
    ws_shake_write(&own, &text);
    CHECK(strstr(text_str(&text), "Extensions") == NULL);
    CHECK(strstr(text_str(&text), "Protocol") == NULL);
}

TEST(ws_shake_wants_get)
{
    CHECK_INT(read_request("POST / HTTP/1.1", UPGRADE CONNECTION KEY VERSION TYPE AUTHORIZATION),
              ERR_METHOD);
    CHECK_INT(read_request("HEAD / HTTP/1.1", UPGRADE CONNECTION KEY VERSION TYPE AUTHORIZATION),
              ERR_METHOD);
}

TEST(ws_shake_answers_426_without_an_upgrade_of_version_13) /* I6 */
{
    CHECK_INT(read_request("GET / HTTP/1.0", UPGRADE CONNECTION KEY VERSION TYPE AUTHORIZATION),
              ERR_UPGRADE);
    CHECK_INT(read_fields(CONNECTION KEY VERSION TYPE AUTHORIZATION), ERR_UPGRADE);
    CHECK_INT(read_fields("Upgrade: h2c\r\n" CONNECTION KEY VERSION TYPE AUTHORIZATION),
              ERR_UPGRADE);
    CHECK_INT(read_fields("Upgrade: websocketx\r\n" CONNECTION KEY VERSION TYPE AUTHORIZATION),
              ERR_UPGRADE);
    CHECK_INT(read_fields(UPGRADE UPGRADE CONNECTION KEY VERSION TYPE AUTHORIZATION), ERR_UPGRADE);
    CHECK_INT(read_fields("Upgrade: websocket, h2c\r\n" CONNECTION KEY VERSION TYPE AUTHORIZATION),
              ERR_UPGRADE);
    CHECK_INT(read_fields(UPGRADE KEY VERSION TYPE AUTHORIZATION), ERR_UPGRADE);
    CHECK_INT(read_fields(UPGRADE "Connection: close\r\n" KEY VERSION TYPE AUTHORIZATION),
              ERR_UPGRADE);
    CHECK_INT(read_fields(UPGRADE "Connection: xupgrade\r\n" KEY VERSION TYPE AUTHORIZATION),
              ERR_UPGRADE);
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY TYPE AUTHORIZATION), ERR_UPGRADE);
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY VERSION VERSION TYPE AUTHORIZATION), ERR_UPGRADE);
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 8\r\n" TYPE AUTHORIZATION),
              ERR_UPGRADE);
    CHECK_INT(
        read_fields(UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 13, 8\r\n" TYPE AUTHORIZATION),
        ERR_UPGRADE);
}

TEST(ws_shake_refuses_bad_keys) /* I6 */
{
    static const char *const keys[] = {
        "",
        "Sec-WebSocket-Key:\r\n",
        KEY KEY,
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n", /* not canonical */
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWFh\r\n", /* 18 bytes */
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n",     /* 15 bytes */
        "Sec-WebSocket-Key: dGhlIHNhbXB-ZSBub25jZQ==\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==\r\n",
    };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char fields[512];

        (void)snprintf(fields, sizeof fields, UPGRADE CONNECTION VERSION TYPE AUTHORIZATION "%s",
                       keys[i]);
        CHECK_INT(read_fields(fields), ERR_SYNTAX);
    }
}

TEST(ws_shake_wants_the_content_type_of_the_protocol)
{
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY VERSION AUTHORIZATION), ERR_MEDIA_TYPE);
    CHECK_INT(err_status(ERR_MEDIA_TYPE), 415);
    CHECK_INT(
        read_fields(UPGRADE CONNECTION KEY VERSION "Content-Type: text/plain\r\n" AUTHORIZATION),
        ERR_MEDIA_TYPE);
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY VERSION
                          "Content-Type: application/protobuf\r\n" AUTHORIZATION),
              ERR_MEDIA_TYPE);
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY VERSION TYPE TYPE AUTHORIZATION), ERR_MEDIA_TYPE);
}

TEST(ws_shake_wants_one_bearer_token)
{
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY VERSION TYPE), ERR_TOKEN_MISSING);
    CHECK_INT(err_status(ERR_TOKEN_MISSING), 401);
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY VERSION TYPE AUTHORIZATION AUTHORIZATION),
              ERR_TOKEN_MISSING);
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY VERSION TYPE "Authorization: Basic YTpi\r\n"),
              ERR_TOKEN_MISSING);
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY VERSION TYPE "Authorization: Bearer\r\n"),
              ERR_TOKEN_MISSING);
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY VERSION TYPE "Authorization: Bearertok\r\n"),
              ERR_TOKEN_MISSING);
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY VERSION TYPE "Authorization: Bearer a b\r\n"),
              ERR_TOKEN_MISSING);
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY VERSION TYPE "Authorization: Bearer  a\r\n"),
              ERR_TOKEN_MISSING);
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY VERSION TYPE "Authorization: Bearer \xc3\xa9\r\n"),
              ERR_TOKEN_MISSING);
    CHECK_INT(
        read_fields(UPGRADE CONNECTION KEY VERSION TYPE "Proxy-Authorization: Bearer tok\r\n"),
        ERR_TOKEN_MISSING);
}

TEST(ws_shake_bounds_the_token) /* G5: 4 KiB; the same answer as for one that is wrong */
{
    static char letters[LIMIT_TOKEN + 1];
    static char fields[LIMIT_TOKEN + 512];

    memset(letters, 'a', sizeof letters);
    (void)snprintf(fields, sizeof fields,
                   UPGRADE CONNECTION KEY VERSION TYPE "Authorization: Bearer %.*s\r\n",
                   LIMIT_TOKEN, letters);
    CHECK_INT(read_fields(fields), ERR_OK);
    CHECK_INT(token.len, LIMIT_TOKEN);
    (void)snprintf(fields, sizeof fields,
                   UPGRADE CONNECTION KEY VERSION TYPE "Authorization: Bearer %.*s\r\n",
                   LIMIT_TOKEN + 1, letters);
    CHECK_INT(read_fields(fields), ERR_TOKEN_INVALID);
}

TEST(ws_shake_refuses_content)
{
    CHECK_INT(
        read_fields(UPGRADE CONNECTION KEY VERSION TYPE AUTHORIZATION "Content-Length: 1\r\n"),
        ERR_SYNTAX);
    CHECK_INT(read_fields(UPGRADE CONNECTION KEY VERSION TYPE AUTHORIZATION
                          "Transfer-Encoding: chunked\r\n"),
              ERR_SYNTAX);
}

TEST(ws_shake_answers_with_101)
{
    struct pool pool;
    struct buf out;
    struct buf other;

    pool_init(&pool, 1024, 1, 0);
    buf_init(&out, &pool, BUF_PLAIN);
    buf_init(&other, &pool, BUF_PLAIN);
    CHECK_INT(ws_shake_answer("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &out, &err), 0);
    CHECK_SPAN(buf_span(&out), "HTTP/1.1 101 Switching Protocols\r\n"
                               "Upgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                               "\r\n");
    CHECK_INT(ws_shake_answer("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &other, &err), -1);
    CHECK_INT(err.code, ERR_MEMORY);
    CHECK_INT(buf_append(&out, span_text("\x82"), &err), 0);
    buf_fini(&out);
    pool_fini(&pool);
}

#define SWITCHING "HTTP/1.1 101 Switching Protocols\r\n"

TEST(ws_shake_accepts_the_101_of_its_own_gateway)
{
    CHECK_INT(check_response(SWITCHING UPGRADE CONNECTION ACCEPT "\r\n"), ERR_OK);
    CHECK_INT(check_response("HTTP/1.1 101 ok\r\nupgrade: WebSocket\r\nconnection: keep-alive, "
                             "upgrade\r\nServer: x\r\n" ACCEPT "\r\n"),
              ERR_OK);
}

TEST(ws_shake_refuses_a_101_that_is_not_the_answer_to_its_key) /* I6: 101 from a wrong peer */
{
    static const char *const heads[] = {
        SWITCHING CONNECTION ACCEPT "\r\n",
        SWITCHING "Upgrade: h2c\r\n" CONNECTION ACCEPT "\r\n",
        SWITCHING UPGRADE UPGRADE CONNECTION ACCEPT "\r\n",
        SWITCHING UPGRADE ACCEPT "\r\n",
        SWITCHING UPGRADE "Connection: close\r\n" ACCEPT "\r\n",
        SWITCHING UPGRADE CONNECTION "\r\n",
        SWITCHING UPGRADE CONNECTION ACCEPT ACCEPT "\r\n",
        SWITCHING UPGRADE CONNECTION "Sec-WebSocket-Accept:\r\n\r\n",
        SWITCHING UPGRADE CONNECTION "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n\r\n",
        SWITCHING UPGRADE CONNECTION "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        SWITCHING UPGRADE CONNECTION "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "HTTP/1.0 101 Switching Protocols\r\n" UPGRADE CONNECTION ACCEPT "\r\n",
    };

    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        CHECK_INT(check_response(heads[i]), ERR_GATEWAY);
}

TEST(ws_shake_refuses_what_was_not_offered) /* I8 */
{
    CHECK_INT(check_response(SWITCHING UPGRADE CONNECTION ACCEPT
                             "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
              ERR_GATEWAY);
    CHECK_INT(
        check_response(SWITCHING UPGRADE CONNECTION ACCEPT "Sec-WebSocket-Extensions:\r\n\r\n"),
        ERR_GATEWAY);
    CHECK_INT(
        check_response(SWITCHING UPGRADE CONNECTION ACCEPT "Sec-WebSocket-Protocol: chat\r\n\r\n"),
        ERR_GATEWAY);
}

TEST(ws_shake_names_status_and_reason_of_a_refusal)
{
    CHECK_INT(check_response("HTTP/1.1 401 Unauthorized\r\nExeat-Reason: token_expired\r\n"
                             "Content-Length: 0\r\n\r\n"),
              ERR_TOKEN_INVALID);
    CHECK_STR(err.text, "the gateway answered 401, reason token_expired");
    CHECK_INT(check_response("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
              ERR_DRAINING);
    CHECK_STR(err.text, "the gateway answered 503");
    CHECK_INT(check_response("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), ERR_GATEWAY);
    CHECK_INT(check_response("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), ERR_GATEWAY);
    CHECK_INT(check_response("HTTP/1.1 415 x\r\nContent-Length: 0\r\nExeat-Reason: "
                             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n"),
              ERR_GATEWAY);
    CHECK_STR(err.text,
              "the gateway answered 415, reason aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(ws_shake_key_is_base64_of_the_nonce),
        TEST_OF(ws_shake_reads_a_request_of_the_tunnel),
        TEST_OF(ws_shake_ignores_case_order_and_what_it_does_not_use),
        TEST_OF(ws_shake_writes_and_reads_a_websocket_that_is_no_tunnel),
        TEST_OF(ws_shake_writes_what_it_reads),
        TEST_OF(ws_shake_offers_no_extension_and_no_subprotocol),
        TEST_OF(ws_shake_wants_get),
        TEST_OF(ws_shake_answers_426_without_an_upgrade_of_version_13),
        TEST_OF(ws_shake_refuses_bad_keys),
        TEST_OF(ws_shake_wants_the_content_type_of_the_protocol),
        TEST_OF(ws_shake_wants_one_bearer_token),
        TEST_OF(ws_shake_bounds_the_token),
        TEST_OF(ws_shake_refuses_content),
        TEST_OF(ws_shake_answers_with_101),
        TEST_OF(ws_shake_accepts_the_101_of_its_own_gateway),
        TEST_OF(ws_shake_refuses_a_101_that_is_not_the_answer_to_its_key),
        TEST_OF(ws_shake_refuses_what_was_not_offered),
        TEST_OF(ws_shake_names_status_and_reason_of_a_refusal),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
