/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_ECHO_PEER_H
#define EXEAT_TESTS_ECHO_PEER_H

#include "net/stream.h"
#include "wire/ws_frame.h"
#include "wire/ws_shake.h"
#include "wire/ws_utf8.h"

/* One WebSocket whose messages are sent back as they come, from the handshake to the close. */

#define ECHO_BLOCK 131072 /* one queue: a head of LIMIT_HEAD, or what is under way */

enum echo_phase {
    ECHO_SHAKE,   /* the upgrade request or its answer is not complete */
    ECHO_OPEN,    /* messages are sent back */
    ECHO_CLOSING, /* our close frame is queued; nothing but the end is waited for */
    ECHO_GONE,    /* the stream is closed, on_end comes in the reap step */
};

struct echo_peer {
    struct stream stream;
    enum ws_role role;
    enum echo_phase phase;
    struct buf in;
    struct buf out;
    struct pool heads;
    struct arena arena;
    size_t scanned; /* of the head */
    struct ws_shake shake;
    uint64_t frame_limit;
    struct ws_frame ws;
    struct ws_utf8 utf8;
    bool is_midway;  /* a part of the message has been sent back */
    bool has_closed; /* the peer's close frame came */
    uint16_t code;   /* of the first close frame, either way; 1006: none */
    struct err err;  /* why it ended, if not by the peer's close frame */
    struct loop_deadline deadline;
    void (*on_end)(struct echo_peer *peer);
    void *owner; /* borrowed */
};

/*
 * `shake` is what a client asks for (NULL for a server; borrowed). `queues` has items of
 * ECHO_BLOCK. Takes fd, on failure too. Exactly one on_end after success: the memory is free then.
 */
struct echo_setup {
    struct loop *loop;
    struct pool *queues;
    const struct ws_shake *shake;
    uint64_t frame_limit;
    void (*on_end)(struct echo_peer *peer);
    void *owner;
};
int echo_peer_open(struct echo_peer *peer, const struct echo_setup *setup, int fd, struct err *err);

#endif
