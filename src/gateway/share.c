/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/share.h"

#include "base/num.h"
#include "os/clock.h"
#include "os/log.h"

/*
 * Who may still take a buffer when so much of them is left: above a quarter everybody, above an
 * eighth who reads and holds none, above a sixteenth what waits for a window of HTTP/2
 * (gateway/codec); and the rest is for what was read already and for reading those windows.
 */
#define FIRST_PART 4
#define LAST_PART  8

/* On the way from one socket to the other: read, decrypted, gathered, sealed. */
#define BUFFERS_OF_ONE 4

/* How often the log hears of one limit of one share. */
#define SAY_MS 10000

/* Items kept for reuse. */
#define KEEP_BLOCKS 64
#define KEEP_ITEMS  256

/* An engine of HTTP/2 is offered while there is room for so many. */
#define H2_SPARE 4

static const struct {
    const char *words;
    const char *key;
} items[SHARE_COUNT] = {
#define SHARE_ROW(name, words, key) {words, key},
    SHARE_ITEMS(SHARE_ROW)
#undef SHARE_ROW
};

static const struct {
    const char *words; /* whose */
    const char *key;   /* what the keys in `limits` end in */
    enum err_code code;
} levels[] = {
    [SHARE_WORKER] = {"this worker", "", ERR_LIMIT},
    [SHARE_JOINING] = {"tunnels that open", "", ERR_LIMIT},
    [SHARE_TENANT] = {"this tenant", "_per_tenant", ERR_TENANT_LIMIT},
    [SHARE_SESSION] = {"this session", "_per_session", ERR_SESSION_LIMIT},
};

struct counts {
    uint64_t tunnels;
    uint64_t origins;
    uint64_t exchanges;
    uint64_t buffers;
};

static struct counts counts_of(const struct config_limits *limits, enum share_level level)
{
    switch (level) {
    case SHARE_WORKER:
        return (struct counts){limits->tunnels + CONFIG_TUNNELS_EXCESS, limits->origins,
                               limits->exchanges, limits->buffers};
    case SHARE_JOINING:
        return (struct counts){0, 0, limits->joining, config_buffers_of_joining(limits)};
    case SHARE_TENANT:
        return (struct counts){limits->tunnels_per_tenant, limits->origins_per_tenant,
                               limits->exchanges_per_tenant, limits->buffers_per_tenant};
    case SHARE_SESSION:
        return (struct counts){limits->tunnels_per_session, limits->origins_per_session,
                               limits->exchanges_per_session, limits->buffers_per_session};
    }
    return (struct counts){0};
}

static void limits_fill(size_t filled[SHARE_COUNT], const struct counts *counts)
{
    filled[SHARE_TUNNELS] = counts->tunnels;
    filled[SHARE_ORIGINS] = counts->origins;
    filled[SHARE_EXCHANGES] = counts->exchanges;
    filled[SHARE_HEADS] = counts->exchanges * CONFIG_HEADS_EACH;
    filled[SHARE_STREAMS] = counts->exchanges * CONFIG_STREAMS_EACH;
    filled[SHARE_BLOCKS] = counts->buffers;
    filled[SHARE_CONTENTS] = config_contents_of(counts->buffers);
}

static void h2_pools_set(struct share *share)
{
    share->h2_pools = (struct h2_pools){
        .streams = share_pool(share, SHARE_STREAMS),
        .recv = share_pool(share, SHARE_CONTENTS),
        .send = share_pool(share, SHARE_BLOCKS),
        .arena = share_pool(share, SHARE_HEADS),
    };
}

void share_init_worker(struct share *share, const struct config_limits *limits,
                       const size_t item_sizes[SHARE_COUNT])
{
    const struct counts counts = counts_of(limits, SHARE_WORKER);
    size_t filled[SHARE_COUNT];

    *share = (struct share){.level = SHARE_WORKER};
    limits_fill(filled, &counts);
    for (size_t i = 0; i < SHARE_COUNT; i++)
        pool_init(&share->pools[i], item_sizes[i], filled[i],
                  item_sizes[i] >= LIMIT_BLOCK ? KEEP_BLOCKS : KEEP_ITEMS);
    quota_init(&share->h2_memory, NULL, limits->h2_memory);
    h2_pools_set(share);
}

/* HTTP/2 has the same part of its memory as of the buffers; some connections fit into any part. */
static size_t h2_memory_of(const struct config_limits *limits, uint64_t buffers)
{
    const uint64_t least = UINT64_C(4) * H2_SPARE * H2_MEMORY_LEAST;
    uint64_t part = limits->h2_memory / limits->buffers * num_min(buffers, limits->buffers);

    return part < least ? least : part;
}

void share_init(struct share *share, enum share_level level, struct share *parent,
                const struct config_limits *limits, struct span owner)
{
    const struct counts counts = counts_of(limits, level);
    size_t filled[SHARE_COUNT];

    ENSURE(level != SHARE_WORKER && owner.len < sizeof share->owner);
    *share = (struct share){.level = level, .parent = parent};
    if (owner.len > 0)
        memcpy(share->owner, owner.ptr, owner.len);
    limits_fill(filled, &counts);
    for (size_t i = 0; i < SHARE_COUNT; i++)
        pool_init_share(&share->pools[i], &parent->pools[i], filled[i]);
    quota_init(&share->h2_memory, &parent->h2_memory, h2_memory_of(limits, counts.buffers));
    h2_pools_set(share);
}

void share_fini(struct share *share)
{
    for (size_t i = 0; i < SHARE_COUNT; i++)
        pool_fini(&share->pools[i]);
    quota_fini(&share->h2_memory);
}

/* Not more than now and then: who is at a limit may ask a thousand times a second. */
void share_say(struct share *share, enum share_item item, const char *text)
{
    int64_t now = clock_mono_ms();

    if (share->said_ms[item] != 0 && now - share->said_ms[item] < SAY_MS)
        return;
    share->said_ms[item] = now;
    log_warning("%s%s%s", share->owner, share->owner[0] == '\0' ? "" : ": ", text);
}

static struct share *share_at_limit(struct share *share, enum share_item item)
{
    while (share != NULL && share->pools[item].used < share->pools[item].limit)
        share = share->parent;
    return share;
}

int share_refuse(struct share *share, enum share_item item, struct err *err)
{
    struct share *full = share_at_limit(share, item);

    if (full == NULL)
        return err_set(err, ERR_MEMORY, "no memory left for %s", items[item].words);
    (void)err_set(err, levels[full->level].code, "%s has %zu %s (limits.%s%s)",
                  levels[full->level].words, full->pools[item].used, items[item].words,
                  items[item].key, levels[full->level].key);
    share_say(full, item, err->text);
    return -1;
}

int share_refuse_h2(struct share *share, struct err *err)
{
    while (share->parent != NULL &&
           share->h2_memory.limit - num_min(share->h2_memory.used, share->h2_memory.limit) >=
               H2_MEMORY_LEAST)
        share = share->parent;
    (void)err_set(err, levels[share->level].code, "%s has %zu KiB in HTTP/2 (limits.h2_memory)",
                  levels[share->level].words, share->h2_memory.used / 1024);
    share_say(share, SHARE_STREAMS, err->text);
    return -1;
}

bool share_has_h2(const struct share *share)
{
    return quota_left(&share->h2_memory) >= (size_t)H2_SPARE * H2_MEMORY_LEAST;
}

static bool is_starved(const struct pool *pool)
{
    return pool->used >= pool->limit - pool->limit / FIRST_PART;
}

bool share_is_starved(struct share *share)
{
    static const enum share_item watched[] = {SHARE_BLOCKS, SHARE_CONTENTS};

    for (; share != NULL; share = share->parent) {
        for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++) {
            const struct pool *pool = &share->pools[watched[i]];
            struct err err;

            if (!is_starved(pool))
                continue;
            (void)err_set(&err, ERR_LIMIT, "%s: %zu of %zu %s are in use: reading pauses",
                          levels[share->level].words, pool->used, pool->limit,
                          items[watched[i]].words);
            share_say(share, watched[i], err.text);
            return true;
        }
    }
    return false;
}

static size_t left_of(const struct share *share)
{
    return share->pools[SHARE_BLOCKS].limit - share->pools[SHARE_BLOCKS].used;
}

bool share_has_last_buffers(const struct share *share)
{
    for (; share != NULL; share = share->parent) {
        if (left_of(share) < BUFFERS_OF_ONE)
            return false;
    }
    return true;
}

bool share_has_spare_buffers(const struct share *share)
{
    for (; share != NULL; share = share->parent) {
        if (left_of(share) < BUFFERS_OF_ONE ||
            left_of(share) < share->pools[SHARE_BLOCKS].limit / LAST_PART)
            return false;
    }
    return true;
}
