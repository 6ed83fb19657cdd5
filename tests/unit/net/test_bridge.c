/* SPDX-License-Identifier: Apache-2.0 */
#include "net/bridge.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "test.h"

/* A bridge whose socket's peer, input and output the test holds. */
struct rig {
    struct pool blocks;
    struct bridge bridge;
    int peer;
    int in;  /* written by the test, or -1 when it is closed */
    int out; /* read by the test */
    int ends[2];
};

static void rig_start(struct rig *rig)
{
    int sockets[2];
    int in[2];
    int out[2];

    (void)signal(SIGPIPE, SIG_IGN);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets), 0);
    CHECK_INT(pipe(in), 0);
    CHECK_INT(pipe(out), 0);
    pool_init(&rig->blocks, LIMIT_BLOCK, 2, 2);
    bridge_init(&rig->bridge, &rig->blocks, sockets[0], in[0], out[1]);
    rig->peer = sockets[1];
    rig->in = in[1];
    rig->out = out[0];
    rig->ends[0] = in[0];
    rig->ends[1] = out[1];
}

static void rig_stop(struct rig *rig)
{
    bridge_fini(&rig->bridge);
    CHECK_INT(rig->blocks.used, 0);
    pool_fini(&rig->blocks);
    (void)close(rig->peer);
    if (rig->in >= 0)
        (void)close(rig->in);
    (void)close(rig->out);
    (void)close(rig->ends[0]);
    (void)close(rig->ends[1]);
}

static void say_bytes(int fd, struct span bytes)
{
    CHECK_INT(write(fd, bytes.ptr, bytes.len), (ssize_t)bytes.len);
}

static void say(int fd, const char *words)
{
    say_bytes(fd, span_text(words));
}

static struct span hear(int fd)
{
    static uint8_t memory[256];
    ssize_t len = read(fd, memory, sizeof memory);

    return span_of(memory, len < 0 ? 0 : (size_t)len);
}

TEST(bridge_fetch_sends_and_waits_and_leaves_the_input_alone)
{
    struct rig rig;
    struct err err;

    rig_start(&rig);
    say(rig.in, "input");
    say(rig.peer, "answer");
    CHECK_INT(buf_append(&rig.bridge.up, span_text("question"), &err), 0);
    CHECK_INT(bridge_fetch(&rig.bridge, 1000, &err), 0);
    CHECK_SPAN(buf_span(&rig.bridge.down), "answer");
    CHECK_SPAN(hear(rig.peer), "question");
    CHECK_INT(bridge_fetch(&rig.bridge, 10, &err), -1);
    CHECK_INT(err.code, ERR_TIMEOUT);
    (void)close(rig.peer);
    rig.peer = -1;
    CHECK_INT(bridge_fetch(&rig.bridge, 1000, &err), 0);
    CHECK(rig.bridge.socket_has_ended);
    rig_stop(&rig);
}

TEST(bridge_run_delivers_what_came_before_it_and_everything_until_the_end)
{
    struct rig rig;
    struct err err;

    rig_start(&rig);
    CHECK_INT(buf_append(&rig.bridge.down, span_text("before "), &err), 0);
    say(rig.in, "up");
    say(rig.peer, "down");
    CHECK_INT(shutdown(rig.peer, SHUT_WR), 0);
    CHECK_INT(bridge_run(&rig.bridge, &err), 0);
    CHECK_SPAN(hear(rig.out), "before down");
    CHECK_SPAN(hear(rig.peer), "up");
    CHECK(!rig.bridge.socket_is_shut);
    rig_stop(&rig);
}

/* The peer speaks only after it has seen the end of the input. */
TEST(bridge_run_passes_the_end_of_the_input_on_and_still_takes_what_comes)
{
    struct rig rig;
    struct err err;
    pid_t child;

    rig_start(&rig);
    say(rig.in, "last");
    (void)close(rig.in);
    rig.in = -1;
    child = fork();
    if (child == 0) {
        (void)close(rig.bridge.socket);
        (void)fcntl(rig.peer, F_SETFL, 0);
        while (hear(rig.peer).len > 0)
            ;
        say(rig.peer, "reply");
        _exit(0);
    }
    CHECK(child > 0);
    (void)close(rig.peer);
    rig.peer = -1;
    CHECK_INT(bridge_run(&rig.bridge, &err), 0);
    CHECK(rig.bridge.socket_is_shut);
    CHECK_SPAN(hear(rig.out), "reply");
    rig_stop(&rig);
}

/* A pipe that nobody empties holds 64 KiB: no call may block on it for ever. */
TEST(bridge_run_carries_more_than_a_pipe_holds_from_a_file)
{
    struct rig rig;
    struct err err;
    FILE *file = tmpfile();
    size_t count = 0;
    pid_t child;

    assert_non_null(file);
    rig_start(&rig);
    CHECK_INT(ftruncate(fileno(file), 1 << 20), 0);
    rig.bridge.in = fileno(file); /* which epoll would refuse */
    child = fork();
    if (child == 0) { /* gives back all that it gets */
        static uint8_t memory[65536];
        ssize_t len;

        (void)close(rig.bridge.socket);
        (void)close(rig.ends[1]);
        (void)fcntl(rig.peer, F_SETFL, 0);
        while ((len = read(rig.peer, memory, sizeof memory)) > 0)
            say_bytes(rig.peer, span_of(memory, (size_t)len));
        _exit(0);
    }
    CHECK(child > 0);
    (void)close(rig.peer);
    rig.peer = -1;
    child = fork();
    if (child == 0) {
        CHECK_INT(bridge_run(&rig.bridge, &err), 0);
        _exit(0);
    }
    CHECK(child > 0);
    (void)close(rig.ends[1]);
    rig.ends[1] = -1;
    for (struct span got = hear(rig.out); got.len > 0; got = hear(rig.out))
        count += got.len;
    CHECK_INT(count, 1 << 20);
    (void)fclose(file);
    rig_stop(&rig);
}

TEST(bridge_run_fails_when_nobody_reads_its_output)
{
    struct rig rig;
    struct err err;

    rig_start(&rig);
    say(rig.peer, "down");
    (void)close(rig.out);
    CHECK_INT(bridge_run(&rig.bridge, &err), -1);
    CHECK_INT(err.code, ERR_CLOSED);
    rig.out = -1;
    rig_stop(&rig);
}

TEST_MAIN(TEST_OF(bridge_fetch_sends_and_waits_and_leaves_the_input_alone),
          TEST_OF(bridge_run_delivers_what_came_before_it_and_everything_until_the_end),
          TEST_OF(bridge_run_passes_the_end_of_the_input_on_and_still_takes_what_comes),
          TEST_OF(bridge_run_carries_more_than_a_pipe_holds_from_a_file),
          TEST_OF(bridge_run_fails_when_nobody_reads_its_output))
