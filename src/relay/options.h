/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_OPTIONS_H
#define EXEAT_RELAY_OPTIONS_H

#include "base/err.h"
#include "os/log.h"
#include "relay/environ.h"

enum options_command {
    OPTIONS_RUN,
    OPTIONS_RELAY,
    OPTIONS_ENV,
    OPTIONS_CONNECT,
    OPTIONS_HELP,
    OPTIONS_VERSION,
    OPTIONS_ROLE_SETUP, /* ours: a child process of the keeper */
    OPTIONS_ROLE_WORKER,
};

/* The command line. All strings are borrowed from argv; NULL for what was not said. */
struct options {
    enum options_command command;
    enum options_command help_for; /* OPTIONS_HELP itself: the overview */
    const struct profile *profile;
    const char *gateway;
    const char *session_id;
    const char *token_file;
    const char *state_dir;
    const char *no_proxy;
    const char *gateway_ca;
    const char *system_roots;
    const char *proxy;
    uint16_t port;
    int is_required;
    enum log_level log;
    enum environ_format format;
    char *const *program; /* of `run`: CMD and its arguments; of `connect`: HOST PORT */
};

/* ERR_CONFIG with words that say what was expected. */
int options_read(struct options *options, char *const *argv, struct err *err);

#endif
