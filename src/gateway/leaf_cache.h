/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_LEAF_CACHE_H
#define EXEAT_GATEWAY_LEAF_CACHE_H

#include "base/map.h"
#include "crypto/leaf.h"
#include "gateway/vault_link.h"

/*
 * Leaves by canonical host (threat H4): one question to the vault however many wait for it, the
 * least recently used goes when the cache is full.
 */
#define LEAF_CACHE_MAX 4096

struct leaf_waiter {
    struct list_node node;
    struct list *list; /* the entry's, while waiting */
    void (*on_ready)(struct leaf_waiter *waiter, const struct err *err); /* err NULL: ask again */
    void *owner;
};

struct leaf_cache {
    struct map map;
    struct list used; /* of struct leaf_entry, last used first */
    struct pool entries;
    struct vault_link *vault; /* borrowed */
    struct leaf_key *key;     /* borrowed */
};

int leaf_cache_init(struct leaf_cache *cache, struct vault_link *vault, struct leaf_key *key,
                    struct err *err);

/*
 * The leaf (borrowed until the next tick), or NULL: with err->code ERR_OK `waiter` will be called
 * once; else *err says why not.
 */
struct leaf *leaf_cache_take(struct leaf_cache *cache, const struct host *host,
                             struct leaf_waiter *waiter, struct err *err);

/* Safe if it does not wait. */
void leaf_cache_forget(struct leaf_waiter *waiter);

#endif
