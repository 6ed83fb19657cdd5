/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_PASS_H
#define EXEAT_GATEWAY_PASS_H

#include "gateway/origin_dial.h"
#include "net/stream.h"

struct tunnel;
struct worker;

/*
 * A tunnel that goes through unread, by a rule that says pass or tcp:
 *
 *   payload -> socket        socket -> envelopes
 */
#define PASS_STATES(X) /* name, deadline in ms, ends when ... */                                   \
    X(RESOLVE, 0, "the name is resolved and every address checked; the tunnel is in REACH")        \
    X(CONNECT, timeouts->connect_ms, "a checked address has answered")                             \
    X(PEEK, timeouts->peek_ms, "the ClientHello is complete and asks for the right name")          \
    X(CARRY, timeouts->forward_ms, "either side has ended")                                        \
    X(HALF, PASS_END_MS, "the origin has ended too, after the client")                             \
    X(LAST, PASS_END_MS, "the client has ended too, after the origin")                             \
    X(OVER, 0, "the tunnel frees it")

#define PASS_END_MS 10000

enum pass_state {
#define PASS_ENUM(name, deadline, ends) PASS_##name,
    PASS_STATES(PASS_ENUM)
#undef PASS_ENUM
};

struct pass {
    struct tunnel *tunnel; /* borrowed: owns this */
    struct worker *worker; /* borrowed */
    enum pass_state state;
    struct origin_dial *dialing; /* owned: RESOLVE, CONNECT */
    struct stream stream;        /* to the origin */
    char address[64];            /* that was dialled, for the record */
    struct buf hello;            /* the ClientHello, until the origin has it */
    uint64_t bytes_in;           /* sent to the origin */
    uint64_t bytes_out;          /* received from it */
    int up_is_dead;              /* the origin takes nothing more: what comes is dropped */
    int was_reset;               /* by the origin: its end is none */
    int is_cut;                  /* the origin must not take what it has for complete */
};

/*
 * Begin to dial the tunnel's host; the tunnel is woken with its reach_done and reach_err. NULL:
 * ERR_LIMIT, ERR_MEMORY.
 */
struct pass *pass_open(struct tunnel *tunnel, struct err *err);

/* The origin is connected: say 200 and begin. 1, or -1 with *err. */
int pass_start(struct pass *pass, struct err *err);

/* 1 something moved, 0, -1 the relay broke the protocol. May bring the tunnel to its end. */
int pass_pump(struct pass *pass, struct err *err);

/* Say what the origin's socket waits for. */
void pass_want(struct pass *pass);

/* Whether no byte of either direction is on its way here. */
bool pass_holds_nothing(const struct pass *pass);

/* The tunnel's deadline has passed. */
void pass_expired(struct pass *pass);

/* The tunnel ends now: what went through is recorded with this reason, the origin gets a reset. */
void pass_abort(struct pass *pass, const struct err *err);

/* The connection to the origin ends with FIN if everything went in order, else with RST. */
void pass_free(struct pass *pass);

#endif
