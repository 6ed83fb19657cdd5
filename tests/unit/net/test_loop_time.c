/* SPDX-License-Identifier: Apache-2.0 */
/* What is guarded: deadlines that are not early and may change each other; signals as events. */
#include "net/loop.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static struct loop loop;
static struct err err;
static char order[64]; /* what was called, a letter each */

static void order_add(char c)
{
    size_t len = strlen(order);

    CHECK(len + 1 < sizeof order);
    order[len] = c;
    order[len + 1] = '\0';
}

static int set_up(void **state)
{
    (void)state;
    order[0] = '\0';
    return loop_init(&loop, &err);
}

static int tear_down(void **state)
{
    (void)state;
    loop_fini(&loop);
    return 0;
}

static int64_t expired_at_ms;

static void note_expired(struct loop_deadline *deadline)
{
    CHECK_INT(deadline->at_ms, 0);
    expired_at_ms = loop.now_ms;
    order_add('d');
}

TEST(loop_deadline_expires_once_and_not_early)
{
    struct loop_deadline deadline;
    int64_t start_ms = loop.now_ms;

    loop_deadline_init(&deadline, &loop, note_expired, NULL);
    loop_deadline_set(&deadline, 10);
    loop_deadline_set(&deadline, 150); /* replaces */
    loop_run(&loop);
    CHECK_STR(order, "d");
    CHECK(expired_at_ms >= start_ms + 150);
}

static struct loop_deadline deadlines[4];

static void clear_the_rest(struct loop_deadline *deadline)
{
    (void)deadline;
    order_add('c');
    for (int i = 1; i < 4; i++)
        loop_deadline_clear(&deadlines[i]);
    loop_deadline_clear(&deadlines[0]);
}

TEST(loop_deadline_may_clear_others_of_the_same_sweep)
{
    for (int i = 0; i < 4; i++) {
        loop_deadline_init(&deadlines[i], &loop, i == 0 ? clear_the_rest : note_expired, NULL);
        loop_deadline_set(&deadlines[i], 1);
    }
    loop_run(&loop);
    CHECK_STR(order, "c");
}

static void set_again(struct loop_deadline *deadline)
{
    order_add('s');
    if (strlen(order) < 3)
        loop_deadline_set(deadline, 1);
}

TEST(loop_deadline_may_be_set_again_by_its_own_end)
{
    loop_deadline_init(&deadlines[0], &loop, set_again, NULL);
    loop_deadline_set(&deadlines[0], 1);
    loop_run(&loop);
    CHECK_STR(order, "sss");
    CHECK_INT(loop.deadlines.count, 0);
}

static void never_due(struct loop_deadline *deadline)
{
    (void)deadline;
    fail();
}

/* Ends the far one, which nobody waits for. */
static void clear_the_far(struct loop_deadline *deadline)
{
    (void)deadline;
    order_add('n');
    loop_deadline_clear(&deadlines[1]);
}

static void move_nearer(struct loop_deadline *deadline)
{
    (void)deadline;
    order_add('m');
    loop_deadline_set(&deadlines[2], 1);
}

TEST(loop_deadline_that_is_moved_nearer_is_not_slept_through)
{
    loop_deadline_init(&deadlines[0], &loop, move_nearer, NULL);
    loop_deadline_init(&deadlines[1], &loop, never_due, NULL);
    loop_deadline_init(&deadlines[2], &loop, clear_the_far, NULL);
    loop_deadline_set(&deadlines[2], 600000);
    loop_deadline_set(&deadlines[1], 600000);
    loop_deadline_set(&deadlines[0], 250);
    loop_run(&loop);
    CHECK_STR(order, "mn");
}

static void never_ready(struct loop_watch *watch, unsigned ready)
{
    (void)watch;
    (void)ready;
    fail();
}

static void note_closed(struct loop_watch *watch)
{
    (void)watch;
    order_add('x');
}

static void close_watch_of(struct loop_deadline *deadline)
{
    loop_watch_close(deadline->owner, note_closed);
}

TEST(loop_run_ends_when_nothing_is_left)
{
    struct loop_deadline deadline;
    struct loop_watch watch;
    int ends[2];

    CHECK_INT(pipe(ends), 0);
    CHECK_INT(loop_watch_open(&watch, &loop, ends[0], never_ready, NULL, &err), 0);
    loop_watch_set(&watch, LOOP_READ);
    loop_deadline_init(&deadline, &loop, close_watch_of, &watch);
    loop_deadline_set(&deadline, 1);
    loop_run(&loop);
    CHECK_STR(order, "x");
    (void)close(ends[1]);
}

/* --- signals --- */

static void note_signal(struct loop_signal *sig, int number)
{
    order_add(number == SIGUSR1 ? 'u' : '?');
    loop_signal_close(sig);
}

static void run_raise(struct loop_task *task)
{
    (void)task;
    CHECK_INT(raise(SIGUSR1), 0);
}

TEST(loop_signal_comes_as_an_event)
{
    struct loop_signal sig;
    struct loop_task task = {0};

    CHECK_INT(loop_signal_open(&sig, &loop, SIGUSR1, note_signal, NULL, &err), 0);
    loop_later(&loop, &task, run_raise, NULL);
    loop_run(&loop);
    CHECK_STR(order, "u");
}

static pid_t child;

static void reap_child(struct loop_signal *sig, int number)
{
    int status;

    CHECK_INT(number, SIGCHLD);
    CHECK_INT(waitpid(child, &status, WNOHANG), child);
    CHECK_INT(WEXITSTATUS(status), 7);
    order_add('c');
    loop_signal_close(sig);
}

TEST(loop_signal_tells_of_a_child)
{
    struct loop_signal sig;

    CHECK_INT(loop_signal_open(&sig, &loop, SIGCHLD, reap_child, NULL, &err), 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(7);
    loop_run(&loop);
    CHECK_STR(order, "c");
}

TEST(loop_signal_open_refuses_what_cannot_be_caught)
{
    struct loop_signal sig;

    CHECK_INT(loop_signal_open(&sig, &loop, SIGKILL, note_signal, NULL, &err), -1);
    CHECK_INT(err.code, ERR_SYSTEM);
    loop_run(&loop);
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TEST_MAIN(LOOP_TEST(loop_deadline_expires_once_and_not_early),
          LOOP_TEST(loop_deadline_may_clear_others_of_the_same_sweep),
          LOOP_TEST(loop_deadline_may_be_set_again_by_its_own_end),
          LOOP_TEST(loop_deadline_that_is_moved_nearer_is_not_slept_through),
          LOOP_TEST(loop_run_ends_when_nothing_is_left), LOOP_TEST(loop_signal_comes_as_an_event),
          LOOP_TEST(loop_signal_tells_of_a_child),
          LOOP_TEST(loop_signal_open_refuses_what_cannot_be_caught))
