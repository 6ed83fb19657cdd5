/* SPDX-License-Identifier: Apache-2.0 */
/* Packets between processes: who may say what, and that every length is checked. */
#include "test.h"

#include <sys/socket.h>
#include <unistd.h>

#include "gateway/messages.h"
#include "os/ipc.h"

static uint8_t memory[MESSAGE_MAX];
static struct room room = {.ptr = memory, .len = sizeof memory};
static struct err err;
static int pair[2];

static int pair_make(void **state)
{
    (void)state;
    return ipc_pair(pair, &err);
}

static int pair_close(void **state)
{
    (void)state;
    (void)close(pair[0]);
    (void)close(pair[1]);
    return 0;
}

TEST(message_comes_as_it_was_sent)
{
    struct message message = {.type = MESSAGE_CREDENTIAL,
                              .index = 443,
                              .handle = 0x1122334455667788ULL,
                              .number = 7ULL << 32 | 3,
                              .a = span_text("es_1"),
                              .b = span_text("api.example.com")};
    struct message back;

    CHECK_INT(message_recv(pair[1], SENDER_WORKER, room, &back, NULL, &err), 0);
    CHECK_INT(message_send(pair[0], &message, -1, &err), 1);
    CHECK_INT(message_recv(pair[1], SENDER_WORKER, room, &back, NULL, &err), 1);
    CHECK_INT(back.type, MESSAGE_CREDENTIAL);
    CHECK_INT(back.index, 443);
    CHECK(back.handle == message.handle && back.number == message.number);
    CHECK_SPAN(back.a, "es_1");
    CHECK_SPAN(back.b, "api.example.com");
    CHECK_INT(back.c.len, 0);
}

TEST(message_wipe_leaves_nothing_of_a_secret)
{
    struct message message = {.type = MESSAGE_CREDENTIAL_REPLY, .a = span_text("s3cr3t-value")};
    struct message back;

    CHECK_INT(message_send(pair[0], &message, -1, &err), 1);
    CHECK_INT(message_recv(pair[1], SENDER_VAULT, room, &back, NULL, &err), 1);
    CHECK(memmem(memory, sizeof memory, "s3cr3t-value", 12) != NULL);
    message_wipe(room, &back);
    CHECK(memmem(memory, sizeof memory, "s3cr3t", 6) == NULL);
}

/* A worker that was taken over cannot speak as the vault, main or the auditor. */
TEST(message_of_another_role_is_refused)
{
    for (int type = MESSAGE_NONE + 1; type < MESSAGE_COUNT; type++) {
        int accepted = 0;

        for (int sender = SENDER_MAIN; sender <= SENDER_AUDITOR; sender++) {
            struct message message = {.type = (enum message_type)type};
            struct message back;

            CHECK_INT(message_send(pair[0], &message, -1, &err), 1);
            accepted +=
                message_recv(pair[1], (enum message_sender)sender, room, &back, NULL, &err) == 1;
        }
        CHECK_INT(accepted, 1);
    }
}

static int raw_recv(const void *bytes, size_t len)
{
    struct message back;

    CHECK_INT(send(pair[0], bytes, len, 0), len);
    return message_recv(pair[1], SENDER_WORKER, room, &back, NULL, &err);
}

TEST(message_with_lengths_that_do_not_add_up_is_refused)
{
    uint32_t packet[64] = {MESSAGE_AUTH, 0, 0, 5, 0, 0};

    CHECK_INT(raw_recv(packet, 40 + 5), 1);
    for (size_t len = 1; len < 60; len++) {
        if (len != 45)
            CHECK_INT(raw_recv(packet, len), -1);
    }
    packet[3] = UINT32_MAX;
    CHECK_INT(raw_recv(packet, 45), -1);
    packet[3] = 5;
    packet[5] = UINT32_MAX - 4; /* the sum wraps around */
    CHECK_INT(raw_recv(packet, 45), -1);
    packet[5] = 0;
    packet[3] = LIMIT_TOKEN + 1;
    CHECK_INT(raw_recv(packet, 45), -1);
    packet[0] = MESSAGE_COUNT;
    CHECK_INT(raw_recv(packet, 45), -1);
    packet[0] = MESSAGE_NONE;
    CHECK_INT(raw_recv(packet, 45), -1);
    CHECK_INT(err.code, ERR_INTERNAL);
}

TEST(message_of_an_unknown_code_is_an_internal_error)
{
    uint32_t packet[10] = {MESSAGE_LEFT, 0xffffffff};
    struct message back;

    CHECK_INT(send(pair[0], packet, sizeof packet, 0), sizeof packet);
    CHECK_INT(message_recv(pair[1], SENDER_WORKER, room, &back, NULL, &err), 1);
    CHECK_INT(back.code, ERR_INTERNAL);
}

TEST(message_brings_a_descriptor)
{
    struct message message = {.type = MESSAGE_PEER, .number = PEER_VAULT, .index = 4};
    struct message back;
    int passed_fd = -1;
    int pipes[2];

    CHECK_INT(pipe(pipes), 0);
    CHECK_INT(message_send(pair[0], &message, pipes[1], &err), 1);
    CHECK_INT(message_recv(pair[1], SENDER_MAIN, room, &back, &passed_fd, &err), 1);
    CHECK(passed_fd >= 0);
    CHECK_INT(write(passed_fd, "x", 1), 1);
    CHECK_INT(read(pipes[0], memory, 1), 1);
    (void)close(passed_fd);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

TEST(message_from_nobody_is_closed)
{
    struct message back;

    (void)shutdown(pair[0], SHUT_RDWR);
    CHECK_INT(message_recv(pair[1], SENDER_WORKER, room, &back, NULL, &err), -1);
    CHECK_INT(err.code, ERR_CLOSED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, pair_make, pair_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(message_comes_as_it_was_sent),
        CASE(message_wipe_leaves_nothing_of_a_secret),
        CASE(message_of_another_role_is_refused),
        CASE(message_with_lengths_that_do_not_add_up_is_refused),
        CASE(message_of_an_unknown_code_is_an_internal_error),
        CASE(message_brings_a_descriptor),
        CASE(message_from_nobody_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
