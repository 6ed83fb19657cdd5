/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_POLICY_RULE_H
#define EXEAT_POLICY_RULE_H

#include <netinet/in.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/span.h"

/* What a policy is, compiled. Immutable once made; spans live in the arena it was made in. */

/* A host pattern: "api.example.com" exactly, "*.example.com" any label(s) below, "*" any name
 * (never an address literal). Canonical, lower case. */
enum host_pattern_kind { PATTERN_EXACT, PATTERN_BELOW, PATTERN_ANY };
struct host_pattern {
    enum host_pattern_kind kind;
    struct span name; /* PATTERN_BELOW: without "*." */
};

struct port_range {
    uint16_t first;
    uint16_t last;
};

enum rule_action {
    RULE_ALLOW, /* inspect, and inject what the rule says */
    RULE_DENY,
    RULE_PASS, /* TLS goes through unread, after a look at the name in its ClientHello */
    RULE_TCP,  /* any bytes go through unread */
};

/* How requests are carried; bits of rule.schemes. */
enum rule_scheme { RULE_HTTPS = 1, RULE_HTTP = 2 };
#define RULE_SCHEMES ((unsigned)RULE_HTTPS | (unsigned)RULE_HTTP)

/* One header field set by the gateway. `format` has exactly one "{}" for the credential. */
struct injection {
    struct span header; /* lower case */
    struct span before; /* of the "{}" */
    struct span after;
    size_t credential;   /* index into policy.credentials */
    int over_plain_http; /* may go where anybody on the way can read it */
};

struct rule {
    struct span name;
    enum rule_action action;
    unsigned schemes; /* of allow and deny rules: at least one */
    struct host_pattern *hosts;
    size_t host_count; /* at least 1 */
    struct port_range *ports;
    size_t port_count; /* at least 1; those of the schemes if the configuration names none */
    struct span *methods;
    size_t method_count; /* 0: any */
    struct span *paths;  /* globs: '*' within a segment, '**' across */
    size_t path_count;   /* 0: any */
    struct injection *injections;
    size_t injection_count;
    unsigned line; /* in the configuration */
};

/* Where a credential's value comes from; the value itself is never here. */
struct credential_source {
    struct span name;
    struct span file; /* path, or empty */
    struct span env;  /* name of a variable of exeat-gateway, or empty */
    unsigned line;
};

/* A network that may be dialled although it is special (threat E5, E6). */
struct network {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned prefix;     /* of 128 */
};

struct policy {
    uint64_t generation;
    struct rule *rules;
    size_t rule_count;
    struct credential_source *credentials;
    size_t credential_count;
    struct network *networks;
    size_t network_count;
};

#endif
