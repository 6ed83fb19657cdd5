/* SPDX-License-Identifier: Apache-2.0 */
/* The tunnel protocol of docs/protocol.md as a BIO: masked frames out, chunks in. */
#include <errno.h>
#include <sys/socket.h>

#include "load.h"

#define TUNNEL_OUT_MOST (256 * 1024)

static size_t varint_write(size_t number, uint8_t *out)
{
    size_t len = 0;

    while (number > 127) {
        out[len++] = (uint8_t)(number & 127) | 128;
        number >>= 7;
    }
    out[len++] = (uint8_t)number;
    return len;
}

static size_t frame_head_write(size_t len, uint8_t *out)
{
    size_t at = 2;

    out[0] = 0x82;
    if (len < 126) {
        out[1] = (uint8_t)(0x80 | len);
        return at;
    }
    if (len < 65536) {
        out[1] = 0x80 | 126;
        out[at++] = (uint8_t)(len >> 8);
        out[at++] = (uint8_t)len;
        return at;
    }
    out[1] = 0x80 | 127;
    for (int shift = 56; shift >= 0; shift -= 8)
        out[at++] = (uint8_t)((uint64_t)len >> shift);
    return at;
}

static void mask(uint8_t *bytes, size_t len, const uint8_t key[4])
{
    uint64_t wide;
    size_t at = 0;

    memcpy(&wide, key, 4);
    memcpy((uint8_t *)&wide + 4, key, 4);
    for (; at + 8 <= len; at += 8) {
        uint64_t word;

        memcpy(&word, bytes + at, 8);
        word ^= wide;
        memcpy(bytes + at, &word, 8);
    }
    for (; at < len; at++)
        bytes[at] ^= key[at % 4];
}

void load_tunnel_send(struct load_connection *connection, const uint8_t *bytes, size_t len)
{
    static uint32_t seed = 1;
    struct queue *out = &connection->wire_out;
    uint8_t head[16];
    uint8_t chunk[8] = {0x0a};
    uint8_t key[4];
    size_t chunk_len = 1 + varint_write(len, chunk + 1);

    seed = seed * 1664525 + 1013904223;
    memcpy(key, &seed, 4);
    queue_add(out, head, frame_head_write(chunk_len + len, head));
    queue_add(out, key, 4);
    queue_add(out, chunk, chunk_len);
    queue_add(out, bytes, len);
    mask(out->ptr + out->end - len - chunk_len, len + chunk_len, key);
}

int load_tunnel_flush(struct load_connection *connection)
{
    struct queue *out = &connection->wire_out;

    while (queue_len(out) > 0) {
        ssize_t len = send(connection->fd, queue_ptr(out), queue_len(out), MSG_NOSIGNAL);

        if (len < 0)
            return errno == EAGAIN ? 0 : -1;
        queue_take(out, (size_t)len);
    }
    return 0;
}

/* One message: field 1 of a protobuf message, nothing else. */
static void message_take(struct load_connection *connection, const uint8_t *bytes, size_t len)
{
    size_t payload = 0;
    unsigned shift = 0;
    size_t at = 1;

    if (len == 0)
        return;
    if (bytes[0] != 0x0a)
        load_die("a message that is no chunk");
    while (at < len) {
        payload |= (size_t)(bytes[at] & 127) << shift;
        shift += 7;
        if (bytes[at++] < 128)
            break;
    }
    if (at + payload != len)
        load_die("a chunk of %zu bytes in a message of %zu", payload, len);
    queue_add(&connection->payload, bytes + at, payload);
}

/* A whole frame of the queue. 1 taken, 0 there is none, -1 it closes. */
static int frame_take(struct load_connection *connection)
{
    struct queue *in = &connection->wire_in;
    const uint8_t *bytes = queue_ptr(in);
    size_t head = 2;
    size_t len;

    if (queue_len(in) < 2)
        return 0;
    len = bytes[1] & 127;
    if (len >= 126) {
        size_t more = len == 126 ? 2 : 8;

        if (queue_len(in) < head + more)
            return 0;
        len = 0;
        for (size_t i = 0; i < more; i++)
            len = len << 8 | bytes[head + i];
        head += more;
    }
    if (queue_len(in) < head + len)
        return 0;
    if ((bytes[0] & 15) == 8)
        return -1;
    if ((bytes[0] & 15) == 2)
        message_take(connection, bytes + head, len);
    queue_take(in, head + len);
    return 1;
}

int load_tunnel_pull(struct load_connection *connection)
{
    uint8_t bytes[LOAD_PIECE];
    bool has_ended = false;
    int taken;

    for (;;) {
        ssize_t len = recv(connection->fd, bytes, sizeof bytes, 0);

        if (len <= 0) {
            has_ended = len == 0 || errno != EAGAIN;
            break;
        }
        queue_add(&connection->wire_in, bytes, (size_t)len);
        if ((size_t)len < sizeof bytes)
            break;
    }
    while ((taken = frame_take(connection)) > 0)
        ;
    return has_ended || taken < 0 ? -1 : 0;
}

static int bio_write(BIO *bio, const char *bytes, int len)
{
    struct load_connection *connection = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (load_tunnel_flush(connection) < 0)
        return -1;
    if (queue_len(&connection->wire_out) > TUNNEL_OUT_MOST) {
        BIO_set_retry_write(bio);
        return -1;
    }
    load_tunnel_send(connection, (const uint8_t *)bytes, (size_t)len);
    return load_tunnel_flush(connection) < 0 ? -1 : len;
}

static int bio_read(BIO *bio, char *out, int room)
{
    struct load_connection *connection = BIO_get_data(bio);
    struct queue *payload = &connection->payload;
    size_t len;

    BIO_clear_retry_flags(bio);
    if (queue_len(payload) == 0) {
        int result = load_tunnel_pull(connection);

        if (queue_len(payload) == 0) {
            if (result < 0)
                return 0;
            BIO_set_retry_read(bio);
            return -1;
        }
    }
    len = queue_len(payload) < (size_t)room ? queue_len(payload) : (size_t)room;
    memcpy(out, queue_ptr(payload), len);
    queue_take(payload, len);
    return (int)len;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

BIO *load_tunnel_bio(struct load_connection *connection)
{
    static BIO_METHOD *method;
    BIO *bio;

    if (method == NULL) {
        method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | 99, "tunnel");
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_ctrl(method, bio_control);
    }
    bio = BIO_new(method);
    if (bio == NULL)
        load_die("no memory");
    BIO_set_data(bio, connection);
    BIO_set_init(bio, 1);
    return bio;
}
