/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_BYPASS_H
#define EXEAT_RELAY_BYPASS_H

#include "base/text.h"
#include "relay/endpoint.h"

/*
 * The value of NO_PROXY. `choice` is what --no-proxy said: NULL for the default (loopback,
 * link-local, RFC 1918, the gateway's own host), "ccr" for that and the original's list, anything
 * else is the list itself. ERR_CONFIG for a blank or a control byte in it.
 */
int bypass_write(const char *choice, const struct endpoint *gateway, struct text *out,
                 struct err *err);

#endif
