/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Responses: the gateway's answer to CONNECT, which only shows when it is a refusal, and then the
 * response to the request. Read strictly and written anew as well, for the client may know no
 * chunks, and because where it ends is where the next request begins.
 */
#include "base/num.h"
#include "http/h1_write.h"
#include "relay/forward.h"

/* Besides the content itself: the heads of its chunk and its end. */
#define CHUNK_ROOM (H1_CHUNK_HEAD + 7)

/* --- heads --- */

static int is_head(const struct forward *forward)
{
    return span_equal(forward->request.request.method, span_text("HEAD"));
}

/* How the client learns where the content ends; it may be HTTP/1.0 and know no chunks. */
static void framing_choose(struct forward *forward)
{
    struct http_framing *framing = &forward->to_client;

    *framing = forward->response.response.framing;
    if (framing->body == HTTP_BODY_UNTIL_CLOSE || framing->body == HTTP_BODY_CHUNKED) {
        if (is_head(forward))
            framing->body = HTTP_BODY_NONE;
        else if (forward->request.request.version == HTTP_1_0)
            framing->body = HTTP_BODY_UNTIL_CLOSE;
        else
            framing->body = HTTP_BODY_CHUNKED;
    }
    framing->persistence = forward->must_close ? HTTP_CLOSE : HTTP_KEEP;
}

enum head_kind { HEAD_INTERIM, HEAD_FINAL };

/* The fields of what came, for the next hop. */
static int fields_build(struct forward *forward, struct http_fields *fields, struct err *err)
{
    const struct http_response *received = &forward->response.response;
    const struct http_field *challenge =
        http_fields_find(&received->fields, span_text("proxy-authenticate"), NULL);

    if (http_fields_init(fields, &forward->arena, received->fields.count + 3, err) < 0)
        return -1;
    for (size_t i = 0; i < received->fields.count; i++) {
        const struct http_field *field = &received->fields.items[i];

        if (http_fields_add(fields, field->name, field->value, err) < 0)
            return -1;
    }
    if (http_fields_remove_hop(fields, err) < 0)
        return err_set(err, ERR_ORIGIN_SYNTAX, "its Connection field names what it may not");
    (void)http_fields_remove(fields, span_text("content-length"));
    if (received->status == 407 && challenge != NULL) /* which we are the proxy to ask */
        return http_fields_add(fields, challenge->name, challenge->value, err);
    return 0;
}

static int head_send(struct forward *forward, enum head_kind kind, struct err *err)
{
    struct http_response response = forward->response.response;
    struct span method = forward->request.request.method;

    if (kind == HEAD_INTERIM && forward->request.request.version == HTTP_1_0)
        return 0; /* RFC 9110 section 15.2 */
    if (fields_build(forward, &response.fields, err) < 0)
        return -1;
    response.version = HTTP_1_1;
    response.framing = (struct http_framing){.body = HTTP_BODY_NONE, .persistence = HTTP_KEEP};
    if (kind == HEAD_INTERIM)
        return h1_write_response(&response, method, forward->client_out, err);
    if (forward->is_upgraded && forward_upgrade_add(&response.fields, forward->upgrade, err) < 0)
        return -1;
    framing_choose(forward);
    response.framing = forward->to_client;
    return h1_write_response(&response, method, forward->client_out, err);
}

static int final_send(struct forward *forward, struct err *err)
{
    const struct http_response *response = &forward->response.response;

    if (response->status == 101) {
        struct span protocol = forward_upgrade_of(&response->fields);

        if (protocol.len == 0 || !span_equal_nocase(protocol, forward->upgrade))
            return err_set(err, ERR_ORIGIN_SYNTAX, "101 for what was not asked");
        forward->is_upgraded = 1;
    } else if (response->framing.persistence == HTTP_CLOSE) {
        forward->tunnel_is_spent = 1;
    }
    if (head_send(forward, HEAD_FINAL, err) < 0)
        return -1;
    forward->response_begun = 1;
    return 0;
}

/* --- content --- */

static int content_send(struct forward *forward, struct span data, struct err *err)
{
    const struct http_framing *framing = &forward->to_client;
    uint8_t head[H1_CHUNK_HEAD];
    size_t head_len;

    if (is_head(forward))
        return 0; /* of a refusal, which answers CONNECT */
    head_len = h1_write_chunk_head(framing, data.len, head);
    if (buf_append(forward->client_out, span_of(head, head_len), err) < 0 ||
        buf_append(forward->client_out, data, err) < 0)
        return -1;
    return buf_append(forward->client_out, h1_write_chunk_tail(framing), err);
}

static int event_take(struct forward *forward, const struct h1_event *event, struct err *err)
{
    switch (event->type) {
    case H1_INTERIM:
        return head_send(forward, HEAD_INTERIM, err);
    case H1_HEAD:
        return final_send(forward, err);
    case H1_DATA:
        return content_send(forward, event->data, err);
    case H1_END:
        forward->response_done = 1;
        return buf_append(forward->client_out, h1_write_end(&forward->to_client), err);
    }
    return 0;
}

/* A head may be as long as the queue, content is cut to the room there is. */
static size_t room_for_response(const struct forward *forward)
{
    size_t room = buf_free_len(forward->client_out);

    if (!forward->response_begun)
        return buf_is_empty(forward->client_out) ? room : 0;
    return room > CHUNK_ROOM ? room - CHUNK_ROOM : 0;
}

/* --- the end of the tunnel --- */

/* May this request be sent once more through another tunnel (RFC 9110 section 9.2.2)? */
static int may_retry(const struct forward *forward)
{
    static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};

    if (forward->has_retried || forward->response_seen || forward->tunnel_uses < 2 ||
        forward->rebuilt.framing.body != HTTP_BODY_NONE)
        return 0;
    for (size_t i = 0; i < sizeof idempotent / sizeof idempotent[0]; i++) {
        if (span_equal(forward->rebuilt.method, span_text(idempotent[i])))
            return 1;
    }
    return 0;
}

/* The tunnel has ended and nothing more can be read: is that the end of the response? */
static int tunnel_ended(struct forward *forward, struct err *err)
{
    struct h1_event event;

    if (forward->state == FORWARD_EXCHANGE && may_retry(forward)) {
        forward->has_retried = 1;
        forward_tunnel_want(forward);
        forward_enter(forward, FORWARD_TUNNEL);
        return 1;
    }
    if (forward->tunnel_end.code != ERR_OK) {
        *err = forward->tunnel_end;
        return -1;
    }
    if (h1_eof(&forward->response, err) < 0)
        return -1;
    if (!h1_next(&forward->response, &event))
        return err_set(err, ERR_GATEWAY, "gateway: it ended the tunnel without an answer");
    return event_take(forward, &event, err) < 0 ? -1 : 1;
}

int forward_response_step(struct forward *forward, struct err *err)
{
    struct span bytes = buf_span(&forward->tunnel_in);
    size_t room = room_for_response(forward);
    struct h1_event event;
    size_t used;
    int result;

    if (room == 0 || forward->response_done)
        return 0;
    forward->response_seen |= bytes.len > 0;
    bytes.len = num_min(bytes.len, room);
    if (h1_feed(&forward->response, bytes, &used, err) < 0)
        return -1;
    if (h1_next(&forward->response, &event)) {
        result = event_take(forward, &event, err);
        buf_consume(&forward->tunnel_in, used);
        return result < 0 ? -1 : 1;
    }
    buf_consume(&forward->tunnel_in, used);
    if (used == 0 && forward->tunnel == FORWARD_TUNNEL_ENDED)
        return tunnel_ended(forward, err);
    return used > 0;
}

/* --- the answer to CONNECT --- */

/* Anything but 200 is the answer to the request. */
static int refusal_begin(struct forward *forward, struct err *err)
{
    if (forward->response.response.status < 300)
        return err_set(err, ERR_GATEWAY, "gateway: it answered %d to CONNECT",
                       forward->response.response.status);
    forward->tunnel_is_spent = 1;
    if (!forward->request_done)
        forward->must_close = 1;
    forward_enter(forward, FORWARD_REFUSAL);
    return final_send(forward, err) < 0 ? -1 : 1;
}

static int answer_step(struct forward *forward, struct err *err)
{
    struct h1_event event;
    size_t used;

    if (!buf_is_empty(forward->client_out))
        return 0;
    if (h1_feed(&forward->response, buf_span(&forward->tunnel_in), &used, err) < 0)
        return -1;
    buf_consume(&forward->tunnel_in, used);
    if (!h1_next(&forward->response, &event)) {
        if (forward->tunnel == FORWARD_TUNNEL_ENDED)
            return tunnel_ended(forward, err);
        return 0;
    }
    if (event.type == H1_INTERIM)
        return 1;
    if (forward->response.response.status != 200)
        return refusal_begin(forward, err);
    (void)h1_next(&forward->response, &event); /* its end: behind it the tunnel is open */
    if (forward->tunnel == FORWARD_TUNNEL_ASKED)
        forward->tunnel = FORWARD_TUNNEL_OPEN;
    return 1;
}

static int request_send(struct forward *forward, struct err *err)
{
    if (!buf_is_empty(forward->tunnel_out))
        return 0; /* the end of the request before it */
    if (h1_write_request(&forward->rebuilt, forward->tunnel_out, err) < 0)
        return -1;
    h1_init(&forward->response, H1_RESPONSES);
    h1_begin(&forward->response, &forward->arena, forward->rebuilt.method);
    forward->tunnel_uses++;
    forward_enter(forward, FORWARD_EXCHANGE);
    return 1;
}

int forward_tunnel_step(struct forward *forward, struct err *err)
{
    switch (forward->tunnel) {
    case FORWARD_TUNNEL_NONE:
    case FORWARD_TUNNEL_WANTED:
        return 0;
    case FORWARD_TUNNEL_ENDED:
        if (forward->tunnel_uses == 0)
            return answer_step(forward, err);
        forward_tunnel_want(forward); /* before it was used for this request */
        return 1;
    case FORWARD_TUNNEL_ASKED:
        return answer_step(forward, err);
    case FORWARD_TUNNEL_OPEN:
        return request_send(forward, err);
    }
    return 0;
}
