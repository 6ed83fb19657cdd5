/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records on their way to the auditor. BEGIN is all or nothing, for without it no credential
 * leaves; END of what was begun waits in a bounded backlog while the auditor is busy. What arrives
 * in one tick may be more than the channel holds: BEGIN waits for the auditor, who needs nothing of
 * us to go on. If it does not, nobody waits again before it has.
 */
#include "gateway/audit_link.h"

#include "base/pool.h"
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
    *link = (struct audit_link){.fd = fd, .next_exchange = 1};
    if (loop_watch_open(&link->watch, loop, fd, link_ready, link, err) < 0)
        return -1;
    loop_watch_set(&link->watch, LOOP_READ);
    return 0;
}

static int record_send(struct audit_link *link, enum message_type type, uint64_t handle,
                       struct span record, struct err *err)
{
    const struct message message = {.type = type, .handle = handle, .a = record};

    return message_send(link->fd, &message, -1, err);
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
    struct text text;
    struct err err;

    text_init(&text, memory, sizeof memory);
    record_write(record, &text);
    ENSURE(!text.overflow);
    if (link->backlog.count == 0 &&
        record_send(link, MESSAGE_END, handle, text_span(&text), &err) > 0)
        return;
    backlog_add(link, handle, text_span(&text));
}

static void backlog_send(struct audit_link *link)
{
    struct err err;

    if (link->backlog.count == 0)
        return;
    while (link->backlog.count > 0) {
        struct audit_entry *entry = list_first(&link->backlog);

        if (record_send(link, MESSAGE_END, entry->handle, span_of(entry->bytes, entry->len),
                        &err) <= 0) {
            loop_watch_set(&link->watch, LOOP_READ | LOOP_WRITE);
            return;
        }
        list_remove(&link->backlog, &entry->node);
        pool_block_free(entry);
    }
    loop_watch_set(&link->watch, LOOP_READ);
}

/* What waits in the backlog goes first. 1 sent, 0 there is no room, -1. */
static int begin_try(struct audit_link *link, uint64_t handle, struct span record, struct err *err)
{
    backlog_send(link);
    return link->backlog.count > 0 ? 0 : record_send(link, MESSAGE_BEGIN, handle, record, err);
}

/* The same, and 0 only when there was no room for AUDIT_WAIT_MS. */
static int begin_send(struct audit_link *link, uint64_t handle, struct span record, struct err *err)
{
    int sent = begin_try(link, handle, record, err);
    int64_t give_up_ms = sent == 0 ? clock_mono_ms() + AUDIT_WAIT_MS : 0;
    int64_t left_ms = AUDIT_WAIT_MS;

    while (sent == 0 && left_ms > 0 && !link->is_stalled) {
        if (ipc_wait_room(link->fd, (int)left_ms, err) < 0)
            return -1;
        sent = begin_try(link, handle, record, err);
        left_ms = give_up_ms - clock_mono_ms();
    }
    if (sent == 0) {
        link->is_stalled = 1;
        loop_watch_set(&link->watch, LOOP_READ | LOOP_WRITE);
    }
    return sent;
}

uint64_t audit_link_begin(struct audit_link *link, const struct record *record, struct err *err)
{
    uint8_t memory[AUDIT_RECORD_MAX];
    struct text text;
    uint64_t handle = link->next_exchange;

    if (link->state != ERR_OK) {
        (void)err_set(err, ERR_AUDIT, "the audit log cannot be written");
        return 0;
    }
    text_init(&text, memory, sizeof memory);
    record_write(record, &text);
    if (text.overflow || begin_send(link, handle, text_span(&text), err) <= 0) {
        (void)err_set(err, ERR_AUDIT, "the auditor does not take records");
        return 0;
    }
    link->next_exchange++;
    return handle;
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
        loop_watch_set(&link->watch, LOOP_READ);
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
    return link->backlog.count == 0;
}
