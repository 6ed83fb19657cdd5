/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What children reach without the relay. Written so that most dialects of NO_PROXY read it alike:
 * comma separated without blanks, lower case, each zone with and without its leading dot, both
 * spellings of IPv6 loopback, the few real addresses by hand because half of the clients know no
 * CIDR.
 */
#include "relay/bypass.h"

static const char base_list[] = "localhost,127.0.0.1,::1,[::1],169.254.169.254,"
                                "metadata.google.internal,127.0.0.0/8,169.254.0.0/16,10.0.0.0/8,"
                                "172.16.0.0/12,192.168.0.0/16";

static const char ccr_list[] = ",anthropic.com,.anthropic.com,*.anthropic.com,github.com,"
                               "api.github.com,*.github.com,*.githubusercontent.com,"
                               "registry.npmjs.org,pypi.org,files.pythonhosted.org,"
                               "index.crates.io,proxy.golang.org";

static void gateway_write(const struct endpoint *gateway, struct text *out)
{
    struct span name = target_host_span(&gateway->host);

    if (parent_proxy_list_has(text_span(out), &gateway->host) && gateway->host.kind != HOST_NAME)
        return;
    if (gateway->host.kind == HOST_NAME && span_equal(name, span_text("localhost")))
        return;
    text_add_char(out, ',');
    text_add(out, name);
    if (gateway->host.kind == HOST_IPV4)
        return;
    text_add_str(out, gateway->host.kind == HOST_IPV6 ? ",[" : ",.");
    text_add(out, name);
    if (gateway->host.kind == HOST_IPV6)
        text_add_char(out, ']');
}

static int list_check(struct span list, struct err *err)
{
    for (size_t i = 0; i < list.len; i++) {
        if (list.ptr[i] <= 0x20 || list.ptr[i] >= 0x7f)
            return err_set(err, ERR_CONFIG, "--no-proxy: byte 0x%02x at %zu (no blanks allowed)",
                           list.ptr[i], i);
    }
    return 0;
}

int bypass_write(const char *choice, const struct endpoint *gateway, struct text *out,
                 struct err *err)
{
    if (choice != NULL && strcmp(choice, "ccr") != 0) {
        if (list_check(span_text(choice), err) < 0)
            return -1;
        text_add_lower(out, span_text(choice));
        return text_check(out, "--no-proxy", err);
    }
    text_add_str(out, base_list);
    gateway_write(gateway, out);
    if (choice != NULL)
        text_add_str(out, ccr_list);
    return text_check(out, "NO_PROXY", err);
}
