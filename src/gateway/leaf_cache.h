/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_LEAF_CACHE_H
#define EXEAT_GATEWAY_LEAF_CACHE_H

#include "base/map.h"
#include "crypto/leaf.h"
#include "gateway/vault_link.h"

/*
 * Leaves by canonical host (threat H4): one question to the vault however many wait for it.
 *
 * An entry belongs to the tenant that first asked for it. Others may use it and keep it fresh; that
 * changes nothing in whose it is. A tenant with its share of entries, or with LEAF_CACHE_LEAST in a
 * cache that is full, loses the least recently used of its own for a new one. With fewer than that
 * it takes, in a cache that is full, from the tenant that has most. So a tenant that asks for any
 * number of names costs others none of their first LEAF_CACHE_LEAST, and none at all while there
 * are at most LEAF_CACHE_MAX / LEAF_CACHE_SHARE tenants. (Beyond LEAF_CACHE_MAX / LEAF_CACHE_LEAST
 * tenants the cache is too small for all.) Who used an entry of another that went asks anew, and
 * then it is its own.
 */
#define LEAF_CACHE_MAX   4096
#define LEAF_CACHE_SHARE (LEAF_CACHE_MAX / 4)
#define LEAF_CACHE_LEAST 64

/* The caller sets session, tenant, on_ready and owner. */
struct leaf_waiter {
    struct span session; /* borrowed, both: who asks */
    struct span tenant;
    struct list_node node;
    struct list *list; /* the entry's, while waiting */
    void (*on_ready)(struct leaf_waiter *waiter, const struct err *err); /* err NULL: ask again */
    void *owner;
};

struct leaf_cache {
    struct map map;
    struct map owner_map; /* by name of tenant */
    struct list owners;   /* of struct leaf_owner: who has entries */
    struct pool entries;
    struct pool owner_pool;
    struct vault_link *vault; /* borrowed */
    struct leaf_key *key;     /* borrowed */
};

int leaf_cache_init(struct leaf_cache *cache, struct vault_link *vault, struct leaf_key *key,
                    struct err *err);

/* Frees everything; nobody waits. */
void leaf_cache_fini(struct leaf_cache *cache);

/*
 * The leaf (borrowed until the next tick), or NULL: with err->code ERR_OK `waiter` will be called
 * once; else *err says why not. ERR_TENANT_LIMIT and ERR_LIMIT are also what the vault answers to
 * who asks for too many. What it refuses to one session, waiters of others ask again for
 * themselves.
 */
struct leaf *leaf_cache_take(struct leaf_cache *cache, const struct host *host,
                             struct leaf_waiter *waiter, struct err *err);

/* Safe if it does not wait. */
void leaf_cache_forget(struct leaf_waiter *waiter);

#endif
