/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: chain (J4), kill and torn lines (J2), a full disk (J3), rotation. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/pool.h"
#include "crypto/digest.h"
#include "gateway/auditor_log.h"

static char directory[64];
static char path[96];
static struct auditor_log *log_under_test;
static struct err err;

static void path_remove(const char *suffix)
{
    char name[128];

    (void)snprintf(name, sizeof name, "%s%s", path, suffix);
    (void)unlink(name);
}

static int test_start(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/exeat-audit-XXXXXX");
    if (mkdtemp(directory) == NULL || digest_setup(&err) < 0)
        return -1;
    (void)snprintf(path, sizeof path, "%s/audit.log", directory);
    log_under_test = pool_block_new(sizeof *log_under_test);
    return log_under_test == NULL ? -1 : 0;
}

static int test_end(void **state)
{
    (void)state;
    pool_block_free(log_under_test);
    path_remove("");
    path_remove(".open");
    path_remove(".torn");
    path_remove(".1");
    return rmdir(directory);
}

static struct auditor_log *log_open(void)
{
    if (auditor_log_open(log_under_test, path, &err) < 0) {
        print_error("%s\n", err.text);
        fail();
    }
    return log_under_test;
}

static struct span record_bytes(const char *what)
{
    static uint8_t memory[40960];
    struct record record = {.session = span_text("es_1"),
                            .tenant = span_text("default"),
                            .host = span_text("a.example"),
                            .port = 443,
                            .method = span_text("GET"),
                            .path = span_text(what),
                            .mono_ms = 100,
                            .verdict = RECORD_ALLOW};
    struct text out;

    text_init(&out, memory, sizeof memory);
    record_write(&record, &out);
    return text_span(&out);
}

static void end_one(struct auditor_log *log, unsigned worker, uint64_t handle, const char *what)
{
    CHECK_INT(auditor_log_end(log, worker, handle, record_bytes(what), &err), 0);
}

static size_t file_bytes(const char *name, char *bytes, size_t cap)
{
    FILE *file = fopen(name, "rb");
    size_t len;

    CHECK(file != NULL);
    len = fread(bytes, 1, cap, file);
    CHECK(len < cap);
    (void)fclose(file);
    return len;
}

/* How many lines follow each other in these bytes, or -1. */
static int lines_follow(struct span bytes, struct auditor_chain *chain)
{
    int count = 0;

    while (bytes.len > 0) {
        ssize_t len = span_find(bytes, '\n');

        if (len < 0 || auditor_chain_follow(chain, span_first(bytes, (size_t)len), &err) < 0)
            return -1;
        bytes = span_from(bytes, (size_t)len + 1);
        count++;
    }
    return count;
}

static char file_memory[1 << 23];

static int file_lines(void)
{
    struct auditor_chain chain;

    auditor_chain_init(&chain);
    return lines_follow(span_of(file_memory, file_bytes(path, file_memory, sizeof file_memory)),
                        &chain);
}

static int file_count(const char *what)
{
    struct span bytes = span_of(file_memory, file_bytes(path, file_memory, sizeof file_memory));
    int count = 0;
    ssize_t at;

    while ((at = span_find_span(bytes, span_text(what))) >= 0) {
        bytes = span_from(bytes, (size_t)at + 1);
        count++;
    }
    return count;
}

TEST(auditor_log_writes_lines_that_follow_each_other)
{
    struct auditor_log *log = log_open();

    for (int i = 0; i < 20; i++)
        end_one(log, 1, 0, "/x");
    CHECK(auditor_log_is_pending(log));
    CHECK_INT(auditor_log_flush(log, &err), 0);
    CHECK_INT(auditor_log_sync(log, &err), 0);
    CHECK(!auditor_log_is_pending(log));
    auditor_log_close(log);
    CHECK_INT(file_lines(), 20);
}

TEST(auditor_log_goes_on_after_a_restart)
{
    struct auditor_log *log = log_open();

    end_one(log, 1, 0, "/x");
    CHECK_INT(auditor_log_flush(log, &err), 0);
    auditor_log_close(log);
    log = log_open();
    end_one(log, 1, 0, "/y");
    CHECK_INT(auditor_log_flush(log, &err), 0);
    auditor_log_close(log);
    CHECK_INT(file_lines(), 2);
}

TEST(auditor_log_is_locked_by_one_process)
{
    struct auditor_log *log = log_open();
    struct auditor_log *other = pool_block_new(sizeof *other);

    CHECK(other != NULL);
    CHECK_INT(auditor_log_open(other, path, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    pool_block_free(other);
    auditor_log_close(log);
}

TEST(auditor_log_refuses_a_link)
{
    char target[128];

    (void)snprintf(target, sizeof target, "%s.1", path);
    CHECK_INT(symlink(target, path), 0);
    CHECK_INT(auditor_log_open(log_under_test, path, &err), -1);
    CHECK_INT(access(target, F_OK), -1);
}

/* J2: what was taken in before a kill is in the log after the next start, in order, once. */
TEST(auditor_log_writes_after_a_kill_what_was_waiting)
{
    struct auditor_log *log = log_open();

    end_one(log, 1, 0, "/written");
    CHECK_INT(auditor_log_flush(log, &err), 0);
    end_one(log, 1, 0, "/waiting1");
    end_one(log, 1, 0, "/waiting2");
    auditor_log_close(log); /* as a kill would: no flush */
    CHECK_INT(file_lines(), 1);
    log = log_open();
    CHECK_INT(auditor_log_flush(log, &err), 0);
    auditor_log_close(log);
    CHECK_INT(file_lines(), 3);
    CHECK_INT(file_count("/waiting2"), 1);
}

TEST(auditor_log_repairs_a_torn_line_and_keeps_its_bytes)
{
    struct auditor_log *log = log_open();
    char torn[128];
    char bytes[256];
    FILE *file;

    end_one(log, 1, 0, "/x");
    CHECK_INT(auditor_log_flush(log, &err), 0);
    auditor_log_close(log);
    file = fopen(path, "ab");
    (void)fputs("{\"seq\":2,\"time\":\"20", file);
    (void)fclose(file);
    log = log_open();
    end_one(log, 1, 0, "/y");
    CHECK_INT(auditor_log_flush(log, &err), 0);
    auditor_log_close(log);
    CHECK_INT(file_lines(), 2);
    (void)snprintf(torn, sizeof torn, "%s.torn", path);
    CHECK_SPAN(span_of(bytes, file_bytes(torn, bytes, sizeof bytes)), "{\"seq\":2,\"time\":\"20");
}

/* A kill in the middle of a write: the torn line is still in the journal and comes whole. */
TEST(auditor_log_writes_a_torn_line_again_from_the_journal)
{
    struct auditor_log *log = log_open();
    struct span batch;
    FILE *file;

    end_one(log, 1, 0, "/x");
    end_one(log, 1, 0, "/y");
    batch = auditor_journal_batch(&log->journal);
    file = fopen(path, "ab");
    CHECK_INT(fwrite(batch.ptr, 1, batch.len - 100, file), batch.len - 100);
    (void)fclose(file);
    auditor_log_close(log);
    log = log_open();
    CHECK_INT(auditor_log_flush(log, &err), 0);
    auditor_log_close(log);
    CHECK_INT(file_lines(), 2);
}

TEST(auditor_log_makes_interrupted_of_what_has_no_end)
{
    struct auditor_log *log = log_open();

    CHECK_INT(auditor_log_begin(log, 1, 7, record_bytes("/a"), &err), 0);
    CHECK_INT(auditor_log_begin(log, 1, 8, record_bytes("/b"), &err), 0);
    CHECK_INT(auditor_log_begin(log, 2, 7, record_bytes("/c"), &err), 0);
    end_one(log, 1, 8, "/b-end");
    auditor_log_close(log);
    log = log_open();
    CHECK_INT(auditor_journal_count(&log->journal), 2);
    CHECK_INT(auditor_log_interrupt(log, 1, 5000, &err), 1);
    CHECK_INT(auditor_log_interrupt(log, 1, 5000, &err), 0);
    end_one(log, 2, 7, "/c-end");
    CHECK_INT(auditor_journal_count(&log->journal), 0);
    CHECK_INT(auditor_log_flush(log, &err), 0);
    auditor_log_close(log);
    CHECK_INT(file_lines(), 3);
    CHECK_INT(file_count("\"reason\":\"interrupted\""), 1);
    CHECK_INT(file_count("\"ms\":4900,"), 1);
}

/* A new worker may use the handle of one that died; a kill between line and slot counts once. */
TEST(auditor_log_ends_an_exchange_once_wherever_it_was_killed)
{
    struct auditor_log *log = log_open();
    uint64_t *head;

    CHECK_INT(auditor_log_begin(log, 1, 7, record_bytes("/a"), &err), 0);
    head = (uint64_t *)(void *)log->journal.file;
    end_one(log, 1, 7, "/a-end");
    head[4096 / 8] = 1; /* the slot, as if it had not been freed yet */
    for (size_t i = 0; i < 4096 / 8; i++) {
        if (head[i] == auditor_journal_batch(&log->journal).len)
            head[i - 2] = 1; /* `ending` */
    }
    auditor_log_close(log);
    log = log_open();
    CHECK_INT(auditor_journal_count(&log->journal), 0);
    CHECK_INT(auditor_log_flush(log, &err), 0);
    auditor_log_close(log);
    CHECK_INT(file_lines(), 1);
}

TEST(auditor_log_logs_at_once_when_no_slot_is_left)
{
    struct auditor_log *log = log_open();

    for (uint64_t i = 1; i <= JOURNAL_SLOT_COUNT + 1; i++)
        CHECK_INT(auditor_log_begin(log, 1, i, record_bytes("/a"), &err), 0);
    CHECK_INT(auditor_log_flush(log, &err), 0);
    CHECK_INT(file_count("\"reason\":\"begun\""), 1);
    CHECK_INT(auditor_log_interrupt(log, 1, 0, &err), JOURNAL_SLOT_COUNT);
    CHECK_INT(auditor_log_flush(log, &err), 0);
    auditor_log_close(log);
    CHECK_INT(file_lines(), JOURNAL_SLOT_COUNT + 1);
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
    struct auditor_log *log = log_open();

    (void)signal(SIGXFSZ, SIG_IGN);
    file_limit(1000);
    for (int i = 0; i < 10; i++)
        end_one(log, 1, 0, "/x");
    CHECK_INT(auditor_log_flush(log, &err), -1);
    CHECK_INT(err.code, ERR_SYSTEM);
    end_one(log, 1, 0, "/later");
    CHECK_INT(auditor_log_flush(log, &err), -1);
    CHECK_INT(file_bytes(path, file_memory, sizeof file_memory), 1000);
    file_limit(RLIM_INFINITY);
    CHECK_INT(auditor_log_flush(log, &err), 0);
    auditor_log_close(log);
    CHECK_INT(file_lines(), 11);
}

TEST(auditor_log_says_when_no_more_can_wait)
{
    struct auditor_log *log = log_open();
    int count = 0;

    while (auditor_log_has_room(log)) {
        end_one(log, 1, 0, "/x");
        count++;
    }
    while (auditor_log_end(log, 1, 0, record_bytes("/x"), &err) == 0)
        count++;
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK_INT(auditor_log_flush(log, &err), 0);
    CHECK(auditor_log_has_room(log));
    auditor_log_close(log);
    CHECK_INT(file_lines(), count);
}

TEST(auditor_log_goes_on_in_a_new_file_after_rotation)
{
    struct auditor_log *log = log_open();
    struct auditor_chain chain;
    char moved[128];

    (void)snprintf(moved, sizeof moved, "%s.1", path);
    end_one(log, 1, 0, "/x");
    CHECK_INT(auditor_log_flush(log, &err), 0);
    CHECK_INT(auditor_log_reopen(log, &err), 0);
    CHECK_INT(rename(path, moved), 0);
    CHECK_INT(auditor_log_reopen(log, &err), 1);
    end_one(log, 1, 0, "/y");
    CHECK_INT(auditor_log_flush(log, &err), 0);
    auditor_log_close(log);
    auditor_chain_init(&chain);
    CHECK_INT(lines_follow(span_of(file_memory, file_bytes(moved, file_memory, 65536)), &chain), 1);
    CHECK_INT(lines_follow(span_of(file_memory, file_bytes(path, file_memory, 65536)), &chain), 1);
    CHECK_INT(chain.seq, 2);
}

TEST(auditor_log_keeps_its_numbers_when_the_log_lost_its_end)
{
    struct auditor_log *log = log_open();

    for (int i = 0; i < 3; i++)
        end_one(log, 1, 0, "/x");
    CHECK_INT(auditor_log_flush(log, &err), 0);
    auditor_log_close(log);
    CHECK_INT(truncate(path, 0), 0);
    log = log_open();
    CHECK_INT(log->chain.seq, 3);
    end_one(log, 1, 0, "/y");
    CHECK_INT(log->chain.seq, 4);
    auditor_log_close(log);
}

TEST(auditor_log_refuses_to_go_on_behind_a_changed_line)
{
    struct auditor_log *log = log_open();
    FILE *file;

    end_one(log, 1, 0, "/x");
    CHECK_INT(auditor_log_flush(log, &err), 0);
    auditor_log_close(log);
    file = fopen(path, "r+b");
    CHECK_INT(fseek(file, 20, SEEK_SET), 0);
    (void)fputc('9', file);
    (void)fclose(file);
    CHECK_INT(auditor_log_open(log_under_test, path, &err), -1);
    CHECK_INT(err.code, ERR_CONFIG);
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
            log = log_open();
            for (uint64_t i = 1;; i++) {
                (void)auditor_log_begin(log, (unsigned)kills + 1, i, record_bytes("/k"), &err);
                (void)!write(fds[1], "b", 1);
                if (i > 3)
                    (void)auditor_log_end(log, (unsigned)kills + 1, i - 3, record_bytes("/k"),
                                          &err);
                if (i % 5 == 0)
                    (void)auditor_log_flush(log, &err);
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
        log = log_open();
        CHECK(auditor_log_interrupt(log, (unsigned)kills + 1, 0, &err) >= 0);
        CHECK_INT(auditor_log_flush(log, &err), 0);
        auditor_log_close(log);
        begun[1] = (unsigned)file_lines();
        /* The last one may have begun without being counted. */
        CHECK(begun[1] == begun[0] || begun[1] == begun[0] + 1);
        CHECK_INT(truncate(path, 0), 0);
        path_remove(".open");
    }
}

static uint64_t random_state = 88172645463325252ULL;

static size_t random_below(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % limit);
}

static struct {
    char bytes[8192];
    size_t len;
    size_t starts[17];
} sample;

static void sample_make(void)
{
    struct auditor_log *log = log_open();
    size_t line = 0;

    for (int i = 0; i < 16; i++)
        end_one(log, 1, 0, "/sample");
    CHECK_INT(auditor_log_flush(log, &err), 0);
    auditor_log_close(log);
    sample.len = file_bytes(path, sample.bytes, sizeof sample.bytes);
    for (size_t i = 0; i < sample.len; i++) {
        if (sample.bytes[i] == '\n')
            sample.starts[++line] = i + 1;
    }
    CHECK_INT(line, 16);
}

/* What --verify sees of a log that should end at record 16. */
static int is_noticed(const char *bytes, size_t len)
{
    struct auditor_chain chain;

    auditor_chain_init(&chain);
    return lines_follow(span_of(bytes, len), &chain) < 0 || chain.seq != 16;
}

static size_t line_put(char *to, size_t at, size_t line)
{
    size_t len = sample.starts[line + 1] - sample.starts[line];

    memcpy(to + at, sample.bytes + sample.starts[line], len);
    return at + len;
}

/* J4: 10^4 single edits, deletions, insertions and swaps: every one is noticed. */
TEST(auditor_chain_notices_every_change)
{
    static char changed[2 * sizeof sample.bytes];

    sample_make();
    CHECK(!is_noticed(sample.bytes, sample.len));
    for (int n = 0; n < 4000; n++) {
        size_t at = random_below(sample.len);

        memcpy(changed, sample.bytes, sample.len);
        changed[at] = (char)(changed[at] ^ (1 + (char)random_below(127)));
        CHECK(is_noticed(changed, sample.len));
    }
    for (int n = 0; n < 2000; n++) {
        size_t at = random_below(sample.len);
        size_t len = 1 + random_below(sample.len - at);

        memcpy(changed, sample.bytes, at);
        memcpy(changed + at, sample.bytes + at + len, sample.len - at - len);
        CHECK(is_noticed(changed, sample.len - len));
    }
    for (int n = 0; n < 2000; n++) {
        size_t at = random_below(sample.len + 1);

        memcpy(changed, sample.bytes, at);
        changed[at] = (char)random_below(256);
        memcpy(changed + at + 1, sample.bytes + at, sample.len - at);
        CHECK(is_noticed(changed, sample.len + 1));
    }
    for (int n = 0; n < 2000; n++) {
        size_t a = random_below(16);
        size_t b = random_below(16);
        size_t len = 0;

        for (size_t line = 0; line < 16; line++)
            len = line_put(changed, len, line == a ? b : line == b ? a : line);
        CHECK_INT(is_noticed(changed, len), a != b);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_start, test_end)

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
        CASE(auditor_chain_notices_every_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
