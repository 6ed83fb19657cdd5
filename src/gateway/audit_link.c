/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records on their way to the auditor: those of a tick in one packet. BEGIN is all or nothing, for
 * without it no credential leaves; END waits in a bounded backlog while the auditor is busy.
 */
#include "gateway/audit_link.h"

#include "base/pool.h"
#include "gateway/record_batch.h"
#include "os/clock.h"
#include "os/ipc.h"
#include "os/log.h"

#define AUDIT_RECORD_MAX 40960
#define AUDIT_BACKLOG    4096
#define AUDIT_WAIT_MS    200

struct audit_entry {
    struct list_node node;
    uint64_t handle;
    size_t len;
    uint8_t bytes[];
};

static void link_ready(struct loop_watch *watch, unsigned ready);

int audit_link_init(struct audit_link *link, struct loop *loop, int fd, struct err *err)
{
    *link = (struct audit_link){.fd = fd, .loop = loop, .next_exchange = 1};
    text_init(&link->batch, link->batch_bytes, sizeof link->batch_bytes);
    if (loop_watch_open(&link->watch, loop, fd, link_ready, link, err) < 0)
        return -1;
    loop_watch_set(&link->watch, LOOP_READ);
    return 0;
}

static int record_send(struct audit_link *link, const struct record_item *item, struct err *err)
{
    const struct message message = {.type = item->type, .handle = item->handle, .a = item->record};

    return message_send(link->fd, &message, -1, err);
}

/* 1: nothing is left of it. 0: the queue is full. -1. */
static int batch_send(struct audit_link *link, struct err *err)
{
    const struct message message = {.type = MESSAGE_RECORDS, .a = text_span(&link->batch)};
    int result;

    if (link->batch.len == 0)
        return 1;
    result = message_send(link->fd, &message, -1, err);
    if (result > 0) {
        text_init(&link->batch, link->batch_bytes, sizeof link->batch_bytes);
        link->begun = 0;
    } else {
        link->is_blocked = 1;
        loop_watch_set(&link->watch, LOOP_READ | LOOP_WRITE);
    }
    return result;
}

static void flushed_tell(struct audit_link *link)
{
    int was_blocked = link->is_blocked;

    if (!audit_link_is_drained(link))
        return;
    link->is_blocked = 0;
    if (link->on_flushed != NULL)
        link->on_flushed(link, was_blocked);
}

static void tick_ended(struct loop_task *task)
{
    struct audit_link *link = task->owner;
    struct err err;

    if (batch_send(link, &err) > 0)
        flushed_tell(link);
}

/* Into the batch of this tick, which is sent first if it has no room: 1. 0: nobody takes it now. */
static int record_put(struct audit_link *link, const struct record_item *item)
{
    struct err err;

    record_batch_add(&link->batch, item);
    if (link->batch.overflow) {
        link->batch.overflow = false;
        if (batch_send(link, &err) <= 0)
            return 0;
        record_batch_add(&link->batch, item);
    }
    if (link->batch.overflow) { /* too long for any batch */
        link->batch.overflow = false;
        return record_send(link, item, &err) > 0;
    }
    link->begun += item->type == MESSAGE_BEGIN;
    loop_later(link->loop, &link->task, tick_ended, link);
    return 1;
}

static void backlog_add(struct audit_link *link, uint64_t handle, struct span record)
{
    struct audit_entry *entry = NULL;

    if (link->backlog.count < AUDIT_BACKLOG)
        entry = pool_block_new(sizeof *entry + record.len);
    if (entry == NULL) {
        link->lost++;
        log_error("audit: %zu records lost: the backlog of %d is full", link->lost, AUDIT_BACKLOG);
        return;
    }
    entry->handle = handle;
    entry->len = record.len;
    memcpy(entry->bytes, record.ptr, record.len);
    list_add_last(&link->backlog, &entry->node, entry);
    loop_watch_set(&link->watch, LOOP_READ | LOOP_WRITE);
}

void audit_link_end(struct audit_link *link, uint64_t handle, const struct record *record)
{
    uint8_t memory[AUDIT_RECORD_MAX];
    struct record_item item = {.type = MESSAGE_END, .handle = handle};
    struct text text;

    text_init(&text, memory, sizeof memory);
    record_write(record, &text);
    ENSURE(!text.overflow);
    item.record = text_span(&text);
    if (link->backlog.count > 0 || !record_put(link, &item))
        backlog_add(link, handle, item.record);
}

/* The batch is older than the backlog. */
static void backlog_send(struct audit_link *link)
{
    struct err err;

    if (batch_send(link, &err) <= 0)
        return;
    while (link->backlog.count > 0) {
        struct audit_entry *entry = list_first(&link->backlog);
        const struct record_item item = {.type = MESSAGE_END,
                                         .handle = entry->handle,
                                         .record = span_of(entry->bytes, entry->len)};

        if (record_send(link, &item, &err) <= 0)
            return;
        list_remove(&link->backlog, &entry->node);
        pool_block_free(entry);
    }
    loop_watch_set(&link->watch, LOOP_READ);
    flushed_tell(link);
}

/* What waits goes first: 1 it was taken, 0 there is no room. */
static int record_put_in_turn(struct audit_link *link, const struct record_item *item)
{
    if (link->backlog.count > 0)
        backlog_send(link);
    return link->backlog.count == 0 && record_put(link, item);
}

/*
 * The same, but a burst of a tick, which may be more than the queue holds, waits for the auditor,
 * who needs nothing of us to go on. If it does not, nobody waits again before it has.
 */
static int record_put_patiently(struct audit_link *link, const struct record_item *item)
{
    int64_t give_up_ms = clock_mono_ms() + AUDIT_WAIT_MS;
    int64_t left_ms = AUDIT_WAIT_MS;
    struct err err;
    int taken = record_put_in_turn(link, item);

    while (!taken && left_ms > 0 && !link->is_stalled) {
        if (ipc_wait_room(link->fd, (int)left_ms, &err) < 0)
            return 0;
        taken = record_put_in_turn(link, item);
        left_ms = give_up_ms - clock_mono_ms();
    }
    if (!taken) {
        link->is_stalled = 1;
        loop_watch_set(&link->watch, LOOP_READ | LOOP_WRITE);
    }
    return taken;
}

uint64_t audit_link_begin(struct audit_link *link, const struct record *record, struct err *err)
{
    uint8_t memory[AUDIT_RECORD_MAX];
    struct record_item item = {.type = MESSAGE_BEGIN, .handle = link->next_exchange};
    struct text text;

    if (link->state != ERR_OK) {
        (void)err_set(err, ERR_AUDIT, "the audit log cannot be written");
        return 0;
    }
    text_init(&text, memory, sizeof memory);
    record_write(record, &text);
    item.record = text_span(&text);
    if (text.overflow || !record_put_patiently(link, &item)) {
        (void)err_set(err, ERR_AUDIT, "the auditor does not take records");
        return 0;
    }
    return link->next_exchange++;
}

int audit_link_accept(struct audit_link *link, struct err *err)
{
    return link->begun == 0 ? 1 : batch_send(link, err);
}

static void link_ready(struct loop_watch *watch, unsigned ready)
{
    struct audit_link *link = watch->owner;
    struct room room = {.ptr = link->room, .len = sizeof link->room};
    struct message message;
    struct err err;
    int result;

    if (ready & LOOP_WRITE) {
        link->is_stalled = 0;
        backlog_send(link);
    }
    while ((result = message_recv(link->fd, SENDER_AUDITOR, room, &message, NULL, &err)) > 0) {
        if (message.type != MESSAGE_AUDIT_STATE || message.code == link->state)
            continue;
        link->state = message.code;
        log_warning("audit: %s", link->state == ERR_OK ? "records are written again"
                                                       : "the log cannot be written");
    }
    if (result < 0) {
        log_error("the auditor's channel is gone: %s", err.text);
        link->state = ERR_AUDIT;
        loop_watch_set(&link->watch, 0);
    }
}

bool audit_link_is_drained(const struct audit_link *link)
{
    return link->backlog.count == 0 && link->batch.len == 0;
}
