/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threat I7: the chunk reader against the compiler of protocol buffers. A message is a chunk if
 * and only if protoc decodes it and encodes what it understood to the very same bytes: that rules
 * out unknown fields, repeated fields and overlong varints, which protoc forgives. argv[1] is
 * protoc.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "wire/chunk.h"
#include "wire_test.h"

static const char schema[] = "syntax = \"proto2\";\n"
                             "message Chunk { optional bytes data = 1; }\n";
static char command[1024];
static char message_path[128];

static void file_write(const char *path, struct span bytes)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    CHECK_INT(fwrite(bytes.ptr, 1, bytes.len, file), bytes.len);
    CHECK_INT(fclose(file), 0);
}

/* Decoded and encoded again. */
static struct span protoc_again(struct span message)
{
    static uint8_t again[4096];
    FILE *pipe;
    size_t len;

    file_write(message_path, message);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    len = fread(again, 1, sizeof again, pipe);
    (void)pclose(pipe);
    return span_of(again, len);
}

/* The same question to ours. */
static bool is_chunk(struct span message)
{
    struct span rest = message;
    struct chunk chunk;
    struct span payload;
    struct err err;
    size_t used;

    chunk_init(&chunk);
    while (rest.len > 0) {
        if (chunk_feed(&chunk, rest, &used, &payload, &err) < 0)
            return false;
        rest = span_from(rest, used);
    }
    return chunk_end(&chunk, &err) == 0;
}

static void check_same(struct span message)
{
    bool expected = span_equal(protoc_again(message), message);

    if (is_chunk(message) == expected)
        return;
    for (size_t i = 0; i < message.len; i++)
        print_error("%02x ", message.ptr[i]);
    print_error("is %s chunk for protoc\n", expected ? "a" : "no");
    fail();
}

TEST(chunk_agrees_with_protoc_on_chosen_messages)
{
    static const char *const messages[] = {
        "",
        "0a",
        "0a 00",
        "0a 01",
        "0a 01 78",
        "0a 02 78",
        "0a 01 78 79",
        "0a 03 00 ff 0a",
        "0a 80 00",
        "0a 81 00 78",
        "0a 81 80 80 80 00 78",
        "0a 81 80 80 80 80 80 80 80 80 00 78",
        "0a ff ff ff ff ff ff ff ff ff 01",
        "0a ff ff ff ff 07",
        "0a ff ff ff ff 0f",
        "0a 80 80 80 80 80 80 80 80 80 80 01",
        "0a 00 0a 00",
        "0a 01 78 0a 01 79",
        "0a 01 78 10 01",
        "10 01 0a 01 78",
        "12 01 78",
        "08 01",
        "0d 01 02 03 04",
        "09 01 02 03 04 05 06 07 08",
        "0b 0c",
        "0e 00",
        "8a 00 01 78",
        "8a 80 80 80 00 01 78",
        "02 00",
        "00",
    };

    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++)
        check_same(BYTES(messages[i]));
}

TEST(chunk_agrees_with_protoc_on_whole_chunks)
{
    static const size_t lengths[] = {1, 127, 128, 700, 2000};
    static uint8_t message[CHUNK_HEAD + 2001];

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t head_len = chunk_write_head(message, lengths[i]);

        memset(message + head_len, 0xa5, lengths[i] + 1);
        CHECK(is_chunk(span_of(message, head_len + lengths[i])));
        check_same(span_of(message, head_len + lengths[i]));
        check_same(span_of(message, head_len + lengths[i] - 1));
        check_same(span_of(message, head_len + lengths[i] + 1));
    }
}

/* Bytes that are likely to mean something, in any order. */
TEST(chunk_agrees_with_protoc_on_random_messages)
{
    static const uint8_t likely[] = {0x0a, 0x0a, 0x0a, 0x00, 0x01, 0x02, 0x03, 0x04, 0x80,
                                     0x81, 0x82, 0xff, 0x7f, 0x12, 0x08, 0x10, 0x78, 0x8a};
    uint64_t seed = 20;
    size_t accepted = 0;

    for (int i = 0; i < 150; i++) {
        uint8_t bytes[10];
        size_t len = 1 + next_random(&seed) % sizeof bytes;

        for (size_t k = 0; k < len; k++)
            bytes[k] = likely[next_random(&seed) % sizeof likely];
        if (i % 2 == 0)
            bytes[0] = 0x0a;
        if (i % 4 == 0 && len > 1)
            bytes[1] = (uint8_t)(len - 2);
        check_same(span_of(bytes, len));
        accepted += is_chunk(span_of(bytes, len));
    }
    CHECK(accepted > 20 && accepted < 130);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(chunk_agrees_with_protoc_on_chosen_messages),
        TEST_OF(chunk_agrees_with_protoc_on_whole_chunks),
        TEST_OF(chunk_agrees_with_protoc_on_random_messages),
    };
    char directory[] = "/tmp/exeat-protoc-XXXXXX";
    char schema_path[128];
    int failed;

    if (argc != 2 || mkdtemp(directory) == NULL)
        return 1;
    (void)snprintf(schema_path, sizeof schema_path, "%s/chunk.proto", directory);
    (void)snprintf(message_path, sizeof message_path, "%s/message", directory);
    (void)snprintf(command, sizeof command,
                   "%s -I%s --decode=Chunk chunk.proto <%s 2>/dev/null |"
                   " %s -I%s --encode=Chunk chunk.proto 2>/dev/null",
                   argv[1], directory, message_path, argv[1], directory);
    file_write(schema_path, span_text(schema));
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(schema_path);
    (void)unlink(message_path);
    (void)rmdir(directory);
    return failed;
}
