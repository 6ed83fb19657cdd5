/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_POLICY_ADDRESS_H
#define EXEAT_POLICY_ADDRESS_H

#include <netinet/in.h>

#include "base/err.h"
#include "base/span.h"
#include "policy/rule.h"

/*
 * May this resolved address be dialled? By table from the IANA special-purpose registries (v4 and
 * v6) and the metadata addresses of threat E6; embedded IPv4 (mapped, compatible, NAT64, 6to4,
 * Teredo) is unwrapped and checked again; IPv6 outside 2000::/3 is refused. What policy.networks
 * lists is allowed, but a metadata address only if listed with its full length (/32 or /128).
 * `address` is 16 bytes, IPv4 as ::ffff:a.b.c.d. 0, or -1 with ERR_ADDRESS naming what it is.
 */
int address_check(const struct policy *policy, const uint8_t address[16], struct err *err);

/* Socket address to the 16 bytes. -1 if it is neither IPv4 nor IPv6. */
int address_bytes(const struct sockaddr *any, uint8_t address[16]);

/* "10.0.0.0/8", "fd00::/8", "127.0.0.1" (full length). ERR_CONFIG; bits behind the prefix too. */
int address_read_network(struct span text, struct network *network, struct err *err);

#endif
