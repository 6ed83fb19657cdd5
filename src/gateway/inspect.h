/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_INSPECT_H
#define EXEAT_GATEWAY_INSPECT_H

#include "crypto/sni.h"
#include "crypto/tls.h"
#include "gateway/exchange.h"
#include "gateway/leaf_cache.h"
#include "gateway/seal.h"

struct tunnel;

/*
 * The client's TLS, ended here with a leaf for the one name of its tunnel:
 *
 *   payload -> TLS -> plain_in -> exchange        exchange -> seal -> envelopes
 */
#define INSPECT_STATES(X) /* name, deadline in ms, ends when ... */                                \
    X(PEEK, timeouts->peek_ms, "the ClientHello is complete")                                      \
    X(MINT, timeouts->mint_ms, "the vault has given a leaf")                                       \
    X(SHAKE, timeouts->inspect_handshake_ms, "the handshake is complete")                          \
    X(HTTP, timeouts->idle_ms, "either side has ended; exchange.h has its own states")

enum inspect_state {
#define INSPECT_ENUM(name, deadline, ends) INSPECT_##name,
    INSPECT_STATES(INSPECT_ENUM)
#undef INSPECT_ENUM
};

struct inspect {
    struct tunnel *tunnel; /* borrowed: owns this */
    enum inspect_state state;
    struct buf hello; /* the ClientHello, until TLS takes it */
    struct leaf_waiter waiter;
    int leaf_done;
    struct err leaf_err;
    struct tls tls;
    struct seal seal;
    struct buf plain_in;
    struct exchange exchange;
    int closing;     /* deliver what is gathered, then end */
    unsigned served; /* exchanges completed */
};

/* NULL: ERR_LIMIT. */
struct inspect *inspect_new(struct tunnel *tunnel, struct err *err);

/* Ends an exchange under way without a word to the client. */
void inspect_free(struct inspect *inspect);

/* 1 something moved, 0, -1 the relay broke the protocol. May bring the tunnel to its end. */
int inspect_pump(struct inspect *inspect, struct err *err);

/* Say what the origin's socket waits for. */
void inspect_want(struct inspect *inspect);

/* Whether no byte of either direction is on its way here. */
bool inspect_holds_nothing(const struct inspect *inspect);

/* The tunnel's deadline has passed. */
void inspect_expired(struct inspect *inspect);

/* The tunnel ends now: what is under way is recorded with this reason. */
void inspect_abort(struct inspect *inspect, const struct err *err);

#endif
