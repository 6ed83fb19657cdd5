/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_CONNECT_HEAD_H
#define EXEAT_RELAY_CONNECT_HEAD_H

#include "base/err.h"
#include "base/span.h"

/* What a first byte says about a client that does not speak HTTP to its proxy. */
enum connect_head_kind {
    CONNECT_HEAD_HTTP,
    CONNECT_HEAD_TLS,    /* 0x16: took the proxy for an https one */
    CONNECT_HEAD_SOCKS4, /* 0x04 */
    CONNECT_HEAD_SOCKS5, /* 0x05 */
};
enum connect_head_kind connect_head_kind(uint8_t first);

/*
 * Whether the request is a CONNECT, as soon as the bytes say so. What has no method at all stays
 * undecided: connect_head_read() tells what is wrong with it.
 */
enum connect_head_method { CONNECT_HEAD_UNDECIDED, CONNECT_HEAD_CONNECT, CONNECT_HEAD_OTHER };
enum connect_head_method connect_head_method(struct span in);

struct connect_head {
    struct span line; /* the request line without CRLF; borrows from `in` */
};

/*
 * The client's head, liberal in what it holds (HTTP/1.0 and 1.1, Host or not, any fields) and
 * strict in how it is cut: CRLF only, no control bytes, LIMIT_CONNECT_HEAD. Returns its length
 * with the empty line, 0 if `in` ends too early, -1: ERR_SYNTAX, or ERR_METHOD for another method
 * than CONNECT. `in` begins at the head on every call; *scanned starts with 0.
 */
ssize_t connect_head_read(struct span in, size_t *scanned, struct connect_head *head,
                          struct err *err);

#endif
