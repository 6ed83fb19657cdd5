/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_MESSAGES_H
#define EXEAT_GATEWAY_MESSAGES_H

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

/*
 * What the gateway's processes say to each other (docs/architecture.md, "Processes"). One message
 * is one packet of os/ipc. Star wiring: a receiver knows who is at the other end of a channel and
 * accepts only what that role may send.
 *
 *        name            sender    a           b           c        (longest, bytes)
 */
#define MESSAGE_TABLE(X)                                                                           \
    /* control channel, main <-> any */                                                            \
    X(READY, CHILD, 0, 0, 0) /* set up; the sandbox is closed */                                   \
    X(PEER, MAIN, 0, 0, 0)   /* + descriptor; number: enum message_peer, index: worker */          \
    X(DRAIN, MAIN, 0, 0, 0)  /* stop accepting, finish, exit 0; number: ms allowed */              \
    /* worker -> vault */                                                                          \
    X(WORKER, WORKER, 256, 0, 0)                               /* a: its public key (SPKI) */      \
    X(AUTH, WORKER, LIMIT_TOKEN, 0, 0)                         /* a: token */                      \
    X(LEAF, WORKER, LIMIT_HOST + 3, LIMIT_SESSION_ID, 0)       /* a: canonical host, b: session;   \
                                       number: enum host_kind */                                   \
    X(CREDENTIAL, WORKER, LIMIT_SESSION_ID, LIMIT_HOST + 3, 0) /* a: session, b: host; number:     \
                                 rule << 32 | credential, index: enum rule_scheme << 16 | port */  \
    X(LEFT, WORKER, LIMIT_SESSION_ID, 0, 0) /* a: session that has no tunnel here any more;        \
                                 number: how many AUTH_REPLYs of it were received */               \
    X(SIGN, WORKER, 1024, 0, 0)             /* sign channel; a: what to sign; index: listener */   \
    /* vault -> worker; code: enum err_code */                                                     \
    X(AUTH_REPLY, VAULT, LIMIT_SESSION_ID, LIMIT_NAME, 0) /* a: session, b: tenant; number:        \
                                 expiry, wall ms */                                                \
    X(LEAF_REPLY, VAULT, 4096, 0, 0)                      /* a: certificate (DER) */               \
    X(CREDENTIAL_REPLY, VAULT, LIMIT_SECRET, 0, 0)        /* a: value */                           \
    X(SIGN_REPLY, VAULT, 1024, 0, 0)                      /* a: signature */                       \
    X(SESSION_END, VAULT, LIMIT_SESSION_ID, 0, 0) /* a: session; code: why; close its tunnels */   \
    X(FORGET, VAULT, LIMIT_SESSION_ID, 0, 0) /* a: session; its credentials changed: ask again */  \
    /* worker -> auditor */                                                                        \
    X(BEGIN, WORKER, 40960, 0, 0)  /* a: record; handle: exchange. A credential goes out */        \
    X(END, WORKER, 40960, 0, 0)    /* a: record; handle: exchange, 0 without a BEGIN */            \
    X(RECORDS, WORKER, 8192, 0, 0) /* a: several of both, see gateway/record_batch */              \
    /* auditor -> worker */                                                                        \
    X(AUDIT_STATE, AUDITOR, 0, 0, 0) /* code: ERR_OK, or ERR_AUDIT: take no credential */

enum message_type {
    MESSAGE_NONE,
#define MESSAGE_ENUM(name, sender, a, b, c) MESSAGE_##name,
    MESSAGE_TABLE(MESSAGE_ENUM)
#undef MESSAGE_ENUM
        MESSAGE_COUNT
};

enum message_sender { SENDER_MAIN, SENDER_CHILD, SENDER_WORKER, SENDER_VAULT, SENDER_AUDITOR };

/* What the descriptor of a PEER message is the end of. */
enum message_peer {
    PEER_WORKER,      /* to vault and auditor: a worker's channel */
    PEER_WORKER_SIGN, /* to the vault: a worker's blocking sign channel */
    PEER_VAULT,       /* to a worker: a new vault's channel */
    PEER_VAULT_SIGN,
};

/* Fixed descriptors of a child. */
enum message_fd {
    FD_CONTROL = 3,
    FD_CONFIG = 4,  /* sealed memory with the bytes of the configuration */
    FD_VAULT = 5,   /* workers */
    FD_AUDITOR = 6, /* workers */
    FD_SIGN = 7,    /* workers */
    FD_LISTEN = 8,  /* workers: the first listener, then one each */
};

struct message {
    enum message_type type;
    enum err_code code;
    uint32_t index;
    uint64_t handle; /* chosen by who asks; comes back in the reply */
    uint64_t number;
    struct span a;
    struct span b;
    struct span c;
};

/* Room for any message. */
#define MESSAGE_MAX 49152

/* Send; the packet on our stack is wiped. 1, 0 when the queue is full, -1 ERR_CLOSED, ERR_SYSTEM.
 */
int message_send(int fd, const struct message *message, int pass_fd, struct err *err);

/*
 * Receive one message of a sender of this role into `room` (at least MESSAGE_MAX); spans borrow
 * from it. 1, 0 if none is waiting, -1: ERR_CLOSED when the peer has gone, ERR_INTERNAL for what
 * that role may not send or what is malformed. *passed_fd as in ipc_recv().
 * The caller wipes `room` after a message that may carry a secret: message_wipe().
 */
int message_recv(int fd, enum message_sender sender, struct room room, struct message *message,
                 int *passed_fd, struct err *err);
void message_wipe(struct room room, const struct message *message);

#endif
