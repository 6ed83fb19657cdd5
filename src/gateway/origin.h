/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_ORIGIN_H
#define EXEAT_GATEWAY_ORIGIN_H

#include "crypto/tls.h"
#include "gateway/seal.h"
#include "http/h1.h"
#include "net/dial.h"
#include "net/resolve.h"
#include "net/stream.h"

struct worker;
struct session;
struct origin;

/*
 * One verified TLS connection to a real server, of one session. Between exchanges it waits in the
 * session's pool; a byte or an end that comes then closes it (threat A12).
 */
#define ORIGIN_STATES(X) /* name, deadline field of config.timeouts, ends when ... */              \
    X(RESOLVE, resolve_ms, "the name is resolved and every address checked")                       \
    X(CONNECT, connect_ms, "a checked address has answered")                                       \
    X(SHAKE, origin_handshake_ms, "its certificate is verified")                                   \
    X(IDLE, origin_idle_ms, "an exchange takes it")                                                \
    X(BUSY, forward_ms, "the exchange gives it back")                                              \
    X(CLOSED, drain_ms, "the loop has reaped it")

enum origin_state {
#define ORIGIN_ENUM(name, deadline, ends) ORIGIN_##name,
    ORIGIN_STATES(ORIGIN_ENUM)
#undef ORIGIN_ENUM
};

/* Who waits for the connection or uses it; exactly one at a time. */
struct origin_user {
    /* RESOLVE to SHAKE have ended: the origin is BUSY and the user's, or NULL with *err. */
    void (*on_open)(struct origin_user *user, struct origin *origin, const struct err *err);
    /* Something can move on a BUSY connection. */
    void (*on_ready)(struct origin_user *user);
    void *owner; /* borrowed */
};

struct origin {
    struct worker *worker;    /* borrowed */
    struct session *session;  /* borrowed: outlives it, or closes it */
    struct list_node node;    /* in session->idle_origins while IDLE */
    struct origin_user *user; /* borrowed; NULL while IDLE or CLOSED */
    enum origin_state state;
    struct host host;
    uint16_t port;
    char address[64];            /* that was dialled, for records */
    struct origin_dial *dialing; /* owned: RESOLVE, CONNECT */
    struct stream stream;
    struct tls tls;
    struct seal seal;
    struct buf net_in;
    struct buf net_out;
    struct buf plain_in;
    struct h1 h1;
    struct loop_deadline deadline;
    unsigned uses; /* exchanges begun on it */
    int saw_bytes; /* of the response of this exchange */
};

/*
 * Start a connection for a session; `user` hears once, never from within this call. The name is
 * allowed by policy already. NULL with *err: ERR_LIMIT, ERR_MEMORY.
 */
struct origin *origin_open(struct session *session, const struct host *host, uint16_t port,
                           struct origin_user *user, struct err *err);

/* An idle connection of the session to host:port, now BUSY and `user`'s; NULL if there is none. */
struct origin *origin_take(struct session *session, const struct host *host, uint16_t port,
                           struct origin_user *user);

/* Give a BUSY connection back that stands between two exchanges; closes it if it may not wait. */
void origin_give(struct origin *origin);

/* In any state. The user, if there is one, does not hear of it. */
void origin_close(struct origin *origin);

/*
 * Read what there is and decrypt it into plain_in. 1 something moved, 0, or -1: ERR_TLS,
 * ERR_ORIGIN_CLOSED. *has_ended: nothing more will come; cleanly (close_notify) or not.
 */
enum origin_end { ORIGIN_GOES_ON, ORIGIN_ENDED, ORIGIN_CUT };
int origin_pull(struct origin *origin, enum origin_end *end, struct err *err);

/* Encrypt what was gathered and write what the socket takes; then wait for what is needed. */
int origin_push(struct origin *origin, struct err *err);
enum origin_reading { ORIGIN_READS, ORIGIN_WAITS /* no buffers */ };
void origin_want(struct origin *origin, enum origin_reading reading);

/* Whether no byte of either direction is on its way here. */
bool origin_holds_nothing(const struct origin *origin);

/* Another while of patience: something moved. */
void origin_touch(struct origin *origin);

#endif
