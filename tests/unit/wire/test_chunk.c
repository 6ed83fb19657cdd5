/* SPDX-License-Identifier: Apache-2.0 */
/* wire/chunk: vectors of docs/protocol.md section 3, and threat I7 (malformed protobuf). */
#include "base/limits.h"
#include "split.h"
#include "wire/chunk.h"
#include "wire_test.h"

/* The whole input is one message. */
struct engine {
    struct chunk chunk;
    bool is_open; /* a data[...] of the story */
};

static void engine_start(void *opaque)
{
    struct engine *engine = opaque;

    chunk_init(&engine->chunk);
    engine->is_open = false;
}

static void story_data(struct engine *engine, struct span data, struct text *story)
{
    if (data.len > 0 && !engine->is_open)
        text_add_str(story, "data ");
    engine->is_open |= data.len > 0;
    text_add_hex(story, data);
}

static ssize_t engine_feed(void *opaque, struct room piece, struct text *story)
{
    struct engine *engine = opaque;
    struct span payload;
    struct err err;
    size_t used;

    if (chunk_feed(&engine->chunk, span_of_room(piece), &used, &payload, &err) < 0) {
        CHECK_INT(err.code, ERR_CHUNK);
        text_add_str(story, engine->is_open ? " error" : "error");
        return -1;
    }
    story_data(engine, payload, story);
    return (ssize_t)used;
}

static void engine_finish(void *opaque, struct text *story)
{
    struct engine *engine = opaque;
    struct err err;

    if (engine->is_open)
        text_add_char(story, ' ');
    text_add_str(story, chunk_end(&engine->chunk, &err) < 0 ? "cut off" : "end");
}

static const char *story_of(struct span message)
{
    static char memory[2048];
    static struct engine engine;
    struct split_engine split = {engine_start, engine_feed, engine_finish, &engine};
    struct text story;

    text_init(&story, memory, sizeof memory);
    split_check(&split, message, &story);
    return text_str(&story);
}

TEST(chunk_reads_the_vectors_of_the_protocol)
{
    CHECK_STR(story_of(BYTES("0a 00")), "end");
    CHECK_STR(story_of(BYTES("0a 01 78")), "data 78 end");
    CHECK_STR(story_of(BYTES("")), "end");
}

TEST(chunk_head_is_what_the_protocol_says)
{
    static const struct {
        size_t len;
        const char *head;
    } vectors[] = {
        {0, "0a 00"},      {1, "0a 01"},           {127, "0a 7f"},
        {128, "0a 80 01"}, {700, "0a bc 05"},      {16383, "0a ff 7f"},
        {39, "0a 27"},     {16384, "0a 80 80 01"}, {524288, "0a 80 80 20"},
        {77, "0a 4d"},
    };

    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t head[CHUNK_HEAD];
        size_t len = chunk_write_head(head, vectors[i].len);

        CHECK(span_equal(span_of(head, len), BYTES(vectors[i].head)));
    }
}

/* Every length around each boundary: what is written is read back, and no byte is too many. */
TEST(chunk_reads_what_it_writes)
{
    static const size_t lengths[] = {0,     1,     126,    127,    128,    129,   16382,
                                     16383, 16384, 524286, 524287, 524288, 65536, 700};
    static uint8_t message[CHUNK_HEAD + LIMIT_CHUNK + 1];

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t head_len = chunk_write_head(message, lengths[i]);
        struct chunk chunk;
        struct span payload;
        struct err err;
        size_t used;

        chunk_init(&chunk);
        CHECK_INT(
            chunk_feed(&chunk, span_of(message, head_len + lengths[i]), &used, &payload, &err), 0);
        CHECK_INT(used, head_len + lengths[i]);
        CHECK_INT(payload.len, lengths[i]);
        CHECK(payload.len == 0 || payload.ptr == message + head_len);
        CHECK_INT(chunk_end(&chunk, &err), 0);

        CHECK_INT(chunk_feed(&chunk, span_of(message, head_len), &used, &payload, &err), 0);
        CHECK_INT(chunk_end(&chunk, &err), lengths[i] == 0 ? 0 : -1);
    }
}

TEST(chunk_refuses_every_other_tag) /* I7: unknown fields, wrong wire type */
{
    for (unsigned tag = 0; tag < 256; tag++) {
        uint8_t message[] = {(uint8_t)tag, 0x01, 0x78};

        CHECK_STR(story_of(span_of(message, 3)), tag == 0x0a ? "data 78 end" : "error");
    }
    CHECK_STR(story_of(BYTES("8a 00 01 78")), "error"); /* overlong tag */
}

TEST(chunk_refuses_overlong_lengths) /* I7 */
{
    CHECK_STR(story_of(BYTES("0a 80 00")), "error");
    CHECK_STR(story_of(BYTES("0a 81 00 78")), "error");
    CHECK_STR(story_of(BYTES("0a ff 80 00")), "error");
    CHECK_STR(story_of(BYTES("0a 81 80 80 80 00 78")), "error");
    CHECK_STR(story_of(BYTES("0a 80 80 80 80 80 01")), "error");
    CHECK_STR(story_of(BYTES("0a 81 80 80 80 80 80 80 80 80 00 78")), "error"); /* ten bytes */
    CHECK_STR(story_of(BYTES("0a ff ff ff ff ff ff ff ff ff 01")), "error");
}

TEST(chunk_refuses_lengths_over_the_limit) /* I7, I3 */
{
    CHECK_STR(story_of(BYTES("0a 80 80 20")), "cut off"); /* 524288 is allowed */
    CHECK_STR(story_of(BYTES("0a 81 80 20")), "error");   /* 524289 */
    CHECK_STR(story_of(BYTES("0a ff ff 7f")), "error");
    CHECK_STR(story_of(BYTES("0a ff ff ff ff 07")), "error"); /* 2 GiB - 1 */
    CHECK_STR(story_of(BYTES("0a 80 80 80 80 08")), "error"); /* 2 GiB */
}

TEST(chunk_refuses_bytes_behind_the_payload) /* I7: field repeated, trailing field */
{
    CHECK_STR(story_of(BYTES("0a 00 0a 00")), "error");
    CHECK_STR(story_of(BYTES("0a 01 78 0a 01 79")), "data 78 error");
    CHECK_STR(story_of(BYTES("0a 01 78 10 01")), "data 78 error");
}

TEST(chunk_refuses_messages_that_end_early) /* I7: length past the end */
{
    CHECK_STR(story_of(BYTES("0a")), "cut off");
    CHECK_STR(story_of(BYTES("0a 80")), "cut off");
    CHECK_STR(story_of(BYTES("0a 01")), "cut off");
    CHECK_STR(story_of(BYTES("0a 03 78 79")), "data 7879 cut off");
}

TEST(chunk_stays_failed_after_an_error)
{
    struct chunk chunk;
    struct span payload;
    struct err err;
    size_t used;

    chunk_init(&chunk);
    CHECK_INT(chunk_feed(&chunk, BYTES("0b"), &used, &payload, &err), -1);
    CHECK_STR(err.text, "chunk: tag 0x0b");
    CHECK_INT(chunk_feed(&chunk, BYTES("0a 01 78"), &used, &payload, &err), -1);
    CHECK_INT(err.code, ERR_CHUNK);
    CHECK_INT(chunk_end(&chunk, &err), -1);
}

TEST(chunk_starts_over_after_each_message)
{
    struct chunk chunk;
    struct span payload;
    struct err err;
    size_t used;

    chunk_init(&chunk);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(chunk_feed(&chunk, BYTES("0a 02 68"), &used, &payload, &err), 0);
        CHECK_SPAN(payload, "h");
        CHECK_INT(chunk_feed(&chunk, BYTES("69"), &used, &payload, &err), 0);
        CHECK_SPAN(payload, "i");
        CHECK_INT(chunk_end(&chunk, &err), 0);
    }
}

TEST_MAIN(TEST_OF(chunk_reads_the_vectors_of_the_protocol),
          TEST_OF(chunk_head_is_what_the_protocol_says), TEST_OF(chunk_reads_what_it_writes),
          TEST_OF(chunk_refuses_every_other_tag), TEST_OF(chunk_refuses_overlong_lengths),
          TEST_OF(chunk_refuses_lengths_over_the_limit),
          TEST_OF(chunk_refuses_bytes_behind_the_payload),
          TEST_OF(chunk_refuses_messages_that_end_early),
          TEST_OF(chunk_stays_failed_after_an_error), TEST_OF(chunk_starts_over_after_each_message))
