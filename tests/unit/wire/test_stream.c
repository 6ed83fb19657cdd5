/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tunnel's reader does: frames into chunks into one stream of bytes. However the bytes are
 * framed, fragmented and cut, the stream is the same.
 */
#include "base/limits.h"
#include "split.h"
#include "wire/envelope.h"
#include "wire_test.h"

struct engine {
    struct ws_frame ws;
    struct chunk chunk;
    enum ws_role role;
};

static void engine_start(void *opaque)
{
    struct engine *engine = opaque;

    ws_frame_init(&engine->ws, engine->role, LIMIT_FRAME);
    chunk_init(&engine->chunk);
}

/* Data is merged over all messages: their borders are no part of the stream. */
static int story_event(struct engine *engine, const struct ws_event *event, struct text *story)
{
    struct span rest = event->data;
    struct span payload;
    struct err err;
    size_t used;

    if (event->type == WS_EVENT_PING)
        text_add_str(story, "<ping>");
    if (event->type == WS_EVENT_CLOSE)
        text_addf(story, "<close %u>", event->close_code);
    if (event->opcode != WS_BINARY)
        return 0;
    if (event->type == WS_EVENT_MESSAGE_END)
        return chunk_end(&engine->chunk, &err);
    while (rest.len > 0) {
        if (chunk_feed(&engine->chunk, rest, &used, &payload, &err) < 0)
            return -1;
        text_add(story, payload);
        rest = span_from(rest, used);
    }
    return 0;
}

static ssize_t engine_feed(void *opaque, struct room piece, struct text *story)
{
    struct engine *engine = opaque;
    struct ws_event event;
    struct err err;
    size_t used;
    int result = ws_frame_feed(&engine->ws, piece, &used, &err);

    while (result == 0 && ws_frame_next(&engine->ws, &event))
        result = story_event(engine, &event, story);
    if (result < 0) {
        text_addf(story, "<error %u>", ws_frame_close_code(&engine->ws));
        return -1;
    }
    return (ssize_t)used;
}

static const char *stream_of(enum ws_role role, struct span input)
{
    static char memory[65536];
    static struct engine engine;
    struct split_engine split = {engine_start, engine_feed, NULL, &engine};
    struct text story;

    engine.role = role;
    text_init(&story, memory, sizeof memory);
    split_check(&split, input, &story);
    return text_str(&story);
}

TEST(stream_is_the_payload_of_all_chunks)
{
    CHECK_STR(stream_of(WS_CLIENT, BYTES("82 03 0a 01 61  82 04 0a 02 62 63  82 03 0a 01 64")),
              "abcd");
}

TEST(stream_knows_no_keepalives) /* docs/protocol.md section 3 */
{
    CHECK_STR(stream_of(WS_CLIENT, BYTES("82 02 0a 00  82 03 0a 01 61  82 00  82 02 0a 00"
                                         "82 03 0a 01 62")),
              "ab");
    CHECK_STR(stream_of(WS_SERVER, BYTES("82 82 37 fa 21 3d 3d fa  82 83 37 fa 21 3d 3d fb 40")),
              "a");
}

TEST(stream_ignores_text_messages) /* I5, docs/protocol.md section 3 */
{
    CHECK_STR(stream_of(WS_CLIENT, BYTES("82 03 0a 01 61  81 03 0a 01 7a  82 03 0a 01 62")), "ab");
}

TEST(stream_survives_fragments_within_the_chunk_head) /* I2 */
{
    CHECK_STR(stream_of(WS_CLIENT, BYTES("02 01 0a  00 00  00 01 03  00 02 61 62  80 01 63")),
              "abc");
    CHECK_STR(stream_of(WS_CLIENT, BYTES("02 01 0a  89 00  00 01 02  89 01 70  80 02 61 62")),
              "<ping><ping>ab");
}

TEST(stream_ends_with_1002_at_a_malformed_chunk) /* I7, docs/protocol.md section 3 */
{
    CHECK_STR(stream_of(WS_CLIENT, BYTES("82 03 0a 01 61  82 03 12 01 62")), "a<error 1002>");
    CHECK_STR(stream_of(WS_CLIENT, BYTES("82 03 0a 02 61  82 03 0a 01 62")), "a<error 1002>");
    CHECK_STR(stream_of(WS_CLIENT, BYTES("82 04 0a 01 61 62")), "a<error 1002>");
    CHECK_STR(stream_of(WS_CLIENT, BYTES("82 01 0a")), "<error 1002>");
}

TEST(stream_stops_at_close) /* I4: no byte after close is delivered */
{
    CHECK_STR(stream_of(WS_CLIENT, BYTES("82 03 0a 01 61  88 02 03 e8  82 03 0a 01 62")),
              "a<close 1000>");
    CHECK_STR(stream_of(WS_CLIENT, BYTES("02 02 0a 02  88 00  80 02 61 62")), "<close 1005>");
}

/* 60 chunks of random lengths, with control frames between them, masked. */
TEST(stream_of_random_envelopes_is_what_was_sent)
{
    static char expected[16384];
    struct pool pool;
    struct buf out;
    struct text text;
    struct err err;
    uint64_t seed = 1;

    pool_init(&pool, 32768, 1, 0);
    buf_init(&out, &pool, BUF_PLAIN);
    text_init(&text, expected, sizeof expected);
    for (int i = 0; i < 60; i++) {
        uint32_t mask = next_random(&seed);
        uint8_t bytes[4];
        size_t start = text.len;

        memcpy(bytes, &mask, sizeof bytes);
        for (size_t k = next_random(&seed) % (i % 10 == 0 ? 600 : 40); k > 0; k--)
            text_add_char(&text, (char)('a' + next_random(&seed) % 26));
        CHECK_INT(envelope_send(&out, span_from(text_span(&text), start), bytes, &err), 0);
        if (i % 7 == 0)
            CHECK_INT(ws_frame_send_control(&out, WS_PONG, span_text("pong"), bytes, &err), 0);
    }
    CHECK_STR(stream_of(WS_SERVER, buf_span(&out)), text_str(&text));
    buf_fini(&out);
    pool_fini(&pool);
}

TEST_MAIN(TEST_OF(stream_is_the_payload_of_all_chunks), TEST_OF(stream_knows_no_keepalives),
          TEST_OF(stream_ignores_text_messages),
          TEST_OF(stream_survives_fragments_within_the_chunk_head),
          TEST_OF(stream_ends_with_1002_at_a_malformed_chunk), TEST_OF(stream_stops_at_close),
          TEST_OF(stream_of_random_envelopes_is_what_was_sent))
