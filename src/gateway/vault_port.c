/* SPDX-License-Identifier: Apache-2.0 */
/* One channel of the vault. Every packet is wiped when it has been answered. */
#include "gateway/vault_port.h"

#include <unistd.h>

#include "os/clock.h"
#include "os/log.h"

#define PORT_TURN 32 /* questions of one worker before the next has its turn */

static uint8_t port_room[MESSAGE_MAX]; /* one thread: one packet at a time */

static struct span part_keep(struct vault_port *port, size_t *at, struct span part)
{
    struct span kept = span_of(port->held_bytes + *at, part.len);

    ENSURE(part.len <= sizeof port->held_bytes - *at);
    if (part.len > 0)
        memcpy(port->held_bytes + *at, part.ptr, part.len);
    *at += part.len;
    return kept;
}

static void answer_keep(struct vault_port *port, const struct message *answer)
{
    size_t at = 0;

    port->held = *answer;
    port->held.a = part_keep(port, &at, answer->a);
    port->held.b = part_keep(port, &at, answer->b);
    port->is_held = 1;
    loop_watch_set(&port->watch, LOOP_WRITE);
}

static void port_end(struct vault_port *port)
{
    explicit_bzero(port->held_bytes, sizeof port->held_bytes);
    port->is_open = 0;
    if (port->on_end != NULL)
        port->on_end(port);
}

/* 1 sent or kept, -1 the worker is gone. */
static int answer_send(struct vault_port *port, const struct message *answer)
{
    struct err err;
    int result = message_send(port->watch.fd, answer, -1, &err);

    if (result == 0)
        answer_keep(port, answer);
    return result < 0 ? -1 : 1;
}

static int question_answer(struct vault_port *port, const struct message *question, struct err *err)
{
    struct vault_room room;
    struct message answer;
    int result;

    port->asker.now_wall_ms = clock_wall_ms();
    port->asker.now_mono_ms = clock_mono_ms();
    if (port->kind == VAULT_PORT_SIGN)
        result = vault_answer_sign(port->answers, question, &room, &answer, err);
    else
        result = vault_answer(port->answers, &port->asker, question, &room, &answer, err);
    if (result > 0 && answer_send(port, &answer) < 0)
        result = err_set(err, ERR_CLOSED, "the worker is gone");
    explicit_bzero(&room, sizeof room);
    return result < 0 ? -1 : 0;
}

static void port_read(struct vault_port *port)
{
    struct room room = {.ptr = port_room, .len = sizeof port_room};
    struct message question;
    struct err err;

    for (int i = 0; i < PORT_TURN && !port->is_held; i++) {
        int result = message_recv(port->watch.fd, SENDER_WORKER, room, &question, NULL, &err);

        if (result == 0)
            return;
        if (result > 0) {
            result = question_answer(port, &question, &err);
            message_wipe(room, &question);
        }
        if (result >= 0)
            continue;
        if (err.code != ERR_CLOSED)
            log_error("worker %u: %s; its channel is closed", port->asker.worker, err.text);
        port_end(port);
        return;
    }
}

static void port_ready(struct loop_watch *watch, unsigned ready)
{
    struct vault_port *port = watch->owner;

    if (!port->is_open)
        return;
    if (port->is_held && (ready & LOOP_WRITE) != 0) {
        struct err err;
        int result = message_send(port->watch.fd, &port->held, -1, &err);

        if (result < 0) {
            port_end(port);
            return;
        }
        if (result > 0) {
            port->is_held = 0;
            explicit_bzero(port->held_bytes, sizeof port->held_bytes);
            loop_watch_set(&port->watch, LOOP_READ);
        }
    }
    if (!port->is_held)
        port_read(port);
}

int vault_port_open(struct vault_port *port, struct loop *loop, int fd, struct err *err)
{
    if (loop_watch_open(&port->watch, loop, fd, port_ready, port, err) < 0) {
        (void)close(fd);
        return -1;
    }
    port->is_open = 1;
    loop_watch_set(&port->watch, LOOP_READ);
    return 0;
}

int vault_port_tell(struct vault_port *port, const struct message *message)
{
    struct err err;

    return message_send(port->watch.fd, message, -1, &err);
}
