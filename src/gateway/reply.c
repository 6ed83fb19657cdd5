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

static void status_fields_write(int status, struct text *out)
{
    if (status == 401)
        text_add_str(out, "WWW-Authenticate: Bearer\r\n");
    if (status == 407)
        text_add_str(out, "Proxy-Authenticate: Basic realm=\"exeat\"\r\n");
    if (status == 503)
        text_add_str(out, "Retry-After: 1\r\n");
    if (status == 426)
        text_add_str(out, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    if (status == 405)
        text_add_str(out, "Allow: GET\r\n");
}

void reply_write(const struct reply *reply, struct text *out)
{
    char memory[2048];
    struct text json;
    int status = err_status(reply->err.code);

    text_init(&json, memory, sizeof memory);
    json_write(reply, &json);
    text_addf(out, "HTTP/1.1 %d exeat: ", status);
    text_add_printable(out, span_text(reply->err.text));
    text_add_str(out, "\r\nContent-Type: application/problem+json\r\nContent-Length: ");
    text_add_u64(out, json.len);
    text_add_str(out, "\r\nExeat-Reason: ");
    text_add_str(out, err_reason(reply->err.code));
    text_add_str(out, "\r\n");
    status_fields_write(status, out);
    text_add_str(out, "Connection: close\r\n\r\n");
    if (reply->content == REPLY_WITH_CONTENT)
        text_add(out, text_span(&json));
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
