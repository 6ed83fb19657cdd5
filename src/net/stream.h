/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_NET_STREAM_H
#define EXEAT_NET_STREAM_H

#include "base/buf.h"
#include "net/loop.h"
#include "net/socket.h"

/*
 * One connected socket: bytes between it and queues of the caller. The owner's pump is called when
 * something can move; after each pump it says what it still waits for, in stream_want().
 */
struct stream {
    struct loop_watch watch;
    void (*on_ready)(struct stream *stream);
    void (*on_closed)(struct stream *stream);
    void *owner;  /* borrowed */
    int is_open;  /* between stream_open() and stream_close() */
    int can_read; /* nothing has said yet that a read would block */
    int can_write;
    int has_ended; /* the peer has sent FIN; what was read before is delivered */
    int write_is_shut;
    uint64_t bytes_in;
    uint64_t bytes_out;
};

/* Takes fd, on failure too. on_ready is called from the loop, never from within these calls. */
int stream_open(struct stream *stream, struct loop *loop, int fd, void (*on_ready)(struct stream *),
                void *owner, struct err *err);

/*
 * One recv() into the room of `in`, if there is room and the socket may have something. Returns
 * bytes read; 0: nothing now (would block, no room, or has_ended); -1: ERR_CLOSED, ERR_SYSTEM.
 * A short read clears can_read, which spares the recv() that would only say "again".
 */
ssize_t stream_pull(struct stream *stream, struct buf *in, struct err *err);

/* The same into memory of the caller; `room` may be empty. */
ssize_t stream_pull_room(struct stream *stream, struct room room, struct err *err);

/* send() as much of `out` as the socket takes. Bytes written, 0, or -1: ERR_CLOSED, ERR_SYSTEM. */
ssize_t stream_push(struct stream *stream, struct buf *out, struct err *err);

/* The same from memory of the caller, who drops what was written. */
ssize_t stream_push_span(struct stream *stream, struct span bytes, struct err *err);

/* Two queues in one system call, `first` before `second`. */
ssize_t stream_push_two(struct stream *stream, struct buf *first, struct buf *second,
                        struct err *err);

/* LOOP_READ: as long as there is room for what may come. LOOP_WRITE: only while bytes wait. */
void stream_want(struct stream *stream, unsigned interest);

/* FIN after what was pushed. */
void stream_shut_write(struct stream *stream);

/* Close; on_closed (may be NULL) comes in the reap step, until then the memory must stay. */
void stream_close(struct stream *stream, void (*on_closed)(struct stream *));

/* The same, but with RST: the peer must not take what it has for complete. */
void stream_reset(struct stream *stream, void (*on_closed)(struct stream *));

#endif
