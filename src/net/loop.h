/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_NET_LOOP_H
#define EXEAT_NET_LOOP_H

#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/list.h"

/*
 * The event loop: one per process, one thread. Memory of anything the loop knows is freed only in
 * its reap step, after all events of the tick.
 */
struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_idle_t idle; /* active only while tasks are left over: the loop must not sleep */
    uv_timer_t tick;
    struct list deadlines; /* of struct loop_deadline */
    int64_t soonest_ms;    /* none of them is before */
    struct list later;     /* of struct loop_task */
    struct list changed;   /* of struct loop_watch: their interest is to be told to the kernel */
    struct list_node *sweep_next;
    size_t open_count; /* watches and signals not reaped yet */
    int64_t now_ms;    /* monotonic, read once per tick */
    int is_stopping;
};

int loop_init(struct loop *loop, struct err *err);
/* Everything must be closed; what waits for its reap step is reaped here. */
void loop_fini(struct loop *loop);

/* Until loop_stop() or nothing is left to wait for. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* --- readiness of a descriptor --- */

#define LOOP_READ  1u
#define LOOP_WRITE 2u

struct loop_watch {
    uv_poll_t poll;        /* private */
    struct list_node node; /* private: in loop->changed */
    unsigned applied;      /* private: the interest that the kernel knows */
    struct loop *loop;
    int fd; /* closed by loop_watch_close(), not by loop_watch_release(); -1 after either */
    unsigned interest;
    /* `ready` has LOOP_READ and/or LOOP_WRITE; an error or hang-up sets both of the interest. */
    void (*on_ready)(struct loop_watch *watch, unsigned ready);
    void (*on_closed)(struct loop_watch *watch);
    void *owner; /* borrowed */
    int is_open;
};

/* `fd` is non-blocking; it stays the caller's if this fails. Interest is empty at first. */
int loop_watch_open(struct loop_watch *watch, struct loop *loop, int fd,
                    void (*on_ready)(struct loop_watch *, unsigned), void *owner, struct err *err);

/* Costs a system call only if the interest changes (and then at the next wait). */
void loop_watch_set(struct loop_watch *watch, unsigned interest);

/*
 * Stop watching and close the descriptor. `on_closed` (may be NULL) is called in the reap step;
 * until then the memory must stay. Never calls back before it returns.
 */
void loop_watch_close(struct loop_watch *watch, void (*on_closed)(struct loop_watch *));

/* The same, but the descriptor stays open: it is returned, the caller's now. */
int loop_watch_release(struct loop_watch *watch, void (*on_closed)(struct loop_watch *));

/* --- one deadline --- */

/* Resolution 100 ms. Costs nothing to move. Must be cleared before its memory goes. */
struct loop_deadline {
    struct list_node node;
    struct loop *loop;
    int64_t at_ms; /* 0: not set */
    void (*on_expired)(struct loop_deadline *deadline);
    void *owner; /* borrowed */
};

void loop_deadline_init(struct loop_deadline *deadline, struct loop *loop,
                        void (*on_expired)(struct loop_deadline *), void *owner);
/* `in_ms` > 0 from now; replaces what was set. */
void loop_deadline_set(struct loop_deadline *deadline, int64_t in_ms);
void loop_deadline_clear(struct loop_deadline *deadline);

/* --- work at the end of the tick --- */

/*
 * Runs once, after all events of this tick and before the next wait; so does what a task queues,
 * up to a bound, after which the loop looks at its descriptors without waiting. Queueing a queued
 * task changes nothing. The struct is zeroed at first.
 */
struct loop_task {
    struct list_node node;
    void (*run)(struct loop_task *task);
    void *owner; /* borrowed */
    int is_queued;
};
void loop_later(struct loop *loop, struct loop_task *task, void (*run)(struct loop_task *),
                void *owner);
void loop_later_cancel(struct loop *loop, struct loop_task *task);

/* --- signals and children --- */

struct loop_signal {
    uv_signal_t signal; /* private */
    struct loop *loop;
    void (*on_signal)(struct loop_signal *signal, int number);
    void *owner;
};
/* SIGCHLD as well: reap with waitpid() in the callback. An open signal keeps loop_run() going. */
int loop_signal_open(struct loop_signal *signal, struct loop *loop, int number,
                     void (*on_signal)(struct loop_signal *, int), void *owner, struct err *err);
/*
 * The memory must stay until the reap step of this tick, or loop_fini(); so it must when
 * loop_signal_open() failed, which closes it.
 */
void loop_signal_close(struct loop_signal *signal);

#endif
