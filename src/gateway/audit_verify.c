/* SPDX-License-Identifier: Apache-2.0 */
/* `audit verify`: follow the chain from the first line to where the auditor says it ended. */
#include <stdio.h>

#include "base/pool.h"
#include "crypto/digest.h"
#include "gateway/auditor_journal.h"
#include "gateway/auditor_log.h"
#include "gateway/command.h"
#include "os/disk.h"

#define VERIFY_BLOCK (4 * (size_t)RECORD_JSON_MAX)

struct verify {
    struct auditor_chain chain;
    struct auditor_chain head; /* what the journal says; seq 0: it says nothing */
    int head_was_seen;
    uint8_t block[VERIFY_BLOCK];
};

static int line_check(struct verify *verify, struct span line, const char *path, uint64_t number)
{
    struct err err;

    if (auditor_chain_follow(&verify->chain, line, &err) < 0) {
        (void)command_failed("%s: line %llu: %s", path, (unsigned long long)number, err.text);
        if (number == 1 && verify->chain.seq == 0)
            (void)fputs("If the log was rotated, name all its files, the oldest first.\n", stderr);
        return 1;
    }
    if (verify->chain.seq == verify->head.seq) {
        verify->head_was_seen = 1;
        if (memcmp(verify->chain.hash, verify->head.hash, 64) != 0)
            return command_failed("%s: line %llu: record %llu is not the one that was written "
                                  "under this number",
                                  path, (unsigned long long)number,
                                  (unsigned long long)verify->chain.seq);
    }
    return 0;
}

static int file_follow(struct verify *verify, int fd, const char *path)
{
    uint64_t number = 0;
    uint64_t at = 0;
    struct err err;
    ssize_t got;

    while ((got = disk_read(fd, at, (struct room){.ptr = verify->block, .len = VERIFY_BLOCK},
                            &err)) > 0) {
        struct span rest = span_of(verify->block, (size_t)got);
        ssize_t len;

        while ((len = span_find(rest, '\n')) >= 0) {
            if (line_check(verify, span_first(rest, (size_t)len), path, ++number) != 0)
                return 1;
            rest = span_from(rest, (size_t)len + 1);
        }
        at += (uint64_t)got - rest.len;
        if (rest.len > 0 && (rest.len == (size_t)got || (size_t)got < VERIFY_BLOCK))
            return command_failed("%s: line %llu: has no end (torn; the next start repairs it)",
                                  path, (unsigned long long)number + 1);
    }
    if (got < 0)
        return command_failed("%s: %s", path, err.text);
    return 0;
}

static int file_verify(struct verify *verify, const char *path)
{
    struct err err;
    int fd = disk_open_read(path, &err);
    int status;

    if (fd < 0)
        return command_failed("%s", err.text);
    status = file_follow(verify, fd, path);
    disk_close(fd);
    return status;
}

/* The journal is read first: what it says then must be in the log when that is read. */
static int head_read(struct verify *verify, const char *path)
{
    char journal[4096];
    struct err err;

    if (snprintf(journal, sizeof journal, "%s" AUDITOR_JOURNAL_SUFFIX, path) >= (int)sizeof journal)
        return command_failed("%s: the path is too long", path);
    if (auditor_journal_peek(journal, &verify->head, &err) < 0)
        return command_failed("%s", err.text);
    return 0;
}

static int verify_all(struct verify *verify, const char *const *paths, size_t count)
{
    if (head_read(verify, paths[count - 1]) != 0)
        return 1;
    for (size_t i = 0; i < count; i++) {
        if (file_verify(verify, paths[i]) != 0)
            return 1;
    }
    if (verify->head.seq > 0 && !verify->head_was_seen)
        return command_failed("%s: ends with record %llu, but %llu were written: the end is "
                              "missing",
                              paths[count - 1], (unsigned long long)verify->chain.seq,
                              (unsigned long long)verify->head.seq);
    (void)printf("%s: good, %llu records, last hash %s\n", paths[count - 1],
                 (unsigned long long)verify->chain.seq, verify->chain.hash);
    return 0;
}

int command_audit_verify(const struct options *options)
{
    static struct config config;
    const char *paths[OPTIONS_WORDS + 1];
    size_t count = options->word_count;
    struct verify *verify;
    struct err err;
    int status;

    if (options->config == NULL && count == 0)
        return command_failed("audit verify: name the log, or the configuration by -c FILE") + 1;
    if (options->config != NULL &&
        command_config(&config, options->config, COMMAND_FILES_LATER) != 0)
        return 1;
    for (size_t i = 0; i < count; i++)
        paths[i] = options->words[i];
    if (options->config != NULL)
        paths[count++] = config.audit.file;
    verify = pool_block_new(sizeof *verify);
    if (verify == NULL || digest_setup(&err) < 0)
        return command_failed("out of memory");
    auditor_chain_init(&verify->chain);
    status = verify_all(verify, paths, count);
    pool_block_free(verify);
    config_fini(&config);
    return status;
}
