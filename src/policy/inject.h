/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_POLICY_INJECT_H
#define EXEAT_POLICY_INJECT_H

#include "http/message.h"
#include "policy/rule.h"

/*
 * Put credentials into a request: every copy the client sent of an injected header goes (threat
 * C9), then exactly one is added. `values` are the credentials by injection, in the rule's order;
 * where one is without memory (decide_injection() said no) none is added.
 * The field value is made in `arena`: wipe its memory by inject_wipe() once the request is written.
 * ERR_CREDENTIAL for a value that cannot be a field value (threat D5), ERR_MEMORY.
 */
int inject_fields(const struct rule *rule, const struct span *values, struct arena *arena,
                  struct http_fields *fields, struct err *err);

/* Zero every injected field value in `fields` (they lie in writable arena memory). */
void inject_wipe(const struct rule *rule, struct http_fields *fields);

/* A credential's value: 1 to LIMIT_SECRET bytes of visible ASCII and inner blanks. ERR_CONFIG. */
int inject_check_value(struct span value, struct err *err);

#endif
