/* SPDX-License-Identifier: Apache-2.0 */
/* Which resolved addresses may be dialled. */
#include "policy/address.h"

#include <arpa/inet.h>

#include "test.h"

static struct network networks[8];
static struct policy policy = {.networks = networks};

static void allow(const char *text)
{
    struct err err;

    CHECK_INT(address_read_network(span_text(text), &networks[policy.network_count], &err), 0);
    policy.network_count++;
}

static void allow_nothing(void)
{
    policy.network_count = 0;
}

static int check(const char *text, struct err *err)
{
    uint8_t address[16] = {[10] = 0xff, [11] = 0xff};

    err_clear(err);
    if (strchr(text, ':') == NULL)
        CHECK_INT(inet_pton(AF_INET, text, address + 12), 1);
    else
        CHECK_INT(inet_pton(AF_INET6, text, address), 1);
    return address_check(&policy, address, err);
}

static void check_refused(const char *text, const char *what)
{
    struct err err;
    int result = check(text, &err);

    if (result == 0 || strstr(err.text, what) == NULL)
        print_error("%s: '%s'\n", text, err.text);
    CHECK_INT(result, -1);
    CHECK_INT(err.code, ERR_ADDRESS);
    CHECK(strstr(err.text, what) != NULL);
}

static void check_allowed(const char *text)
{
    struct err err;
    int result = check(text, &err);

    if (result < 0)
        print_error("%s: '%s'\n", text, err.text);
    CHECK_INT(result, 0);
}

TEST(public_addresses_are_dialled)
{
    static const char *const good[] = {"1.1.1.1",         "9.255.255.255",
                                       "11.0.0.0",        "100.63.255.255",
                                       "100.128.0.0",     "126.255.255.255",
                                       "128.0.0.0",       "169.253.255.255",
                                       "169.255.0.0",     "172.15.255.255",
                                       "172.32.0.0",      "192.0.1.0",
                                       "192.167.255.255", "192.169.0.0",
                                       "198.17.255.255",  "198.20.0.0",
                                       "223.255.255.255", "8.8.8.8",
                                       "2606:4700::1111", "2000::",
                                       "2001:200::1",     "2001:4860:4860::8888",
                                       "3fff:1000::1",    "3ffe:ffff::1",
                                       "2a00::1"};

    allow_nothing();
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        check_allowed(good[i]);
}

TEST(the_ipv4_registry_is_refused_at_both_ends_E5_E9)
{
    static const char *const bad[] = {
        "0.0.0.0",         "0.255.255.255",   "10.0.0.0",    "10.255.255.255",
        "100.64.0.0",      "100.127.255.255", "127.0.0.0",   "127.255.255.255",
        "169.254.0.0",     "169.254.255.255", "172.16.0.0",  "172.31.255.255",
        "192.0.0.0",       "192.0.0.255",     "192.0.2.0",   "192.0.2.255",
        "192.31.196.1",    "192.52.193.1",    "192.88.99.1", "192.168.0.0",
        "192.168.255.255", "192.175.48.1",    "198.18.0.0",  "198.19.255.255",
        "198.51.100.1",    "203.0.113.1",     "224.0.0.0",   "239.255.255.255",
        "240.0.0.0",       "255.255.255.255"};

    allow_nothing();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_refused(bad[i], " is ");
    check_refused("127.0.0.1", "127.0.0.1 is loopback (127.0.0.0/8)");
}

TEST(the_ipv6_registry_is_refused_E5)
{
    allow_nothing();
    check_refused("::", "unspecified");
    check_refused("::1", "loopback");
    check_refused("64:ff9b:1::1", "local translation");
    check_refused("100::1", "discard-only");
    check_refused("100:0:0:1::1", "dummy");
    check_refused("2001::1", "Teredo");
    check_refused("2001:1::1", "protocol assignments");
    check_refused("2001:2::1", "protocol assignments");
    check_refused("2001:1ff:ffff::1", "protocol assignments");
    check_refused("2001:db8::1", "documentation");
    check_refused("2620:4f:8000::1", "AS112");
    check_refused("3fff::1", "documentation");
    check_refused("3fff:fff:ffff::1", "documentation");
    check_refused("5f00::1", "segment routing");
    check_refused("fc00::1", "unique local");
    check_refused("fdff::1", "unique local");
    check_refused("fe80::1", "link-local");
    check_refused("febf::1", "link-local");
    check_refused("fec0::1", "site-local");
    check_refused("ff02::1", "multicast");
}

TEST(ipv6_outside_what_iana_gives_out_is_refused_E5)
{
    allow_nothing();
    check_refused("1::1", "outside 2000::/3");
    check_refused("1fff::1", "outside 2000::/3");
    check_refused("4000::1", "outside 2000::/3");
    check_refused("e000::1", "outside 2000::/3");
    check_refused("64:ff9b:2::1", "outside 2000::/3");
}

TEST(ipv4_inside_ipv6_is_taken_out_and_checked_E5)
{
    allow_nothing();
    check_refused("::ffff:127.0.0.1", "127.0.0.1 is loopback");
    check_allowed("::ffff:1.1.1.1");
    check_refused("::127.0.0.1", "inside IPv4-compatible");
    check_refused("::8.8.8.8", "IPv4-compatible");
    check_refused("64:ff9b::127.0.0.1", "inside NAT64");
    check_refused("64:ff9b::169.254.169.254", "instance metadata inside NAT64");
    check_allowed("64:ff9b::8.8.8.8");
    check_refused("2002:7f00:1::1", "127.0.0.1 is loopback (127.0.0.0/8) inside 6to4");
    check_refused("2002:808:808::1", "6to4");
    check_refused("2001:0:a00:1::", "10.0.0.1 is private use (10.0.0.0/8) inside Teredo");
    /* Teredo turns the client's bits round: 0xff ^ 127.0.0.1 */
    check_refused("2001:0:808:808::80ff:fffe", "127.0.0.1 is loopback (127.0.0.0/8) inside Teredo");
}

TEST(a_listed_network_does_not_open_what_is_inside_it_E5)
{
    allow_nothing();
    allow("2002::/16");
    allow("64:ff9b:1::/48");
    check_allowed("2002:808:808::1");
    check_refused("2002:7f00:1::1", "inside 6to4");
    check_allowed("64:ff9b:1::8.8.8.8");
    check_refused("64:ff9b:1::169.254.169.254", "inside local translation");
    check_refused("64:ff9b:1:a9fe:a9:fe00::", "inside local translation");
    allow("127.0.0.0/8");
    check_allowed("2002:7f00:1::1");
}

TEST(metadata_needs_an_entry_of_its_own_E6)
{
    static const char *const bad[] = {"169.254.169.254", "169.254.170.2", "100.100.100.200",
                                      "168.63.129.16",   "192.0.0.192",   "fd00:ec2::254",
                                      "169.254.170.23",  "fd00:ec2::23",  "fd20:ce::254",
                                      "169.254.42.42",   "fd00:42::42",   "::ffff:169.254.169.254"};

    allow_nothing();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_refused(bad[i], " is ");
    allow("0.0.0.0/0");
    allow("::/0");
    allow("169.254.169.254/31");
    allow("fd00:ec2::/127");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_refused(bad[i], " is ");
    allow("169.254.169.254");
    allow("fd00:ec2::254/128");
    check_allowed("169.254.169.254");
    check_allowed("::ffff:169.254.169.254");
    check_allowed("64:ff9b::169.254.169.254");
    check_allowed("fd00:ec2::254");
    check_refused("169.254.170.2", "container credentials");
}

TEST(listed_networks_are_dialled)
{
    allow_nothing();
    allow("10.1.0.0/16");
    allow("::1");
    allow("fd12:3456::/32");
    check_allowed("10.1.0.0");
    check_allowed("10.1.255.255");
    check_refused("10.0.255.255", "private use");
    check_refused("10.2.0.0", "private use");
    check_allowed("::1");
    check_allowed("fd12:3456::9");
    check_refused("fd12:3457::9", "unique local");
}

TEST(a_short_ipv6_prefix_lists_no_ipv4)
{
    allow_nothing();
    allow("::/0");
    check_refused("10.0.0.1", "private use");
    check_allowed("fd00::1");
    check_allowed("::1");
    allow("::ffff:0:0/96");
    check_allowed("10.0.0.1");
}

TEST(networks_are_read_strictly_E4)
{
    static const char *const bad[] = {"",
                                      "10.0.0.0/33",
                                      "10.0.0.0/",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/08",
                                      "10.0.0.0/8 ",
                                      "10.0.0.1/8",
                                      "10/8",
                                      "0x0a000000/8",
                                      "010.0.0.0/8",
                                      "167772160",
                                      "fd00::/129",
                                      "fd00::1/8",
                                      "fe80::1%lo",
                                      "[::1]",
                                      "a.com",
                                      "10.0.0.0/8/8",
                                      "1.2.3.4.5",
                                      "10.0.0.0/+8",
                                      "10.0.0.0/99999999999999999999"};
    struct network network;
    struct err err;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        err_clear(&err);
        if (address_read_network(span_text(bad[i]), &network, &err) == 0)
            print_error("'%s' was taken\n", bad[i]);
        CHECK_INT(address_read_network(span_text(bad[i]), &network, &err), -1);
        CHECK_INT(err.code, ERR_CONFIG);
    }
    CHECK_INT(address_read_network(span_of("10.0.0.0\0/8", 11), &network, &err), -1);
    CHECK_INT(address_read_network(span_text("10.0.0.0/8"), &network, &err), 0);
    CHECK_INT(network.prefix, 104);
    CHECK_INT(network.address[12], 10);
    CHECK_INT(address_read_network(span_text("0.0.0.0/0"), &network, &err), 0);
    CHECK_INT(network.prefix, 96);
    CHECK_INT(address_read_network(span_text("127.0.0.1"), &network, &err), 0);
    CHECK_INT(network.prefix, 128);
    CHECK_INT(address_read_network(span_text("fd00::/8"), &network, &err), 0);
    CHECK_INT(network.prefix, 8);
}

TEST(socket_addresses_become_sixteen_bytes)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr other = {.sa_family = AF_UNIX};
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 127, 0, 0, 1};
    uint8_t address[16];

    CHECK_INT(address_bytes((const struct sockaddr *)&v4, address), 0);
    assert_memory_equal(address, mapped, 16);
    CHECK_INT(address_bytes((const struct sockaddr *)&v6, address), 0);
    assert_memory_equal(address, &v6.sin6_addr, 16);
    CHECK_INT(address_bytes(&other, address), -1);
}

TEST_MAIN(TEST_OF(public_addresses_are_dialled),
          TEST_OF(the_ipv4_registry_is_refused_at_both_ends_E5_E9),
          TEST_OF(the_ipv6_registry_is_refused_E5),
          TEST_OF(ipv6_outside_what_iana_gives_out_is_refused_E5),
          TEST_OF(ipv4_inside_ipv6_is_taken_out_and_checked_E5),
          TEST_OF(a_listed_network_does_not_open_what_is_inside_it_E5),
          TEST_OF(metadata_needs_an_entry_of_its_own_E6), TEST_OF(listed_networks_are_dialled),
          TEST_OF(a_short_ipv6_prefix_lists_no_ipv4), TEST_OF(networks_are_read_strictly_E4),
          TEST_OF(socket_addresses_become_sixteen_bytes))
