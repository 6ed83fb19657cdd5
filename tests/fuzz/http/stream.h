/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_FUZZ_STREAM_H
#define EXEAT_TESTS_FUZZ_STREAM_H

/*
 * A stream of messages through the engine in pieces that a seed chooses, summed up so that two
 * runs can be compared, and every head that was accepted handed to a check.
 */
#include "base/limits.h"
#include "http/h1.h"
#include "http/h1_read.h"
#include "http/h1_write.h"

struct stream {
    enum h1_role role;
    struct span method;
    void (*check)(struct stream *stream); /* sees h1.request or h1.response */
    struct h1 h1;
    struct pool blocks;
    struct arena arena;
    uint64_t seed; /* 0: whole */
    uint64_t hash; /* of what happened */
};

static inline void stream_hash(struct stream *stream, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        stream->hash = (stream->hash ^ bytes.ptr[i]) * 0x100000001b3U;
}

static inline void stream_hash_number(struct stream *stream, uint64_t number)
{
    stream_hash(stream, span_of(&number, sizeof number));
}

/* Length of the next piece of `left` bytes, which are not 0. */
static inline size_t stream_cut(struct stream *stream, size_t left)
{
    size_t len;

    if (stream->seed == 0)
        return left;
    stream->seed = stream->seed * 6364136223846793005u + 1442695040888963407u;
    len = 1 + (size_t)(stream->seed >> 40) % 23;
    return len < left ? len : left;
}

static inline void stream_event(struct stream *stream, const struct h1_event *event)
{
    stream_hash(stream, event->data);
    if (event->type == H1_DATA) {
        ENSURE(event->data.len > 0);
        return;
    }
    stream_hash_number(stream, (uint64_t)event->type);
    if (event->type != H1_END) {
        stream->check(stream);
        return;
    }
    arena_reset(&stream->arena);
    h1_begin(&stream->h1, &stream->arena, stream->method);
}

/* 0, or -1 after an error. Takes what the engine takes of `in`. */
static inline int stream_feed(struct stream *stream, struct span in, size_t *taken)
{
    for (*taken = 0;;) {
        struct h1_event event;
        struct err err;
        size_t used;

        if (h1_feed(&stream->h1, span_from(in, *taken), &used, &err) < 0) {
            ENSURE(err.code != ERR_OK && err.code != ERR_INTERNAL);
            stream_hash_number(stream, (uint64_t)err.code);
            return -1;
        }
        ENSURE(used <= in.len - *taken);
        *taken += used;
        while (h1_next(&stream->h1, &event))
            stream_event(stream, &event);
        if (used == 0 || *taken == in.len)
            return 0;
    }
}

static inline void stream_finish(struct stream *stream)
{
    struct h1_event event;
    struct err err;

    stream_hash_number(stream, h1_is_midway(&stream->h1));
    if (h1_eof(&stream->h1, &err) < 0)
        stream_hash_number(stream, (uint64_t)err.code);
    while (h1_next(&stream->h1, &event))
        stream_event(stream, &event);
}

/* What the bytes mean, as a number. */
static inline uint64_t stream_run(struct stream *stream, struct span in, uint64_t seed)
{
    size_t taken = 0;
    size_t shown = 0;
    int result = 0;

    stream->seed = seed;
    stream->hash = 0xcbf29ce484222325U;
    pool_init(&stream->blocks, LIMIT_ARENA_BLOCK, 4096, 4);
    arena_init(&stream->arena, &stream->blocks, 32UL * LIMIT_HEAD);
    h1_init(&stream->h1, stream->role);
    h1_begin(&stream->h1, &stream->arena, stream->method);
    while (shown < in.len && result == 0) {
        size_t used;

        shown += stream_cut(stream, in.len - shown);
        result = stream_feed(stream, span_of(in.ptr + taken, shown - taken), &used);
        taken += used;
    }
    if (result == 0)
        stream_finish(stream);
    arena_reset(&stream->arena);
    pool_fini(&stream->blocks);
    return stream->hash;
}

/* Without what the writer adds itself. */
static inline void fields_strip(struct http_fields *fields)
{
    (void)http_fields_remove(fields, span_text("content-length"));
    (void)http_fields_remove(fields, span_text("transfer-encoding"));
    (void)http_fields_remove(fields, span_text("connection"));
}

static inline void fields_ensure_equal(const struct http_fields *a, const struct http_fields *b)
{
    ENSURE(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        ENSURE(span_equal(a->items[i].name, b->items[i].name));
        ENSURE(span_equal(a->items[i].value, b->items[i].value));
    }
}

/* "No content" and "content of no bytes" are written alike after some methods. */
static inline void framing_ensure_equal(struct http_framing a, struct http_framing b)
{
    ENSURE(a.persistence == b.persistence);
    if (a.body != HTTP_BODY_LENGTH)
        a.length = 0;
    if (a.body == HTTP_BODY_NONE && b.body == HTTP_BODY_LENGTH)
        a.body = HTTP_BODY_LENGTH;
    ENSURE(a.body == b.body && a.length == b.length);
}

/* Whole, byte by byte would be slow, so cut by two seeds: the same story each time. */
static inline void stream_check(struct stream *stream, struct span in, uint8_t seed)
{
    uint64_t whole = stream_run(stream, in, 0);

    ENSURE(stream_run(stream, in, 1 + (uint64_t)seed) == whole);
    ENSURE(stream_run(stream, in, 1000 + (uint64_t)seed) == whole);
}

#endif
