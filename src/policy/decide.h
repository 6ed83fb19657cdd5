/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_POLICY_DECIDE_H
#define EXEAT_POLICY_DECIDE_H

#include "http/target.h"
#include "policy/rule.h"

/*
 * Rules -> decisions. Pure. A deny rule that matches wins over every other rule; else the first
 * other rule that matches; no match is a denial (threat E11).
 */
enum verdict { VERDICT_DENY, VERDICT_ALLOW };

struct decision {
    enum verdict verdict;
    const struct rule *rule; /* borrowed from the policy; NULL: no rule matched */
    size_t rule_index;       /* of `rule` */
};

/*
 * May a tunnel to host:port be opened, and is it inspected (RULE_ALLOW) or not (RULE_PASS,
 * RULE_TCP)? The first rule that is no deny rule says so, whatever its schemes, methods and paths.
 * Deny rules count here only if they deny every method and path, and every scheme unless the tunnel
 * would not be inspected: nothing in that one can be denied later.
 */
void decide_connect(const struct policy *policy, const struct host *host, uint16_t port,
                    struct decision *decision);

/* A request, as rules see it. */
struct decide_query {
    const struct host *host;
    uint16_t port;
    enum rule_scheme scheme;
    struct span method;
    struct span path; /* normalised, without the query */
};

/* May this request go? Only allow rules say so: what is inspected does not pass by another rule. */
void decide_request(const struct policy *policy, const struct decide_query *query,
                    struct decision *decision);

/* Is this credential put into requests that go by this scheme? */
bool decide_injection(const struct injection *injection, enum rule_scheme scheme);

/*
 * May a session have this credential for requests to this host by this rule? The vault's own check
 * before it gives one out. Method and path of the query are not looked at.
 */
bool decide_credential(const struct policy *policy, size_t rule_index,
                       const struct decide_query *query, size_t credential);

#endif
