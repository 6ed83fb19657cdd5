/* SPDX-License-Identifier: Apache-2.0 */
/* Chained hash table, SipHash-1-3 keyed. */
#include "base/map.h"

#include "base/pool.h"

static uint64_t rotate(uint64_t word, unsigned by)
{
    return word << by | word >> (64 - by);
}

static uint64_t load64(const uint8_t *bytes)
{
    uint64_t word = 0;

    for (unsigned i = 0; i < 8; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

uint64_t map_hash(const uint8_t seed[16], struct span bytes)
{
    uint64_t k0 = load64(seed);
    uint64_t k1 = load64(seed + 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                     k1 ^ 0x7465646279746573};
    uint64_t last = (uint64_t)bytes.len << 56;
    size_t whole = bytes.len / 8 * 8;

    for (size_t at = 0; at < whole; at += 8) {
        uint64_t word = load64(bytes.ptr + at);

        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    for (size_t at = whole; at < bytes.len; at++)
        last |= (uint64_t)bytes.ptr[at] << (8 * (at - whole));
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int map_init(struct map *map, size_t limit, const uint8_t seed[16], struct err *err)
{
    size_t places = 16;

    while (places < limit)
        places *= 2;
    *map = (struct map){.place_count = places, .limit = limit};
    memcpy(map->seed, seed, sizeof map->seed);
    map->places = pool_block_new(places * sizeof(struct map_node *));
    if (map->places == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a table of %zu places", places);
    return 0;
}

void map_fini(struct map *map)
{
    pool_block_free(map->places);
    *map = (struct map){0};
}

static struct map_node **place_of(const struct map *map, uint64_t hash)
{
    return &map->places[hash & (map->place_count - 1)];
}

void *map_find(const struct map *map, struct span key)
{
    uint64_t hash = map_hash(map->seed, key);

    for (struct map_node *node = *place_of(map, hash); node != NULL; node = node->next) {
        if (node->hash == hash && span_equal(node->key, key))
            return node->item;
    }
    return NULL;
}

int map_add(struct map *map, struct map_node *node, struct span key, void *item, struct err *err)
{
    if (map->count >= map->limit)
        return err_set(err, ERR_LIMIT, "table full with %zu entries", map->count);

    uint64_t hash = map_hash(map->seed, key);
    struct map_node **place = place_of(map, hash);

    *node = (struct map_node){.next = *place, .hash = hash, .key = key, .item = item};
    *place = node;
    map->count++;
    return 0;
}

void map_remove(struct map *map, struct map_node *node)
{
    struct map_node **at = place_of(map, node->hash);

    while (*at != node) {
        ENSURE(*at != NULL);
        at = &(*at)->next;
    }
    *at = node->next;
    map->count--;
    *node = (struct map_node){0};
}
