/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads written anew for the next hop (invariant I5): what belongs to one connection is dropped,
 * the Host is the tunnel's, credentials are added, and the framing is ours.
 */
#include "gateway/audit_link.h"
#include "gateway/exchange.h"
#include "gateway/inspect.h"
#include "gateway/tunnel.h"
#include "gateway/worker.h"
#include "http/h1_write.h"
#include "policy/inject.h"

/* Fields that would let a request mean something else than policy has read (threat E12). */
static const char *const override_fields[] = {
    "x-http-method-override", "x-http-method", "x-method-override",
    "x-original-url",         "x-rewrite-url",
};

static int fields_copy(struct exchange *exchange, const struct http_fields *from, size_t more,
                       struct http_fields *to, struct err *err)
{
    if (http_fields_init(to, &exchange->arena, from->count + more, err) < 0)
        return -1;
    for (size_t i = 0; i < from->count; i++) {
        if (http_fields_add(to, from->items[i].name, from->items[i].value, err) < 0)
            return -1;
    }
    return 0;
}

/* The Host of the tunnel, in brackets if it is IPv6, with the port unless the scheme says it. */
static struct span host_value(struct exchange *exchange)
{
    const struct tunnel *tunnel = exchange->inspect->tunnel;
    uint16_t usual = exchange->scheme == RULE_HTTPS ? 443 : 80;
    uint8_t *memory = arena_take(&exchange->arena, tunnel->host.len + 16);
    struct text text;

    if (memory == NULL)
        return span_of(NULL, 0);
    text_init(&text, memory, tunnel->host.len + 16);
    if (tunnel->host.kind == HOST_IPV6)
        text_addf(&text, "[%s]", tunnel->host.name);
    else
        text_addf(&text, "%s", tunnel->host.name);
    if (tunnel->port != usual)
        text_addf(&text, ":%u", tunnel->port);
    return text_span(&text);
}

static struct span target_value(struct exchange *exchange)
{
    const struct target *target = &exchange->target;
    size_t len = target->path.len + target->query.len;
    uint8_t *memory;

    if (target->query.len == 0)
        return target->path;
    memory = arena_take(&exchange->arena, len);
    if (memory == NULL)
        return span_of(NULL, 0);
    memcpy(memory, target->path.ptr, target->path.len);
    memcpy(memory + target->path.len, target->query.ptr, target->query.len);
    return span_of(memory, len);
}

/* gRPC asks whether trailers get through; over HTTP/2 they do (RFC 9110 section 10.1.4). */
static bool wants_trailers(const struct exchange *exchange)
{
    const struct http_field *te =
        http_fields_find(&exchange->request->fields, span_text("te"), NULL);

    return exchange->origin->h2 != NULL && te != NULL &&
           http_list_has(te->value, span_text("trailers"));
}

/* What the client sent without what it may not say; the credentials come last. */
static int fields_build(struct exchange *exchange, struct span host, struct http_fields *fields,
                        struct err *err)
{
    struct http_fields kept;
    size_t more = 8 + exchange->decision.rule->injection_count;

    if (fields_copy(exchange, &exchange->request->fields, 0, &kept, err) < 0 ||
        http_fields_remove_hop(&kept, err) < 0)
        return -1;
    (void)http_fields_remove(&kept, span_text("host"));
    (void)http_fields_remove(&kept, span_text("content-length"));
    for (size_t i = 0; i < sizeof override_fields / sizeof override_fields[0]; i++)
        (void)http_fields_remove(&kept, span_text(override_fields[i]));
    if (http_fields_init(fields, &exchange->arena, kept.count + more, err) < 0)
        return -1;
    /* Over HTTP/2 the host is `:authority`. */
    if (exchange->origin->h2 == NULL && http_fields_add(fields, span_text("Host"), host, err) < 0)
        return -1;
    for (size_t i = 0; i < kept.count; i++) {
        if (http_fields_add(fields, kept.items[i].name, kept.items[i].value, err) < 0)
            return -1;
    }
    if (wants_trailers(exchange) &&
        http_fields_add(fields, span_text("te"), span_text("trailers"), err) < 0)
        return -1;
    return exchange_upgrade_ask(exchange, fields, err);
}

/* Log before effect (invariant I4). */
static int audit_begin(struct exchange *exchange, struct err *err)
{
    const struct rule *rule = exchange->decision.rule;
    struct record record;
    size_t count = 0;

    for (size_t i = 0; i < rule->injection_count; i++)
        count += decide_injection(&rule->injections[i], exchange->scheme);
    if (count == 0 || exchange->audit_handle != 0)
        return 0;
    exchange_record_fill(exchange, &record);
    exchange->audit_handle =
        audit_link_begin(&exchange->inspect->tunnel->worker->audit, &record, err);
    return exchange->audit_handle == 0 ? -1 : 0;
}

static int credentials_inject(struct exchange *exchange, struct http_fields *fields,
                              struct err *err)
{
    struct session *session = exchange->inspect->tunnel->session;
    const struct rule *rule = exchange->decision.rule;
    struct span values[EXCHANGE_INJECTIONS];

    for (size_t i = 0; i < rule->injection_count; i++) {
        values[i] = span_of(NULL, 0); /* does not travel by this scheme */
        if (!decide_injection(&rule->injections[i], exchange->scheme))
            continue;
        if (session_credential(session, &exchange->credentials[i], &values[i], err) <= 0)
            return err_set(err, ERR_CREDENTIAL, "a credential has gone");
    }
    return inject_fields(rule, values, &exchange->arena, fields, err);
}

static bool has_content(const struct http_framing *framing)
{
    return framing->body == HTTP_BODY_CHUNKED || framing->body == HTTP_BODY_UNTIL_CLOSE ||
           (framing->body == HTTP_BODY_LENGTH && framing->length > 0);
}

static int h1_send(struct exchange *exchange, const struct http_request *request, struct err *err)
{
    struct origin *origin = exchange->origin;

    if (h1_write_request(request, &origin->seal.gather, err) < 0)
        return -1;
    h1_init(&origin->h1, H1_RESPONSES);
    h1_begin(&origin->h1, &exchange->arena, request->method);
    codec_init_h1(&exchange->server, &origin->h1, &origin->plain_in, &origin->seal);
    exchange->server.framing = request->framing;
    origin->saw_bytes = 0;
    return 0;
}

static int h2_send(struct exchange *exchange, const struct http_request *request, struct span host,
                   struct err *err)
{
    const struct h2_request sent = {
        .request = request,
        .scheme = span_text("https"),
        .authority = host,
    };
    struct h2_stream *stream =
        h2_open(exchange->origin->h2, &sent, exchange->request_ends ? H2_ENDS : H2_GOES_ON, err);

    if (stream == NULL)
        return -1;
    stream->owner = exchange;
    codec_init_h2(&exchange->server, stream);
    origin_wake(exchange->origin);
    return 0;
}

int exchange_send_request(struct exchange *exchange, struct err *err)
{
    struct http_request request = *exchange->request;
    struct span host = host_value(exchange);
    int result;

    request.version = HTTP_1_1;
    request.target = target_value(exchange);
    request.framing.persistence = HTTP_KEEP;
    if (exchange->upgrade == UPGRADE_H2) {
        request.method = span_text("GET");
        request.framing.body = HTTP_BODY_NONE;
    }
    if (request.target.len == 0 || host.len == 0)
        return err_set(err, ERR_MEMORY, "no room for the head of the request");
    exchange->request_ends = !has_content(&request.framing);
    if (fields_build(exchange, host, &request.fields, err) < 0 || audit_begin(exchange, err) < 0 ||
        credentials_inject(exchange, &request.fields, err) < 0)
        return -1;
    result = exchange->origin->h2 == NULL ? h1_send(exchange, &request, err)
                                          : h2_send(exchange, &request, host, err);
    inject_wipe(exchange->decision.rule, &request.fields);
    if (result < 0)
        return -1;
    exchange->origin->uses++;
    origin_touch(exchange->origin);
    return 0;
}

/* How the client learns where the content ends; it may be HTTP/1.0 and know no chunks. */
static void framing_choose(struct exchange *exchange, struct http_framing *framing)
{
    bool is_h2 = exchange->client.kind == CODEC_H2;

    if (framing->body == HTTP_BODY_UNTIL_CLOSE || framing->body == HTTP_BODY_CHUNKED)
        framing->body = !is_h2 && exchange->request->version == HTTP_1_0 ? HTTP_BODY_UNTIL_CLOSE
                                                                         : HTTP_BODY_CHUNKED;
    if (framing->body == HTTP_BODY_UNTIL_CLOSE)
        exchange->must_close = 1;
    framing->persistence = exchange->must_close && !is_h2 ? HTTP_CLOSE : HTTP_KEEP;
}

/* What of a response's fields concerns this client: none of the origin's connection, no other
 * place to go to (threat C8). */
static int response_fields(struct exchange *exchange, struct http_response *response,
                           struct err *err)
{
    const struct http_fields received = response->fields;

    if (fields_copy(exchange, &received, 4, &response->fields, err) < 0)
        return -1;
    if (http_fields_remove_hop(&response->fields, err) < 0)
        return err_set(err, ERR_ORIGIN_SYNTAX,
                       "the origin's Connection field names what it may not");
    (void)http_fields_remove(&response->fields, span_text("content-length"));
    (void)http_fields_remove(&response->fields, span_text("alt-svc"));
    response->version = HTTP_1_1;
    return 0;
}

static int interim_send(struct exchange *exchange, struct http_response *response, struct err *err)
{
    if (exchange->request->version == HTTP_1_0)
        return 0; /* RFC 9110 section 15.2 */
    response->framing = (struct http_framing){.body = HTTP_BODY_NONE, .persistence = HTTP_KEEP};
    return codec_send_interim(&exchange->client, response, exchange->request->method, err);
}

static enum h2_end end_of(const struct exchange *exchange, const struct http_response *response)
{
    if (exchange->is_upgraded)
        return H2_GOES_ON;
    if (span_equal(exchange->request->method, span_text("HEAD")) || response->status == 204 ||
        response->status == 304 || !has_content(&response->framing))
        return H2_ENDS;
    return H2_GOES_ON;
}

int exchange_send_response(struct exchange *exchange, enum codec_event_type type, struct err *err)
{
    const struct http_response *received = codec_response(&exchange->server, type);
    struct http_response response = *received;
    struct span method = exchange->request->method;

    if (response.status == 101 && exchange_upgrade_check(exchange, received, err) < 0)
        return -1;
    if (response_fields(exchange, &response, err) < 0)
        return -1;
    if (type == CODEC_INTERIM)
        return interim_send(exchange, &response, err);
    /* Over HTTP/2 every 2xx would say that the WebSocket is open (RFC 8441 section 5). */
    if (exchange->upgrade == UPGRADE_H2 && response.status >= 200 && response.status < 300)
        return err_set(err, ERR_ORIGIN_SYNTAX, "the origin answers %d, but opens no WebSocket",
                       response.status);
    exchange->is_upgraded = response.status == 101;
    if (exchange->inspect->tunnel->worker->is_draining)
        exchange->must_close = 1;
    framing_choose(exchange, &response.framing);
    if (exchange->is_upgraded && exchange_upgrade_answer(exchange, &response, err) < 0)
        return -1;
    if (codec_send_response(&exchange->client, &response, method, end_of(exchange, &response),
                            err) < 0)
        return -1;
    exchange->response_ends = end_of(exchange, &response) == H2_ENDS;
    exchange->response_head_done = 1;
    exchange->status = response.status;
    return 0;
}
