/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents in both directions. A piece is read only as long as the other side has room for all of
 * it, so that no payload is ever kept by the exchange: what does not fit stays where it is, its
 * socket stops being read, and the sender stops (threat K4).
 */
#include "base/num.h"
#include "gateway/exchange.h"
#include "gateway/inspect.h"
#include "gateway/tunnel.h"
#include "gateway/worker.h"
#include "http/h1_write.h"

/* Some content in the framing of its next hop. */
static int content_send(struct seal *seal, const struct http_framing *framing, struct span data,
                        struct err *err)
{
    uint8_t head[H1_CHUNK_HEAD];
    size_t head_len;

    if (data.len == 0)
        return 0; /* an empty chunk would be the last one */
    head_len = h1_write_chunk_head(framing, data.len, head);

    if (seal_send(seal, span_of(head, head_len), err) < 0 || seal_send(seal, data, err) < 0)
        return -1;
    return seal_send(seal, h1_write_chunk_tail(framing), err);
}

/* One event of the request. 1 moved, 0 nothing there, -1 the request is malformed. */
static int request_event(struct exchange *exchange, struct err *err)
{
    struct buf *in = &exchange->inspect->plain_in;
    struct seal *seal = &exchange->origin->seal;
    struct span bytes = buf_span(in);
    struct h1_event event;
    size_t used;
    int result = 0;

    bytes.len = num_min(bytes.len, seal_room(seal));
    if (h1_feed(&exchange->h1, bytes, &used, err) < 0)
        return -1;
    if (h1_next(&exchange->h1, &event)) {
        if (event.type == H1_DATA) {
            result = content_send(seal, &exchange->request_framing, event.data, err);
            exchange->bytes_in += event.data.len;
        } else if (event.type == H1_END) {
            result = seal_send(seal, h1_write_end(&exchange->request_framing), err);
            exchange->request_done = 1;
        }
        buf_consume(in, used);
        return result < 0 ? -1 : 1;
    }
    buf_consume(in, used);
    return used > 0;
}

static int request_forward(struct exchange *exchange, struct err *err)
{
    int moved = 0;

    while (!exchange->request_done && seal_room(&exchange->origin->seal) > 0) {
        int result = request_event(exchange, err);

        if (result < 0)
            return -1;
        if (result == 0)
            break;
        moved = 1;
    }
    return moved;
}

static int response_handle(struct exchange *exchange, const struct h1_event *event, struct err *err)
{
    struct seal *seal = &exchange->inspect->seal;

    switch (event->type) {
    case H1_INTERIM:
        return exchange_send_response(exchange, 1, err);
    case H1_HEAD:
        return exchange_send_response(exchange, 0, err);
    case H1_DATA:
        exchange->bytes_out += event->data.len;
        return content_send(seal, &exchange->response_framing, event->data, err);
    case H1_END:
        exchange->response_done = 1;
        return seal_send(seal, h1_write_end(&exchange->response_framing), err);
    }
    return 0;
}

static int response_event(struct exchange *exchange, struct err *err)
{
    struct origin *origin = exchange->origin;
    struct span bytes = buf_span(&origin->plain_in);
    struct h1_event event;
    size_t used;
    int result = 0;

    /* A head needs room of its own, content is cut to the room there is. */
    if (exchange->response_head_done)
        bytes.len = num_min(bytes.len, seal_room(&exchange->inspect->seal));
    if (h1_feed(&origin->h1, bytes, &used, err) < 0)
        return -1;
    if (h1_next(&origin->h1, &event)) {
        result = response_handle(exchange, &event, err);
        buf_consume(&origin->plain_in, used);
        return result < 0 ? -1 : 1;
    }
    buf_consume(&origin->plain_in, used);
    return used > 0;
}

static bool response_has_room(const struct exchange *exchange)
{
    const struct seal *seal = &exchange->inspect->seal;

    if (!exchange->response_head_done)
        return buf_is_empty(&seal->gather) && seal_room(seal) > 0;
    return seal_room(seal) > 0;
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
    struct origin *origin = exchange->origin;
    struct h1_event event;

    if (h1_eof(&origin->h1, err) < 0)
        return -1;
    if (!h1_next(&origin->h1, &event))
        return err_set(err, ERR_ORIGIN_CLOSED, "the origin closed without an answer");
    if (end == ORIGIN_CUT)
        return err_set(err, ERR_ORIGIN_CLOSED,
                       "the origin's TLS connection was cut in a response without length");
    return response_handle(exchange, &event, err);
}

/* May this request be sent once more on another connection (RFC 9110 section 9.2.2)? */
static bool may_retry(const struct exchange *exchange)
{
    static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
    const struct http_request *request = &exchange->h1.request;

    if (exchange->has_retried || exchange->response_head_done || exchange->origin->uses < 2 ||
        exchange->origin->saw_bytes || request->framing.body != HTTP_BODY_NONE)
        return false;
    for (size_t i = 0; i < sizeof idempotent / sizeof idempotent[0]; i++) {
        if (span_equal(request->method, span_text(idempotent[i])))
            return true;
    }
    return false;
}

static void forward_fail(struct exchange *exchange, const struct err *err)
{
    struct inspect *inspect = exchange->inspect;
    struct tunnel *tunnel = inspect->tunnel;
    struct err open_err;

    if (!may_retry(exchange)) {
        exchange_fail(exchange, err);
        return;
    }
    exchange->has_retried = 1;
    exchange->origin_done = 0;
    origin_close(exchange->origin);
    exchange->origin =
        origin_open(tunnel->session, &tunnel->host, tunnel->port, &exchange->user, &open_err);
    if (exchange->origin == NULL)
        exchange_fail(exchange, &open_err);
    else
        exchange_enter(exchange, EXCHANGE_ORIGIN);
}

/* Everything that the origin sent before its end has been read: what is left is no whole head. */
static bool origin_is_read(const struct exchange *exchange, int received)
{
    return buf_is_empty(&exchange->origin->plain_in) ||
           (received == 0 && response_has_room(exchange));
}

static int forward_round(struct exchange *exchange, struct err *err)
{
    struct origin *origin = exchange->origin;
    enum origin_end end;
    int sent = request_forward(exchange, err);
    int pushed = sent < 0 ? -1 : origin_push(origin, err);
    int pulled;
    int received;

    if (sent < 0)
        return -1;
    /* An origin may answer and close without reading all of the request: its answer counts. */
    pulled = origin_pull(origin, &end, err);
    if (pulled < 0 || (pushed < 0 && pulled == 0 && buf_is_empty(&origin->plain_in)))
        return -1;
    if (!buf_is_empty(&origin->plain_in))
        origin->saw_bytes = 1;
    received = response_forward(exchange, err);
    if (received < 0)
        return -1;
    if (end != ORIGIN_GOES_ON && origin_is_read(exchange, received) && !exchange->response_done &&
        !exchange->is_upgraded && origin_ended(exchange, end, err) < 0)
        return -1;
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
    if (moved > 0)
        exchange_touch(exchange);
    if (exchange->is_upgraded) {
        exchange_enter(exchange, EXCHANGE_UPGRADED);
        return 1;
    }
    if (exchange->response_done) {
        exchange_complete(exchange);
        return 1;
    }
    return moved;
}
