/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents in both directions. A piece is read only as long as the other side has room for all of
 * it, so that no payload is ever kept by the exchange: what does not fit stays where it is, its
 * socket stops being read or its window stays shut, and the sender stops (threat K4).
 */
#include "gateway/exchange.h"
#include "gateway/inspect.h"
#include "gateway/tunnel.h"

/* One event of the request. 1 moved, 0 nothing there, -1 the request is malformed. */
static int request_event(struct exchange *exchange, struct err *err)
{
    struct codec_event event;
    int result = codec_read(&exchange->client, codec_room(&exchange->server), &event, err);

    if (result <= 0)
        return result;
    if (event.type == CODEC_DATA) {
        exchange->bytes_in += event.data.len;
        result = codec_send_data(&exchange->server, event.data, err);
    } else if (event.type == CODEC_END) {
        exchange->request_done = 1;
        if (!exchange->request_ends)
            result = codec_send_end(&exchange->server, event.trailers, err);
    }
    codec_read_done(&exchange->client);
    return result < 0 ? -1 : 1;
}

/* What a client says behind an extended CONNECT is for when the origin has agreed. */
static bool may_send(const struct exchange *exchange)
{
    return !exchange->request_done && exchange->upgrade != UPGRADE_H2 &&
           (exchange->request_ends || codec_room(&exchange->server) > 0);
}

static int request_forward(struct exchange *exchange, struct err *err)
{
    int moved = 0;

    while (may_send(exchange)) {
        int result = request_event(exchange, err);

        if (result < 0)
            return -1;
        if (result == 0)
            break;
        moved = 1;
    }
    return moved;
}

static int response_handle(struct exchange *exchange, const struct codec_event *event,
                           struct err *err)
{
    switch (event->type) {
    case CODEC_INTERIM:
    case CODEC_HEAD:
        return exchange_send_response(exchange, event->type, err);
    case CODEC_DATA:
        exchange->bytes_out += event->data.len;
        return codec_send_data(&exchange->client, event->data, err);
    case CODEC_END:
        exchange->response_done = 1;
        if (exchange->response_ends)
            return 0;
        return codec_send_end(&exchange->client, event->trailers, err);
    }
    return 0;
}

static int response_event(struct exchange *exchange, struct err *err)
{
    /* A head needs room of its own, content is cut to the room there is. */
    size_t room = exchange->response_head_done ? codec_room(&exchange->client) : SIZE_MAX;
    struct codec_event event;
    int result = codec_read(&exchange->server, room, &event, err);

    if (result <= 0)
        return result;
    result = response_handle(exchange, &event, err);
    codec_read_done(&exchange->server);
    return result < 0 ? -1 : 1;
}

/* The end needs no room over HTTP/2: it may come with a closed window. */
static bool response_has_room(const struct exchange *exchange)
{
    if (!exchange->response_head_done)
        return codec_has_head_room(&exchange->client);
    return exchange->client.kind == CODEC_H2 || codec_room(&exchange->client) > 0;
}

static int response_forward(struct exchange *exchange, struct err *err)
{
    int moved = 0;

    while (!exchange->response_done && response_has_room(exchange)) {
        int result = response_event(exchange, err);

        if (result < 0)
            return -1;
        if (result == 0)
            break;
        moved = 1;
        if (!exchange->response_head_done || exchange->is_upgraded)
            break; /* an interim response or the last of HTTP: let it go out first */
    }
    return moved;
}

/* The origin has ended: is that the end of the response, or is it cut off (threat H10)? */
static int origin_ended(struct exchange *exchange, enum origin_end end, struct err *err)
{
    struct codec_event event;
    int result;

    if (h1_eof(exchange->server.h1, err) < 0)
        return -1;
    result = codec_read(&exchange->server, SIZE_MAX, &event, err);
    if (result < 0)
        return -1;
    if (result == 0)
        return err_set(err, ERR_ORIGIN_CLOSED, "the origin closed without an answer");
    if (end == ORIGIN_CUT)
        return err_set(err, ERR_ORIGIN_CLOSED,
                       "the origin's TLS connection was cut in a response without length");
    result = response_handle(exchange, &event, err);
    codec_read_done(&exchange->server);
    return result;
}

static bool is_idempotent(struct span method)
{
    static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};

    for (size_t i = 0; i < sizeof idempotent / sizeof idempotent[0]; i++) {
        if (span_equal(method, span_text(idempotent[i])))
            return true;
    }
    return false;
}

/*
 * May this request be sent once more on another connection (RFC 9110 section 9.2.2, RFC 9113
 * section 8.7)? Not when any content of it has been passed on, for that is not kept.
 */
static bool may_retry(const struct exchange *exchange)
{
    const struct http_request *request = exchange->request;
    const struct h2_stream *stream = exchange->server.stream;

    if (exchange->has_retried || exchange->response_head_done || exchange->bytes_in > 0)
        return false;
    if (stream != NULL && stream->may_retry)
        return !exchange->request_done || request->framing.body == HTTP_BODY_NONE;
    if (request->framing.body != HTTP_BODY_NONE || !is_idempotent(request->method))
        return false;
    if (stream != NULL)
        return exchange->origin == NULL; /* the connection died */
    return exchange->origin->uses >= 2 && !exchange->origin->saw_bytes;
}

static void forward_fail(struct exchange *exchange, const struct err *err)
{
    struct err retry_err;

    if (!may_retry(exchange))
        exchange_fail(exchange, exchange->origin_err.code == ERR_OK ? err : &exchange->origin_err);
    else if (exchange_retry(exchange, &retry_err) < 0)
        exchange_fail(exchange, &retry_err);
}

int exchange_pull(struct exchange *exchange, enum origin_end *end, struct err *err)
{
    struct origin *origin = exchange->origin;
    int pulled;

    *end = ORIGIN_GOES_ON;
    if (origin == NULL || origin->h2 != NULL)
        return 0; /* a connection of HTTP/2 runs on its own */
    pulled = origin_pull(origin, end, err);
    if (!buf_is_empty(&origin->plain_in))
        origin->saw_bytes = 1;
    return pulled;
}

int exchange_push(struct exchange *exchange, struct err *err)
{
    struct origin *origin = exchange->origin;

    if (origin == NULL || origin->h2 != NULL)
        return 0;
    return origin_push(origin, err);
}

static bool has_bytes(const struct exchange *exchange)
{
    const struct origin *origin = exchange->origin;

    return origin != NULL && origin->h2 == NULL && !buf_is_empty(&origin->plain_in);
}

/*
 * Everything that the origin sent before its end has been read: what is left, although there is
 * room for it, is no whole head or chunk. Over HTTP/2 only an end needs no room, contents do.
 */
static bool origin_is_read(const struct exchange *exchange, int received)
{
    bool has_room = exchange->response_head_done ? codec_room(&exchange->client) > 0
                                                 : codec_has_head_room(&exchange->client);

    return !has_bytes(exchange) || (received == 0 && has_room);
}

static int forward_round(struct exchange *exchange, struct err *err)
{
    enum origin_end end;
    int sent = request_forward(exchange, err);
    int pushed = sent < 0 ? -1 : exchange_push(exchange, err);
    int pulled;
    int received;

    if (sent < 0)
        return -1;
    /* An origin may answer and close without reading all of the request: its answer counts. */
    pulled = exchange_pull(exchange, &end, err);
    if (pulled < 0 || (pushed < 0 && pulled == 0 && !has_bytes(exchange)))
        return -1;
    received = response_forward(exchange, err);
    if (received < 0)
        return -1;
    if (end != ORIGIN_GOES_ON && origin_is_read(exchange, received) && !exchange->response_done &&
        !exchange->is_upgraded && origin_ended(exchange, end, err) < 0)
        return -1;
    if (exchange->origin != NULL && (sent > 0 || received > 0))
        origin_wake(exchange->origin);
    return sent > 0 || pushed > 0 || pulled > 0 || received > 0;
}

int exchange_forward(struct exchange *exchange)
{
    struct err err;
    int moved = forward_round(exchange, &err);

    if (moved < 0) {
        forward_fail(exchange, &err);
        return 1;
    }
    exchange_pace_look(exchange);
    if (moved > 0)
        exchange_touch(exchange);
    if (exchange->is_upgraded) {
        if (exchange->client.kind == CODEC_H1)
            codec_turn_raw(&exchange->client);
        codec_turn_raw(&exchange->server);
        exchange_enter(exchange, EXCHANGE_UPGRADED);
        if (exchange->origin != NULL && exchange->origin->h2 == NULL) {
            exchange->origin->has_switched = 1;
            origin_wait_wake(exchange->origin);
        }
        return 1;
    }
    if (exchange->response_done) {
        exchange_complete(exchange);
        return 1;
    }
    return moved;
}
