/* SPDX-License-Identifier: Apache-2.0 */
/* What the relay says when it speaks for itself. */
#include "relay/answer.h"

int answer_status(const struct err *why)
{
    if (why->code == ERR_CHUNK)
        return 502; /* the gateway broke the framing, not the client */
    switch (err_status(why->code)) {
    case 400:
    case 405:
    case 408:
    case 431:
    case 501:
    case 503:
    case 504:
        return err_status(why->code);
    default:
        return 502;
    }
}

static void body_write(int status, const struct err *why, struct text *out)
{
    text_addf(out, "{\"type\":\"about:blank\",\"status\":%d,\"title\":", status);
    text_add_json(out, span_text(err_reason(why->code)));
    text_add_str(out, ",\"detail\":");
    text_add_json(out, span_text(why->text));
    text_add_str(out, ",\"reason\":");
    text_add_json(out, span_text(err_reason(why->code)));
    text_addf(out, ",\"from\":\"relay\",\"retry\":%s}\n",
              err_can_retry(why->code) ? "true" : "false");
}

void answer_write(int status, const struct err *why, struct text *out)
{
    char memory[1024];
    struct text body;

    text_init(&body, memory, sizeof memory);
    body_write(status, why, &body);
    ENSURE(!body.overflow);
    text_addf(out, "HTTP/1.1 %d %s\r\n", status, why->text);
    text_add_str(out, "Content-Type: application/problem+json\r\nContent-Length: ");
    text_add_u64(out, body.len);
    text_addf(out, "\r\nExeat-Reason: %s\r\n", err_reason(why->code));
    if (status == 405)
        text_add_str(out, "Allow: CONNECT\r\n");
    if (status == 503)
        text_add_str(out, "Retry-After: 1\r\n");
    text_add_str(out, "Connection: close\r\n\r\n");
    text_add(out, text_span(&body));
}
