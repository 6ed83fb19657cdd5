/* SPDX-License-Identifier: Apache-2.0 */
/* The two sets of names, as a table. */
#include "relay/profile.h"

#include "relay/environ.h"

static const struct profile profiles[PROFILE_COUNT] = {
    [PROFILE_CCR] =
        {
            .id = PROFILE_CCR,
            .name = "ccr",
            .remote_var = "CLAUDE_CODE_REMOTE",
            .enabled_var = "CCR_UPSTREAM_PROXY_ENABLED",
            .session_var = "CLAUDE_CODE_REMOTE_SESSION_ID",
            .token_path = "/run/ccr/session_token",
            .url_var = "ANTHROPIC_BASE_URL",
            .url_default = "https://api.anthropic.com",
            .ca_path = "/v1/code/upstreamproxy/ca-cert",
            .tunnel_path = "/v1/code/upstreamproxy/ws",
            .state_var = NULL,
            .state_name = ".ccr",
        },
    [PROFILE_EXEAT] =
        {
            .id = PROFILE_EXEAT,
            .name = "exeat",
            .remote_var = "EXEAT_REMOTE",
            .enabled_var = "EXEAT_ENABLED",
            .session_var = "EXEAT_SESSION_ID",
            .token_path = "/run/exeat/session_token",
            .url_var = "EXEAT_GATEWAY_URL",
            .url_default = NULL,
            .ca_path = "/v1/ca-cert",
            .tunnel_path = "/v1/tunnel",
            .state_var = "EXEAT_STATE_DIR",
            .state_name = ".exeat",
        },
};

const struct profile *profile_at(enum profile_id id)
{
    return &profiles[id];
}

const struct profile *profile_find(const char *name)
{
    for (size_t i = 0; i < PROFILE_COUNT; i++) {
        if (strcmp(profiles[i].name, name) == 0)
            return &profiles[i];
    }
    return NULL;
}

const struct profile *profile_detect(char *const *envp)
{
    for (size_t i = 0; i < PROFILE_COUNT; i++) {
        if (environ_find(envp, profiles[i].remote_var) != NULL)
            return &profiles[i];
    }
    return NULL;
}
