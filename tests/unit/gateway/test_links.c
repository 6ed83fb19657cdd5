/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's channels to the vault and to the auditor, with the other end in this test. */
#include "gateway/audit_link.h"
#include "gateway/record_batch.h"
#include "gateway/vault_link.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/pool.h"
#include "os/clock.h"
#include "os/ipc.h"
#include "test.h"

static struct loop loop;
static struct err err;
static uint8_t memory[MESSAGE_MAX];
static const struct room room = {.ptr = memory, .len = sizeof memory};

/* What an asker has heard. */
struct asker {
    struct vault_wait wait;
    int count;
    enum err_code code;
    char text[32];
};

static struct vault_link *vault;
static int vault_end;
static int opened;
static int noticed;

static void on_reply(struct vault_wait *wait, const struct message *reply)
{
    struct asker *asker = wait->owner;
    struct text text;

    asker->count++;
    asker->code = reply->code;
    text_init(&text, asker->text, sizeof asker->text);
    text_add(&text, reply->a);
    (void)text_str(&text);
}

static void on_notice(struct vault_link *link, const struct message *notice)
{
    (void)link;
    noticed += notice->type == MESSAGE_SESSION_END;
}

static void on_open(struct vault_link *link)
{
    (void)link;
    opened++;
}

/* A few ticks: enough for what is in the channels. */
static void ticks(void)
{
    for (int i = 0; i < 4; i++)
        (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
}

static int vault_start(void **state)
{
    int fds[2];

    (void)state;
    opened = 0;
    noticed = 0;
    if (loop_init(&loop, &err) < 0 || ipc_pair(fds, &err) < 0)
        return -1;
    vault = pool_block_new(sizeof *vault);
    vault->on_notice = on_notice;
    vault->on_open = on_open;
    vault_end = fds[1];
    return vault_link_init(vault, &loop, fds[0], &err);
}

static int vault_stop(void **state)
{
    (void)state;
    (void)close(vault_end);
    ticks();
    if (vault->fd >= 0)
        loop_watch_close(&vault->watch, NULL);
    loop_fini(&loop);
    pool_block_free(vault);
    return 0;
}

static void asker_init(struct asker *asker)
{
    *asker = (struct asker){.wait = {.on_reply = on_reply, .owner = asker}};
}

static void ask(struct asker *asker)
{
    const struct message question = {.type = MESSAGE_AUTH, .a = span_text("token")};

    CHECK_INT(vault_link_ask(vault, &question, &asker->wait, &err), 0);
}

/* The handle of the next question that arrived at the vault. */
static uint64_t question_take(int fd)
{
    struct message question;

    CHECK_INT(message_recv(fd, SENDER_WORKER, room, &question, NULL, &err), 1);
    return question.handle;
}

static void answer(int fd, uint64_t handle, const char *text)
{
    const struct message reply = {
        .type = MESSAGE_AUTH_REPLY, .handle = handle, .a = span_text(text)};

    CHECK_INT(message_send(fd, &reply, -1, &err), 1);
}

TEST(vault_link_gives_each_answer_to_who_asked)
{
    struct asker askers[3];
    uint64_t handles[3];

    for (int i = 0; i < 3; i++) {
        asker_init(&askers[i]);
        ask(&askers[i]);
    }
    for (int i = 0; i < 3; i++)
        handles[i] = question_take(vault_end);
    answer(vault_end, handles[2], "third");
    answer(vault_end, handles[0], "first");
    ticks();
    CHECK_STR(askers[0].text, "first");
    CHECK_INT(askers[1].count, 0);
    CHECK_STR(askers[2].text, "third");
    CHECK_INT(askers[2].wait.handle, 0);
    vault_link_forget(vault, &askers[1].wait);
}

TEST(vault_link_gives_a_late_answer_to_nobody)
{
    struct asker gone;
    struct asker next;
    uint64_t late;

    asker_init(&gone);
    asker_init(&next);
    ask(&gone);
    late = question_take(vault_end);
    vault_link_forget(vault, &gone.wait);
    /* The same place is taken by another question. */
    vault->next = (size_t)(late % VAULT_WAITS);
    ask(&next);
    CHECK(question_take(vault_end) != late);
    answer(vault_end, late, "late");
    answer(vault_end, 12345 * VAULT_WAITS, "never asked");
    ticks();
    CHECK_INT(gone.count, 0);
    CHECK_INT(next.count, 0);
    vault_link_forget(vault, &next.wait);
}

TEST(vault_link_tells_everybody_when_the_vault_is_gone)
{
    struct asker askers[2];

    asker_init(&askers[0]);
    asker_init(&askers[1]);
    ask(&askers[0]);
    ask(&askers[1]);
    (void)close(vault_end);
    ticks();
    CHECK_INT(askers[0].code, ERR_CREDENTIAL);
    CHECK_INT(askers[1].code, ERR_CREDENTIAL);

    const struct message question = {.type = MESSAGE_AUTH, .a = span_text("token")};

    CHECK_INT(vault_link_ask(vault, &question, &askers[0].wait, &err), -1);
    CHECK_INT(err.code, ERR_CREDENTIAL);
    vault_end = dup(0);
}

TEST(vault_link_goes_on_with_a_new_vault)
{
    struct asker before;
    struct asker after;
    int fds[2];

    asker_init(&before);
    asker_init(&after);
    ask(&before);
    CHECK_INT(ipc_pair(fds, &err), 0);
    CHECK_INT(vault_link_replace(vault, fds[0], &err), 0);
    CHECK_INT(before.code, ERR_CREDENTIAL);
    ticks();
    CHECK_INT(opened, 2);
    ask(&after);
    answer(fds[1], question_take(fds[1]), "hello");
    ticks();
    CHECK_STR(after.text, "hello");
    (void)close(vault_end);
    vault_end = fds[1];
}

static int replacement_fd;

static void on_reply_replace(struct vault_wait *wait, const struct message *reply)
{
    on_reply(wait, reply);
    CHECK_INT(vault_link_replace(vault, replacement_fd, &err), 0);
}

/* Main's message came in the same batch of events as the end of the old channel. */
TEST(vault_link_takes_a_new_vault_in_the_tick_that_lost_the_old_one)
{
    struct asker before;
    struct asker after;
    int fds[2];

    asker_init(&before);
    asker_init(&after);
    before.wait.on_reply = on_reply_replace;
    ask(&before);
    CHECK_INT(ipc_pair(fds, &err), 0);
    replacement_fd = fds[0];
    (void)close(vault_end);
    ticks();
    CHECK_INT(before.count, 1);
    CHECK_INT(opened, 2);
    ask(&after);
    answer(fds[1], question_take(fds[1]), "hello");
    ticks();
    CHECK_STR(after.text, "hello");
    vault_end = fds[1];
}

TEST(vault_link_passes_on_what_the_vault_says_unasked)
{
    const struct message notice = {
        .type = MESSAGE_SESSION_END, .code = ERR_SESSION_REVOKED, .a = span_text("es_1")};

    CHECK_INT(message_send(vault_end, &notice, -1, &err), 1);
    ticks();
    CHECK_INT(noticed, 1);
}

/* --- the auditor's --- */

static struct audit_link *audit;
static int audit_end;

static int audit_start(void **state)
{
    int fds[2];

    (void)state;
    if (loop_init(&loop, &err) < 0 || ipc_pair(fds, &err) < 0)
        return -1;
    audit = pool_block_new(sizeof *audit);
    audit_end = fds[1];
    return audit_link_init(audit, &loop, fds[0], &err);
}

static int audit_stop(void **state)
{
    (void)state;
    loop_later_cancel(&loop, &audit->task);
    loop_watch_close(&audit->watch, NULL);
    loop_fini(&loop);
    (void)close(audit_end);
    pool_block_free(audit);
    return 0;
}

static const struct record record = {.verdict = RECORD_ALLOW, .port = 443};

TEST(audit_link_lets_no_credential_go_while_records_cannot_be_written)
{
    const struct message bad = {.type = MESSAGE_AUDIT_STATE, .code = ERR_AUDIT};
    const struct message good = {.type = MESSAGE_AUDIT_STATE, .code = ERR_OK};

    CHECK(audit_link_begin(audit, &record, &err) != 0);
    CHECK_INT(message_send(audit_end, &bad, -1, &err), 1);
    ticks();
    CHECK_INT(audit_link_begin(audit, &record, &err), 0);
    CHECK_INT(err.code, ERR_AUDIT);
    CHECK_INT(message_send(audit_end, &good, -1, &err), 1);
    ticks();
    CHECK(audit_link_begin(audit, &record, &err) != 0);
}

/* The records in a message must be those from `expected` on. Returns what comes next. */
static uint64_t records_check(const struct message *message, uint64_t expected)
{
    struct span batch = message->a;
    struct record_item item;

    if (message->type == MESSAGE_END || message->type == MESSAGE_BEGIN) {
        CHECK_INT(message->handle, expected);
        return expected + 1;
    }
    CHECK_INT(message->type, MESSAGE_RECORDS);
    while (record_batch_next(&batch, &item, &err) > 0) {
        CHECK_INT(item.handle, expected);
        expected++;
    }
    CHECK_INT(batch.len, 0);
    return expected;
}

TEST(audit_link_sends_the_records_of_a_tick_together)
{
    struct message message;
    struct span batch;
    struct record_item item;

    audit_link_end(audit, 0, &record);
    CHECK_INT(audit_link_begin(audit, &record, &err), 1);
    audit_link_end(audit, 0, &record);
    CHECK_INT(message_recv(audit_end, SENDER_WORKER, room, &message, NULL, &err), 0);
    CHECK(!audit_link_is_drained(audit));
    ticks();
    CHECK(audit_link_is_drained(audit));
    CHECK_INT(message_recv(audit_end, SENDER_WORKER, room, &message, NULL, &err), 1);
    batch = message.a;
    CHECK_INT(record_batch_next(&batch, &item, &err), 1);
    CHECK_INT(record_batch_next(&batch, &item, &err), 1);
    CHECK_INT(item.type, MESSAGE_BEGIN);
    CHECK_INT(item.handle, 1);
    CHECK_INT(record_batch_next(&batch, &item, &err), 1);
    CHECK_INT(record_batch_next(&batch, &item, &err), 0);
}

TEST(audit_link_has_a_begun_record_accepted_before_a_credential_leaves)
{
    struct message message;

    CHECK_INT(audit_link_accept(audit, &err), 1); /* none was begun */
    CHECK_INT(audit_link_begin(audit, &record, &err), 1);
    CHECK_INT(audit_link_accept(audit, &err), 1);
    CHECK_INT(message_recv(audit_end, SENDER_WORKER, room, &message, NULL, &err), 1);
    CHECK_INT(message.type, MESSAGE_RECORDS);
}

static int flushes;

static void flushed(struct audit_link *link, int was_blocked)
{
    (void)link;
    flushes += was_blocked;
}

TEST(audit_link_says_when_a_full_auditor_takes_records_again)
{
    struct message message;

    flushes = 0;
    audit->on_flushed = flushed;
    do {
        CHECK(audit_link_begin(audit, &record, &err) != 0);
    } while (audit_link_accept(audit, &err) > 0);
    CHECK_INT(audit_link_accept(audit, &err), 0);
    CHECK_INT(flushes, 0);
    while (message_recv(audit_end, SENDER_WORKER, room, &message, NULL, &err) > 0) {
    }
    ticks();
    CHECK_INT(flushes, 1);
    CHECK_INT(audit_link_accept(audit, &err), 1);
}

TEST(record_batch_refuses_what_is_no_batch)
{
    static const uint8_t short_head[15];
    const uint32_t lies[][4] = {{MESSAGE_END, 1, 0, 0}, {MESSAGE_AUTH, 0, 0, 0}};
    struct span batch = span_of(short_head, sizeof short_head);
    struct record_item item;

    CHECK_INT(record_batch_next(&batch, &item, &err), -1);
    for (size_t i = 0; i < 2; i++) {
        batch = span_of(lies[i], sizeof lies[i]);
        CHECK_INT(record_batch_next(&batch, &item, &err), -1);
        CHECK_INT(err.code, ERR_INTERNAL);
    }
}

TEST(audit_link_keeps_the_order_when_the_auditor_is_busy)
{
    struct message message;
    uint64_t expected = 1;
    uint64_t sent = 0;

    while (audit->backlog.count < 10)
        audit_link_end(audit, ++sent, &record);
    CHECK_INT(audit_link_begin(audit, &record, &err), 0);
    CHECK(!audit_link_is_drained(audit));
    while (expected <= sent) {
        int got = message_recv(audit_end, SENDER_WORKER, room, &message, NULL, &err);

        CHECK(got >= 0);
        if (got == 0) {
            ticks();
            continue;
        }
        expected = records_check(&message, expected);
    }
    ticks();
    CHECK(audit_link_is_drained(audit));
    CHECK(audit_link_begin(audit, &record, &err) != 0);
}

/* An auditor that is late, then takes BURST records in their order. Ends with 0 if they came so. */
#define BURST 3000
static pid_t auditor_fork(void)
{
    const struct timespec late = {.tv_nsec = 30000000};
    struct message message;
    pid_t child = fork();

    if (child != 0)
        return child;
    (void)nanosleep(&late, NULL);
    for (uint64_t expected = 1; expected <= BURST;) {
        int got = message_recv(audit_end, SENDER_WORKER, room, &message, NULL, &err);

        if (got < 0 || (got == 0 && ipc_wait(audit_end, 5000, &err) <= 0))
            _exit(1);
        if (got == 0)
            continue;
        expected = records_check(&message, expected);
    }
    _exit(0);
}

TEST(audit_link_waits_for_the_auditor_when_a_burst_fills_its_queue)
{
    pid_t child = auditor_fork();
    int status = -1;

    CHECK(child > 0);
    for (uint64_t i = 1; i <= BURST; i++)
        CHECK_INT(audit_link_begin(audit, &record, &err), i);
    while (!audit_link_is_drained(audit))
        ticks();
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
}

TEST(audit_link_waits_once_for_an_auditor_that_takes_nothing)
{
    uint64_t begun = 1;
    int64_t start_ms;

    while (audit_link_begin(audit, &record, &err) != 0)
        begun++;
    CHECK_INT(err.code, ERR_AUDIT);
    start_ms = clock_mono_ms();
    for (int i = 0; i < 100; i++)
        CHECK_INT(audit_link_begin(audit, &record, &err), 0);
    CHECK(clock_mono_ms() - start_ms < 150);
    for (uint64_t expected = 1; expected < begun;) {
        struct message message;

        if (message_recv(audit_end, SENDER_WORKER, room, &message, NULL, &err) > 0)
            expected = records_check(&message, expected);
        else
            ticks();
    }
    ticks();
    CHECK_INT(audit_link_begin(audit, &record, &err), begun);
}

#define VAULT(name) cmocka_unit_test_setup_teardown(name, vault_start, vault_stop)
#define AUDIT(name) cmocka_unit_test_setup_teardown(name, audit_start, audit_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VAULT(vault_link_gives_each_answer_to_who_asked),
        VAULT(vault_link_gives_a_late_answer_to_nobody),
        VAULT(vault_link_tells_everybody_when_the_vault_is_gone),
        VAULT(vault_link_goes_on_with_a_new_vault),
        VAULT(vault_link_takes_a_new_vault_in_the_tick_that_lost_the_old_one),
        VAULT(vault_link_passes_on_what_the_vault_says_unasked),
        AUDIT(audit_link_lets_no_credential_go_while_records_cannot_be_written),
        AUDIT(audit_link_sends_the_records_of_a_tick_together),
        AUDIT(audit_link_has_a_begun_record_accepted_before_a_credential_leaves),
        AUDIT(audit_link_says_when_a_full_auditor_takes_records_again),
        AUDIT(record_batch_refuses_what_is_no_batch),
        AUDIT(audit_link_keeps_the_order_when_the_auditor_is_busy),
        AUDIT(audit_link_waits_for_the_auditor_when_a_burst_fills_its_queue),
        AUDIT(audit_link_waits_once_for_an_auditor_that_takes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
