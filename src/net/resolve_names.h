/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_NET_RESOLVE_NAMES_H
#define EXEAT_NET_RESOLVE_NAMES_H

#include "base/limits.h"
#include "base/map.h"
#include "base/pool.h"
#include "net/socket.h"

/* Names whose addresses are known without asking: of the configuration and of /etc/hosts. */

#define RESOLVE_NAME_LIMIT 1024 /* of each of the two */

struct resolve_name {
    struct map_node node;      /* of the first entry of a name */
    struct resolve_name *next; /* owned: another address of the same name */
    struct address address;    /* port 0 */
    size_t len;
    char name[LIMIT_HOST]; /* lower case */
};

struct resolve_names {
    struct map added;
    struct map hosts;
    struct pool added_pool; /* of struct resolve_name */
    struct pool hosts_pool;
};

int resolve_names_init(struct resolve_names *names, struct err *err);
void resolve_names_fini(struct resolve_names *names);

/* ERR_LIMIT when there are too many, ERR_CONFIG for a name that is empty or too long. */
int resolve_names_add(struct resolve_names *names, struct span name, const struct address *address,
                      struct err *err);

/*
 * hosts(5): the first RESOLVE_NAME_LIMIT pairs of name and address; lines that are none are passed
 * over, as libc does. No file is fine. ERR_LIMIT for one over 1 MiB.
 */
int resolve_names_read_hosts(struct resolve_names *names, const char *path, struct err *err);

/* The first address of `name` (lower case), or NULL; follow `next`. What was added comes before
 * the hosts file. */
const struct resolve_name *resolve_names_find(const struct resolve_names *names, struct span name);

#endif
