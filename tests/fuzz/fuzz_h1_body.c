/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunked content: the first byte chooses the cuts. Any cut gives the same content, the same end
 * and the same errors; complete content put into chunks by us is read as the same (threat A6, A7).
 */
#include "base/limits.h"
#include "base/text.h"
#include "http/h1_body.h"
#include "http/h1_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct http_framing chunked = {.body = HTTP_BODY_CHUNKED};
static char content_memory[2][65536];

struct outcome {
    struct text content;
    int result; /* 1 complete, 0 not yet, -1 refused */
    size_t taken;
};

static struct outcome body_read(struct span in, size_t step, char *memory)
{
    struct outcome outcome = {.result = 0};
    struct h1_body body;

    text_init(&outcome.content, memory, sizeof content_memory[0]);
    h1_body_init(&body, &chunked, ERR_SYNTAX);
    while (outcome.taken < in.len && outcome.result == 0) {
        struct span piece = span_from(in, outcome.taken);
        struct span data;
        struct err err;
        size_t used;

        if (piece.len > step)
            piece.len = step;
        outcome.result = h1_body_feed(&body, piece, &used, &data, &err);
        if (outcome.result < 0) {
            ENSURE(err.code == ERR_SYNTAX);
            break;
        }
        ENSURE(used > 0 && used <= piece.len && data.len <= used);
        ENSURE(data.len == 0 || (data.ptr >= piece.ptr && data.ptr + data.len <= piece.ptr + used));
        text_add(&outcome.content, data);
        outcome.taken += used;
    }
    ENSURE(!outcome.content.overflow);
    return outcome;
}

static void outcome_ensure_equal(const struct outcome *a, const struct outcome *b)
{
    ENSURE(a->result == b->result);
    ENSURE(span_equal(text_span(&a->content), text_span(&b->content)));
    ENSURE(a->result < 0 || a->taken == b->taken);
}

/* The content in chunks of `step` bytes, as we send it. */
static struct span chunks_write(struct span content, size_t step)
{
    static char memory[65536 * (H1_CHUNK_HEAD + 3)];
    struct text text;

    text_init(&text, memory, sizeof memory);
    while (content.len > 0) {
        uint8_t head[H1_CHUNK_HEAD];
        size_t len = content.len < step ? content.len : step;

        text_add(&text, span_of(head, h1_write_chunk_head(&chunked, len, head)));
        text_add(&text, span_first(content, len));
        text_add(&text, h1_write_chunk_tail(&chunked));
        content = span_from(content, len);
    }
    text_add(&text, h1_write_end(&chunked));
    ENSURE(!text.overflow);
    return text_span(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct outcome whole;
    struct outcome other;
    struct span again;
    size_t step;

    if (len < 1 || len > sizeof content_memory[0])
        return 0;
    step = 1 + (size_t)(bytes[0] & 31);
    whole = body_read(span_of(bytes + 1, len - 1), SIZE_MAX, content_memory[0]);
    other = body_read(span_of(bytes + 1, len - 1), 1, content_memory[1]);
    outcome_ensure_equal(&whole, &other);
    other = body_read(span_of(bytes + 1, len - 1), step, content_memory[1]);
    outcome_ensure_equal(&whole, &other);
    if (whole.result != 1)
        return 0;
    again = chunks_write(text_span(&whole.content), step);
    other = body_read(again, SIZE_MAX, content_memory[1]);
    ENSURE(other.result == 1 && other.taken == again.len);
    ENSURE(span_equal(text_span(&whole.content), text_span(&other.content)));
    return 0;
}
