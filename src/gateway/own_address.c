/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listener bound to one address is reached by that one; one bound to all addresses of a family by
 * every address that this machine has, which are not the same for ever: the system is asked.
 */
#include "gateway/own_address.h"

#include "policy/address.h"

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

/* Where the kernel leads it back to this machine without a look at its interfaces. */
static bool is_loopback(const uint8_t bytes[16])
{
    static const uint8_t one[16] = {[15] = 1};
    static const uint8_t any[16] = {0};
    static const uint8_t v4_any[4] = {0};

    if (memcmp(bytes, v4_prefix, sizeof v4_prefix) == 0)
        return bytes[12] == 127 || memcmp(bytes + 12, v4_any, sizeof v4_any) == 0;
    return memcmp(bytes, one, sizeof one) == 0 || memcmp(bytes, any, sizeof any) == 0;
}

static bool is_wildcard(const struct address *address, const uint8_t bytes[16])
{
    static const uint8_t zeros[16] = {0};

    if (address->any.sa_family == AF_INET)
        return memcmp(bytes + 12, zeros, 4) == 0;
    return memcmp(bytes, zeros, sizeof zeros) == 0;
}

static bool is_reached(const struct address *listener, const struct address *address,
                       const uint8_t bytes[16])
{
    uint8_t own[16];

    if (socket_port(listener) != socket_port(address) || address_bytes(&listener->any, own) < 0)
        return false;
    if (is_wildcard(listener, own))
        return is_loopback(bytes) || socket_is_here(address);
    if (memcmp(own, bytes, sizeof own) == 0)
        return true;
    /* 0.0.0.0 and [::] are taken for the loopback address. */
    return is_loopback(own) && is_wildcard(address, bytes);
}

int own_address_init(struct own_addresses *own, const int *fds, size_t count, struct err *err)
{
    *own = (struct own_addresses){.count = 0};
    if (count > OWN_ADDRESSES)
        return err_set(err, ERR_LIMIT, "more than %d listeners", OWN_ADDRESSES);
    for (size_t i = 0; i < count; i++) {
        if (socket_local(fds[i], &own->items[i], err) < 0)
            return -1;
    }
    own->count = count;
    return 0;
}

int own_address_check(const struct own_addresses *own, const struct address *address,
                      struct err *err)
{
    uint8_t bytes[16];

    if (address_bytes(&address->any, bytes) < 0)
        return err_set(err, ERR_ADDRESS, "an answer that is no address");
    for (size_t i = 0; i < own->count; i++) {
        if (is_reached(&own->items[i], address, bytes))
            return err_set(err, ERR_ADDRESS, "the address is that of a listener of this gateway");
    }
    return 0;
}
