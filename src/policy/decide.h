/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_POLICY_DECIDE_H
#define EXEAT_POLICY_DECIDE_H

#include "http/target.h"
#include "policy/rule.h"

/*
 * Rules -> decisions. Pure. A deny rule that matches wins over every allow rule; else the first
 * allow rule that matches; no match is a denial (threat E11).
 */
enum verdict { VERDICT_DENY, VERDICT_ALLOW };

struct decision {
    enum verdict verdict;
    const struct rule *rule; /* borrowed from the policy; NULL: no rule matched */
    size_t rule_index;       /* of `rule` */
};

/*
 * May a tunnel to host:port be opened? Deny rules count here only if they deny every method and
 * path; allow rules count whatever their methods and paths.
 */
void decide_connect(const struct policy *policy, const struct host *host, uint16_t port,
                    struct decision *decision);

/* May this request go? `path` is normalised, without the query. */
void decide_request(const struct policy *policy, const struct host *host, uint16_t port,
                    struct span method, struct span path, struct decision *decision);

/*
 * May a session have this credential for this host by this rule? The vault's own check before it
 * gives one out.
 */
bool decide_credential(const struct policy *policy, size_t rule_index, const struct host *host,
                       uint16_t port, size_t credential);

#endif
