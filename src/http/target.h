/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_HTTP_TARGET_H
#define EXEAT_HTTP_TARGET_H

#include "base/arena.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

/*
 * Names in one canonical form, so that policy, SNI, Host, certificate check and dialling all
 * compare bytes. Threats E1-E4, E10, C3.
 */

enum host_kind { HOST_NAME, HOST_IPV4, HOST_IPV6 };

struct host {
    enum host_kind kind;
    size_t len;
    char name[LIMIT_HOST + 3]; /* canonical, NUL behind it; IPv6 without brackets (RFC 5952) */
};

/*
 * A reg-name, an IPv4 address or a bracketed IPv6 address and nothing else. Names: ASCII letters,
 * digits, '-' and '_', labels of 1 to 63 bytes, at most 253 in all; lower-cased; one final dot is
 * dropped. A name whose last label is all digits or starts 0x (what inet_aton would take for an
 * address: octal, hex, short, decimal) and is not a strict dotted quad is refused; so are
 * non-ASCII, percent, zone ids, userinfo, empty labels. ERR_TARGET.
 */
int target_read_host(struct span text, struct host *host, struct err *err);

/* host ":" port, both required: the target of CONNECT (RFC 9112 section 3.2.3). ERR_TARGET. */
int target_read_connect(struct span text, struct host *host, uint16_t *port, struct err *err);

/*
 * The value of Host or :authority: host [":" port]; *port is `default_port` when absent.
 * ERR_TARGET.
 */
int target_read_authority(struct span text, uint16_t default_port, struct host *host,
                          uint16_t *port, struct err *err);

bool target_is_same_host(const struct host *a, const struct host *b);

static inline struct span target_host_span(const struct host *host)
{
    return span_of(host->name, host->len);
}

/*
 * What the request target of an inspected request asks for, byte for byte what will be sent.
 * origin-form, absolute-form (then `host`/`port`/scheme are filled from it) or "*" for OPTIONS.
 */
enum target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_ASTERISK };

struct target {
    enum target_form form;
    struct host host;   /* of absolute-form, else kind HOST_NAME and len 0 */
    uint16_t port;      /* of absolute-form, default of its scheme */
    struct span scheme; /* of absolute-form: "http" or "https", lower case */
    struct span path;   /* normalised, starts with '/' ("*" for asterisk-form) */
    struct span query;  /* with its '?', or empty; as sent */
};

/*
 * Read and normalise (RFC 3986 section 6.2.2): percent-encoded unreserved characters decoded,
 * other escapes in upper-case hex, dot segments removed, runs of '/' kept as they are. Refused
 * with ERR_TARGET: fragments, bytes outside the URI grammar, bad escapes, %00 in the path, "/.."
 * above the root, and segments in which a lenient server would find a dot segment: an encoded '/'
 * or '\', or a ';', next to dots ("%2e%2f", "..%5C", "..;"). Threat E12. The query is forwarded
 * as sent: any visible ASCII but '#', with escapes that are well-formed.
 */
int target_read(struct span text, struct arena *arena, struct target *target, struct err *err);

#endif
