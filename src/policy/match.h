/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_POLICY_MATCH_H
#define EXEAT_POLICY_MATCH_H

#include "http/target.h"
#include "policy/rule.h"

/* Longest path glob, in bytes. */
#define MATCH_GLOB_MAX 255

/* "*.a.com" matches "x.a.com" and "y.x.a.com", not "a.com" and not "xa.com". Patterns never match
 * address literals unless they are exactly that literal. */
bool match_host(const struct host_pattern *pattern, const struct host *host);

/*
 * '*' matches within a segment, '**' any bytes; everything else byte for byte. Linear time in
 * `path`. `glob` is at most MATCH_GLOB_MAX bytes.
 */
bool match_path(struct span glob, struct span path);

/* Reads one pattern of the configuration; ERR_CONFIG. `name` of the result lives in `arena`. */
int match_read_host_pattern(struct span text, struct arena *arena, struct host_pattern *pattern,
                            struct err *err);

/*
 * Is this a path glob that a normalised path can match? Starts with '/' or "**", or is "*" (the
 * target of OPTIONS); escapes as target_read() leaves them, no dot segment. A glob in any other
 * spelling would never match, and a denial that never matches is an open door. ERR_CONFIG.
 */
int match_check_glob(struct span glob, struct err *err);

/* Whether `pattern` is an address literal. */
bool match_is_literal(const struct host_pattern *pattern);

/* Whether every host that `narrow` matches is matched by `wide`. */
bool match_covers(const struct host_pattern *wide, const struct host_pattern *narrow);

#endif
