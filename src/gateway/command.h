/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_COMMAND_H
#define EXEAT_GATEWAY_COMMAND_H

#include "gateway/config.h"
#include "gateway/options.h"

/* The commands that end by themselves. Each returns the exit status: 0, or 1 and said why. */
int command_check(const struct options *options);
int command_ca_init(const struct options *options);
int command_ca_rotate(const struct options *options);
int command_ca_show(const struct options *options);
int command_session_create(const struct options *options);
int command_session_list(const struct options *options);
int command_session_revoke(const struct options *options);
int command_audit_verify(const struct options *options);

/* One line on stderr; returns 1. */
int command_failed(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Read a configuration file; its errors go to stderr. *config is zeroed storage.
 * `files`: also what it names must be there. 0, or 1.
 */
enum command_files { COMMAND_FILES_LATER, COMMAND_FILES_TOO };
int command_config(struct config *config, const char *path, enum command_files files);

/* The errors and warnings that were collected, to stderr. */
void command_errors_print(const struct config_errors *errors);

#endif
