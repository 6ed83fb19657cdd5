/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_POLICY_MATCH_H
#define EXEAT_POLICY_MATCH_H

#include "http/target.h"
#include "policy/rule.h"

/* "*.a.com" matches "x.a.com" and "y.x.a.com", not "a.com" and not "xa.com". Patterns never match
 * address literals unless they are exactly that literal. */
bool match_host(const struct host_pattern *pattern, const struct host *host);

/* '*' matches within a segment, '**' any bytes; everything else byte for byte. Linear time. */
bool match_path(struct span glob, struct span path);

/* Reads one pattern of the configuration; ERR_CONFIG. `name` of the result lives in `arena`. */
int match_read_host_pattern(struct span text, struct arena *arena, struct host_pattern *pattern,
                            struct err *err);

#endif
