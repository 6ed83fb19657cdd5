/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The file is mapped shared, so a process that is killed loses none of its
 * stores, whatever the order in which pages reach the disk. Each change becomes valid by one
 * aligned store at its end:
 *   slot       filled in, then `used` = 1
 *   batch      line copied, then `batch_len`
 *   base       the other of two copies written, then `base_index`
 *   end        `ending` = slot and `ending_len` = old batch_len, line added, slot freed, ending 0:
 *              who finds `ending` set knows from batch_len whether the line is in
 * A power failure is another matter: then the log, which is synced, wins, and the lines of the
 * batch are taken only as far as their hashes continue it.
 */
#include "gateway/auditor_journal.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/pool.h"
#include "crypto/digest.h"
#include "os/disk.h"

#define JOURNAL_MAGIC   0x6a746165786501ULL
#define JOURNAL_VERSION 1
#define SLOT_HEAD       32
#define SLOT_RECORD     (JOURNAL_SLOT_SIZE - SLOT_HEAD)
#define SLOT_PATH       512 /* bytes of the path that are kept in a slot */
#define SLOT_LIST       64  /* of the names of credentials */

struct journal_slot {
    uint64_t used;
    uint64_t handle;
    uint64_t worker;
    uint64_t len;
    uint8_t record[SLOT_RECORD];
};

struct journal_head {
    uint64_t magic;
    uint64_t version;
    uint64_t base_index;
    struct {
        uint64_t seq;
        char hash[72];
    } base[2];
    uint64_t ending; /* slot + 1 */
    uint64_t ending_len;
    uint64_t batch_len;
    uint8_t pad[4096 - 6 * 8 - 2 * 80];
};

struct journal_file {
    struct journal_head head;
    struct journal_slot slots[JOURNAL_SLOT_COUNT];
    uint8_t batch[JOURNAL_BATCH];
};

_Static_assert(sizeof(struct journal_head) == 4096, "the head is one page");
_Static_assert(sizeof(struct journal_slot) == JOURNAL_SLOT_SIZE, "slots have a fixed size");

struct journal_entry {
    struct map_node node;
    struct journal_slot *slot; /* mapped */
    struct journal_entry *next_idle;
    uint8_t key[16];
};

/* The stores before come before the stores behind, as another process will see them. */
static void barrier(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

static void key_write(uint8_t key[16], unsigned worker, uint64_t handle)
{
    uint64_t wide = worker;

    memcpy(key, &wide, sizeof wide);
    memcpy(key + sizeof wide, &handle, sizeof handle);
}

static int entry_add(struct auditor_journal *journal, struct journal_entry *entry, struct err *err)
{
    key_write(entry->key, (unsigned)entry->slot->worker, entry->slot->handle);
    return map_add(&journal->open, &entry->node, span_of(entry->key, sizeof entry->key), entry,
                   err);
}

static struct journal_entry *entry_find(const struct auditor_journal *journal, unsigned worker,
                                        uint64_t handle)
{
    uint8_t key[16];

    key_write(key, worker, handle);
    return map_find(&journal->open, span_of(key, sizeof key));
}

static void entry_free(struct auditor_journal *journal, struct journal_entry *entry)
{
    entry->slot->used = 0;
    barrier();
    map_remove(&journal->open, &entry->node);
    entry->next_idle = journal->idle;
    journal->idle = entry;
}

/* Finish what a killed process had begun in auditor_journal_end(). */
static void ending_finish(struct journal_file *file)
{
    if (file->head.ending == 0 || file->head.ending > JOURNAL_SLOT_COUNT)
        return;
    if (file->head.batch_len > file->head.ending_len)
        file->slots[file->head.ending - 1].used = 0;
    barrier();
    file->head.ending = 0;
}

static bool slot_is_sound(const struct journal_slot *slot)
{
    struct record record;
    struct err err;

    return slot->used == 1 && slot->len <= SLOT_RECORD && slot->worker <= UINT32_MAX &&
           record_read(span_of(slot->record, slot->len), &record, &err) == 0;
}

static int journal_index(struct auditor_journal *journal, struct err *err)
{
    for (size_t i = 0; i < JOURNAL_SLOT_COUNT; i++) {
        struct journal_entry *entry = &journal->entries[i];

        entry->slot = &journal->file->slots[i];
        if (slot_is_sound(entry->slot) &&
            entry_find(journal, (unsigned)entry->slot->worker, entry->slot->handle) == NULL) {
            if (entry_add(journal, entry, err) < 0)
                return -1;
            continue;
        }
        entry->slot->used = 0;
        entry->next_idle = journal->idle;
        journal->idle = entry;
    }
    return 0;
}

static int journal_check(struct journal_file *file, const char *path, struct err *err)
{
    if (file->head.magic == 0 && file->head.version == 0) {
        memset(file->head.base[0].hash, '0', 64);
        file->head.version = JOURNAL_VERSION;
        barrier();
        file->head.magic = JOURNAL_MAGIC;
    }
    if (file->head.magic != JOURNAL_MAGIC || file->head.version != JOURNAL_VERSION)
        return err_set(err, ERR_CONFIG, "%s is not a journal of this version", path);
    if (file->head.base_index > 1 || file->head.batch_len > JOURNAL_BATCH)
        return err_set(err, ERR_CONFIG, "%s is damaged", path);
    ending_finish(file);
    return 0;
}

int auditor_journal_open(struct auditor_journal *journal, const char *path, struct err *err)
{
    struct room map;
    uint8_t seed[16];

    *journal = (struct auditor_journal){.fd = -1};
    journal->fd = disk_open_map(path, sizeof(struct journal_file), &map, err);
    if (journal->fd < 0)
        return -1;
    journal->file = (struct journal_file *)(void *)map.ptr;
    if (digest_random((struct room){.ptr = seed, .len = sizeof seed}, err) < 0 ||
        journal_check(journal->file, path, err) < 0 ||
        map_init(&journal->open, JOURNAL_SLOT_COUNT, seed, err) < 0)
        goto fail_disk;
    journal->entries = pool_block_new(JOURNAL_SLOT_COUNT * sizeof *journal->entries);
    if (journal->entries == NULL) {
        err_set(err, ERR_MEMORY, "no memory for the audit journal");
        goto fail_map;
    }
    if (journal_index(journal, err) < 0)
        goto fail_entries;
    return 0;

fail_entries:
    pool_block_free(journal->entries);
fail_map:
    map_fini(&journal->open);
fail_disk:
    disk_close_map(journal->fd, map);
    *journal = (struct auditor_journal){.fd = -1};
    return -1;
}

void auditor_journal_close(struct auditor_journal *journal)
{
    if (journal->fd < 0)
        return;
    map_fini(&journal->open);
    pool_block_free(journal->entries);
    disk_close_map(journal->fd,
                   (struct room){.ptr = (uint8_t *)journal->file, .len = sizeof *journal->file});
    *journal = (struct auditor_journal){.fd = -1};
}

static struct span span_cut(struct span whole, size_t max, int *cut)
{
    if (whole.len <= max)
        return whole;
    *cut = 1;
    return span_first(whole, max);
}

int auditor_journal_begin(struct auditor_journal *journal, unsigned worker, uint64_t handle,
                          const struct record *record, struct err *err)
{
    struct journal_entry *entry = entry_find(journal, worker, handle);
    struct record small = *record;
    struct text out;

    if (entry != NULL)
        entry_free(journal, entry);
    entry = journal->idle;
    if (entry == NULL)
        return err_set(err, ERR_LIMIT, "%d exchanges are open", JOURNAL_SLOT_COUNT);
    small.path = span_cut(record->path, SLOT_PATH, &small.cut);
    small.credential = span_cut(record->credential, SLOT_LIST, &small.cut);
    text_init(&out, entry->slot->record, sizeof entry->slot->record);
    record_write(&small, &out);
    if (text_check(&out, "open exchange", err) < 0)
        return -1;
    entry->slot->worker = worker;
    entry->slot->handle = handle;
    entry->slot->len = out.len;
    if (entry_add(journal, entry, err) < 0)
        return -1;
    journal->idle = entry->next_idle;
    barrier();
    entry->slot->used = 1;
    barrier();
    return 0;
}

int auditor_journal_end(struct auditor_journal *journal, unsigned worker, uint64_t handle,
                        struct span line, struct err *err)
{
    struct journal_file *file = journal->file;
    struct journal_entry *entry = handle == 0 ? NULL : entry_find(journal, worker, handle);

    if (line.len > JOURNAL_BATCH - file->head.batch_len)
        return err_set(err, ERR_LIMIT, "%d bytes wait for the audit log", JOURNAL_BATCH);
    if (entry != NULL && line.len > 0) {
        file->head.ending_len = file->head.batch_len;
        barrier();
        file->head.ending = (uint64_t)(entry->slot - file->slots) + 1;
        barrier();
    }
    if (line.len > 0)
        memcpy(file->batch + file->head.batch_len, line.ptr, line.len);
    barrier();
    file->head.batch_len += line.len;
    barrier();
    if (entry != NULL)
        entry_free(journal, entry);
    file->head.ending = 0;
    barrier();
    return 0;
}

int auditor_journal_first(const struct auditor_journal *journal, unsigned worker, uint64_t *handle,
                          struct record *record)
{
    struct err err;

    for (size_t i = 0; i < JOURNAL_SLOT_COUNT; i++) {
        const struct journal_slot *slot = &journal->file->slots[i];

        if (slot->used != 1 || slot->worker != worker)
            continue;
        ENSURE(record_read(span_of(slot->record, slot->len), record, &err) == 0);
        *handle = slot->handle;
        return 1;
    }
    return 0;
}

int auditor_journal_orphan(const struct auditor_journal *journal,
                           bool (*is_live)(void *owner, unsigned worker), void *owner,
                           unsigned *worker)
{
    for (size_t i = 0; i < JOURNAL_SLOT_COUNT; i++) {
        const struct journal_slot *slot = &journal->file->slots[i];

        if (slot->used != 1 || is_live(owner, (unsigned)slot->worker))
            continue;
        *worker = (unsigned)slot->worker;
        return 1;
    }
    return 0;
}

size_t auditor_journal_count(const struct auditor_journal *journal)
{
    return journal->open.count;
}

struct span auditor_journal_batch(const struct auditor_journal *journal)
{
    return span_of(journal->file->batch, journal->file->head.batch_len);
}

size_t auditor_journal_room(const struct auditor_journal *journal)
{
    return JOURNAL_BATCH - journal->file->head.batch_len;
}

void auditor_journal_keep(struct auditor_journal *journal, size_t len)
{
    ENSURE(len <= journal->file->head.batch_len);
    journal->file->head.batch_len = len;
    barrier();
}

static void base_read(const struct journal_head *head, struct auditor_chain *chain)
{
    auditor_chain_init(chain);
    chain->seq = head->base[head->base_index].seq;
    memcpy(chain->hash, head->base[head->base_index].hash, 64);
}

void auditor_journal_base(const struct auditor_journal *journal, struct auditor_chain *chain)
{
    base_read(&journal->file->head, chain);
}

void auditor_journal_rebase(struct auditor_journal *journal, const struct auditor_chain *chain)
{
    struct journal_file *file = journal->file;
    uint64_t other = 1 - file->head.base_index;

    file->head.base[other].seq = chain->seq;
    memcpy(file->head.base[other].hash, chain->hash, 64);
    barrier();
    file->head.base_index = other;
    barrier();
    file->head.batch_len = 0;
    barrier();
}

int auditor_journal_peek(const char *path, struct auditor_chain *chain, struct err *err)
{
    struct journal_head head;
    ssize_t len;
    int fd = disk_open_read(path, err);

    if (fd < 0)
        return err->sys == ENOENT ? 0 : -1;
    len = disk_read(fd, 0, (struct room){.ptr = (uint8_t *)&head, .len = sizeof head}, err);
    disk_close(fd);
    if (len < 0)
        return -1;
    if ((size_t)len < sizeof head || head.magic != JOURNAL_MAGIC || head.base_index > 1)
        return err_set(err, ERR_CONFIG, "%s is not a journal of this version", path);
    base_read(&head, chain);
    return 1;
}
