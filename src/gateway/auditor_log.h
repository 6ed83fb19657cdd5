/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_AUDITOR_LOG_H
#define EXEAT_GATEWAY_AUDITOR_LOG_H

#include "gateway/auditor_journal.h"

/*
 * The audit log: records in, lines out, in order and without loss, whatever the disk does. The
 * journal beside it is at `path` + ".open".
 */
struct auditor_log {
    const char *path; /* borrowed: as long as the process */
    int fd;
    struct auditor_journal journal;
    struct auditor_chain chain; /* last line made; it may still be in the journal */
    size_t written;             /* bytes of the batch that are in the file */
    int is_dirty;               /* written since the last sync */
    char line[RECORD_JSON_MAX];
};

/*
 * Open, repair a torn last line (its bytes go to `path` + ".torn") and go on where the last
 * process ended. ERR_CONFIG if the end of the log is not what an auditor wrote.
 */
int auditor_log_open(struct auditor_log *log, const char *path, struct err *err);
void auditor_log_close(struct auditor_log *log);

/*
 * A record from `worker` in its binary form. Begin: kept until its end. End: becomes a line that
 * waits for auditor_log_flush(). ERR_INTERNAL for bytes that are no record, ERR_LIMIT when no more
 * can wait: ask again later.
 */
int auditor_log_begin(struct auditor_log *log, unsigned worker, uint64_t handle, struct span bytes,
                      struct err *err);
int auditor_log_end(struct auditor_log *log, unsigned worker, uint64_t handle, struct span bytes,
                    struct err *err);

/*
 * What this worker had begun has no end any more: lines with the reason "interrupted". How many,
 * or -1 with ERR_LIMIT.
 */
int auditor_log_interrupt(struct auditor_log *log, unsigned worker, int64_t mono_ms,
                          struct err *err);

/* Everything that waits into the file: one write(2) in the good case. ERR_SYSTEM: try again. */
int auditor_log_flush(struct auditor_log *log, struct err *err);

/* fdatasync, if anything was written. ERR_SYSTEM. */
int auditor_log_sync(struct auditor_log *log, struct err *err);

/* Go on in a new file if the log was moved away (rotated). 1 if it was, 0, -1 ERR_SYSTEM. */
int auditor_log_reopen(struct auditor_log *log, struct err *err);

/* Can two more records of any length wait? */
bool auditor_log_has_room(const struct auditor_log *log);

bool auditor_log_is_pending(const struct auditor_log *log);

#define AUDITOR_JOURNAL_SUFFIX ".open"
#define AUDITOR_TORN_SUFFIX    ".torn"

#endif
