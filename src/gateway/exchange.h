/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_EXCHANGE_H
#define EXEAT_GATEWAY_EXCHANGE_H

#include "gateway/codec.h"
#include "gateway/exchange_pace.h"
#include "gateway/origin_wait.h"
#include "gateway/session.h"
#include "http/target.h"
#include "policy/decide.h"

struct inspect;
struct record;

/*
 * One request and its response: name check, decision, credential, audit, origin, then both
 * contents at the same time. Over HTTP/1 a client connection has one, for one request after the
 * other; over HTTP/2 each stream has its own.
 */
#define EXCHANGE_STATES(X) /* name, deadline in ms, ends when ... */                               \
    X(HEAD, timeouts->idle_ms, "a request head is complete (head_ms from its first byte)")         \
    X(SECRET, timeouts->auth_ms, "the vault has given every credential")                           \
    X(ORIGIN, timeouts->resolve_ms + timeouts->connect_ms + timeouts->origin_handshake_ms + 1000,  \
      "the origin is connected and verified")                                                      \
    X(FORWARD, timeouts->forward_ms,                                                               \
      "both messages are complete; moves with every byte; exchange_pace.c has two more deadlines") \
    X(UPGRADED, timeouts->forward_ms, "either side has ended; moves with every byte")              \
    X(DONE, timeouts->idle_ms, "the client connection ends, or the stream is freed")

enum exchange_state {
#define EXCHANGE_ENUM(name, deadline, ends) EXCHANGE_##name,
    EXCHANGE_STATES(EXCHANGE_ENUM)
#undef EXCHANGE_ENUM
};

#define EXCHANGE_INJECTIONS 8

/* A switch of protocols that the client asks for. */
enum exchange_upgrade {
    UPGRADE_NONE,
    UPGRADE_H1, /* Upgrade in HTTP/1.1 (RFC 9110 section 7.8) */
    UPGRADE_H2, /* extended CONNECT (RFC 8441); towards the origin it is one in HTTP/1.1 */
};

struct exchange {
    struct inspect *inspect;     /* borrowed: owns this */
    struct list_node node;       /* in inspect->exchanges */
    struct list_node ready_node; /* in inspect->ready */
    int is_ready;
    enum exchange_state state;
    struct loop_deadline deadline;
    struct arena arena; /* heads of both messages, as read over HTTP/1 and as written */
    struct h1 h1;       /* reads the request, over HTTP/1 */
    struct codec client;
    const struct http_request *request; /* borrowed: the codec's; valid from SECRET on */
    struct target target;
    enum rule_scheme scheme;
    struct decision decision;
    struct credential_query credentials[EXCHANGE_INJECTIONS];

    struct origin_user user;
    struct origin_wait wait; /* for a connection, in ORIGIN */
    struct origin *origin;   /* owned (HTTP/1) or used (HTTP/2) from ORIGIN on; NULL: gone */
    struct codec server;     /* of the origin, in FORWARD and UPGRADED */
    int origin_done;
    struct err origin_err;
    int has_retried;

    int request_ends; /* with its head */
    int request_done;
    int response_head_done;
    int response_ends; /* with its head: no content, no trailers follow */
    int response_done;
    int must_close; /* the client connection, after this exchange */
    enum exchange_upgrade upgrade;
    char accept[29]; /* what the origin's Sec-WebSocket-Accept must be, or empty */
    int is_upgraded; /* no HTTP any more */

    int is_recorded;
    uint64_t audit_handle; /* 0 until a credential goes out */
    int64_t start_wall_ms;
    int64_t start_ms;
    uint64_t bytes_in;
    uint64_t bytes_out;
    struct exchange_pace pace; /* of FORWARD */
    int status;
    char address[64];
};

/* For a connection of HTTP/1. NULL: ERR_LIMIT. */
struct exchange *exchange_new(struct inspect *inspect, struct err *err);

/* For a stream that has a head; the stream is the exchange's then. NULL: ERR_LIMIT. */
struct exchange *exchange_new_h2(struct inspect *inspect, struct h2_stream *stream,
                                 struct err *err);

/* Ends what is under way without a word to the client, with a record. */
void exchange_free(struct exchange *exchange);

/* 1 something moved, 0 not. The tunnel may have come to its end. */
int exchange_step(struct exchange *exchange);

/* Something has changed for it: it is stepped at the end of this tick. */
void exchange_wake(struct exchange *exchange);

/* The same for the round of its tunnel that is running: waking the tunnel would run it for ever. */
void exchange_queue(struct exchange *exchange);

/* Waits for a request of which nothing has come. */
bool exchange_is_idle(const struct exchange *exchange);

/* Say what the origin's socket waits for. */
void exchange_want(struct exchange *exchange);

/* The client connection ends now; an exchange under way is recorded with this reason. */
void exchange_abort(struct exchange *exchange, const struct err *err);

/* Whether no byte of either direction is on its way here. */
bool exchange_holds_nothing(const struct exchange *exchange);

/* --- for the files of the exchange --- */

/* The only function that assigns the state. */
void exchange_enter(struct exchange *exchange, enum exchange_state next);
void exchange_touch(struct exchange *exchange);

/*
 * It fails: an answer with status and reason if none has begun, else the response is cut so that
 * nobody takes it for complete. Recorded; a client connection of HTTP/1 ends.
 */
void exchange_fail(struct exchange *exchange, const struct err *err);

/* exchange_origin.c: who is told of the origin; a connection is taken or begun; begun anew. */
void exchange_origin_init(struct exchange *exchange);
int exchange_origin_start(struct exchange *exchange, struct err *err);

/* Its turn in the queue for one may have come: 1 it has, 0 it waits or did not have to, -1 *err. */
int exchange_origin_wait(struct exchange *exchange, struct err *err);
int exchange_retry(struct exchange *exchange, struct err *err);

/* Is the request one that policy allows in this tunnel? exchange_check.c */
int exchange_check(struct exchange *exchange, struct err *err);

/* The record, once. `err` NULL: it went well. */
void exchange_record(struct exchange *exchange, const struct err *err);
void exchange_record_fill(const struct exchange *exchange, struct record *record);

/* Both messages are complete: give the origin back, be ready for the next request. */
void exchange_complete(struct exchange *exchange);

/* Let go of the origin, which is used no more or may go on. */
void exchange_leave(struct exchange *exchange, enum origin_fate fate);

/* The request as the origin gets it, with its credentials. ERR_AUDIT, ERR_CREDENTIAL ... */
int exchange_send_request(struct exchange *exchange, struct err *err);

/* The head of the response (or of an interim one) as the client gets it. */
int exchange_send_response(struct exchange *exchange, enum codec_event_type type, struct err *err);

/* FORWARD: contents in both directions. 1, 0. */
int exchange_forward(struct exchange *exchange);

/* What switch of protocols this request asks for; those that are not known are none. */
enum exchange_upgrade exchange_upgrade_find(const struct exchange *exchange);

/* The fields by which an origin is asked for it. ERR_MEMORY. */
int exchange_upgrade_ask(struct exchange *exchange, struct http_fields *fields, struct err *err);

/* Whether this 101 is the answer to that. ERR_ORIGIN_SYNTAX. */
int exchange_upgrade_check(const struct exchange *exchange, const struct http_response *response,
                           struct err *err);

/* The fields by which the client learns that it is done. */
int exchange_upgrade_answer(const struct exchange *exchange, struct http_response *response,
                            struct err *err);

/* UPGRADED: bytes in both directions, whatever they are. 1, 0. */
int exchange_carry(struct exchange *exchange);

/* Bytes between the origin's socket and its codec, before and after contents have moved. */
int exchange_pull(struct exchange *exchange, enum origin_end *end, struct err *err);
int exchange_push(struct exchange *exchange, struct err *err);

#endif
