/* SPDX-License-Identifier: Apache-2.0 */
/* Heads written last give the same bytes as heads written first. */
#include "wire/envelope_mark.h"

#include "base/limits.h"
#include "test.h"
#include "wire/envelope.h"

static uint8_t payload[LIMIT_CHUNK];

static void same_as_sent_whole(size_t before, size_t len, size_t capacity)
{
    struct pool pool;
    struct buf marked;
    struct buf whole;
    struct envelope_mark mark;
    struct err err = {0};

    pool_init(&pool, capacity, 2, 2);
    buf_init(&marked, &pool, BUF_PLAIN);
    buf_init(&whole, &pool, BUF_PLAIN);
    CHECK_INT(buf_append(&marked, span_of(payload, before), &err), 0);
    CHECK_INT(buf_append(&whole, span_of(payload, before), &err), 0);
    CHECK_INT(envelope_begin(&mark, &marked, &err), 0);
    CHECK_INT(buf_append(&marked, span_of(payload, len), &err), 0);
    envelope_finish(&mark);
    if (len > 0)
        CHECK_INT(envelope_send(&whole, span_of(payload, len), NULL, &err), 0);
    CHECK(span_equal(buf_span(&marked), buf_span(&whole)));
    buf_fini(&marked);
    buf_fini(&whole);
    pool_fini(&pool);
}

TEST(envelope_finish_writes_the_same_bytes_as_envelope_send)
{
    static const size_t lens[] = {0,     1,     118,   119,   120,   121,   122,    123,
                                  124,   125,   126,   127,   128,   16379, 16383,  16384,
                                  65530, 65531, 65532, 65535, 65536, 65540, 524287, LIMIT_CHUNK};
    static const size_t befores[] = {0, 1, 4000};

    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 31 + i / 251);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        for (size_t k = 0; k < sizeof befores / sizeof befores[0]; k++)
            same_as_sent_whole(befores[k], lens[i], LIMIT_CHUNK + 8192);
    }
}

TEST(envelope_finish_needs_no_room_in_a_queue_filled_to_its_last_byte)
{
    same_as_sent_whole(100, 70000, 100 + 14 + 70000);
    same_as_sent_whole(0, 70000, 14 + 70000);
}

TEST(envelope_begin_says_when_there_is_no_room_for_heads)
{
    struct pool pool;
    struct buf out;
    struct envelope_mark mark;
    struct err err = {0};

    pool_init(&pool, 64, 1, 1);
    buf_init(&out, &pool, BUF_PLAIN);
    CHECK_INT(buf_append(&out, span_of(payload, 60), &err), 0);
    CHECK_INT(envelope_begin(&mark, &out, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    buf_fini(&out);
    pool_fini(&pool);
}

TEST_MAIN(TEST_OF(envelope_finish_writes_the_same_bytes_as_envelope_send),
          TEST_OF(envelope_finish_needs_no_room_in_a_queue_filled_to_its_last_byte),
          TEST_OF(envelope_begin_says_when_there_is_no_room_for_heads))
