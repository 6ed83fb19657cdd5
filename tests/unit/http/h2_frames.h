/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_HTTP_H2_FRAMES_H
#define EXEAT_TESTS_HTTP_H2_FRAMES_H

/*
 * Frames as a hostile peer writes them, byte by byte: no library that would refuse to. They gather
 * in `wire`, and wire_feed() gives them to an engine; what it answers is read back as frames.
 */
#include "base/text.h"
#include "h2_fixture.h"

enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION,
    UNKNOWN = 0x42,
};

enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

#define WHOLE (END_STREAM | END_HEADERS)

static uint8_t wire_memory[1 << 18];
static size_t wire_len;
static uint8_t block_memory[1 << 18];
static size_t block_len;

static inline void wire_add(struct span bytes)
{
    CHECK(bytes.len <= sizeof wire_memory - wire_len);
    if (bytes.len > 0)
        memcpy(wire_memory + wire_len, bytes.ptr, bytes.len);
    wire_len += bytes.len;
}

static inline void wire_head(size_t len, unsigned type, unsigned flags, uint32_t id)
{
    const uint8_t head[9] = {
        (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
        (uint8_t)type,        (uint8_t)flags,      (uint8_t)(id >> 24),
        (uint8_t)(id >> 16),  (uint8_t)(id >> 8),  (uint8_t)id,
    };

    wire_add(span_of(head, sizeof head));
}

static inline void wire_frame(unsigned type, unsigned flags, uint32_t id, struct span payload)
{
    wire_head(payload.len, type, flags, id);
    wire_add(payload);
}

/* A frame whose payload is one number of four bytes. */
static inline void wire_number(unsigned type, uint32_t id, uint32_t number)
{
    const uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                              (uint8_t)(number >> 8), (uint8_t)number};

    wire_frame(type, 0, id, span_of(bytes, sizeof bytes));
}

static inline void block_bytes(struct span bytes)
{
    CHECK(bytes.len <= sizeof block_memory - block_len);
    if (bytes.len > 0)
        memcpy(block_memory + block_len, bytes.ptr, bytes.len);
    block_len += bytes.len;
}

/* RFC 7541 section 5.1, with a prefix of `bits` bits below `pattern`. */
static inline void block_number(uint8_t pattern, unsigned bits, size_t number)
{
    size_t most = (1U << bits) - 1;
    uint8_t byte = (uint8_t)(pattern | (number < most ? number : most));

    block_bytes(span_of(&byte, 1));
    if (number < most)
        return;
    for (number -= most; number >= 128; number >>= 7) {
        byte = (uint8_t)(number | 0x80);
        block_bytes(span_of(&byte, 1));
    }
    byte = (uint8_t)number;
    block_bytes(span_of(&byte, 1));
}

static inline void block_string(struct span bytes)
{
    block_number(0, 7, bytes.len);
    block_bytes(bytes);
}

/* A literal without indexing. */
static inline void block_field_span(struct span name, struct span value)
{
    block_number(0, 4, 0);
    block_string(name);
    block_string(value);
}

static inline void block_field(const char *name, const char *value)
{
    block_field_span(span_text(name), span_text(value));
}

static inline void block_fields(const char *const *names)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i += 2)
        block_field(names[i], names[i + 1]);
}

/* The block so far as one HEADERS frame. */
static inline void wire_headers(unsigned flags, uint32_t id)
{
    wire_frame(HEADERS, flags, id, span_of(block_memory, block_len));
    block_len = 0;
}

#define GET_FIELDS ":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/"

static inline void wire_get(uint32_t id)
{
    block_fields(PAIRS(GET_FIELDS));
    wire_headers(WHOLE, id);
}

/* Preface and SETTINGS of a client, or the SETTINGS of a server. */
static inline void wire_start(enum h2_role peer)
{
    wire_len = 0;
    block_len = 0;
    if (peer == H2_CLIENT)
        wire_add(span_text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    wire_frame(SETTINGS, 0, 0, span_of(NULL, 0));
}

/* 0 or the error's code; the wire is empty again. */
static inline enum err_code wire_feed(struct h2 *h2)
{
    int result = h2_feed(h2, span_of(wire_memory, wire_len), &pair_err);

    wire_len = 0;
    return result < 0 ? pair_err.code : ERR_OK;
}

/* A server, or a client, that has met its peer. */
static inline void server_open(void)
{
    pair_init();
    pair.server = engine_new(H2_SERVER);
    wire_start(H2_CLIENT);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
}

static inline void client_open(void)
{
    pair_init();
    pair.client = engine_new(H2_CLIENT);
    wire_start(H2_SERVER);
    CHECK_INT(wire_feed(pair.client), ERR_OK);
}

/* What an engine has written so far; told as text: "HEADERS 1 END_STREAM" becomes "h1.". */
static char answer_memory[1 << 16];

static inline void answer_tell(struct text *text, const uint8_t *head, struct span payload)
{
    static const char letters[] = "dhprsugow+";
    unsigned id = (unsigned)head[7] << 8 | head[8];

    text_add(text, head[3] < 10 ? span_of(&letters[head[3]], 1) : span_text("?"));
    if (head[3] == SETTINGS && head[4] == ACK)
        text_add_char(text, '!');
    if (head[3] == PING && head[4] == ACK)
        text_add_char(text, '!');
    if (id != 0)
        text_add_u64(text, id);
    if (head[3] == RST_STREAM)
        text_addf(text, "=%u", payload.ptr[3]);
    if (head[3] == GOAWAY)
        text_addf(text, "=%u", payload.ptr[7]);
    if (head[3] <= HEADERS && (head[4] & END_STREAM) != 0)
        text_add_char(text, '.');
    text_add_char(text, ' ');
}

/* Frames that an engine has to send; SETTINGS, their ACK and WINDOW_UPDATE of 0 left out. */
static inline const char *answer_of(struct h2 *h2)
{
    struct text text;
    struct span left;

    text_init(&text, answer_memory, sizeof answer_memory - 1);
    CHECK(h2_drain(h2, &pair.to_client, &pair_err) >= 0);
    left = buf_span(&pair.to_client);
    if (span_starts(left, span_text("PRI ")))
        left = span_from(left, 24);
    while (left.len > 0) {
        size_t len = (size_t)left.ptr[1] << 8 | left.ptr[2];
        unsigned id = (unsigned)left.ptr[7] << 8 | left.ptr[8];

        if (left.ptr[3] != SETTINGS && (left.ptr[3] != WINDOW_UPDATE || id != 0))
            answer_tell(&text, left.ptr, span_first(span_from(left, 9), len));
        left = span_from(left, 9 + len);
    }
    if (text.len > 0)
        text.len--;
    buf_consume(&pair.to_client, buf_len(&pair.to_client));
    return text_str(&text);
}

#endif
