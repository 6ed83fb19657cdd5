/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeper: the listening socket stays open from start to end, so a worker that dies costs its own
 * connections and nothing else: new ones wait in the kernel's queue for the next worker. The
 * token goes to a worker only after that has said that it is hardened.
 */
#include "relay/keeper.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "net/socket.h"
#include "os/clock.h"
#include "os/ipc.h"
#include "os/proc.h"
#include "os/proc_reap.h"
#include "relay/order.h"
#include "relay/setup.h"
#include "relay/state.h"

#define BACKLOG            1024
#define QUICK_MS           1000 /* a worker that lives shorter counts as crashing */
#define QUICK_FREE         5    /* deaths in a row that are answered at once */
#define RESPAWN_MIN_MS     100
#define RESPAWN_MAX_MS     5000
#define WORKER_PATIENCE_MS 5000

/* --- the worker --- */

static void on_order_ready(struct loop_watch *watch, unsigned ready)
{
    struct keeper *keeper = watch->owner;
    struct err err;
    int result = order_recv_ready(watch->fd, &err);

    (void)ready;
    if (result == 0)
        return;
    loop_watch_set(watch, 0);
    if (result > 0)
        result = order_send(watch->fd, &keeper->settings, &keeper->token, &err);
    if (result < 0)
        log_debug("worker %d: %s", (int)keeper->worker, err.text); /* its death is told too */
}

static int worker_spawn(struct keeper *keeper, struct err *err)
{
    char name[] = "exeat";
    char role[] = "--role=worker";
    char *argv[] = {name, role, NULL};
    struct proc_fd fds[2] = {{.to = ORDER_FD}, {.from = keeper->listen_fd, .to = LISTEN_FD}};
    int pair[2];

    if (ipc_pair(pair, err) < 0)
        return -1;
    fds[0].from = pair[1];
    keeper->worker = proc_spawn_self(argv, fds, 2, PROC_TIED, err);
    (void)close(pair[1]);
    if (keeper->worker < 0 ||
        loop_watch_open(&keeper->order, &keeper->loop, pair[0], on_order_ready, keeper, err) < 0) {
        (void)close(pair[0]);
        keeper->worker = keeper->worker < 0 ? 0 : keeper->worker;
        return -1;
    }
    loop_watch_set(&keeper->order, LOOP_READ);
    keeper->worker_since_ms = clock_mono_ms();
    return 0;
}

static void respawn_in(struct keeper *keeper, int64_t in_ms)
{
    if (!keeper->is_stopping)
        loop_deadline_set(&keeper->respawn, in_ms);
}

static void on_respawn(struct loop_deadline *deadline)
{
    struct keeper *keeper = deadline->owner;
    struct err err;

    if (worker_spawn(keeper, &err) == 0)
        return;
    log_error("cannot start the worker again: %s", err.text);
    respawn_in(keeper, RESPAWN_MAX_MS);
}

/* Its watch is gone: there is room for the next one. */
static void on_order_closed(struct loop_watch *watch)
{
    struct keeper *keeper = watch->owner;
    int64_t wait_ms;

    if (keeper->is_stopping)
        return;
    if (keeper->quick_deaths <= QUICK_FREE) {
        on_respawn(&keeper->respawn);
        return;
    }
    wait_ms = RESPAWN_MIN_MS * (int64_t)(keeper->quick_deaths - QUICK_FREE);
    respawn_in(keeper, wait_ms < RESPAWN_MAX_MS ? wait_ms : RESPAWN_MAX_MS);
}

static void worker_died(struct keeper *keeper, const struct proc_end *end)
{
    int64_t lived_ms = clock_mono_ms() - keeper->worker_since_ms;

    keeper->worker = 0;
    if (keeper->is_stopping) {
        loop_stop(&keeper->loop);
        return;
    }
    /* Killed from outside is no crash loop, however often. */
    if (lived_ms < QUICK_MS && end->signal != SIGKILL)
        keeper->quick_deaths++;
    else
        keeper->quick_deaths = 0;
    log_warning("the worker has ended (%s %d) and is started again",
                end->signal != 0 ? "signal" : "status",
                end->signal != 0 ? end->signal : end->status);
    if (keeper->order.is_open)
        loop_watch_close(&keeper->order, on_order_closed);
    else
        on_order_closed(&keeper->order);
}

/* --- signals --- */

static void on_patience_over(struct loop_deadline *deadline)
{
    struct keeper *keeper = deadline->owner;

    loop_stop(&keeper->loop);
}

static void keeper_stop(struct keeper *keeper)
{
    if (keeper->is_stopping || keeper->worker == 0 || keeper->program != 0) {
        keeper->is_stopping = 1;
        loop_stop(&keeper->loop);
        return;
    }
    keeper->is_stopping = 1;
    (void)kill(keeper->worker, SIGTERM);
    loop_deadline_set(&keeper->patience, WORKER_PATIENCE_MS);
}

static void program_ended(struct keeper *keeper, const struct proc_end *end)
{
    keeper->status = proc_end_status(end);
    keeper_stop(keeper);
    keeper->program = 0;
}

static void children_reap(struct keeper *keeper)
{
    struct proc_end end;

    while (proc_reap(&end)) {
        if (end.pid == keeper->worker)
            worker_died(keeper, &end);
        else if (end.pid == keeper->program)
            program_ended(keeper, &end);
    }
}

static void on_signal(struct signals *signals, int number, enum signals_origin origin)
{
    struct keeper *keeper = signals->owner;

    if (number == SIGCHLD) {
        children_reap(keeper);
        return;
    }
    if (keeper->program != 0) {
        if (origin == SIGNALS_SENT)
            (void)kill(keeper->program, number);
        return;
    }
    if (number == SIGTERM || number == SIGINT || number == SIGHUP || number == SIGQUIT)
        keeper_stop(keeper);
}

/* --- the start --- */

int keeper_init(struct keeper *keeper, struct err *err)
{
    *keeper = (struct keeper){.listen_fd = -1};
    if (loop_init(&keeper->loop, err) < 0)
        return -1;
    loop_deadline_init(&keeper->respawn, &keeper->loop, on_respawn, keeper);
    loop_deadline_init(&keeper->patience, &keeper->loop, on_patience_over, keeper);
    return signals_open(&keeper->signals, &keeper->loop, on_signal, keeper, err);
}

/* Steps 6 and 7: 127.0.0.1 and nothing else, and a look at what the system has made of it. */
static int listen_open(struct keeper *keeper, struct err *err)
{
    struct address address;
    struct address bound;

    if (socket_read_ip(span_text("127.0.0.1"), keeper->settings.port, &address, err) < 0)
        return -1;
    keeper->listen_fd = socket_listen(&address, BACKLOG, err);
    if (keeper->listen_fd < 0 || socket_local(keeper->listen_fd, &bound, err) < 0)
        return -1;
    keeper->port = socket_port(&bound);
    if (keeper->port == 0)
        return err_set(err, ERR_SYSTEM, "the listening socket has no port");
    return 0;
}

static void worker_kill(struct keeper *keeper)
{
    if (keeper->order.is_open)
        loop_watch_close(&keeper->order, NULL);
    if (keeper->worker <= 0)
        return;
    (void)kill(keeper->worker, SIGKILL);
    proc_reap_child(keeper->worker);
    keeper->worker = 0;
}

static void keeper_give_up(struct keeper *keeper)
{
    worker_kill(keeper);
    if (keeper->listen_fd >= 0)
        (void)close(keeper->listen_fd);
    keeper->listen_fd = -1;
    secret_fini(&keeper->token);
}

int keeper_start(struct keeper *keeper, const struct settings *settings, struct secret *token,
                 const struct token_source *source, struct err *err)
{
    keeper->settings = *settings;
    secret_move(&keeper->token, token);
    if (setup_run(&keeper->settings, err) < 0 || listen_open(keeper, err) < 0 ||
        worker_spawn(keeper, err) < 0 || token_forget(source, err) < 0 ||
        state_write(&keeper->settings, keeper->port, err) < 0) {
        keeper_give_up(keeper);
        return -1;
    }
    keeper->is_relaying = 1;
    return 0;
}

int keeper_run_program(struct keeper *keeper, char *const *argv, char *const *envp)
{
    struct err err;

    keeper->program = proc_spawn(argv, envp, &err);
    if (keeper->program > 0)
        return 0;
    keeper->program = 0;
    log_error("%s", err.text);
    keeper->status = err.code == ERR_NOT_FOUND ? 127 : 126;
    return keeper->status;
}

int keeper_wait(struct keeper *keeper)
{
    if (keeper->status == 0 || keeper->program != 0)
        loop_run(&keeper->loop);
    loop_deadline_clear(&keeper->respawn);
    loop_deadline_clear(&keeper->patience);
    if (keeper->is_relaying)
        state_remove(&keeper->settings);
    keeper_give_up(keeper);
    signals_close(&keeper->signals);
    loop_run(&keeper->loop); /* what is closing */
    loop_fini(&keeper->loop);
    return keeper->status;
}
