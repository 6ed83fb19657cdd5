/* SPDX-License-Identifier: Apache-2.0 */
/* The part of HTTP/2 that a client of GET requests needs (RFC 9113, RFC 7541). */
#include "load.h"

#define FRAME_DATA     0
#define FRAME_HEADERS  1
#define FRAME_RST      3
#define FRAME_SETTINGS 4
#define FRAME_PING     6
#define FRAME_GOAWAY   7
#define FRAME_WINDOW   8
#define FLAG_END       1 /* END_STREAM, and ACK */

#define WINDOW_STREAM     0x3fffffff
#define WINDOW_CONNECTION 0x7ffe0000

static void word_write(uint8_t *out, uint32_t word)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(word >> (24 - 8 * i));
}

static uint32_t word_read(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void frame_add(struct load_connection *connection, uint8_t type, uint8_t flags,
                      uint32_t stream, const uint8_t *payload, size_t len)
{
    uint8_t head[9] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, type, flags};

    word_write(head + 5, stream);
    queue_add(&connection->out, head, sizeof head);
    queue_add(&connection->out, payload, len);
}

static void preface_add(struct load_connection *connection)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    uint8_t settings[12] = {0, 2, 0, 0, 0, 0, 0, 4}; /* no push; the window of a stream */
    uint8_t window[4];

    word_write(settings + 8, WINDOW_STREAM);
    word_write(window, WINDOW_CONNECTION);
    queue_add(&connection->out, preface, sizeof preface - 1);
    frame_add(connection, FRAME_SETTINGS, 0, 0, settings, sizeof settings);
    frame_add(connection, FRAME_WINDOW, 0, 0, window, sizeof window);
    connection->h2.next_stream = 1;
}

/* A literal field whose name is number `index` of the static table, not indexed. */
static size_t field_write(uint8_t *out, unsigned index, const char *value)
{
    size_t len = strlen(value);
    size_t at = 0;

    out[at++] = (uint8_t)(index < 15 ? index : 15);
    if (index >= 15)
        out[at++] = (uint8_t)(index - 15);
    out[at++] = (uint8_t)len; /* up to 126 in one octet */
    memcpy(out + at, value, len);
    return at + len;
}

void load_h2_ask(struct load_connection *connection)
{
    struct load_h2 *h2 = &connection->h2;
    uint8_t block[1024] = {0x82, 0x87}; /* GET, https */
    char host[120];
    size_t len = 2;

    if (h2->next_stream == 0)
        preface_add(connection);
    load_host(connection, true, host, sizeof host);
    len += field_write(block + len, 4, load_options.path);
    len += field_write(block + len, 1, host);
    len += field_write(block + len, 23, "Bearer placeholder"); /* authorization */
    frame_add(connection, FRAME_HEADERS, FLAG_END | 4, h2->next_stream, block, len);
    for (unsigned slot = 0; slot < LOAD_STREAMS; slot++) {
        if (h2->stream[slot] != 0)
            continue;
        h2->stream[slot] = h2->next_stream;
        connection->begun_us[slot] = load_now_us();
        break;
    }
    h2->next_stream += 2;
    connection->under_way++;
}

static void stream_ended(struct load_connection *connection, uint32_t stream)
{
    struct load_h2 *h2 = &connection->h2;

    for (unsigned slot = 0; slot < LOAD_STREAMS; slot++) {
        if (h2->stream[slot] != stream)
            continue;
        h2->stream[slot] = 0;
        load_done(connection, slot);
        return;
    }
}

static void frame_take(struct load_connection *connection, uint32_t len)
{
    struct load_h2 *h2 = &connection->h2;
    uint8_t type = h2->head[3];
    uint8_t flags = h2->head[4];
    uint32_t stream = word_read(h2->head + 5);
    uint8_t window[4];

    if (type == FRAME_SETTINGS && !(flags & FLAG_END))
        frame_add(connection, FRAME_SETTINGS, FLAG_END, 0, NULL, 0);
    if (type == FRAME_PING && !(flags & FLAG_END))
        frame_add(connection, FRAME_PING, FLAG_END, 0, h2->begin, 8);
    if (type == FRAME_GOAWAY)
        connection->must_close = true;
    if (type == FRAME_DATA) {
        h2->unacknowledged += len;
        if (h2->unacknowledged > WINDOW_STREAM / 2) {
            word_write(window, (uint32_t)h2->unacknowledged);
            frame_add(connection, FRAME_WINDOW, 0, 0, window, sizeof window);
            h2->unacknowledged = 0;
        }
    }
    /* ":status: 200" is one octet of HPACK; a size update of the table may stand before it. */
    if ((type == FRAME_HEADERS && h2->begin[0] != 0x88 && (h2->begin[0] & 0xe0) != 0x20) ||
        type == FRAME_RST)
        load_stats.not_200++;
    if (type == FRAME_RST ||
        ((type == FRAME_DATA || type == FRAME_HEADERS) && (flags & FLAG_END) != 0))
        stream_ended(connection, stream);
}

int load_h2_feed(struct load_connection *connection, const uint8_t *bytes, size_t len)
{
    struct load_h2 *h2 = &connection->h2;
    size_t at = 0;

    while (at < len || h2->head_len == 9) {
        uint32_t size;
        size_t some;

        if (h2->head_len < 9) {
            h2->head[h2->head_len++] = bytes[at++];
            h2->got = 0;
            continue;
        }
        size = word_read(h2->head) >> 8;
        some = len - at < size - h2->got ? len - at : size - h2->got;
        for (size_t i = 0; i < some && h2->got + i < sizeof h2->begin; i++)
            h2->begin[h2->got + i] = bytes[at + i];
        h2->got += (uint32_t)some;
        at += some;
        if (h2->got < size)
            return 0;
        h2->head_len = 0;
        frame_take(connection, size);
    }
    return 0;
}
