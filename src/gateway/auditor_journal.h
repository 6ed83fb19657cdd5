/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_AUDITOR_JOURNAL_H
#define EXEAT_GATEWAY_AUDITOR_JOURNAL_H

#include "base/map.h"
#include "base/text.h"
#include "gateway/auditor_chain.h"
#include "gateway/record.h"

/*
 * What the auditor must not lose when it is killed: a mapped file beside the log. It holds the
 * exchanges that have begun (a credential went out) and not ended, and the lines that are not in
 * the log yet. Every call leaves it in a state from which the next process can go on (threat J2).
 */
#define JOURNAL_SLOT_COUNT 4096
#define JOURNAL_SLOT_SIZE  2048
#define JOURNAL_BATCH      4194304 /* lines waiting for the log */

struct journal_file;
struct journal_entry;

struct auditor_journal {
    struct journal_file *file; /* mapped */
    int fd;
    struct map open;               /* of struct journal_entry, by worker and handle */
    struct journal_entry *entries; /* owned: one for each slot */
    struct journal_entry *idle;
};

/* ERR_LIMIT while another auditor has it, ERR_CONFIG if it is something else. */
int auditor_journal_open(struct auditor_journal *journal, const char *path, struct err *err);
void auditor_journal_close(struct auditor_journal *journal);

/*
 * Keep the record of an exchange until journal_end(). What is too long for a slot is cut.
 * ERR_LIMIT when all slots are taken.
 */
int auditor_journal_begin(struct auditor_journal *journal, unsigned worker, uint64_t handle,
                          const struct record *record, struct err *err);

/*
 * The exchange is over: `line` (may be empty: forget it) and the removal of the slot are one step.
 * ERR_LIMIT when the batch has no room for the line; then nothing has changed.
 */
int auditor_journal_end(struct auditor_journal *journal, unsigned worker, uint64_t handle,
                        struct span line, struct err *err);

/* The handle of some open exchange of `worker`: 1 with its record (borrowed), 0 if none. */
int auditor_journal_first(const struct auditor_journal *journal, unsigned worker, uint64_t *handle,
                          struct record *record);

/* Some worker with an open exchange for which `is_live` is false: 1, else 0. */
int auditor_journal_orphan(const struct auditor_journal *journal,
                           bool (*is_live)(void *owner, unsigned worker), void *owner,
                           unsigned *worker);

size_t auditor_journal_count(const struct auditor_journal *journal);

/* The lines that are not known to be in the log, all of them. */
struct span auditor_journal_batch(const struct auditor_journal *journal);
size_t auditor_journal_room(const struct auditor_journal *journal);

/* Only the first `len` bytes of the batch are worth keeping. */
void auditor_journal_keep(struct auditor_journal *journal, size_t len);

/* Where the chain stood when the batch was last empty. */
void auditor_journal_base(const struct auditor_journal *journal, struct auditor_chain *chain);

/* All lines of the batch are in the log, whose last one is *chain. */
void auditor_journal_rebase(struct auditor_journal *journal, const struct auditor_chain *chain);

/* The base of the journal file at `path` as another process sees it: 1, 0 if there is none. */
int auditor_journal_peek(const char *path, struct auditor_chain *chain, struct err *err);

#endif
