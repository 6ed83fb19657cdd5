/* SPDX-License-Identifier: Apache-2.0 */
/* The URL of the gateway. */
#include "relay/endpoint.h"

static const struct {
    const char *prefix;
    uint16_t port;
} schemes[] = {
    [ENDPOINT_HTTP] = {"http://", 80},
    [ENDPOINT_HTTPS] = {"https://", 443},
};

static int path_read(struct endpoint *endpoint, struct span path, struct err *err)
{
    while (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;
    if (path.len >= sizeof endpoint->path)
        return err_set(err, ERR_CONFIG, "URL: path of %zu bytes", path.len);
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] <= 0x20 || path.ptr[i] >= 0x7f || path.ptr[i] == '?' || path.ptr[i] == '#')
            return err_set(err, ERR_CONFIG, "URL: byte 0x%02x in the path", path.ptr[i]);
    }
    if (path.len > 0)
        memcpy(endpoint->path, path.ptr, path.len);
    endpoint->path[path.len] = '\0';
    return 0;
}

int endpoint_read(struct endpoint *endpoint, struct span url, struct err *err)
{
    enum endpoint_scheme scheme = ENDPOINT_HTTP;
    struct span rest;
    struct err inner;
    ssize_t slash;

    if (span_starts(url, span_text(schemes[ENDPOINT_HTTPS].prefix)))
        scheme = ENDPOINT_HTTPS;
    else if (!span_starts(url, span_text(schemes[ENDPOINT_HTTP].prefix)))
        return err_set(err, ERR_CONFIG, "URL does not begin with http:// or https://");
    rest = span_from(url, strlen(schemes[scheme].prefix));
    slash = span_find(rest, '/');
    *endpoint = (struct endpoint){.scheme = scheme};
    if (target_read_authority(slash < 0 ? rest : span_first(rest, (size_t)slash),
                              schemes[scheme].port, &endpoint->host, &endpoint->port, &inner) < 0)
        return err_set(err, ERR_CONFIG, "URL: %s", inner.text);
    return path_read(endpoint, slash < 0 ? span_of(NULL, 0) : span_from(rest, (size_t)slash), err);
}

static void host_write(const struct host *host, struct text *out)
{
    if (host->kind == HOST_IPV6)
        text_add_char(out, '[');
    text_add(out, target_host_span(host));
    if (host->kind == HOST_IPV6)
        text_add_char(out, ']');
}

void endpoint_write_authority(const struct endpoint *endpoint, struct text *out)
{
    host_write(&endpoint->host, out);
    if (endpoint->port != schemes[endpoint->scheme].port)
        text_addf(out, ":%u", endpoint->port);
}

void endpoint_write_target(const struct endpoint *endpoint, struct text *out)
{
    host_write(&endpoint->host, out);
    text_addf(out, ":%u", endpoint->port);
}
