/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_DNS_SERVER_H
#define EXEAT_TESTS_DNS_SERVER_H

#include "net/loop.h"
#include "net/socket.h"

/*
 * A DNS server for tests, UDP and TCP on one port of 127.0.0.1, on the loop of the test. The first
 * label of the name says what it answers:
 *   both       an A and an AAAA record        alias    a CNAME and then an A record
 *   four       an A record; AAAA: none        lame     an A record; AAAA: never answered
 *   none       NXDOMAIN                       silent   nothing at all
 *   fail       SERVFAIL                       junk     bytes that are no message
 *   many       100 A records (TCP; UDP says "truncated"); AAAA: 100 as well
 *   hangup     UDP says "truncated", TCP closes without a word
 *   other      an answer to another question, which must not be taken, and no right one
 */
struct dns_server {
    struct loop_watch udp;
    struct loop_watch listener;
    struct loop_watch connection; /* one at a time */
    int udp_fd;
    int listener_fd;
    uint16_t port;
    unsigned udp_count; /* questions seen */
    unsigned tcp_count;
    char names[4096]; /* every name asked for, each with a blank behind it */
};

/* The sockets, before the sandbox; then the watches. */
int dns_server_open(struct dns_server *server, struct err *err);
int dns_server_start(struct dns_server *server, struct loop *loop, struct err *err);
void dns_server_close(struct dns_server *server);

#endif
