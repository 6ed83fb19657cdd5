/* SPDX-License-Identifier: Apache-2.0 */
/* What is guarded: when callbacks come, when they no longer come, and that nothing spins. */
#include "net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

static struct loop loop;
static struct err err;
static int ends[2]; /* a socket pair; what is closed by a test is -1 */

static int set_up(void **state)
{
    (void)state;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    return loop_init(&loop, &err);
}

static int tear_down(void **state)
{
    (void)state;
    loop_fini(&loop);
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0)
            (void)close(ends[i]);
    }
    return 0;
}

/* --- tasks --- */

static char order[64];

static void order_add(char c)
{
    size_t len = strlen(order);

    CHECK(len + 1 < sizeof order);
    order[len] = c;
    order[len + 1] = '\0';
}

static void run_b(struct loop_task *task)
{
    (void)task;
    order_add('b');
}

static struct loop_task task_b;

static void run_a(struct loop_task *task)
{
    (void)task;
    order_add('a');
    loop_later(&loop, &task_b, run_b, NULL);
    loop_later(&loop, &task_b, run_b, NULL); /* queued already */
}

TEST(loop_runs_tasks_and_what_they_queue_then_ends)
{
    struct loop_task task = {0};

    order[0] = '\0';
    loop_later(&loop, &task, run_a, NULL);
    CHECK_STR(order, ""); /* not from within */
    loop_run(&loop);
    CHECK_STR(order, "ab");
    loop_run(&loop);
    CHECK_STR(order, "ab");
}

TEST(loop_later_cancel_takes_it_back)
{
    struct loop_task task = {0};

    order[0] = '\0';
    loop_later(&loop, &task, run_a, NULL);
    loop_later_cancel(&loop, &task);
    loop_later_cancel(&loop, &task);
    loop_run(&loop);
    CHECK_STR(order, "");
}

static void watch_close_on_ready(struct loop_watch *watch, unsigned ready)
{
    CHECK(ready != 0);
    order_add('w');
    loop_watch_close(watch, NULL);
}

static void run_again(struct loop_task *task)
{
    struct loop_watch *watch = task->owner;

    if (watch->is_open)
        loop_later(&loop, task, run_again, watch);
}

/* Tasks that feed each other for ever do not keep a descriptor waiting. */
TEST(loop_looks_at_descriptors_between_tasks)
{
    struct loop_task task = {0};
    struct loop_watch watch;

    order[0] = '\0';
    CHECK_INT(loop_watch_open(&watch, &loop, ends[0], watch_close_on_ready, NULL, &err), 0);
    ends[0] = -1;
    loop_watch_set(&watch, LOOP_READ);
    CHECK_INT(write(ends[1], "x", 1), 1);
    loop_later(&loop, &task, run_again, &watch);
    loop_run(&loop);
    CHECK_STR(order, "w");
}

static void run_write(struct loop_task *task)
{
    (void)task;
    CHECK_INT(write(ends[1], "x", 1), 1);
}

static void run_queue_write(struct loop_task *task)
{
    loop_later(&loop, task, run_write, NULL);
}

/* If the loop slept before the second task, nobody would ever wake it. */
TEST(loop_never_sleeps_on_a_task)
{
    struct loop_task task = {0};
    struct loop_watch watch;

    order[0] = '\0';
    CHECK_INT(loop_watch_open(&watch, &loop, ends[0], watch_close_on_ready, NULL, &err), 0);
    ends[0] = -1;
    loop_watch_set(&watch, LOOP_READ);
    loop_later(&loop, &task, run_queue_write, NULL);
    loop_run(&loop);
    CHECK_STR(order, "w");
}

/* --- watches --- */

static int closed_count;

static void count_closed(struct loop_watch *watch)
{
    CHECK(!watch->is_open);
    closed_count++;
}

static struct loop_watch pair_watches[2];

static void close_both(struct loop_watch *watch, unsigned ready)
{
    (void)watch;
    (void)ready;
    order_add('r');
    loop_watch_close(&pair_watches[0], count_closed);
    loop_watch_close(&pair_watches[1], count_closed);
    CHECK_INT(closed_count, 0); /* not from within */
}

TEST(loop_watch_close_stops_an_event_of_the_same_tick)
{
    int other[2];

    order[0] = '\0';
    closed_count = 0;
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, other), 0);
    CHECK_INT(loop_watch_open(&pair_watches[0], &loop, ends[0], close_both, NULL, &err), 0);
    CHECK_INT(loop_watch_open(&pair_watches[1], &loop, other[0], close_both, NULL, &err), 0);
    loop_watch_set(&pair_watches[0], LOOP_READ);
    loop_watch_set(&pair_watches[1], LOOP_READ);
    CHECK_INT(write(ends[1], "x", 1), 1);
    CHECK_INT(write(other[1], "x", 1), 1); /* both are ready when the loop looks */
    loop_run(&loop);
    CHECK_STR(order, "r");
    CHECK_INT(closed_count, 2);
    CHECK_INT(fcntl(ends[0], F_GETFD), -1);
    ends[0] = -1;
    (void)close(other[1]);
}

static void mute_other(struct loop_watch *watch, unsigned ready)
{
    struct loop_watch *other = &pair_watches[watch == &pair_watches[0] ? 1 : 0];

    CHECK_INT(ready, LOOP_READ);
    order_add('r');
    loop_watch_set(watch, 0);
    loop_watch_set(other, 0);
}

TEST(loop_watch_set_holds_for_an_event_of_the_same_tick)
{
    int other[2];

    order[0] = '\0';
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, other), 0);
    CHECK_INT(loop_watch_open(&pair_watches[0], &loop, ends[0], mute_other, NULL, &err), 0);
    CHECK_INT(loop_watch_open(&pair_watches[1], &loop, other[0], mute_other, NULL, &err), 0);
    loop_watch_set(&pair_watches[0], LOOP_READ);
    loop_watch_set(&pair_watches[1], LOOP_READ);
    CHECK_INT(write(ends[1], "x", 1), 1);
    CHECK_INT(write(other[1], "x", 1), 1);
    loop_run(&loop); /* ends: nothing is waited for any more */
    CHECK_STR(order, "r");
    loop_watch_close(&pair_watches[0], NULL);
    loop_watch_close(&pair_watches[1], NULL);
    ends[0] = -1;
    (void)close(other[1]);
}

static struct loop_watch second_watch;

static void reopen_number(struct loop_watch *watch, unsigned ready)
{
    int number = watch->fd;

    (void)ready;
    loop_watch_close(watch, count_closed);
    /* The number is free and taken again at once, before the reap step of the first. */
    CHECK_INT(dup2(ends[1], number), number);
    CHECK_INT(loop_watch_open(&second_watch, &loop, number, watch_close_on_ready, NULL, &err), 0);
    loop_watch_set(&second_watch, LOOP_WRITE);
}

TEST(loop_watch_close_frees_the_number_at_once)
{
    struct loop_watch watch;

    order[0] = '\0';
    closed_count = 0;
    CHECK_INT(loop_watch_open(&watch, &loop, ends[0], reopen_number, NULL, &err), 0);
    ends[0] = -1;
    loop_watch_set(&watch, LOOP_READ | LOOP_WRITE);
    loop_run(&loop);
    CHECK_STR(order, "w");
    CHECK_INT(closed_count, 1);
}

TEST(loop_watch_release_leaves_the_descriptor)
{
    struct loop_watch watch, again;
    char byte;

    order[0] = '\0';
    closed_count = 0;
    CHECK_INT(loop_watch_open(&watch, &loop, ends[0], watch_close_on_ready, NULL, &err), 0);
    loop_watch_set(&watch, LOOP_READ);
    CHECK_INT(loop_watch_release(&watch, count_closed), ends[0]);
    CHECK_INT(loop_watch_open(&again, &loop, ends[0], watch_close_on_ready, NULL, &err), 0);
    loop_watch_set(&again, LOOP_READ);
    CHECK_INT(write(ends[1], "x", 1), 1);
    loop_run(&loop);
    CHECK_STR(order, "w");
    CHECK_INT(closed_count, 1);
    CHECK_INT(read(ends[1], &byte, 1), -1); /* closed only by the second watch, with data unread */
    CHECK(errno == ECONNRESET || errno == EAGAIN);
    ends[0] = -1;
}

static unsigned tick_count;

static void on_check(uv_check_t *check)
{
    (void)check;
    tick_count++;
}

static void stop_on_expired(struct loop_deadline *deadline)
{
    (void)deadline;
    loop_stop(&loop);
}

static void never_ready(struct loop_watch *watch, unsigned ready)
{
    (void)watch;
    (void)ready;
    fail();
}

/* A peer that has gone is reported for ever to those who ask; here nobody does. */
TEST(loop_watch_without_interest_does_not_spin_on_a_hang_up)
{
    struct loop_deadline deadline;
    struct loop_watch watch;
    uv_check_t check;

    tick_count = 0;
    CHECK_INT(uv_check_init(&loop.uv, &check), 0);
    CHECK_INT(uv_check_start(&check, on_check), 0);
    CHECK_INT(loop_watch_open(&watch, &loop, ends[0], never_ready, NULL, &err), 0);
    ends[0] = -1;
    loop_watch_set(&watch, LOOP_READ);
    loop_watch_set(&watch, 0);
    (void)close(ends[1]);
    ends[1] = -1;
    loop_deadline_init(&deadline, &loop, stop_on_expired, NULL);
    loop_deadline_set(&deadline, 250);
    loop_run(&loop);
    CHECK(tick_count < 20);
    loop_watch_close(&watch, NULL);
    uv_close((uv_handle_t *)&check, NULL);
    loop_run(&loop); /* reaps them while they are there */
}

static void note_error(struct loop_watch *watch, unsigned ready)
{
    int sys = 0;
    socklen_t len = sizeof sys;

    CHECK_INT(ready, LOOP_READ | LOOP_WRITE);
    CHECK_INT(getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &sys, &len), 0);
    CHECK_INT(sys, ECONNRESET);
    order_add('e');
    loop_watch_close(watch, NULL);
}

TEST(loop_watch_reports_an_error_as_both)
{
    struct loop_watch watch;

    order[0] = '\0';
    CHECK_INT(write(ends[0], "x", 1), 1);
    (void)close(ends[1]); /* with data unread: the other end sees a reset */
    ends[1] = -1;
    CHECK_INT(loop_watch_open(&watch, &loop, ends[0], note_error, NULL, &err), 0);
    ends[0] = -1;
    loop_watch_set(&watch, LOOP_READ | LOOP_WRITE);
    loop_run(&loop);
    CHECK_STR(order, "e");
}

static void ignore_twice(struct loop_watch *watch, unsigned ready)
{
    (void)ready;
    order_add('i');
    if (strlen(order) == 3)
        loop_watch_close(watch, NULL);
}

/* libuv stops a poll on an error: who still waits must be told again. */
TEST(loop_watch_keeps_reporting_after_an_error)
{
    struct loop_watch watch;

    order[0] = '\0';
    CHECK_INT(write(ends[0], "x", 1), 1);
    (void)close(ends[1]);
    ends[1] = -1;
    CHECK_INT(loop_watch_open(&watch, &loop, ends[0], ignore_twice, NULL, &err), 0);
    ends[0] = -1;
    loop_watch_set(&watch, LOOP_READ);
    loop_run(&loop);
    CHECK_STR(order, "iii");
}

TEST(loop_watch_open_refuses_what_is_always_ready)
{
    struct loop_watch watch;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    CHECK_INT(loop_watch_open(&watch, &loop, fd, never_ready, NULL, &err), -1);
    CHECK_INT(err.code, ERR_SYSTEM);
    CHECK(fcntl(fd, F_GETFD) >= 0); /* still ours */
    (void)close(fd);
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TEST_MAIN(LOOP_TEST(loop_runs_tasks_and_what_they_queue_then_ends),
          LOOP_TEST(loop_later_cancel_takes_it_back),
          LOOP_TEST(loop_looks_at_descriptors_between_tasks),
          LOOP_TEST(loop_never_sleeps_on_a_task),
          LOOP_TEST(loop_watch_close_stops_an_event_of_the_same_tick),
          LOOP_TEST(loop_watch_set_holds_for_an_event_of_the_same_tick),
          LOOP_TEST(loop_watch_close_frees_the_number_at_once),
          LOOP_TEST(loop_watch_release_leaves_the_descriptor),
          LOOP_TEST(loop_watch_without_interest_does_not_spin_on_a_hang_up),
          LOOP_TEST(loop_watch_reports_an_error_as_both),
          LOOP_TEST(loop_watch_keeps_reporting_after_an_error),
          LOOP_TEST(loop_watch_open_refuses_what_is_always_ready))
