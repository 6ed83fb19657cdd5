/* SPDX-License-Identifier: Apache-2.0 */
/* The sections of the configuration that are not policy. */
#include "gateway/config_section.h"

#include "base/text.h"
#include "policy/address.h"

#define MS_SECOND UINT64_C(1000)
#define MS_HOUR   UINT64_C(3600000)

/* Deadlines are kept in steps of 100 ms: less would be a deadline of nothing. */
#define MS_LEAST 100

void config_set_defaults(struct config *config)
{
    config->ca.leaf_lifetime_ms = 24 * (int64_t)MS_HOUR;
    config->tls.tickets = 1;
    config->audit.sync_ms = 1000;
    config->log = LOG_INFO;
    config_set_limits(&config->limits);
    config->timeouts = (struct config_timeouts){
        .handshake_ms = 5000,
        .auth_ms = 5000,
        .hello_ms = 10000,
        .peek_ms = 10000,
        .mint_ms = 5000,
        .inspect_handshake_ms = 10000,
        .idle_ms = 120000,
        .head_ms = 15000,
        .resolve_ms = 5000,
        .connect_ms = 10000,
        .origin_handshake_ms = 10000,
        .origin_idle_ms = 30000,
        .forward_ms = 300000,
        .body_window_ms = 60000,
        .body_rate = 1024,
        .stall_ms = 60000,
        .drain_ms = 30000,
    };
}

int config_read_workers(struct config_reader *reader, const struct config_node *node,
                        const struct config_field *field, void *into)
{
    static const struct config_field bounds = {.low = 1, .high = 64};
    uint64_t count;
    unsigned workers;

    (void)field;
    if (config_read_count(reader, node, &bounds, &count) < 0)
        return -1;
    workers = (unsigned)count;
    memcpy(into, &workers, sizeof workers);
    return 0;
}

static bool is_user(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool is_first = (c >= 'a' && c <= 'z') || c == '_';

        if (!is_first && (i == 0 || !((c >= '0' && c <= '9') || c == '-')))
            return false;
    }
    return text.len > 0 && text.len <= 32;
}

int config_read_user(struct config_reader *reader, const struct config_node *node,
                     const struct config_field *field, void *into)
{
    struct span name;

    (void)field;
    if (config_expect_scalar(reader, node, "a user's name") < 0)
        return -1;
    if (!is_user(node->text))
        return config_refuse(reader, node, "%s, expected a user's name (a-z, 0-9, '_', '-')",
                             config_words(node).text);
    name = config_copy(reader, node, node->text);
    if (name.ptr == NULL)
        return -1;
    memcpy(into, &name.ptr, sizeof name.ptr);
    return 0;
}

int config_read_log(struct config_reader *reader, const struct config_node *node,
                    const struct config_field *field, void *into)
{
    static const char expected[] = "error, warning, info or debug";
    enum log_level level;

    (void)field;
    if (config_expect_scalar(reader, node, expected) < 0)
        return -1;
    if (log_level_read((const char *)node->text.ptr, &level) < 0)
        return config_refuse(reader, node, "%s, expected %s", config_words(node).text, expected);
    memcpy(into, &level, sizeof level);
    return 0;
}

#define DURATION(key, type, member, least, most)                                                   \
    {                                                                                              \
        .name = (key), .read = config_read_duration, .offset = offsetof(type, member),             \
        .low = (least), .high = (most)                                                             \
    }
#define PATH(key, type, member, how)                                                               \
    {                                                                                              \
        .name = (key), .read = config_read_path, .offset = offsetof(type, member), .need = (how)   \
    }

int config_read_ca(struct config_reader *reader, const struct config_node *node,
                   const struct config_field *field, void *into)
{
    static const struct config_field table[] = {
        PATH("certificate", struct config_ca, certificate, CONFIG_OPTIONAL),
        PATH("key", struct config_ca, key, CONFIG_OPTIONAL),
        DURATION("leaf_lifetime", struct config_ca, leaf_lifetime_ms, MS_HOUR, 168 * MS_HOUR),
    };
    static const struct config_fields fields = CONFIG_FIELDS(table, "ca");

    (void)field;
    ((struct config_ca *)into)->line = node->line;
    return config_read_map(reader, node, &fields, into);
}

int config_read_tls(struct config_reader *reader, const struct config_node *node,
                    const struct config_field *field, void *into)
{
    static const struct config_field table[] = {
        {.name = "tickets",
         .read = config_read_count,
         .offset = offsetof(struct config_tls, tickets),
         .low = 0,
         .high = 1},
    };
    static const struct config_fields fields = CONFIG_FIELDS(table, "tls");

    (void)field;
    return config_read_map(reader, node, &fields, into);
}

int config_read_audit(struct config_reader *reader, const struct config_node *node,
                      const struct config_field *field, void *into)
{
    static const struct config_field table[] = {
        PATH("file", struct config_audit, file, CONFIG_OPTIONAL),
        DURATION("sync", struct config_audit, sync_ms, 1, 60 * MS_SECOND),
    };
    static const struct config_fields fields = CONFIG_FIELDS(table, "audit");

    (void)field;
    return config_read_map(reader, node, &fields, into);
}

const struct config_node *config_value_or_map(const struct config_node *map, const char *key)
{
    const struct config_node *value = config_tree_find(map, span_text(key));

    return value == NULL ? map : value;
}

#define TIMEOUT(key, member) DURATION(key, struct config_timeouts, member, MS_LEAST, 24 * MS_HOUR)

int config_read_timeouts(struct config_reader *reader, const struct config_node *node,
                         const struct config_field *field, void *into)
{
    static const struct config_field table[] = {
        TIMEOUT("handshake", handshake_ms),
        TIMEOUT("auth", auth_ms),
        TIMEOUT("hello", hello_ms),
        TIMEOUT("peek", peek_ms),
        TIMEOUT("mint", mint_ms),
        TIMEOUT("inspect_handshake", inspect_handshake_ms),
        TIMEOUT("idle", idle_ms),
        TIMEOUT("head", head_ms),
        TIMEOUT("resolve", resolve_ms),
        TIMEOUT("connect", connect_ms),
        TIMEOUT("origin_handshake", origin_handshake_ms),
        TIMEOUT("origin_idle", origin_idle_ms),
        TIMEOUT("forward_idle", forward_ms),
        TIMEOUT("body_window", body_window_ms),
        {.name = "body_rate",
         .read = config_read_size,
         .offset = offsetof(struct config_timeouts, body_rate),
         .low = 0,
         .high = UINT64_C(1) << 30},
        TIMEOUT("stall", stall_ms),
        TIMEOUT("drain", drain_ms),
    };
    static const struct config_fields fields = CONFIG_FIELDS(table, "timeouts");

    (void)field;
    return config_read_map(reader, node, &fields, into);
}

static int read_listen_address(struct config_reader *reader, const struct config_node *node,
                               const struct config_field *field, void *into)
{
    struct address address;
    struct err err;

    (void)field;
    if (config_expect_scalar(reader, node, "an address such as 127.0.0.1:8443") < 0)
        return -1;
    if (socket_read_address(node->text, &address, &err) < 0)
        return config_refuse(reader, node, "%s, expected an address such as 127.0.0.1:8443",
                             config_words(node).text);
    memcpy(into, &address, sizeof address);
    return 0;
}

static int read_listen_tls(struct config_reader *reader, const struct config_node *node,
                           const struct config_field *field, void *into)
{
    static const struct config_field table[] = {
        PATH("certificate", struct config_listen, certificate, CONFIG_REQUIRED),
        PATH("key", struct config_listen, key, CONFIG_REQUIRED),
    };
    static const struct config_fields fields = CONFIG_FIELDS(table, "tls");

    (void)field;
    return config_read_map(reader, node, &fields, into);
}

static bool is_same_address(const struct address *a, const struct address *b)
{
    char words[2][80];
    struct text texts[2];

    text_init(&texts[0], words[0], sizeof words[0]);
    text_init(&texts[1], words[1], sizeof words[1]);
    socket_write_address(&texts[0], a);
    socket_write_address(&texts[1], b);
    return span_equal(text_span(&texts[0]), text_span(&texts[1]));
}

static int read_listener(struct config_reader *reader, const struct config_node *node, size_t at)
{
    static const struct config_field table[] = {
        {.name = "address",
         .read = read_listen_address,
         .offset = offsetof(struct config_listen, address),
         .need = CONFIG_REQUIRED},
        {.name = "tls", .read = read_listen_tls},
    };
    static const struct config_fields fields = CONFIG_FIELDS(table, "a listener");
    struct config_listen *listens = reader->config->listens;

    listens[at].line = node->line;
    if (config_read_map(reader, node, &fields, &listens[at]) < 0)
        return -1;
    for (size_t i = 0; i < at; i++) {
        if (listens[i].address.len > 0 && socket_port(&listens[i].address) != 0 &&
            is_same_address(&listens[i].address, &listens[at].address))
            return config_refuse(reader, config_value_or_map(node, "address"),
                                 "an address again, expected it once (it is on line %u)",
                                 listens[i].line);
    }
    return 0;
}

int config_read_listen(struct config_reader *reader, const struct config_node *node,
                       const struct config_field *field, void *into)
{
    struct config *config = into;
    int result = 0;

    (void)field;
    if (config_expect_list(reader, node, 16, "listeners") < 0)
        return -1;
    config->listens = config_take(reader, node, node->count, sizeof *config->listens);
    if (config->listens == NULL)
        return -1;
    for (const struct config_node *at = node->first; at != NULL; at = at->next) {
        if (read_listener(reader, at, config->listen_count++) < 0)
            result = -1;
    }
    return result;
}

/* One path or a list of them. */
static int read_roots(struct config_reader *reader, const struct config_node *node,
                      const struct config_field *field, void *into)
{
    struct config *config = into;
    const struct config_node *first = node->kind == CONFIG_LIST ? node->first : node;
    int result = 0;

    if (node->kind == CONFIG_LIST && config_expect_list(reader, node, 64, "paths") < 0)
        return -1;
    config->root_line = node->line;
    config->roots = config_take(reader, node, node->kind == CONFIG_LIST ? node->count : 1,
                                sizeof *config->roots);
    if (config->roots == NULL)
        return -1;
    for (const struct config_node *at = first; at != NULL; at = at == node ? NULL : at->next) {
        if (config_read_path(reader, at, field, &config->roots[config->root_count++]) < 0)
            result = -1;
    }
    return result;
}

static int read_networks(struct config_reader *reader, const struct config_node *node,
                         const struct config_field *field, void *into)
{
    struct policy *policy = &((struct config *)into)->policy;
    int result = 0;

    (void)field;
    if (config_expect_list(reader, node, 1024, "networks such as 10.0.0.0/8") < 0)
        return -1;
    policy->networks = config_take(reader, node, node->count, sizeof *policy->networks);
    if (policy->networks == NULL)
        return -1;
    for (const struct config_node *at = node->first; at != NULL; at = at->next) {
        struct network *network = &policy->networks[policy->network_count];
        struct err err;

        if (config_expect_scalar(reader, at, "a network such as 10.0.0.0/8") < 0)
            result = -1;
        else if (address_read_network(at->text, network, &err) < 0)
            result = config_refuse(reader, at, "%s, expected a network such as 10.0.0.0/8 (%s)",
                                   config_words(at).text, err.text);
        else
            policy->network_count++;
    }
    return result;
}

int config_read_origins(struct config_reader *reader, const struct config_node *node,
                        const struct config_field *field, void *into)
{
    static const struct config_field table[] = {
        {.name = "roots", .read = read_roots},
        {.name = "networks", .read = read_networks},
    };
    static const struct config_fields fields = CONFIG_FIELDS(table, "origins");

    (void)field;
    return config_read_map(reader, node, &fields, into);
}
