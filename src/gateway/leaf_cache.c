/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves of a worker: asked for once, served until an hour before their end. */
#include "gateway/leaf_cache.h"

#include "crypto/digest.h"
#include "os/clock.h"

#define LEAF_RENEW_S 3600

struct leaf_entry {
    struct map_node map_node;
    struct list_node used_node;
    struct leaf_cache *cache; /* borrowed */
    struct host host;
    struct leaf *leaf; /* owned; NULL while it is asked for */
    struct vault_wait wait;
    struct list waiters;
};

int leaf_cache_init(struct leaf_cache *cache, struct vault_link *vault, struct leaf_key *key,
                    struct err *err)
{
    uint8_t seed[16];

    *cache = (struct leaf_cache){.vault = vault, .key = key};
    pool_init(&cache->entries, sizeof(struct leaf_entry), LEAF_CACHE_MAX, 64);
    if (digest_random((struct room){.ptr = seed, .len = sizeof seed}, err) < 0)
        return -1;
    return map_init(&cache->map, LEAF_CACHE_MAX, seed, err);
}

static void entry_free(struct leaf_entry *entry)
{
    struct leaf_cache *cache = entry->cache;

    vault_link_forget(cache->vault, &entry->wait);
    map_remove(&cache->map, &entry->map_node);
    list_remove(&cache->used, &entry->used_node);
    leaf_free(entry->leaf);
    pool_give(&cache->entries, entry);
}

static void waiters_tell(struct leaf_entry *entry, const struct err *err)
{
    while (entry->waiters.count > 0) {
        struct leaf_waiter *waiter = list_first(&entry->waiters);

        leaf_cache_forget(waiter);
        waiter->on_ready(waiter, err);
    }
}

static void leaf_replied(struct vault_wait *wait, const struct message *reply)
{
    struct leaf_entry *entry = wait->owner;
    struct err err = {.code = ERR_OK};

    if (reply->code != ERR_OK || reply->type != MESSAGE_LEAF_REPLY)
        (void)err_set(&err, reply->code == ERR_OK ? ERR_INTERNAL : reply->code,
                      "no certificate for this host from the vault");
    else
        entry->leaf = leaf_new(reply->a, entry->cache->key, &err);
    if (entry->leaf != NULL) {
        waiters_tell(entry, NULL);
        return;
    }
    waiters_tell(entry, &err);
    entry_free(entry);
}

/* Room for one more: the least recently used that nobody waits for goes. */
static int room_make(struct leaf_cache *cache, struct err *err)
{
    if (cache->map.count < LEAF_CACHE_MAX)
        return 0;

    struct leaf_entry *last = list_last(&cache->used);

    if (last->leaf == NULL)
        return err_set(err, ERR_LIMIT, "%d certificates are being asked for", LEAF_CACHE_MAX);
    entry_free(last);
    return 0;
}

static struct leaf_entry *entry_new(struct leaf_cache *cache, const struct host *host,
                                    struct err *err)
{
    struct leaf_entry *entry;

    if (room_make(cache, err) < 0)
        return NULL;
    entry = pool_take(&cache->entries);
    if (entry == NULL) {
        (void)err_set(err, ERR_MEMORY, "no memory for a certificate");
        return NULL;
    }
    *entry = (struct leaf_entry){.cache = cache, .host = *host};
    entry->wait = (struct vault_wait){.on_reply = leaf_replied, .owner = entry};
    if (map_add(&cache->map, &entry->map_node, target_host_span(&entry->host), entry, err) < 0) {
        pool_give(&cache->entries, entry);
        return NULL;
    }
    list_add_first(&cache->used, &entry->used_node, entry);
    return entry;
}

static int leaf_ask(struct leaf_entry *entry, struct err *err)
{
    const struct message message = {
        .type = MESSAGE_LEAF,
        .number = (uint64_t)entry->host.kind,
        .a = target_host_span(&entry->host),
    };

    return vault_link_ask(entry->cache->vault, &message, &entry->wait, err);
}

static bool is_due(const struct leaf_entry *entry)
{
    return leaf_expires_s(entry->leaf) - LEAF_RENEW_S < clock_wall_ms() / 1000;
}

struct leaf *leaf_cache_take(struct leaf_cache *cache, const struct host *host,
                             struct leaf_waiter *waiter, struct err *err)
{
    struct leaf_entry *entry = map_find(&cache->map, target_host_span(host));

    err_clear(err);
    if (entry != NULL && entry->leaf != NULL && is_due(entry)) {
        entry_free(entry);
        entry = NULL;
    }
    if (entry != NULL && entry->leaf != NULL) {
        list_remove(&cache->used, &entry->used_node);
        list_add_first(&cache->used, &entry->used_node, entry);
        return entry->leaf;
    }
    if (entry == NULL) {
        entry = entry_new(cache, host, err);
        if (entry == NULL)
            return NULL;
        if (leaf_ask(entry, err) < 0) {
            entry_free(entry);
            return NULL;
        }
    }
    list_add_last(&entry->waiters, &waiter->node, waiter);
    waiter->list = &entry->waiters;
    return NULL;
}

void leaf_cache_forget(struct leaf_waiter *waiter)
{
    if (waiter->list == NULL)
        return;
    list_remove(waiter->list, &waiter->node);
    waiter->list = NULL;
}
