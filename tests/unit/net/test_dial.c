/* SPDX-License-Identifier: Apache-2.0 */
/* What is guarded: the first address that answers wins, one that does not costs little. */
#include "net/dial.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/pool.h"
#include "test.h"

static struct loop loop;
static struct err err;
static struct dial *dial;
static struct address addresses[LIMIT_ADDRESS_COUNT];
static int listener;
static struct address open_address;   /* of `listener` */
static struct address closed_address; /* nobody listens */
static struct address silent_address; /* neither answers nor refuses */
static int silent_fds[9];             /* what keeps it silent */
static size_t fd_count_before;

/* of on_done */
static int done_count;
static int done_fd;
static struct address done_address;
static struct err done_err;
static int64_t done_ms;
static int closed_count;

static size_t fd_count(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;

    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}

static void on_done(struct dial *which, int fd, const struct address *address,
                    const struct err *why)
{
    CHECK(which == dial);
    CHECK((fd >= 0) == (address != NULL));
    CHECK((fd < 0) == (why != NULL));
    done_count++;
    done_fd = fd;
    done_ms = loop.now_ms;
    if (address != NULL)
        done_address = *address;
    if (why != NULL)
        done_err = *why;
    pool_block_free(which); /* the struct is free in here */
    dial = NULL;
}

static void on_closed(struct dial *which)
{
    closed_count++;
    pool_block_free(which);
    dial = NULL;
}

static int listen_loopback(struct address *address, int backlog)
{
    int fd;

    if (socket_read_address(span_text("127.0.0.1:0"), address, &err) < 0)
        return -1;
    fd = socket_listen(address, backlog, &err);
    return fd < 0 || socket_local(fd, address, &err) < 0 ? -1 : fd;
}

/* A queue of length 0 that is full: the kernel drops what knocks. */
static int silence_make(void)
{
    silent_fds[0] = listen_loopback(&silent_address, 0);
    if (silent_fds[0] < 0)
        return -1;
    for (size_t i = 1; i < 9; i++)
        silent_fds[i] = socket_connect(&silent_address, &err);
    return 0;
}

static int set_up(void **state)
{
    int fd;

    (void)state;
    done_count = 0;
    closed_count = 0;
    done_fd = -1;
    listener = listen_loopback(&open_address, 16);
    fd = listen_loopback(&closed_address, 1);
    if (listener < 0 || fd < 0 || close(fd) < 0 || silence_make() < 0 || loop_init(&loop, &err) < 0)
        return -1;
    dial = pool_block_new(sizeof *dial);
    dial->on_done = on_done;
    fd_count_before = fd_count();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (done_fd >= 0)
        (void)close(done_fd);
    pool_block_free(dial);
    dial = NULL;
    if (fd_count() != fd_count_before)
        return -1; /* an attempt was left open */
    loop_fini(&loop);
    (void)close(listener);
    for (size_t i = 0; i < 9; i++)
        (void)close(silent_fds[i]);
    return 0;
}

static void run(size_t count, int64_t attempt_ms)
{
    CHECK_INT(dial_start(dial, &loop, addresses, count, attempt_ms, &err), 0);
    CHECK_INT(done_count, 0); /* not from within */
    loop_run(&loop);
    CHECK_INT(done_count, 1);
}

static void check_connected(const struct address *address)
{
    struct address peer = {.len = sizeof peer.v6};

    CHECK(done_fd >= 0);
    CHECK_INT(socket_port(&done_address), socket_port(address));
    CHECK_INT(getpeername(done_fd, &peer.any, &peer.len), 0);
    CHECK_INT(socket_port(&peer), socket_port(address));
    CHECK(fcntl(done_fd, F_GETFL) & O_NONBLOCK);
}

TEST(dial_connects_to_the_only_address)
{
    addresses[0] = open_address;
    run(1, 1000);
    check_connected(&open_address);
}

TEST(dial_goes_on_at_once_when_one_refuses)
{
    int64_t start_ms = loop.now_ms;

    addresses[0] = closed_address;
    addresses[1] = closed_address;
    addresses[2] = open_address;
    run(3, 1000);
    check_connected(&open_address);
    CHECK(done_ms - start_ms < 500); /* what two head starts would take */
}

TEST(dial_goes_on_beside_one_that_is_silent)
{
    int64_t start_ms = loop.now_ms;

    addresses[0] = silent_address;
    addresses[1] = open_address;
    run(2, 60000);
    check_connected(&open_address);
    CHECK(done_ms - start_ms >= 250);
    CHECK(done_ms - start_ms < 5000);
}

TEST(dial_fails_when_all_have)
{
    addresses[0] = closed_address;
    addresses[1] = closed_address;
    run(2, 1000);
    CHECK_INT(done_fd, -1);
    CHECK_INT(done_err.code, ERR_CONNECT);
    CHECK(strstr(done_err.text, "127.0.0.1:") != NULL);
    CHECK(strstr(done_err.text, "refused") != NULL);
}

TEST(dial_tries_each_of_the_most_there_can_be)
{
    for (size_t i = 0; i < LIMIT_ADDRESS_COUNT; i++)
        addresses[i] = closed_address;
    run(LIMIT_ADDRESS_COUNT, 1000);
    CHECK_INT(done_fd, -1);
    CHECK_INT(done_err.code, ERR_CONNECT);
    addresses[LIMIT_ADDRESS_COUNT - 1] = open_address;
    done_count = 0;
    dial = pool_block_new(sizeof *dial);
    dial->on_done = on_done;
    run(LIMIT_ADDRESS_COUNT, 1000);
    check_connected(&open_address);
}

/* A network that is not there fails within connect(). */
TEST(dial_never_tells_from_within_though_all_fail_at_once)
{
    for (size_t i = 0; i < 10; i++)
        CHECK_INT(socket_read_address(span_text("255.255.255.255:1"), &addresses[i], &err), 0);
    run(10, 1000);
    CHECK_INT(done_fd, -1);
    CHECK_INT(done_err.code, ERR_CONNECT);
}

TEST(dial_takes_the_slot_of_the_oldest_silent_one)
{
    for (size_t i = 0; i < 6; i++)
        addresses[i] = silent_address;
    addresses[6] = open_address;
    run(7, 300);
    check_connected(&open_address);
}

TEST(dial_refuses_no_address_and_too_many)
{
    CHECK_INT(dial_start(dial, &loop, addresses, 0, 1000, &err), -1);
    CHECK_INT(dial_start(dial, &loop, addresses, LIMIT_ADDRESS_COUNT + 1, 1000, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
}

TEST(dial_cancel_tells_nobody_and_leaks_nothing)
{
    addresses[0] = silent_address;
    addresses[1] = open_address;
    CHECK_INT(dial_start(dial, &loop, addresses, 2, 1000, &err), 0);
    CHECK_INT(dial_cancel(dial, on_closed), 1);
    CHECK_INT(closed_count, 0);
    loop_run(&loop);
    CHECK_INT(closed_count, 1);
    CHECK_INT(done_count, 0);
}

TEST(dial_cancel_is_done_at_once_when_nothing_is_under_way)
{
    CHECK_INT(socket_read_address(span_text("255.255.255.255:1"), &addresses[0], &err), 0);
    CHECK_INT(dial_start(dial, &loop, addresses, 1, 1000, &err), 0);
    CHECK_INT(dial_cancel(dial, on_closed), 0);
    loop_run(&loop);
    CHECK_INT(closed_count, 0);
    CHECK_INT(done_count, 0);
}

static void cancel_on_expired(struct loop_deadline *deadline)
{
    CHECK_INT(dial_cancel(deadline->owner, on_closed), 1);
}

TEST(dial_cancel_ends_every_attempt_under_way)
{
    struct loop_deadline deadline;

    for (size_t i = 0; i < 4; i++)
        addresses[i] = silent_address;
    CHECK_INT(dial_start(dial, &loop, addresses, 4, 10000, &err), 0);
    loop_deadline_init(&deadline, &loop, cancel_on_expired, dial);
    loop_deadline_set(&deadline, 450); /* a second one has begun */
    loop_run(&loop);
    CHECK_INT(closed_count, 1);
    CHECK_INT(done_count, 0);
}

#define DIAL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TEST_MAIN(DIAL_TEST(dial_connects_to_the_only_address),
          DIAL_TEST(dial_goes_on_at_once_when_one_refuses),
          DIAL_TEST(dial_goes_on_beside_one_that_is_silent), DIAL_TEST(dial_fails_when_all_have),
          DIAL_TEST(dial_tries_each_of_the_most_there_can_be),
          DIAL_TEST(dial_never_tells_from_within_though_all_fail_at_once),
          DIAL_TEST(dial_takes_the_slot_of_the_oldest_silent_one),
          DIAL_TEST(dial_refuses_no_address_and_too_many),
          DIAL_TEST(dial_cancel_tells_nobody_and_leaks_nothing),
          DIAL_TEST(dial_cancel_is_done_at_once_when_nothing_is_under_way),
          DIAL_TEST(dial_cancel_ends_every_attempt_under_way))
