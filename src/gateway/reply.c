/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that name their cause: to people in the reason phrase, to programs in JSON. */
#include "gateway/reply.h"

static void json_write(const struct reply *reply, struct text *out)
{
    text_addf(out,
              "{\"type\":\"about:blank\",\"status\":%d,\"title\":", err_status(reply->err.code));
    text_add_json(out, span_text(err_reason(reply->err.code)));
    text_add_str(out, ",\"detail\":");
    text_add_json(out, span_text(reply->err.text));
    text_add_str(out, ",\"reason\":");
    text_add_json(out, span_text(err_reason(reply->err.code)));
    text_add_str(out, ",\"rule\":");
    if (reply->rule.len > 0)
        text_add_json(out, reply->rule);
    else
        text_add_str(out, "null");
    text_addf(out, ",\"policy\":\"%016llx\",\"retry\":%s}\n", (unsigned long long)reply->generation,
              err_can_retry(reply->err.code) ? "true" : "false");
}

/* What the status asks for besides (RFC 9110 section 15). */
static const struct {
    int status;
    const char *name;
    const char *value;
} status_fields[] = {
    {401, "WWW-Authenticate", "Bearer"},
    {405, "Allow", "GET"},
    {407, "Proxy-Authenticate", "Basic realm=\"exeat\""},
    {426, "Upgrade", "websocket"},
    {429, "Retry-After", "1"},
    {426, "Sec-WebSocket-Version", "13"},
    {503, "Retry-After", "1"},
};

static void field_add(struct reply_parts *parts, const char *name, const char *value)
{
    struct http_fields *fields = &parts->response.fields;

    ENSURE(fields->count < REPLY_FIELDS);
    parts->fields[fields->count++] =
        (struct http_field){.name = span_text(name), .value = span_text(value)};
}

void reply_make(const struct reply *reply, struct reply_parts *parts)
{
    int status = err_status(reply->err.code);
    struct text json;
    struct text words;

    text_init(&json, parts->json, sizeof parts->json);
    json_write(reply, &json);
    text_init(&words, parts->words, sizeof parts->words);
    text_add_str(&words, "exeat: ");
    text_add_printable(&words, span_text(reply->err.text));
    parts->content = text_span(&json);
    parts->response = (struct http_response){
        .version = HTTP_1_1,
        .status = status,
        .reason = text_span(&words),
        .fields = {.items = parts->fields, .cap = REPLY_FIELDS},
        .framing = {.body = HTTP_BODY_LENGTH, .length = json.len, .persistence = HTTP_CLOSE},
    };
    field_add(parts, "Content-Type", "application/problem+json");
    field_add(parts, "Exeat-Reason", err_reason(reply->err.code));
    for (size_t i = 0; i < sizeof status_fields / sizeof status_fields[0]; i++) {
        if (status_fields[i].status == status)
            field_add(parts, status_fields[i].name, status_fields[i].value);
    }
}

void reply_write(const struct reply *reply, struct text *out)
{
    struct reply_parts parts;

    reply_make(reply, &parts);
    text_addf(out, "HTTP/1.1 %d ", parts.response.status);
    text_add(out, parts.response.reason);
    text_add_str(out, "\r\n");
    for (size_t i = 0; i < parts.response.fields.count; i++) {
        text_add(out, parts.fields[i].name);
        text_add_str(out, ": ");
        text_add(out, parts.fields[i].value);
        text_add_str(out, "\r\n");
    }
    text_add_str(out, "Content-Length: ");
    text_add_u64(out, parts.content.len);
    text_add_str(out, "\r\nConnection: close\r\n\r\n");
    if (reply->content == REPLY_WITH_CONTENT)
        text_add(out, parts.content);
}

void reply_write_content(struct text *out, const char *type, struct span content)
{
    text_add_str(out, "HTTP/1.1 200 OK\r\nContent-Type: ");
    text_add_str(out, type);
    text_add_str(out, "\r\nContent-Length: ");
    text_add_u64(out, content.len);
    text_add_str(out, "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
    text_add(out, content);
}

struct span reply_established(void)
{
    static const char established[] = "HTTP/1.1 200 Connection Established\r\n\r\n";

    return span_of(established, sizeof established - 1);
}
