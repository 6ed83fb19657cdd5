/* SPDX-License-Identifier: Apache-2.0 */
/* What is guarded: bytes in order, pressure, ends, and no system call that is known to be vain. */
#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "test.h"

#define ROOM 4096

static struct loop loop;
static struct err err;
static struct pool pool;
static struct stream stream;
static struct buf buf, other;
static int peer;
static int ready_count;
static int closed_count;

static void on_ready(struct stream *which)
{
    CHECK(which == &stream);
    ready_count++;
    stream_want(&stream, 0); /* the loop then ends by itself */
}

static void on_closed(struct stream *which)
{
    CHECK(!which->is_open);
    closed_count++;
}

static int set_up(void **state)
{
    int ends[2];

    (void)state;
    ready_count = 0;
    closed_count = 0;
    pool_init(&pool, ROOM, 2, 2);
    buf_init(&buf, &pool, BUF_PLAIN);
    buf_init(&other, &pool, BUF_PLAIN);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0 ||
        loop_init(&loop, &err) < 0)
        return -1;
    peer = ends[1];
    return stream_open(&stream, &loop, ends[0], on_ready, NULL, &err);
}

static int tear_down(void **state)
{
    (void)state;
    if (stream.is_open)
        stream_close(&stream, on_closed);
    loop_fini(&loop);
    buf_fini(&buf);
    buf_fini(&other);
    pool_fini(&pool);
    if (peer >= 0)
        (void)close(peer);
    return closed_count == 1 ? 0 : -1;
}

static void peer_writes(const char *text)
{
    CHECK_INT(write(peer, text, strlen(text)), strlen(text));
}

static void wait_for(unsigned interest)
{
    int before = ready_count;

    stream_want(&stream, interest);
    loop_run(&loop);
    CHECK_INT(ready_count, before + 1);
}

TEST(stream_pull_takes_what_is_there)
{
    peer_writes("hello");
    CHECK_INT(stream_pull(&stream, &buf, &err), 5);
    CHECK_SPAN(buf_span(&buf), "hello");
    CHECK_INT(stream.bytes_in, 5);
    CHECK_INT(stream.can_read, 0); /* a short read: there is no more */
    peer_writes(" again");
    CHECK_INT(stream_pull(&stream, &buf, &err), 0); /* known to be vain until the loop says so */
    wait_for(LOOP_READ);
    CHECK_INT(stream_pull(&stream, &buf, &err), 6);
    CHECK_SPAN(buf_span(&buf), "hello again");
}

TEST(stream_pull_of_nothing_gives_the_block_back)
{
    CHECK_INT(stream_pull(&stream, &buf, &err), 0);
    CHECK_INT(stream.can_read, 0);
    CHECK_INT(pool.used, 0);
}

TEST(stream_pull_stops_at_a_full_queue_and_loses_nothing)
{
    char bytes[ROOM + 100];

    memset(bytes, 'a', sizeof bytes);
    CHECK_INT(write(peer, bytes, sizeof bytes), sizeof bytes);
    CHECK_INT(stream_pull(&stream, &buf, &err), ROOM);
    CHECK_INT(stream.can_read, 1); /* not short: there may be more */
    CHECK_INT(stream_pull(&stream, &buf, &err), 0);
    CHECK_INT(stream.can_read, 1);
    buf_consume(&buf, ROOM - 10);
    CHECK_INT(stream_pull(&stream, &buf, &err), 100);
    CHECK_INT(buf_len(&buf), 110);
}

TEST(stream_pull_without_a_block_reads_nothing)
{
    void *first = pool_take(&pool);
    void *second = pool_take(&pool);

    peer_writes("x");
    CHECK_INT(stream_pull(&stream, &buf, &err), 0);
    CHECK_INT(stream.can_read, 1);
    pool_give(&pool, first);
    pool_give(&pool, second);
    CHECK_INT(stream_pull(&stream, &buf, &err), 1);
}

TEST(stream_pull_room_reads_into_memory_of_the_caller)
{
    uint8_t memory[8];
    struct room room = {.ptr = memory, .len = sizeof memory};

    peer_writes("hello again");
    CHECK_INT(stream_pull_room(&stream, (struct room){.ptr = NULL, .len = 0}, &err), 0);
    CHECK_INT(stream_pull_room(&stream, room, &err), 8);
    CHECK_SPAN(span_of(memory, 8), "hello ag");
    CHECK_INT(stream.can_read, 1);
    CHECK_INT(stream_pull_room(&stream, room, &err), 3);
    CHECK_SPAN(span_of(memory, 3), "ain");
    CHECK_INT(stream.can_read, 0);
    CHECK_INT(stream.bytes_in, 11);
    (void)close(peer);
    peer = -1;
    wait_for(LOOP_READ);
    CHECK_INT(stream_pull_room(&stream, room, &err), 0);
    CHECK_INT(stream.has_ended, 1);
}

TEST(stream_push_span_says_how_much_was_taken)
{
    static uint8_t bytes[16 << 20];
    char got[8];
    ssize_t first = stream_push_span(&stream, span_text("hello"), &err);
    ssize_t sent;

    CHECK_INT(first, 5);
    CHECK_INT(read(peer, got, sizeof got), 5);
    CHECK(memcmp(got, "hello", 5) == 0);
    CHECK_INT(stream_push_span(&stream, span_of(NULL, 0), &err), 0);
    sent = stream_push_span(&stream, span_of(bytes, sizeof bytes), &err);
    CHECK(sent > 0 && (size_t)sent < sizeof bytes);
    CHECK_INT(stream.can_write, 0);
    CHECK_INT(stream_push_span(&stream, span_of(bytes, sizeof bytes), &err), 0);
    CHECK_INT(stream.bytes_out, 5 + sent);
}

/* I9 */
TEST(stream_end_comes_after_the_bytes_before_it)
{
    peer_writes("last");
    CHECK_INT(shutdown(peer, SHUT_WR), 0);
    CHECK_INT(stream_pull(&stream, &buf, &err), 4);
    CHECK_INT(stream.has_ended, 0);
    wait_for(LOOP_READ);
    CHECK_INT(stream_pull(&stream, &buf, &err), 0);
    CHECK_INT(stream.has_ended, 1);
    CHECK_INT(stream_pull(&stream, &buf, &err), 0);
    /* After the end there is nothing to read for: the loop has nothing to wait for. */
    stream_want(&stream, LOOP_READ);
    loop_run(&loop);
    CHECK_INT(ready_count, 1);
    /* The other direction goes on. */
    CHECK_INT(buf_append(&other, span_text("still"), &err), 0);
    CHECK_INT(stream_push(&stream, &other, &err), 5);
}

TEST(stream_push_sends_until_the_socket_is_full_then_waits)
{
    char bytes[65536];
    uint64_t sent = 0;
    uint64_t got = 0;
    ssize_t len;

    while (stream.can_write) {
        char fill[ROOM];

        memset(fill, 'b', sizeof fill);
        (void)buf_append_some(&buf, span_of(fill, sizeof fill));
        len = stream_push(&stream, &buf, &err);
        CHECK(len >= 0);
        sent += (uint64_t)len;
    }
    CHECK_INT(stream.bytes_out, sent);
    CHECK_INT(stream_push(&stream, &buf, &err), 0);
    CHECK(buf_len(&buf) > 0);
    while ((len = read(peer, bytes, sizeof bytes)) > 0)
        got += (uint64_t)len;
    CHECK_INT(got, sent);
    CHECK_INT(stream.can_write, 0); /* only the loop says otherwise */
    wait_for(LOOP_WRITE);
    CHECK_INT(stream.can_write, 1);
    CHECK(stream_push(&stream, &buf, &err) > 0);
}

TEST(stream_push_of_nothing_does_nothing)
{
    CHECK_INT(stream_push(&stream, &buf, &err), 0);
    CHECK_INT(stream_push_two(&stream, &buf, &other, &err), 0);
    CHECK_INT(stream.can_write, 1);
    CHECK_INT(pool.used, 0);
}

TEST(stream_push_two_keeps_the_order)
{
    char bytes[32];

    CHECK_INT(buf_append(&buf, span_text("head "), &err), 0);
    CHECK_INT(buf_append(&other, span_text("body"), &err), 0);
    CHECK_INT(stream_push_two(&stream, &buf, &other, &err), 9);
    CHECK(buf_is_empty(&buf) && buf_is_empty(&other));
    CHECK_INT(read(peer, bytes, sizeof bytes), 9);
    CHECK_SPAN(span_of(bytes, 9), "head body");
    CHECK_INT(buf_append(&other, span_text("only"), &err), 0);
    CHECK_INT(stream_push_two(&stream, &buf, &other, &err), 4);
    CHECK_INT(buf_append(&buf, span_text("only"), &err), 0);
    CHECK_INT(stream_push_two(&stream, &buf, &other, &err), 4);
    CHECK_INT(read(peer, bytes, sizeof bytes), 8);
}

/* A counter as content: what is lost, doubled or swapped shows. */
TEST(stream_push_two_is_byte_exact_when_the_socket_is_short)
{
    uint8_t next_out = 0;
    uint8_t next_in = 0;
    uint8_t bytes[3000];

    for (int round = 0; round < 500; round++) {
        ssize_t len;

        /* Only the second queue is filled again while the first still holds what comes before. */
        if (buf_is_empty(&buf) && buf_is_empty(&other)) {
            for (int i = 0; i < ROOM; i++, next_out++)
                (void)buf_append_some(&buf, span_of(&next_out, 1));
        }
        for (int i = 0; i < 977 && buf_free_len(&other) > 0; i++, next_out++)
            (void)buf_append_some(&other, span_of(&next_out, 1));
        stream.can_write = 1;
        CHECK(stream_push_two(&stream, &buf, &other, &err) >= 0);
        len = read(peer, bytes, (size_t)(round * 37 % 3000));
        for (ssize_t i = 0; i < len; i++)
            CHECK_INT(bytes[i], next_in++);
    }
    CHECK(stream.bytes_out > 100000);
}

TEST(stream_push_to_a_peer_that_has_gone_is_an_error_not_a_signal)
{
    (void)close(peer);
    peer = -1;
    CHECK_INT(buf_append(&buf, span_text("x"), &err), 0);
    CHECK_INT(stream_push(&stream, &buf, &err), -1);
    CHECK_INT(err.code, ERR_CLOSED);
    CHECK_INT(buf_len(&buf), 1);
}

TEST(stream_shut_write_ends_one_direction)
{
    char bytes[8];

    CHECK_INT(buf_append(&buf, span_text("end"), &err), 0);
    CHECK_INT(stream_push(&stream, &buf, &err), 3);
    stream_shut_write(&stream);
    stream_shut_write(&stream);
    CHECK_INT(stream.write_is_shut, 1);
    CHECK_INT(read(peer, bytes, sizeof bytes), 3);
    CHECK_INT(read(peer, bytes, sizeof bytes), 0);
    peer_writes("back");
    CHECK_INT(stream_pull(&stream, &buf, &err), 4);
}

TEST(stream_close_closes_now_and_tells_later)
{
    char byte;

    stream_close(&stream, on_closed);
    CHECK_INT(read(peer, &byte, 1), 0);
    CHECK_INT(closed_count, 0);
    loop_run(&loop);
    CHECK_INT(closed_count, 1);
}

TEST(stream_open_takes_the_descriptor_on_failure_too)
{
    struct stream bad;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    CHECK_INT(stream_open(&bad, &loop, fd, on_ready, NULL, &err), -1);
    CHECK_INT(fcntl(fd, F_GETFD), -1);
    CHECK_INT(bad.is_open, 0);
}

/* --- TCP --- */

static void tcp_pair(int *client, int *server)
{
    struct address address, from;
    int listener;

    CHECK_INT(socket_read_address(span_text("127.0.0.1:0"), &address, &err), 0);
    listener = socket_listen(&address, 1, &err);
    CHECK_INT(socket_local(listener, &address, &err), 0);
    *client = socket_connect(&address, &err);
    CHECK(*client >= 0);
    CHECK_INT(fcntl(listener, F_SETFL, 0), 0); /* wait for it */
    *server = socket_accept(listener, &from, &err);
    CHECK(*server >= 0);
    (void)close(listener);
}

static int tcp_closed_count;

static void on_tcp_closed(struct stream *which)
{
    (void)which;
    tcp_closed_count++;
}

/* A peer must not take a truncated answer for a complete one. */
TEST(stream_reset_tells_the_peer)
{
    struct stream tcp;
    int client, server;
    char byte;

    tcp_closed_count = 0;
    tcp_pair(&client, &server);
    CHECK_INT(stream_open(&tcp, &loop, server, on_ready, NULL, &err), 0);
    stream_reset(&tcp, on_tcp_closed);
    CHECK_INT(fcntl(client, F_SETFL, 0), 0);
    CHECK_INT(read(client, &byte, 1), -1);
    CHECK_INT(errno, ECONNRESET);
    loop_run(&loop);
    CHECK_INT(tcp_closed_count, 1);
    (void)close(client);
}

TEST(stream_pull_of_a_reset_connection_is_closed)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    struct stream tcp;
    int client, server;

    tcp_pair(&client, &server);
    CHECK_INT(stream_open(&tcp, &loop, server, on_ready, NULL, &err), 0);
    CHECK_INT(setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    (void)close(client);
    CHECK_INT(stream_pull(&tcp, &buf, &err), -1);
    CHECK_INT(err.code, ERR_CLOSED);
    stream_close(&tcp, NULL);
    loop_run(&loop);
}

#define STREAM_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TEST_MAIN(STREAM_TEST(stream_pull_takes_what_is_there),
          STREAM_TEST(stream_pull_of_nothing_gives_the_block_back),
          STREAM_TEST(stream_pull_stops_at_a_full_queue_and_loses_nothing),
          STREAM_TEST(stream_pull_without_a_block_reads_nothing),
          STREAM_TEST(stream_pull_room_reads_into_memory_of_the_caller),
          STREAM_TEST(stream_push_span_says_how_much_was_taken),
          STREAM_TEST(stream_end_comes_after_the_bytes_before_it),
          STREAM_TEST(stream_push_sends_until_the_socket_is_full_then_waits),
          STREAM_TEST(stream_push_of_nothing_does_nothing),
          STREAM_TEST(stream_push_two_keeps_the_order),
          STREAM_TEST(stream_push_two_is_byte_exact_when_the_socket_is_short),
          STREAM_TEST(stream_push_to_a_peer_that_has_gone_is_an_error_not_a_signal),
          STREAM_TEST(stream_shut_write_ends_one_direction),
          STREAM_TEST(stream_close_closes_now_and_tells_later),
          STREAM_TEST(stream_open_takes_the_descriptor_on_failure_too),
          STREAM_TEST(stream_reset_tells_the_peer),
          STREAM_TEST(stream_pull_of_a_reset_connection_is_closed))
