/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_FETCH_H
#define EXEAT_RELAY_FETCH_H

#include "base/text.h"
#include "relay/settings.h"

/*
 * GET one document from the gateway into `body`, within `limit_ms` in all. Blocks (runs a loop of
 * its own); sends no token. Anything but 200 is ERR_GATEWAY, more than `body` holds ERR_LIMIT.
 */
int fetch_get(const struct settings *settings, const char *path, int64_t limit_ms,
              struct text *body, struct err *err);

#endif
