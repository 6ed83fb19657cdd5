/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_MASTER_CHILD_H
#define EXEAT_GATEWAY_MASTER_CHILD_H

#include "gateway/messages.h"
#include "net/loop.h"
#include "os/proc.h"
#include "os/proc_reap.h"
#include "policy/rule.h"

/*
 * One place of main's table of processes: a role that is kept running. When its process dies
 * another is started in its place, at once if it had lived for a while, else later and later.
 */
enum child_kind { CHILD_VAULT, CHILD_AUDITOR, CHILD_WORKER };

enum child_state {
    CHILD_NONE,     /* no process */
    CHILD_STARTING, /* until READY */
    CHILD_READY,
    CHILD_WAITING, /* until its next start */
};

struct child {
    enum child_kind kind;
    enum child_state state;
    unsigned id; /* of the process: never used again */
    pid_t pid;
    int is_ending;           /* not to be replaced */
    int audit_fd;            /* of a worker: the auditor's end of its channel; -1 */
    struct child_link *link; /* owned: the control channel; NULL */
    struct loop *loop;       /* borrowed */
    struct loop_deadline restart;
    int64_t started_ms;
    int64_t delay_ms;
    void (*on_ready)(struct child *child);
    void (*on_restart)(struct child *child); /* start the next process now */
    void *owner;                             /* borrowed: generation, or main for the auditor */
};

void child_init(struct child *child, struct loop *loop, enum child_kind kind, void *owner);

/* How to start it. */
struct child_start {
    const char *config_path;
    const char *log_level;
    const struct proc_fd *fds; /* besides the control channel */
    size_t fd_count;
    const struct policy *hidden; /* whose variables the child must not see; NULL: all are seen */
};

/* Start a process with this id. -1 with *err: nothing was started. */
int child_start(struct child *child, unsigned id, const struct child_start *start, struct err *err);

/* Send over its control channel. What cannot be sent is logged: the child is dying. */
void child_send(struct child *child, const struct message *message, int pass_fd);

/* Close its control channel: vault and auditor end then. */
void child_close(struct child *child);

/* Its process has ended with this wait status: log it, and plan the next start. */
void child_died(struct child *child, const struct proc_end *end);

const char *child_kind_name(enum child_kind kind);

/* No process, and none planned. */
static inline bool child_is_gone(const struct child *child)
{
    return child->state == CHILD_NONE || child->state == CHILD_WAITING;
}

#endif
