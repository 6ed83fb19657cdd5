/* SPDX-License-Identifier: Apache-2.0 */
/* What the audit learns of an exchange. */
#include "gateway/audit_link.h"
#include "gateway/exchange.h"
#include "gateway/inspect.h"
#include "gateway/tunnel.h"
#include "gateway/worker.h"

static struct span credential_names(const struct exchange *exchange, struct room memory)
{
    const struct policy *policy = &exchange->inspect->tunnel->worker->role.config.policy;
    const struct rule *rule = exchange->decision.rule;
    struct text text;

    text_init(&text, memory.ptr, memory.len);
    for (size_t i = 0; rule != NULL && i < rule->injection_count; i++) {
        if (!decide_injection(&rule->injections[i], exchange->scheme))
            continue;
        if (text.len > 0)
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
    if (exchange->request != NULL) {
        record->method = exchange->request->method;
        record->path = exchange->request->target;
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
