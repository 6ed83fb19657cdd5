/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "dies.h"

#define COUNT 1000

struct entry {
    char name[16];
    struct map_node node;
};

static struct entry entries[COUNT];
static const uint8_t seed[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static struct span key_of(int i)
{
    (void)snprintf(entries[i].name, sizeof entries[i].name, "key-%d", i);
    return span_text(entries[i].name);
}

/* SipHash-1-3 with the key 00 .. 0f over 00 01 02 ..., from a reference implementation. */
TEST(map_hash_is_siphash_1_3_K7)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } rows[] = {
        {0, 0xabac0158050fc4dcu}, {1, 0xc9f49bf37d57ca93u},  {7, 0xd3927d989bb11140u},
        {8, 0x369095118d299a8eu}, {15, 0xd320d86d2a519956u}, {63, 0x9d199062b7bbb3a8u},
    };
    uint8_t bytes[64];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK(map_hash(seed, span_of(bytes, rows[i].len)) == rows[i].hash);
}

TEST(map_finds_what_was_added_and_nothing_else)
{
    struct map map;
    struct err err;

    CHECK_INT(map_init(&map, COUNT, seed, &err), 0);
    CHECK(map_find(&map, span_text("key-1")) == NULL);
    for (int i = 0; i < COUNT; i++)
        CHECK_INT(map_add(&map, &entries[i].node, key_of(i), &entries[i], &err), 0);
    CHECK_INT(map.count, COUNT);
    for (int i = 0; i < COUNT; i++)
        CHECK(map_find(&map, key_of(i)) == &entries[i]);
    CHECK(map_find(&map, span_text("key-")) == NULL);
    CHECK(map_find(&map, span_of(NULL, 0)) == NULL);
    for (int i = 0; i < COUNT; i += 2)
        map_remove(&map, &entries[i].node);
    for (int i = 0; i < COUNT; i++)
        CHECK(map_find(&map, key_of(i)) == (i % 2 == 0 ? NULL : &entries[i]));
    CHECK_INT(map.count, COUNT / 2);
    map_fini(&map);
}

TEST(map_holds_its_limit)
{
    struct map map;
    struct err err;

    CHECK_INT(map_init(&map, 2, seed, &err), 0);
    CHECK_INT(map_add(&map, &entries[0].node, key_of(0), &entries[0], &err), 0);
    CHECK_INT(map_add(&map, &entries[1].node, key_of(1), &entries[1], &err), 0);
    CHECK_INT(map_add(&map, &entries[2].node, key_of(2), &entries[2], &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    map_remove(&map, &entries[0].node);
    CHECK_INT(map_add(&map, &entries[2].node, key_of(2), &entries[2], &err), 0);
    map_fini(&map);
}

TEST(map_works_when_all_keys_fall_into_one_place)
{
    struct map map;
    struct err err;

    CHECK_INT(map_init(&map, 64, seed, &err), 0);
    map.place_count = 1;
    for (int i = 0; i < 64; i++)
        CHECK_INT(map_add(&map, &entries[i].node, key_of(i), &entries[i], &err), 0);
    map_remove(&map, &entries[31].node);
    for (int i = 0; i < 64; i++)
        CHECK(map_find(&map, key_of(i)) == (i == 31 ? NULL : &entries[i]));
    map_fini(&map);
}

static void remove_what_is_not_there(void)
{
    struct map map;
    struct err err;

    (void)map_init(&map, 2, seed, &err);
    map_remove(&map, &entries[999].node);
}

TEST(map_ends_the_process_on_wrong_use)
{
    check_dies(remove_what_is_not_there);
}

TEST_MAIN(TEST_OF(map_hash_is_siphash_1_3_K7), TEST_OF(map_finds_what_was_added_and_nothing_else),
          TEST_OF(map_holds_its_limit), TEST_OF(map_works_when_all_keys_fall_into_one_place),
          TEST_OF(map_ends_the_process_on_wrong_use))
