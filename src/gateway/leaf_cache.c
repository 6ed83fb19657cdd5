/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves of a worker: asked for once, served until an hour before their end. */
#include "gateway/leaf_cache.h"

#include "crypto/digest.h"
#include "os/clock.h"

#define LEAF_RENEW_S 3600

/* One comes before the last entry of another goes. */
#define CACHE_OWNERS (LEAF_CACHE_MAX + 1)

/* A tenant that has entries. */
struct leaf_owner {
    struct map_node map_node;
    struct list_node node;
    struct list used; /* of struct leaf_entry that have their leaf, last used first */
    size_t count;     /* of entries, with those that are asked for */
    size_t name_len;
    char name[LIMIT_NAME];
};

struct leaf_entry {
    struct map_node map_node;
    struct list_node used_node;
    struct leaf_cache *cache; /* borrowed */
    struct leaf_owner *owner; /* borrowed: lives with its entries */
    struct host host;
    struct leaf *leaf; /* owned; NULL while it is asked for */
    struct vault_wait wait;
    struct list waiters;
    size_t session_len;
    char session[LIMIT_SESSION_ID]; /* for which it was asked */
};

int leaf_cache_init(struct leaf_cache *cache, struct vault_link *vault, struct leaf_key *key,
                    struct err *err)
{
    uint8_t seed[16];

    *cache = (struct leaf_cache){.vault = vault, .key = key};
    pool_init(&cache->entries, sizeof(struct leaf_entry), LEAF_CACHE_MAX, 64);
    pool_init(&cache->owner_pool, sizeof(struct leaf_owner), CACHE_OWNERS, 8);
    if (digest_random((struct room){.ptr = seed, .len = sizeof seed}, err) < 0 ||
        map_init(&cache->map, LEAF_CACHE_MAX, seed, err) < 0)
        return -1;
    return map_init(&cache->owner_map, CACHE_OWNERS, seed, err);
}

static void owner_leave(struct leaf_cache *cache, struct leaf_owner *owner)
{
    if (--owner->count > 0)
        return;
    map_remove(&cache->owner_map, &owner->map_node);
    list_remove(&cache->owners, &owner->node);
    pool_give(&cache->owner_pool, owner);
}

/* The owner called `name`, with one entry more. */
static struct leaf_owner *owner_join(struct leaf_cache *cache, struct span name, struct err *err)
{
    struct leaf_owner *owner = map_find(&cache->owner_map, name);

    ENSURE(name.len <= sizeof owner->name);
    if (owner != NULL) {
        owner->count++;
        return owner;
    }
    owner = pool_take(&cache->owner_pool);
    if (owner == NULL) {
        (void)err_set(err, ERR_LIMIT, "%d tenants have certificates", CACHE_OWNERS);
        return NULL;
    }
    *owner = (struct leaf_owner){.count = 1, .name_len = name.len};
    if (name.len > 0)
        memcpy(owner->name, name.ptr, name.len);
    if (map_add(&cache->owner_map, &owner->map_node, span_of(owner->name, name.len), owner, err) <
        0) {
        pool_give(&cache->owner_pool, owner);
        return NULL;
    }
    list_add_last(&cache->owners, &owner->node, owner);
    return owner;
}

/* Nobody finds it any more. */
static void entry_remove(struct leaf_entry *entry)
{
    struct leaf_cache *cache = entry->cache;

    map_remove(&cache->map, &entry->map_node);
    if (entry->leaf != NULL)
        list_remove(&entry->owner->used, &entry->used_node);
    owner_leave(cache, entry->owner);
}

static void entry_give(struct leaf_entry *entry)
{
    struct leaf_cache *cache = entry->cache;

    vault_link_forget(cache->vault, &entry->wait);
    leaf_free(entry->leaf);
    pool_give(&cache->entries, entry);
}

static void entry_free(struct leaf_entry *entry)
{
    entry_remove(entry);
    entry_give(entry);
}

void leaf_cache_fini(struct leaf_cache *cache)
{
    for (size_t i = 0; i < cache->map.place_count; i++) {
        while (cache->map.places[i] != NULL)
            entry_free(cache->map.places[i]->item);
    }
    map_fini(&cache->map);
    map_fini(&cache->owner_map);
    pool_fini(&cache->entries);
    pool_fini(&cache->owner_pool);
}

static bool is_of_session(const struct leaf_waiter *waiter, const struct leaf_entry *entry)
{
    return span_equal(waiter->session, span_of(entry->session, entry->session_len));
}

/*
 * What failed for one session need not for another: its tenant may have minted too much, or it has
 * just ended. The others ask again, each for itself; every round there is one session less.
 */
static void waiters_tell(struct leaf_entry *entry, const struct err *err)
{
    while (entry->waiters.count > 0) {
        struct leaf_waiter *waiter = list_first(&entry->waiters);

        leaf_cache_forget(waiter);
        waiter->on_ready(waiter, is_of_session(waiter, entry) ? err : NULL);
    }
}

static int reply_check(const struct message *reply, struct err *err)
{
    if (reply->code == ERR_TENANT_LIMIT)
        return err_set(err, reply->code,
                       "limits.leaves_per_second: too many new certificates for this tenant");
    if (reply->code == ERR_LIMIT)
        return err_set(err, reply->code, "the gateway makes no more than %d certificates a second",
                       LIMIT_LEAVES_PER_SECOND);
    if (reply->code != ERR_OK)
        return err_set(err, reply->code, "no certificate for this host from the vault: %s",
                       err_reason(reply->code));
    if (reply->type != MESSAGE_LEAF_REPLY)
        return err_set(err, ERR_INTERNAL, "no certificate for this host from the vault");
    return 0;
}

static void leaf_replied(struct vault_wait *wait, const struct message *reply)
{
    struct leaf_entry *entry = wait->owner;
    struct err err = {.code = ERR_OK};

    if (reply_check(reply, &err) == 0)
        entry->leaf = leaf_new(reply->a, entry->cache->key, &err);
    if (entry->leaf != NULL) {
        list_add_first(&entry->owner->used, &entry->used_node, entry);
        waiters_tell(entry, NULL);
        return;
    }
    entry_remove(entry); /* first: who asks again finds a new one */
    waiters_tell(entry, &err);
    entry_give(entry);
}

/* Who loses an entry for one more of `owner`, which is counted already; NULL: nobody has to. */
static struct leaf_owner *owner_yielding(const struct leaf_cache *cache, struct leaf_owner *owner)
{
    struct leaf_owner *most = owner;

    if (owner->count > LEAF_CACHE_SHARE)
        return owner;
    if (cache->map.count < LEAF_CACHE_MAX)
        return NULL;
    if (owner->count > LEAF_CACHE_LEAST)
        return owner;
    for (struct list_node *node = cache->owners.first; node != NULL; node = node->next) {
        struct leaf_owner *other = node->item;

        if (other->used.count > 0 && other->count >= most->count)
            most = other;
    }
    return most;
}

/* Room for one more: of whose turn it is, the least recently used that nobody waits for. */
static int room_make(struct leaf_cache *cache, struct leaf_owner *owner, struct err *err)
{
    struct leaf_owner *yielding = owner_yielding(cache, owner);

    if (yielding == NULL)
        return 0;
    if (yielding->used.count == 0)
        return err_set(err, ERR_TENANT_LIMIT, "too many certificates are being asked for");
    entry_free(list_last(&yielding->used));
    return 0;
}

static struct leaf_entry *entry_new(struct leaf_cache *cache, const struct host *host,
                                    const struct leaf_waiter *waiter, struct err *err)
{
    struct leaf_owner *owner = owner_join(cache, waiter->tenant, err);
    struct leaf_entry *entry;

    if (owner == NULL)
        return NULL;
    if (room_make(cache, owner, err) < 0)
        goto fail_owner;
    entry = pool_take(&cache->entries);
    if (entry == NULL) {
        (void)err_set(err, ERR_MEMORY, "no memory for a certificate");
        goto fail_owner;
    }
    ENSURE(waiter->session.len <= sizeof entry->session);
    *entry = (struct leaf_entry){
        .cache = cache, .owner = owner, .host = *host, .session_len = waiter->session.len};
    if (waiter->session.len > 0)
        memcpy(entry->session, waiter->session.ptr, waiter->session.len);
    entry->wait = (struct vault_wait){.on_reply = leaf_replied, .owner = entry};
    if (map_add(&cache->map, &entry->map_node, target_host_span(&entry->host), entry, err) < 0)
        goto fail_entry;
    return entry;

fail_entry:
    pool_give(&cache->entries, entry);
fail_owner:
    owner_leave(cache, owner);
    return NULL;
}

static int leaf_ask(struct leaf_entry *entry, struct err *err)
{
    const struct message message = {
        .type = MESSAGE_LEAF,
        .number = (uint64_t)entry->host.kind,
        .a = target_host_span(&entry->host),
        .b = span_of(entry->session, entry->session_len),
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
        list_remove(&entry->owner->used, &entry->used_node);
        list_add_first(&entry->owner->used, &entry->used_node, entry);
        return entry->leaf;
    }
    if (entry == NULL) {
        entry = entry_new(cache, host, waiter, err);
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
