/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_NET_SOCKET_H
#define EXEAT_NET_SOCKET_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/text.h"

/* An IPv4 or IPv6 address with a port. */
struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t len;
};

/* "127.0.0.1:8080", "[::1]:8080"; port 0 lets the system choose. ERR_CONFIG. */
int socket_read_address(struct span text, struct address *address, struct err *err);

/* An address literal without port ("127.0.0.1", "::1"); ERR_CONFIG. */
int socket_read_ip(struct span text, uint16_t port, struct address *address, struct err *err);

void socket_write_address(struct text *out, const struct address *address);
void socket_write_ip(struct text *out, const struct address *address);
uint16_t socket_port(const struct address *address);
void socket_set_port(struct address *address, uint16_t port);

/*
 * Non-blocking, close-on-exec. Listening sets SO_REUSEADDR, never SO_REUSEPORT. Connections get
 * TCP_NODELAY and keepalive. "[::]" listens for IPv6 only. The descriptor, or -1 with ERR_SYSTEM.
 */
int socket_listen(const struct address *address, int backlog, struct err *err);

/* -1 with err->code ERR_OK: nothing waiting. ERR_LIMIT: out of descriptors. */
int socket_accept(int listen_fd, struct address *peer, struct err *err);

/*
 * A connection attempt under way; its end shows as LOOP_WRITE, then socket_connected(). At once:
 * ERR_CONNECT (unreachable), ERR_LIMIT (out of descriptors), ERR_SYSTEM.
 */
int socket_connect(const struct address *address, struct err *err);
/* 0, or ERR_CONNECT with the words of the system; also for a socket that met itself. */
int socket_connected(int fd, struct err *err);

/*
 * Does this machine have the address on an interface? Asks for the way to it: nothing is sent.
 * Loopback addresses other than 127.0.0.1 and ::1 are not known by this.
 */
bool socket_is_here(const struct address *address);

/* The address this socket is bound to. */
int socket_local(int fd, struct address *address, struct err *err);

#endif
