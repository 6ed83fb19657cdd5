/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_EXCHANGE_H
#define EXEAT_GATEWAY_EXCHANGE_H

#include "gateway/origin.h"
#include "gateway/session.h"
#include "http/h1.h"
#include "http/target.h"
#include "policy/decide.h"

struct inspect;
struct record;

/*
 * One request and its response, one after the other on one client connection:
 * name check, decision, credential, audit, origin, then both contents at the same time.
 */
#define EXCHANGE_STATES(X) /* name, deadline in ms, ends when ... */                               \
    X(HEAD, timeouts->idle_ms, "a request head is complete (head_ms from its first byte)")         \
    X(SECRET, timeouts->auth_ms, "the vault has given every credential")                           \
    X(ORIGIN, timeouts->resolve_ms + timeouts->connect_ms + timeouts->origin_handshake_ms + 1000,  \
      "the origin is connected and verified")                                                      \
    X(FORWARD, timeouts->forward_ms, "both messages are complete; moves with every byte")          \
    X(UPGRADED, timeouts->forward_ms, "either side has ended; moves with every byte")              \
    X(DONE, timeouts->idle_ms, "the client connection ends")

enum exchange_state {
#define EXCHANGE_ENUM(name, deadline, ends) EXCHANGE_##name,
    EXCHANGE_STATES(EXCHANGE_ENUM)
#undef EXCHANGE_ENUM
};

#define EXCHANGE_INJECTIONS 8

struct exchange {
    struct inspect *inspect; /* borrowed: embeds this */
    enum exchange_state state;
    struct arena arena; /* heads of both messages */
    struct h1 h1;       /* reads the request */
    struct target target;
    struct decision decision;
    struct credential_query credentials[EXCHANGE_INJECTIONS];

    struct origin_user user;
    struct origin *origin; /* owned from ORIGIN on */
    int origin_done;
    struct err origin_err;
    int has_retried;

    struct http_framing request_framing;  /* towards the origin */
    struct http_framing response_framing; /* towards the client */
    int request_done;
    int response_head_done;
    int response_done;
    int must_close;    /* the client connection, after this exchange */
    int wants_upgrade; /* to WebSocket; the origin may say no */
    int is_upgraded;   /* 101 was passed on: no HTTP any more */

    int is_recorded;
    uint64_t audit_handle; /* 0 until a credential goes out */
    int64_t start_wall_ms;
    int64_t start_ms;
    uint64_t bytes_in;
    uint64_t bytes_out;
    int status;
    char address[64];
};

void exchange_init(struct exchange *exchange, struct inspect *inspect);
void exchange_fini(struct exchange *exchange);

/* 1 something moved, 0 not. */
int exchange_step(struct exchange *exchange);

/* Waits for a request of which nothing has come. */
bool exchange_is_idle(const struct exchange *exchange);

/* Say what the origin's socket waits for. */
void exchange_want(struct exchange *exchange);

/* The deadline of its state has passed. */
void exchange_expired(struct exchange *exchange);

/* The client connection ends now; an exchange under way is recorded with this reason. */
void exchange_abort(struct exchange *exchange, const struct err *err);

/* --- for the files of the exchange --- */

/* The only function that assigns the state. */
void exchange_enter(struct exchange *exchange, enum exchange_state next);
void exchange_touch(struct exchange *exchange);

/*
 * It fails: an answer with status and reason if none has begun, else the response is cut so that
 * nobody takes it for complete. Recorded; the client connection ends.
 */
void exchange_fail(struct exchange *exchange, const struct err *err);

/* The record, once. `err` NULL: it went well. */
void exchange_record(struct exchange *exchange, const struct err *err);
void exchange_record_fill(const struct exchange *exchange, struct record *record);

/* Both messages are complete: give the origin back, be ready for the next request. */
void exchange_complete(struct exchange *exchange);

/* The request as the origin gets it, with its credentials. ERR_AUDIT, ERR_CREDENTIAL ... */
int exchange_send_request(struct exchange *exchange, struct err *err);

/* The head of the response (or of an interim one) as the client gets it. */
int exchange_send_response(struct exchange *exchange, int is_interim, struct err *err);

/* FORWARD: contents in both directions. 1, 0. */
int exchange_forward(struct exchange *exchange);

/* Whether this request asks for WebSocket (RFC 6455 section 4.1) as a client would. */
int exchange_wants_upgrade(const struct http_request *request);

/* Whether this 101 is the answer to that. ERR_ORIGIN_SYNTAX. */
int exchange_check_upgrade(const struct http_response *response, struct err *err);

/* UPGRADED: bytes in both directions, whatever they are. 1, 0. */
int exchange_carry(struct exchange *exchange);

#endif
