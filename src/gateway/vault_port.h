/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_VAULT_PORT_H
#define EXEAT_GATEWAY_VAULT_PORT_H

#include "gateway/vault_answer.h"
#include "net/loop.h"

/*
 * The vault's end of one channel to a worker: question in, answer out. An answer that cannot be
 * sent yet is kept, and no further question is read until it is.
 */
enum vault_port_kind { VAULT_PORT_QUESTIONS, VAULT_PORT_SIGN };

struct vault_port {
    struct vault_answers *answers; /* borrowed */
    struct loop_watch watch;
    enum vault_port_kind kind;
    struct vault_asker asker;
    /* The worker has closed it or has lied; the port is closed. NULL: nobody cares. */
    void (*on_end)(struct vault_port *port);
    int is_open;
    int is_held;
    struct message held; /* parts in held_bytes */
    uint8_t held_bytes[LIMIT_SECRET + LIMIT_SESSION_ID + LIMIT_NAME];
    void *owner; /* borrowed */
};

/* Takes fd. The caller has set answers, kind, asker.worker, on_end and owner. */
int vault_port_open(struct vault_port *port, struct loop *loop, int fd, struct err *err);

/* Unasked for: 1 sent, 0 later, -1 the worker is gone. */
int vault_port_tell(struct vault_port *port, const struct message *message);

#endif
