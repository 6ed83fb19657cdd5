/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker: accepts on the keeper's socket and runs one uplink per client. It gets token and
 * settings only after it has hardened itself and said so; then it shuts the sandbox behind it.
 */
#include "relay/worker.h"

#include <signal.h>

#include "crypto/digest.h"
#include "os/proc.h"
#include "os/sandbox.h"
#include "relay/order.h"
#include "relay/roots.h"
#include "relay/uplink.h"

#define ORDER_WAIT_MS   5000
#define ACCEPT_PAUSE_MS 100
#define ACCEPT_BATCH    64 /* per readiness, so that others get their turn */
#define RESOLVE_MS      5000

static void accept_pause(struct worker *worker)
{
    loop_watch_set(&worker->listen, 0);
    loop_deadline_set(&worker->accept_pause, ACCEPT_PAUSE_MS);
}

static void on_pause_over(struct loop_deadline *deadline)
{
    struct worker *worker = deadline->owner;

    loop_watch_set(&worker->listen, LOOP_READ);
}

static void on_listen_ready(struct loop_watch *watch, unsigned ready)
{
    struct worker *worker = watch->owner;
    struct address peer;
    struct err err;

    (void)ready;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd;

        if (worker->uplink_count >= WORKER_UPLINKS + WORKER_SPARE) {
            accept_pause(worker);
            return;
        }
        fd = socket_accept(watch->fd, &peer, &err);
        if (fd < 0 && err.code == ERR_OK)
            return;
        if (fd < 0) {
            log_warning("cannot accept: %s", err.text);
            accept_pause(worker);
            return;
        }
        if (uplink_open(worker, fd, &err) < 0)
            log_warning("cannot serve a client: %s", err.text);
    }
}

static void drain_check(struct worker *worker)
{
    if (worker->is_draining && worker->uplink_count == 0)
        loop_stop(&worker->loop);
}

void worker_uplink_gone(struct worker *worker)
{
    worker->uplink_count--;
    drain_check(worker);
}

static void on_term(struct loop_signal *signal, int number)
{
    struct worker *worker = signal->owner;

    (void)number;
    worker->is_draining = 1;
    drain_check(worker);
}

/* The keeper says nothing more; when it goes, so do we. */
static void on_keeper_ready(struct loop_watch *watch, unsigned ready)
{
    struct worker *worker = watch->owner;

    (void)ready;
    loop_stop(&worker->loop);
}

static int worker_open(struct worker *worker, struct err *err)
{
    if (digest_setup(err) < 0 || loop_init(&worker->loop, err) < 0)
        return -1;
    pool_init(&worker->blocks, LIMIT_BLOCK, 4 * (WORKER_UPLINKS + WORKER_SPARE), 64);
    pool_init(&worker->arena_blocks, LIMIT_ARENA_BLOCK,
              (size_t)WORKER_ARENAS * (WORKER_UPLINKS + WORKER_SPARE), 64);
    pool_init(&worker->uplinks, sizeof(struct uplink), WORKER_UPLINKS + WORKER_SPARE, 64);
    pool_init(&worker->forwards, sizeof(struct forward), WORKER_UPLINKS + WORKER_SPARE, 16);
    arena_init(&worker->scratch, &worker->arena_blocks, 2 * LIMIT_HEAD);
    worker->plan = (struct link_plan){
        .loop = &worker->loop,
        .blocks = &worker->blocks,
        .scratch = &worker->scratch,
        .gateway = &worker->settings.gateway,
        .proxy = &worker->settings.proxy,
    };
    worker->plan.resolver = resolver_new(&worker->loop, NULL, RESOLVE_MS, err);
    if (worker->plan.resolver == NULL ||
        roots_open_context(&worker->settings, &worker->plan.tls, err) < 0)
        return -1;
    loop_deadline_init(&worker->accept_pause, &worker->loop, on_pause_over, worker);
    if (loop_signal_open(&worker->term, &worker->loop, SIGTERM, on_term, worker, err) < 0 ||
        loop_watch_open(&worker->keeper, &worker->loop, ORDER_FD, on_keeper_ready, worker, err) <
            0 ||
        loop_watch_open(&worker->listen, &worker->loop, LISTEN_FD, on_listen_ready, worker, err) <
            0)
        return -1;
    loop_watch_set(&worker->keeper, LOOP_READ);
    loop_watch_set(&worker->listen, LOOP_READ);
    return 0;
}

int worker_role(void)
{
    struct worker *worker = pool_block_new(sizeof *worker);
    struct err err;

    (void)signal(SIGINT, SIG_IGN); /* the terminal's are for the program we run */
    (void)signal(SIGQUIT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    if (worker == NULL || order_send_ready(ORDER_FD, &err) < 0 ||
        order_recv(ORDER_FD, ORDER_WAIT_MS, &worker->settings, &worker->token, &err) < 0)
        return 1;
    log_init("exeat worker", worker->settings.log);
    (void)proc_raise_files();
    if (worker_open(worker, &err) < 0) {
        log_error("worker: %s", err.text);
        return 1;
    }
    if (sandbox_enter(SANDBOX_RELAY, &err) < 0)
        log_debug("no sandbox: %s", err.text);
    loop_run(&worker->loop);
    secret_fini(&worker->token);
    return 0; /* the process ends: everything else goes with it */
}
