/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_HTTP_H1_H
#define EXEAT_HTTP_H1_H

#include "http/h1_body.h"
#include "http/message.h"

/*
 * The HTTP/1.1 engine for one direction of one connection (RFC 9112): bytes in, events out.
 * Reads one message at a time: after H1_END it takes no byte until h1_begin() is called again, so
 * pipelined requests wait in the caller's buffer.
 */

enum h1_role {
    H1_REQUESTS,  /* reads what a client sends */
    H1_RESPONSES, /* reads what an origin sends */
};

enum h1_event_type {
    H1_HEAD,    /* request or final response; spans live in the message's arena */
    H1_INTERIM, /* a 1xx response (not 101); another head follows */
    H1_DATA,    /* content, decoded from chunks; borrows from the input of the last h1_feed() */
    H1_END,     /* the message is complete; trailers, if any, are dropped (threat A7) */
};

struct h1_event {
    enum h1_event_type type;
    struct span data;
};

struct h1 {
    enum h1_role role;
    int phase;               /* private */
    size_t scanned;          /* private: of a head that is not complete yet */
    unsigned interims;       /* private */
    struct arena *arena;     /* borrowed: from h1_begin() to the next */
    struct span method;      /* private: of the request a response belongs to */
    struct h1_body body;     /* private */
    struct h1_event pending; /* private */
    int has_pending;         /* private */
    union {
        struct http_request request;   /* valid from H1_HEAD to the next h1_begin() */
        struct http_response response; /* likewise, also at H1_INTERIM */
    };
};

void h1_init(struct h1 *h1, enum h1_role role);

/*
 * Start reading a message whose head is copied into `arena`, which outlives the message.
 * `method` is that of the request a response answers (borrowed likewise); empty for requests.
 */
void h1_begin(struct h1 *h1, struct arena *arena, struct span method);

/*
 * Take bytes up to and with the next event. *used is what was taken: 0 with no event afterwards
 * means the rest stays with the caller until more has come. Errors are final: ERR_SYNTAX,
 * ERR_TOO_LARGE, ERR_UNSUPPORTED for requests, ERR_ORIGIN_SYNTAX for responses.
 */
int h1_feed(struct h1 *h1, struct span in, size_t *used, struct err *err);

/* 1 with *event filled, 0 if there is none. */
int h1_next(struct h1 *h1, struct h1_event *event);

/*
 * The peer will send no more. 0: this is where a message ends or none has begun (H1_END may be
 * waiting for h1_next(): content until close). -1: a message is cut off: ERR_SYNTAX for requests,
 * ERR_ORIGIN_CLOSED for responses.
 */
int h1_eof(struct h1 *h1, struct err *err);

/* Whether a message has begun: at least one byte of it was taken or offered and kept waiting. */
bool h1_is_midway(const struct h1 *h1);

#endif
