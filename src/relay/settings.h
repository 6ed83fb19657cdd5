/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_SETTINGS_H
#define EXEAT_RELAY_SETTINGS_H

#include "base/limits.h"
#include "relay/endpoint.h"
#include "relay/options.h"

#define SETTINGS_PATH 1024

/*
 * What a relay is to do, from options first and the environment of its profile second. Plain data
 * of fixed size: it travels to our own child processes as it is.
 */
struct settings {
    enum profile_id profile;
    enum log_level log;
    struct endpoint gateway;
    struct parent_proxy proxy;
    uint16_t port; /* 0: the system chooses */
    char session_id[LIMIT_SESSION_ID + 1];
    char state_dir[SETTINGS_PATH];
    char bundle[SETTINGS_PATH];       /* written for children */
    char gateway_ca[SETTINGS_PATH];   /* roots for the gateway's own certificate; empty: system's */
    char system_roots[SETTINGS_PATH]; /* empty: found */
    char user_roots[2][SETTINGS_PATH]; /* the user's own SSL_CERT_FILE, NODE_EXTRA_CA_CERTS */
    char no_proxy[2048];
};

/* ERR_CONFIG. */
int settings_read(struct settings *settings, const struct options *options,
                  const struct profile *profile, char *const *envp, struct err *err);

/* Only the state directory: for `exeat env`, which needs no gate. `profile` may be NULL. */
int settings_read_state_dir(const struct options *options, const struct profile *profile,
                            char *const *envp, struct text *out, struct err *err);

#endif
