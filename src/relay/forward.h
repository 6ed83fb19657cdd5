/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_FORWARD_H
#define EXEAT_RELAY_FORWARD_H

#include "base/buf.h"
#include "base/text.h"
#include "http/h1.h"
#include "http/target.h"

/*
 * Requests that name a whole URL (absolute-form, RFC 9112 section 3.2.2): an engine between one
 * client and the tunnels that its requests need, one after the other. No descriptor, no clock: the
 * owner fills the two queues in front, drains the two behind, opens the tunnels it asks for, and
 * keeps the deadline of its state.
 */
#define FORWARD_STATES(X) /* name, deadline ms, ends when ... */                                   \
    X(IDLE, 300000, "the next request begins, or the client ends")                                 \
    X(HEAD, 10000, "the head of the request is complete")                                          \
    X(TUNNEL, 30000, "the gateway has answered the CONNECT of the tunnel")                         \
    X(REFUSAL, 30000, "the gateway's refusal has been passed on")                                  \
    X(EXCHANGE, 300000, "the response has been passed on")                                         \
    X(UPGRADED, 300000, "either side has ended")                                                   \
    X(CONNECT, 10000, "the owner serves the CONNECT that the client goes on with")                 \
    X(DONE, 0, "the owner has closed the client's connection")

enum forward_state {
#define FORWARD_ENUM(name, deadline_ms, ends) FORWARD_##name,
    FORWARD_STATES(FORWARD_ENUM)
#undef FORWARD_ENUM
        FORWARD_STATE_COUNT
};

/* The tunnel as the engine sees it. */
enum forward_tunnel {
    FORWARD_TUNNEL_NONE,   /* the owner closes what it has */
    FORWARD_TUNNEL_WANTED, /* the owner closes what it has, and opens one with the CONNECT line */
    FORWARD_TUNNEL_ASKED,  /* forward_tunnel_asked() was called; the answer is waited for */
    FORWARD_TUNNEL_OPEN,   /* 200: what is sent goes to the place of the target */
    FORWARD_TUNNEL_ENDED,  /* forward_tunnel_end() was called; what came before is still there */
};

/* Where a tunnel leads. */
struct forward_place {
    enum { FORWARD_HTTP, FORWARD_HTTPS } scheme;
    struct host host;
    uint16_t port;
};

struct forward {
    enum forward_state state;
    struct buf client_in;   /* from the client; the owner appends */
    struct buf tunnel_in;   /* from the tunnel; the owner appends */
    struct buf *tunnel_out; /* borrowed; the owner drains */
    struct buf *client_out; /* borrowed; the owner drains */
    struct arena arena;     /* of one exchange */
    struct h1 request;
    struct h1 response;            /* of the tunnel's CONNECT, then of the request */
    struct http_request rebuilt;   /* the request as it goes into the tunnel */
    enum forward_tunnel tunnel;    /* only forward_*() assign it */
    struct forward_place place;    /* of the tunnel, unless there is none */
    struct err tunnel_end;         /* ERR_OK: in order */
    unsigned tunnel_uses;          /* requests sent through it */
    struct http_framing to_client; /* of the response */
    int client_has_ended;
    int request_done;
    struct span upgrade; /* the protocol that the request wants to switch to; borrows from arena */
    int is_upgraded;
    int response_begun; /* its head is in client_out: no other answer any more */
    int response_seen;  /* at least one byte of it has come */
    int response_done;
    int tunnel_is_spent; /* the gateway said close */
    int must_close;      /* the client's connection, after this exchange */
    int has_retried;
};

/* `client_in` starts empty; both queues behind are borrowed and outlive the engine. */
void forward_init(struct forward *forward, struct pool *blocks, struct pool *arena_blocks,
                  struct buf *tunnel_out, struct buf *client_out);
void forward_fini(struct forward *forward);

/*
 * One thing that can move now: 1 something did, 0 nothing, -1: the exchange cannot go on, *err is
 * what to answer (or why to reset if response_begun). The owner then closes.
 */
int forward_step(struct forward *forward, struct err *err);

/* The client has sent FIN: what is in client_in is all there will be. */
void forward_client_end(struct forward *forward);

/* After this exchange the client's connection ends: the relay is stopping. */
void forward_stop(struct forward *forward);

/* The tunnel that was wanted is being opened, with this line. */
#define FORWARD_CONNECT_MAX (LIMIT_HOST + 64)
void forward_connect_write(const struct forward *forward, struct text *out);
void forward_tunnel_asked(struct forward *forward);

/* The gateway has ended the tunnel: in order, or `why`. */
void forward_tunnel_end(struct forward *forward, const struct err *why);

int64_t forward_deadline_ms(const struct forward *forward);

/* Everything of the client has gone into the tunnel, and there is an answer to wait for. */
int forward_has_sent_all(const struct forward *forward);

/* What of our own answer the client expects: no content after HEAD. */
struct span forward_answer(const struct forward *forward, struct span answer);

/* --- among relay/forward*.c --- */

/* The only function that changes the state. */
void forward_enter(struct forward *forward, enum forward_state next);

/* Another tunnel, to where the request wants to go. */
void forward_tunnel_want(struct forward *forward);

/* Let go of the tunnel and of what came out of it. */
void forward_tunnel_drop(struct forward *forward);

/* relay/forward_request.c: as forward_step(). */
int forward_head_step(struct forward *forward, struct err *err);
int forward_content_step(struct forward *forward, struct err *err);

/* relay/forward_response.c: likewise. */
int forward_tunnel_step(struct forward *forward, struct err *err);
int forward_response_step(struct forward *forward, struct err *err);

/* The one protocol that Connection and Upgrade switch to, or an empty span. */
struct span forward_upgrade_of(const struct http_fields *fields);
int forward_upgrade_add(struct http_fields *fields, struct span protocol, struct err *err);

#endif
