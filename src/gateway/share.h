/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_SHARE_H
#define EXEAT_GATEWAY_SHARE_H

#include "base/pool.h"
#include "gateway/config.h"
#include "http/h2.h"

/*
 * Who may have how much. A worker has pools for everything that tunnels take; a tenant has a share
 * of each, a session a share of its tenant's. So nobody can take what others need (threats K2, K4),
 * and whoever is at a limit learns which one.
 */
enum share_level {
    SHARE_WORKER,
    SHARE_JOINING, /* tunnels that are not authenticated yet, all together (threat G6) */
    SHARE_TENANT,
    SHARE_SESSION,
};

#define SHARE_ITEMS(X) /* name, which are counted, their key in `limits` */                        \
    X(TUNNELS, "tunnels", "tunnels")                                                               \
    X(ORIGINS, "connections to origins", "origins")                                                \
    X(EXCHANGES, "requests under way", "exchanges")                                                \
    X(HEADS, "blocks for heads of requests", "exchanges")                                          \
    X(STREAMS, "streams of HTTP/2", "exchanges")                                                   \
    X(BLOCKS, "buffers", "buffers")                                                                \
    X(CONTENTS, "buffers of HTTP/2 streams", "buffers")

enum share_item {
#define SHARE_ENUM(name, words, key) SHARE_##name,
    SHARE_ITEMS(SHARE_ENUM)
#undef SHARE_ENUM
        SHARE_COUNT
};

struct share {
    enum share_level level;
    struct share *parent; /* borrowed: outlives it; NULL: of the worker */
    struct pool pools[SHARE_COUNT];
    struct quota h2_memory;
    struct h2_pools h2_pools;         /* of the pools above, for an engine of HTTP/2 */
    char owner[LIMIT_SESSION_ID + 1]; /* the name of tenant or session, for the log */
    int64_t said_ms[SHARE_COUNT];     /* when the log last heard that it is at its limit */
};

/* The pools of a worker, `item_sizes` by enum share_item. */
void share_init_worker(struct share *share, const struct config_limits *limits,
                       const size_t item_sizes[SHARE_COUNT]);

/* `level` is not SHARE_WORKER; `owner` is at most LIMIT_SESSION_ID bytes. */
void share_init(struct share *share, enum share_level level, struct share *parent,
                const struct config_limits *limits, struct span owner);

/* Everything must be back. */
void share_fini(struct share *share);

static inline struct pool *share_pool(struct share *share, enum share_item item)
{
    return &share->pools[item];
}

/*
 * Nothing could be taken of `item`: says which limit that was. ERR_SESSION_LIMIT, ERR_TENANT_LIMIT,
 * ERR_LIMIT, or ERR_MEMORY if it was none. Always -1. The log hears of it now and then.
 */
int share_refuse(struct share *share, enum share_item item, struct err *err);

/* The same for an engine of HTTP/2. */
int share_refuse_h2(struct share *share, struct err *err);

/* To the log, now and then: whoever is at a limit may come a thousand times a second. */
void share_say(struct share *share, enum share_item item, const char *text);

/* Whether there is memory for some more engines of HTTP/2, so that one may be offered. */
bool share_has_h2(const struct share *share);

/*
 * Whether too few buffers are left for everybody to read on: three quarters are in use, of this
 * share or of one above it. What was read already needs the rest to get out again.
 */
bool share_is_starved(struct share *share);

/*
 * Whether enough are left for those that hold none to read, and whether enough for one connection
 * to get its bytes through at all.
 */
bool share_has_spare_buffers(const struct share *share);
bool share_has_last_buffers(const struct share *share);

#endif
