/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canonical host, the name by which everything is decided (invariant I1): whatever is accepted
 * has one form, which every other spelling of it has as well, and no spelling of it is refused.
 */
#include "fuzz/http/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* The text with `tail` behind it must be read as the same host. */
static void same_check(struct span text, const char *tail, const struct host *host)
{
    char memory[2 * LIMIT_HOST];
    struct host other;
    struct err err;

    ENSURE(text.len + strlen(tail) < sizeof memory);
    memcpy(memory, text.ptr, text.len);
    memcpy(memory + text.len, tail, strlen(tail) + 1);
    ENSURE(target_read_host(span_text(memory), &other, &err) == 0);
    ENSURE(target_is_same_host(host, &other));
}

/* The letters in the other case. */
static void case_check(struct span text, const struct host *host)
{
    uint8_t memory[2 * LIMIT_HOST];

    ENSURE(text.len < sizeof memory);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t lower = text.ptr[i] | 0x20;

        memory[i] = lower >= 'a' && lower <= 'z' ? text.ptr[i] ^ 0x20 : text.ptr[i];
    }
    same_check(span_of(memory, text.len), "", host);
}

/* "host:port" is this host and that port, in each of the forms that have one. */
static void port_check(struct span text, const struct host *host)
{
    char memory[2 * LIMIT_HOST];
    struct host other;
    struct err err;
    uint16_t port;
    int len = snprintf(memory, sizeof memory, "%.*s:8443", (int)text.len, (const char *)text.ptr);

    ENSURE(target_read_connect(span_of(memory, (size_t)len), &other, &port, &err) == 0);
    ENSURE(target_is_same_host(host, &other) && port == 8443);
    ENSURE(target_read_authority(span_of(memory, (size_t)len), 1, &other, &port, &err) == 0);
    ENSURE(target_is_same_host(host, &other) && port == 8443);
    ENSURE(target_read_authority(text, 443, &other, &port, &err) == 0);
    ENSURE(target_is_same_host(host, &other) && port == 443);
    ENSURE(target_read_connect(text, &other, &port, &err) < 0 || host->kind == HOST_IPV6);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span text = span_of(bytes, len);
    struct host host;
    struct err err;

    if (target_read_host(text, &host, &err) < 0) {
        ENSURE(err.code == ERR_TARGET);
        return 0;
    }
    ENSURE(len <= LIMIT_HOST + 3);
    host_check(&host);
    case_check(text, &host);
    port_check(text, &host);
    if (host.kind == HOST_NAME && bytes[len - 1] != '.')
        same_check(text, ".", &host);
    return 0;
}
