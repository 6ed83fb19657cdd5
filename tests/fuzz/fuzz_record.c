/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker that was taken over can send to the auditor: whatever it is, it is refused or
 * becomes exactly one line without control bytes, and a record that was read writes itself again.
 */
#include "crypto/digest.h"
#include "gateway/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_line(const struct record *record)
{
    static uint8_t memory[RECORD_JSON_MAX];
    static const char none[65] = "0000000000000000000000000000000000000000000000000000000000000000";
    char hash[65];
    struct text line;
    struct err err;

    text_init(&line, memory, sizeof memory);
    ENSURE(record_json(record, 1, 1, none, hash, &line, &err) == 0);
    ENSURE(line.len > 2 && line.ptr[0] == '{' && line.ptr[line.len - 2] == '}');
    for (size_t i = 0; i + 1 < line.len; i++)
        ENSURE((uint8_t)line.ptr[i] >= 0x20 && line.ptr[i] != 0x7f);
    ENSURE(line.ptr[line.len - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static int is_set_up;
    static uint8_t memory[40960];
    static uint8_t memory_again[40960];
    struct record record;
    struct record again;
    struct text text;
    struct text text_again;
    struct err err;

    if (!is_set_up)
        ENSURE(digest_setup(&err) == 0);
    is_set_up = 1;
    if (record_read(span_of(bytes, len), &record, &err) < 0)
        return 0;
    check_line(&record);
    text_init(&text, memory, sizeof memory);
    record_write(&record, &text);
    ENSURE(!text.overflow);
    ENSURE(record_read(text_span(&text), &again, &err) == 0);
    text_init(&text_again, memory_again, sizeof memory_again);
    record_write(&again, &text_again);
    ENSURE(span_equal(text_span(&text), text_span(&text_again)));
    return 0;
}
