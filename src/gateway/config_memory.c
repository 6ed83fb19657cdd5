/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker can take at most. Every pool and quota of a worker is in it (gateway/share,
 * gateway/worker_setup), with what the TLS library takes for each connection, which was measured.
 */
#include "base/num.h"
#include "base/text.h"
#include "gateway/config_section.h"
#include "gateway/leaf_cache.h"

#define KIB UINT64_C(1024)

/* Measured: a connection at rest has 12 to 17 KiB; towards origins its chain comes on top. */
#define TLS_SERVER_COST (18 * KIB)
#define TLS_CLIENT_COST (26 * KIB)

/* A tunnel that is inspected has two TLS states, one that is not may have a dial under way. */
#define TUNNEL_COST   (CONFIG_TUNNEL_STRUCTS + 2 * TLS_SERVER_COST)
#define ORIGIN_COST   (CONFIG_ORIGIN_STRUCTS + CONFIG_DIAL_STRUCTS + TLS_CLIENT_COST)
#define EXCHANGE_COST (CONFIG_EXCHANGE_STRUCTS + CONFIG_HEADS_EACH * (uint64_t)LIMIT_ARENA_BLOCK)

/* Secrets are longer only if the operator's are. */
#define CREDENTIAL_COST KIB

/* A certificate, parsed. */
#define LEAF_COST (8 * KIB)

/* Code, roots, this configuration, TLS sessions to resume. */
#define BASE_COST (64 * KIB * KIB)

/* One block of a stream's content for so many of the others. */
#define BUFFERS_EACH 4

uint64_t config_contents_of(uint64_t buffers)
{
    return buffers / BUFFERS_EACH;
}

uint64_t config_buffers_of_joining(const struct config_limits *limits)
{
    return num_max(limits->buffers / 8, CONFIG_BUFFERS_LEAST);
}

void config_memory_parts(const struct config *config,
                         struct config_memory_part parts[CONFIG_MEMORY_COUNT])
{
    const struct config_limits *limits = &config->limits;
    const uint64_t session =
        CONFIG_SESSION_STRUCTS + config->policy.credential_count * (uint64_t)CREDENTIAL_COST;

#define PART(kind, words_, count_, each_)                                                          \
    parts[CONFIG_MEMORY_##kind] =                                                                  \
        (struct config_memory_part){.words = (words_), .count = (count_), .each = (each_)}
    PART(TUNNELS, "tunnels", limits->tunnels + CONFIG_TUNNELS_EXCESS, TUNNEL_COST);
    PART(ORIGINS, "origins", limits->origins, ORIGIN_COST);
    PART(EXCHANGES, "exchanges", limits->exchanges, EXCHANGE_COST);
    PART(BUFFERS, "buffers", limits->buffers, LIMIT_BLOCK);
    PART(CONTENTS, "buffers of HTTP/2 streams", config_contents_of(limits->buffers),
         LIMIT_STREAM_WINDOW);
    PART(H2, "h2_memory", 1, limits->h2_memory);
    PART(SESSIONS, "sessions", limits->sessions, session);
    PART(LEAVES, "leaf certificates", LEAF_CACHE_MAX, LEAF_COST);
    PART(BASE, "the program", 1, BASE_COST);
#undef PART
}

uint64_t config_memory_worst(const struct config *config)
{
    struct config_memory_part parts[CONFIG_MEMORY_COUNT];
    uint64_t sum = 0;

    config_memory_parts(config, parts);
    for (size_t i = 0; i < CONFIG_MEMORY_COUNT; i++)
        sum += parts[i].count * parts[i].each;
    return sum;
}

static uint64_t mib_of(uint64_t bytes)
{
    return (bytes + KIB * KIB - 1) / (KIB * KIB);
}

int config_check_memory(struct config_reader *reader, const struct config_node *tree)
{
    const struct config *config = reader->config;
    const struct config_node *limits = config_tree_find(tree, span_text("limits"));
    const struct config_node *node = limits == NULL ? tree : config_value_or_map(limits, "memory");
    struct config_memory_part parts[CONFIG_MEMORY_COUNT];
    uint64_t worst = config_memory_worst(config);
    char memory[400];
    struct text words;

    if (worst <= config->limits.memory)
        return 0;
    config_memory_parts(config, parts);
    text_init(&words, memory, sizeof memory - 1);
    for (size_t i = 0; i < CONFIG_MEMORY_COUNT; i++)
        text_addf(&words, "%s%s %llu", i == 0 ? "" : ", ", parts[i].words,
                  (unsigned long long)mib_of(parts[i].count * parts[i].each));
    return config_refuse(reader, node,
                         "a worker can take %llu MiB (%s), expected at most limits.memory, which "
                         "is %llu MiB",
                         (unsigned long long)mib_of(worst), text_str(&words),
                         (unsigned long long)(config->limits.memory / (KIB * KIB)));
}
