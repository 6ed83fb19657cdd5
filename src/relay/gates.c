/* SPDX-License-Identifier: Apache-2.0 */
/* The gates that the relay passes before it touches anything. Pure: looks only at its arguments. */
#include "relay/gates.h"

#include "base/span.h"
#include "relay/environ.h"

int gates_is_truthy(const char *value)
{
    static const char *const words[] = {"1", "true", "yes", "on"};
    struct span text;

    if (value == NULL)
        return 0;
    text = span_trim(span_text(value));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (span_equal_nocase(text, span_text(words[i])))
            return 1;
    }
    return 0;
}

/* It becomes the user of Basic credentials: no colon, no blank, nothing to inject a line with. */
static int session_check(const char *id, const char *where, struct err *err)
{
    struct span text = span_text(id);

    if (text.len > LIMIT_SESSION_ID)
        return err_set(err, ERR_CONFIG, "gate 3: %s is longer than %d bytes", where,
                       LIMIT_SESSION_ID);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7f || text.ptr[i] == ':')
            return err_set(err, ERR_CONFIG, "gate 3: %s has byte 0x%02x at %zu", where, text.ptr[i],
                           i);
    }
    return 0;
}

static int gate_fail(struct gates *gates, enum gate gate, enum log_level level)
{
    gates->failed = gate;
    gates->level = level;
    return -1;
}

int gates_check(struct gates *gates, const struct profile *profile, char *const *envp,
                const char *session_option, struct err *err)
{
    const char *where = session_option != NULL ? "--session-id"
                        : profile != NULL      ? profile->session_var
                                               : "";

    *gates = (struct gates){.failed = GATE_OPEN, .level = LOG_DEBUG};
    if (profile == NULL) {
        (void)err_set(err, ERR_CONFIG, "no profile: set EXEAT_REMOTE=1 or say --profile");
        return gate_fail(gates, GATE_PROFILE, LOG_DEBUG);
    }
    if (!gates_is_truthy(environ_find(envp, profile->remote_var))) {
        (void)err_set(err, ERR_CONFIG, "gate 1: %s is not 1, true, yes or on", profile->remote_var);
        return gate_fail(gates, GATE_REMOTE, LOG_DEBUG);
    }
    if (!gates_is_truthy(environ_find(envp, profile->enabled_var))) {
        (void)err_set(err, ERR_CONFIG, "gate 2: %s is not 1, true, yes or on",
                      profile->enabled_var);
        return gate_fail(gates, GATE_ENABLED, LOG_DEBUG);
    }
    gates->session_id =
        session_option != NULL ? session_option : environ_find(envp, profile->session_var);
    if (gates->session_id == NULL || gates->session_id[0] == '\0') {
        (void)err_set(err, ERR_CONFIG, "gate 3: %s is empty", where);
        return gate_fail(gates, GATE_SESSION, LOG_WARNING);
    }
    if (session_check(gates->session_id, where, err) < 0)
        return gate_fail(gates, GATE_SESSION, LOG_WARNING);
    return 0;
}
