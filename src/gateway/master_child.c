/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, hearing and replacing one child. */
#include "gateway/master_child.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/pool.h"
#include "os/ipc.h"
#include "os/log.h"

#define CHILD_FDS         32
#define CHILD_STEADY_MS   10000 /* who has lived this long did not crash at its start */
#define CHILD_DELAY_FIRST 100
#define CHILD_DELAY_MAX   5000

/* main's end of a control channel; the loop keeps it until its watch is reaped. */
struct child_link {
    struct loop_watch watch;
    struct child *child; /* borrowed; NULL after the child has let go */
    uint8_t room[MESSAGE_MAX];
};

static const char *const kind_names[] = {
    [CHILD_VAULT] = "vault", [CHILD_AUDITOR] = "auditor", [CHILD_WORKER] = "worker"};

const char *child_kind_name(enum child_kind kind)
{
    return kind_names[kind];
}

static void restart_expired(struct loop_deadline *deadline)
{
    struct child *child = deadline->owner;

    if (child->state == CHILD_WAITING)
        child->on_restart(child);
}

void child_init(struct child *child, struct loop *loop, enum child_kind kind, void *owner)
{
    *child = (struct child){.kind = kind, .audit_fd = -1, .loop = loop, .owner = owner};
    loop_deadline_init(&child->restart, loop, restart_expired, child);
}

static void link_closed(struct loop_watch *watch)
{
    pool_block_free(watch->owner);
}

static void link_ready(struct loop_watch *watch, unsigned ready)
{
    struct child_link *link = watch->owner;
    struct room room = {.ptr = link->room, .len = sizeof link->room};
    struct message message;
    struct err err;
    int result = 0;

    (void)ready;
    while (link->child != NULL &&
           (result = message_recv(watch->fd, SENDER_CHILD, room, &message, NULL, &err)) > 0) {
        struct child *child = link->child;

        if (message.type != MESSAGE_READY || child->state != CHILD_STARTING)
            continue;
        child->state = CHILD_READY;
        if (child->on_ready != NULL)
            child->on_ready(child);
    }
    if (result < 0)
        loop_watch_set(watch, 0); /* its end comes as SIGCHLD */
}

static struct child_link *link_new(struct child *child, int fd, struct err *err)
{
    struct child_link *link = pool_block_new(sizeof *link);

    if (link == NULL) {
        err_set(err, ERR_MEMORY, "no memory for a control channel");
        return NULL;
    }
    if (loop_watch_open(&link->watch, child->loop, fd, link_ready, link, err) < 0) {
        pool_block_free(link);
        return NULL;
    }
    link->child = child;
    loop_watch_set(&link->watch, LOOP_READ);
    return link;
}

/* Only the vault sees the variables that hold credentials. */
static char **environment_without_credentials(const struct policy *policy)
{
    size_t count = 0;
    size_t kept = 0;
    char **clean;

    while (environ != NULL && environ[count] != NULL)
        count++;
    clean = pool_block_new((count + 1) * sizeof *clean);
    for (size_t i = 0; clean != NULL && i < count; i++) {
        struct span variable = span_text(environ[i]);
        bool is_secret = false;

        for (size_t j = 0; j < policy->credential_count; j++) {
            struct span name = policy->credentials[j].env;

            is_secret |= name.len > 0 && span_starts(variable, name) && variable.len > name.len &&
                         variable.ptr[name.len] == '=';
        }
        if (!is_secret)
            clean[kept++] = environ[i];
    }
    return clean;
}

static pid_t spawn_hiding(char *const argv[], const struct proc_fd *fds, size_t count,
                          const struct child_start *start, enum proc_tie tie, struct err *err)
{
    char **whole = environ;
    char **clean;
    pid_t pid;

    if (start->hidden == NULL)
        return proc_spawn_self(argv, fds, count, tie, err);
    clean = environment_without_credentials(start->hidden);
    if (clean == NULL)
        return err_set(err, ERR_MEMORY, "no memory for an environment");
    environ = clean;
    pid = proc_spawn_self(argv, fds, count, tie, err);
    environ = whole;
    pool_block_free(clean);
    return pid;
}

static pid_t process_start(const struct child *child, const struct child_start *start,
                           int control_fd, struct err *err)
{
    struct proc_fd fds[CHILD_FDS] = {{.from = control_fd, .to = FD_CONTROL}};
    char role[32];
    char id[32];
    char path[4200];
    char log[32];
    char program[] = "exeat-gateway";
    char *const argv[] = {program, role, id, path, log, NULL};
    /* The auditor ends by itself when main is gone, after what is still in its channels. */
    enum proc_tie tie = child->kind == CHILD_AUDITOR ? PROC_FREE : PROC_TIED;

    ENSURE(start->fd_count < CHILD_FDS);
    for (size_t i = 0; i < start->fd_count; i++)
        fds[i + 1] = start->fds[i];
    (void)snprintf(role, sizeof role, "--role=%s", kind_names[child->kind]);
    (void)snprintf(id, sizeof id, "--id=%u", child->id);
    (void)snprintf(log, sizeof log, "--log=%s", start->log_level);
    if (snprintf(path, sizeof path, "--config-path=%s", start->config_path) >= (int)sizeof path)
        return err_set(err, ERR_CONFIG, "the path of the configuration is too long");
    return spawn_hiding(argv, fds, start->fd_count + 1, start, tie, err);
}

int child_start(struct child *child, unsigned id, const struct child_start *start, struct err *err)
{
    int control[2];

    ENSURE(child_is_gone(child) && child->link == NULL);
    if (ipc_pair(control, err) < 0)
        return -1;
    child->id = id;
    child->link = link_new(child, control[0], err);
    if (child->link == NULL) {
        (void)close(control[0]);
        (void)close(control[1]);
        return -1;
    }
    child->pid = process_start(child, start, control[1], err);
    (void)close(control[1]);
    if (child->pid < 0) {
        child_close(child);
        return -1;
    }
    child->state = CHILD_STARTING;
    child->started_ms = child->loop->now_ms;
    log_debug("%s %u: process %d", kind_names[child->kind], id, (int)child->pid);
    return 0;
}

void child_send(struct child *child, const struct message *message, int pass_fd)
{
    struct err err;

    if (child->link == NULL)
        return;
    if (message_send(child->link->watch.fd, message, pass_fd, &err) <= 0)
        log_debug("%s %u does not take messages any more", kind_names[child->kind], child->id);
}

void child_close(struct child *child)
{
    struct child_link *link = child->link;

    if (link == NULL)
        return;
    child->link = NULL;
    link->child = NULL;
    loop_watch_close(&link->watch, link_closed);
}

static void death_log(const struct child *child, const struct proc_end *end)
{
    const char *name = kind_names[child->kind];
    bool is_good = end->signal == 0 && end->status == 0;
    bool is_ours = end->signal == SIGKILL;

    if (child->is_ending && (is_good || is_ours))
        log_debug("%s %u: ended", name, child->id);
    else if (end->signal != 0)
        log_error("%s %u: killed by signal %d", name, child->id, end->signal);
    else
        log_error("%s %u: ended with status %d", name, child->id, end->status);
}

void child_died(struct child *child, const struct proc_end *end)
{
    death_log(child, end);
    child_close(child);
    child->pid = 0;
    if (child->is_ending) {
        child->state = CHILD_NONE;
        return;
    }
    if (child->loop->now_ms - child->started_ms >= CHILD_STEADY_MS)
        child->delay_ms = 0;
    child->state = CHILD_WAITING;
    loop_deadline_set(&child->restart, child->delay_ms > 0 ? child->delay_ms : 1);
    child->delay_ms = child->delay_ms == 0 ? CHILD_DELAY_FIRST : 2 * child->delay_ms;
    if (child->delay_ms > CHILD_DELAY_MAX)
        child->delay_ms = CHILD_DELAY_MAX;
}
