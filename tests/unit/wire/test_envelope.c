/* SPDX-License-Identifier: Apache-2.0 */
/* wire/envelope: both ways to write one are the same bytes, and the engines read them back. */
#include "wire/envelope.h"

#include "base/limits.h"
#include "wire_test.h"

#define BLOCK (2 * LIMIT_CHUNK)

static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
static uint8_t payload[LIMIT_CHUNK];
static struct pool pool;

static const size_t lengths[] = {1,     2,     119,   120,   121,    122,    123,   124,
                                 125,   126,   127,   128,   129,    130,    16383, 16384,
                                 65525, 65530, 65531, 65532, 65533,  65534,  65535, 65536,
                                 65537, 65538, 65539, 65540, 524286, 524287, 524288};

#define COUNT (sizeof lengths / sizeof lengths[0])

static void setup(void)
{
    pool_init(&pool, BLOCK, 4, 4);
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 31 + (i >> 8));
}

static struct span sent(struct buf *out, size_t len, const uint8_t *with)
{
    struct err err;

    CHECK_INT(envelope_send(out, span_of(payload, len), with, &err), 0);
    return buf_span(out);
}

/* Write `len` bytes in place although `expected` were. */
static void write_open(struct buf *out, size_t expected, size_t len, const uint8_t *with)
{
    struct envelope envelope;
    struct room room = envelope_open(&envelope, out, expected);

    CHECK(room.len >= len);
    memcpy(room.ptr, payload, len);
    envelope_close(&envelope, len, with);
}

TEST(envelope_is_a_chunk_in_a_binary_frame)
{
    struct buf out;
    struct err err;

    setup();
    buf_init(&out, &pool, BUF_PLAIN);
    CHECK_INT(envelope_send(&out, span_of(NULL, 0), NULL, &err), 0);
    CHECK(span_equal(buf_span(&out), BYTES("82 02 0a 00"))); /* keepalive */
    buf_consume(&out, buf_len(&out));
    CHECK_INT(envelope_send(&out, span_text("x"), NULL, &err), 0);
    CHECK(span_equal(buf_span(&out), BYTES("82 03 0a 01 78")));
    buf_consume(&out, buf_len(&out));
    CHECK_INT(envelope_send(&out, span_text("x"), mask, &err), 0);
    CHECK(span_equal(buf_span(&out), BYTES("82 83 37 fa 21 3d 3d fb 59")));
    buf_fini(&out);
    pool_fini(&pool);
}

/* docs/protocol.md section 5: the answer to a CONNECT that worked. */
TEST(envelope_of_the_200_answer_is_the_one_of_the_protocol)
{
    struct span answer = span_text("HTTP/1.1 200 Connection Established\r\n\r\n");
    struct buf out;
    struct err err;

    setup();
    buf_init(&out, &pool, BUF_PLAIN);
    CHECK_INT(answer.len, 39);
    CHECK_INT(envelope_send(&out, answer, NULL, &err), 0);
    CHECK(span_equal(span_first(buf_span(&out), 4), BYTES("82 29 0a 27")));
    CHECK(span_equal(span_from(buf_span(&out), 4), answer));
    buf_fini(&out);
    pool_fini(&pool);
}

/* For every class of length and of guess, empty queue or not, masked or not. */
TEST(envelope_written_in_place_equals_the_one_sent)
{
    static const size_t guesses[] = {0, 100, 1000, 70000, 600000};

    setup();
    for (size_t i = 0; i < COUNT * 5 * 4; i++) {
        size_t len = lengths[i % COUNT];
        size_t guess = i / COUNT % 5;
        const uint8_t *with = i / COUNT / 5 % 2 == 0 ? NULL : mask;
        size_t before = i / COUNT / 10 * 11;
        struct buf a;
        struct buf b;

        buf_init(&a, &pool, BUF_PLAIN);
        buf_init(&b, &pool, i % 2 == 0 ? BUF_PLAIN : BUF_SECRET);
        CHECK_INT(buf_append_some(&a, span_of(payload, before)), before);
        CHECK_INT(buf_append_some(&b, span_of(payload, before)), before);
        write_open(&b, guesses[guess], len, with);
        CHECK(span_equal(sent(&a, len, with), buf_span(&b)));
        buf_fini(&a);
        buf_fini(&b);
    }
    pool_fini(&pool);
}

/* The reader of the other side; returns how much payload there was. */
static size_t received(struct room in, enum ws_role role)
{
    struct ws_frame ws;
    struct ws_event event;
    struct chunk chunk;
    struct span data;
    struct err err;
    size_t total = 0;
    size_t used;

    ws_frame_init(&ws, role, LIMIT_FRAME);
    chunk_init(&chunk);
    while (in.len > 0) {
        CHECK_INT(ws_frame_feed(&ws, in, &used, &err), 0);
        CHECK(used > 0);
        in = (struct room){.ptr = in.ptr + used, .len = in.len - used};
        while (ws_frame_next(&ws, &event)) {
            if (event.type == WS_EVENT_MESSAGE_END) {
                CHECK_INT(chunk_end(&chunk, &err), 0);
                continue;
            }
            CHECK_INT(event.type, WS_EVENT_DATA);
            CHECK_INT(event.opcode, WS_BINARY);
            CHECK_INT(chunk_feed(&chunk, event.data, &used, &data, &err), 0);
            CHECK_INT(used, event.data.len);
            CHECK(span_equal(data, span_of(payload + total, data.len)));
            total += data.len;
        }
    }
    return total;
}

TEST(envelope_is_read_back)
{
    struct buf out;

    setup();
    buf_init(&out, &pool, BUF_PLAIN);
    for (size_t i = 0; i < COUNT * 2; i++) {
        write_open(&out, 16384, lengths[i / 2], i % 2 == 0 ? NULL : mask);
        CHECK_INT(received(buf_bytes(&out), i % 2 == 0 ? WS_CLIENT : WS_SERVER), lengths[i / 2]);
        buf_consume(&out, buf_len(&out));
        (void)sent(&out, lengths[i / 2], mask);
        CHECK_INT(received(buf_bytes(&out), WS_SERVER), lengths[i / 2]);
        buf_consume(&out, buf_len(&out));
    }
    buf_fini(&out);
    pool_fini(&pool);
}

TEST(envelope_head_says_where_the_mask_goes_on)
{
    uint8_t head[ENVELOPE_HEAD];
    size_t offset;

    CHECK_INT(envelope_write_head(head, 700, mask, &offset), 8 + 3);
    CHECK_INT(offset, 3);
    CHECK(span_equal(span_of(head, 11), BYTES("82 fe 02 bf 37 fa 21 3d 3d 46 24")));
    CHECK_INT(envelope_write_head(head, 524288, NULL, &offset), 10 + 4);
    CHECK_INT(offset, 4);
    CHECK(span_equal(span_of(head, 14), BYTES("82 7f 00 00 00 00 00 08 00 04 0a 80 80 20")));
    CHECK_INT(envelope_write_head(head, 524288, mask, &offset), 14 + 4);
}

TEST(envelope_of_nothing_takes_everything_back)
{
    struct envelope envelope;
    struct buf out;
    struct room room;
    struct err err;

    setup();
    buf_init(&out, &pool, BUF_PLAIN);
    room = envelope_open(&envelope, &out, 1000);
    CHECK(room.len >= 1000);
    envelope_close(&envelope, 0, mask);
    CHECK(buf_is_empty(&out));
    CHECK_INT(pool.used, 0);

    CHECK_INT(buf_append(&out, span_text("before"), &err), 0);
    room = envelope_open(&envelope, &out, 1000);
    CHECK(room.len >= 1000);
    envelope_close(&envelope, 0, mask);
    CHECK_SPAN(buf_span(&out), "before");
    buf_fini(&out);
    pool_fini(&pool);
}

/* Whatever is left free, writing all of the room never overflows it. */
TEST(envelope_fits_into_the_room_it_offers)
{
    struct pool small;

    setup();
    pool_init(&small, 400, 1, 0);
    for (size_t before = 0; before <= 400; before++) {
        struct envelope envelope;
        struct buf out;
        struct room room;

        buf_init(&out, &small, BUF_PLAIN);
        CHECK_INT(buf_append_some(&out, span_of(payload, before)), before);
        room = envelope_open(&envelope, &out, before % 3 * 200);
        CHECK_INT(room.len, before + ENVELOPE_HEAD < 400 ? 400 - before - ENVELOPE_HEAD : 0);
        if (room.len > 0)
            memcpy(room.ptr, payload, room.len);
        envelope_close(&envelope, room.len, mask);
        CHECK(span_equal(span_first(buf_span(&out), before), span_of(payload, before)));
        if (room.len > 0) {
            struct room bytes = buf_bytes(&out);

            bytes = (struct room){.ptr = bytes.ptr + before, .len = bytes.len - before};
            CHECK_INT(received(bytes, WS_SERVER), room.len);
        }
        buf_fini(&out);
    }
    pool_fini(&small);
    pool_fini(&pool);
}

TEST(envelope_leaves_no_payload_behind_in_a_secret_queue)
{
    struct pool small;
    struct buf out;
    struct err err;
    size_t end;

    setup();
    memset(payload, 0xee, 64);
    pool_init(&small, 400, 1, 0);
    buf_init(&out, &small, BUF_SECRET);
    CHECK_INT(buf_append(&out, span_text("q"), &err), 0);
    memset(out.block + out.tail, 0, 400 - out.tail);
    write_open(&out, 300, 64, NULL); /* room for a head of 7, got one of 4 */
    end = out.tail;
    for (size_t i = end; i < 400; i++)
        CHECK_INT(out.block[i], 0);
    buf_fini(&out);
    pool_fini(&small);
    pool_fini(&pool);
}

TEST(envelope_is_sent_whole_or_not_at_all)
{
    struct pool small;
    struct buf out;
    struct buf other;
    struct envelope envelope;
    struct err err;

    setup();
    pool_init(&small, 64, 1, 0);
    buf_init(&out, &small, BUF_PLAIN);
    buf_init(&other, &small, BUF_PLAIN);
    CHECK_INT(envelope_send(&out, span_of(payload, 60), NULL, &err), 0);
    CHECK_INT(buf_free_len(&out), 0);
    CHECK_INT(envelope_send(&out, span_of(payload, 1), NULL, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK_INT(buf_len(&out), 64);
    CHECK_INT(envelope_send(&other, span_of(payload, 1), NULL, &err), -1);
    CHECK_INT(err.code, ERR_MEMORY);
    CHECK_INT(envelope_open(&envelope, &other, 1).len, 0);
    CHECK_INT(envelope_send(&other, span_of(payload, LIMIT_CHUNK + 1), NULL, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    buf_fini(&out);
    pool_fini(&small);
    pool_fini(&pool);
}

TEST_MAIN(TEST_OF(envelope_is_a_chunk_in_a_binary_frame),
          TEST_OF(envelope_of_the_200_answer_is_the_one_of_the_protocol),
          TEST_OF(envelope_written_in_place_equals_the_one_sent), TEST_OF(envelope_is_read_back),
          TEST_OF(envelope_head_says_where_the_mask_goes_on),
          TEST_OF(envelope_of_nothing_takes_everything_back),
          TEST_OF(envelope_fits_into_the_room_it_offers),
          TEST_OF(envelope_leaves_no_payload_behind_in_a_secret_queue),
          TEST_OF(envelope_is_sent_whole_or_not_at_all))
