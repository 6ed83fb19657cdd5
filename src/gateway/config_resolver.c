/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver's section: which servers are asked, which names are not asked for. */
#include "base/text.h"
#include "gateway/config_section.h"
#include "http/target.h"

#define HOST_ADDRESSES 64 /* of one name */

/* "9.9.9.9", "::1", "127.0.0.1:5353", "[::1]:5353" */
static int read_server(struct config_reader *reader, const struct config_node *node,
                       struct text *out)
{
    static const char expected[] = "a DNS server such as 9.9.9.9 or \"127.0.0.1:5353\"";
    struct address address;
    struct err err;

    if (config_expect_scalar(reader, node, expected) < 0)
        return -1;
    if (socket_read_ip(node->text, 53, &address, &err) < 0 &&
        socket_read_address(node->text, &address, &err) < 0)
        return config_refuse(reader, node, "%s, expected %s", config_words(node).text, expected);
    if (out->len > 0)
        text_add_char(out, ',');
    socket_write_address(out, &address);
    return 0;
}

static int read_servers(struct config_reader *reader, const struct config_node *node,
                        const struct config_field *field, void *into)
{
    struct config *config = into;
    size_t size;
    struct text out;
    char *memory;
    int result = 0;

    (void)field;
    if (config_expect_list(reader, node, 16, "DNS servers") < 0)
        return -1;
    size = node->count * 64 + 1;
    memory = config_take(reader, node, size, 1);
    if (memory == NULL)
        return -1;
    text_init(&out, memory, size);
    for (const struct config_node *at = node->first; at != NULL; at = at->next) {
        if (read_server(reader, at, &out) < 0)
            result = -1;
    }
    config->resolver.servers = text_str(&out);
    return result;
}

static int read_host_address(struct config_reader *reader, const struct config_node *node,
                             struct span name)
{
    struct config_resolver *resolver = &reader->config->resolver;
    struct config_host *host = &resolver->hosts[resolver->host_count];
    struct err err;

    if (config_expect_scalar(reader, node, "an IPv4 or IPv6 address") < 0)
        return -1;
    if (socket_read_ip(node->text, 0, &host->address, &err) < 0)
        return config_refuse(reader, node, "%s, expected an IPv4 or IPv6 address",
                             config_words(node).text);
    host->name = name;
    resolver->host_count++;
    return 0;
}

/* One name with its address or its list of addresses. */
static int read_host(struct config_reader *reader, const struct config_node *node)
{
    const struct config_node *at = node->kind == CONFIG_LIST ? node->first : node;
    struct host host;
    struct span name;
    struct err err;
    int result = 0;

    if (target_read_host(node->key->text, &host, &err) < 0 || host.kind != HOST_NAME)
        return config_refuse(reader, node->key, "%s, expected a host's name",
                             config_words(node->key).text);
    if (node->kind == CONFIG_LIST &&
        config_expect_list(reader, node, HOST_ADDRESSES, "addresses") < 0)
        return -1;
    name = config_copy(reader, node, target_host_span(&host));
    if (name.ptr == NULL)
        return -1;
    for (; at != NULL; at = at == node ? NULL : at->next) {
        if (read_host_address(reader, at, name) < 0)
            result = -1;
    }
    return result;
}

static int read_hosts(struct config_reader *reader, const struct config_node *node,
                      const struct config_field *field, void *into)
{
    struct config_resolver *resolver = &((struct config *)into)->resolver;
    size_t count = 0;
    int result = 0;

    (void)field;
    if (config_expect_map(reader, node, "names and their addresses") < 0)
        return -1;
    for (const struct config_node *at = node->first; at != NULL; at = at->next)
        count += at->kind == CONFIG_LIST ? at->count : 1;
    if (count > 1024)
        return config_refuse(reader, node, "%zu addresses, expected at most 1024", count);
    resolver->hosts = config_take(reader, node, count, sizeof *resolver->hosts);
    if (resolver->hosts == NULL)
        return -1;
    for (const struct config_node *at = node->first; at != NULL; at = at->next) {
        if (read_host(reader, at) < 0)
            result = -1;
    }
    return result;
}

int config_read_resolver(struct config_reader *reader, const struct config_node *node,
                         const struct config_field *field, void *into)
{
    static const struct config_field table[] = {
        {.name = "servers", .read = read_servers},
        {.name = "hosts", .read = read_hosts},
    };
    static const struct config_fields fields = CONFIG_FIELDS(table, "resolver");

    (void)field;
    return config_read_map(reader, node, &fields, into);
}
