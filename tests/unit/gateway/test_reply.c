/* SPDX-License-Identifier: Apache-2.0 */
/* Our own answers: what a person reads, what a program reads. */
#include "gateway/reply.h"

#include "base/arena.h"
#include "base/limits.h"
#include "http/h1_read.h"
#include "test.h"

struct answer {
    struct pool pool;
    struct arena arena;
    char memory[REPLY_MAX];
    struct text text;
    struct http_response response;
    size_t head_len;
};

static void answer_make(struct answer *answer, const struct reply *reply)
{
    struct err err = {0};
    size_t scanned = 0;
    ssize_t len;

    pool_init(&answer->pool, LIMIT_ARENA_BLOCK, 8, 8);
    arena_init(&answer->arena, &answer->pool, 65536);
    text_init(&answer->text, answer->memory, sizeof answer->memory);
    reply_write(reply, &answer->text);
    CHECK(!answer->text.overflow);
    len = h1_read_response(text_span(&answer->text), &scanned, span_text("GET"), &answer->arena,
                           &answer->response, &err);
    CHECK(len > 0);
    answer->head_len = (size_t)len;
}

static void answer_free(struct answer *answer)
{
    arena_reset(&answer->arena);
    pool_fini(&answer->pool);
}

static struct span field(const struct answer *answer, const char *name)
{
    const struct http_field *found =
        http_fields_find(&answer->response.fields, span_text(name), NULL);

    return found == NULL ? span_of(NULL, 0) : found->value;
}

TEST(reply_says_status_reason_and_words)
{
    struct reply reply = {.rule = span_text("no-admin"), .generation = 0xabcd};
    struct answer answer;

    (void)err_set(&reply.err, ERR_POLICY, "rule no-admin denies this request");
    answer_make(&answer, &reply);
    CHECK_INT(answer.response.status, 403);
    CHECK_SPAN(answer.response.reason, "exeat: rule no-admin denies this request");
    CHECK_SPAN(field(&answer, "exeat-reason"), "policy_denied");
    CHECK_SPAN(field(&answer, "content-type"), "application/problem+json");
    CHECK_INT(answer.response.framing.length, answer.text.len - answer.head_len);
    CHECK(span_find_span(text_span(&answer.text), span_text("\"rule\":\"no-admin\"")) > 0);
    CHECK(span_find_span(text_span(&answer.text),
                         span_text("\"policy\":\"000000000000abcd\",\"retry\":false")) > 0);
    answer_free(&answer);
}

TEST(reply_of_every_error_is_a_valid_response)
{
    for (unsigned code = 1; code < ERR_COUNT; code++) {
        struct reply reply = {.generation = 1};
        struct answer answer;

        (void)err_set(&reply.err, (enum err_code)code, "%s", "words \"quoted\" and \\ more");
        answer_make(&answer, &reply);
        CHECK_INT(answer.response.status, err_status((enum err_code)code));
        CHECK_INT(answer.response.framing.persistence, HTTP_CLOSE);
        answer_free(&answer);
    }
}

TEST(reply_to_head_has_no_content_but_its_length)
{
    struct reply reply = {.content = REPLY_HEAD_ONLY};
    struct answer answer;

    (void)err_set(&reply.err, ERR_TIMEOUT, "too slow");
    answer_make(&answer, &reply);
    CHECK_INT(answer.text.len, answer.head_len);
    CHECK(answer.response.framing.length > 0);
    answer_free(&answer);
}

TEST(reply_names_the_challenge_of_401_407_and_503)
{
    struct reply reply = {.generation = 1};
    struct answer answer;

    (void)err_set(&reply.err, ERR_SESSION_MISMATCH, "not yours");
    answer_make(&answer, &reply);
    CHECK_SPAN(field(&answer, "proxy-authenticate"), "Basic realm=\"exeat\"");
    answer_free(&answer);
    (void)err_set(&reply.err, ERR_TOKEN_INVALID, "unknown");
    answer_make(&answer, &reply);
    CHECK_SPAN(field(&answer, "www-authenticate"), "Bearer");
    answer_free(&answer);
    (void)err_set(&reply.err, ERR_DRAINING, "stopping");
    answer_make(&answer, &reply);
    CHECK_SPAN(field(&answer, "retry-after"), "1");
    answer_free(&answer);
}

TEST(reply_established_is_the_vector_of_the_protocol)
{
    CHECK_INT(reply_established().len, 39);
    CHECK_SPAN(reply_established(), "HTTP/1.1 200 Connection Established\r\n\r\n");
}

TEST_MAIN(TEST_OF(reply_says_status_reason_and_words),
          TEST_OF(reply_of_every_error_is_a_valid_response),
          TEST_OF(reply_to_head_has_no_content_but_its_length),
          TEST_OF(reply_names_the_challenge_of_401_407_and_503),
          TEST_OF(reply_established_is_the_vector_of_the_protocol))
