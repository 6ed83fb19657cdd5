/* SPDX-License-Identifier: Apache-2.0 */
/* Threat E9: the gateway does not dial itself, by whatever address. */
#include "gateway/own_address.h"

#include <unistd.h>

#include "test.h"

static struct own_addresses own;
static struct err err;

static struct address address_of(const char *ip, uint16_t port)
{
    struct address address;

    CHECK_INT(socket_read_ip(span_text(ip), port, &address, &err), 0);
    return address;
}

/* A listener on that address; its port. */
static uint16_t listen_on(const char *ip)
{
    struct address address = address_of(ip, 0);
    int fd = socket_listen(&address, 1, &err);

    CHECK(fd >= 0);
    CHECK_INT(own_address_init(&own, &fd, 1, &err), 0);
    (void)close(fd);
    return socket_port(&own.items[0]);
}

static bool is_own(const char *ip, uint16_t port)
{
    struct address address = address_of(ip, port);

    if (own_address_check(&own, &address, &err) == 0)
        return false;
    CHECK_INT(err.code, ERR_ADDRESS);
    return true;
}

TEST(a_listener_on_one_address_is_that_address_and_port)
{
    uint16_t port = listen_on("127.0.0.1");

    CHECK(port != 0);
    CHECK(is_own("127.0.0.1", port));
    CHECK(is_own("::ffff:127.0.0.1", port));
    CHECK(is_own("0.0.0.0", port)); /* the system takes it for 127.0.0.1 */
    CHECK(!is_own("127.0.0.1", port ^ 1));
    CHECK(!is_own("127.0.0.2", port));
    CHECK(!is_own("93.184.216.34", port));
    CHECK(!is_own("::1", port));
}

TEST(a_listener_on_all_addresses_is_every_address_of_this_machine)
{
    uint16_t port = listen_on("0.0.0.0");

    CHECK(is_own("127.0.0.1", port));
    CHECK(is_own("127.9.9.9", port));
    CHECK(is_own("0.0.0.0", port));
    CHECK(is_own("::ffff:127.0.0.1", port));
    CHECK(!is_own("127.0.0.1", port ^ 1));
    CHECK(!is_own("93.184.216.34", port));
    CHECK(!is_own("203.0.113.7", port));
}

TEST(addresses_of_interfaces_are_known_without_a_packet)
{
    struct address outside = address_of("127.0.0.1", 9);

    CHECK(socket_is_here(&outside));
    outside = address_of("203.0.113.7", 9);
    CHECK(!socket_is_here(&outside));
    outside = address_of("::1", 9);
    if (socket_is_here(&outside)) /* with IPv6 */
        CHECK(listen_on("::") != 0 && is_own("::1", socket_port(&own.items[0])));
}

TEST(without_listeners_every_address_may_be_dialled)
{
    CHECK_INT(own_address_init(&own, NULL, 0, &err), 0);
    CHECK(!is_own("127.0.0.1", 443));
}

TEST_MAIN(TEST_OF(a_listener_on_one_address_is_that_address_and_port),
          TEST_OF(a_listener_on_all_addresses_is_every_address_of_this_machine),
          TEST_OF(addresses_of_interfaces_are_known_without_a_packet),
          TEST_OF(without_listeners_every_address_may_be_dialled))
