/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Star wiring: main makes each pair, gives one end to the worker as a fixed descriptor and the
 * other to vault or auditor in a PEER message. Main keeps the auditor's end too, so that a record
 * in flight outlives the auditor; it keeps no end of the vault's, so that a dead vault shows.
 */
#include "gateway/master_generation.h"

#include <signal.h>
#include <unistd.h>

#include "base/pool.h"
#include "gateway/command.h"
#include "gateway/master_main.h"
#include "gateway/vault_table.h"
#include "os/disk.h"
#include "os/file.h"
#include "os/ipc.h"

#define LISTEN_BACKLOG 4096
#define DRAIN_GRACE_MS 2000 /* for a worker that was told to end */
#define CLOSE_GRACE_MS 3000 /* for a vault */
#define PEER_FD_MAX    6

static struct child_start start_of(const struct generation *generation, const struct proc_fd *fds,
                                   size_t count)
{
    return (struct child_start){.config_path = generation->config.path,
                                .log_level = generation->master->log_word,
                                .fds = fds,
                                .fd_count = count};
}

static void fd_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void fds_close(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fd_close(&fds[i]);
}

/* --- listeners --- */

/* The socket of `before` that listens where this one shall, or -1. */
static int listen_inherit(const struct generation *before, const struct config_listen *listen)
{
    if (before == NULL)
        return -1;
    for (size_t i = 0; i < before->config.listen_count; i++) {
        const struct address *address = &before->config.listens[i].address;

        if (address->len == listen->address.len &&
            memcmp(&address->any, &listen->address.any, address->len) == 0)
            return dup(before->listen_fds[i]);
    }
    return -1;
}

static int listens_open(struct generation *generation, const struct generation *before,
                        struct err *err)
{
    const struct config *config = &generation->config;

    if (config->listen_count > GENERATION_LISTENS)
        return err_set(err, ERR_CONFIG, "more than %d listeners", GENERATION_LISTENS);
    for (size_t i = 0; i < config->listen_count; i++) {
        int *fd = &generation->listen_fds[i];

        *fd = listen_inherit(before, &config->listens[i]);
        if (*fd < 0)
            *fd = socket_listen(&config->listens[i].address, LISTEN_BACKLOG, err);
        if (*fd < 0)
            return -1;
    }
    return 0;
}

/* --- channels --- */

/* A pair between a worker and the vault: one end is sent, *other is the caller's. */
static int vault_pair(struct generation *generation, unsigned worker, enum message_peer peer,
                      int *other, struct err *err)
{
    const struct message message = {.type = MESSAGE_PEER, .index = worker, .number = peer};
    int pair[2];

    if (ipc_pair(pair, err) < 0)
        return -1;
    child_send(&generation->vault, &message, pair[1]);
    (void)close(pair[1]);
    *other = pair[0];
    return 0;
}

/* A worker that is running gets channels to a vault that is new. */
static void vault_attach(struct generation *generation, struct child *worker)
{
    static const enum message_peer peers[2][2] = {{PEER_WORKER, PEER_VAULT},
                                                  {PEER_WORKER_SIGN, PEER_VAULT_SIGN}};
    struct err err;

    for (size_t i = 0; i < 2; i++) {
        struct message message = {.type = MESSAGE_PEER, .index = worker->id, .number = peers[i][1]};
        int fd;

        if (vault_pair(generation, worker->id, peers[i][0], &fd, &err) < 0) {
            log_error("worker %u: no channel to the vault: %s", worker->id, err.text);
            return;
        }
        child_send(worker, &message, fd);
        (void)close(fd);
    }
}

/* --- children --- */

static void start_failed(struct child *child, const struct err *err)
{
    log_error("cannot start a %s: %s", child_kind_name(child->kind), err->text);
    child->state = CHILD_WAITING;
    loop_deadline_set(&child->restart, 1000);
}

static int vault_start(struct generation *generation, struct err *err)
{
    const struct proc_fd fds[] = {{generation->config_fd, FD_CONFIG},
                                  {generation->table_fd, FD_VAULT_TABLE}};
    struct child_start start = start_of(generation, fds, 2);

    return child_start(&generation->vault, generation->master->next_id++, &start, err);
}

static void vault_restart(struct child *child)
{
    struct generation *generation = child->owner;
    struct err err;

    if (vault_start(generation, &err) < 0) {
        start_failed(child, &err);
        return;
    }
    for (size_t i = 0; i < generation->worker_count; i++) {
        if (!child_is_gone(&generation->workers[i]))
            vault_attach(generation, &generation->workers[i]);
    }
}

/* vault, sign, auditor (worker's end), auditor (its own end) */
static int worker_channels(struct generation *generation, unsigned id, int fds[4], struct err *err)
{
    int audit[2];

    if (vault_pair(generation, id, PEER_WORKER, &fds[0], err) < 0 ||
        vault_pair(generation, id, PEER_WORKER_SIGN, &fds[1], err) < 0 || ipc_pair(audit, err) < 0)
        return -1;
    fds[2] = audit[0];
    fds[3] = audit[1];
    return 0;
}

static int worker_start(struct generation *generation, struct child *child, struct err *err)
{
    unsigned id = generation->master->next_id;
    int channels[4] = {-1, -1, -1, -1};
    struct proc_fd fds[PEER_FD_MAX + GENERATION_LISTENS];
    struct child_start start;
    size_t count = 0;
    int result = -1;

    if (worker_channels(generation, id, channels, err) < 0)
        goto done;
    fds[count++] = (struct proc_fd){generation->config_fd, FD_CONFIG};
    fds[count++] = (struct proc_fd){channels[0], FD_VAULT};
    fds[count++] = (struct proc_fd){channels[1], FD_SIGN};
    fds[count++] = (struct proc_fd){channels[2], FD_AUDITOR};
    for (size_t i = 0; i < generation->config.listen_count; i++)
        fds[count++] = (struct proc_fd){generation->listen_fds[i], FD_LISTEN + (int)i};
    start = start_of(generation, fds, count);
    start.hidden = &generation->config.policy;
    result = child_start(child, generation->master->next_id++, &start, err);
    if (result == 0) {
        child->audit_fd = channels[3];
        channels[3] = -1;
        master_announce(generation->master, id, child->audit_fd);
    }
done:
    fds_close(channels, 4);
    return result;
}

static void worker_restart(struct child *child)
{
    struct err err;

    if (worker_start(child->owner, child, &err) < 0)
        start_failed(child, &err);
}

static void child_is_ready(struct child *child)
{
    struct generation *generation = child->owner;

    if (generation->state != GENERATION_STARTING || generation->vault.state != CHILD_READY)
        return;
    for (size_t i = 0; i < generation->worker_count; i++) {
        if (generation->workers[i].state != CHILD_READY)
            return;
    }
    generation->state = GENERATION_SERVING;
    master_generation_ready(generation->master, generation);
}

static void children_end(struct generation *generation)
{
    generation->vault.is_ending = 1;
    for (size_t i = 0; i < generation->worker_count; i++)
        generation->workers[i].is_ending = 1;
}

static size_t workers_alive(const struct generation *generation)
{
    size_t count = 0;

    for (size_t i = 0; i < generation->worker_count; i++)
        count += !child_is_gone(&generation->workers[i]);
    return count;
}

/* Its workers are gone: then its vault. */
static void generation_check(struct generation *generation)
{
    if (generation->state == GENERATION_DRAINING && workers_alive(generation) == 0) {
        generation->state = GENERATION_CLOSING;
        child_close(&generation->vault);
        loop_deadline_set(&generation->give_up, CLOSE_GRACE_MS);
    }
    if (generation->state == GENERATION_CLOSING && child_is_gone(&generation->vault)) {
        generation->state = GENERATION_CLOSED;
        loop_deadline_clear(&generation->give_up);
        master_generation_closed(generation->master);
    }
}

static void give_up_expired(struct loop_deadline *deadline)
{
    struct generation *generation = deadline->owner;

    log_warning("some processes did not end in time; they are killed");
    generation_kill(generation);
}

void generation_drain(struct generation *generation)
{
    const struct message message = {.type = MESSAGE_DRAIN,
                                    .number = (uint64_t)generation->config.timeouts.drain_ms};

    if (generation->state >= GENERATION_DRAINING)
        return;
    generation->state = GENERATION_DRAINING;
    /* Else the kernel would go on accepting, with nobody to answer; a next generation has its own.
     */
    fds_close(generation->listen_fds, GENERATION_LISTENS);
    children_end(generation);
    generation->vault.is_ending = 0; /* the workers still need one */
    for (size_t i = 0; i < generation->worker_count; i++)
        child_send(&generation->workers[i], &message, -1);
    loop_deadline_set(&generation->give_up, generation->config.timeouts.drain_ms + DRAIN_GRACE_MS);
    generation_check(generation);
}

void generation_kill(struct generation *generation)
{
    children_end(generation);
    for (size_t i = 0; i < generation->worker_count; i++) {
        if (!child_is_gone(&generation->workers[i]))
            (void)kill(generation->workers[i].pid, SIGKILL);
    }
    if (!child_is_gone(&generation->vault))
        (void)kill(generation->vault.pid, SIGKILL);
    if (generation->state < GENERATION_DRAINING)
        generation->state = GENERATION_DRAINING;
    generation_check(generation);
}

static void worker_died(struct generation *generation, struct child *worker,
                        const struct proc_end *end)
{
    if (worker->audit_fd >= 0)
        master_keep_leaver(generation->master, worker->id, worker->audit_fd);
    worker->audit_fd = -1;
    child_died(worker, end);
}

int generation_child_died(struct generation *generation, const struct proc_end *end)
{
    struct child *found = generation->vault.pid == end->pid ? &generation->vault : NULL;

    for (size_t i = 0; i < generation->worker_count && found == NULL; i++) {
        if (generation->workers[i].pid == end->pid)
            found = &generation->workers[i];
    }
    if (found == NULL)
        return 0;
    if (generation->state == GENERATION_CLOSING)
        generation->vault.is_ending = 1;
    if (generation->state == GENERATION_STARTING)
        children_end(generation);
    if (found->kind == CHILD_WORKER)
        worker_died(generation, found, end);
    else
        child_died(found, end);
    if (generation->state == GENERATION_STARTING)
        master_generation_failed(generation->master, generation);
    else
        generation_check(generation);
    return 1;
}

void generation_announce(struct generation *generation)
{
    for (size_t i = 0; i < generation->worker_count; i++) {
        if (generation->workers[i].audit_fd >= 0)
            master_announce(generation->master, generation->workers[i].id,
                            generation->workers[i].audit_fd);
    }
}

static size_t worker_count_of(const struct config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = config->workers;

    if (count == 0)
        count = cores < 1 ? 1 : (size_t)cores;
    return count > GENERATION_WORKERS ? GENERATION_WORKERS : count;
}

static int generation_set_up(struct generation *generation, struct span yaml,
                             const struct generation *before, struct err *err)
{
    struct master *master = generation->master;

    if (listens_open(generation, before, err) < 0)
        return -1;
    generation->config_fd = file_sealed("exeat-config", yaml, err);
    if (generation->config_fd < 0)
        return -1;
    generation->table_fd = disk_new_shared("exeat-sessions", VAULT_TABLE_BYTES, err);
    if (generation->table_fd < 0)
        return -1;
    child_init(&generation->vault, &master->loop, CHILD_VAULT, generation);
    generation->vault.on_ready = child_is_ready;
    generation->vault.on_restart = vault_restart;
    generation->worker_count = worker_count_of(&generation->config);
    for (size_t i = 0; i < generation->worker_count; i++) {
        child_init(&generation->workers[i], &master->loop, CHILD_WORKER, generation);
        generation->workers[i].on_ready = child_is_ready;
        generation->workers[i].on_restart = worker_restart;
    }
    loop_deadline_init(&generation->give_up, &master->loop, give_up_expired, generation);
    return 0;
}

static int config_parse(struct generation *generation, struct span yaml, const char *path,
                        struct err *err)
{
    struct config_errors *errors = pool_block_new(sizeof *errors);
    int result;

    if (errors == NULL)
        return err_set(err, ERR_MEMORY, "no memory for the configuration");
    config_errors_init(errors);
    result = config_read(&generation->config, yaml, path, errors);
    if (result == 0 && config_check_files(&generation->config, errors) < 0) {
        config_fini(&generation->config);
        result = -1;
    }
    command_errors_print(errors);
    if (result < 0)
        result = err_set(err, ERR_CONFIG, "%zu errors in %.80s", errors->errors.total, path);
    pool_block_free(errors);
    return result;
}

struct generation *generation_new(struct master *master, struct span yaml, const char *path,
                                  struct generation *before, struct err *err)
{
    struct generation *generation = pool_block_new(sizeof *generation);

    if (generation == NULL) {
        err_set(err, ERR_MEMORY, "no memory for a configuration");
        return NULL;
    }
    generation->master = master;
    generation->config_fd = -1;
    generation->table_fd = -1;
    for (size_t i = 0; i < GENERATION_LISTENS; i++)
        generation->listen_fds[i] = -1;
    if (config_parse(generation, yaml, path, err) < 0) {
        pool_block_free(generation);
        return NULL;
    }
    list_add_last(&master->generations, &generation->node, generation);
    if (generation_set_up(generation, yaml, before, err) == 0)
        return generation;
    generation_free(generation);
    return NULL;
}

int generation_start(struct generation *generation, struct err *err)
{
    if (vault_start(generation, err) < 0)
        return -1;
    for (size_t i = 0; i < generation->worker_count; i++) {
        if (worker_start(generation, &generation->workers[i], err) < 0)
            return -1;
    }
    return 0;
}

void generation_free(struct generation *generation)
{
    for (size_t i = 0; i < generation->worker_count; i++) {
        child_close(&generation->workers[i]);
        loop_deadline_clear(&generation->workers[i].restart);
        fd_close(&generation->workers[i].audit_fd);
    }
    if (generation->vault.loop != NULL) {
        child_close(&generation->vault);
        loop_deadline_clear(&generation->vault.restart);
    }
    if (generation->give_up.loop != NULL)
        loop_deadline_clear(&generation->give_up);
    fds_close(generation->listen_fds, GENERATION_LISTENS);
    fd_close(&generation->config_fd);
    fd_close(&generation->table_fd);
    list_remove(&generation->master->generations, &generation->node);
    config_fini(&generation->config);
    pool_block_free(generation);
}
