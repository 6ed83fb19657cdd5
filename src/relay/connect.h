/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_CONNECT_H
#define EXEAT_RELAY_CONNECT_H

#include "relay/options.h"

/*
 * `exeat connect HOST PORT`: standard input and output to HOST:PORT through a CONNECT proxy, which
 * a relay is. Returns the exit status: 0 when the connection ended in order, 1 with one line in
 * the log that says why not.
 */
int connect_command(const struct options *options, char *const *envp);

#endif
