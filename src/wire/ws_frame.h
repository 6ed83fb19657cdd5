/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_WIRE_WS_FRAME_H
#define EXEAT_WIRE_WS_FRAME_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/*
 * WebSocket frames (RFC 6455), streaming: a message is never held whole. Payload is unmasked in
 * place, in the caller's memory. Errors are final and ERR_CHUNK; `ws_frame_close_code()` says
 * what to put into the close frame (1002, 1007, 1009).
 */

enum ws_role {
    WS_SERVER, /* frames that come in must be masked, frames that go out are not */
    WS_CLIENT, /* the other way round */
};

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

enum ws_event_type {
    WS_EVENT_DATA,        /* some payload of a message */
    WS_EVENT_MESSAGE_END, /* its last byte was delivered; also for an empty message */
    WS_EVENT_PING,        /* answer with a pong of the same data */
    WS_EVENT_PONG,
    WS_EVENT_CLOSE, /* the last event: nothing after it is delivered */
};

struct ws_event {
    enum ws_event_type type;
    enum ws_opcode opcode; /* WS_TEXT or WS_BINARY of the message that DATA and END belong to */
    struct span data;      /* borrows: payload, or reason text of a close */
    uint16_t close_code;   /* 1005 if the close frame had none */
};

struct ws_frame {
    enum ws_role role;
    uint64_t limit;             /* payload of one frame */
    int phase;                  /* private */
    uint8_t head[14];           /* private */
    size_t head_len;            /* private */
    uint64_t left;              /* private */
    uint64_t offset;            /* private: into the payload, for the mask */
    uint8_t mask[4];            /* private */
    enum ws_opcode opcode;      /* private: of this frame */
    enum ws_opcode message;     /* private: of the message; WS_CONTINUATION if none is open */
    int is_final;               /* private */
    uint8_t control[125];       /* private */
    size_t control_len;         /* private */
    uint16_t close_code;        /* private */
    struct ws_event pending[2]; /* private */
    unsigned pending_count;     /* private */
};

/* `limit`: payload bytes of one data frame; a longer one is an error with code 1009. */
void ws_frame_init(struct ws_frame *ws, enum ws_role role, uint64_t limit);

/*
 * Take bytes up to and with the next event; nothing while an event waits for ws_frame_next().
 * *used is what was taken; 0 without an event means that more is needed. Bytes of a partial head
 * are taken and kept. What follows a close frame is taken and forgotten. ERR_CHUNK.
 */
int ws_frame_feed(struct ws_frame *ws, struct room in, size_t *used, struct err *err);

/* 1 with *event filled, 0 if there is none. */
int ws_frame_next(struct ws_frame *ws, struct ws_event *event);

/* After an error: the code for our close frame; 1002 for an error in what the frames carry. */
uint16_t ws_frame_close_code(const struct ws_frame *ws);

#define WS_FRAME_HEAD 14
/* Head of one final frame; `mask` NULL for a server's. Returns its length. */
size_t ws_frame_write_head(uint8_t head[WS_FRAME_HEAD], enum ws_opcode opcode, uint64_t len,
                           const uint8_t mask[4]);

/* The same for a part of a message that goes on: more frames follow, each a WS_CONTINUATION. */
size_t ws_frame_write_part_head(uint8_t head[WS_FRAME_HEAD], enum ws_opcode opcode, uint64_t len,
                                const uint8_t mask[4]);

/* XOR with the mask as if `bytes` began at `offset` of the payload. Vectorised. */
void ws_frame_mask(struct room bytes, const uint8_t mask[4], uint64_t offset);

/* A whole control frame (`data` <= 125 bytes) into `out`. ERR_LIMIT, ERR_MEMORY. */
int ws_frame_send_control(struct buf *out, enum ws_opcode opcode, struct span data,
                          const uint8_t mask[4], struct err *err);

/* A close frame with a code that may be sent and a reason of at most 123 bytes of UTF-8; code 1005
 * makes an empty one, the answer to an empty one. ERR_LIMIT, ERR_MEMORY. */
int ws_frame_send_close(struct buf *out, uint16_t code, struct span reason, const uint8_t mask[4],
                        struct err *err);

#endif
