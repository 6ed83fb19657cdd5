/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_FUZZ_H2_USER_H
#define EXEAT_TESTS_FUZZ_H2_USER_H

/*
 * An engine between a peer that is the input and a user whose acts follow from it too: answers,
 * content, resets and releases come at points that a seed chooses. What must hold whatever happens
 * is checked after each act; at the end every pool must be whole again.
 */
#include "base/limits.h"
#include "base/num.h"
#include "http/h2.h"

#define USER_STREAMS 4
#define USER_WINDOW  100000

struct user {
    struct h2 *h2;
    enum h2_role role;
    struct pool streams;
    struct pool blocks;
    struct pool arena;
    struct buf out;
    struct h2_stream *held[USER_STREAMS];
    uint64_t seed;
    int has_failed;
};

static inline unsigned user_choose(struct user *user, unsigned count)
{
    user->seed = user->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(user->seed >> 40) % count;
}

static inline void user_init(struct user *user, enum h2_role role, uint64_t seed)
{
    struct h2_options options = {
        .role = role,
        .streams = USER_STREAMS,
        .window = USER_WINDOW,
        .extended_connect = (int)(seed & 1),
        .pools = {&user->streams, &user->blocks, &user->blocks, &user->arena},
    };
    struct err err;

    *user = (struct user){.role = role, .seed = seed};
    pool_init(&user->streams, sizeof(struct h2_stream), USER_STREAMS, 0);
    pool_init(&user->blocks, LIMIT_BLOCK, 2UL * USER_STREAMS, 0);
    pool_init(&user->arena, LIMIT_ARENA_BLOCK, 1024, 0);
    buf_init(&user->out, &user->blocks, BUF_PLAIN);
    user->h2 = h2_new(&options, &err);
    ENSURE(user->h2 != NULL);
}

/* What the engine writes is frames, whole. */
static inline void user_check_out(struct user *user)
{
    struct span left = buf_span(&user->out);

    if (span_starts(left, span_text("PRI ")))
        left = span_from(left, 24);
    while (left.len > 0) {
        ENSURE(left.len >= 9);
        size_t len = (size_t)left.ptr[0] << 16 | (size_t)left.ptr[1] << 8 | left.ptr[2];

        ENSURE(len <= 16384 && left.ptr[3] < 10 && left.len >= 9 + len);
        left = span_from(left, 9 + len);
    }
}

static inline void user_drain(struct user *user)
{
    struct err err;
    int result = h2_drain(user->h2, &user->out, &err);

    ENSURE(result >= 0 || err.code == ERR_MEMORY);
    user_check_out(user);
    buf_consume(&user->out, buf_len(&user->out));
}

static inline struct http_fields user_fields(struct http_field items[2])
{
    items[0] = (struct http_field){span_text("X-One"), span_text("1")};
    items[1] = (struct http_field){span_text("set-cookie"), span_text("a=b")};
    return (struct http_fields){.items = items, .count = 2, .cap = 2};
}

static char user_released; /* the owner of a stream that must not be shown again */

static inline void user_forget(struct user *user, struct h2_stream *stream)
{
    for (size_t i = 0; i < USER_STREAMS; i++) {
        if (user->held[i] == stream)
            user->held[i] = NULL;
    }
    stream->owner = &user_released;
    h2_release(stream);
}

static inline void user_hold(struct user *user, struct h2_stream *stream)
{
    for (size_t i = 0; i < USER_STREAMS; i++) {
        if (user->held[i] == stream)
            return;
    }
    for (size_t i = 0; i < USER_STREAMS; i++) {
        if (user->held[i] == NULL) {
            user->held[i] = stream;
            return;
        }
    }
    ENSURE(false); /* more streams than there may be */
}

static inline void user_open(struct user *user)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "OPTIONS"};
    struct http_field items[2];
    struct http_request message = {
        .version = HTTP_2,
        .method = span_text(methods[user_choose(user, 4)]),
        .target = span_text("/"),
        .fields = user_fields(items),
    };
    struct h2_request request = {
        .request = &message, .scheme = span_text("https"), .authority = span_text("a")};
    enum h2_end end = user_choose(user, 2) ? H2_ENDS : H2_GOES_ON;
    size_t free_count = h2_open_count(user->h2);
    struct err err;
    struct h2_stream *stream;

    message.framing.body = end == H2_ENDS ? HTTP_BODY_NONE : HTTP_BODY_CHUNKED;
    stream = h2_open(user->h2, &request, end, &err);
    if (stream != NULL)
        user_hold(user, stream);
    ENSURE(stream == NULL ? free_count == 0 || err.code == ERR_MEMORY : free_count > 0);
}

static inline void user_answer(struct user *user, struct h2_stream *stream)
{
    static const int statuses[] = {200, 204, 304, 431, 599};
    struct http_field items[2];
    struct http_response response = {.version = HTTP_2, .fields = user_fields(items)};
    enum h2_end end = user_choose(user, 2) ? H2_ENDS : H2_GOES_ON;
    struct err err;

    if (stream->has_response || stream->send_ended)
        return;
    if (user_choose(user, 4) == 0) {
        response.status = 103;
        (void)h2_send_interim(stream, &response, &err);
        return;
    }
    response.status = statuses[user_choose(user, 5)];
    if (h2_send_response(stream, &response, end, &err) < 0)
        ENSURE(err.code == ERR_CLOSED || err.code == ERR_INTERNAL || err.code == ERR_MEMORY);
}

static inline void user_send(struct user *user, struct h2_stream *stream)
{
    static const uint8_t bytes[LIMIT_BLOCK];
    size_t len = num_min(h2_send_room(stream), 1U << user_choose(user, 17));
    struct err err;

    if (stream->send_ended || (user->role == H2_SERVER && !stream->has_response))
        return;
    if (h2_send_data(stream, span_of(bytes, len), &err) < 0)
        ENSURE(err.code == ERR_CLOSED || err.code == ERR_MEMORY);
    if (user_choose(user, 3) == 0) {
        struct http_field item = {span_text("x-sum"), span_text("1")};
        struct http_fields trailers = {.items = &item, .count = user_choose(user, 2), .cap = 1};

        if (h2_send_end(stream, &trailers, &err) < 0)
            ENSURE(err.code == ERR_CLOSED || err.code == ERR_MEMORY);
    }
}

static inline void user_act(struct user *user, struct h2_stream *stream)
{
    switch (user_choose(user, 8)) {
    case 0:
        user_forget(user, stream);
        break;
    case 1:
        if (user_choose(user, 4) == 0)
            h2_reset(stream, H2_CANCEL);
        break;
    case 2:
    case 3:
        if (user->role == H2_SERVER)
            user_answer(user, stream);
        break;
    case 4:
    case 5:
        user_send(user, stream);
        break;
    default:
        h2_recv_used(stream, num_min(buf_len(&stream->recv), 1U << user_choose(user, 17)));
        break;
    }
}

static inline void user_news(struct user *user)
{
    struct h2_stream *stream;

    while (h2_next(user->h2, &stream)) {
        ENSURE(stream->news != 0 && stream->h2 == user->h2 && stream->owner != &user_released);
        ENSURE((stream->news & H2_NEWS_HEAD) == 0 || stream->has_head);
        ENSURE((stream->news & H2_NEWS_END) == 0 || stream->recv_ended);
        ENSURE((stream->news & H2_NEWS_RESET) == 0 || stream->is_reset);
        ENSURE(user->role == H2_CLIENT || stream->has_head);
        user_hold(user, stream);
    }
}

/* The user's turn after a piece of the input. */
static inline void user_turn(struct user *user)
{
    user_news(user);
    if (user->role == H2_CLIENT && user_choose(user, 3) == 0)
        user_open(user);
    for (size_t i = 0; i < USER_STREAMS; i++) {
        if (user->held[i] != NULL && user_choose(user, 2) == 0)
            user_act(user, user->held[i]);
    }
    switch (user_choose(user, 64)) {
    case 0:
        h2_shutdown(user->h2);
        break;
    case 1:
        h2_ping(user->h2);
        break;
    case 2:
        h2_tick(user->h2);
        break;
    case 3:
        if (user_choose(user, 8) == 0)
            h2_terminate(user->h2, H2_ENHANCE_YOUR_CALM);
        break;
    default:
        break;
    }
    if (user_choose(user, 3) != 0)
        user_drain(user);
}

static inline void user_feed(struct user *user, struct span in)
{
    while (in.len > 0) {
        size_t len = num_min(in.len, 1U << user_choose(user, 13));
        struct err err;

        if (h2_feed(user->h2, span_first(in, len), &err) < 0) {
            ENSURE(err.code == ERR_LIMIT ||
                   err.code == (user->role == H2_SERVER ? ERR_SYNTAX : ERR_ORIGIN_SYNTAX));
            ENSURE(user->role == H2_SERVER || err.code == ERR_ORIGIN_SYNTAX);
            user->has_failed = 1;
        }
        ENSURE(!user->has_failed || err.code != ERR_OK);
        user_turn(user);
        in = span_from(in, len);
    }
}

static inline void user_fini(struct user *user)
{
    int frees_first = user_choose(user, 2) == 0;

    user_news(user);
    ENSURE(h2_stream_count(user->h2) <= USER_STREAMS);
    if (frees_first)
        h2_free(user->h2);
    for (size_t i = 0; i < USER_STREAMS; i++) {
        if (user->held[i] != NULL)
            h2_release(user->held[i]);
    }
    if (!frees_first) {
        user_drain(user);
        ENSURE(h2_stream_count(user->h2) == 0);
        ENSURE(!user->has_failed || h2_is_done(user->h2));
        h2_free(user->h2);
    }
    buf_fini(&user->out);
    pool_fini(&user->streams);
    pool_fini(&user->blocks);
    pool_fini(&user->arena);
}

/*
 * Input as records: type, flags, stream, length, payload. So that every input is frames, and the
 * fuzzer's work goes into what is in them. A record of type 0xff is raw bytes.
 */
static inline void user_feed_records(struct user *user, struct span in)
{
    while (in.len >= 4) {
        size_t len = num_min(in.ptr[3], in.len - 4);
        const uint8_t head[9] = {
            [2] = (uint8_t)len, [3] = in.ptr[0], [4] = in.ptr[1], [8] = in.ptr[2]};

        if (in.ptr[0] != 0xff)
            user_feed(user, span_of(head, sizeof head));
        user_feed(user, span_of(in.ptr + 4, len));
        in = span_from(in, 4 + len);
    }
}

static inline void user_run(enum h2_role role, const uint8_t *bytes, size_t len)
{
    struct user user;

    user_init(&user, role, bytes[0] | (uint64_t)bytes[1] << 8);
    if ((bytes[0] & 0x80) != 0) {
        user_feed(&user, span_of(bytes + 2, len - 2));
    } else {
        if (role == H2_SERVER)
            user_feed(&user, span_text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        user_feed_records(&user, span_of(bytes + 2, len - 2));
    }
    user_fini(&user);
}

#endif
