/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connecting, with several attempts side by side.
 *
 * dial_step() is the only place that starts attempts: called at the start, when an attempt fails,
 * when the head start is over and when a slot has been reaped. The end (dial_end) stops what is
 * under way; the owner is told when the last slot has been reaped, for only then is the struct
 * free. Reaping takes no longer than the tick it happens in.
 */
#include "net/dial.h"

#include <unistd.h>

#define HEAD_START_MS 250

static void on_task(struct loop_task *task);

/* Telling comes from the loop, never from within dial_start() or a socket's callback. */
static void dial_tell_later(struct dial *dial)
{
    if (dial->is_over && dial->busy_count == 0)
        loop_later(dial->loop, &dial->task, on_task, dial);
}

static void dial_tell(struct dial *dial)
{
    int fd = dial->fd;

    dial->fd = -1;
    if (dial->is_cancelled) {
        if (dial->on_closed != NULL)
            dial->on_closed(dial);
        return;
    }
    dial->on_done(dial, fd, fd < 0 ? NULL : &dial->addresses[dial->winner],
                  fd < 0 ? &dial->last : NULL);
}

static void on_task(struct loop_task *task)
{
    dial_tell(task->owner);
}

static void dial_step(struct dial *dial);

static void on_attempt_closed(struct loop_watch *watch)
{
    struct dial_attempt *attempt = watch->owner;
    struct dial *dial = attempt->dial;

    attempt->is_busy = 0;
    dial->busy_count--;
    if (!dial->is_over)
        dial_step(dial);
    else if (dial->busy_count == 0)
        dial_tell(dial); /* the reap step: nobody of ours is on the stack */
}

static void dial_end(struct dial *dial)
{
    dial->is_over = 1;
    loop_deadline_clear(&dial->deadline);
    for (size_t i = 0; i < DIAL_ATTEMPT_COUNT; i++) {
        if (dial->attempts[i].is_busy && dial->attempts[i].watch.is_open)
            loop_watch_close(&dial->attempts[i].watch, on_attempt_closed);
    }
}

/* The words of the system, with the address. */
static void attempt_note(struct dial *dial, const struct dial_attempt *attempt)
{
    char memory[80];
    struct text text;

    if (dial->last.sys == 0)
        return;
    text_init(&text, memory, sizeof memory);
    text_add_str(&text, "cannot connect to ");
    socket_write_address(&text, &dial->addresses[attempt->address]);
    (void)err_set_sys(&dial->last, dial->last.code, dial->last.sys, text_str(&text));
}

static void on_attempt_ready(struct loop_watch *watch, unsigned ready)
{
    struct dial_attempt *attempt = watch->owner;
    struct dial *dial = attempt->dial;

    (void)ready;
    if (socket_connected(watch->fd, &dial->last) < 0) {
        attempt_note(dial, attempt);
        loop_watch_close(watch, on_attempt_closed);
        dial->head_start_until_ms = 0;
        dial_step(dial);
        return;
    }
    dial->winner = attempt->address;
    dial->fd = loop_watch_release(watch, on_attempt_closed);
    dial_end(dial);
}

static struct dial_attempt *attempt_take(struct dial *dial)
{
    for (size_t i = 0; i < DIAL_ATTEMPT_COUNT; i++) {
        if (!dial->attempts[i].is_busy)
            return &dial->attempts[i];
    }
    return NULL;
}

/* 0 when an attempt at the next address is under way, -1 when it failed at once. */
static int attempt_start(struct dial *dial, struct dial_attempt *attempt)
{
    size_t at = dial->next++;
    int fd = socket_connect(&dial->addresses[at], &dial->last);

    if (fd < 0)
        return -1;
    if (loop_watch_open(&attempt->watch, dial->loop, fd, on_attempt_ready, attempt, &dial->last) <
        0) {
        (void)close(fd);
        return -1;
    }
    attempt->dial = dial;
    attempt->address = at;
    attempt->until_ms = dial->loop->now_ms + dial->attempt_ms;
    attempt->is_busy = 1;
    dial->busy_count++;
    loop_watch_set(&attempt->watch, LOOP_WRITE);
    dial->head_start_until_ms = dial->loop->now_ms + HEAD_START_MS;
    return 0;
}

static size_t open_count(const struct dial *dial)
{
    size_t count = 0;

    for (size_t i = 0; i < DIAL_ATTEMPT_COUNT; i++)
        count += dial->attempts[i].is_busy && dial->attempts[i].watch.is_open;
    return count;
}

/* When something must happen though no socket says so. */
static void deadline_arm(struct dial *dial)
{
    int64_t at_ms = dial->head_start_until_ms;

    if (attempt_take(dial) == NULL) {
        at_ms = INT64_MAX;
        for (size_t i = 0; i < DIAL_ATTEMPT_COUNT; i++) {
            if (dial->attempts[i].watch.is_open && dial->attempts[i].until_ms < at_ms)
                at_ms = dial->attempts[i].until_ms;
        }
    }
    if (dial->next == dial->count || at_ms == INT64_MAX)
        loop_deadline_clear(&dial->deadline); /* wait for sockets or the reap step alone */
    else
        loop_deadline_set(&dial->deadline,
                          at_ms > dial->loop->now_ms ? at_ms - dial->loop->now_ms : 1);
}

static void dial_step(struct dial *dial)
{
    struct dial_attempt *attempt = attempt_take(dial);

    while (attempt != NULL && dial->next < dial->count &&
           dial->head_start_until_ms <= dial->loop->now_ms) {
        if (attempt_start(dial, attempt) == 0)
            attempt = attempt_take(dial);
    }
    if (dial->next < dial->count || open_count(dial) > 0) {
        deadline_arm(dial);
        return;
    }
    dial_end(dial);
    dial_tell_later(dial);
}

/* The head start is over, or an attempt holds a slot that another address needs. */
static void on_deadline(struct loop_deadline *deadline)
{
    struct dial *dial = deadline->owner;

    for (size_t i = 0; i < DIAL_ATTEMPT_COUNT && attempt_take(dial) == NULL; i++) {
        struct dial_attempt *attempt = &dial->attempts[i];

        if (!attempt->watch.is_open || attempt->until_ms > dial->loop->now_ms)
            continue;
        (void)err_set(&dial->last, ERR_TIMEOUT, "no answer within %lld ms",
                      (long long)dial->attempt_ms);
        loop_watch_close(&attempt->watch, on_attempt_closed);
        break;
    }
    dial_step(dial);
}

int dial_start(struct dial *dial, struct loop *loop, const struct address *addresses, size_t count,
               int64_t attempt_ms, struct err *err)
{
    void (*on_done)(struct dial *, int, const struct address *, const struct err *) = dial->on_done;
    void *owner = dial->owner;

    ENSURE(on_done != NULL && attempt_ms > 0);
    if (count == 0 || count > LIMIT_ADDRESS_COUNT)
        return err_set(err, ERR_LIMIT, "%zu addresses to connect to", count);
    *dial = (struct dial){.loop = loop,
                          .count = count,
                          .attempt_ms = attempt_ms,
                          .fd = -1,
                          .on_done = on_done,
                          .owner = owner};
    memcpy(dial->addresses, addresses, count * sizeof *addresses);
    loop_deadline_init(&dial->deadline, loop, on_deadline, dial);
    dial_step(dial);
    return 0;
}

int dial_cancel(struct dial *dial, void (*on_closed)(struct dial *))
{
    dial->is_cancelled = 1;
    dial->on_closed = on_closed;
    loop_later_cancel(dial->loop, &dial->task);
    dial_end(dial);
    if (dial->fd >= 0)
        (void)close(dial->fd);
    dial->fd = -1;
    return dial->busy_count > 0;
}
