/* SPDX-License-Identifier: Apache-2.0 */
/* Our client and our server, shaking hands and carrying bytes in memory. Threat H10. */
#include "crypto/tls.h"

#include <time.h>

#include "base/num.h"
#include "test.h"
#include "tls_rig.h"

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 31 + at / 251);
}

struct transfer {
    size_t sent;
    size_t received;
};

/* One round from `from` to `to`: send what goes, take what came and check it. */
static size_t transfer_step(struct transfer *t, struct end *from, struct end *to, size_t total,
                            size_t slice)
{
    static uint8_t bytes[RIG_PLAIN];
    struct span came = buf_span(&to->plain);
    size_t len = num_min(num_min(total - t->sent, slice), sizeof bytes);
    size_t used = 0;

    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(t->sent + i);
    CHECK_INT(tls_send(&from->tls, span_of(bytes, len), &used, &from->sealed, &from->err), 0);
    t->sent += used;
    for (size_t i = 0; i < came.len; i++) {
        if (came.ptr[i] != pattern(t->received + i))
            fail_msg("byte %zu is wrong", t->received + i);
    }
    t->received += came.len;
    buf_consume(&to->plain, came.len);
    return used + came.len;
}

/* `total` bytes both ways through queues of these sizes and wires that carry `cut` at a time. */
static void transfer_both(size_t total, size_t cut, size_t plain_size, size_t slice)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct transfer up = {0};
    struct transfer down = {0};
    struct end client;
    struct end server;
    struct err err;
    size_t moved;

    end_init(&client, plain_size, TLS_RECORD_MAX + 100);
    end_init(&server, plain_size, TLS_RECORD_MAX + 100);
    CHECK_INT(tls_init_client(&client.tls, rig_client_context, &host, &err), 0);
    CHECK_INT(tls_init_server(&server.tls, rig_server_context, NULL, &err), 0);
    do {
        moved = end_step(&client);
        moved += ends_carry(&client, &server, cut);
        moved += end_step(&server);
        moved += ends_carry(&server, &client, cut);
        moved += transfer_step(&up, &client, &server, total, slice);
        moved += transfer_step(&down, &server, &client, total, slice);
        CHECK(!client.failed && !server.failed);
    } while (moved > 0);
    CHECK_INT(client.tls.state, TLS_OPEN);
    CHECK_STR(tls_version(&client.tls), "TLSv1.3");
    CHECK_INT(up.received, total);
    CHECK_INT(down.received, total);
    CHECK_INT(tls_has_pending(&client.tls), 0);
    end_fini(&client);
    end_fini(&server);
}

TEST(tls_carries_a_mebibyte_both_ways)
{
    transfer_both(1 << 20, 100000, RIG_PLAIN, RIG_PLAIN);
    transfer_both(1 << 20, 16000, RIG_PLAIN, RIG_PLAIN);
    transfer_both(1 << 20, 1000, 512, RIG_PLAIN);
}

TEST(tls_carries_bytes_in_any_pieces)
{
    for (size_t cut = 1; cut < 40; cut += 3)
        transfer_both(20000, cut, 64, 5000);
    for (size_t slice = 1; slice < 400; slice += 57)
        transfer_both(20000, 333, 100, slice);
    transfer_both(3000, 1, 8, 1);
}

TEST(tls_says_that_a_record_waits_for_room)
{
    struct host host = ends_host("api.test", HOST_NAME);
    uint8_t bytes[1000] = {0};
    struct end client;
    struct end server;
    struct err err;
    size_t used;
    size_t got = 0;

    end_init(&client, 300, RIG_WIRE);
    end_init(&server, RIG_PLAIN, RIG_WIRE);
    CHECK_INT(tls_init_client(&client.tls, rig_client_context, &host, &err), 0);
    CHECK_INT(tls_init_server(&server.tls, rig_server_context, NULL, &err), 0);
    ends_run(&client, &server, 100000);
    CHECK_INT(tls_send(&server.tls, span_of(bytes, sizeof bytes), &used, &server.sealed, &err), 0);
    CHECK_INT(used, sizeof bytes);
    ends_run(&client, &server, 100000);
    CHECK(buf_is_empty(&client.inbox));
    while (tls_has_pending(&client.tls)) {
        got += buf_len(&client.plain);
        buf_consume(&client.plain, buf_len(&client.plain));
        CHECK_INT(
            tls_feed(&client.tls, span_of(NULL, 0), &used, &client.plain, &client.sealed, &err), 0);
    }
    CHECK_INT(got + buf_len(&client.plain), sizeof bytes);
    end_fini(&client);
    end_fini(&server);
}

/* Half a record on the wire is not plaintext that waits: a caller must not spin on it. */
TEST(tls_has_nothing_pending_within_a_record)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct end client;
    struct end server;
    struct err err;
    size_t used;

    rig_open(&client, &server, rig_server_context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(tls_send(&server.tls, span_text("hello"), &used, &server.sealed, &err), 0);
    ends_carry(&server, &client, 10);
    end_step(&client);
    CHECK(buf_is_empty(&client.inbox));
    CHECK_INT(tls_has_pending(&client.tls), 0);
    ends_run(&client, &server, 100000);
    CHECK_SPAN(buf_span(&client.plain), "hello");
    end_fini(&client);
    end_fini(&server);
}

TEST(tls_takes_nothing_without_room_for_what_it_may_have_to_say)
{
    struct host host = ends_host("api.test", HOST_NAME);
    uint8_t full[1000] = {0};
    struct end client;
    struct end server;
    struct err err;
    size_t used = 1;

    end_init(&client, RIG_PLAIN, TLS_RECORD_MAX + 10);
    end_init(&server, RIG_PLAIN, RIG_WIRE);
    CHECK_INT(tls_init_client(&client.tls, rig_client_context, &host, &err), 0);
    CHECK_INT(tls_init_server(&server.tls, rig_server_context, NULL, &err), 0);
    CHECK_INT(buf_append(&client.sealed, span_of(full, 11), &err), 0);
    CHECK_INT(tls_feed(&client.tls, span_text("x"), &used, &client.plain, &client.sealed, &err), 0);
    CHECK_INT(used, 0);
    CHECK_INT(buf_len(&client.sealed), 11);
    buf_consume(&client.sealed, 11);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.tls.state, TLS_OPEN);
    end_fini(&client);
    end_fini(&server);
}

TEST(tls_sends_a_short_run_into_little_room)
{
    struct host host = ends_host("api.test", HOST_NAME);
    static uint8_t full[RIG_WIRE - 261];
    struct end client;
    struct end server;
    struct err err;
    size_t used;

    rig_open(&client, &server, rig_server_context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(buf_append(&client.sealed, span_of(full, sizeof full), &err), 0);
    CHECK_INT(tls_send(&client.tls, span_text("sixsix"), &used, &client.sealed, &err), 0);
    CHECK_INT(used, 0);
    CHECK_INT(tls_send(&client.tls, span_text("fives"), &used, &client.sealed, &err), 0);
    CHECK_INT(used, 5);
    buf_consume(&client.sealed, sizeof full);
    ends_run(&client, &server, 100000);
    CHECK_SPAN(buf_span(&server.plain), "fives");
    end_fini(&client);
    end_fini(&server);
}

TEST(tls_ends_with_close_notify_only)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct end client;
    struct end server;
    struct err err;
    size_t used;

    rig_open(&client, &server, rig_server_context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(tls_send(&server.tls, span_text("last"), &used, &server.sealed, &err), 0);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.tls.state, TLS_OPEN);
    tls_send_close(&server.tls, &server.sealed);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.tls.state, TLS_ENDED);
    CHECK_SPAN(buf_span(&client.plain), "last");
    CHECK_INT(tls_send(&client.tls, span_text("but"), &used, &client.sealed, &err), 0);
    CHECK_INT(used, 3);
    ends_run(&client, &server, 100000);
    CHECK_SPAN(buf_span(&server.plain), "but");
    end_fini(&client);
    end_fini(&server);
}

TEST(tls_fails_for_good_on_a_forged_record)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct end client;
    struct end server;
    struct err err;
    size_t used;

    rig_open(&client, &server, rig_server_context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(tls_send(&server.tls, span_text("hello"), &used, &server.sealed, &err), 0);
    buf_bytes(&server.sealed).ptr[9] ^= 1;
    ends_run(&client, &server, 100000);
    CHECK_INT(client.err.code, ERR_TLS);
    CHECK_INT(client.tls.state, TLS_FAILED);
    CHECK(buf_is_empty(&client.plain));
    CHECK_STR(server.tls.alert, "bad record mac");
    CHECK_INT(tls_send(&client.tls, span_text("x"), &used, &client.sealed, &err), -1);
    CHECK_INT(tls_feed(&client.tls, span_text("x"), &used, &client.plain, &client.sealed, &err),
              -1);
    end_fini(&client);
    end_fini(&server);
}

TEST(tls_write_alert_is_one_record)
{
    static const uint8_t expected[] = {21, 3, 3, 0, 2, 2, 112};
    struct end end;
    struct err err;

    end_init(&end, RIG_PLAIN, RIG_WIRE);
    CHECK_INT(tls_write_alert(&end.sealed, TLS_ALERT_UNRECOGNIZED_NAME, &err), 0);
    CHECK(span_equal(buf_span(&end.sealed), span_of(expected, sizeof expected)));
    end_fini(&end);
}

TEST(tls_handshake_speed)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct timespec from;
    struct timespec to;
    double seconds;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int i = 0; i < 100; i++) {
        struct end client;
        struct end server;

        rig_open(&client, &server, rig_server_context, &host);
        ends_run(&client, &server, 100000);
        CHECK_INT(server.tls.state, TLS_OPEN);
        end_fini(&client);
        end_fini(&server);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    print_message("full handshake, client and server: %.0f us\n", seconds * 1e4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(tls_carries_a_mebibyte_both_ways),
        TEST_OF(tls_carries_bytes_in_any_pieces),
        TEST_OF(tls_says_that_a_record_waits_for_room),
        TEST_OF(tls_has_nothing_pending_within_a_record),
        TEST_OF(tls_takes_nothing_without_room_for_what_it_may_have_to_say),
        TEST_OF(tls_sends_a_short_run_into_little_room),
        TEST_OF(tls_ends_with_close_notify_only),
        TEST_OF(tls_fails_for_good_on_a_forged_record),
        TEST_OF(tls_write_alert_is_one_record),
        TEST_OF(tls_handshake_speed),
    };

    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
