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
 *   payload -> TLS -> plain_in -> exchange                exchange -> seal -> envelopes   HTTP/1
 *   payload -> TLS -> plain_in -> h2 -> exchanges    exchanges -> h2 -> seal -> envelopes HTTP/2
 *
 * or no TLS at all: plain HTTP/1, where a rule allows it.
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
    int is_plain;  /* no TLS: the payload is HTTP */
    struct h2 *h2; /* owned; NULL: HTTP/1 */
    struct list
        exchanges;     /* of struct exchange, owned: one over HTTP/1, one a stream over HTTP/2 */
    struct list ready; /* of struct exchange: to be stepped */
    int closing;       /* deliver what is gathered, then end */
    unsigned served;   /* exchanges completed */
};

/* NULL: ERR_LIMIT. */
struct inspect *inspect_new(struct tunnel *tunnel, struct err *err);

/* Ends an exchange under way without a word to the client. */
void inspect_free(struct inspect *inspect);

/* 1 something moved, 0, -1 the relay broke the protocol. May bring the tunnel to its end. */
int inspect_pump(struct inspect *inspect, struct err *err);

/* Something that any of its exchanges may wait for has come. */
void inspect_wake(struct inspect *inspect);

/* No new requests: a connection that stands between two ends now, others after what they do. */
void inspect_drain(struct inspect *inspect);

/* The client has ended its half in order: nothing more of it will come. */
bool inspect_has_ended(const struct inspect *inspect);

/* Say what the sockets of its origins wait for. */
void inspect_want(struct inspect *inspect);

/* Whether no byte of either direction is on its way here. */
bool inspect_holds_nothing(const struct inspect *inspect);

/* The tunnel's deadline has passed. */
void inspect_expired(struct inspect *inspect);

/* The tunnel ends now: what is under way is recorded with this reason. */
void inspect_abort(struct inspect *inspect, const struct err *err);

/* --- for the files of inspect --- */

/* The only function that assigns the state. */
void inspect_enter(struct inspect *inspect, enum inspect_state next);

/* The client's words are worth more than ours: "unknown ca" means that it does not trust us. */
void inspect_explain(const struct inspect *inspect, struct err *err);

/* A record of a connection that ends for what its client did. */
void inspect_record_failure(struct inspect *inspect, const struct err *err);

/* HTTP begins, of the version that was negotiated. */
void inspect_http_begin(struct inspect *inspect);

/* HTTP. 1 something moved, 0; the tunnel may have come to its end. */
int inspect_http_step(struct inspect *inspect);

void inspect_http_expired(struct inspect *inspect);

/* Payload -> TLS -> plain_in. 1, 0, -1 ERR_TLS. */
int inspect_decrypt(struct inspect *inspect, struct err *err);

/* HTTP/2: what has come, what the streams have to say. 1, 0, -1 the client broke the protocol. */
int inspect_h2_begin(struct inspect *inspect, struct err *err);
int inspect_h2_take(struct inspect *inspect, struct err *err);
int inspect_h2_give(struct inspect *inspect, struct err *err);

#endif
