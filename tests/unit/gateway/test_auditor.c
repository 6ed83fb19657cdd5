/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: kill and torn lines (J2), a full disk (J3), rotation. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auditor_rig.h"
#include "base/pool.h"

TEST(auditor_log_writes_lines_that_follow_each_other)
{
    struct auditor_log *log = rig_log_open();

    for (int i = 0; i < 20; i++)
        rig_end_one(log, 1, 0, "/x");
    CHECK(auditor_log_is_pending(log));
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    CHECK_INT(auditor_log_sync(log, &rig_err), 0);
    CHECK(!auditor_log_is_pending(log));
    auditor_log_close(log);
    CHECK_INT(rig_file_lines(), 20);
}

TEST(auditor_log_goes_on_after_a_restart)
{
    struct auditor_log *log = rig_log_open();

    rig_end_one(log, 1, 0, "/x");
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    auditor_log_close(log);
    log = rig_log_open();
    rig_end_one(log, 1, 0, "/y");
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    auditor_log_close(log);
    CHECK_INT(rig_file_lines(), 2);
}

TEST(auditor_log_is_locked_by_one_process)
{
    struct auditor_log *log = rig_log_open();
    struct auditor_log *other = pool_block_new(sizeof *other);

    CHECK(other != NULL);
    CHECK_INT(auditor_log_open(other, rig_path, &rig_err), -1);
    CHECK_INT(rig_err.code, ERR_LIMIT);
    pool_block_free(other);
    auditor_log_close(log);
}

TEST(auditor_log_refuses_a_link)
{
    char target[128];

    (void)snprintf(target, sizeof target, "%s.1", rig_path);
    CHECK_INT(symlink(target, rig_path), 0);
    CHECK_INT(auditor_log_open(rig_log, rig_path, &rig_err), -1);
    CHECK_INT(access(target, F_OK), -1);
}

/* J2: what was taken in before a kill is in the log after the next start, in order, once. */
TEST(auditor_log_writes_after_a_kill_what_was_waiting)
{
    struct auditor_log *log = rig_log_open();

    rig_end_one(log, 1, 0, "/written");
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    rig_end_one(log, 1, 0, "/waiting1");
    rig_end_one(log, 1, 0, "/waiting2");
    auditor_log_close(log); /* as a kill would: no flush */
    CHECK_INT(rig_file_lines(), 1);
    log = rig_log_open();
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    auditor_log_close(log);
    CHECK_INT(rig_file_lines(), 3);
    CHECK_INT(rig_file_count("/waiting2"), 1);
}

TEST(auditor_log_repairs_a_torn_line_and_keeps_its_bytes)
{
    struct auditor_log *log = rig_log_open();
    char torn[128];
    char bytes[256];
    FILE *file;

    rig_end_one(log, 1, 0, "/x");
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    auditor_log_close(log);
    file = fopen(rig_path, "ab");
    (void)fputs("{\"seq\":2,\"time\":\"20", file);
    (void)fclose(file);
    log = rig_log_open();
    rig_end_one(log, 1, 0, "/y");
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    auditor_log_close(log);
    CHECK_INT(rig_file_lines(), 2);
    (void)snprintf(torn, sizeof torn, "%s.torn", rig_path);
    CHECK_SPAN(span_of(bytes, rig_file_bytes(torn, bytes, sizeof bytes)),
               "{\"seq\":2,\"time\":\"20");
}

/* A kill in the middle of a write: the torn line is still in the journal and comes whole. */
TEST(auditor_log_writes_a_torn_line_again_from_the_journal)
{
    struct auditor_log *log = rig_log_open();
    struct span batch;
    FILE *file;

    rig_end_one(log, 1, 0, "/x");
    rig_end_one(log, 1, 0, "/y");
    batch = auditor_journal_batch(&log->journal);
    file = fopen(rig_path, "ab");
    CHECK_INT(fwrite(batch.ptr, 1, batch.len - 100, file), batch.len - 100);
    (void)fclose(file);
    auditor_log_close(log);
    log = rig_log_open();
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    auditor_log_close(log);
    CHECK_INT(rig_file_lines(), 2);
}

TEST(auditor_log_makes_interrupted_of_what_has_no_end)
{
    struct auditor_log *log = rig_log_open();

    CHECK_INT(auditor_log_begin(log, 1, 7, rig_record_bytes("/a"), &rig_err), 0);
    CHECK_INT(auditor_log_begin(log, 1, 8, rig_record_bytes("/b"), &rig_err), 0);
    CHECK_INT(auditor_log_begin(log, 2, 7, rig_record_bytes("/c"), &rig_err), 0);
    rig_end_one(log, 1, 8, "/b-end");
    auditor_log_close(log);
    log = rig_log_open();
    CHECK_INT(auditor_journal_count(&log->journal), 2);
    CHECK_INT(auditor_log_interrupt(log, 1, 5000, &rig_err), 1);
    CHECK_INT(auditor_log_interrupt(log, 1, 5000, &rig_err), 0);
    rig_end_one(log, 2, 7, "/c-end");
    CHECK_INT(auditor_journal_count(&log->journal), 0);
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    auditor_log_close(log);
    CHECK_INT(rig_file_lines(), 3);
    CHECK_INT(rig_file_count("\"reason\":\"interrupted\""), 1);
    CHECK_INT(rig_file_count("\"ms\":4900,"), 1);
}

/* A new worker may use the handle of one that died; a kill between line and slot counts once. */
TEST(auditor_log_ends_an_exchange_once_wherever_it_was_killed)
{
    struct auditor_log *log = rig_log_open();
    uint64_t *head;

    CHECK_INT(auditor_log_begin(log, 1, 7, rig_record_bytes("/a"), &rig_err), 0);
    head = (uint64_t *)(void *)log->journal.file;
    rig_end_one(log, 1, 7, "/a-end");
    head[4096 / 8] = 1; /* the slot, as if it had not been freed yet */
    for (size_t i = 0; i < 4096 / 8; i++) {
        if (head[i] == auditor_journal_batch(&log->journal).len)
            head[i - 2] = 1; /* `ending` */
    }
    auditor_log_close(log);
    log = rig_log_open();
    CHECK_INT(auditor_journal_count(&log->journal), 0);
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    auditor_log_close(log);
    CHECK_INT(rig_file_lines(), 1);
}

TEST(auditor_log_logs_at_once_when_no_slot_is_left)
{
    struct auditor_log *log = rig_log_open();

    for (uint64_t i = 1; i <= JOURNAL_SLOT_COUNT + 1; i++)
        CHECK_INT(auditor_log_begin(log, 1, i, rig_record_bytes("/a"), &rig_err), 0);
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    CHECK_INT(rig_file_count("\"reason\":\"begun\""), 1);
    CHECK_INT(auditor_log_interrupt(log, 1, 0, &rig_err), JOURNAL_SLOT_COUNT);
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    auditor_log_close(log);
    CHECK_INT(rig_file_lines(), JOURNAL_SLOT_COUNT + 1);
}

static void file_limit(rlim_t len)
{
    struct rlimit limit;

    CHECK_INT(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = len;
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* J3: no room, in the middle of a line; then room: nothing lost, nothing twice, in order. */
TEST(auditor_log_waits_for_room_on_the_disk)
{
    struct auditor_log *log = rig_log_open();

    (void)signal(SIGXFSZ, SIG_IGN);
    file_limit(1000);
    for (int i = 0; i < 10; i++)
        rig_end_one(log, 1, 0, "/x");
    CHECK_INT(auditor_log_flush(log, &rig_err), -1);
    CHECK_INT(rig_err.code, ERR_SYSTEM);
    rig_end_one(log, 1, 0, "/later");
    CHECK_INT(auditor_log_flush(log, &rig_err), -1);
    CHECK_INT(rig_file_bytes(rig_path, rig_memory, sizeof rig_memory), 1000);
    file_limit(RLIM_INFINITY);
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    auditor_log_close(log);
    CHECK_INT(rig_file_lines(), 11);
}

TEST(auditor_log_says_when_no_more_can_wait)
{
    struct auditor_log *log = rig_log_open();
    int count = 0;

    while (auditor_log_has_room(log)) {
        rig_end_one(log, 1, 0, "/x");
        count++;
    }
    while (auditor_log_end(log, 1, 0, rig_record_bytes("/x"), &rig_err) == 0)
        count++;
    CHECK_INT(rig_err.code, ERR_LIMIT);
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    CHECK(auditor_log_has_room(log));
    auditor_log_close(log);
    CHECK_INT(rig_file_lines(), count);
}

TEST(auditor_log_goes_on_in_a_new_file_after_rotation)
{
    struct auditor_log *log = rig_log_open();
    struct auditor_chain chain;
    char moved[128];

    (void)snprintf(moved, sizeof moved, "%s.1", rig_path);
    rig_end_one(log, 1, 0, "/x");
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    CHECK_INT(auditor_log_reopen(log, &rig_err), 0);
    CHECK_INT(rename(rig_path, moved), 0);
    CHECK_INT(auditor_log_reopen(log, &rig_err), 1);
    rig_end_one(log, 1, 0, "/y");
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    auditor_log_close(log);
    auditor_chain_init(&chain);
    CHECK_INT(
        rig_lines_follow(span_of(rig_memory, rig_file_bytes(moved, rig_memory, 65536)), &chain), 1);
    CHECK_INT(
        rig_lines_follow(span_of(rig_memory, rig_file_bytes(rig_path, rig_memory, 65536)), &chain),
        1);
    CHECK_INT(chain.seq, 2);
}

TEST(auditor_log_keeps_its_numbers_when_the_log_lost_its_end)
{
    struct auditor_log *log = rig_log_open();

    for (int i = 0; i < 3; i++)
        rig_end_one(log, 1, 0, "/x");
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    auditor_log_close(log);
    CHECK_INT(truncate(rig_path, 0), 0);
    log = rig_log_open();
    CHECK_INT(log->chain.seq, 3);
    rig_end_one(log, 1, 0, "/y");
    CHECK_INT(log->chain.seq, 4);
    auditor_log_close(log);
}

TEST(auditor_log_refuses_to_go_on_behind_a_changed_line)
{
    struct auditor_log *log = rig_log_open();
    FILE *file;

    rig_end_one(log, 1, 0, "/x");
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    auditor_log_close(log);
    file = fopen(rig_path, "r+b");
    CHECK_INT(fseek(file, 20, SEEK_SET), 0);
    (void)fputc('9', file);
    (void)fclose(file);
    CHECK_INT(auditor_log_open(rig_log, rig_path, &rig_err), -1);
    CHECK_INT(rig_err.code, ERR_CONFIG);
}

/* J2: killed at random points, 100 times; every exchange that has begun is in the log once. */
TEST(auditor_log_loses_nothing_to_kills)
{
    struct auditor_log *log;
    unsigned begun[2];
    int kills;

    for (kills = 0; kills < 100; kills++) {
        int fds[2];
        unsigned char byte;
        pid_t pid;

        CHECK_INT(pipe(fds), 0);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            log = rig_log_open();
            for (uint64_t i = 1;; i++) {
                (void)auditor_log_begin(log, (unsigned)kills + 1, i, rig_record_bytes("/k"),
                                        &rig_err);
                (void)!write(fds[1], "b", 1);
                if (i > 3)
                    (void)auditor_log_end(log, (unsigned)kills + 1, i - 3, rig_record_bytes("/k"),
                                          &rig_err);
                if (i % 5 == 0)
                    (void)auditor_log_flush(log, &rig_err);
            }
        }
        (void)close(fds[1]);
        for (unsigned i = 0; i < 20U + (unsigned)(kills * 7 % 40); i++)
            CHECK_INT(read(fds[0], &byte, 1), 1);
        CHECK_INT(kill(pid, SIGKILL), 0);
        CHECK_INT(waitpid(pid, NULL, 0), pid);
        begun[0] = 20U + (unsigned)(kills * 7 % 40);
        while (read(fds[0], &byte, 1) == 1)
            begun[0]++;
        (void)close(fds[0]);
        log = rig_log_open();
        CHECK(auditor_log_interrupt(log, (unsigned)kills + 1, 0, &rig_err) >= 0);
        CHECK_INT(auditor_log_flush(log, &rig_err), 0);
        auditor_log_close(log);
        begun[1] = (unsigned)rig_file_lines();
        /* The last one may have begun without being counted. */
        CHECK(begun[1] == begun[0] || begun[1] == begun[0] + 1);
        CHECK_INT(truncate(rig_path, 0), 0);
        rig_path_remove(".open");
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_start, rig_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(auditor_log_writes_lines_that_follow_each_other),
        CASE(auditor_log_goes_on_after_a_restart),
        CASE(auditor_log_is_locked_by_one_process),
        CASE(auditor_log_refuses_a_link),
        CASE(auditor_log_writes_after_a_kill_what_was_waiting),
        CASE(auditor_log_repairs_a_torn_line_and_keeps_its_bytes),
        CASE(auditor_log_writes_a_torn_line_again_from_the_journal),
        CASE(auditor_log_makes_interrupted_of_what_has_no_end),
        CASE(auditor_log_ends_an_exchange_once_wherever_it_was_killed),
        CASE(auditor_log_logs_at_once_when_no_slot_is_left),
        CASE(auditor_log_waits_for_room_on_the_disk),
        CASE(auditor_log_says_when_no_more_can_wait),
        CASE(auditor_log_goes_on_in_a_new_file_after_rotation),
        CASE(auditor_log_keeps_its_numbers_when_the_log_lost_its_end),
        CASE(auditor_log_refuses_to_go_on_behind_a_changed_line),
        CASE(auditor_log_loses_nothing_to_kills),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
