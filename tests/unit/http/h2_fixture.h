/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_HTTP_H2_FIXTURE_H
#define EXEAT_TESTS_HTTP_H2_FIXTURE_H

/*
 * Two engines and what lies between them: our client against our server, or one of them against
 * frames that a test writes itself. pair_end() checks that everything was given back.
 */
#include "base/limits.h"
#include "http/h2.h"
#include "test.h"

#define PAIR_STREAMS 8
#define PAIR_WINDOW  (1U << 20)

struct pair {
    struct pool streams;
    struct pool recv;
    struct pool send;
    struct pool arena;
    struct pool wire;
    struct h2_options options; /* a test may change them before pair_open() */
    struct h2 *client;
    struct h2 *server;
    struct buf to_client;
    struct buf to_server;
    struct err client_err;
    struct err server_err;
};

static struct pair pair;
static struct err pair_err;

static inline void pair_init(void)
{
    memset(&pair, 0, sizeof pair);
    pool_init(&pair.streams, sizeof(struct h2_stream), 64, 8);
    pool_init(&pair.recv, LIMIT_BLOCK, 64, 8);
    pool_init(&pair.send, LIMIT_BLOCK, 64, 8);
    pool_init(&pair.arena, LIMIT_ARENA_BLOCK, 4096, 8);
    pool_init(&pair.wire, LIMIT_BLOCK, 8, 2);
    buf_init(&pair.to_client, &pair.wire, BUF_PLAIN);
    buf_init(&pair.to_server, &pair.wire, BUF_PLAIN);
    pair.options = (struct h2_options){
        .pools = {&pair.streams, &pair.recv, &pair.send, &pair.arena},
        .streams = PAIR_STREAMS,
        .window = PAIR_WINDOW,
    };
}

static inline struct h2 *engine_new(enum h2_role role)
{
    struct h2 *h2;

    pair.options.role = role;
    h2 = h2_new(&pair.options, &pair_err);
    CHECK(h2 != NULL);
    return h2;
}

static inline void pair_open(void)
{
    pair_init();
    pair.client = engine_new(H2_CLIENT);
    pair.server = engine_new(H2_SERVER);
}

/* All streams were released. */
static inline void pair_end(void)
{
    h2_free(pair.client);
    h2_free(pair.server);
    buf_fini(&pair.to_client);
    buf_fini(&pair.to_server);
    pool_fini(&pair.streams);
    pool_fini(&pair.recv);
    pool_fini(&pair.send);
    pool_fini(&pair.arena);
    pool_fini(&pair.wire);
}

/* Whether bytes moved from `from` by way of `wire` to `to`. */
static inline int pair_carry(struct h2 *from, struct buf *wire, struct h2 *to, struct err *failed)
{
    struct err err;
    int moved = h2_drain(from, wire, &err);

    CHECK(moved >= 0);
    if (buf_is_empty(wire))
        return 0;
    if (h2_feed(to, buf_span(wire), &err) < 0)
        *failed = err;
    buf_consume(wire, buf_len(wire));
    return 1;
}

/* Until nothing moves. */
static inline void pair_pump(void)
{
    int moved = 1;

    while (moved) {
        moved = pair_carry(pair.client, &pair.to_server, pair.server, &pair.server_err);
        moved |= pair_carry(pair.server, &pair.to_client, pair.client, &pair.client_err);
    }
}

/* The next stream with news; there must be one. */
static inline struct h2_stream *stream_next(struct h2 *h2)
{
    struct h2_stream *stream = NULL;

    CHECK_INT(h2_next(h2, &stream), 1);
    return stream;
}

static inline void check_quiet(struct h2 *h2)
{
    struct h2_stream *stream;

    CHECK_INT(h2_next(h2, &stream), 0);
}

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct http_field pair_items[256];

static inline struct http_fields fields_of(const char *const *names)
{
    struct http_fields fields = {.items = pair_items, .cap = 256};

    for (size_t i = 0; names != NULL && names[i] != NULL; i += 2)
        CHECK_INT(http_fields_add(&fields, span_text(names[i]), span_text(names[i + 1]), &pair_err),
                  0);
    return fields;
}

/* A request to https://a/path; NULL if the engine does not take it. */
static inline struct h2_stream *request_open(const char *method, const char *path,
                                             const char *const *names, enum h2_end end)
{
    struct http_request message = {
        .version = HTTP_2,
        .method = span_text(method),
        .target = span_text(path),
        .fields = fields_of(names),
        .framing = {.body = end == H2_ENDS ? HTTP_BODY_NONE : HTTP_BODY_CHUNKED},
    };
    struct h2_request request = {
        .request = &message, .scheme = span_text("https"), .authority = span_text("a")};

    err_clear(&pair_err);
    return h2_open(pair.client, &request, end, &pair_err);
}

static inline int response_send(struct h2_stream *stream, int status, const char *const *names,
                                enum h2_end end)
{
    struct http_response response = {
        .version = HTTP_2,
        .status = status,
        .fields = fields_of(names),
        .framing = {.body = end == H2_ENDS ? HTTP_BODY_NONE : HTTP_BODY_CHUNKED},
    };

    err_clear(&pair_err);
    return h2_send_response(stream, &response, end, &pair_err);
}

/* The value of a field, or "(none)". */
static inline struct span value_of(const struct http_fields *fields, const char *name)
{
    const struct http_field *field = http_fields_find(fields, span_text(name), NULL);

    return field == NULL ? span_text("(none)") : field->value;
}

#endif
