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

/* The Host of the tunnel, in brackets if it is IPv6, with the port unless it is 443. */
static struct span host_value(struct exchange *exchange)
{
    const struct tunnel *tunnel = exchange->inspect->tunnel;
    uint8_t *memory = arena_take(&exchange->arena, tunnel->host.len + 16);
    struct text text;

    if (memory == NULL)
        return span_of(NULL, 0);
    text_init(&text, memory, tunnel->host.len + 16);
    if (tunnel->host.kind == HOST_IPV6)
        text_addf(&text, "[%s]", tunnel->host.name);
    else
        text_addf(&text, "%s", tunnel->host.name);
    if (tunnel->port != 443)
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

/* What hop-by-hop removal has taken and this hop needs (RFC 9110 section 7.8). */
static int upgrade_add(struct http_fields *fields, struct err *err)
{
    if (http_fields_add(fields, span_text("Connection"), span_text("Upgrade"), err) < 0)
        return -1;
    return http_fields_add(fields, span_text("Upgrade"), span_text("websocket"), err);
}

static int fields_build(struct exchange *exchange, struct http_fields *fields, struct err *err)
{
    const struct http_fields *sent = &exchange->h1.request.fields;
    struct http_fields kept;
    struct span host = host_value(exchange);
    size_t more = 3 + exchange->decision.rule->injection_count;

    if (host.len == 0)
        return err_set(err, ERR_MEMORY, "no room for the head of the request");
    if (fields_copy(exchange, sent, 0, &kept, err) < 0 || http_fields_remove_hop(&kept, err) < 0)
        return -1;
    (void)http_fields_remove(&kept, span_text("host"));
    (void)http_fields_remove(&kept, span_text("content-length"));
    for (size_t i = 0; i < sizeof override_fields / sizeof override_fields[0]; i++)
        (void)http_fields_remove(&kept, span_text(override_fields[i]));
    if (http_fields_init(fields, &exchange->arena, kept.count + more, err) < 0 ||
        http_fields_add(fields, span_text("Host"), host, err) < 0)
        return -1;
    for (size_t i = 0; i < kept.count; i++) {
        if (http_fields_add(fields, kept.items[i].name, kept.items[i].value, err) < 0)
            return -1;
    }
    return exchange->wants_upgrade ? upgrade_add(fields, err) : 0;
}

/* Log before effect (invariant I4). */
static int audit_begin(struct exchange *exchange, struct err *err)
{
    struct record record;

    if (exchange->decision.rule->injection_count == 0 || exchange->audit_handle != 0)
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
        if (session_credential(session, &exchange->credentials[i], &values[i], err) <= 0)
            return err_set(err, ERR_CREDENTIAL, "a credential has gone");
    }
    return inject_fields(rule, values, &exchange->arena, fields, err);
}

int exchange_send_request(struct exchange *exchange, struct err *err)
{
    struct origin *origin = exchange->origin;
    struct http_request request = exchange->h1.request;
    int result;

    request.version = HTTP_1_1;
    request.target = target_value(exchange);
    request.framing.persistence = HTTP_KEEP;
    exchange->request_framing = request.framing;
    if (request.target.len == 0)
        return err_set(err, ERR_MEMORY, "no room for the head of the request");
    if (fields_build(exchange, &request.fields, err) < 0 || audit_begin(exchange, err) < 0 ||
        credentials_inject(exchange, &request.fields, err) < 0)
        return -1;
    result = h1_write_request(&request, &origin->seal.gather, err);
    inject_wipe(exchange->decision.rule, &request.fields);
    if (result < 0)
        return -1;
    h1_init(&origin->h1, H1_RESPONSES);
    h1_begin(&origin->h1, &exchange->arena, request.method);
    origin->uses++;
    origin->saw_bytes = 0;
    origin_touch(origin);
    return 0;
}

/* How the client learns where the content ends; it may be HTTP/1.0 and know no chunks. */
static void framing_choose(struct exchange *exchange, const struct http_response *response)
{
    const struct http_request *request = &exchange->h1.request;
    struct http_framing *framing = &exchange->response_framing;

    *framing = response->framing;
    if (framing->body == HTTP_BODY_UNTIL_CLOSE || framing->body == HTTP_BODY_CHUNKED)
        framing->body = request->version == HTTP_1_0 ? HTTP_BODY_UNTIL_CLOSE : HTTP_BODY_CHUNKED;
    if (framing->body == HTTP_BODY_UNTIL_CLOSE)
        exchange->must_close = 1;
    framing->persistence = exchange->must_close ? HTTP_CLOSE : HTTP_KEEP;
}

int exchange_send_response(struct exchange *exchange, int is_interim, struct err *err)
{
    const struct http_response *received = &exchange->origin->h1.response;
    struct http_response response = *received;
    struct buf *out = &exchange->inspect->seal.gather;

    if (response.status == 101 && !exchange->wants_upgrade)
        return err_set(err, ERR_ORIGIN_SYNTAX, "the origin switches protocols without being asked");
    if (response.status == 101 && exchange_check_upgrade(received, err) < 0)
        return -1;
    if (is_interim && exchange->h1.request.version == HTTP_1_0)
        return 0; /* RFC 9110 section 15.2 */
    if (fields_copy(exchange, &received->fields, 2, &response.fields, err) < 0)
        return -1;
    if (http_fields_remove_hop(&response.fields, err) < 0)
        return err_set(err, ERR_ORIGIN_SYNTAX,
                       "the origin's Connection field names what it may not");
    (void)http_fields_remove(&response.fields, span_text("content-length"));
    (void)http_fields_remove(&response.fields, span_text("alt-svc")); /* threat C8 */
    response.version = HTTP_1_1;
    if (is_interim) {
        response.framing = (struct http_framing){.body = HTTP_BODY_NONE, .persistence = HTTP_KEEP};
        return h1_write_response(&response, exchange->h1.request.method, out, err);
    }
    exchange->is_upgraded = response.status == 101;
    if (exchange->is_upgraded && upgrade_add(&response.fields, err) < 0)
        return -1;
    if (exchange->inspect->tunnel->worker->is_draining)
        exchange->must_close = 1;
    framing_choose(exchange, received);
    response.framing = exchange->response_framing;
    if (h1_write_response(&response, exchange->h1.request.method, out, err) < 0)
        return -1;
    exchange->response_head_done = 1;
    exchange->status = response.status;
    return 0;
}

static struct span credential_names(const struct exchange *exchange, struct room memory)
{
    const struct policy *policy = &exchange->inspect->tunnel->worker->role.config.policy;
    const struct rule *rule = exchange->decision.rule;
    struct text text;

    text_init(&text, memory.ptr, memory.len);
    for (size_t i = 0; rule != NULL && i < rule->injection_count; i++) {
        if (i > 0)
            text_add_char(&text, ',');
        text_add(&text, policy->credentials[rule->injections[i].credential].name);
    }
    return text_span(&text);
}

void exchange_record_fill(const struct exchange *exchange, struct record *record)
{
    const struct tunnel *tunnel = exchange->inspect->tunnel;

    tunnel_record(tunnel, record);
    record->time_ms = exchange->start_wall_ms;
    record->mono_ms = exchange->start_ms;
    if (exchange->start_ms != 0) {
        record->method = exchange->h1.request.method;
        record->path = exchange->h1.request.target;
        record->ms = (uint64_t)(tunnel->worker->loop.now_ms - exchange->start_ms);
    }
    if (exchange->decision.rule != NULL)
        record->rule = exchange->decision.rule->name;
    record->verdict = exchange->decision.verdict == VERDICT_ALLOW ? RECORD_ALLOW : RECORD_DENY;
    record->status = exchange->status;
    record->address = span_text(exchange->address);
    record->bytes_in = exchange->bytes_in;
    record->bytes_out = exchange->bytes_out;
}

void exchange_record(struct exchange *exchange, const struct err *err)
{
    uint8_t memory[EXCHANGE_INJECTIONS * (LIMIT_NAME + 1)];
    struct record record;

    if (exchange->is_recorded)
        return;
    exchange->is_recorded = 1;
    exchange_record_fill(exchange, &record);
    if (exchange->audit_handle != 0)
        record.credential =
            credential_names(exchange, (struct room){.ptr = memory, .len = sizeof memory});
    if (err != NULL) {
        record.reason = span_text(err_reason(err->code));
        record.detail = span_text(err->text);
        record.verdict = err->code == ERR_POLICY || err->code == ERR_MISDIRECTED ||
                                 err->code == ERR_ADDRESS || err->code == ERR_METHOD
                             ? RECORD_DENY
                             : RECORD_ERROR;
    }
    audit_link_end(&exchange->inspect->tunnel->worker->audit, exchange->audit_handle, &record);
}
