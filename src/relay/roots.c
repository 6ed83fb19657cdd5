/* SPDX-License-Identifier: Apache-2.0 */
/* Where the system keeps its trusted roots, and which of them the relay itself believes. */
#include "relay/roots.h"

#include <errno.h>

#include "os/file.h"

static const char *const places[] = {
    "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Alpine, Arch, Gentoo */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL */
    "/etc/pki/tls/certs/ca-bundle.crt",                  /* older of the same */
    "/etc/ssl/ca-bundle.pem",                            /* SUSE */
    "/etc/ssl/cert.pem",                                 /* Alpine, BSD */
};

int roots_read_system(const char *path, struct room *content, struct err *err)
{
    if (path[0] != '\0')
        return file_read(path, LIMIT_BUNDLE, content, err);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (file_read(places[i], LIMIT_BUNDLE, content, err) == 0 && content->len > 0)
            return 0;
        file_free(content);
    }
    return err_set(err, ERR_CONFIG,
                   "no system roots found: install ca-certificates or say "
                   "--system-roots FILE");
}

int roots_open_context(const struct settings *settings, struct tls_context **context,
                       struct err *err)
{
    struct bundle_roots *roots;
    struct room pem = {0};
    int result;

    *context = NULL;
    if (settings->gateway.scheme == ENDPOINT_HTTP)
        return 0;
    result = settings->gateway_ca[0] != '\0'
                 ? file_read(settings->gateway_ca, LIMIT_BUNDLE, &pem, err)
                 : roots_read_system(settings->system_roots, &pem, err);
    if (result < 0)
        return -1;
    roots = bundle_roots_new(span_of_room(pem), err);
    file_free(&pem);
    if (roots == NULL)
        return -1;
    *context = tls_context_new_client(roots, "http/1.1", err);
    bundle_roots_free(roots);
    return *context == NULL ? -1 : 0;
}
