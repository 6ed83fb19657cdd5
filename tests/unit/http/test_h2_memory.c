/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of an engine, seen from below: the linker puts the two functions here between the
 * engine and its allocator (tests/unit/http/meson.build), so that a test sees each block go and can
 * refuse any of them.
 */
#include "http/h2_session.h"

#include "h2_fixture.h"

void *__real_pool_block_new(size_t size);
void __real_pool_block_free(void *block);
void *__wrap_pool_block_new(size_t size);
void __wrap_pool_block_free(void *block);

/* In front of each block: its size, and room for any alignment. */
#define FRONT 16

static size_t taken_count; /* in all */
static size_t refuse_at;   /* this one is refused; 0: none */
static size_t live_count;
static size_t dirty_count; /* blocks given back with something in them */

void *__wrap_pool_block_new(size_t size)
{
    uint8_t *memory;

    if (++taken_count == refuse_at)
        return NULL;
    memory = __real_pool_block_new(FRONT + size);
    if (memory == NULL)
        return NULL;
    memcpy(memory, &size, sizeof size);
    live_count++;
    return memory + FRONT;
}

void __wrap_pool_block_free(void *block)
{
    uint8_t *bytes = block;
    size_t size;
    size_t used = 0;

    if (block == NULL)
        return;
    memcpy(&size, bytes - FRONT, sizeof size);
    /* The first word is the size that h2_memory keeps. */
    for (size_t i = FRONT; i < size; i++)
        used += bytes[i] != 0;
    dirty_count += used > 0;
    live_count--;
    __real_pool_block_free(bytes - FRONT);
}

static void counts_reset(size_t refused)
{
    taken_count = 0;
    live_count = 0;
    dirty_count = 0;
    refuse_at = refused;
}

/* In front of each piece. */
#define PIECE_HEAD _Alignof(max_align_t)

TEST(h2_memory_knows_when_it_is_over_its_limit)
{
    struct h2_memory memory = {.quota = {.limit = 100 + 2 * PIECE_HEAD}, .can_refuse = 1};
    nghttp2_mem mem = h2_memory_of(&memory);
    void *first;
    void *second;

    counts_reset(0);
    first = mem.malloc(60, mem.mem_user_data);
    CHECK(first != NULL);
    second = mem.calloc(4, 10, mem.mem_user_data);
    CHECK(second != NULL);
    CHECK_INT(memory.quota.used, 100 + 2 * PIECE_HEAD);
    CHECK_INT(h2_memory_left(&memory), 0);
    CHECK(!h2_memory_is_over(&memory));
    first = mem.realloc(first, 61, mem.mem_user_data);
    CHECK(first != NULL);
    CHECK(h2_memory_is_over(&memory));
    CHECK_INT(h2_memory_left(&memory), 0);
    CHECK(mem.malloc(SIZE_MAX, mem.mem_user_data) == NULL);
    CHECK(mem.calloc(SIZE_MAX, 2, mem.mem_user_data) == NULL);
    CHECK(mem.realloc(first, SIZE_MAX, mem.mem_user_data) == NULL); /* and `first` stays */
    mem.free(second, mem.mem_user_data);
    mem.free(first, mem.mem_user_data);
    mem.free(NULL, mem.mem_user_data);
    CHECK_INT(memory.quota.used, 0);
    CHECK_INT(live_count, 0);
}

TEST(h2_memory_keeps_bytes_and_wipes_the_old_place_when_it_resizes)
{
    struct h2_memory memory = {.quota = {.limit = 1000}};
    nghttp2_mem mem = h2_memory_of(&memory);
    uint8_t *bytes;

    counts_reset(0);
    bytes = mem.realloc(NULL, 10, mem.mem_user_data);
    memcpy(bytes, "0123456789", 10);
    bytes = mem.realloc(bytes, 20, mem.mem_user_data);
    CHECK(memcmp(bytes, "0123456789", 10) == 0);
    bytes = mem.realloc(bytes, 5, mem.mem_user_data);
    CHECK(memcmp(bytes, "01234", 5) == 0);
    CHECK_INT(memory.quota.used, 5 + PIECE_HEAD);
    mem.free(bytes, mem.mem_user_data);
    CHECK_INT(dirty_count, 0);
}

/* One exchange with everything in it, as far as memory goes. */
static void exchange_run(void)
{
    struct http_fields trailers;
    struct h2_stream *asked;
    struct h2_stream *stream;
    struct h2_stream *seen = NULL;
    struct err err;

    pair_init();
    pair.options.role = H2_CLIENT;
    pair.client = h2_new(&pair.options, &err);
    pair.options.role = H2_SERVER;
    pair.server = h2_new(&pair.options, &err);
    if (pair.client == NULL || pair.server == NULL) {
        CHECK_INT(err.code, ERR_MEMORY);
        pair_end();
        return;
    }
    asked = request_open("POST", "/", PAIRS("authorization", "Bearer secret", "cookie", "a=b"),
                         H2_GOES_ON);
    if (asked != NULL)
        (void)h2_send_data(asked, span_text("hello"), &err);
    for (int i = 0; i < 6; i++) {
        int moved = h2_drain(pair.client, &pair.to_server, &err);

        CHECK(moved >= 0 || err.code == ERR_MEMORY);
        (void)h2_feed(pair.server, buf_span(&pair.to_server), &err);
        buf_consume(&pair.to_server, buf_len(&pair.to_server));
        while (h2_next(pair.server, &stream)) {
            seen = stream;
            if (!seen->has_response)
                (void)response_send(seen, 200, PAIRS("set-cookie", "c=d"), H2_GOES_ON);
            if (seen->has_response && !seen->send_ended) {
                trailers = fields_of(PAIRS("x-sum", "1"));
                (void)h2_send_end(seen, &trailers, &err);
            }
        }
        moved = h2_drain(pair.server, &pair.to_client, &err);
        CHECK(moved >= 0 || err.code == ERR_MEMORY);
        (void)h2_feed(pair.client, buf_span(&pair.to_client), &err);
        buf_consume(&pair.to_client, buf_len(&pair.to_client));
    }
    if (seen != NULL)
        h2_release(seen);
    if (asked != NULL)
        h2_release(asked);
    pair_end();
}

TEST(h2_leaves_nothing_behind_in_memory_d8)
{
    counts_reset(0);
    exchange_run();
    CHECK(taken_count > 20);
    CHECK_INT(live_count, 0);
    CHECK_INT(dirty_count, 0);
}

/* Whichever block there is no memory for while an engine is made. */
TEST(h2_new_says_when_there_is_no_memory)
{
    struct h2 *h2 = NULL;
    size_t count = 0;

    pair_init();
    for (; h2 == NULL; count++) {
        counts_reset(count + 1);
        pair.options.role = count % 2 == 0 ? H2_SERVER : H2_CLIENT;
        h2 = h2_new(&pair.options, &pair_err);
        CHECK_INT(pair_err.code, h2 == NULL ? ERR_MEMORY : pair_err.code);
        CHECK(h2 != NULL || live_count == 0);
        CHECK_INT(dirty_count, 0);
    }
    CHECK(count > 5);
    pair.server = h2;
    pair_end();
}

/* Over the limit: the connection ends, whatever took the memory. */
TEST(h2_ends_a_connection_over_its_memory_b7)
{
    struct err err;

    counts_reset(0);
    pair_open();
    pair_pump();
    pair.server->memory.quota.limit = pair.server->memory.quota.used;
    h2_ping(pair.client);
    CHECK_INT(h2_drain(pair.client, &pair.to_server, &err), 1);
    CHECK_INT(h2_feed(pair.server, buf_span(&pair.to_server), &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK_INT(h2_drain(pair.server, &pair.to_client, &err), 1);
    CHECK(h2_is_done(pair.server));
    pair_end();
    CHECK_INT(live_count, 0);
}

/* The connection that takes more than all may have ends, and no other (threat K2). */
TEST(h2_ends_the_connection_that_takes_what_all_may_have_k2)
{
    struct quota all;
    struct err err;

    counts_reset(0);
    quota_init(&all, NULL, SIZE_MAX / 2);
    pair_init();
    pair.options.memory = &all;
    pair.client = engine_new(H2_CLIENT);
    pair.server = engine_new(H2_SERVER);
    pair_pump();
    all.limit = all.used;
    h2_ping(pair.client); /* takes memory, which is seen when it is drained */
    CHECK_INT(h2_drain(pair.client, &pair.to_server, &err), 1);
    CHECK_INT(h2_feed(pair.client, span_of(NULL, 0), &err), -1);
    CHECK_INT(err.code, ERR_ORIGIN_SYNTAX);
    all.limit = SIZE_MAX / 2;
    CHECK_INT(h2_feed(pair.server, buf_span(&pair.to_server), &err), 0);
    CHECK(!h2_is_closing(pair.server));
    pair_end();
    CHECK_INT(all.used, 0);
    CHECK_INT(live_count, 0);
}

TEST_MAIN(TEST_OF(h2_memory_knows_when_it_is_over_its_limit),
          TEST_OF(h2_memory_keeps_bytes_and_wipes_the_old_place_when_it_resizes),
          TEST_OF(h2_leaves_nothing_behind_in_memory_d8),
          TEST_OF(h2_new_says_when_there_is_no_memory),
          TEST_OF(h2_ends_a_connection_over_its_memory_b7),
          TEST_OF(h2_ends_the_connection_that_takes_what_all_may_have_k2))
