/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_HTTP_H2_H
#define EXEAT_HTTP_H2_H

#include "base/buf.h"
#include "base/list.h"
#include "base/quota.h"
#include "http/message.h"

/*
 * The HTTP/2 engine for one connection (RFC 9113): many messages at once, each on a stream.
 * Bytes in by h2_feed(), bytes out by h2_drain(); in between the user works on streams, each of
 * which it pulls from and pushes to at its own pace. What the peer may send on a stream is exactly
 * the room in that stream's `recv`: the window is never wider than the queue (threat B7).
 *
 *     bytes -> h2_feed -> streams with news -> h2_next -> head, content, trailers
 *     h2_open / h2_send_* -> streams with something to send -> h2_drain -> bytes
 *
 * Nothing that the other side's message model could read in two ways leaves this engine: names are
 * lower-case tokens, values are field content, pseudo-fields are checked (threats B8, B9).
 */
struct h2;

enum h2_role {
    H2_SERVER, /* we answer: the peer opens streams */
    H2_CLIENT, /* we ask */
};

/* RFC 9113 section 7: those that users name. */
enum h2_code {
    H2_NO_ERROR = 0,
    H2_PROTOCOL_ERROR = 1,
    H2_INTERNAL_ERROR = 2,
    H2_REFUSED_STREAM = 7,
    H2_CANCEL = 8,
    H2_ENHANCE_YOUR_CALM = 11,
};

/* Where memory comes from; all borrowed, they outlive the engine. */
struct h2_pools {
    struct pool *streams; /* items of sizeof(struct h2_stream) */
    struct pool *recv;    /* blocks of a stream's `recv`: their size is its window */
    struct pool *send;    /* blocks of a stream's `send` */
    struct pool *arena;   /* blocks of LIMIT_ARENA_BLOCK for heads */
};

struct h2_options {
    enum h2_role role;
    struct h2_pools pools;
    struct quota
        *memory;      /* borrowed: of the engine and its library; NULL: a limit of its own only */
    unsigned streams; /* that may be open at once; a server tells the peer */
    size_t window;    /* of the connection, in bytes: content held by all its streams */
    int extended_connect; /* a server offers RFC 8441 */
};

/* What is new about a stream since it was last returned by h2_next(). */
#define H2_NEWS_HEAD    1u  /* the request, or the final response, is in `request`/`response` */
#define H2_NEWS_INTERIM 2u  /* a 1xx response is in `interim`; a later one replaces it */
#define H2_NEWS_DATA    4u  /* `recv` has grown */
#define H2_NEWS_END     8u  /* the peer's message is complete; `trailers` may have some */
#define H2_NEWS_ROOM    16u /* `send` has drained */
#define H2_NEWS_RESET   32u /* ended before its time, by either side: `reset_code` */

/*
 * One stream. Between h2_next() (server) or h2_open() (client) and h2_release() the user may read
 * every field that is not private. Spans in messages live in `arena`, until h2_release().
 */
struct h2_stream {
    struct h2
        *h2; /* borrowed: owns this; NULL once the connection is gone: only h2_release() then */
    int32_t id;
    void *owner; /* the user's; borrowed */
    struct arena arena;
    /*
     * Server: the request, with version HTTP_2. `:authority` is the field "host", first in the
     * order; a Host field beside it must say the same and is dropped. `:path` is the target.
     * framing: HTTP_BODY_NONE if the head ended the stream, HTTP_BODY_LENGTH with content-length,
     * else HTTP_BODY_CHUNKED (unknown). Several cookie fields are one, joined by "; ".
     */
    struct http_request request;
    struct span scheme;            /* of the request: "https" or "http" */
    struct span protocol;          /* `:protocol` of an extended CONNECT, else empty */
    struct http_response response; /* client: the final response, framing as above */
    struct http_response interim;
    struct http_fields trailers; /* count 0: none */
    /*
     * Server: with H2_NEWS_HEAD, the request cannot be served: ERR_TOO_LARGE or ERR_MEMORY; answer
     * and end. Both: with H2_NEWS_RESET, why we have reset the stream, if the peer is at fault.
     */
    struct err head_err;
    struct buf recv; /* content that came; take it by h2_recv_used() */
    unsigned news;   /* H2_NEWS_*: as h2_next() returned it */
    int has_head;
    int recv_ended; /* the peer's message is complete (with what is in recv) */
    int send_ended; /* ours is */
    /*
     * Nothing can be sent any more, nothing more will come. Without H2_NEWS_RESET: a client whose
     * response is complete, and whose server wants no more of the request (RFC 9113 section 8.1).
     */
    int is_reset;
    uint32_t reset_code; /* of RFC 9113 section 7 */
    int may_retry;       /* client: the server has not looked at it (REFUSED_STREAM, GOAWAY) */
    /* private: below */
    struct buf send;
    struct list_node node;       /* in the engine's streams */
    struct list_node ready_node; /* in its streams with news */
    unsigned fresh;              /* news not yet returned */
    int is_ready;                /* in the list of those with news */
    int is_held;                 /* by the user */
    int is_released;             /* was held, and is not shown again */
    int is_closed;               /* nghttp2 has forgotten it */
    int is_deferred;             /* nghttp2 waits until there is something in `send` */
    int is_opened;               /* client: the request's head has gone out */
    int is_end_sent;             /* so has the end of our message */
    int is_dropped;              /* by the peer's RST_STREAM */
    int is_bare;                 /* of our request: HEAD, whose response has no content */
    int has_response;            /* server: the final response was given */
    unsigned interim_count;
    struct http_fields send_trailers; /* what h2_send_end() was given; in `arena` */
    struct pool *pool;                /* borrowed: where the stream itself came from */
};

/*
 * What an engine without streams takes of its quota. Where less is left none is made: those that
 * live need some for what comes.
 */
#define H2_MEMORY_LEAST 65536

/*
 * NULL: ERR_LIMIT if the quota has not H2_MEMORY_LEAST left, ERR_MEMORY. The engine queues its
 * SETTINGS (a client also the preface).
 */
struct h2 *h2_new(const struct h2_options *options, struct err *err);

/* Streams that are not released yet lose their connection: `h2` becomes NULL, `is_reset` 1. */
void h2_free(struct h2 *h2);

/*
 * Takes all of `in`, unless it fails. Errors are final: ERR_SYNTAX or ERR_LIMIT (a flood) for a
 * server, ERR_ORIGIN_SYNTAX for a client; a GOAWAY that says why is queued: drain it, then close.
 * All streams have H2_NEWS_RESET then. A flood may also be found while draining: h2_is_closing().
 */
int h2_feed(struct h2 *h2, struct span in, struct err *err);

/* 1 with the next stream that has news, 0 if there is none. A stream comes once per batch of news.
 */
int h2_next(struct h2 *h2, struct h2_stream **stream);

/*
 * Frames into `out` (whose capacity is at least H2_DRAIN_ROOM), as many as there is room for;
 * nothing is written in part. 1 if bytes moved, 0, -1: ERR_MEMORY.
 */
#define H2_DRAIN_ROOM 40960
int h2_drain(struct h2 *h2, struct buf *out, struct err *err);

/* Whether h2_drain() would write something, given room. */
bool h2_wants_drain(const struct h2 *h2);

/*
 * Client: a new stream for this request (fields without Host: `authority` is sent instead; names
 * may be in any case, they go out in lower case). `end`: without content. `protocol` is not empty
 * for an extended CONNECT; "te: trailers" may be among the fields. Fields are never put into the
 * shared compression table: they may be credentials. NULL: ERR_LIMIT when no stream is free
 * (h2_open_count()), ERR_MEMORY, ERR_ORIGIN_CLOSED after GOAWAY.
 */
enum h2_end { H2_GOES_ON, H2_ENDS };
struct h2_request {
    const struct http_request *request;
    struct span scheme;
    struct span authority;
    struct span protocol;
};
struct h2_stream *h2_open(struct h2 *h2, const struct h2_request *request, enum h2_end end,
                          struct err *err);

/* Client: how many more streams may be opened now; 0 after a GOAWAY. */
size_t h2_open_count(const struct h2 *h2);

/* Server: a 1xx response, then the final one. ERR_MEMORY, ERR_CLOSED if the stream is reset. */
int h2_send_interim(struct h2_stream *stream, const struct http_response *response,
                    struct err *err);
int h2_send_response(struct h2_stream *stream, const struct http_response *response,
                     enum h2_end end, struct err *err);

/* How many bytes h2_send_data() takes now; 0 as well when the peer's window is closed long enough
 * for `send` to be full. */
size_t h2_send_room(const struct h2_stream *stream);

/* `bytes.len` <= h2_send_room(). ERR_MEMORY, ERR_CLOSED. */
int h2_send_data(struct h2_stream *stream, struct span bytes, struct err *err);

/* Our message is complete; `trailers` may be NULL or empty. */
int h2_send_end(struct h2_stream *stream, const struct http_fields *trailers, struct err *err);

/* The user has taken `len` bytes of stream->recv: the window opens by as much. */
void h2_recv_used(struct h2_stream *stream, size_t len);

/* End a stream now, in both directions. After it only h2_release(). */
void h2_reset(struct h2_stream *stream, enum h2_code code);

/*
 * The user is done with it: the last call. A stream whose two messages are not complete is reset
 * with H2_CANCEL (server, response complete but request not: H2_NO_ERROR); what was queued by
 * h2_send_* before and is complete still goes out.
 */
void h2_release(struct h2_stream *stream);

/*
 * No new streams: GOAWAY with H2_NO_ERROR. Open ones go on; h2_is_done() when the last has ended
 * and everything is drained.
 */
void h2_shutdown(struct h2 *h2);

/* GOAWAY with `code` at once; the connection is at its end. */
void h2_terminate(struct h2 *h2, enum h2_code code);

/* A PING, unless one is not yet answered: bytes that come show that the peer is there. */
void h2_ping(struct h2 *h2);

/*
 * Some time has passed (call about once a second): budgets for frames without use (resets, PING,
 * SETTINGS, empty DATA, PRIORITY, WINDOW_UPDATE; threats B1, B2, B5) refill.
 */
void h2_tick(struct h2 *h2);

/* As many ticks as seconds have passed since the last; for who has a clock, in ms, but no timer. */
void h2_tick_until(struct h2 *h2, int64_t now_ms);

/* Streams the user has not released. */
size_t h2_stream_count(const struct h2 *h2);

/* A GOAWAY came or went. */
bool h2_is_closing(const struct h2 *h2);

/* Nothing more will happen: no streams, nothing to drain, closing or the session is over. */
bool h2_is_done(const struct h2 *h2);

/* Client: the server's SETTINGS have come, and it takes extended CONNECT (RFC 8441). */
bool h2_has_extended_connect(const struct h2 *h2);

#endif
