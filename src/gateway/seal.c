/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gathering and encrypting. The sealed queue always keeps room for one more record, which belongs
 * to the TLS library (alerts, key updates): otherwise a full queue would stop the reading that
 * empties it.
 */
#include "gateway/seal.h"

#include "base/num.h"
#include "wire/envelope.h"

/* Up to this size a piece is copied into the record of its neighbours. */
#define SEAL_GATHER 8192

/* What head and tail of a chunk and the envelope can add. */
#define SEAL_SLACK 256

void seal_init(struct seal *seal, struct tls *tls, struct buf *sealed, struct pool *blocks,
               enum seal_wrap wrap)
{
    *seal = (struct seal){.tls = tls, .sealed = sealed, .wrap = wrap};
    buf_init(&seal->gather, blocks, BUF_SECRET);
}

void seal_fini(struct seal *seal)
{
    if (seal->gather.pool != NULL)
        buf_fini(&seal->gather);
}

size_t seal_room(const struct seal *seal)
{
    size_t room = buf_free_len(seal->sealed);
    size_t plain;

    if (room < 2 * TLS_RECORD_MAX + SEAL_SLACK)
        return 0;
    plain = (room - TLS_RECORD_MAX - SEAL_SLACK) / TLS_RECORD_MAX * TLS_RECORD;
    if (plain < buf_len(&seal->gather) + SEAL_SLACK)
        return 0;
    return plain - buf_len(&seal->gather) - SEAL_SLACK;
}

static int plain_send(struct seal *seal, struct span bytes, size_t *used, struct err *err)
{
    *used = 0;
    bytes.len = num_min(bytes.len, TLS_RECORD);
    if (buf_free_len(seal->sealed) < bytes.len + ENVELOPE_HEAD)
        return 0;
    if (seal->wrap == SEAL_BARE ? buf_append(seal->sealed, bytes, err) < 0
                                : envelope_send(seal->sealed, bytes, NULL, err) < 0)
        return -1;
    *used = bytes.len;
    return 0;
}

/* The callback's bytes between open and finish become one envelope. */
static int wrapped_send(struct seal *seal, struct span bytes, size_t *used, struct err *err)
{
    struct envelope_mark mark;
    int result;

    if (seal->tls == NULL)
        return plain_send(seal, bytes, used, err);
    if (seal->wrap == SEAL_BARE)
        return tls_send(seal->tls, bytes, used, seal->sealed, err);
    if (envelope_begin(&mark, seal->sealed, err) < 0)
        return -1;
    result = tls_send(seal->tls, bytes, used, seal->sealed, err);
    envelope_finish(&mark);
    return result;
}

/* As much as there is room for; returns how much, or -1. */
static ssize_t some_send(struct seal *seal, struct span bytes, struct err *err)
{
    size_t sent = 0;

    while (sent < bytes.len) {
        size_t used = 0;

        if (wrapped_send(seal, span_from(bytes, sent), &used, err) < 0)
            return -1;
        if (used == 0)
            break;
        sent += used;
    }
    return (ssize_t)sent;
}

static bool may_send(const struct seal *seal)
{
    return seal->tls == NULL || seal->tls->state == TLS_OPEN || seal->tls->state == TLS_ENDED;
}

int seal_flush(struct seal *seal, struct err *err)
{
    ssize_t sent;

    if (buf_is_empty(&seal->gather) || !may_send(seal))
        return 0;
    sent = some_send(seal, buf_span(&seal->gather), err);
    if (sent < 0)
        return -1;
    buf_consume(&seal->gather, (size_t)sent);
    return sent > 0;
}

static int direct_send(struct seal *seal, struct span bytes, struct err *err)
{
    ssize_t sent = some_send(seal, bytes, err);

    if (sent < 0)
        return -1;
    return buf_append(&seal->gather, span_from(bytes, (size_t)sent), err);
}

int seal_send(struct seal *seal, struct span bytes, struct err *err)
{
    size_t gathered = buf_len(&seal->gather);

    if (bytes.len == 0)
        return 0;
    if (gathered == 0 && bytes.len > SEAL_GATHER)
        return direct_send(seal, bytes, err);
    if (bytes.len > SEAL_GATHER && gathered < TLS_RECORD) {
        /* Fill up the record that is being gathered, then go on from the source. */
        size_t fill = num_min(bytes.len, TLS_RECORD - gathered);

        if (buf_append(&seal->gather, span_first(bytes, fill), err) < 0 ||
            seal_flush(seal, err) < 0)
            return -1;
        bytes = span_from(bytes, fill);
        if (buf_is_empty(&seal->gather))
            return direct_send(seal, bytes, err);
    }
    if (buf_append(&seal->gather, bytes, err) < 0)
        return -1;
    return buf_len(&seal->gather) >= TLS_RECORD && seal_flush(seal, err) < 0 ? -1 : 0;
}

int seal_feed(struct seal *seal, struct span in, size_t *used, struct buf *plain, struct err *err)
{
    struct envelope_mark mark;
    int result;

    *used = 0;
    if (seal->tls == NULL) {
        *used = buf_append_some(plain, in);
        return 0;
    }
    if (buf_free_len(seal->sealed) < TLS_RECORD_MAX + ENVELOPE_HEAD)
        return 0;
    if (seal->wrap == SEAL_BARE)
        return tls_feed(seal->tls, in, used, plain, seal->sealed, err);
    if (envelope_begin(&mark, seal->sealed, err) < 0)
        return -1;
    result = tls_feed(seal->tls, in, used, plain, seal->sealed, err);
    envelope_finish(&mark);
    return result;
}

void seal_close(struct seal *seal)
{
    struct envelope_mark mark;
    struct err err;

    if (seal->tls == NULL || buf_free_len(seal->sealed) < TLS_RECORD_MAX + ENVELOPE_HEAD)
        return;
    if (seal->wrap == SEAL_BARE) {
        tls_send_close(seal->tls, seal->sealed);
        return;
    }
    if (envelope_begin(&mark, seal->sealed, &err) < 0)
        return;
    tls_send_close(seal->tls, seal->sealed);
    envelope_finish(&mark);
}
