/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record becomes a line in the journal's batch first, and a part of the log file by the next
 * flush. Only when the whole batch is in the file does the journal move its base on; so a process
 * killed anywhere leaves either the line in the log, or in the batch, or both, and numbers tell.
 */
#include "gateway/auditor_log.h"

#include <limits.h>

#include "base/pool.h"
#include "os/disk.h"
#include "os/log.h"

#define TAIL_MAX (2 * (size_t)RECORD_JSON_MAX)

static int path_beside(const struct auditor_log *log, const char *suffix, char path[PATH_MAX],
                       struct err *err)
{
    int len = snprintf(path, PATH_MAX, "%s%s", log->path, suffix);

    if (len < 0 || len >= PATH_MAX)
        return err_set(err, ERR_CONFIG, "audit.file: the path is too long");
    return 0;
}

/* Bytes behind the last newline go to the file beside the log, and out of the log. */
static int torn_repair(struct auditor_log *log, uint64_t size, struct span torn, struct err *err)
{
    char path[PATH_MAX];
    ssize_t kept;
    int fd;

    if (path_beside(log, AUDITOR_TORN_SUFFIX, path, err) < 0)
        return -1;
    fd = disk_open_log(path, err);
    if (fd < 0)
        return -1;
    kept = disk_append(fd, torn, err);
    disk_close(fd);
    if (kept < 0)
        return -1;
    log_warning("audit log: its last line was torn; %zu bytes moved to %s", torn.len, path);
    return disk_cut(log->fd, size - torn.len, err);
}

/* Offset behind the last newline of `bytes` before `end`, or 0. */
static size_t line_start_before(struct span bytes, size_t end)
{
    while (end > 0 && bytes.ptr[end - 1] != '\n')
        end--;
    return end;
}

/* The last whole line of the file into *chain; a torn one behind it is repaired. */
static int tail_read(struct auditor_log *log, struct room room, struct auditor_chain *chain,
                     struct err *err)
{
    struct auditor_chain before;
    struct span bytes;
    struct err why;
    uint64_t size;
    ssize_t len;
    size_t end;
    size_t start;

    auditor_chain_init(chain);
    if (disk_size(log->fd, &size, err) < 0)
        return -1;
    len = disk_read(log->fd, size > room.len ? size - room.len : 0, room, err);
    if (len < 0)
        return -1;
    bytes = span_of(room.ptr, (size_t)len);
    end = line_start_before(bytes, bytes.len);
    if (end < bytes.len && torn_repair(log, size, span_from(bytes, end), err) < 0)
        return -1;
    if (end == 0)
        return size > bytes.len ? err_set(err, ERR_CONFIG, "the audit log has an endless line") : 0;
    start = line_start_before(bytes, end - 1);
    if (auditor_chain_read(span_first(span_from(bytes, start), end - 1 - start), &before, chain,
                           &why) == 0)
        return 0;
    return err_set(err, ERR_CONFIG, "the end of the audit log: %s; move the file away", why.text);
}

/*
 * Find the place where the log ends within base and batch of the journal: *chain moves on to the
 * last line that is known, `written` over the part of the batch that is in the file.
 */
static void batch_recover(struct auditor_log *log, struct auditor_chain *chain)
{
    struct span rest = auditor_journal_batch(&log->journal);
    struct auditor_chain at;
    struct err err;
    uint64_t known;
    size_t sound = 0;
    ssize_t len;

    auditor_journal_base(&log->journal, &at);
    if (at.seq > chain->seq) {
        log_warning("audit log: record %llu is the last one in it, but %llu was the last written: "
                    "the log was moved away or lost its end",
                    (unsigned long long)chain->seq, (unsigned long long)at.seq);
        *chain = at;
    }
    known = chain->seq;
    log->written = 0;
    while ((len = span_find(rest, '\n')) > 0) {
        struct span line = span_first(rest, (size_t)len);
        struct auditor_chain before;
        struct auditor_chain self;

        if (auditor_chain_read(line, &before, &self, &err) < 0)
            break;
        if (self.seq > chain->seq && auditor_chain_follow(chain, line, &err) < 0)
            break;
        sound += (size_t)len + 1;
        if (self.seq <= known)
            log->written = sound;
        rest = span_from(rest, (size_t)len + 1);
    }
    if (rest.len > 0)
        log_error("audit log: %zu bytes of the journal do not continue the log", rest.len);
    auditor_journal_keep(&log->journal, sound);
}

static int log_recover(struct auditor_log *log, struct err *err)
{
    struct auditor_chain chain;
    struct room room = {.ptr = pool_block_new(TAIL_MAX), .len = TAIL_MAX};
    int result;

    if (room.ptr == NULL)
        return err_set(err, ERR_MEMORY, "no memory to read the audit log");
    result = tail_read(log, room, &chain, err);
    pool_block_free(room.ptr);
    if (result < 0)
        return -1;
    batch_recover(log, &chain);
    log->chain = chain;
    log->is_dirty = 1;
    if (auditor_log_is_pending(log))
        log_info("audit log: %zu bytes of the journal are written now",
                 auditor_journal_batch(&log->journal).len - log->written);
    return 0;
}

int auditor_log_open(struct auditor_log *log, const char *path, struct err *err)
{
    char journal_path[PATH_MAX];

    log->path = path;
    log->fd = -1;
    log->written = 0;
    log->is_dirty = 0;
    if (path_beside(log, AUDITOR_JOURNAL_SUFFIX, journal_path, err) < 0 ||
        auditor_journal_open(&log->journal, journal_path, err) < 0)
        return -1;
    log->fd = disk_open_log(path, err);
    if (log->fd >= 0 && log_recover(log, err) == 0)
        return 0;
    auditor_log_close(log);
    return -1;
}

void auditor_log_close(struct auditor_log *log)
{
    disk_close(log->fd);
    log->fd = -1;
    auditor_journal_close(&log->journal);
}

/* The line of a record, and the end of its exchange. */
static int line_add(struct auditor_log *log, unsigned worker, uint64_t handle,
                    const struct record *record, struct err *err)
{
    struct auditor_chain next = {.seq = log->chain.seq + 1};
    struct text out;

    text_init(&out, log->line, sizeof log->line);
    if (record_json(record, next.seq, worker, log->chain.hash, next.hash, &out, err) < 0 ||
        auditor_journal_end(&log->journal, worker, handle, text_span(&out), err) < 0)
        return -1;
    log->chain = next;
    return 0;
}

int auditor_log_begin(struct auditor_log *log, unsigned worker, uint64_t handle, struct span bytes,
                      struct err *err)
{
    struct record record;

    if (record_read(bytes, &record, err) < 0)
        return -1;
    if (auditor_journal_begin(&log->journal, worker, handle, &record, err) == 0)
        return 0;
    /* No slot: the record that it began is the record, and its end will be another one. */
    record.reason = span_text("begun");
    return line_add(log, worker, 0, &record, err);
}

int auditor_log_end(struct auditor_log *log, unsigned worker, uint64_t handle, struct span bytes,
                    struct err *err)
{
    struct record record;

    if (record_read(bytes, &record, err) < 0)
        return -1;
    return line_add(log, worker, handle, &record, err);
}

int auditor_log_interrupt(struct auditor_log *log, unsigned worker, int64_t mono_ms,
                          struct err *err)
{
    struct record record;
    uint64_t handle;
    int count = 0;

    while (auditor_journal_first(&log->journal, worker, &handle, &record) > 0) {
        record.verdict = RECORD_ERROR;
        record.reason = span_text("interrupted");
        if (mono_ms > record.mono_ms)
            record.ms = (uint64_t)(mono_ms - record.mono_ms);
        if (line_add(log, worker, handle, &record, err) < 0)
            return -1;
        count++;
    }
    return count;
}

int auditor_log_flush(struct auditor_log *log, struct err *err)
{
    struct span batch = auditor_journal_batch(&log->journal);

    while (log->written < batch.len) {
        ssize_t len = disk_append(log->fd, span_from(batch, log->written), err);

        if (len < 0)
            return -1;
        log->written += (size_t)len;
        log->is_dirty = 1;
    }
    if (batch.len > 0) {
        auditor_journal_rebase(&log->journal, &log->chain);
        log->written = 0;
    }
    return 0;
}

int auditor_log_sync(struct auditor_log *log, struct err *err)
{
    if (!log->is_dirty)
        return 0;
    if (disk_sync(log->fd, err) < 0)
        return -1;
    log->is_dirty = 0;
    return 0;
}

int auditor_log_reopen(struct auditor_log *log, struct err *err)
{
    int fd;

    /* A line that is half in the old file is finished there. */
    if (disk_is_at(log->fd, log->path) || log->written > 0)
        return 0;
    if (auditor_log_sync(log, err) < 0)
        return -1;
    fd = disk_open_log(log->path, err);
    if (fd < 0)
        return -1;
    disk_close(log->fd);
    log->fd = fd;
    return 1;
}

bool auditor_log_has_room(const struct auditor_log *log)
{
    return auditor_journal_room(&log->journal) >= 2 * (size_t)RECORD_JSON_MAX;
}

bool auditor_log_is_pending(const struct auditor_log *log)
{
    return log->written < auditor_journal_batch(&log->journal).len;
}
