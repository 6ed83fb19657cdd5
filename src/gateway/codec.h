/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_CODEC_H
#define EXEAT_GATEWAY_CODEC_H

#include "gateway/seal.h"
#include "http/h1.h"
#include "http/h2.h"

/*
 * One end of an exchange: messages to and from one peer, whichever version of HTTP carries them.
 *
 *   CODEC_H1   the whole connection: bytes are parsed where they lie, content goes straight into
 * TLS CODEC_RAW  the same after a switch of protocols: bytes, unread CODEC_H2   one stream of many:
 * content passes through the stream's own queues
 */
enum codec_kind { CODEC_H1, CODEC_RAW, CODEC_H2 };

struct codec {
    enum codec_kind kind;
    struct h1 *h1;               /* H1: borrowed */
    struct buf *in;              /* H1, RAW: borrowed: plaintext that came */
    struct seal *seal;           /* H1, RAW: borrowed: where bytes go */
    struct http_framing framing; /* H1: of the message that is sent */
    struct h2_stream *stream;    /* H2: owned until codec_fini() */
    unsigned news;               /* H2: H2_NEWS_INTERIM not read yet */
    size_t held;                 /* what the last event lies in; given back by codec_read_done() */
    int head_read;
    int end_read;
    int in_ended; /* RAW: no more bytes will come */
};

enum codec_event_type {
    CODEC_HEAD,    /* codec_request() or codec_response() */
    CODEC_INTERIM, /* codec_response(); another head follows */
    CODEC_DATA,
    CODEC_END,
};

struct codec_event {
    enum codec_event_type type;
    struct span data;                   /* borrowed until codec_read_done() */
    const struct http_fields *trailers; /* of CODEC_END; may be NULL */
};

void codec_init_h1(struct codec *codec, struct h1 *h1, struct buf *in, struct seal *seal);
void codec_init_h2(struct codec *codec, struct h2_stream *stream);

/* From here on bytes are bytes (after 101). */
void codec_turn_raw(struct codec *codec);

/* Gives a stream back to its connection. Safe twice and on a zeroed codec. */
void codec_fini(struct codec *codec);

/*
 * The next thing the peer has said, with at most `room` bytes of content. 1 with *event, which
 * codec_read_done() ends; 0 nothing now; -1: the errors of h1_feed(), or a stream that was reset:
 * ERR_CLOSED from a client, ERR_ORIGIN_CLOSED from an origin.
 */
int codec_read(struct codec *codec, size_t room, struct codec_event *event, struct err *err);
void codec_read_done(struct codec *codec);

/* What was read; valid from CODEC_HEAD (or CODEC_INTERIM) on. */
const struct http_request *codec_request(const struct codec *codec);
const struct http_response *codec_response(const struct codec *codec, enum codec_event_type type);

/* Has the peer given up on its stream? Never true of H1. */
bool codec_is_reset(const struct codec *codec);

/* How many bytes of content may be sent now. */
size_t codec_room(const struct codec *codec);

/* Whether a head may be sent now. */
bool codec_has_head_room(const struct codec *codec);

/*
 * A response head; `method` of its request. `end`: no content follows, codec_send_end() is not
 * called. ERR_INTERNAL and others of h1_write_response() and h2_send_response().
 */
int codec_send_response(struct codec *codec, const struct http_response *response,
                        struct span method, enum h2_end end, struct err *err);
int codec_send_interim(struct codec *codec, const struct http_response *response,
                       struct span method, struct err *err);

/* `data.len` <= codec_room(). Empty data is nothing. */
int codec_send_data(struct codec *codec, struct span data, struct err *err);

/* The message is complete. H1 sends no trailers (threat A7), RAW ends the connection's half. */
int codec_send_end(struct codec *codec, const struct http_fields *trailers, struct err *err);

#endif
