/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules -> decisions. Every deny rule is asked, wherever it stands; what no rule lets through is
 * denied, an empty policy denies everything.
 */
#include "policy/decide.h"

#include "policy/match.h"

static bool has_port(const struct rule *rule, uint16_t port)
{
    for (size_t i = 0; i < rule->port_count; i++) {
        if (port >= rule->ports[i].first && port <= rule->ports[i].last)
            return true;
    }
    return false;
}

static bool has_host(const struct rule *rule, const struct host *host)
{
    for (size_t i = 0; i < rule->host_count; i++) {
        if (match_host(&rule->hosts[i], host))
            return true;
    }
    return false;
}

static bool has_scheme(const struct rule *rule, enum rule_scheme scheme)
{
    return (rule->schemes & (unsigned)scheme) != 0;
}

/* Methods are case-sensitive (RFC 9110 section 9.1), but an origin that ignores case must not
 * turn a denied POST that is written "post" into an allowed one. */
static bool has_method(const struct rule *rule, struct span method)
{
    for (size_t i = 0; i < rule->method_count; i++) {
        if (span_equal(rule->methods[i], method))
            return true;
        if (rule->action == RULE_DENY && span_equal_nocase(rule->methods[i], method))
            return true;
    }
    return rule->method_count == 0;
}

static bool has_path(const struct rule *rule, struct span path)
{
    for (size_t i = 0; i < rule->path_count; i++) {
        if (match_path(rule->paths[i], path))
            return true;
    }
    return rule->path_count == 0;
}

static bool is_unread(const struct rule *rule)
{
    return rule != NULL && (rule->action == RULE_PASS || rule->action == RULE_TCP);
}

/* Does the deny rule leave nothing of a tunnel that `opened` would open? */
static bool is_total(const struct rule *rule, const struct rule *opened)
{
    return rule->method_count == 0 && rule->path_count == 0 &&
           (rule->schemes == RULE_SCHEMES || is_unread(opened));
}

static void decided(struct decision *decision, enum verdict verdict, const struct policy *policy,
                    size_t index)
{
    *decision =
        (struct decision){.verdict = verdict, .rule = &policy->rules[index], .rule_index = index};
}

void decide_connect(const struct policy *policy, const struct host *host, uint16_t port,
                    struct decision *decision)
{
    *decision = (struct decision){.verdict = VERDICT_DENY, .rule_index = SIZE_MAX};
    for (size_t i = 0; i < policy->rule_count && decision->rule == NULL; i++) {
        const struct rule *rule = &policy->rules[i];

        if (rule->action != RULE_DENY && has_port(rule, port) && has_host(rule, host))
            decided(decision, VERDICT_ALLOW, policy, i);
    }
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];

        if (rule->action != RULE_DENY || !is_total(rule, decision->rule))
            continue;
        if (has_port(rule, port) && has_host(rule, host)) {
            decided(decision, VERDICT_DENY, policy, i);
            return;
        }
    }
}

void decide_request(const struct policy *policy, const struct decide_query *query,
                    struct decision *decision)
{
    *decision = (struct decision){.verdict = VERDICT_DENY, .rule_index = SIZE_MAX};
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];

        if (is_unread(rule) || (rule->action == RULE_ALLOW && decision->rule != NULL))
            continue;
        if (!has_scheme(rule, query->scheme) || !has_port(rule, query->port) ||
            !has_host(rule, query->host))
            continue;
        if (!has_method(rule, query->method) || !has_path(rule, query->path))
            continue;
        if (rule->action == RULE_DENY) {
            decided(decision, VERDICT_DENY, policy, i);
            return;
        }
        decided(decision, VERDICT_ALLOW, policy, i);
    }
}

/* Credentials are bound to hosts that the rule names: "*" does not. */
static bool is_bound(const struct rule *rule, const struct host *host)
{
    for (size_t i = 0; i < rule->host_count; i++) {
        if (rule->hosts[i].kind != PATTERN_ANY && match_host(&rule->hosts[i], host))
            return true;
    }
    return false;
}

bool decide_injection(const struct injection *injection, enum rule_scheme scheme)
{
    return scheme == RULE_HTTPS || (scheme == RULE_HTTP && injection->over_plain_http);
}

bool decide_credential(const struct policy *policy, size_t rule_index,
                       const struct decide_query *query, size_t credential)
{
    const struct rule *rule;
    struct decision decision;

    if (rule_index >= policy->rule_count || credential >= policy->credential_count)
        return false;
    rule = &policy->rules[rule_index];
    if (rule->action != RULE_ALLOW || query->host->kind != HOST_NAME)
        return false;
    if (!has_scheme(rule, query->scheme) || !has_port(rule, query->port) ||
        !is_bound(rule, query->host))
        return false;
    decide_connect(policy, query->host, query->port, &decision);
    if (decision.verdict != VERDICT_ALLOW || decision.rule->action != RULE_ALLOW)
        return false;
    for (size_t i = 0; i < rule->injection_count; i++) {
        if (rule->injections[i].credential == credential &&
            decide_injection(&rule->injections[i], query->scheme))
            return true;
    }
    return false;
}
