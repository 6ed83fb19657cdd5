/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Switches of protocols through interception: WebSocket (RFC 6455, RFC 8441) and SPDY/3.1, which
 * kubectl's exec and port-forward speak. Policy and injection see the handshake; after the origin's
 * 101 the bytes go both ways unread, without limit of size, and without limit of time while either
 * side moves. Extensions and subprotocols are between client and origin. Towards the origin the
 * handshake is always one of HTTP/1.1, which every server understands.
 */
#include "crypto/digest.h"
#include "gateway/exchange.h"
#include "gateway/inspect.h"
#include "gateway/tunnel.h"
#include "wire/ws_shake.h"

static const struct {
    const char *name;
    const char *methods[2];
} protocols[] = {
    {"websocket", {"GET", NULL}},
    {"SPDY/3.1", {"GET", "POST"}},
};

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

/* The one protocol that the fields switch to, or an empty span. */
static struct span protocol_of(const struct http_fields *fields)
{
    const struct http_field *field = http_fields_find(fields, span_text("upgrade"), NULL);

    if (field == NULL || http_fields_count(fields, span_text("upgrade")) != 1 ||
        !connection_has_upgrade(fields))
        return span_of(NULL, 0);
    return field->value;
}

static bool is_known(struct span protocol, struct span method)
{
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
        if (!span_equal_nocase(protocol, span_text(protocols[i].name)))
            continue;
        for (size_t j = 0; j < 2 && protocols[i].methods[j] != NULL; j++) {
            if (span_equal(method, span_text(protocols[i].methods[j])))
                return true;
        }
    }
    return false;
}

enum exchange_upgrade exchange_upgrade_find(const struct exchange *exchange)
{
    const struct http_request *request = exchange->request;
    const struct http_framing *framing = &request->framing;

    if (exchange->client.kind == CODEC_H2)
        return span_equal(exchange->client.stream->protocol, span_text("websocket")) ? UPGRADE_H2
                                                                                     : UPGRADE_NONE;
    if (request->version != HTTP_1_1 || framing->body == HTTP_BODY_CHUNKED ||
        (framing->body == HTTP_BODY_LENGTH && framing->length > 0))
        return UPGRADE_NONE;
    return is_known(protocol_of(&request->fields), request->method) ? UPGRADE_H1 : UPGRADE_NONE;
}

/* An extended CONNECT has no key: one of ours proves that the origin has understood. */
static int key_add(struct exchange *exchange, struct http_fields *fields, struct err *err)
{
    struct ws_shake shake = {.key = {0}};
    uint8_t nonce[16];
    struct span key;

    if (digest_random((struct room){.ptr = nonce, .len = sizeof nonce}, err) < 0)
        return -1;
    ws_shake_key(&shake, nonce);
    ws_shake_accept(span_text(shake.key), exchange->accept);
    key = arena_copy(&exchange->arena, span_text(shake.key));
    if (key.len == 0)
        return err_set(err, ERR_MEMORY, "no room for the head of the request");
    (void)http_fields_remove(fields, span_text("sec-websocket-key"));
    if (http_fields_find(fields, span_text("sec-websocket-version"), NULL) == NULL &&
        http_fields_add(fields, span_text("Sec-WebSocket-Version"), span_text("13"), err) < 0)
        return -1;
    return http_fields_add(fields, span_text("Sec-WebSocket-Key"), key, err);
}

static int upgrade_add(struct http_fields *fields, struct span protocol, struct err *err)
{
    if (http_fields_add(fields, span_text("Connection"), span_text("Upgrade"), err) < 0)
        return -1;
    return http_fields_add(fields, span_text("Upgrade"), protocol, err);
}

/* What the origin must answer to the client's own key, if it is one for WebSocket. */
static void accept_note(struct exchange *exchange)
{
    const struct http_field *key =
        http_fields_find(&exchange->request->fields, span_text("sec-websocket-key"), NULL);

    exchange->accept[0] = '\0';
    if (key != NULL &&
        span_equal_nocase(protocol_of(&exchange->request->fields), span_text("websocket")))
        ws_shake_accept(key->value, exchange->accept);
}

int exchange_upgrade_ask(struct exchange *exchange, struct http_fields *fields, struct err *err)
{
    switch (exchange->upgrade) {
    case UPGRADE_NONE:
        break;
    case UPGRADE_H1:
        accept_note(exchange);
        return upgrade_add(fields, protocol_of(&exchange->request->fields), err);
    case UPGRADE_H2:
        if (key_add(exchange, fields, err) < 0)
            return -1;
        return upgrade_add(fields, span_text("websocket"), err);
    }
    return 0;
}

int exchange_upgrade_check(const struct exchange *exchange, const struct http_response *response,
                           struct err *err)
{
    struct span protocol = span_text("websocket");
    const struct http_field *accept;

    if (exchange->upgrade == UPGRADE_NONE)
        return err_set(err, ERR_ORIGIN_SYNTAX, "the origin switches protocols without being asked");
    if (exchange->upgrade == UPGRADE_H1)
        protocol = protocol_of(&exchange->request->fields);
    if (!span_equal_nocase(protocol_of(&response->fields), protocol))
        return err_set(err, ERR_ORIGIN_SYNTAX, "the origin's 101 is not one for %.*s",
                       (int)protocol.len, (const char *)protocol.ptr);
    if (exchange->accept[0] == '\0')
        return 0;
    accept = http_fields_find(&response->fields, span_text("sec-websocket-accept"), NULL);
    if (accept == NULL || !span_equal(accept->value, span_text(exchange->accept)))
        return err_set(err, ERR_ORIGIN_SYNTAX, "the origin's Sec-WebSocket-Accept is wrong");
    return 0;
}

int exchange_upgrade_answer(const struct exchange *exchange, struct http_response *response,
                            struct err *err)
{
    if (exchange->upgrade == UPGRADE_H1)
        return upgrade_add(&response->fields, protocol_of(&exchange->request->fields), err);
    (void)http_fields_remove(&response->fields, span_text("sec-websocket-accept"));
    response->status = 200; /* RFC 8441 section 5 */
    response->framing.body = HTTP_BODY_CHUNKED;
    return 0;
}

/* What there is, as far as the other side has room. */
static int some_carry(struct codec *from, struct codec *to, uint64_t *count, struct err *err)
{
    struct codec_event event;
    int moved = 0;

    for (;;) {
        int result = codec_read(from, codec_room(to), &event, err);

        if (result <= 0)
            return result < 0 ? -1 : moved;
        *count += event.data.len;
        moved = 1;
        if (event.type == CODEC_DATA && codec_send_data(to, event.data, err) < 0)
            return -1;
        codec_read_done(from);
    }
}

static int round_carry(struct exchange *exchange, enum origin_end *end, struct err *err)
{
    int up = some_carry(&exchange->client, &exchange->server, &exchange->bytes_in, err);
    int pushed = up < 0 ? -1 : exchange_push(exchange, err);
    int pulled = pushed < 0 ? -1 : exchange_pull(exchange, end, err);
    int down;

    if (pulled < 0)
        return -1;
    exchange->server.in_ended = *end != ORIGIN_GOES_ON;
    down = some_carry(&exchange->server, &exchange->client, &exchange->bytes_out, err);
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
    exchange_leave(exchange, ORIGIN_DISCARD);
    exchange_enter(exchange, EXCHANGE_DONE);
    if (exchange->client.kind == CODEC_H2)
        (void)codec_send_end(&exchange->client, NULL, &push_err);
    else
        exchange->inspect->closing = 1;
    return 1;
}

int exchange_carry(struct exchange *exchange)
{
    struct err err;
    enum origin_end end = ORIGIN_GOES_ON;
    int moved;

    if (exchange->client.kind == CODEC_RAW)
        exchange->client.in_ended = inspect_has_ended(exchange->inspect);
    moved = round_carry(exchange, &end, &err);
    if (moved < 0) {
        exchange_fail(exchange, &err);
        return 1;
    }
    if (moved > 0) {
        exchange_touch(exchange);
        return 1;
    }
    if (end == ORIGIN_CUT && exchange->server.end_read) {
        (void)err_set(&err, ERR_ORIGIN_CLOSED, "the origin's TLS connection was cut");
        return carry_end(exchange, &err);
    }
    if (exchange->server.end_read)
        return carry_end(exchange, NULL);
    if (exchange->client.end_read && buf_is_empty(&exchange->origin->seal.gather))
        return carry_end(exchange, NULL);
    return 0;
}
