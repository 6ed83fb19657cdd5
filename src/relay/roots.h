/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_ROOTS_H
#define EXEAT_RELAY_ROOTS_H

#include "crypto/tls_context.h"
#include "relay/settings.h"

/*
 * The system's trusted roots, PEM: `path` if not empty, else the first of the usual places.
 * *content is the caller's: file_free(). ERR_CONFIG if none is found.
 */
int roots_read_system(const char *path, struct room *content, struct err *err);

/*
 * For verifying the gateway itself: --gateway-ca, else the system's roots; never the bundle that
 * children get (threat H11). NULL in *context when the gateway has no TLS.
 */
int roots_open_context(const struct settings *settings, struct tls_context **context,
                       struct err *err);

#endif
