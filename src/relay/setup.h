/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_SETUP_H
#define EXEAT_RELAY_SETUP_H

#include "relay/settings.h"

#define SETUP_LIMIT_MS 5000 /* for the CA certificate, in all */

/*
 * Start-up steps 4 and 5, in a child process that holds no token, for it reads what strangers
 * send: fetch the gateway's CA, check it, write the bundle. Blocks until the child is done.
 */
int setup_run(const struct settings *settings, struct err *err);

/* The child: returns its exit status. */
int setup_role(void);

#endif
