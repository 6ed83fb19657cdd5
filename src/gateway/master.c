/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main process: parses the configuration, opens the sockets, starts the roles and watches
 * them. After the start it reads nothing that a stranger has written.
 *
 *   SIGTERM, SIGINT  drain: workers finish, then vault and auditor; once more: at once
 *   SIGHUP           a new generation beside the old one, if the file is good
 *   SIGCHLD          replace who died
 */
#include "gateway/master.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/pool.h"
#include "crypto/digest.h"
#include "gateway/command.h"
#include "gateway/master_main.h"
#include "os/file.h"

#define MASTER_TICK_MS   200
#define MASTER_LEAVER_MS 5000
#define AUDITOR_CLOSE_MS 8000

static struct master *master_of(struct loop_signal *watch)
{
    return watch->owner;
}

/* --- the auditor --- */

static int auditor_start(struct master *master, struct err *err)
{
    const struct generation *generation = master->current != NULL ? master->current : master->next;
    struct proc_fd fd = {generation->config_fd, FD_CONFIG};
    struct child_start start = {.config_path = generation->config.path,
                                .log_level = master->log_word,
                                .fds = &fd,
                                .fd_count = 1,
                                .hidden = &generation->config.policy};

    return child_start(&master->auditor, master->auditor_starts++, &start, err);
}

void master_announce(struct master *master, unsigned worker, int fd)
{
    const struct message message = {.type = MESSAGE_PEER, .index = worker, .number = PEER_WORKER};

    if (!child_is_gone(&master->auditor))
        child_send(&master->auditor, &message, fd);
}

void master_keep_leaver(struct master *master, unsigned worker, int fd)
{
    for (size_t i = 0; i < MASTER_LEAVERS; i++) {
        if (master->leavers[i].fd >= 0)
            continue;
        master->leavers[i] = (struct master_leaver){
            .worker = worker, .fd = fd, .until_ms = master->loop.now_ms + MASTER_LEAVER_MS};
        return;
    }
    (void)close(fd);
}

static void leavers_close(struct master *master, int64_t now_ms)
{
    for (size_t i = 0; i < MASTER_LEAVERS; i++) {
        struct master_leaver *leaver = &master->leavers[i];

        if (leaver->fd < 0 || now_ms < leaver->until_ms)
            continue;
        (void)close(leaver->fd);
        leaver->fd = -1;
    }
}

static void auditor_restart(struct child *child)
{
    struct master *master = child->owner;
    struct err err;

    if (auditor_start(master, &err) < 0) {
        log_error("cannot start the auditor: %s", err.text);
        loop_deadline_set(&child->restart, 1000);
        return;
    }
    for (size_t i = 0; i < MASTER_LEAVERS; i++) {
        if (master->leavers[i].fd >= 0)
            master_announce(master, master->leavers[i].worker, master->leavers[i].fd);
    }
    for (struct list_node *node = master->generations.first; node != NULL; node = node->next)
        generation_announce(node->item);
}

/* --- generations --- */

static void listens_print(const struct generation *generation)
{
    for (size_t i = 0; i < generation->config.listen_count; i++) {
        char memory[80];
        struct address address;
        struct text out;
        struct err err;

        text_init(&out, memory, sizeof memory - 1);
        if (socket_local(generation->listen_fds[i], &address, &err) < 0)
            continue;
        socket_write_address(&out, &address);
        (void)printf("listening on %s\n", text_str(&out));
    }
    (void)fflush(stdout);
}

void master_generation_ready(struct master *master, struct generation *generation)
{
    struct generation *old = master->current;

    master->current = generation;
    master->next = NULL;
    listens_print(generation);
    log_info("policy %016llx is served by %zu workers",
             (unsigned long long)generation->config.generation, generation->worker_count);
    if (old != NULL)
        generation_drain(old);
}

static void master_stop(struct master *master);

void master_generation_failed(struct master *master, struct generation *generation)
{
    if (generation == master->next)
        master->next = NULL;
    if (master->current == NULL) {
        master->status = 1;
        master_stop(master);
    } else {
        log_error("the new configuration cannot be served; the old one stays");
    }
    generation_kill(generation);
}

void master_generation_closed(struct master *master)
{
    loop_deadline_set(&master->tick, 1);
}

static void generations_reap(struct master *master)
{
    struct list_node *next;

    for (struct list_node *node = master->generations.first; node != NULL; node = next) {
        struct generation *generation = node->item;

        next = node->next;
        if (generation->state != GENERATION_CLOSED)
            continue;
        ENSURE(generation != master->current);
        generation_free(generation);
    }
}

/* --- the end --- */

/* Nothing is left to wait for, so that the loop ends. */
static void master_close(struct master *master)
{
    while (master->generations.count > 0)
        generation_free(list_first(&master->generations));
    leavers_close(master, INT64_MAX);
    loop_deadline_clear(&master->auditor.restart);
    loop_deadline_clear(&master->tick);
    for (size_t i = 0; i < sizeof master->signals / sizeof *master->signals; i++)
        loop_signal_close(&master->signals[i]);
}

static void tick_expired(struct loop_deadline *deadline)
{
    struct master *master = deadline->owner;

    loop_deadline_set(&master->tick, MASTER_TICK_MS);
    leavers_close(master, master->loop.now_ms);
    if (!master->is_stopping)
        generations_reap(master);
    if (!master->is_stopping)
        return;
    for (struct list_node *node = master->generations.first; node != NULL; node = node->next) {
        const struct generation *generation = node->item;

        if (generation->state != GENERATION_CLOSED)
            return;
    }
    /* No worker is left: the auditor reads what is in the channels and ends. */
    master->auditor.is_ending = 1;
    if (master->auditor.state == CHILD_WAITING)
        master->auditor.state = CHILD_NONE;
    child_close(&master->auditor);
    if (master->auditor.state == CHILD_NONE)
        master_close(master);
    else if (master->loop.now_ms - master->auditor.started_ms > AUDITOR_CLOSE_MS &&
             master->is_stopping++ > AUDITOR_CLOSE_MS / MASTER_TICK_MS)
        (void)kill(master->auditor.pid, SIGKILL);
}

static void master_stop(struct master *master)
{
    struct list_node *next;
    bool at_once = master->is_stopping != 0;

    master->is_stopping = 1;
    for (struct list_node *node = master->generations.first; node != NULL; node = next) {
        next = node->next;
        if (at_once || master->status != 0)
            generation_kill(node->item);
        else
            generation_drain(node->item);
    }
    loop_deadline_set(&master->tick, 1);
}

static void on_stop(struct loop_signal *watch, int number)
{
    struct master *master = master_of(watch);

    log_info("signal %d: %s", number, master->is_stopping ? "stopping at once" : "draining");
    master_stop(master);
}

static void on_child(struct loop_signal *watch, int number)
{
    struct master *master = master_of(watch);
    struct proc_end end;

    (void)number;
    while (proc_reap(&end)) {
        int was_found = 0;

        if (end.pid == master->auditor.pid) {
            bool is_first = master->auditor.state == CHILD_STARTING && master->current == NULL;

            if (is_first)
                master->auditor.is_ending = 1;
            child_died(&master->auditor, &end);
            if (is_first && master->next != NULL)
                master_generation_failed(master, master->next);
            continue;
        }
        for (struct list_node *node = master->generations.first; node != NULL && !was_found;
             node = node->next)
            was_found = generation_child_died(node->item, &end);
    }
    if (master->is_stopping)
        loop_deadline_set(&master->tick, 1);
}

/* --- reload --- */

static bool text_is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* What a running auditor and the sandboxed processes cannot change. */
static int reload_check(const struct config *old, const struct config *next, struct err *err)
{
    const char *key = NULL;

    if (!text_is_same(old->audit.file, next->audit.file))
        key = "audit.file";
    if (!text_is_same(old->state_dir, next->state_dir))
        key = "state_dir";
    if (!text_is_same(old->user, next->user))
        key = "user";
    return key == NULL ? 0 : err_set(err, ERR_CONFIG, "a new '%s' needs a restart", key);
}

static int generation_load(struct master *master, struct err *err)
{
    struct room yaml;

    if (file_read(master->config_path, CONFIG_FILE_MAX, &yaml, err) < 0)
        return -1;
    master->next =
        generation_new(master, span_of_room(yaml), master->config_path, master->current, err);
    file_free(&yaml);
    return master->next == NULL ? -1 : 0;
}

static void on_reload(struct loop_signal *watch, int number)
{
    struct master *master = master_of(watch);
    struct err err;

    (void)number;
    if (master->is_stopping || master->current == NULL || master->next != NULL) {
        log_warning("SIGHUP: not now, the last change is still under way");
        return;
    }
    if (generation_load(master, &err) < 0) {
        log_error("SIGHUP: the old configuration stays: %s", err.text);
        return;
    }
    if (reload_check(&master->current->config, &master->next->config, &err) < 0) {
        generation_free(master->next);
        master->next = NULL;
        log_error("SIGHUP: the old configuration stays: %s", err.text);
        return;
    }
    if (generation_start(master->next, &err) < 0) {
        log_error("SIGHUP: %s", err.text);
        master_generation_failed(master, master->next);
    }
}

/* --- start --- */

static int signals_open(struct master *master, struct err *err)
{
    static const struct {
        int number;
        void (*on_signal)(struct loop_signal *, int);
    } table[] = {{SIGTERM, on_stop}, {SIGINT, on_stop}, {SIGHUP, on_reload}, {SIGCHLD, on_child}};

    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (loop_signal_open(&master->signals[i], &master->loop, table[i].number,
                             table[i].on_signal, master, err) < 0)
            return -1;
    }
    return 0;
}

static const char *log_word(enum log_level level)
{
    static const char *const words[] = {[LOG_ERROR] = "error",
                                        [LOG_WARNING] = "warning",
                                        [LOG_INFO] = "info",
                                        [LOG_DEBUG] = "debug"};

    return words[level];
}

static int master_set_up(struct master *master, const struct options *options, struct err *err)
{
    enum log_level level;

    master->config_path = options->config;
    master->next_id = 1;
    for (size_t i = 0; i < MASTER_LEAVERS; i++)
        master->leavers[i].fd = -1;
    if (proc_harden(err) < 0 || digest_setup(err) < 0)
        return -1;
    (void)proc_raise_files();
    child_init(&master->auditor, &master->loop, CHILD_AUDITOR, master);
    master->auditor.on_restart = auditor_restart;
    loop_deadline_init(&master->tick, &master->loop, tick_expired, master);
    if (generation_load(master, err) < 0)
        return -1;
    level = master->next->config.log;
    if (options->log != NULL)
        (void)log_level_read(options->log, &level);
    log_set_level(level);
    master->log_word = log_word(level);
    if (file_make_dirs(master->next->config.state_dir, 0700, err) == 0 &&
        loop_init(&master->loop, err) == 0)
        return 0;
    generation_free(master->next);
    return -1;
}

int master_serve(const struct options *options)
{
    enum log_level level;
    struct master *master;
    struct err err;
    int status;

    if (options->log != NULL && log_level_read(options->log, &level) < 0)
        return command_failed("--log: '%s' is not error, warning, info or debug", options->log) + 1;
    log_init("exeat-gateway", LOG_INFO);
    master = pool_block_new(sizeof *master);
    if (master == NULL || master_set_up(master, options, &err) < 0 ||
        signals_open(master, &err) < 0) {
        status = command_failed("%s", master == NULL ? "out of memory" : err.text);
        pool_block_free(master);
        return status;
    }
    loop_deadline_set(&master->tick, MASTER_TICK_MS);
    if (auditor_start(master, &err) < 0 || generation_start(master->next, &err) < 0) {
        log_error("%s", err.text);
        master->status = 1;
        master_stop(master);
    }
    loop_run(&master->loop);
    loop_fini(&master->loop);
    log_info("ended");
    status = master->status;
    pool_block_free(master);
    return status;
}
