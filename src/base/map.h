/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_MAP_H
#define EXEAT_BASE_MAP_H

#include "base/err.h"
#include "base/span.h"

/* Intrusive hash table with a fixed number of places, keyed against collision floods. */
struct map_node {
    struct map_node *next;
    uint64_t hash;
    struct span key; /* borrowed: lives in the item */
    void *item;      /* borrowed: the struct that embeds the node */
};

struct map {
    struct map_node **places; /* owned; the count is a power of two */
    size_t place_count;
    size_t count;
    size_t limit;
    uint8_t seed[16];
};

/* `seed` must be unpredictable to those who choose the keys. ERR_MEMORY. */
int map_init(struct map *map, size_t limit, const uint8_t seed[16], struct err *err);

/* Frees the table, not the items. */
void map_fini(struct map *map);

/* The item, or NULL. */
void *map_find(const struct map *map, struct span key);

/* `key` must not be in the map yet. ERR_LIMIT when the map is full. */
int map_add(struct map *map, struct map_node *node, struct span key, void *item, struct err *err);

/* `node` is in the map. */
void map_remove(struct map *map, struct map_node *node);

/* SipHash-1-3 of `bytes` (Aumasson and Bernstein, 2012). */
uint64_t map_hash(const uint8_t seed[16], struct span bytes);

#endif
