/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_ROLE_H
#define EXEAT_GATEWAY_ROLE_H

#include "gateway/config.h"

/*
 * What every child of the gateway does first. main starts it as
 *     exeat-gateway --role=NAME --id=N --config-path=PATH --log=LEVEL
 * with the descriptors of enum message_fd; the bytes of the configuration come through one.
 */
struct role {
    unsigned id;
    const char *config_path; /* borrowed from argv */
    enum log_level log;
    struct config config;
    char log_name[48];
};

/*
 * Harden the process, read its arguments and its configuration, set up the log. *role must stay
 * where it is. ERR_CONFIG, ERR_SYSTEM.
 */
int role_start(struct role *role, const char *name, int argc, char **argv, struct err *err);

/* Tell main that everything is set up. */
int role_ready(struct err *err);

/* The name after --role=, or NULL if this is no child. */
const char *role_name(int argc, char **argv);

#endif
