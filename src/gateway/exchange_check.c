/* SPDX-License-Identifier: Apache-2.0 */
/* May this request go? Its names must be the tunnel's, then policy has its say. */
#include "gateway/exchange.h"
#include "gateway/inspect.h"
#include "gateway/tunnel.h"
#include "gateway/worker.h"

static uint16_t default_port(enum rule_scheme scheme)
{
    return scheme == RULE_HTTPS ? 443 : 80;
}

/*
 * What the origin is asked in. In TLS it is https and nothing else. Without TLS it is http, but a
 * client that does not tunnel https itself sends the whole URL instead.
 */
static int scheme_check(struct exchange *exchange, struct err *err)
{
    const struct target *target = &exchange->target;
    struct span scheme = span_text("https");

    if (exchange->inspect->is_plain)
        scheme = target->form == TARGET_ABSOLUTE ? target->scheme : span_text("http");
    exchange->scheme = span_equal(scheme, span_text("https")) ? RULE_HTTPS : RULE_HTTP;
    if (target->form == TARGET_ABSOLUTE && !span_equal(target->scheme, scheme))
        return err_set(err, ERR_MISDIRECTED, "request for an http URL inside TLS");
    if (exchange->client.kind == CODEC_H2 &&
        !span_equal_nocase(exchange->client.stream->scheme, scheme))
        return err_set(err, ERR_MISDIRECTED, "scheme '%.10s' in a connection of TLS",
                       (const char *)exchange->client.stream->scheme.ptr);
    return 0;
}

/* One name (threats A8, A9, C2, C3, C6): every request asks for the host of its tunnel. */
static int name_check(struct exchange *exchange, struct err *err)
{
    const struct tunnel *tunnel = exchange->inspect->tunnel;
    const struct http_request *request = exchange->request;
    const struct http_field *field = http_fields_find(&request->fields, span_text("host"), NULL);
    struct host host;
    uint16_t port;

    if (target_read(request->target, &exchange->arena, &exchange->target, err) < 0 ||
        scheme_check(exchange, err) < 0)
        return -1;
    if (exchange->target.form == TARGET_ASTERISK &&
        !span_equal(request->method, span_text("OPTIONS")))
        return err_set(err, ERR_TARGET, "the target '*' belongs to OPTIONS");
    if (field != NULL) {
        if (target_read_authority(field->value, default_port(exchange->scheme), &host, &port, err) <
            0)
            return -1;
        if (port != tunnel->port || !target_is_same_host(&host, &tunnel->host))
            return err_set(err, ERR_MISDIRECTED, "Host %.40s in a tunnel to %.40s:%u", host.name,
                           tunnel->host.name, tunnel->port);
    }
    if (exchange->target.form == TARGET_ABSOLUTE &&
        (exchange->target.port != tunnel->port ||
         !target_is_same_host(&exchange->target.host, &tunnel->host)))
        return err_set(err, ERR_MISDIRECTED, "request for another host in a tunnel to %.40s:%u",
                       tunnel->host.name, tunnel->port);
    return 0;
}

/* TRACE would show what we inject; CONNECT is for proxies, and so is what it would open. */
static int method_check(const struct exchange *exchange, struct err *err)
{
    struct span method = exchange->request->method;

    if (exchange->upgrade == UPGRADE_H2)
        return 0;
    if (!span_equal(method, span_text("CONNECT")) && !span_equal(method, span_text("TRACE")))
        return 0;
    return err_set(err, ERR_METHOD, "%.*s is not served in a tunnel", (int)method.len,
                   (const char *)method.ptr);
}

static int policy_check(struct exchange *exchange, struct err *err)
{
    const struct tunnel *tunnel = exchange->inspect->tunnel;
    const struct policy *policy = &tunnel->worker->role.config.policy;
    struct decision *decision = &exchange->decision;

    const struct decide_query query = {
        .host = &tunnel->host,
        .port = tunnel->port,
        .scheme = exchange->scheme,
        /* An extended CONNECT is the handshake that is a GET in HTTP/1.1: one rule fits both. */
        .method = exchange->upgrade == UPGRADE_H2 ? span_text("GET") : exchange->request->method,
        .path = exchange->target.path,
    };

    decide_request(policy, &query, decision);
    if (decision->verdict == VERDICT_DENY && decision->rule == NULL &&
        exchange->scheme == RULE_HTTP)
        return err_set(err, ERR_POLICY,
                       "no rule allows this over plain http (its schemes would have to say so)");
    if (decision->verdict == VERDICT_DENY && decision->rule == NULL)
        return err_set(err, ERR_POLICY, "no rule of the policy allows this method and path here");
    if (decision->verdict == VERDICT_DENY)
        return err_set(err, ERR_POLICY, "rule %.*s denies this request",
                       (int)decision->rule->name.len, (const char *)decision->rule->name.ptr);
    if (decision->rule->injection_count > EXCHANGE_INJECTIONS)
        return err_set(err, ERR_LIMIT, "a rule with more than %d credentials", EXCHANGE_INJECTIONS);
    return 0;
}

int exchange_check(struct exchange *exchange, struct err *err)
{
    if (exchange->client.kind == CODEC_H2 && exchange->client.stream->head_err.code != ERR_OK) {
        *err = exchange->client.stream->head_err;
        return -1;
    }
    exchange->upgrade = exchange_upgrade_find(exchange);
    if (method_check(exchange, err) < 0 || name_check(exchange, err) < 0)
        return -1;
    return policy_check(exchange, err);
}
