/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One poll() for three descriptors. `in` and `out` may block, so each is touched only after poll()
 * has said that it would not, and `out` is given no more than a pipe takes without blocking.
 */
#include "net/bridge.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"

#define READ_WANTED 16384

enum { AT_SOCKET, AT_OUT, AT_IN, AT_COUNT };

void bridge_init(struct bridge *bridge, struct pool *blocks, int socket, int in, int out)
{
    *bridge = (struct bridge){.socket = socket, .in = in, .out = out};
    buf_init(&bridge->up, blocks, BUF_PLAIN);
    buf_init(&bridge->down, blocks, BUF_PLAIN);
}

void bridge_fini(struct bridge *bridge)
{
    (void)close(bridge->socket);
    buf_fini(&bridge->up);
    buf_fini(&bridge->down);
}

static int fail(const char *what, struct err *err)
{
    int is_gone = errno == EPIPE || errno == ECONNRESET || errno == ETIMEDOUT;

    return err_set_sys(err, is_gone ? ERR_CLOSED : ERR_SYSTEM, errno, what);
}

static int is_transient(void)
{
    return errno == EINTR || errno == EAGAIN;
}

/* Read once into `to`; *has_ended at the end. */
static int some_read(int fd, struct buf *to, int *has_ended, const char *what, struct err *err)
{
    struct room room = buf_reserve(to, READ_WANTED);
    ssize_t len;

    if (room.len == 0) {
        buf_commit(to, 0);
        return err_set(err, ERR_MEMORY, "no buffer left");
    }
    len = read(fd, room.ptr, room.len);
    buf_commit(to, len > 0 ? (size_t)len : 0);
    if (len < 0 && !is_transient())
        return fail(what, err);
    if (len == 0)
        *has_ended = 1;
    return 0;
}

static int socket_move(struct bridge *bridge, short ready, struct err *err)
{
    struct span bytes = buf_span(&bridge->up);

    if ((ready & POLLOUT) != 0 && bytes.len > 0) {
        ssize_t len = send(bridge->socket, bytes.ptr, bytes.len, MSG_NOSIGNAL);

        if (len < 0 && !is_transient())
            return fail("send", err);
        buf_consume(&bridge->up, len > 0 ? (size_t)len : 0);
    }
    if ((ready & (POLLIN | POLLHUP | POLLERR)) == 0 || buf_free_len(&bridge->down) == 0)
        return 0;
    return some_read(bridge->socket, &bridge->down, &bridge->socket_has_ended, "receive", err);
}

static int out_move(struct bridge *bridge, short ready, struct err *err)
{
    struct span bytes = buf_span(&bridge->down);
    ssize_t len;

    if (ready == 0 || bytes.len == 0)
        return 0;
    len = write(bridge->out, bytes.ptr, num_min(bytes.len, PIPE_BUF));
    if (len < 0 && !is_transient())
        return fail("write", err);
    buf_consume(&bridge->down, len > 0 ? (size_t)len : 0);
    return 0;
}

enum ends { SOCKET_ALONE, ALL_THREE };

/* Each descriptor for what it can be used now; poll() passes over negative ones. */
static void polls_fill(const struct bridge *bridge, enum ends ends, struct pollfd polls[AT_COUNT])
{
    int reads_in = ends == ALL_THREE && !bridge->in_has_ended && buf_free_len(&bridge->up) > 0;
    int writes_out = ends == ALL_THREE && !buf_is_empty(&bridge->down);
    int reads_socket = !bridge->socket_has_ended && buf_free_len(&bridge->down) > 0;
    int writes_socket = !buf_is_empty(&bridge->up);

    polls[AT_IN] = (struct pollfd){.fd = reads_in ? bridge->in : -1, .events = POLLIN};
    polls[AT_OUT] = (struct pollfd){.fd = writes_out ? bridge->out : -1, .events = POLLOUT};
    polls[AT_SOCKET] = (struct pollfd){.fd = reads_socket || writes_socket ? bridge->socket : -1};
    if (reads_socket)
        polls[AT_SOCKET].events |= POLLIN;
    if (writes_socket)
        polls[AT_SOCKET].events |= POLLOUT;
}

/* Wait once and move what can be moved. ERR_TIMEOUT. */
static int step(struct bridge *bridge, enum ends ends, int timeout_ms, struct err *err)
{
    struct pollfd polls[AT_COUNT];
    int count;

    polls_fill(bridge, ends, polls);
    count = poll(polls, AT_COUNT, timeout_ms);
    if (count < 0)
        return errno == EINTR ? 0 : fail("poll", err);
    if (count == 0)
        return err_set(err, ERR_TIMEOUT, "nothing came in %d s", timeout_ms / 1000);
    if (socket_move(bridge, polls[AT_SOCKET].revents, err) < 0 ||
        out_move(bridge, polls[AT_OUT].revents, err) < 0)
        return -1;
    if (polls[AT_IN].revents != 0 &&
        some_read(bridge->in, &bridge->up, &bridge->in_has_ended, "read", err) < 0)
        return -1;
    return 0;
}

int bridge_fetch(struct bridge *bridge, int timeout_ms, struct err *err)
{
    size_t had = buf_len(&bridge->down);

    while (!bridge->socket_has_ended && buf_len(&bridge->down) == had) {
        if (step(bridge, SOCKET_ALONE, timeout_ms, err) < 0)
            return -1;
    }
    return 0;
}

int bridge_run(struct bridge *bridge, struct err *err)
{
    while (!bridge->socket_has_ended || !buf_is_empty(&bridge->down)) {
        if (step(bridge, ALL_THREE, -1, err) < 0)
            return -1;
        if (bridge->in_has_ended && buf_is_empty(&bridge->up) && !bridge->socket_is_shut) {
            bridge->socket_is_shut = 1;
            (void)shutdown(bridge->socket, SHUT_WR); /* fails only if it is gone already */
        }
    }
    return 0;
}
