/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_HTTP_FIXTURE_H
#define EXEAT_TESTS_HTTP_FIXTURE_H

/* What every test of messages needs: an arena, and heads written as C strings. */
#include "base/limits.h"
#include "http/h1_read.h"
#include "test.h"

#define HOST "Host: a\r\n"

static struct pool fixture_blocks;
static struct arena fixture_arena;
static struct err fixture_err;

/* An empty arena; call it first in each test that reads. */
static inline struct arena *arena_fresh(void)
{
    if (fixture_blocks.item_size == 0) {
        pool_init(&fixture_blocks, LIMIT_ARENA_BLOCK, 256, 8);
        arena_init(&fixture_arena, &fixture_blocks, 8UL * LIMIT_HEAD);
    }
    arena_reset(&fixture_arena);
    return &fixture_arena;
}

static inline ssize_t request_read_span(struct span head, struct http_request *request)
{
    size_t scanned = 0;

    err_clear(&fixture_err);
    return h1_read_request(head, &scanned, arena_fresh(), request, &fixture_err);
}

static inline ssize_t request_read(const char *head, struct http_request *request)
{
    return request_read_span(span_text(head), request);
}

static inline ssize_t response_read(const char *head, const char *method,
                                    struct http_response *response)
{
    size_t scanned = 0;

    err_clear(&fixture_err);
    return h1_read_response(span_text(head), &scanned, span_text(method), arena_fresh(), response,
                            &fixture_err);
}

/* What a head is refused with, ERR_OK if it is not. */
static inline enum err_code request_error(const char *head)
{
    struct http_request request;

    return request_read(head, &request) < 0 ? fixture_err.code : ERR_OK;
}

static inline enum err_code response_error(const char *head, const char *method)
{
    struct http_response response;

    return response_read(head, method, &response) < 0 ? fixture_err.code : ERR_OK;
}

/* The fields of a request, with a Host in front. */
static inline enum err_code fields_error(const char *lines)
{
    static char head[4096];
    int len = snprintf(head, sizeof head, "POST / HTTP/1.1\r\n" HOST "%s\r\n", lines);

    CHECK(len > 0 && (size_t)len < sizeof head);
    return request_error(head);
}

/* Writable field storage for tests that build a message. */
static inline void fields_fill(struct http_fields *fields, const char *const *pairs)
{
    CHECK_INT(http_fields_init(fields, arena_fresh(), 160, &fixture_err), 0);
    for (size_t i = 0; pairs[i] != NULL; i += 2)
        CHECK_INT(
            http_fields_add(fields, span_text(pairs[i]), span_text(pairs[i + 1]), &fixture_err), 0);
}

#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
