/* SPDX-License-Identifier: Apache-2.0 */
/* A connected socket: the only place where bytes of a peer enter and leave the process. */
#include "net/stream.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/num.h"

/* Room for one read: less is not worth a system call if moving bytes to the front wins more. */
#define PULL_WANTED 16384

static void on_watch_ready(struct loop_watch *watch, unsigned ready)
{
    struct stream *stream = watch->owner;

    if (ready & LOOP_READ)
        stream->can_read = 1;
    if (ready & LOOP_WRITE)
        stream->can_write = 1;
    stream->on_ready(stream);
}

int stream_open(struct stream *stream, struct loop *loop, int fd, void (*on_ready)(struct stream *),
                void *owner, struct err *err)
{
    *stream = (struct stream){.on_ready = on_ready, .owner = owner, .can_read = 1, .can_write = 1};
    if (loop_watch_open(&stream->watch, loop, fd, on_watch_ready, stream, err) < 0) {
        (void)close(fd);
        return -1;
    }
    stream->is_open = 1;
    return 0;
}

static int fail_io(int sys, const char *what, struct err *err)
{
    switch (sys) {
    case EPIPE:
    case ECONNRESET:
    case ECONNABORTED:
    case ECONNREFUSED:
    case ETIMEDOUT: /* of keepalive */
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
        return err_set_sys(err, ERR_CLOSED, sys, what);
    default:
        return err_set_sys(err, ERR_SYSTEM, sys, what);
    }
}

ssize_t stream_pull_room(struct stream *stream, struct room room, struct err *err)
{
    ssize_t len;

    ENSURE(stream->is_open);
    if (!stream->can_read || stream->has_ended || room.len == 0)
        return 0;
    do {
        len = recv(stream->watch.fd, room.ptr, room.len, MSG_DONTWAIT);
    } while (len < 0 && errno == EINTR);
    if (len < 0 && errno == EAGAIN) {
        stream->can_read = 0;
        return 0;
    }
    if (len < 0)
        return fail_io(errno, "receive", err);
    if (len == 0)
        stream->has_ended = 1;
    if ((size_t)len < room.len)
        stream->can_read = 0;
    stream->bytes_in += (uint64_t)len;
    return len;
}

ssize_t stream_pull(struct stream *stream, struct buf *in, struct err *err)
{
    struct room room;
    ssize_t len;

    if (!stream->can_read || stream->has_ended || buf_free_len(in) == 0)
        return 0;
    room = buf_reserve(in, num_min(PULL_WANTED, buf_free_len(in)));
    len = stream_pull_room(stream, room, err);
    buf_commit(in, len > 0 ? (size_t)len : 0);
    return len;
}

static ssize_t iov_send(struct stream *stream, struct iovec *iov, size_t count, struct err *err)
{
    struct msghdr head = {.msg_iov = iov, .msg_iovlen = count};
    size_t wanted = 0;
    ssize_t len;

    for (size_t i = 0; i < count; i++)
        wanted += iov[i].iov_len;
    do {
        len = sendmsg(stream->watch.fd, &head, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (len < 0 && errno == EINTR);
    if (len < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
        stream->can_write = 0;
        return 0;
    }
    if (len < 0)
        return fail_io(errno, "send", err);
    if ((size_t)len < wanted)
        stream->can_write = 0;
    stream->bytes_out += (uint64_t)len;
    return len;
}

static struct iovec iov_of(struct buf *buf)
{
    struct room bytes = buf_bytes(buf);

    return (struct iovec){.iov_base = bytes.ptr, .iov_len = bytes.len};
}

ssize_t stream_push(struct stream *stream, struct buf *out, struct err *err)
{
    struct iovec iov = iov_of(out);
    ssize_t len;

    ENSURE(stream->is_open);
    if (!stream->can_write || iov.iov_len == 0)
        return 0;
    len = iov_send(stream, &iov, 1, err);
    if (len > 0)
        buf_consume(out, (size_t)len);
    return len;
}

ssize_t stream_push_span(struct stream *stream, struct span bytes, struct err *err)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes.ptr, .iov_len = bytes.len};

    ENSURE(stream->is_open);
    if (!stream->can_write || bytes.len == 0)
        return 0;
    return iov_send(stream, &iov, 1, err);
}

ssize_t stream_push_two(struct stream *stream, struct buf *first, struct buf *second,
                        struct err *err)
{
    struct iovec iov[2] = {iov_of(first), iov_of(second)};
    ssize_t len;

    ENSURE(stream->is_open);
    if (!stream->can_write || iov[0].iov_len + iov[1].iov_len == 0)
        return 0;
    len = iov_send(stream, iov, 2, err);
    if (len > 0) {
        size_t of_first = num_min((size_t)len, iov[0].iov_len);

        buf_consume(first, of_first);
        buf_consume(second, (size_t)len - of_first);
    }
    return len;
}

void stream_want(struct stream *stream, unsigned interest)
{
    /* After FIN the socket is readable for ever. */
    loop_watch_set(&stream->watch, stream->has_ended ? interest & ~LOOP_READ : interest);
}

void stream_shut_write(struct stream *stream)
{
    ENSURE(stream->is_open);
    if (stream->write_is_shut)
        return;
    stream->write_is_shut = 1;
    (void)shutdown(stream->watch.fd, SHUT_WR); /* fails only if the connection is gone already */
}

static void on_watch_closed(struct loop_watch *watch)
{
    struct stream *stream = watch->owner;

    if (stream->on_closed != NULL)
        stream->on_closed(stream);
}

void stream_close(struct stream *stream, void (*on_closed)(struct stream *))
{
    ENSURE(stream->is_open);
    stream->is_open = 0;
    stream->on_closed = on_closed;
    loop_watch_close(&stream->watch, on_watch_closed);
}

void stream_reset(struct stream *stream, void (*on_closed)(struct stream *))
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    ENSURE(stream->is_open);
    (void)setsockopt(stream->watch.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    stream_close(stream, on_closed);
}
