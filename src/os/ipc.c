/* SPDX-License-Identifier: Apache-2.0 */
/* Messages over socket pairs: one sendmsg(2) or recvmsg(2) each, never a part of one. */
#include "os/ipc.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* CMSG_SPACE rounds up, so a second descriptor fits where one was asked for: closed on arrival. */
union control {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int ipc_pair(int fds[2], struct err *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "socketpair");
    return 0;
}

static bool errno_is_closed(int sys)
{
    return sys == EPIPE || sys == ECONNRESET || sys == ENOTCONN || sys == ECONNREFUSED;
}

int ipc_send(int fd, struct span message, int pass_fd, struct err *err)
{
    struct iovec iov = {.iov_len = message.len};
    struct msghdr head = {.msg_iov = &iov, .msg_iovlen = 1};
    union control control = {0};
    ssize_t len;

    ENSURE(message.len > 0); /* an empty one would read as the end */
    if (message.len > IPC_MESSAGE_MAX)
        return err_set(err, ERR_LIMIT, "a message of %zu bytes", message.len);
    memcpy(&iov.iov_base, &message.ptr, sizeof iov.iov_base);
    if (pass_fd >= 0) {
        head.msg_control = &control;
        head.msg_controllen = sizeof control.bytes;
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(sizeof pass_fd);
        memcpy(CMSG_DATA(&control.head), &pass_fd, sizeof pass_fd);
    }
    do {
        len = sendmsg(fd, &head, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (len < 0 && errno == EINTR);
    if (len >= 0)
        return 1;
    if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
        return 0;
    if (errno_is_closed(errno))
        return err_set_sys(err, ERR_CLOSED, errno, "the other process has gone");
    return err_set_sys(err, ERR_SYSTEM, errno, "sendmsg");
}

/* The first descriptor, every other one closed; -1 if none came. */
static int control_take(struct msghdr *head)
{
    int first = -1;

    for (struct cmsghdr *at = CMSG_FIRSTHDR(head); at != NULL; at = CMSG_NXTHDR(head, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < (at->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(at) + i * sizeof fd, sizeof fd);
            if (first < 0)
                first = fd;
            else
                (void)close(fd);
        }
    }
    return first;
}

ssize_t ipc_recv(int fd, struct room room, int *passed_fd, struct err *err)
{
    struct iovec iov = {.iov_base = room.ptr, .iov_len = room.len};
    union control control = {0};
    struct msghdr head = {.msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = sizeof control.bytes};
    ssize_t len;
    int got;

    if (passed_fd != NULL)
        *passed_fd = -1;
    do {
        len = recvmsg(fd, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (len < 0 && errno == EINTR);
    if (len < 0 && errno == EAGAIN)
        return 0;
    if (len < 0 && !errno_is_closed(errno))
        return err_set_sys(err, ERR_SYSTEM, errno, "recvmsg");
    got = len < 0 ? -1 : control_take(&head);
    if (len > 0 && (head.msg_flags & MSG_TRUNC) == 0 && passed_fd != NULL) {
        *passed_fd = got;
        return len;
    }
    if (got >= 0)
        (void)close(got);
    if (len <= 0)
        return err_set(err, ERR_CLOSED, "the other process has gone");
    if ((head.msg_flags & MSG_TRUNC) != 0)
        return err_set(err, ERR_LIMIT, "a message larger than %zu bytes", room.len);
    return len;
}

int ipc_wait(int fd, int timeout_ms, struct err *err)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    int count = poll(&one, 1, timeout_ms);

    if (count < 0 && errno != EINTR)
        return err_set_sys(err, ERR_SYSTEM, errno, "poll");
    return count > 0 ? 1 : 0;
}

int ipc_wait_room(int fd, int timeout_ms, struct err *err)
{
    struct pollfd one = {.fd = fd, .events = POLLOUT};
    int count = poll(&one, 1, timeout_ms);

    if (count < 0 && errno != EINTR)
        return err_set_sys(err, ERR_SYSTEM, errno, "poll");
    if (count > 0 && (one.revents & (POLLERR | POLLHUP)) != 0)
        return err_set(err, ERR_CLOSED, "the other process has gone");
    return count > 0 ? 1 : 0;
}
