/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: read strictly, rebuilt from their parts. In the tunnel they keep the absolute form, so
 * that the gateway can check that URL and tunnel mean the same; Host is that of the URL.
 */
#include "base/num.h"
#include "http/h1_write.h"
#include "http/token.h"
#include "relay/forward.h"

/* Besides the content itself: the heads of its chunk and its end. */
#define CHUNK_ROOM (H1_CHUNK_HEAD + 7)

/* --- switches of protocols: which of them are carried is the gateway's to say --- */

/* A name and perhaps a version (RFC 9110 section 7.8), not a list of them. */
static int is_protocol(struct span value)
{
    ssize_t slash = span_find(value, '/');

    if (slash < 0)
        return token_is_token(value);
    return token_is_token(span_first(value, (size_t)slash)) &&
           token_is_token(span_from(value, (size_t)slash + 1));
}

struct span forward_upgrade_of(const struct http_fields *fields)
{
    const struct http_field *upgrade = http_fields_find(fields, span_text("upgrade"), NULL);
    const struct http_field *field = NULL;

    if (upgrade == NULL || http_fields_count(fields, span_text("upgrade")) != 1 ||
        !is_protocol(upgrade->value))
        return span_of(NULL, 0);
    while ((field = http_fields_find(fields, span_text("connection"), field)) != NULL) {
        if (http_list_has(field->value, span_text("upgrade")))
            return upgrade->value;
    }
    return span_of(NULL, 0);
}

int forward_upgrade_add(struct http_fields *fields, struct span protocol, struct err *err)
{
    if (http_fields_add(fields, span_text("Connection"), span_text("Upgrade"), err) < 0)
        return -1;
    return http_fields_add(fields, span_text("Upgrade"), protocol, err);
}

static int has_content(const struct http_framing *framing)
{
    return framing->body == HTTP_BODY_CHUNKED ||
           (framing->body == HTTP_BODY_LENGTH && framing->length > 0);
}

static struct span upgrade_wanted(const struct http_request *request)
{
    if (request->version != HTTP_1_1 || has_content(&request->framing))
        return span_of(NULL, 0);
    return forward_upgrade_of(&request->fields);
}

/* --- the target --- */

/* What to say about a URL that is neither http nor https. */
static int scheme_refuse(struct span text, struct err *err)
{
    ssize_t end = span_find_span(text, span_text("://"));
    struct span scheme = span_first(text, end < 0 || end > 20 ? 0 : (size_t)end);

    if (scheme.len == 0)
        return err_set(err, ERR_TARGET, "neither a URL nor CONNECT: GET http://host/path HTTP/1.1");
    return err_set(err, ERR_UNSUPPORTED, "%.*s: is not carried, only http: and https: (or CONNECT)",
                   (int)scheme.len, (const char *)scheme.ptr);
}

static int is_carried(struct span text)
{
    ssize_t colon = span_find(text, ':');
    struct span scheme = span_first(text, colon < 0 ? 0 : (size_t)colon);

    return (span_equal_nocase(scheme, span_text("http")) ||
            span_equal_nocase(scheme, span_text("https"))) &&
           span_starts(span_from(text, (size_t)colon), span_text("://"));
}

static int target_understand(struct forward *forward, struct target *target, struct err *err)
{
    struct span text = forward->request.request.target;

    if (text.ptr[0] == '/' || span_equal(text, span_text("*")))
        return err_set(err, ERR_METHOD,
                       "this is a proxy: ask for a whole URL (GET http://host/path), or CONNECT");
    if (!is_carried(text))
        return scheme_refuse(text, err);
    return target_read(text, &forward->arena, target, err);
}

static struct forward_place place_of(const struct target *target)
{
    return (struct forward_place){
        .scheme = span_equal(target->scheme, span_text("https")) ? FORWARD_HTTPS : FORWARD_HTTP,
        .host = target->host,
        .port = target->port};
}

static int is_same_place(const struct forward_place *a, const struct forward_place *b)
{
    return a->scheme == b->scheme && a->port == b->port && target_is_same_host(&a->host, &b->host);
}

/* host, or host:port where the port is not the scheme's own */
static void authority_write(const struct forward_place *place, struct text *out)
{
    text_addf(out, place->host.kind == HOST_IPV6 ? "[%s]" : "%s", place->host.name);
    if (place->port != (place->scheme == FORWARD_HTTPS ? 443 : 80))
        text_addf(out, ":%u", place->port);
}

/* --- the request rebuilt --- */

/* The values of Host and of the request line; both in the arena. */
static int names_build(struct forward *forward, const struct forward_place *place,
                       const struct target *target, struct span *host, struct err *err)
{
    size_t cap = 2 * (place->host.len + 16) + target->path.len + target->query.len;
    uint8_t *memory = arena_take(&forward->arena, cap);
    struct text text;

    if (memory == NULL)
        return err_set(err, ERR_MEMORY, "no memory for the head of the request");
    text_init(&text, memory, cap);
    authority_write(place, &text);
    *host = text_span(&text);
    text_init(&text, memory + host->len, cap - host->len);
    text_add(&text, target->scheme);
    text_add_str(&text, "://");
    text_add(&text, *host);
    text_add(&text, target->path);
    text_add(&text, target->query);
    forward->rebuilt.target = text_span(&text);
    return text_check(&text, "request target", err);
}

/* Proxy-Authorization and its like are for us, whoever invented them. */
static int is_for_proxy(struct span name)
{
    const size_t len = strlen("proxy-");

    return name.len >= len && http_name_is_like(span_first(name, len), span_text("proxy-"));
}

static int fields_build(struct forward *forward, struct span host, struct err *err)
{
    struct http_fields *sent = &forward->request.request.fields;
    struct http_fields *fields = &forward->rebuilt.fields;

    if (http_fields_remove_hop(sent, err) < 0)
        return -1;
    (void)http_fields_remove(sent, span_text("host"));
    (void)http_fields_remove(sent, span_text("content-length"));
    if (http_fields_init(fields, &forward->arena, sent->count + 3, err) < 0 ||
        http_fields_add(fields, span_text("Host"), host, err) < 0)
        return -1;
    for (size_t i = 0; i < sent->count; i++) {
        if (!is_for_proxy(sent->items[i].name) &&
            http_fields_add(fields, sent->items[i].name, sent->items[i].value, err) < 0)
            return -1;
    }
    return forward->upgrade.len > 0 ? forward_upgrade_add(fields, forward->upgrade, err) : 0;
}

/* A head is complete: rebuild it, and see whether the tunnel leads there. */
static int request_begin(struct forward *forward, struct err *err)
{
    const struct http_request *request = &forward->request.request;
    struct forward_place place;
    struct target target;
    struct h1_event event;
    struct span host;

    if (target_understand(forward, &target, err) < 0)
        return -1;
    place = place_of(&target);
    forward->upgrade = upgrade_wanted(request);
    forward->rebuilt = (struct http_request){
        .version = HTTP_1_1, .method = request->method, .framing = request->framing};
    forward->rebuilt.framing.persistence = HTTP_KEEP;
    if (names_build(forward, &place, &target, &host, err) < 0 ||
        fields_build(forward, host, err) < 0)
        return -1;
    if (request->framing.persistence == HTTP_CLOSE || request->version == HTTP_1_0)
        forward->must_close = 1;
    forward->request_done = !has_content(&request->framing);
    if (forward->request_done)
        (void)h1_next(&forward->request, &event); /* its end, which has nothing to say */
    if (forward->tunnel != FORWARD_TUNNEL_OPEN || !is_same_place(&place, &forward->place)) {
        forward->place = place;
        forward_tunnel_want(forward);
    }
    forward_enter(forward, FORWARD_TUNNEL);
    return 1;
}

int forward_head_step(struct forward *forward, struct err *err)
{
    struct span bytes = buf_span(&forward->client_in);
    struct h1_event event;
    size_t used;

    if (forward->tunnel == FORWARD_TUNNEL_ENDED || !buf_is_empty(&forward->tunnel_in))
        forward_tunnel_drop(forward); /* nobody asked for what comes out of it */
    if (forward->state == FORWARD_IDLE && bytes.len == 0) {
        if (forward->client_has_ended || forward->must_close)
            forward_enter(forward, FORWARD_DONE);
        return 0;
    }
    if (span_starts(bytes, span_text("CONNECT "))) {
        forward_tunnel_drop(forward);
        forward_enter(forward, FORWARD_CONNECT);
        return 1;
    }
    if (forward->state == FORWARD_IDLE)
        forward_enter(forward, FORWARD_HEAD);
    if (h1_feed(&forward->request, bytes, &used, err) < 0)
        return -1;
    buf_consume(&forward->client_in, used);
    if (h1_next(&forward->request, &event))
        return request_begin(forward, err);
    if (forward->client_has_ended)
        return err_set(err, ERR_SYNTAX, "the request ends before its head does");
    return 0;
}

/* --- its content --- */

/* In the framing that the tunnel's side was told. */
static int content_send(struct forward *forward, struct span data, struct err *err)
{
    const struct http_framing *framing = &forward->rebuilt.framing;
    uint8_t head[H1_CHUNK_HEAD];
    size_t head_len = h1_write_chunk_head(framing, data.len, head);

    if (buf_append(forward->tunnel_out, span_of(head, head_len), err) < 0 ||
        buf_append(forward->tunnel_out, data, err) < 0)
        return -1;
    return buf_append(forward->tunnel_out, h1_write_chunk_tail(framing), err);
}

static int content_event(struct forward *forward, const struct h1_event *event, struct err *err)
{
    if (event->type == H1_DATA)
        return content_send(forward, event->data, err);
    forward->request_done = 1;
    return buf_append(forward->tunnel_out, h1_write_end(&forward->rebuilt.framing), err);
}

int forward_content_step(struct forward *forward, struct err *err)
{
    size_t room = buf_free_len(forward->tunnel_out);
    struct span bytes = buf_span(&forward->client_in);
    struct h1_event event;
    size_t used;

    if (forward->request_done || forward->tunnel != FORWARD_TUNNEL_OPEN || room <= CHUNK_ROOM)
        return 0;
    bytes.len = num_min(bytes.len, room - CHUNK_ROOM);
    if (h1_feed(&forward->request, bytes, &used, err) < 0)
        return -1;
    if (h1_next(&forward->request, &event)) {
        int result = content_event(forward, &event, err);

        buf_consume(&forward->client_in, used);
        return result < 0 ? -1 : 1;
    }
    buf_consume(&forward->client_in, used);
    if (used == 0 && forward->client_has_ended && h1_eof(&forward->request, err) < 0)
        return -1;
    return used > 0;
}
