/* SPDX-License-Identifier: Apache-2.0 */
/* The corporate proxy between the relay and its gateway, from the relay's own environment. */
#include "relay/endpoint.h"

#include <arpa/inet.h>

#include "base/num.h"
#include "relay/environ.h"

static int is_loopback(const struct host *host)
{
    struct span name = target_host_span(host);

    if (host->kind == HOST_IPV4)
        return span_starts(name, span_text("127."));
    if (host->kind == HOST_IPV6)
        return span_equal(name, span_text("::1"));
    return span_equal(name, span_text("localhost")) || span_ends(name, span_text(".localhost"));
}

/* "10.0.0.0/8" against an IPv4 literal. */
static int cidr_has(struct span entry, const struct host *host)
{
    ssize_t slash = span_find(entry, '/');
    char net_text[INET_ADDRSTRLEN];
    struct in_addr net;
    struct in_addr address;
    uint64_t bits;
    uint32_t mask;
    struct err err;

    if (slash < 0 || host->kind != HOST_IPV4 || (size_t)slash >= sizeof net_text)
        return 0;
    memcpy(net_text, entry.ptr, (size_t)slash);
    net_text[slash] = '\0';
    if (num_read_u64(span_from(entry, (size_t)slash + 1), &bits, &err) < 0 || bits > 32)
        return 0;
    if (inet_pton(AF_INET, net_text, &net) != 1 || inet_pton(AF_INET, host->name, &address) != 1)
        return 0;
    mask = bits == 0 ? 0 : htonl(UINT32_MAX << (32 - bits));
    return (net.s_addr & mask) == (address.s_addr & mask);
}

static int entry_has(struct span entry, const struct host *host)
{
    struct span name = target_host_span(host);

    if (span_equal(entry, span_text("*")))
        return 1;
    if (span_starts(entry, span_text("*.")))
        entry = span_from(entry, 2);
    else if (span_starts(entry, span_text(".")))
        entry = span_from(entry, 1);
    else if (span_starts(entry, span_text("[")) && span_ends(entry, span_text("]")))
        entry = span_of(entry.ptr + 1, entry.len - 2);
    if (entry.len == 0)
        return 0;
    if (span_equal_nocase(entry, name))
        return 1;
    if (host->kind != HOST_NAME)
        return cidr_has(entry, host);
    return name.len > entry.len && name.ptr[name.len - entry.len - 1] == '.' &&
           span_equal_nocase(span_from(name, name.len - entry.len), entry);
}

int parent_proxy_list_has(struct span list, const struct host *host)
{
    while (list.len > 0) {
        ssize_t comma = span_find(list, ',');
        size_t len = comma < 0 ? list.len : (size_t)comma;

        if (entry_has(span_trim(span_first(list, len)), host))
            return 1;
        list = span_from(list, comma < 0 ? len : len + 1);
    }
    return 0;
}

static const char *either_case(char *const *envp, const char *lower, const char *upper)
{
    const char *value = environ_find(envp, lower);

    if (value == NULL || value[0] == '\0')
        value = environ_find(envp, upper);
    return value == NULL ? "" : value;
}

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
        return (byte | 0x20) - 'a' + 10;
    return -1;
}

/* Percent-decoded user and password, as Basic credentials. */
static int basic_read(struct parent_proxy *proxy, struct span userinfo, struct err *err)
{
    char plain[512];
    struct text decoded;
    struct text out;
    int result = 0;

    text_init(&decoded, plain, sizeof plain);
    for (size_t i = 0; i < userinfo.len; i++) {
        int high = i + 2 < userinfo.len ? hex_value(userinfo.ptr[i + 1]) : -1;
        int low = i + 2 < userinfo.len ? hex_value(userinfo.ptr[i + 2]) : -1;

        if (userinfo.ptr[i] == '%' && high >= 0 && low >= 0) {
            text_add_char(&decoded, (char)(high * 16 + low));
            i += 2;
        } else {
            text_add_char(&decoded, (char)userinfo.ptr[i]);
        }
    }
    if (span_find(userinfo, ':') < 0)
        text_add_char(&decoded, ':');
    text_init(&out, proxy->basic, sizeof proxy->basic - 1);
    text_add_str(&out, "Basic ");
    text_add_base64(&out, text_span(&decoded));
    if (decoded.overflow || out.overflow)
        result = err_set(err, ERR_CONFIG, "user and password are too long");
    else
        (void)text_str(&out);
    explicit_bzero(plain, sizeof plain);
    return result;
}

/* "[http://][user[:password]@]host[:port][/]" */
static int url_read(struct parent_proxy *proxy, struct span value, struct err *err)
{
    char memory[640];
    struct text url;
    struct err inner;
    ssize_t at = -1;

    if (span_starts(value, span_text("http://")))
        value = span_from(value, strlen("http://"));
    else if (span_find_span(value, span_text("://")) >= 0)
        return err_set(err, ERR_CONFIG, "only http:// proxies are supported");
    for (size_t i = 0; i < value.len; i++)
        at = value.ptr[i] == '@' ? (ssize_t)i : at;
    if (at >= 0 && basic_read(proxy, span_first(value, (size_t)at), err) < 0)
        return -1;
    text_init(&url, memory, sizeof memory);
    text_add_str(&url, "http://");
    text_add(&url, span_from(value, (size_t)(at + 1)));
    if (url.overflow || endpoint_read(&proxy->at, text_span(&url), &inner) < 0)
        return err_set(err, ERR_CONFIG, "host and port cannot be read");
    proxy->is_set = 1;
    return 0;
}

int parent_proxy_read(struct parent_proxy *proxy, char *const *envp, const struct endpoint *gateway,
                      struct err *err)
{
    struct span value = span_trim(span_text(either_case(envp, "https_proxy", "HTTPS_PROXY")));
    struct span list = span_text(either_case(envp, "no_proxy", "NO_PROXY"));
    struct err inner;

    *proxy = (struct parent_proxy){0};
    if (value.len == 0 || is_loopback(&gateway->host) ||
        parent_proxy_list_has(list, &gateway->host))
        return 0;
    if (url_read(proxy, value, &inner) < 0)
        return err_set(err, ERR_CONFIG, "HTTPS_PROXY: %s", inner.text);
    return 0;
}

int parent_proxy_find(struct parent_proxy *proxy, const char *option, char *const *envp,
                      struct err *err)
{
    const char *value = option != NULL ? option : either_case(envp, "https_proxy", "HTTPS_PROXY");
    struct err inner;

    *proxy = (struct parent_proxy){0};
    if (span_trim(span_text(value)).len == 0)
        return err_set(err, ERR_CONFIG, "HTTPS_PROXY is not set: run under exeat run, or --proxy");
    if (url_read(proxy, span_trim(span_text(value)), &inner) < 0)
        return err_set(err, ERR_CONFIG, "%s: %s", option != NULL ? "--proxy" : "HTTPS_PROXY",
                       inner.text);
    return 0;
}
