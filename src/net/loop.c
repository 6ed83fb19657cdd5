/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop over libuv.
 *
 * One tick: timers (deadlines), prepare (tasks, then changed interest goes to the kernel), wait,
 * readiness callbacks, reap (libuv's close callbacks). A task queued anywhere in a tick therefore
 * runs before the next wait. Interest is only noted by loop_watch_set(): a pump that turns it off
 * and on again within a tick costs no system call. libuv's thread pool is never used.
 */
#include "net/loop.h"

#include <unistd.h>

#include "base/ensure.h"

#define SWEEP_MS        100
#define TASK_ROUNDS     16 /* of tasks that queue tasks, in one tick */
#define FINI_TICK_LIMIT 64

static void loop_enter(struct loop *loop)
{
    loop->now_ms = (int64_t)uv_now(&loop->uv);
}

/* --- work at the end of the tick --- */

void loop_later(struct loop *loop, struct loop_task *task, void (*run)(struct loop_task *),
                void *owner)
{
    if (task->is_queued)
        return;
    *task = (struct loop_task){.run = run, .owner = owner, .is_queued = 1};
    list_add_last(&loop->later, &task->node, task);
    /* Work to do keeps the loop going. */
    uv_ref((uv_handle_t *)&loop->prepare);
}

void loop_later_cancel(struct loop *loop, struct loop_task *task)
{
    if (!task->is_queued)
        return;
    list_remove(&loop->later, &task->node);
    task->is_queued = 0;
}

static void tasks_run_round(struct loop *loop)
{
    for (size_t left = loop->later.count; left > 0 && loop->later.count > 0; left--) {
        struct loop_task *task = list_first(&loop->later);

        list_remove(&loop->later, &task->node);
        task->is_queued = 0;
        task->run(task);
    }
}

/* --- readiness --- */

/* Once per tick at most; telling the kernel keeps the loop going, as a task does. */
static void watch_note(struct loop_watch *watch)
{
    if (watch->node.item != NULL)
        return;
    list_add_last(&watch->loop->changed, &watch->node, watch);
    uv_ref((uv_handle_t *)&watch->loop->prepare);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct loop_watch *watch = poll->data;
    unsigned ready = 0;

    loop_enter(watch->loop);
    if (status < 0) {
        /* libuv stops a poll on an error; whoever reads or writes next gets to know which. */
        ready = LOOP_READ | LOOP_WRITE;
        watch->applied = 0;
        watch_note(watch);
    }
    if (events & UV_READABLE)
        ready |= LOOP_READ;
    if (events & UV_WRITABLE)
        ready |= LOOP_WRITE;
    ready &= watch->interest; /* it may have changed since the kernel was asked */
    if (ready != 0)
        watch->on_ready(watch, ready);
}

static void watch_apply(struct loop_watch *watch)
{
    int events = 0;

    list_remove(&watch->loop->changed, &watch->node);
    if (watch->interest == watch->applied)
        return;
    watch->applied = watch->interest;
    if (watch->interest == 0) {
        /* Not an empty set: the kernel would still report a hang-up, over and over. */
        (void)uv_poll_stop(&watch->poll);
        return;
    }
    if (watch->interest & LOOP_READ)
        events |= UV_READABLE;
    if (watch->interest & LOOP_WRITE)
        events |= UV_WRITABLE;
    ENSURE(uv_poll_start(&watch->poll, events, on_poll) == 0);
}

int loop_watch_open(struct loop_watch *watch, struct loop *loop, int fd,
                    void (*on_ready)(struct loop_watch *, unsigned), void *owner, struct err *err)
{
    int status;

    *watch = (struct loop_watch){.loop = loop, .fd = fd, .on_ready = on_ready, .owner = owner};
    status = uv_poll_init(&loop->uv, &watch->poll, fd);
    if (status < 0)
        return err_set_sys(err, ERR_SYSTEM, -status, "cannot watch a descriptor");
    watch->poll.data = watch;
    watch->is_open = 1;
    loop->open_count++;
    return 0;
}

void loop_watch_set(struct loop_watch *watch, unsigned interest)
{
    ENSURE(watch->is_open);
    watch->interest = interest;
    if (interest != watch->applied)
        watch_note(watch);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct loop_watch *watch = handle->data;

    loop_enter(watch->loop);
    watch->loop->open_count--;
    if (watch->on_closed != NULL)
        watch->on_closed(watch);
}

int loop_watch_release(struct loop_watch *watch, void (*on_closed)(struct loop_watch *))
{
    int fd = watch->fd;

    ENSURE(watch->is_open);
    watch->is_open = 0;
    watch->fd = -1;
    watch->interest = 0;
    watch->on_closed = on_closed;
    if (watch->node.item != NULL)
        list_remove(&watch->loop->changed, &watch->node);
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
    return fd;
}

void loop_watch_close(struct loop_watch *watch, void (*on_closed)(struct loop_watch *))
{
    /* libuv lets go of the number at once, so it may be used again from here on. */
    (void)close(loop_watch_release(watch, on_closed));
}

/* --- deadlines --- */

static void deadline_remove(struct loop_deadline *deadline)
{
    struct loop *loop = deadline->loop;

    if (loop->sweep_next == &deadline->node)
        loop->sweep_next = deadline->node.next;
    list_remove(&loop->deadlines, &deadline->node);
    deadline->at_ms = 0;
    if (loop->deadlines.count == 0)
        (void)uv_timer_stop(&loop->tick);
}

static void soonest_note(struct loop *loop, int64_t at_ms)
{
    if (at_ms < loop->soonest_ms)
        loop->soonest_ms = at_ms;
}

/*
 * A callback may set and clear any deadline: `sweep_next` follows. Most deadlines are moved long
 * before they are due, so most ticks have nothing to look at.
 */
static void on_tick(uv_timer_t *tick)
{
    struct loop *loop = tick->data;

    loop_enter(loop);
    if (loop->now_ms < loop->soonest_ms)
        return;
    loop->soonest_ms = INT64_MAX;
    for (struct list_node *node = loop->deadlines.first; node != NULL; node = loop->sweep_next) {
        struct loop_deadline *deadline = node->item;

        loop->sweep_next = node->next;
        if (deadline->at_ms > loop->now_ms) {
            soonest_note(loop, deadline->at_ms);
            continue;
        }
        deadline_remove(deadline);
        deadline->on_expired(deadline);
    }
    loop->sweep_next = NULL;
}

void loop_deadline_init(struct loop_deadline *deadline, struct loop *loop,
                        void (*on_expired)(struct loop_deadline *), void *owner)
{
    *deadline = (struct loop_deadline){.loop = loop, .on_expired = on_expired, .owner = owner};
}

void loop_deadline_set(struct loop_deadline *deadline, int64_t in_ms)
{
    struct loop *loop = deadline->loop;

    ENSURE(in_ms > 0);
    if (deadline->at_ms == 0) {
        list_add_last(&loop->deadlines, &deadline->node, deadline);
        if (loop->deadlines.count == 1)
            ENSURE(uv_timer_start(&loop->tick, on_tick, SWEEP_MS, SWEEP_MS) == 0);
    }
    deadline->at_ms = loop->now_ms + in_ms;
    soonest_note(loop, deadline->at_ms);
}

void loop_deadline_clear(struct loop_deadline *deadline)
{
    if (deadline->at_ms != 0)
        deadline_remove(deadline);
}

/* --- signals --- */

static void on_uv_signal(uv_signal_t *handle, int number)
{
    struct loop_signal *signal = handle->data;

    loop_enter(signal->loop);
    signal->on_signal(signal, number);
}

int loop_signal_open(struct loop_signal *signal, struct loop *loop, int number,
                     void (*on_signal)(struct loop_signal *, int), void *owner, struct err *err)
{
    int status;

    *signal = (struct loop_signal){.loop = loop, .on_signal = on_signal, .owner = owner};
    status = uv_signal_init(&loop->uv, &signal->signal);
    if (status < 0)
        return err_set_sys(err, ERR_SYSTEM, -status, "uv_signal_init");
    signal->signal.data = signal;
    loop->open_count++;
    status = uv_signal_start(&signal->signal, on_uv_signal, number);
    if (status == 0)
        return 0;
    loop_signal_close(signal);
    return err_set_sys(err, ERR_SYSTEM, -status, "uv_signal_start");
}

static void on_signal_closed(uv_handle_t *handle)
{
    struct loop_signal *signal = handle->data;

    signal->loop->open_count--;
}

void loop_signal_close(struct loop_signal *signal)
{
    uv_close((uv_handle_t *)&signal->signal, on_signal_closed);
}

/* --- the loop --- */

static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

/* Rounds are bounded, so that tasks that feed each other do not keep descriptors waiting. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct loop *loop = prepare->data;

    loop_enter(loop);
    for (int round = 0; round < TASK_ROUNDS && loop->later.count > 0; round++)
        tasks_run_round(loop);
    while (loop->changed.count > 0)
        watch_apply(list_first(&loop->changed));
    if (loop->later.count > 0) {
        ENSURE(uv_idle_start(&loop->idle, on_idle) == 0);
        return;
    }
    (void)uv_idle_stop(&loop->idle);
    uv_unref((uv_handle_t *)&loop->prepare);
}

int loop_init(struct loop *loop, struct err *err)
{
    int status;

    *loop = (struct loop){0};
    status = uv_loop_init(&loop->uv);
    if (status < 0)
        return err_set_sys(err, ERR_SYSTEM, -status, "uv_loop_init");
    ENSURE(uv_prepare_init(&loop->uv, &loop->prepare) == 0);
    ENSURE(uv_idle_init(&loop->uv, &loop->idle) == 0);
    ENSURE(uv_timer_init(&loop->uv, &loop->tick) == 0);
    loop->prepare.data = loop;
    loop->tick.data = loop;
    ENSURE(uv_prepare_start(&loop->prepare, on_prepare) == 0);
    uv_unref((uv_handle_t *)&loop->prepare);
    loop_enter(loop);
    return 0;
}

void loop_run(struct loop *loop)
{
    uv_update_time(&loop->uv);
    loop_enter(loop);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop->is_stopping = 0;
}

void loop_stop(struct loop *loop)
{
    loop->is_stopping = 1;
    uv_stop(&loop->uv);
}

void loop_fini(struct loop *loop)
{
    int ticks = 0;

    while (loop->open_count > 0 || loop->later.count > 0) {
        ENSURE(ticks++ < FINI_TICK_LIMIT); /* something was left open */
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    ENSURE(loop->deadlines.count == 0);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->tick, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    ENSURE(uv_loop_close(&loop->uv) == 0);
}
