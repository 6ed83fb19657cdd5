/* SPDX-License-Identifier: Apache-2.0 */
/* TCP sockets and their addresses. */
#include "net/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/num.h"

/* A peer that vanished is noticed after two minutes. */
#define KEEPALIVE_IDLE_S     60
#define KEEPALIVE_INTERVAL_S 15
#define KEEPALIVE_COUNT      4

/* --- addresses --- */

int socket_read_ip(struct span text, uint16_t port, struct address *address, struct err *err)
{
    char memory[INET6_ADDRSTRLEN];

    *address = (struct address){0};
    if (text.len == 0 || text.len >= sizeof memory || span_find(text, '\0') >= 0)
        return err_set(err, ERR_CONFIG, "not an address: '%.*s'", (int)num_min(text.len, 60),
                       (const char *)text.ptr);
    memcpy(memory, text.ptr, text.len);
    memory[text.len] = '\0';
    if (inet_pton(AF_INET, memory, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->len = sizeof address->v4;
    } else if (inet_pton(AF_INET6, memory, &address->v6.sin6_addr) == 1) {
        address->v6.sin6_family = AF_INET6;
        address->len = sizeof address->v6;
    } else {
        return err_set(err, ERR_CONFIG, "not an address: '%s'", memory);
    }
    socket_set_port(address, port);
    return 0;
}

static int port_read(struct span text, uint16_t *port, struct err *err)
{
    *port = 0;
    if (span_equal(text, span_text("0")))
        return 0;
    if (num_read_port(text, port, err) < 0)
        return err_set(err, ERR_CONFIG, "not a port: '%.*s'", (int)num_min(text.len, 60),
                       (const char *)text.ptr);
    return 0;
}

int socket_read_address(struct span text, struct address *address, struct err *err)
{
    size_t colon = text.len;
    struct span ip;
    uint16_t port;

    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return err_set(err, ERR_CONFIG, "address without port: '%.*s'", (int)num_min(text.len, 60),
                       (const char *)text.ptr);
    if (port_read(span_from(text, colon), &port, err) < 0)
        return -1;
    ip = span_first(text, colon - 1);
    if (ip.len >= 2 && ip.ptr[0] == '[' && ip.ptr[ip.len - 1] == ']') {
        ip = span_from(span_first(ip, ip.len - 1), 1);
        if (span_find(ip, ':') < 0)
            return err_set(err, ERR_CONFIG, "brackets are for IPv6 addresses only");
    } else if (span_find(ip, ':') >= 0) {
        return err_set(err, ERR_CONFIG, "an IPv6 address with a port needs brackets");
    }
    return socket_read_ip(ip, port, address, err);
}

void socket_write_ip(struct text *out, const struct address *address)
{
    char memory[INET6_ADDRSTRLEN];
    const void *bytes = &address->v4.sin_addr;

    if (address->any.sa_family == AF_INET6)
        bytes = &address->v6.sin6_addr;
    else if (address->any.sa_family != AF_INET)
        bytes = NULL;
    if (bytes == NULL || inet_ntop(address->any.sa_family, bytes, memory, sizeof memory) == NULL) {
        text_add_str(out, "unknown");
        return;
    }
    text_add_str(out, memory);
}

void socket_write_address(struct text *out, const struct address *address)
{
    bool is_v6 = address->any.sa_family == AF_INET6;

    if (is_v6)
        text_add_char(out, '[');
    socket_write_ip(out, address);
    if (is_v6)
        text_add_char(out, ']');
    text_add_char(out, ':');
    text_add_u64(out, socket_port(address));
}

uint16_t socket_port(const struct address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohs(address->v4.sin_port);
    return address->any.sa_family == AF_INET6 ? ntohs(address->v6.sin6_port) : 0;
}

void socket_set_port(struct address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET)
        address->v4.sin_port = htons(port);
    else if (address->any.sa_family == AF_INET6)
        address->v6.sin6_port = htons(port);
}

int socket_local(int fd, struct address *address, struct err *err)
{
    *address = (struct address){.len = sizeof address->v6};
    if (getsockname(fd, &address->any, &address->len) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "getsockname");
    return 0;
}

static bool is_same_ip(const struct address *a, const struct address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

bool socket_is_here(const struct address *address)
{
    int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct address local;
    struct err err;
    bool is_here;

    if (fd < 0)
        return false;
    /* To an address of its own the system goes from that address. */
    is_here = connect(fd, &address->any, address->len) == 0 &&
              socket_local(fd, &local, &err) == 0 && is_same_ip(address, &local);
    (void)close(fd);
    return is_here;
}

/* --- sockets --- */

static int fail_address(struct err *err, enum err_code code, const char *verb,
                        const struct address *address)
{
    int sys = errno;
    char memory[80];
    struct text text;

    text_init(&text, memory, sizeof memory);
    text_add_str(&text, verb);
    text_add_char(&text, ' ');
    socket_write_address(&text, address);
    return err_set_sys(err, code, sys, text_str(&text));
}

static bool errno_is_limit(int sys)
{
    return sys == EMFILE || sys == ENFILE || sys == ENOBUFS || sys == ENOMEM;
}

static int socket_new(const struct address *address, struct err *err)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return fail_address(err, errno_is_limit(errno) ? ERR_LIMIT : ERR_SYSTEM, "socket for",
                            address);
    return fd;
}

static int option_set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value);
}

/* Best effort: a socket that refuses an option is still a socket. */
static void connection_tune(int fd)
{
    (void)option_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)option_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    (void)option_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    (void)option_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    (void)option_set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
}

int socket_listen(const struct address *address, int backlog, struct err *err)
{
    int fd = socket_new(address, err);

    if (fd < 0)
        return -1;
    if (option_set(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0)
        goto fail;
    if (address->any.sa_family == AF_INET6 && option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0)
        goto fail;
    if (bind(fd, &address->any, address->len) < 0 || listen(fd, backlog) < 0)
        goto fail;
    return fd;

fail:
    fail_address(err, ERR_SYSTEM, "cannot listen on", address);
    (void)close(fd);
    return -1;
}

/* accept(2): these are errors of the connection that was waiting, not of the listener. */
static bool errno_is_of_connection(int sys)
{
    return sys == EINTR || sys == ECONNABORTED || sys == EPROTO || sys == ENETDOWN ||
           sys == ENOPROTOOPT || sys == EHOSTDOWN || sys == ENONET || sys == EHOSTUNREACH ||
           sys == ENETUNREACH;
}

int socket_accept(int listen_fd, struct address *peer, struct err *err)
{
    int fd;

    do {
        *peer = (struct address){.len = sizeof peer->v6};
        fd = accept4(listen_fd, &peer->any, &peer->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && errno_is_of_connection(errno));
    if (fd >= 0) {
        connection_tune(fd);
        return fd;
    }
    if (errno == EAGAIN) {
        err_clear(err);
        return -1;
    }
    return err_set_sys(err, errno_is_limit(errno) ? ERR_LIMIT : ERR_SYSTEM, errno, "accept");
}

int socket_connect(const struct address *address, struct err *err)
{
    int fd = socket_new(address, err);

    if (fd < 0)
        return -1;
    connection_tune(fd);
    /* An interrupted connect() goes on by itself (POSIX). */
    if (connect(fd, &address->any, address->len) < 0 && errno != EINPROGRESS && errno != EINTR) {
        fail_address(err, ERR_CONNECT, "cannot connect to", address);
        (void)close(fd);
        return -1;
    }
    return fd;
}

int socket_connected(int fd, struct err *err)
{
    struct address local = {.len = sizeof local.v6};
    struct address peer = {.len = sizeof peer.v6};
    int sys = 0;
    socklen_t len = sizeof sys;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &len) < 0)
        sys = errno;
    else if (sys == 0 && getpeername(fd, &peer.any, &peer.len) < 0)
        sys = errno;
    if (sys != 0)
        return err_set_sys(err, ERR_CONNECT, sys, "cannot connect");
    /* A port of ours that nobody listens on may connect to itself (simultaneous open). */
    if (getsockname(fd, &local.any, &local.len) == 0 && local.len == peer.len &&
        peer.any.sa_family != AF_UNIX && memcmp(&local.v6, &peer.v6, peer.len) == 0)
        return err_set(err, ERR_CONNECT, "cannot connect: the socket met itself");
    return 0;
}
