/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network of the configuration, a newline, then an address of 16 bytes, a newline, then the text
 * of a host pattern. What is read is inside itself, and an address never passes only because some
 * other network is listed.
 */
#include "policy/address.h"
#include "policy/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static bool is_inside(const struct network *network, const uint8_t address[16])
{
    for (unsigned i = 0; i < network->prefix; i++) {
        if (((address[i / 8] ^ network->address[i / 8]) >> (7 - i % 8) & 1) != 0)
            return false;
    }
    return true;
}

static void one_network(struct span text, const uint8_t address[16])
{
    struct network network;
    struct policy listed = {.networks = &network, .network_count = 1};
    struct policy empty = {0};
    struct err err;
    int with;
    int without;

    if (address_read_network(text, &network, &err) < 0) {
        ENSURE(err.code == ERR_CONFIG && err.text[0] != 0);
        return;
    }
    ENSURE(network.prefix <= 128 && is_inside(&network, network.address));
    without = address_check(&empty, address, &err);
    ENSURE(without == 0 || err.code == ERR_ADDRESS);
    with = address_check(&listed, address, &err);
    ENSURE(with == 0 || err.code == ERR_ADDRESS);
    ENSURE(without < 0 || with == 0);
    if (network.prefix == 128 && is_inside(&network, address))
        ENSURE(with == 0);
}

static void one_pattern(struct span text)
{
    struct pool pool;
    struct arena arena;
    struct host_pattern pattern;
    struct host host;
    struct err err;

    pool_init(&pool, LIMIT_ARENA_BLOCK, 4, 0);
    arena_init(&arena, &pool, 4096);
    if (match_read_host_pattern(text, &arena, &pattern, &err) < 0)
        ENSURE(err.code == ERR_CONFIG && err.text[0] != 0);
    else if (pattern.kind == PATTERN_EXACT && target_read_host(text, &host, &err) == 0)
        ENSURE(match_host(&pattern, &host) &&
               match_is_literal(&pattern) == (host.kind != HOST_NAME));
    arena_reset(&arena);
    pool_fini(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span in = span_of(bytes, len);
    ssize_t newline = span_find(in, '\n');
    uint8_t address[16];

    if (newline < 0 || len - (size_t)newline < 1 + sizeof address + 1)
        return 0;
    memcpy(address, bytes + newline + 1, sizeof address);
    one_network(span_first(in, (size_t)newline), address);
    one_pattern(span_from(in, (size_t)newline + 1 + sizeof address + 1));
    return 0;
}
