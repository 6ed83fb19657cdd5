/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_ENDPOINT_H
#define EXEAT_RELAY_ENDPOINT_H

#include <netinet/in.h>

#include "base/text.h"
#include "http/target.h"

/* Where the relay itself connects to: the gateway, and the corporate proxy before it. */

enum endpoint_scheme { ENDPOINT_HTTP, ENDPOINT_HTTPS };

struct endpoint {
    enum endpoint_scheme scheme;
    struct host host;
    uint16_t port;
    char path[512]; /* without a slash at its end; often empty */
};

/* "http[s]://host[:port][/path]", nothing else. ERR_CONFIG. */
int endpoint_read(struct endpoint *endpoint, struct span url, struct err *err);

/* "host", or "host:port" where the port is not the scheme's own; IPv6 in brackets. */
void endpoint_write_authority(const struct endpoint *endpoint, struct text *out);

/* The same, always with the port. */
void endpoint_write_target(const struct endpoint *endpoint, struct text *out);

/* A corporate HTTP proxy that the relay's own connections have to leave through. */
struct parent_proxy {
    int is_set;
    struct endpoint at;
    char basic[1024]; /* value of Proxy-Authorization, or empty */
};

/*
 * From the relay's own HTTPS_PROXY and NO_PROXY, in either case, as it was started with. Not set
 * when there is none, or when `gateway` is loopback or in NO_PROXY. ERR_CONFIG; the words never
 * hold the user or password.
 */
int parent_proxy_read(struct parent_proxy *proxy, char *const *envp, const struct endpoint *gateway,
                      struct err *err);

/*
 * The proxy that a client of these variables uses for https, whatever the host; `option` (may be
 * NULL) goes before them. ERR_CONFIG, also when there is none; the words are as above.
 */
int parent_proxy_find(struct parent_proxy *proxy, const char *option, char *const *envp,
                      struct err *err);

/* Whether `list` (NO_PROXY) covers `host`: exact, domain suffix at a dot, IPv4 CIDR, or "*". */
int parent_proxy_list_has(struct span list, const struct host *host);

#endif
