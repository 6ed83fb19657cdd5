/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's life: descriptors and public files in, sandbox shut, READY; then tunnels until main
 * says DRAIN. It reads no file after that, and never holds a key that outlives it.
 */
#include "gateway/worker.h"

#include <unistd.h>

#include "gateway/inspect.h"
#include "gateway/origin.h"
#include "gateway/tunnel.h"
#include "gateway/worker_setup.h"
#include "os/log.h"
#include "os/sandbox.h"
#include "wire/envelope.h"

/* Out of descriptors: leave those that wait in the backlog alone for a while. */
#define ACCEPT_PAUSE_MS 100
#define ACCEPT_BATCH    64

static void listener_ready(struct loop_watch *watch, unsigned ready)
{
    struct listener *listener = watch->owner;
    struct address peer;
    struct err err;

    (void)ready;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd;

        err_clear(&err);
        fd = socket_accept(watch->fd, &peer, &err);
        if (fd >= 0) {
            tunnel_open(listener->worker, listener, fd);
            continue;
        }
        if (err.code != ERR_OK) {
            log_warning("accept: %s", err.text);
            loop_watch_set(watch, 0);
            loop_deadline_set(&listener->pause, ACCEPT_PAUSE_MS);
        }
        return;
    }
}

static void pause_over(struct loop_deadline *deadline)
{
    struct listener *listener = deadline->owner;

    loop_watch_set(&listener->watch, LOOP_READ);
}

static int listener_open(struct worker *worker, unsigned index, struct err *err)
{
    struct listener *listener = &worker->listeners[index];

    listener->worker = worker;
    listener->index = index;
    loop_deadline_init(&listener->pause, &worker->loop, pause_over, listener);
    if (loop_watch_open(&listener->watch, &worker->loop, FD_LISTEN + (int)index, listener_ready,
                        listener, err) < 0)
        return -1;
    loop_watch_set(&listener->watch, LOOP_READ);
    return 0;
}

static void session_notice(struct vault_link *link, const struct message *notice)
{
    struct worker *worker = link->owner;
    struct session *session = session_find(worker, notice->a);

    if (session == NULL)
        return;
    if (notice->type == MESSAGE_SESSION_END)
        session_end(session, notice->code);
    else if (notice->type == MESSAGE_FORGET)
        session_forget_credentials(session);
}

void worker_check_drained(struct worker *worker)
{
    if (worker->is_draining && worker->tunnels.count == 0 && audit_link_is_drained(&worker->audit))
        loop_stop(&worker->loop);
}

static void drain_over(struct loop_deadline *deadline)
{
    struct worker *worker = deadline->owner;

    log_warning("%zu tunnels cut at the end of the drain", worker->tunnels.count);
    session_end_all(worker);
    loop_stop(&worker->loop);
}

/*
 * No new tunnels; idle ones end now, busy ones after their exchange. One that was opened and has
 * not asked anything yet gets its first answer.
 */
static void worker_drain(struct worker *worker, int64_t allowed_ms)
{
    if (worker->is_draining)
        return;
    worker->is_draining = 1;
    for (size_t i = 0; i < worker->listener_count; i++) {
        loop_deadline_clear(&worker->listeners[i].pause);
        loop_watch_close(&worker->listeners[i].watch, NULL);
    }
    for (struct list_node *node = worker->tunnels.first; node != NULL; node = node->next) {
        struct tunnel *tunnel = node->item;

        if (tunnel->inspect != NULL)
            inspect_drain(tunnel->inspect);
        tunnel_wake(tunnel);
    }
    loop_deadline_set(&worker->drain, allowed_ms > 0 ? allowed_ms : 1);
    worker_check_drained(worker);
}

static void control_ready(struct loop_watch *watch, unsigned ready)
{
    struct worker *worker = watch->owner;
    uint8_t memory[MESSAGE_MAX];
    struct message message;
    struct err err;
    int passed_fd = -1;
    int result;

    (void)ready;
    while ((result = message_recv(watch->fd, SENDER_MAIN,
                                  (struct room){.ptr = memory, .len = sizeof memory}, &message,
                                  &passed_fd, &err)) > 0) {
        if (message.type == MESSAGE_DRAIN)
            worker_drain(worker, (int64_t)message.number);
        else if (message.type == MESSAGE_PEER && passed_fd >= 0)
            worker_take_peer(worker, (enum message_peer)message.number, passed_fd);
        else if (passed_fd >= 0)
            (void)close(passed_fd);
    }
    if (result < 0) {
        log_error("main is gone: %s", err.text);
        loop_stop(&worker->loop);
        loop_watch_set(watch, 0);
    }
}

/* Middle boxes drop a WebSocket that was silent for 50 s (docs/protocol.md section 3). */
#define KEEPALIVE_MS       30000
#define KEEPALIVE_CHECK_MS 5000

static void keepalive_due(struct loop_deadline *deadline)
{
    struct worker *worker = deadline->owner;
    struct err err;

    for (struct list_node *node = worker->tunnels.first; node != NULL; node = node->next) {
        struct tunnel *tunnel = node->item;

        if (tunnel->state != TUNNEL_REACH && tunnel->state != TUNNEL_INSPECT &&
            tunnel->state != TUNNEL_PASS)
            continue;
        if (worker->loop.now_ms - tunnel->spoke_ms < KEEPALIVE_MS || !buf_is_empty(&tunnel->out) ||
            tunnel->close_sent)
            continue;
        if (envelope_send(&tunnel->out, span_of(NULL, 0), NULL, &err) == 0)
            tunnel_wake(tunnel);
    }
    loop_deadline_set(deadline, KEEPALIVE_CHECK_MS);
}

static void vault_opened(struct vault_link *link)
{
    struct err err;

    if (worker_introduce(link->owner, &err) < 0)
        log_error("the vault does not take our key: %s", err.text);
}

static void tickets_due(struct loop_deadline *deadline)
{
    struct worker *worker = deadline->owner;
    struct err err;

    if (tls_context_rotate_tickets(worker->inspect_context, &err) < 0)
        log_error("session tickets keep their key: %s", err.text);
    loop_deadline_set(deadline, TLS_TICKET_S * INT64_C(1000));
}

/* Whatever they wait for, they look again. */
static void tunnels_wake(struct worker *worker)
{
    for (struct list_node *node = worker->tunnels.first; node != NULL; node = node->next) {
        struct tunnel *tunnel = node->item;

        tunnel_wake(tunnel);
        if (tunnel->inspect != NULL)
            inspect_wake(tunnel->inspect);
    }
}

static void starved_over(struct loop_deadline *deadline)
{
    struct worker *worker = deadline->owner;

    for (struct list_node *node = worker->tunnels_alone.first; node != NULL; node = node->next)
        tunnel_wake(node->item);
}

static void records_flushed(struct audit_link *link, int was_blocked)
{
    struct worker *worker = link->owner;

    if (was_blocked)
        tunnels_wake(worker);
    worker_check_drained(worker);
}

bool worker_is_starved(struct worker *worker)
{
    if (!share_is_starved(&worker->joining))
        return false;
    if (worker->starved.at_ms == 0)
        loop_deadline_set(&worker->starved, SESSION_STARVED_MS);
    return true;
}

static int worker_open(struct worker *worker, struct err *err)
{
    worker->vault.on_notice = session_notice;
    worker->vault.on_open = vault_opened;
    worker->vault.owner = worker;
    if (vault_link_init(&worker->vault, &worker->loop, FD_VAULT, err) < 0 ||
        audit_link_init(&worker->audit, &worker->loop, FD_AUDITOR, err) < 0 ||
        leaf_cache_init(&worker->leaves, &worker->vault, worker->leaf_key, err) < 0 ||
        loop_watch_open(&worker->control, &worker->loop, FD_CONTROL, control_ready, worker, err) <
            0)
        return -1;
    worker->audit.on_flushed = records_flushed;
    worker->audit.owner = worker;
    loop_watch_set(&worker->control, LOOP_READ);
    loop_deadline_init(&worker->drain, &worker->loop, drain_over, worker);
    loop_deadline_init(&worker->starved, &worker->loop, starved_over, worker);
    loop_deadline_init(&worker->keepalive, &worker->loop, keepalive_due, worker);
    loop_deadline_set(&worker->keepalive, KEEPALIVE_CHECK_MS);
    loop_deadline_init(&worker->tickets, &worker->loop, tickets_due, worker);
    if (worker->role.config.tls.tickets > 0)
        loop_deadline_set(&worker->tickets, TLS_TICKET_S * INT64_C(1000));
    for (unsigned i = 0; i < worker->listener_count; i++) {
        if (listener_open(worker, i, err) < 0)
            return -1;
    }
    return 0;
}

int worker_main(int argc, char **argv)
{
    static struct worker worker;
    struct err err;

    if (worker_setup(&worker, argc, argv, &err) < 0 || worker_open(&worker, &err) < 0) {
        log_error("cannot start: %s", err.text);
        return 1;
    }
    if (sandbox_enter(SANDBOX_WORKER, &err) < 0)
        log_warning("no seccomp filter: %s", err.text);
    if (role_ready(&err) < 0) {
        log_error("cannot start: %s", err.text);
        return 1;
    }
    loop_run(&worker.loop);
    return 0;
}
