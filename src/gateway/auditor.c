/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   worker ──BEGIN, END──▶ channel ──▶ auditor_log_begin/end ──▶ journal ──flush──▶ log file
 *          ◀─AUDIT_STATE─                                                (one write a wake-up)
 *
 * While the log cannot be written the workers are told, records wait in the journal, and when it
 * is full they wait in the channels. When main closes the control channel, what is still in the
 * channels is read, written and synced before the process ends; it is not tied to main's life, so
 * a main that is killed loses no record either.
 */
#include "gateway/auditor.h"

#include <unistd.h>

#include "base/pool.h"
#include "gateway/auditor_log.h"
#include "gateway/messages.h"
#include "gateway/record_batch.h"
#include "gateway/role.h"
#include "net/loop.h"
#include "os/clock.h"
#include "os/ipc.h"
#include "os/proc.h"
#include "os/sandbox.h"

#define AUDITOR_CHANNELS  256
#define AUDITOR_TURN      64   /* messages of one channel before the next has its turn */
#define AUDITOR_REST_MS   2    /* while records come */
#define AUDITOR_TICK_MS   500  /* retry, rotation */
#define AUDITOR_SETTLE_MS 2000 /* for workers to be announced again, and to end */
#define AUDITOR_LOCK_MS   5000 /* for the auditor before us to end */

struct auditor;

struct auditor_channel {
    struct auditor *auditor; /* borrowed */
    struct loop_watch watch;
    unsigned worker;
    enum err_code told;
    enum { CHANNEL_FREE, CHANNEL_OPEN, CHANNEL_CLOSING } state;
};

struct auditor {
    struct role role;
    struct loop loop;
    struct loop_watch control;
    struct loop_task flush;
    struct loop_deadline tick;
    struct loop_deadline sync;
    struct auditor_log log;
    struct auditor_channel channels[AUDITOR_CHANNELS];
    enum err_code state;
    int64_t settled_ms;   /* from then on, who is not announced is gone */
    int64_t end_ms;       /* 0: main is there */
    int has_work;         /* records came in this tick */
    int may_have_orphans; /* looked for at a worker's end and at each tick: it reads all slots */
    uint8_t room[MESSAGE_MAX];
};

static void channel_set_interest(struct auditor_channel *channel)
{
    unsigned interest = 0;

    if (auditor_log_has_room(&channel->auditor->log))
        interest |= LOOP_READ;
    if (channel->told != channel->auditor->state)
        interest |= LOOP_WRITE;
    loop_watch_set(&channel->watch, interest);
}

static void channel_tell(struct auditor_channel *channel)
{
    const struct message message = {.type = MESSAGE_AUDIT_STATE, .code = channel->auditor->state};
    struct err err;

    if (channel->told != message.code && message_send(channel->watch.fd, &message, -1, &err) != 0)
        channel->told = message.code; /* a channel that is closed shows when it is read */
}

static void channels_update(struct auditor *auditor)
{
    for (size_t i = 0; i < AUDITOR_CHANNELS; i++) {
        struct auditor_channel *channel = &auditor->channels[i];

        if (channel->state != CHANNEL_OPEN)
            continue;
        channel_tell(channel);
        channel_set_interest(channel);
    }
}

static void state_enter(struct auditor *auditor, const struct err *err)
{
    enum err_code next = err == NULL ? ERR_OK : ERR_AUDIT;

    if (next == auditor->state)
        return;
    auditor->state = next;
    if (err != NULL)
        log_error("audit log %s: %s; requests that need a credential are refused until it can be "
                  "written",
                  auditor->log.path, err->text);
    else
        log_warning("audit log %s: can be written again", auditor->log.path);
}

static bool worker_is_live(void *owner, unsigned worker)
{
    const struct auditor *auditor = owner;

    for (size_t i = 0; i < AUDITOR_CHANNELS; i++) {
        if (auditor->channels[i].state == CHANNEL_OPEN && auditor->channels[i].worker == worker)
            return true;
    }
    return false;
}

/* What was begun by workers that are gone. */
static void orphans_log(struct auditor *auditor)
{
    struct err err;
    unsigned worker;

    if (!auditor->may_have_orphans || auditor->loop.now_ms < auditor->settled_ms)
        return;
    auditor->may_have_orphans = 0;
    while (auditor_log_has_room(&auditor->log) &&
           auditor_journal_orphan(&auditor->log.journal, worker_is_live, auditor, &worker) > 0) {
        int count = auditor_log_interrupt(&auditor->log, worker, auditor->loop.now_ms, &err);

        if (count < 0)
            return;
        log_warning("worker %u left %d exchanges without an end", worker, count);
    }
}

static void sync_now(struct auditor *auditor)
{
    struct err err;

    if (auditor_log_sync(&auditor->log, &err) < 0)
        state_enter(auditor, &err);
}

static void log_flush(struct auditor *auditor)
{
    struct err err;

    orphans_log(auditor);
    if (auditor_log_flush(&auditor->log, &err) < 0) {
        state_enter(auditor, &err);
    } else {
        if (auditor->state != ERR_OK && auditor_log_sync(&auditor->log, &err) == 0)
            state_enter(auditor, NULL);
        if (auditor->role.config.audit.sync_ms <= 0)
            sync_now(auditor);
        else if (auditor->log.is_dirty && auditor->sync.at_ms == 0)
            loop_deadline_set(&auditor->sync, auditor->role.config.audit.sync_ms);
    }
    channels_update(auditor);
}

/*
 * Records that come one by one are taken together after a while: each wake-up costs more than a
 * record, and nobody waits for a line. They are safe meanwhile, for main holds their channel too.
 */
static void flush_run(struct loop_task *task)
{
    struct auditor *auditor = task->owner;

    log_flush(auditor);
    if (auditor->has_work && auditor->end_ms == 0)
        clock_rest_ms(AUDITOR_REST_MS);
    auditor->has_work = 0;
}

static void sync_expired(struct loop_deadline *deadline)
{
    struct auditor *auditor = deadline->owner;

    sync_now(auditor);
    channels_update(auditor);
}

static void channel_closed(struct loop_watch *watch)
{
    struct auditor_channel *channel = watch->owner;

    channel->state = CHANNEL_FREE;
}

static void channel_close(struct auditor_channel *channel)
{
    channel->state = CHANNEL_CLOSING;
    channel->auditor->may_have_orphans = 1;
    loop_watch_close(&channel->watch, channel_closed);
}

static int batch_take(struct auditor_channel *channel, struct span batch, struct err *err)
{
    struct auditor_log *log = &channel->auditor->log;
    struct record_item item;
    int more;
    int result = 0;

    while (result == 0 && (more = record_batch_next(&batch, &item, err)) != 0) {
        if (more < 0)
            return -1;
        result = item.type == MESSAGE_BEGIN
                     ? auditor_log_begin(log, channel->worker, item.handle, item.record, err)
                     : auditor_log_end(log, channel->worker, item.handle, item.record, err);
    }
    return result;
}

static int message_take(struct auditor_channel *channel, const struct message *message,
                        struct err *err)
{
    struct auditor_log *log = &channel->auditor->log;

    if (message->type == MESSAGE_BEGIN)
        return auditor_log_begin(log, channel->worker, message->handle, message->a, err);
    if (message->type == MESSAGE_END)
        return auditor_log_end(log, channel->worker, message->handle, message->a, err);
    if (message->type == MESSAGE_RECORDS)
        return batch_take(channel, message->a, err);
    return err_set(err, ERR_INTERNAL, "message %d is not for the auditor", (int)message->type);
}

/* Up to AUDITOR_TURN messages; closed for good at the end of the worker or at its first lie. */
static void channel_read(struct auditor_channel *channel)
{
    struct auditor *auditor = channel->auditor;
    struct room room = {.ptr = auditor->room, .len = sizeof auditor->room};
    struct message message;
    struct err err;

    for (int i = 0; i < AUDITOR_TURN && auditor_log_has_room(&auditor->log); i++) {
        int result = message_recv(channel->watch.fd, SENDER_WORKER, room, &message, NULL, &err);

        if (result == 0)
            return;
        auditor->has_work = 1;
        if (result > 0 && message_take(channel, &message, &err) == 0)
            continue;
        if (err.code != ERR_CLOSED)
            log_error("worker %u: %s; its channel is closed", channel->worker, err.text);
        channel_close(channel);
        return;
    }
}

static void channel_ready(struct loop_watch *watch, unsigned ready)
{
    struct auditor_channel *channel = watch->owner;

    if (channel->state == CHANNEL_OPEN && (ready & LOOP_READ) != 0)
        channel_read(channel);
    loop_later(&channel->auditor->loop, &channel->auditor->flush, flush_run, channel->auditor);
}

/* Takes fd. */
static void channel_open(struct auditor *auditor, unsigned worker, int fd)
{
    struct err err;

    for (size_t i = 0; i < AUDITOR_CHANNELS; i++) {
        struct auditor_channel *channel = &auditor->channels[i];

        if (channel->state != CHANNEL_FREE)
            continue;
        *channel = (struct auditor_channel){.auditor = auditor, .worker = worker};
        if (loop_watch_open(&channel->watch, &auditor->loop, fd, channel_ready, channel, &err) <
            0) {
            log_error("worker %u: %s", worker, err.text);
            (void)close(fd);
            return;
        }
        channel->state = CHANNEL_OPEN;
        channel->told = ERR_OK;
        channel_tell(channel);
        channel_set_interest(channel);
        return;
    }
    log_error("worker %u: too many workers", worker);
    (void)close(fd);
}

static void control_ready(struct loop_watch *watch, unsigned ready)
{
    struct auditor *auditor = watch->owner;
    struct room room = {.ptr = auditor->room, .len = sizeof auditor->room};
    struct message message;
    struct err err;
    int passed_fd = -1;
    int result;

    (void)ready;
    while ((result = message_recv(FD_CONTROL, SENDER_MAIN, room, &message, &passed_fd, &err)) > 0) {
        if (message.type == MESSAGE_PEER && message.number == PEER_WORKER && passed_fd >= 0)
            channel_open(auditor, message.index, passed_fd);
        else if (passed_fd >= 0)
            (void)close(passed_fd);
    }
    if (result == 0)
        return;
    loop_watch_close(&auditor->control, NULL);
    auditor->end_ms = clock_mono_ms() + AUDITOR_SETTLE_MS;
    loop_deadline_set(&auditor->tick, 1);
}

static size_t channels_open(const struct auditor *auditor)
{
    size_t count = 0;

    for (size_t i = 0; i < AUDITOR_CHANNELS; i++)
        count += auditor->channels[i].state == CHANNEL_OPEN;
    return count;
}

/* main is gone: finish when the workers are, or have had their time. */
static void end_step(struct auditor *auditor)
{
    for (size_t i = 0; i < AUDITOR_CHANNELS; i++) {
        if (auditor->channels[i].state == CHANNEL_OPEN)
            channel_read(&auditor->channels[i]);
    }
    if (channels_open(auditor) > 0 && auditor->loop.now_ms < auditor->end_ms) {
        loop_deadline_set(&auditor->tick, 100);
        return;
    }
    for (size_t i = 0; i < AUDITOR_CHANNELS; i++) {
        if (auditor->channels[i].state == CHANNEL_OPEN)
            channel_close(&auditor->channels[i]);
    }
    auditor->settled_ms = 0;
    auditor->may_have_orphans = 1;
    loop_stop(&auditor->loop);
}

static void tick_expired(struct loop_deadline *deadline)
{
    struct auditor *auditor = deadline->owner;
    struct err err;

    loop_deadline_set(&auditor->tick, AUDITOR_TICK_MS);
    auditor->may_have_orphans = 1;
    if (auditor->end_ms != 0)
        end_step(auditor);
    log_flush(auditor);
    if (auditor->state == ERR_OK) {
        int moved = auditor_log_reopen(&auditor->log, &err);

        if (moved > 0)
            log_info("audit log: the file was moved away; going on in a new %s", auditor->log.path);
        else if (moved < 0)
            log_debug("audit log: was moved away, and no new one: %s", err.text);
    }
}

/* The auditor before us may still be writing its last lines. */
static int log_open(struct auditor *auditor, struct err *err)
{
    int64_t give_up_ms = clock_mono_ms() + AUDITOR_LOCK_MS;

    while (auditor_log_open(&auditor->log, auditor->role.config.audit.file, err) < 0) {
        if (err->code != ERR_LIMIT || clock_mono_ms() >= give_up_ms)
            return -1;
        clock_rest_ms(100);
    }
    return 0;
}

static int auditor_set_up(struct auditor *auditor, int argc, char **argv, struct err *err)
{
    if (role_start(&auditor->role, "auditor", argc, argv, err) < 0 || log_open(auditor, err) < 0)
        return -1;
    if (auditor->role.config.user != NULL && geteuid() == 0 &&
        proc_drop_to(auditor->role.config.user, err) < 0)
        return -1;
    if (loop_init(&auditor->loop, err) < 0 ||
        loop_watch_open(&auditor->control, &auditor->loop, FD_CONTROL, control_ready, auditor,
                        err) < 0)
        return -1;
    loop_watch_set(&auditor->control, LOOP_READ);
    loop_deadline_init(&auditor->tick, &auditor->loop, tick_expired, auditor);
    loop_deadline_init(&auditor->sync, &auditor->loop, sync_expired, auditor);
    auditor->settled_ms = auditor->role.id == 0 ? 0 : clock_mono_ms() + AUDITOR_SETTLE_MS;
    loop_deadline_set(&auditor->tick, 1);
    if (sandbox_enter(SANDBOX_AUDITOR, err) < 0)
        return -1;
    return role_ready(err);
}

int auditor_main(int argc, char **argv)
{
    struct auditor *auditor = pool_block_new(sizeof *auditor);
    struct err err;

    if (auditor == NULL)
        return 1;
    if (auditor_set_up(auditor, argc, argv, &err) < 0) {
        log_error("cannot start: %s", err.text);
        return 1;
    }
    loop_run(&auditor->loop);
    log_flush(auditor);
    sync_now(auditor);
    if (auditor_log_is_pending(&auditor->log))
        log_error("audit log: some records could not be written; they are kept in %s%s and written "
                  "by the next start",
                  auditor->log.path, AUDITOR_JOURNAL_SUFFIX);
    auditor_log_close(&auditor->log);
    return 0;
}
