/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_FUZZ_HOST_H
#define EXEAT_TESTS_FUZZ_HOST_H

#include <arpa/inet.h>
#include <stdio.h>

#include "http/target.h"

/* What is true of every host that was accepted (threats E1-E4). */
static inline void host_check(const struct host *host)
{
    char text[LIMIT_HOST + 8];
    struct host again;
    uint8_t address[16];
    struct err err;
    int len = snprintf(text, sizeof text, host->kind == HOST_IPV6 ? "[%s]" : "%s", host->name);

    ENSURE(host->len > 0 && strlen(host->name) == host->len);
    ENSURE(target_read_host(span_of(text, (size_t)len), &again, &err) == 0);
    ENSURE(target_is_same_host(host, &again));
    ENSURE((inet_pton(AF_INET, host->name, address) == 1) == (host->kind == HOST_IPV4));
    ENSURE((inet_pton(AF_INET6, host->name, address) == 1) == (host->kind == HOST_IPV6));
    if (host->kind == HOST_NAME) /* what getaddrinfo() would take for a number (threat E4) */
        ENSURE(inet_aton(host->name, &(struct in_addr){0}) == 0);
    for (size_t i = 0; i < host->len; i++)
        ENSURE(strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.:", host->name[i]) != NULL);
}

#endif
