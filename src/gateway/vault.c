/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vault's process: a port to each worker, and a tick that looks for sessions that are over and
 * for credentials that have changed. See vault_answer.c for what it gives to whom.
 */
#include "gateway/vault.h"

#include <unistd.h>

#include "base/pool.h"
#include "gateway/role.h"
#include "gateway/vault_port.h"
#include "os/clock.h"
#include "os/disk.h"
#include "os/proc.h"
#include "os/sandbox.h"

#define VAULT_WORKERS      256
#define VAULT_POLL_MS      500
#define VAULT_REFRESH_POLL 4 /* polls between two looks at the files of credentials */
#define VAULT_SETTLE_MS    2000

struct vault_worker {
    struct vault *vault; /* borrowed */
    unsigned id;
    struct vault_port questions;
    struct vault_port sign;
    int ports_closing; /* the loop still knows them */
    enum { WORKER_FREE, WORKER_OPEN, WORKER_CLOSING } state;
};

struct vault {
    struct role role;
    struct loop loop;
    struct loop_watch control;
    struct loop_deadline poll;
    struct vault_keys keys;
    struct vault_table table;
    struct session_store *store;
    struct mint_budget mints;
    struct vault_answers answers;
    struct vault_worker workers[VAULT_WORKERS];
    int64_t store_version;
    unsigned polls;
    int64_t settled_ms; /* from then on, who is not announced is gone */
    uint8_t room[MESSAGE_MAX];
};

static struct vault_worker *worker_find(struct vault *vault, unsigned id)
{
    for (size_t i = 0; i < VAULT_WORKERS; i++) {
        if (vault->workers[i].state == WORKER_OPEN && vault->workers[i].id == id)
            return &vault->workers[i];
    }
    return NULL;
}

static void port_closed(struct loop_watch *watch)
{
    struct vault_port *port = watch->owner;
    struct vault_worker *worker = port->owner;

    if (--worker->ports_closing == 0)
        worker->state = WORKER_FREE;
}

static void port_close(struct vault_worker *worker, struct vault_port *port)
{
    if (!port->watch.is_open)
        return;
    port->is_open = 0;
    worker->ports_closing++;
    loop_watch_close(&port->watch, port_closed);
}

/* Either channel has ended: the worker is gone, or not to be trusted. */
static void worker_end(struct vault_port *port)
{
    struct vault_worker *worker = port->owner;

    if (worker->state != WORKER_OPEN)
        return;
    worker->state = WORKER_CLOSING;
    vault_table_remove_worker(&worker->vault->table, worker->id);
    port_close(worker, &worker->questions);
    port_close(worker, &worker->sign);
}

static struct vault_worker *worker_new(struct vault *vault, unsigned id)
{
    for (size_t i = 0; i < VAULT_WORKERS; i++) {
        struct vault_worker *worker = &vault->workers[i];

        if (worker->state != WORKER_FREE)
            continue;
        *worker = (struct vault_worker){.vault = vault, .id = id, .state = WORKER_OPEN};
        return worker;
    }
    return NULL;
}

/* Takes fd. */
static void worker_announced(struct vault *vault, unsigned id, enum vault_port_kind kind, int fd)
{
    struct vault_worker *worker = worker_find(vault, id);
    struct vault_port *port;
    struct err err;

    if (worker == NULL)
        worker = worker_new(vault, id);
    port = worker == NULL                 ? NULL
           : kind == VAULT_PORT_QUESTIONS ? &worker->questions
                                          : &worker->sign;
    if (port == NULL || port->is_open) {
        log_error("worker %u: %s", id, port == NULL ? "too many workers" : "announced twice");
        (void)close(fd);
        return;
    }
    port->answers = &vault->answers;
    port->kind = kind;
    port->asker.worker = id;
    port->on_end = worker_end;
    port->owner = worker;
    if (vault_port_open(port, &vault->loop, fd, &err) < 0)
        log_error("worker %u: %s", id, err.text);
}

static void control_ready(struct loop_watch *watch, unsigned ready)
{
    struct vault *vault = watch->owner;
    struct room room = {.ptr = vault->room, .len = sizeof vault->room};
    struct message message;
    struct err err;
    int passed_fd = -1;
    int result;

    (void)ready;
    while ((result = message_recv(FD_CONTROL, SENDER_MAIN, room, &message, &passed_fd, &err)) > 0) {
        bool is_peer = message.type == MESSAGE_PEER && passed_fd >= 0;

        if (is_peer && message.number == PEER_WORKER)
            worker_announced(vault, message.index, VAULT_PORT_QUESTIONS, passed_fd);
        else if (is_peer && message.number == PEER_WORKER_SIGN)
            worker_announced(vault, message.index, VAULT_PORT_SIGN, passed_fd);
        else if (passed_fd >= 0)
            (void)close(passed_fd);
    }
    if (result < 0)
        loop_stop(&vault->loop);
}

/* What was marked as over is told; what cannot be told yet stays marked for the next poll. */
static void ended_tell(struct vault *vault)
{
    struct list_node *next;

    for (struct list_node *node = vault->table.used.first; node != NULL; node = next) {
        struct vault_entry *entry = node->item;
        struct vault_worker *worker;
        struct message message = {
            .type = MESSAGE_SESSION_END, .code = entry->end, .a = vault_entry_id(entry)};

        next = node->next;
        worker = worker_find(vault, entry->row->worker);
        if (worker == NULL && vault->loop.now_ms >= vault->settled_ms)
            vault_table_remove(&vault->table, entry);
        if (worker == NULL || entry->end == ERR_OK || !worker->questions.is_open)
            continue;
        if (vault_port_tell(&worker->questions, &message) != 0)
            vault_table_remove(&vault->table, entry);
    }
}

static void sessions_check(struct vault *vault)
{
    struct session_store *changed = NULL;
    struct err err;
    int64_t version;

    if (session_store_version(vault->store, &version, &err) < 0)
        log_error("%s", err.text);
    else if (version != vault->store_version)
        changed = vault->store;
    if (vault_table_check(&vault->table, changed, clock_wall_ms(), &err) < 0)
        log_error("%s", err.text); /* the version stays old: again at the next poll */
    else if (changed != NULL)
        vault->store_version = version;
    ended_tell(vault);
}

static void credentials_check(struct vault *vault)
{
    if (vault_keys_refresh(&vault->keys) == 0)
        return;
    for (struct list_node *node = vault->table.used.first; node != NULL; node = node->next) {
        struct vault_entry *entry = node->item;
        struct vault_worker *worker = worker_find(vault, entry->row->worker);
        struct message message = {.type = MESSAGE_FORGET, .a = vault_entry_id(entry)};

        /* A worker whose queue is full does not learn of it; its sessions still end in time. */
        if (worker != NULL && worker->questions.is_open &&
            vault_port_tell(&worker->questions, &message) == 0)
            log_warning("worker %u: busy, keeps an old credential", worker->id);
    }
}

static void poll_expired(struct loop_deadline *deadline)
{
    struct vault *vault = deadline->owner;

    loop_deadline_set(&vault->poll, VAULT_POLL_MS);
    sessions_check(vault);
    if (++vault->polls % VAULT_REFRESH_POLL == 0)
        credentials_check(vault);
}

static int store_open(struct vault *vault, struct err *err)
{
    char path[4096];
    int len =
        snprintf(path, sizeof path, "%s/%s", vault->role.config.state_dir, SESSION_STORE_FILE);

    if (len < 0 || len >= (int)sizeof path)
        return err_set(err, ERR_CONFIG, "state_dir: the path is too long");
    vault->store = session_store_open(path, SESSION_STORE_WRITE, err); /* so that it is there */
    if (vault->store == NULL)
        return -1;
    session_store_close(vault->store);
    vault->store = session_store_open(path, SESSION_STORE_READ, err);
    return vault->store == NULL ? -1 : 0;
}

static int table_open(struct vault *vault, struct err *err)
{
    struct room memory;

    if (disk_map_shared(FD_VAULT_TABLE, VAULT_TABLE_BYTES, &memory, err) < 0)
        return -1;
    disk_close(FD_VAULT_TABLE);
    return vault_table_init(&vault->table, memory, err);
}

static int vault_set_up(struct vault *vault, int argc, char **argv, struct err *err)
{
    if (role_start(&vault->role, "vault", argc, argv, err) < 0)
        return -1;
    if (vault_keys_init(&vault->keys, &vault->role.config, err) < 0 || store_open(vault, err) < 0 ||
        table_open(vault, err) < 0 ||
        mint_budget_init(&vault->mints, vault->role.config.limits.leaves_per_second, err) < 0)
        return -1;
    if (vault->role.config.user != NULL && geteuid() == 0 &&
        proc_drop_to(vault->role.config.user, err) < 0)
        return -1;
    vault->answers = (struct vault_answers){.config = &vault->role.config,
                                            .keys = &vault->keys,
                                            .table = &vault->table,
                                            .mints = &vault->mints,
                                            .store = vault->store};
    if (loop_init(&vault->loop, err) < 0 ||
        loop_watch_open(&vault->control, &vault->loop, FD_CONTROL, control_ready, vault, err) < 0)
        return -1;
    loop_watch_set(&vault->control, LOOP_READ);
    vault->settled_ms = clock_mono_ms() + VAULT_SETTLE_MS;
    loop_deadline_init(&vault->poll, &vault->loop, poll_expired, vault);
    loop_deadline_set(&vault->poll, 1);
    if (sandbox_enter(SANDBOX_VAULT, err) < 0)
        return -1;
    return role_ready(err);
}

int vault_main(int argc, char **argv)
{
    struct vault *vault = pool_block_new(sizeof *vault);
    struct err err;
    int status = 0;

    if (vault == NULL)
        return 1;
    if (vault_set_up(vault, argc, argv, &err) < 0) {
        log_error("cannot start: %s", err.text);
        status = 1;
    } else {
        loop_run(&vault->loop);
    }
    vault_keys_fini(&vault->keys);
    return status;
}
