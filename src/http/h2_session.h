/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_HTTP_H2_SESSION_H
#define EXEAT_HTTP_H2_SESSION_H

/*
 * What the files of the HTTP/2 engine share; nobody else includes this. nghttp2 keeps the state of
 * the protocol, we keep the messages:
 *
 *     h2.c         the connection: feed, drain, settings, the end
 *     h2_frame.c   the input frame by frame: counted, and whether nghttp2 still reads
 *     h2_read.c    what nghttp2 understood becomes heads, content and news
 *     h2_head.c    a block of fields becomes a message
 *     h2_stream.c  how long a stream lives, who holds it, its windows
 *     h2_names.c   a message becomes a block of fields
 *     h2_write.c   what is sent becomes frames
 *     h2_budget.c  what a peer may cost
 *     h2_memory.c  the memory of nghttp2, counted and wiped
 */
#include <nghttp2/nghttp2.h>

#include "base/limits.h"
#include "http/h2.h"

#define H2_FRAME_HEAD 9

/* No single answer of nghttp2_session_mem_send() is longer: a frame of the least maximum size. */
#define H2_FRAME_ROOM (16384 + 64)

/* h2_memory.c: what nghttp2 has taken. */
struct h2_memory {
    struct quota quota; /* of this connection, part of what all of them may have */
    int is_over;        /* the connection ends */
    int can_refuse;     /* while the session is being made */
};

nghttp2_mem h2_memory_of(struct h2_memory *memory);
bool h2_memory_is_over(const struct h2_memory *memory);
size_t h2_memory_left(const struct h2_memory *memory);

/* h2_budget.c: frames that may still come, by kind. */
#define H2_BUDGETS(X) /* name, how many at once, what it is called */                              \
    X(RESETS, LIMIT_H2_RESETS, "streams reset before their response")                              \
    X(FAULTS, LIMIT_H2_FAULTS, "streams that had to be reset")                                     \
    X(PINGS, LIMIT_H2_PINGS, "PING frames")                                                        \
    X(SETTINGS, LIMIT_H2_SETTINGS, "SETTINGS frames")                                              \
    X(EMPTY, LIMIT_H2_EMPTY, "empty frames")                                                       \
    X(PRIORITIES, LIMIT_H2_PRIORITIES, "PRIORITY frames")                                          \
    X(WINDOWS, LIMIT_H2_WINDOWS, "WINDOW_UPDATE frames")                                           \
    X(STRAYS, LIMIT_H2_STRAYS, "frames for nothing")

enum h2_budget_kind {
#define H2_BUDGET_ENUM(name, limit, words) H2_BUDGET_##name,
    H2_BUDGETS(H2_BUDGET_ENUM)
#undef H2_BUDGET_ENUM
        H2_BUDGET_COUNT
};

struct h2_budget {
    unsigned left[H2_BUDGET_COUNT];
};

void h2_budget_init(struct h2_budget *budget);

/* One frame less. ERR_LIMIT when none was left. */
int h2_budget_spend(struct h2_budget *budget, enum h2_budget_kind kind, struct err *err);

/* `count` more of a kind, up to its limit. */
void h2_budget_earn(struct h2_budget *budget, enum h2_budget_kind kind, unsigned count);

/* An exchange is complete. */
void h2_budget_exchange(struct h2_budget *budget);
void h2_budget_tick(struct h2_budget *budget);

/* Pseudo-fields, as bits of those seen in a block. */
enum h2_pseudo {
    H2_METHOD,
    H2_SCHEME,
    H2_AUTHORITY,
    H2_PATH,
    H2_PROTOCOL,
    H2_STATUS,
    H2_PSEUDO_COUNT
};

/* h2_head.c: the block of fields that is being decoded; blocks of two streams never mix. */
struct h2_block {
    struct h2_stream *stream; /* borrowed; NULL: decoded for the table's sake only */
    int is_trailers;
    int is_open;          /* its last frame has not begun yet */
    size_t bytes;         /* decoded, as RFC 9113 section 6.5.2 counts */
    size_t wire_bytes;    /* compressed */
    size_t continuations; /* frames */
    struct err err;       /* why it is no message: code ERR_OK while it may be one */
    unsigned seen;        /* bits of enum h2_pseudo */
    struct span pseudo[H2_PSEUDO_COUNT];
    struct http_field items[LIMIT_FIELD_COUNT]; /* spans live in the stream's arena */
    size_t count;
};

/* The last streams of a kind, by number. */
#define H2_IDS 128
struct h2_ids {
    int32_t ids[H2_IDS]; /* 0: none */
    size_t next;
};

struct h2 {
    struct h2_options options;
    nghttp2_session *session; /* owned */
    struct h2_memory memory;
    struct h2_budget budget;
    int64_t ticked_ms;   /* of h2_tick_until(); 0: never */
    struct list streams; /* owned: all that are held or that nghttp2 knows */
    struct list ready;   /* those with news */
    size_t held;         /* by the user */
    size_t closed;       /* of `streams`: forgotten by nghttp2 */
    struct h2_block block;
    /* Where the input is in a frame, so that an error is told at the same byte for any split. */
    uint8_t frame_head[H2_FRAME_HEAD];
    size_t frame_head_len;
    struct h2_ids ended;   /* closed, and the peer had ended them: nothing may come any more */
    struct h2_ids dropped; /* closed by us: what comes was on its way */
    size_t frame_left;     /* of its payload */
    size_t preface_left;   /* a server's first bytes are no frame */
    size_t frame_content;  /* of the DATA frame being read, without padding */
    int is_frame_read;     /* nghttp2 has understood all of the frame */
    int is_probing;
    int is_alive;     /* nghttp2 has begun the probe */
    int has_frames;   /* the first frame has come, and was SETTINGS */
    int has_settings; /* the peer's first SETTINGS */
    int is_goaway;    /* one came or is queued or sent */
    int is_shut;      /* h2_shutdown() */
    int is_broken;    /* we have sent a GOAWAY with an error */
    int is_over;      /* after an error or h2_terminate() */
    int is_told;      /* the GOAWAY about it is queued */
    int is_pinging;
    struct err failure; /* of is_over */
    uint32_t failure_code;
    struct buf *out; /* borrowed: during h2_drain() */
};

/* h2.c: the end of the connection. Within callbacks: return NGHTTP2_ERR_CALLBACK_FAILURE next. */
int h2_fail(struct h2 *h2, uint32_t code, const struct err *err);
int h2_spend(struct h2 *h2, enum h2_budget_kind kind);

/* What a call of nghttp2 has returned, and the memory it has taken: -1 if the connection fails. */
int h2_check(struct h2 *h2, ssize_t result);

/* What a peer's error is called: ERR_SYNTAX, or ERR_ORIGIN_SYNTAX. */
enum err_code h2_syntax(const struct h2 *h2);

/* h2_frame.c: bytes of the peer, frame by frame. -1 if the connection has failed. */
void h2_frame_init(struct h2 *h2);
int h2_frame_feed(struct h2 *h2, struct span in);

/* nghttp2 forgets this stream, which we need to remember (RFC 9113 section 5.1, "closed"). */
void h2_frame_forget(struct h2 *h2, const struct h2_stream *stream);

/* h2_read.c */
void h2_read_callbacks(nghttp2_session_callbacks *callbacks);

/* h2_head.c. Both return -1 only when the connection has failed. */
void h2_block_begin(struct h2_block *block, struct h2_stream *stream);
int h2_block_add(struct h2 *h2, struct span name, struct span value);

/*
 * The block is complete: fills the message of its stream. -1 with *err filled if it is none: the
 * stream must be reset. `news` gets what to tell.
 */
int h2_block_end(struct h2 *h2, enum h2_end end, unsigned *news, struct err *err);

/* h2_stream.c */
struct h2_stream *h2_stream_find(const struct h2 *h2, int32_t id);
struct h2_stream *h2_stream_new(struct h2 *h2, int32_t id);
void h2_stream_free(struct h2_stream *stream);
void h2_stream_tell(struct h2_stream *stream, unsigned news);

/* nghttp2 forgets it. */
void h2_stream_close(struct h2_stream *stream, uint32_t code);

/* The peer is at fault: RST_STREAM with `code`, and the user is told. Within callbacks. */
int h2_stream_fail(struct h2_stream *stream, uint32_t code, const struct err *err);

/* Our last frame of the message has gone out. */
void h2_stream_sent(struct h2_stream *stream);

/* Content for the user; what nobody wants is given back to the connection's window. */
int h2_stream_receive(struct h2_stream *stream, struct span bytes);

/* The connection is going or gone. */
void h2_stream_detach(struct h2_stream *stream);

/* h2_write.c */
void h2_write_callbacks(nghttp2_session_callbacks *callbacks);

#endif
