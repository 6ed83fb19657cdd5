/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_UPLINK_H
#define EXEAT_RELAY_UPLINK_H

#include "relay/forward.h"
#include "relay/link.h"
#include "relay/worker.h"
#include "wire/chunk.h"
#include "wire/ws_frame.h"
#include "wire/ws_shake.h"

/* One client connection and its tunnel; with requests that name whole URLs, one after the other. */
#define UPLINK_STATES(X) /* name, deadline ms, ends when ... */                                    \
    X(HEAD, 10000, "the client's head is complete")                                                \
    X(FORWARD, 10000, "the client's request needs a tunnel; see relay/forward.h")                  \
    X(DIAL, 10000, "the link to the gateway is open")                                              \
    X(WAIT, 1000, "the back-off before the next try is over")                                      \
    X(JOIN, 10000, "the gateway has answered the upgrade")                                         \
    X(ANSWER, 30000, "the first byte for the client has come")                                     \
    X(OPEN, 300000, "either side has ended")                                                       \
    X(HALF, 10000, "the gateway has ended too, after the client's FIN")                            \
    X(DRAIN, 30000, "the client has taken everything")                                             \
    X(LINGER, 2000, "the client has closed, and so has read our last words")                       \
    X(CLOSED, 0, "the loop has reaped it")

enum uplink_state {
#define UPLINK_ENUM(name, deadline_ms, ends) UPLINK_##name,
    UPLINK_STATES(UPLINK_ENUM)
#undef UPLINK_ENUM
        UPLINK_STATE_COUNT
};

struct uplink {
    struct worker *worker; /* borrowed: outlives it */
    enum uplink_state state;
    unsigned number; /* for the log */
    unsigned tries;
    struct loop_deadline deadline;
    struct loop_deadline keepalive;
    struct loop_task again; /* pumps once more at the end of the tick */
    struct stream client;
    struct buf client_in; /* the head, then what came early, in order; empty once OPEN */
    struct buf client_out;
    struct forward *forward; /* owned; NULL for a client that says CONNECT */
    size_t scanned;          /* of the client's head, then of the upgrade's answer */
    size_t head_len;         /* in client_in, until the hello is sent */
    size_t line_len;         /* of it: the request line */
    struct link link;
    struct ws_shake shake;
    struct ws_frame ws;
    struct chunk chunk;
    struct err why;  /* of the last failure */
    int has_payload; /* a byte of the gateway was given to the client: no answer of ours any more */
    int close_sent;
    unsigned closing_count; /* close callbacks to come */
};

/* Takes fd, on failure too. */
int uplink_open(struct worker *worker, int fd, struct err *err);

/* The only function that changes the state. */
void uplink_enter(struct uplink *uplink, enum uplink_state next);

/* Something moved: the deadline of this state begins anew. */
void uplink_touch(struct uplink *uplink);

/* An end before any payload is an answer; after it, a reset on both sides. */
void uplink_fail(struct uplink *uplink, const struct err *why);

/* The link failed before the hello: another try, or uplink_fail(). */
void uplink_retry(struct uplink *uplink, const struct err *why);

/* Deliver what is queued for the client, then FIN. */
void uplink_finish(struct uplink *uplink);

/* Tell the gateway that the tunnel ends in order, unless that is said already. */
void uplink_say_close(struct uplink *uplink);

/* The tunnel alone ends; the client stays. */
void uplink_end_link(struct uplink *uplink);

/* The tunnel was lost: the end of the uplink, or only of the request that is being forwarded. */
void uplink_lose(struct uplink *uplink, const struct err *why);

/* Close both sides now; `end` is what the client sees. */
void uplink_close(struct uplink *uplink, enum link_end end);

/* Ask the gateway: the first try of this uplink, or the next. */
void uplink_dial(struct uplink *uplink);

/* relay/uplink_pump.c */
void uplink_pump(struct uplink *uplink);

/* The task that pumps once more: of `again`. */
void uplink_on_again(struct loop_task *task);

/* relay/uplink_join.c: each returns 1 something moved, 0 nothing, -1 failed (already handled). */
int uplink_read_head(struct uplink *uplink);
int uplink_send_upgrade(struct uplink *uplink);
int uplink_read_upgrade(struct uplink *uplink);

/* relay/uplink_forward.c: the client asks for a URL; what it sent so far is in client_in. */
void uplink_forward_begin(struct uplink *uplink);
void uplink_forward_free(struct uplink *uplink);

/* 1 something moved, 0 nothing, -1 the end (already handled). Only with uplink->forward. */
int uplink_forward_pull(struct uplink *uplink, struct err *err);
int uplink_forward_step(struct uplink *uplink);

/* Time is over in a state in which uplink->forward decides. */
void uplink_forward_expired(struct uplink *uplink);

/* The gateway has ended the tunnel: in order, or `why`. */
void uplink_forward_lost(struct uplink *uplink, const struct err *why);

#endif
