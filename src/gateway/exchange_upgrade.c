/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket through interception (RFC 6455, HTTP/1.1): policy and injection see the handshake;
 * after the origin's 101 the bytes go both ways unread, without limit of size, and without limit of
 * time while either side moves. Extensions and subprotocols are between client and origin.
 */
#include "base/num.h"
#include "gateway/exchange.h"
#include "gateway/inspect.h"
#include "gateway/tunnel.h"

static bool connection_has_upgrade(const struct http_fields *fields)
{
    const struct span name = span_text("connection");

    for (const struct http_field *field = http_fields_find(fields, name, NULL); field != NULL;
         field = http_fields_find(fields, name, field)) {
        if (http_list_has(field->value, span_text("upgrade")))
            return true;
    }
    return false;
}

/* One Upgrade field, and it says websocket. */
static bool is_upgrade(const struct http_fields *fields)
{
    const struct http_field *field = http_fields_find(fields, span_text("upgrade"), NULL);

    return field != NULL && http_fields_count(fields, span_text("upgrade")) == 1 &&
           span_equal_nocase(field->value, span_text("websocket")) &&
           connection_has_upgrade(fields);
}

int exchange_wants_upgrade(const struct http_request *request)
{
    return request->version == HTTP_1_1 && request->framing.body == HTTP_BODY_NONE &&
           span_equal(request->method, span_text("GET")) && is_upgrade(&request->fields);
}

int exchange_check_upgrade(const struct http_response *response, struct err *err)
{
    if (is_upgrade(&response->fields))
        return 0;
    return err_set(err, ERR_ORIGIN_SYNTAX, "the origin's 101 is not one for WebSocket");
}

/* What there is, as far as the other side has room. */
static int some_carry(struct buf *from, struct seal *to, uint64_t *count, struct err *err)
{
    struct span bytes = buf_span(from);

    bytes.len = num_min(bytes.len, seal_room(to));
    if (bytes.len == 0)
        return 0;
    if (seal_send(to, bytes, err) < 0)
        return -1;
    buf_consume(from, bytes.len);
    *count += bytes.len;
    return 1;
}

static int round_carry(struct exchange *exchange, enum origin_end *end, struct err *err)
{
    struct inspect *inspect = exchange->inspect;
    struct origin *origin = exchange->origin;
    int up = some_carry(&inspect->plain_in, &origin->seal, &exchange->bytes_in, err);
    int pushed = up < 0 ? -1 : origin_push(origin, err);
    int pulled = pushed < 0 ? -1 : origin_pull(origin, end, err);
    int down =
        pulled < 0 ? -1 : some_carry(&origin->plain_in, &inspect->seal, &exchange->bytes_out, err);

    if (down < 0)
        return -1;
    return up > 0 || pushed > 0 || pulled > 0 || down > 0;
}

/* One side has ended and everything it sent was passed on: so has the other. */
static int carry_end(struct exchange *exchange, const struct err *err)
{
    struct err push_err;

    seal_close(&exchange->origin->seal);
    (void)origin_push(exchange->origin, &push_err);
    exchange_record(exchange, err);
    origin_close(exchange->origin);
    exchange->origin = NULL;
    exchange_enter(exchange, EXCHANGE_DONE);
    exchange->inspect->closing = 1;
    return 1;
}

int exchange_carry(struct exchange *exchange)
{
    struct inspect *inspect = exchange->inspect;
    enum origin_end end;
    struct err err;
    int moved = round_carry(exchange, &end, &err);

    if (moved < 0) {
        exchange_fail(exchange, &err);
        return 1;
    }
    if (moved > 0) {
        exchange_touch(exchange);
        return 1;
    }
    if (end == ORIGIN_CUT && buf_is_empty(&exchange->origin->plain_in)) {
        (void)err_set(&err, ERR_ORIGIN_CLOSED, "the origin's TLS connection was cut");
        return carry_end(exchange, &err);
    }
    if (end == ORIGIN_ENDED && buf_is_empty(&exchange->origin->plain_in))
        return carry_end(exchange, NULL);
    if (inspect->tls.state == TLS_ENDED && buf_is_empty(&inspect->plain_in) &&
        buf_is_empty(&exchange->origin->seal.gather))
        return carry_end(exchange, NULL);
    return 0;
}
