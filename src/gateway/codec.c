/* SPDX-License-Identifier: Apache-2.0 */
/* One interface over a connection of HTTP/1.1, one that has switched protocols, and a stream. */
#include "gateway/codec.h"

#include "base/num.h"
#include "http/h1_write.h"

/* One of so many buffers is kept back. */
/* And never so many: for one that reads windows and writes what they let go. */
#define LEAST_BUFFERS 6
#define LAST_BUFFERS  16

void codec_init_h1(struct codec *codec, struct h1 *h1, struct buf *in, struct seal *seal)
{
    *codec = (struct codec){.kind = CODEC_H1, .h1 = h1, .in = in, .seal = seal};
}

void codec_init_h2(struct codec *codec, struct h2_stream *stream)
{
    *codec = (struct codec){.kind = CODEC_H2, .stream = stream};
}

void codec_turn_raw(struct codec *codec)
{
    ENSURE(codec->kind == CODEC_H1 && codec->held == 0);
    codec->kind = CODEC_RAW;
}

void codec_fini(struct codec *codec)
{
    if (codec->stream != NULL)
        h2_release(codec->stream);
    *codec = (struct codec){.kind = CODEC_H1};
}

static int h1_read(struct codec *codec, size_t room, struct codec_event *event, struct err *err)
{
    static const enum codec_event_type types[] = {
        [H1_HEAD] = CODEC_HEAD,
        [H1_INTERIM] = CODEC_INTERIM,
        [H1_DATA] = CODEC_DATA,
        [H1_END] = CODEC_END,
    };
    struct h1_event read;
    size_t used;

    for (;;) {
        struct span bytes = buf_span(codec->in);

        bytes.len = num_min(bytes.len, room);
        if (h1_feed(codec->h1, bytes, &used, err) < 0)
            return -1;
        if (h1_next(codec->h1, &read))
            break;
        buf_consume(codec->in, used);
        if (used == 0)
            return 0;
    }
    codec->held = used;
    *event = (struct codec_event){.type = types[read.type], .data = read.data};
    return 1;
}

/* Some of `bytes`, which stay where they are until codec_read_done(). */
static int data_read(struct codec *codec, struct span bytes, size_t room, struct codec_event *event)
{
    codec->held = num_min(bytes.len, room);
    *event = (struct codec_event){.type = CODEC_DATA, .data = span_first(bytes, codec->held)};
    return codec->held > 0;
}

static int raw_read(struct codec *codec, size_t room, struct codec_event *event)
{
    struct span bytes = buf_span(codec->in);

    if (bytes.len == 0 && codec->in_ended && !codec->end_read) {
        codec->end_read = 1;
        *event = (struct codec_event){.type = CODEC_END};
        return 1;
    }
    return data_read(codec, bytes, room, event);
}

static int reset_error(const struct codec *codec, struct err *err)
{
    const struct h2_stream *stream = codec->stream;
    bool is_request = stream->request.version == HTTP_2;

    if (is_request)
        return err_set(err, ERR_CLOSED, "the client has cancelled its request");
    if (stream->h2 == NULL)
        return err_set(err, ERR_ORIGIN_CLOSED, "the origin's connection was lost");
    if (stream->reset_code == H2_NO_ERROR || stream->reset_code == H2_CANCEL ||
        stream->reset_code == H2_REFUSED_STREAM)
        return err_set(err, ERR_ORIGIN_CLOSED, "the origin has ended the stream (code %u)",
                       (unsigned)stream->reset_code);
    return err_set(err, ERR_ORIGIN_SYNTAX, "the stream to the origin was reset (code %u)",
                   (unsigned)stream->reset_code);
}

static int h2_read(struct codec *codec, size_t room, struct codec_event *event, struct err *err)
{
    struct h2_stream *stream = codec->stream;
    struct span bytes = buf_span(&stream->recv);

    if (codec->news & H2_NEWS_INTERIM && !codec->head_read) {
        codec->news &= ~H2_NEWS_INTERIM;
        *event = (struct codec_event){.type = CODEC_INTERIM};
        return 1;
    }
    if (stream->is_reset && !stream->recv_ended)
        return reset_error(codec, err);
    if (!codec->head_read) {
        codec->head_read = stream->has_head;
        *event = (struct codec_event){.type = CODEC_HEAD};
        return stream->has_head;
    }
    if (bytes.len == 0 && stream->recv_ended && !codec->end_read) {
        codec->end_read = 1;
        *event = (struct codec_event){.type = CODEC_END, .trailers = &stream->trailers};
        return 1;
    }
    return data_read(codec, bytes, room, event);
}

int codec_read(struct codec *codec, size_t room, struct codec_event *event, struct err *err)
{
    ENSURE(codec->held == 0);
    switch (codec->kind) {
    case CODEC_H1:
        return h1_read(codec, room, event, err);
    case CODEC_RAW:
        return raw_read(codec, room, event);
    case CODEC_H2:
        return h2_read(codec, room, event, err);
    }
    return 0;
}

void codec_read_done(struct codec *codec)
{
    if (codec->held > 0 && codec->kind == CODEC_H2)
        h2_recv_used(codec->stream, codec->held);
    else if (codec->held > 0)
        buf_consume(codec->in, codec->held);
    codec->held = 0;
}

const struct http_request *codec_request(const struct codec *codec)
{
    return codec->kind == CODEC_H2 ? &codec->stream->request : &codec->h1->request;
}

const struct http_response *codec_response(const struct codec *codec, enum codec_event_type type)
{
    if (codec->kind != CODEC_H2)
        return &codec->h1->response;
    return type == CODEC_INTERIM ? &codec->stream->interim : &codec->stream->response;
}

bool codec_is_reset(const struct codec *codec)
{
    return codec->kind == CODEC_H2 && codec->stream->is_reset;
}

/*
 * What a stream has queued may wait long for its window: it does not get the last buffers, which
 * others need for what they have read already. The worker wakes who waits.
 */
static bool has_buffer(const struct buf *send)
{
    const struct pool *pool = send->pool;

    while (pool != NULL &&
           pool->limit - pool->used > num_max(pool->limit / LAST_BUFFERS, LEAST_BUFFERS))
        pool = pool->parent;
    return !buf_is_empty(send) || pool == NULL;
}

size_t codec_room(const struct codec *codec)
{
    if (codec->kind != CODEC_H2)
        return seal_room(codec->seal);
    return has_buffer(&codec->stream->send) ? h2_send_room(codec->stream) : 0;
}

bool codec_has_head_room(const struct codec *codec)
{
    if (codec->kind == CODEC_H2)
        return true;
    return buf_is_empty(&codec->seal->gather) && seal_room(codec->seal) > 0;
}

int codec_send_response(struct codec *codec, const struct http_response *response,
                        struct span method, enum h2_end end, struct err *err)
{
    if (codec->kind == CODEC_H2)
        return h2_send_response(codec->stream, response, end, err);
    codec->framing = response->framing;
    return h1_write_response(response, method, &codec->seal->gather, err);
}

int codec_send_interim(struct codec *codec, const struct http_response *response,
                       struct span method, struct err *err)
{
    if (codec->kind == CODEC_H2)
        return h2_send_interim(codec->stream, response, err);
    return h1_write_response(response, method, &codec->seal->gather, err);
}

/* Some content in the framing of its next hop. */
static int content_send(struct codec *codec, struct span data, struct err *err)
{
    uint8_t head[H1_CHUNK_HEAD];
    size_t head_len = h1_write_chunk_head(&codec->framing, data.len, head);

    if (seal_send(codec->seal, span_of(head, head_len), err) < 0 ||
        seal_send(codec->seal, data, err) < 0)
        return -1;
    return seal_send(codec->seal, h1_write_chunk_tail(&codec->framing), err);
}

int codec_send_data(struct codec *codec, struct span data, struct err *err)
{
    if (data.len == 0)
        return 0; /* an empty chunk would be the last one */
    switch (codec->kind) {
    case CODEC_H1:
        return content_send(codec, data, err);
    case CODEC_RAW:
        return seal_send(codec->seal, data, err);
    case CODEC_H2:
        return h2_send_data(codec->stream, data, err);
    }
    return 0;
}

int codec_send_end(struct codec *codec, const struct http_fields *trailers, struct err *err)
{
    switch (codec->kind) {
    case CODEC_H1:
        return seal_send(codec->seal, h1_write_end(&codec->framing), err);
    case CODEC_RAW:
        return 0;
    case CODEC_H2:
        return h2_send_end(codec->stream, trailers, err);
    }
    return 0;
}
