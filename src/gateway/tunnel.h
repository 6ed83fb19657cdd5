/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_TUNNEL_H
#define EXEAT_GATEWAY_TUNNEL_H

#include "crypto/tls.h"
#include "gateway/origin_wait.h"
#include "gateway/record.h"
#include "gateway/session.h"
#include "gateway/vault_link.h"
#include "http/h1.h"
#include "net/stream.h"
#include "policy/decide.h"
#include "wire/chunk.h"
#include "wire/hello.h"
#include "wire/ws_frame.h"

struct inspect;
struct listener;
struct pass;
struct worker;

/*
 * One WebSocket from a relay, carrying one CONNECT:
 *
 *   net_in -> [outer TLS] -> in -> WebSocket -> chunk -> payload -> hello, then inspect or pass
 *   net_out <- [outer TLS] <- out <- envelopes <- answer, then inspect or pass
 */
#define TUNNEL_STATES(X) /* name, deadline in ms, ends when ... */                                 \
    X(JOIN, timeouts->handshake_ms, "the upgrade request is complete")                             \
    X(AUTH, timeouts->auth_ms, "the vault has answered")                                           \
    X(HELLO, timeouts->hello_ms, "the first message is complete")                                  \
    X(REACH, timeouts->resolve_ms + timeouts->connect_ms + timeouts->origin_handshake_ms + 1000,   \
      "the origin is connected and, where the tunnel is inspected, verified")                      \
    X(INSPECT, 0, "either side has ended; the states of inspect.h have the deadlines")             \
    X(PASS, 0, "both sides have ended; the states of pass.h have the deadlines")                   \
    X(DRAIN, TUNNEL_DRAIN_MS, "everything is written and the peer has closed")                     \
    X(CLOSED, 0, "the loop has reaped it")

#define TUNNEL_DRAIN_MS 10000

enum tunnel_state {
#define TUNNEL_ENUM(name, deadline, ends) TUNNEL_##name,
    TUNNEL_STATES(TUNNEL_ENUM)
#undef TUNNEL_ENUM
};

struct tunnel {
    struct worker *worker;         /* borrowed */
    struct list_node node;         /* in worker->tunnels */
    struct list_node session_node; /* in session->tunnels, or worker->tunnels_alone before */
    struct session *session;       /* borrowed; NULL before AUTH has ended */
    struct loop_task task;         /* the one place where it runs */
    struct loop_deadline deadline;
    enum tunnel_state state;
    uint64_t number;
    int64_t start_wall_ms;
    int64_t start_ms;

    struct stream stream;
    int has_outer; /* the listener speaks TLS */
    struct tls outer;
    struct buf net_in;
    struct buf net_out;  /* of outer TLS */
    struct buf clear_in; /* of outer TLS */
    struct buf out;      /* frames for the relay */

    struct arena arena; /* of the upgrade request */
    struct h1 h1;
    char accept[29];
    struct secret token; /* until the hello is checked */
    struct vault_wait auth;
    struct err auth_err; /* the vault's answer: ERR_OK and `session` is set */
    int auth_done;

    struct ws_frame ws;
    struct chunk chunk;
    struct span frame;   /* rest of a frame's data, in the input queue */
    struct span payload; /* rest of a chunk's payload, in it */
    size_t held;         /* bytes of the input queue that these lie in */
    int peer_closed;     /* a close frame came, or the stream ended */
    uint16_t close_code; /* of the close frame that came; 0: none */
    int close_sent;
    int is_websocket; /* 101 was sent */
    int shut;         /* our FIN was sent */
    int64_t spoke_ms; /* when we last sent something: keepalive */

    struct buf hello_in; /* secret: holds the token */
    int hello_complete;
    struct host host;
    uint16_t port;
    struct decision decision; /* of the CONNECT */
    struct origin_user reach;
    struct origin_wait reach_wait; /* for a connection, in REACH */
    struct origin *reaching;       /* owned while REACH */
    struct err reach_err;
    int reach_done;
    struct inspect *inspect; /* owned */
    struct pass *pass;       /* owned */
};

/* Takes fd. */
void tunnel_open(struct worker *worker, struct listener *listener, int fd);

/* Its buffers are those of this share from now on. -1: that has not enough; nothing has changed. */
int tunnel_share(struct tunnel *tunnel, struct share *share, struct err *err);

/* Something has changed: the pump runs at the end of this tick. */
void tunnel_wake(struct tunnel *tunnel);

/* End at once: nothing more is delivered, the relay sees a reset. For ended sessions. */
void tunnel_abort(struct tunnel *tunnel, const struct err *err);

/* End in order: what is queued is delivered, then a close frame with 1000. */
void tunnel_finish(struct tunnel *tunnel);

/* A state of its own table of inspect.h has begun or moved: the tunnel keeps the one deadline. */
void tunnel_deadline(struct tunnel *tunnel, int64_t in_ms);

/* Somebody else watches over it now. */
void tunnel_deadline_clear(struct tunnel *tunnel);

/* Set it unless there is one. */
void tunnel_deadline_keep(struct tunnel *tunnel, int64_t in_ms);

/* Our answer to the CONNECT, when it is not 200; then the tunnel ends. Writes the record. */
void tunnel_refuse(struct tunnel *tunnel, const struct err *err);

/* The parts of a record that a tunnel knows. */
void tunnel_record(const struct tunnel *tunnel, struct record *record);

/* The queue that WebSocket bytes come from. */
static inline struct buf *tunnel_in(struct tunnel *tunnel)
{
    return tunnel->has_outer ? &tunnel->clear_in : &tunnel->net_in;
}

#endif
