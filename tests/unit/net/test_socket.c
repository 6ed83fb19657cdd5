/* SPDX-License-Identifier: Apache-2.0 */
/* What is guarded: the form of addresses, and what every socket of ours has set. */
#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test.h"

static struct err err;

static const char *rewritten(const char *in)
{
    static char memory[80];
    struct address address;
    struct text text;

    text_init(&text, memory, sizeof memory);
    if (socket_read_address(span_text(in), &address, &err) < 0) {
        CHECK_INT(err.code, ERR_CONFIG);
        return "refused";
    }
    socket_write_address(&text, &address);
    return text_str(&text);
}

TEST(socket_read_address_wants_address_and_port)
{
    CHECK_STR(rewritten("127.0.0.1:8080"), "127.0.0.1:8080");
    CHECK_STR(rewritten("[::1]:443"), "[::1]:443");
    CHECK_STR(rewritten("[2001:DB8:0::1]:65535"), "[2001:db8::1]:65535");
    CHECK_STR(rewritten("0.0.0.0:0"), "0.0.0.0:0");
    CHECK_STR(rewritten("[::ffff:1.2.3.4]:1"), "[::ffff:1.2.3.4]:1");
}

TEST(socket_read_address_refuses_everything_else)
{
    static const char *const bad[] = {"",
                                      ":",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      ":80",
                                      "::1",
                                      "::1:80",
                                      "[::1]",
                                      "[127.0.0.1]:80",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:080",
                                      "127.0.0.1:+80",
                                      "127.0.0.1: 80",
                                      "127.1:80",
                                      "0x7f.0.0.1:80",
                                      "0177.0.0.1:80",
                                      "localhost:80",
                                      "[fe80::1%eth0]:80",
                                      "[::1]:80 ",
                                      "127.0.0.1:80:80",
                                      "[]:80",
                                      "[[::1]]:80"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_STR(rewritten(bad[i]), "refused");
}

TEST(socket_read_address_refuses_a_nul_inside)
{
    struct address address;

    CHECK_INT(socket_read_address(span_of("127.0.0.1\0:80", 13), &address, &err), -1);
    CHECK_INT(socket_read_ip(span_of("::1\0", 4), 80, &address, &err), -1);
}

TEST(socket_read_ip_keeps_the_port)
{
    struct address address;
    char memory[64];
    struct text text;

    CHECK_INT(socket_read_ip(span_text("192.0.2.1"), 443, &address, &err), 0);
    CHECK_INT(socket_port(&address), 443);
    CHECK_INT(socket_read_ip(span_text("2001:db8::2"), 8443, &address, &err), 0);
    CHECK_INT(socket_port(&address), 8443);
    socket_set_port(&address, 1);
    CHECK_INT(socket_port(&address), 1);
    text_init(&text, memory, sizeof memory);
    socket_write_ip(&text, &address);
    CHECK_SPAN(text_span(&text), "2001:db8::2");
    CHECK_INT(socket_read_ip(span_text("[::1]"), 1, &address, &err), -1);
}

static int listen_loopback(struct address *address)
{
    int fd;

    CHECK_INT(socket_read_address(span_text("127.0.0.1:0"), address, &err), 0);
    fd = socket_listen(address, 16, &err);
    CHECK(fd >= 0);
    CHECK_INT(socket_local(fd, address, &err), 0);
    CHECK(socket_port(address) != 0);
    return fd;
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;

    CHECK_INT(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void check_flags(int fd)
{
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void check_connection(int fd)
{
    check_flags(fd);
    CHECK_INT(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_INT(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK(option(fd, IPPROTO_TCP, TCP_KEEPIDLE) <= 60);
}

static void wait_for(int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};

    CHECK_INT(poll(&one, 1, 5000), 1);
}

TEST(socket_connect_and_accept_meet)
{
    struct address address, peer, local;
    int listener = listen_loopback(&address);
    int client, server;

    check_flags(listener);
    CHECK_INT(option(listener, SOL_SOCKET, SO_REUSEADDR), 1);
    CHECK_INT(option(listener, SOL_SOCKET, SO_REUSEPORT), 0);
    CHECK_INT(socket_accept(listener, &peer, &err), -1);
    CHECK_INT(err.code, ERR_OK); /* nothing waiting */
    client = socket_connect(&address, &err);
    CHECK(client >= 0);
    wait_for(client, POLLOUT);
    CHECK_INT(socket_connected(client, &err), 0);
    wait_for(listener, POLLIN);
    server = socket_accept(listener, &peer, &err);
    CHECK(server >= 0);
    check_connection(client);
    check_connection(server);
    CHECK_INT(socket_local(client, &local, &err), 0);
    CHECK_INT(local.len, peer.len);
    CHECK_INT(socket_port(&local), socket_port(&peer));
    (void)close(client);
    (void)close(server);
    (void)close(listener);
}

TEST(socket_listen_refuses_an_address_in_use)
{
    struct address address;
    int listener = listen_loopback(&address);

    CHECK_INT(socket_listen(&address, 16, &err), -1);
    CHECK_INT(err.code, ERR_SYSTEM);
    CHECK_INT(err.sys, EADDRINUSE);
    CHECK(strstr(err.text, "127.0.0.1:") != NULL);
    (void)close(listener);
}

TEST(socket_listen_on_ipv6_is_ipv6_only)
{
    struct address address;
    int fd;

    CHECK_INT(socket_read_address(span_text("[::]:0"), &address, &err), 0);
    fd = socket_listen(&address, 1, &err);
    if (fd < 0)
        skip(); /* a host without IPv6 */
    CHECK_INT(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    (void)close(fd);
}

TEST(socket_connected_tells_why_not)
{
    struct address address;
    int listener = listen_loopback(&address);
    int client;

    (void)close(listener);
    client = socket_connect(&address, &err);
    if (client >= 0) {
        wait_for(client, POLLOUT);
        CHECK_INT(socket_connected(client, &err), -1);
        (void)close(client);
    }
    CHECK_INT(err.code, ERR_CONNECT);
    CHECK_INT(err.sys, ECONNREFUSED);
}

TEST(socket_connected_refuses_a_socket_that_is_not)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    CHECK_INT(socket_connected(fd, &err), -1);
    CHECK_INT(err.code, ERR_CONNECT);
    CHECK_INT(err.sys, ENOTCONN);
    (void)close(fd);
}

/* E9: a loopback port in the ephemeral range that nobody listens on may answer itself. */
TEST(socket_connected_refuses_a_socket_that_met_itself)
{
    struct address address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK_INT(socket_read_address(span_text("127.0.0.1:0"), &address, &err), 0);
    CHECK_INT(bind(fd, &address.any, address.len), 0);
    CHECK_INT(socket_local(fd, &address, &err), 0);
    CHECK_INT(connect(fd, &address.any, address.len), 0);
    CHECK_INT(socket_connected(fd, &err), -1);
    CHECK_INT(err.code, ERR_CONNECT);
    CHECK(strstr(err.text, "itself") != NULL);
    (void)close(fd);
}

/* K3 */
TEST(socket_accept_says_when_descriptors_are_out)
{
    struct address address, peer;
    int listener = listen_loopback(&address);
    int client = socket_connect(&address, &err);
    struct rlimit old, low;
    int server;

    wait_for(listener, POLLIN);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 3;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), 0);
    server = socket_accept(listener, &peer, &err);
    CHECK_INT(server, -1);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK_INT(socket_connect(&address, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &old), 0);
    server = socket_accept(listener, &peer, &err); /* it waited */
    CHECK(server >= 0);
    (void)close(server);
    (void)close(client);
    (void)close(listener);
}

TEST_MAIN(TEST_OF(socket_read_address_wants_address_and_port),
          TEST_OF(socket_read_address_refuses_everything_else),
          TEST_OF(socket_read_address_refuses_a_nul_inside), TEST_OF(socket_read_ip_keeps_the_port),
          TEST_OF(socket_connect_and_accept_meet), TEST_OF(socket_listen_refuses_an_address_in_use),
          TEST_OF(socket_listen_on_ipv6_is_ipv6_only), TEST_OF(socket_connected_tells_why_not),
          TEST_OF(socket_connected_refuses_a_socket_that_is_not),
          TEST_OF(socket_connected_refuses_a_socket_that_met_itself),
          TEST_OF(socket_accept_says_when_descriptors_are_out))
