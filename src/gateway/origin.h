/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_ORIGIN_H
#define EXEAT_GATEWAY_ORIGIN_H

#include "crypto/tls.h"
#include "gateway/seal.h"
#include "http/h1.h"
#include "http/h2.h"
#include "net/dial.h"
#include "net/resolve.h"
#include "net/stream.h"
#include "policy/rule.h"

struct worker;
struct session;
struct origin;

/*
 * One connection to a real server, of one session: verified TLS, or plain where a rule allows that.
 * HTTP/1 carries one exchange at a time; between two it waits in the session's pool, and a byte or
 * an end that comes then closes it (threat A12). HTTP/2 carries many at once.
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

enum origin_version {
    ORIGIN_ANY_VERSION, /* what the server chooses of HTTP/2 and HTTP/1.1 */
    ORIGIN_ONLY_H1,     /* for a switch of protocols */
};

/* Everything by which connections differ; those of a session that agree in it may serve for each
 * other. */
struct origin_target {
    const struct host *host; /* borrowed for the call */
    uint16_t port;
    enum rule_scheme scheme;
    enum origin_version version;
    int is_fresh; /* no connection that was used before */
};

/* Who waits for the connection or uses it: one while it is made and over HTTP/1, many over HTTP/2.
 */
struct origin_user {
    /* RESOLVE to SHAKE have ended: the origin is BUSY and the user's, or NULL with *err. */
    void (*on_open)(struct origin_user *user, struct origin *origin, const struct err *err);
    /* Something can move on a BUSY connection of HTTP/1; news of a stream go to its owner. */
    void (*on_ready)(struct origin_user *user);
    /* A connection of HTTP/2 has gone: every stream of it has ended, the user has left it. */
    void (*on_lost)(struct origin_user *user, const struct err *err);
    void *owner;           /* borrowed */
    struct list_node node; /* in origin->users */
};

struct origin {
    struct worker *worker;   /* borrowed */
    struct session *session; /* borrowed: outlives it, or closes it */
    struct list_node node;   /* in session->idle_origins while IDLE, or ->shared_origins with h2 */
    struct list_node session_node; /* in session->origins until it is CLOSED */
    struct origin_user *user;      /* borrowed; NULL while IDLE or CLOSED, and with h2 */
    struct list users;             /* of struct origin_user: of h2 */
    enum origin_state state;
    struct host host;
    uint16_t port;
    enum rule_scheme scheme;
    enum origin_version version;
    char address[64];            /* that was dialled, for records */
    struct origin_dial *dialing; /* owned: RESOLVE, CONNECT */
    struct stream stream;
    struct tls tls;
    struct seal seal;
    struct buf net_in;
    struct buf net_out;
    struct buf plain_in;
    struct h1 h1;
    struct h2 *h2;         /* owned; NULL: HTTP/1 */
    struct loop_task task; /* of h2: the one place where it runs */
    struct loop_deadline deadline;
    unsigned uses;    /* exchanges begun on it */
    int has_switched; /* to another protocol: it will not be given back */
    int saw_bytes;    /* of the response of this exchange */
};

/*
 * Start a connection for a session; `user` hears once, never from within this call. The name is
 * allowed by policy already. NULL with *err: ERR_LIMIT, ERR_MEMORY.
 */
struct origin *origin_open(struct session *session, const struct origin_target *target,
                           struct origin_user *user, struct err *err);

/* Where the origin's connection comes from, in records. */
const char *origin_version_name(const struct origin *origin);

/*
 * An open connection of the session for `target` that can take one more exchange, now BUSY and used
 * by `user`; NULL if there is none.
 */
struct origin *origin_take(struct session *session, const struct origin_target *target,
                           struct origin_user *user);

/*
 * The user needs it no more. ORIGIN_KEEP: it stands between two exchanges and may serve another;
 * ORIGIN_DISCARD: over HTTP/1 it is closed, for nobody knows what would come on it next.
 */
enum origin_fate { ORIGIN_KEEP, ORIGIN_DISCARD };
void origin_leave(struct origin *origin, struct origin_user *user, enum origin_fate fate);

/* In any state. The users, if there are any, do not hear of it. */
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

/* Buffers may be free again: those of the session that no exchange reads for read on. */
void origin_look_again(struct session *session);

/* HTTP/2: a stream has something to say: it is heard at the end of this tick. */
void origin_wake(struct origin *origin);

/* --- for the files of the origin --- */

/* The only function that assigns the state. */
void origin_enter(struct origin *origin, enum origin_state next);

/* It is of no use any more: those who wait for it or use it hear why, and it is gone. */
void origin_fail(struct origin *origin, const struct err *err);

/* Room for one more of a session; if it has none, the one that is idle for longest goes. */
struct origin *origin_pool_room(struct session *session);

/* The server has chosen HTTP/2. */
int origin_h2_start(struct origin *origin, struct err *err);

/* What came on its socket, what its streams have to say. May bring it to its end. */
void origin_h2_run(struct origin *origin);

#endif
