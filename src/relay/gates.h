/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_GATES_H
#define EXEAT_RELAY_GATES_H

#include "base/err.h"
#include "base/limits.h"
#include "os/log.h"
#include "relay/profile.h"

/*
 * Gates 1 to 3 (docs/protocol.md section 1), in order: the first that fails decides. Gate 4, the
 * token, is relay/token.h.
 */
enum gate { GATE_PROFILE, GATE_REMOTE, GATE_ENABLED, GATE_SESSION, GATE_TOKEN, GATE_OPEN };

struct gates {
    enum gate failed;       /* GATE_OPEN: all three are passed */
    enum log_level level;   /* how loud the failure is told */
    const char *session_id; /* borrowed: from `envp` or the option */
};

/*
 * `profile` may be NULL: none was chosen or found. `session_option` replaces the variable of gate
 * 3. 0 when all pass; -1 with ERR_CONFIG whose words name the gate and what would open it.
 */
int gates_check(struct gates *gates, const struct profile *profile, char *const *envp,
                const char *session_option, struct err *err);

/* Trimmed, case ignored, one of 1 true yes on. NULL is false. */
int gates_is_truthy(const char *value);

#endif
