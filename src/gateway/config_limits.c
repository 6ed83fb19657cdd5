/* SPDX-License-Identifier: Apache-2.0 */
/* `limits`: how many of everything, in all, for a tenant and for a session. */
#include "base/num.h"
#include "gateway/config_section.h"

#define MIB     (UINT64_C(1) << 20)
#define GIB     (UINT64_C(1) << 30)
#define MILLION UINT64_C(1000000)

/* What a tenant and a session get of buffers unless the file says otherwise. */
#define TENANT_PART  2
#define SESSION_PART 8

/* With fewer a connection of HTTP/2 with many streams comes to its end. */
#define BUFFERS_LEAST 128

void config_set_limits(struct config_limits *limits)
{
    *limits = (struct config_limits){
        .tunnels = 10000,
        .tunnels_per_session = 512,
        .joining = 512,
        .sessions = 1000,
        .exchanges = 10000,
        .exchanges_per_session = 1000,
        .origins = 10000,
        .origins_per_session = 512,
        .origins_per_host = 256,
        .origins_idle = 1024,
        .buffers = 4096,
        .leaves_per_second = 50,
        .h2_memory = 128 * MIB,
        .memory = 2 * GIB,
    };
}

static void part_set(uint64_t *value, uint64_t all, uint64_t part, uint64_t least)
{
    if (*value == 0)
        *value = num_min(num_max(all / part, least), all);
}

void config_set_shares(struct config_limits *limits)
{
    part_set(&limits->tunnels_per_tenant, limits->tunnels, TENANT_PART, 1);
    part_set(&limits->exchanges_per_tenant, limits->exchanges, TENANT_PART, 1);
    part_set(&limits->origins_per_tenant, limits->origins, TENANT_PART, 1);
    part_set(&limits->buffers_per_tenant, limits->buffers, TENANT_PART, BUFFERS_LEAST);
    part_set(&limits->buffers_per_session, limits->buffers, SESSION_PART, BUFFERS_LEAST);
}

int config_read_limits(struct config_reader *reader, const struct config_node *node,
                       const struct config_field *field, void *into)
{
#define COUNT(key, least)                                                                          \
    {                                                                                              \
        .name = #key, .read = config_read_count, .offset = offsetof(struct config_limits, key),    \
        .low = (least), .high = MILLION                                                            \
    }
#define SIZE(key)                                                                                  \
    {                                                                                              \
        .name = #key, .read = config_read_size, .offset = offsetof(struct config_limits, key),     \
        .low = MIB, .high = 1024 * GIB                                                             \
    }
    static const struct config_field table[] = {
        COUNT(tunnels, 1),
        COUNT(tunnels_per_tenant, 1),
        COUNT(tunnels_per_session, 1),
        COUNT(joining, 1),
        COUNT(sessions, 1),
        COUNT(exchanges, 1),
        COUNT(exchanges_per_tenant, 1),
        COUNT(exchanges_per_session, 1),
        COUNT(origins, 1),
        COUNT(origins_per_tenant, 1),
        COUNT(origins_per_session, 1),
        COUNT(origins_per_host, 1),
        COUNT(origins_idle, 0),
        COUNT(buffers, CONFIG_BUFFERS_LEAST),
        COUNT(buffers_per_tenant, CONFIG_BUFFERS_LEAST),
        COUNT(buffers_per_session, CONFIG_BUFFERS_LEAST),
        {.name = "leaves_per_second",
         .read = config_read_count,
         .offset = offsetof(struct config_limits, leaves_per_second),
         .low = 1,
         .high = LIMIT_LEAVES_PER_SECOND},
        SIZE(h2_memory),
        SIZE(memory),
    };
#undef COUNT
#undef SIZE
    static const struct config_fields fields = CONFIG_FIELDS(table, "limits");

    (void)field;
    return config_read_map(reader, node, &fields, into);
}
