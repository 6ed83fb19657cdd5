/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_OWN_ADDRESS_H
#define EXEAT_GATEWAY_OWN_ADDRESS_H

#include "base/err.h"
#include "net/socket.h"

/*
 * The addresses on which this gateway listens: a tunnel to one of them would come back to it
 * (threat E9). They are refused whatever the configuration lists.
 */
#define OWN_ADDRESSES 16

struct own_addresses {
    struct address items[OWN_ADDRESSES];
    size_t count;
};

/* Ask the listening sockets `fds` where they are bound. ERR_LIMIT, ERR_SYSTEM. */
int own_address_init(struct own_addresses *own, const int *fds, size_t count, struct err *err);

/* Would a connection to this address reach one of them? 0, or -1 with ERR_ADDRESS. */
int own_address_check(const struct own_addresses *own, const struct address *address,
                      struct err *err);

#endif
