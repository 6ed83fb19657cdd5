/* SPDX-License-Identifier: Apache-2.0 */
/* What is guarded: whole messages, at most one descriptor, no descriptor lost or left open. */
#include "os/ipc.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

static int ends[2];
static uint8_t memory[IPC_MESSAGE_MAX + 1];

static int set_up(void **state)
{
    struct err err;

    (void)state;
    return ipc_pair(ends, &err);
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(ends[0]);
    (void)close(ends[1]);
    return 0;
}

static struct room all_room(void)
{
    return (struct room){.ptr = memory, .len = IPC_MESSAGE_MAX};
}

static int fd_lowest_free(void)
{
    int fd = dup(0);

    (void)close(fd);
    return fd;
}

TEST(ipc_messages_keep_their_edges)
{
    struct err err;

    CHECK_INT(ipc_send(ends[0], span_text("one"), -1, &err), 1);
    CHECK_INT(ipc_send(ends[0], span_text("three"), -1, &err), 1);
    CHECK_INT(ipc_recv(ends[1], all_room(), NULL, &err), 3);
    CHECK_SPAN(span_of(memory, 3), "one");
    CHECK_INT(ipc_recv(ends[1], all_room(), NULL, &err), 5);
    CHECK_SPAN(span_of(memory, 5), "three");
    CHECK_INT(ipc_recv(ends[1], all_room(), NULL, &err), 0);
}

TEST(ipc_carries_the_largest_message_and_no_larger)
{
    struct err err;

    memset(memory, 'a', sizeof memory);
    CHECK_INT(ipc_send(ends[0], span_of(memory, IPC_MESSAGE_MAX), -1, &err), 1);
    CHECK_INT(ipc_recv(ends[1], all_room(), NULL, &err), IPC_MESSAGE_MAX);
    CHECK_INT(ipc_send(ends[0], span_of(memory, IPC_MESSAGE_MAX + 1), -1, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
}

TEST(ipc_refuses_a_message_larger_than_the_room)
{
    struct room little = {.ptr = memory, .len = 4};
    int passed = 99;
    struct err err;
    int before;

    CHECK_INT(ipc_send(ends[0], span_text("12345"), ends[0], &err), 1);
    before = fd_lowest_free();
    CHECK_INT(ipc_recv(ends[1], little, &passed, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK_INT(passed, -1);
    CHECK_INT(fd_lowest_free(), before); /* what came along is closed */
}

TEST(ipc_passes_a_descriptor_that_closes_on_exec)
{
    int passed = -1;
    struct err err;
    int pipe_fds[2];
    char byte = 0;

    CHECK_INT(pipe(pipe_fds), 0);
    CHECK_INT(ipc_send(ends[0], span_text("fd"), pipe_fds[1], &err), 1);
    (void)close(pipe_fds[1]);
    CHECK_INT(ipc_recv(ends[1], all_room(), &passed, &err), 2);
    CHECK(passed >= 0);
    CHECK(fcntl(passed, F_GETFD) & FD_CLOEXEC);
    CHECK_INT(write(passed, "x", 1), 1);
    CHECK_INT(read(pipe_fds[0], &byte, 1), 1);
    CHECK_INT(byte, 'x');
    (void)close(passed);
    (void)close(pipe_fds[0]);
    CHECK_INT(ipc_send(ends[0], span_text("none"), -1, &err), 1);
    CHECK_INT(ipc_recv(ends[1], all_room(), &passed, &err), 4);
    CHECK_INT(passed, -1);
}

TEST(ipc_closes_a_descriptor_that_nobody_wants)
{
    struct err err;
    int pipe_fds[2];
    char byte;

    CHECK_INT(pipe(pipe_fds), 0);
    CHECK_INT(ipc_send(ends[0], span_text("fd"), pipe_fds[1], &err), 1);
    (void)close(pipe_fds[1]);
    CHECK_INT(ipc_recv(ends[1], all_room(), NULL, &err), 2);
    CHECK_INT(read(pipe_fds[0], &byte, 1), 0); /* the last writer has gone */
    (void)close(pipe_fds[0]);
}

/* A taken-over process may send more than one. */
TEST(ipc_closes_every_descriptor_but_the_first)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } control = {0};
    char message[] = "m";
    struct iovec iov = {.iov_base = message, .iov_len = 1};
    struct msghdr head = {.msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = sizeof control};
    int pipe_fds[2];
    int passed = -1;
    struct err err;
    char byte;

    CHECK_INT(pipe(pipe_fds), 0);
    int three[3] = {ends[0], pipe_fds[1], pipe_fds[1]};

    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof three);
    memcpy(CMSG_DATA(&control.head), three, sizeof three);
    CHECK_INT(sendmsg(ends[0], &head, 0), 1);
    (void)close(pipe_fds[1]);
    CHECK_INT(ipc_recv(ends[1], all_room(), &passed, &err), 1);
    CHECK(passed >= 0);
    (void)close(passed);
    CHECK_INT(read(pipe_fds[0], &byte, 1), 0);
    (void)close(pipe_fds[0]);
}

TEST(ipc_send_says_when_the_queue_is_full_and_goes_on_later)
{
    struct err err;
    int sent = 0;
    int status;

    memset(memory, 'a', sizeof memory);
    while ((status = ipc_send(ends[0], span_of(memory, 1000), -1, &err)) == 1)
        sent++;
    CHECK_INT(status, 0);
    CHECK(sent > 0);
    for (int i = 0; i < sent; i++)
        CHECK_INT(ipc_recv(ends[1], all_room(), NULL, &err), 1000);
    CHECK_INT(ipc_recv(ends[1], all_room(), NULL, &err), 0);
    CHECK_INT(ipc_send(ends[0], span_of(memory, 1000), -1, &err), 1);
}

TEST(ipc_notices_that_the_peer_has_gone)
{
    struct err err;

    CHECK_INT(ipc_send(ends[0], span_text("last"), -1, &err), 1);
    (void)close(ends[0]);
    CHECK_INT(ipc_recv(ends[1], all_room(), NULL, &err), 4);
    CHECK_INT(ipc_recv(ends[1], all_room(), NULL, &err), -1);
    CHECK_INT(err.code, ERR_CLOSED);
    CHECK_INT(ipc_send(ends[1], span_text("x"), -1, &err), -1); /* and no SIGPIPE */
    CHECK_INT(err.code, ERR_CLOSED);
    ends[0] = dup(0);
}

TEST(ipc_wait_returns_at_once_when_something_is_there)
{
    struct err err;

    CHECK_INT(ipc_wait(ends[1], 0, &err), 0);
    CHECK_INT(ipc_send(ends[0], span_text("x"), -1, &err), 1);
    CHECK_INT(ipc_wait(ends[1], -1, &err), 1);
}

#define IPC_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TEST_MAIN(IPC_TEST(ipc_messages_keep_their_edges),
          IPC_TEST(ipc_carries_the_largest_message_and_no_larger),
          IPC_TEST(ipc_refuses_a_message_larger_than_the_room),
          IPC_TEST(ipc_passes_a_descriptor_that_closes_on_exec),
          IPC_TEST(ipc_closes_a_descriptor_that_nobody_wants),
          IPC_TEST(ipc_closes_every_descriptor_but_the_first),
          IPC_TEST(ipc_send_says_when_the_queue_is_full_and_goes_on_later),
          IPC_TEST(ipc_notices_that_the_peer_has_gone),
          IPC_TEST(ipc_wait_returns_at_once_when_something_is_there))
