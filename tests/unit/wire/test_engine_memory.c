/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of http/h1, http/target and the writers of wire/ fails once (threat K8): each
 * time a clean ERR_MEMORY, and all that was taken is given back. HTTP/2 has a test of its own.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "crypto/digest.h"
#include "http/h1.h"
#include "http/h1_write.h"
#include "http/target.h"
#include "wire/ws_frame.h"
#include "wire/ws_shake.h"
#include "wire_test.h"

static size_t taken;   /* allocations of this run */
static size_t fail_at; /* which of them fails; 0: none */
static size_t live;

void *__real_malloc(size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void __wrap_free(void *block);

void *__wrap_malloc(size_t size)
{
    void *block = ++taken == fail_at ? NULL : __real_malloc(size);

    live += block != NULL;
    return block;
}

void __wrap_free(void *block)
{
    live -= block != NULL;
    __real_free(block);
}

/* What a run works with; nothing is kept from one to the next. */
struct place {
    struct pool blocks;
    struct pool queues;
    struct arena arena;
    struct buf out;
    struct err err;
};

/* The whole of `in` through the engine; 0 when the message is complete. */
static int h1_run(struct place *place, enum h1_role role, const char *text)
{
    struct span in = span_text(text);
    struct h1 h1;

    h1_init(&h1, role);
    h1_begin(&h1, &place->arena, span_text("GET"));
    for (;;) {
        struct h1_event event;
        size_t used;

        if (h1_feed(&h1, in, &used, &place->err) < 0)
            return -1;
        in = span_from(in, used);
        while (h1_next(&h1, &event)) {
            if (event.type == H1_END)
                return 0;
        }
        CHECK(used > 0);
    }
}

static int request_run(struct place *place)
{
    static char text[20000];
    int head = snprintf(text, sizeof text, "POST / HTTP/1.1\r\nHost: a\r\nX: ");

    memset(text + head, 'x', 9000); /* more than a block of the arena */
    (void)snprintf(text + head + 9000, sizeof text - 9000 - (size_t)head,
                   "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n");
    return h1_run(place, H1_REQUESTS, text);
}

static int response_run(struct place *place)
{
    return h1_run(place, H1_RESPONSES,
                  "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static int target_run(struct place *place)
{
    struct target target;

    return target_read(span_text("http://a.example/%61/../b?c"), &place->arena, &target,
                       &place->err);
}

static int write_run(struct place *place)
{
    struct http_request request = {
        .version = HTTP_1_1, .method = span_text("GET"), .target = span_text("/")};

    if (http_fields_init(&request.fields, &place->arena, 4, &place->err) < 0 ||
        http_fields_add(&request.fields, span_text("Host"), span_text("a"), &place->err) < 0)
        return -1;
    return h1_write_request(&request, &place->out, &place->err);
}

static int shake_run(struct place *place)
{
    char accept[WS_SHAKE_ACCEPT + 1];

    ws_shake_accept(span_text("dGhlIHNhbXBsZSBub25jZQ=="), accept);
    return ws_shake_answer(accept, &place->out, &place->err);
}

static int frame_run(struct place *place)
{
    return ws_frame_send_close(&place->out, 1000, span_text("done"), NULL, &place->err);
}

/* How many allocations `run` has, each of which has failed once. */
static size_t every_allocation_fails(int (*run)(struct place *))
{
    for (fail_at = 1;; fail_at++) {
        static struct place place;
        int result;

        place = (struct place){0};
        taken = 0;
        live = 0;
        pool_init(&place.blocks, LIMIT_ARENA_BLOCK, 64, 0);
        pool_init(&place.queues, LIMIT_BLOCK, 4, 0);
        arena_init(&place.arena, &place.blocks, 4UL * LIMIT_HEAD);
        buf_init(&place.out, &place.queues, BUF_PLAIN);
        result = run(&place);
        if (result < 0)
            CHECK_INT(place.err.code, ERR_MEMORY);
        if (result < 0)
            CHECK(buf_is_empty(&place.out));
        buf_fini(&place.out);
        arena_reset(&place.arena);
        pool_fini(&place.queues);
        pool_fini(&place.blocks);
        CHECK_INT(live, 0);
        CHECK_INT(result, taken < fail_at ? 0 : -1);
        if (result == 0)
            return fail_at - 1;
    }
}

TEST(engine_memory_of_a_request_fails_cleanly_K8)
{
    CHECK(every_allocation_fails(request_run) >= 2);
}

TEST(engine_memory_of_a_response_fails_cleanly_K8)
{
    CHECK(every_allocation_fails(response_run) >= 1);
}

TEST(engine_memory_of_a_target_fails_cleanly_K8)
{
    CHECK(every_allocation_fails(target_run) >= 1);
}

TEST(engine_memory_of_what_is_written_fails_cleanly_K8)
{
    CHECK(every_allocation_fails(write_run) >= 2);
    CHECK_INT(every_allocation_fails(frame_run), 1);
}

TEST(engine_memory_of_a_handshake_fails_cleanly_K8)
{
    struct err err;

    CHECK_INT(digest_setup(&err), 0);
    CHECK_INT(every_allocation_fails(shake_run), 1);
}

TEST_MAIN(TEST_OF(engine_memory_of_a_request_fails_cleanly_K8),
          TEST_OF(engine_memory_of_a_response_fails_cleanly_K8),
          TEST_OF(engine_memory_of_a_target_fails_cleanly_K8),
          TEST_OF(engine_memory_of_what_is_written_fails_cleanly_K8),
          TEST_OF(engine_memory_of_a_handshake_fails_cleanly_K8))
