/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_VAULT_LINK_H
#define EXEAT_GATEWAY_VAULT_LINK_H

#include "gateway/messages.h"
#include "net/loop.h"

/* A worker's end of its channel to the vault: questions by handle, never by pointer. */

#define VAULT_WAITS 4096

/* One question under way; embedded in who asks. */
struct vault_wait {
    uint64_t handle; /* 0: nothing asked */
    /* `reply` borrows; code ERR_CREDENTIAL if the vault went away. The wait is free again. */
    void (*on_reply)(struct vault_wait *wait, const struct message *reply);
    void *owner; /* borrowed */
};

struct vault_link {
    struct loop_watch watch;
    struct loop *loop;                     /* borrowed */
    int fd;                                /* -1 while there is no vault */
    struct vault_wait *waits[VAULT_WAITS]; /* borrowed */
    uint64_t generations[VAULT_WAITS];
    size_t next;        /* where the search for a free place starts */
    int is_closing;     /* the old channel, until its reap step */
    int replacement_fd; /* opened when the old channel is closed; -1 */
    uint8_t room[MESSAGE_MAX];
    /* What the vault says unasked: MESSAGE_SESSION_END, MESSAGE_FORGET. */
    void (*on_notice)(struct vault_link *link, const struct message *notice);
    /* A channel is open: the vault must learn who is here. */
    void (*on_open)(struct vault_link *link);
    void *owner;
};

/* Takes fd. The calls are set by the caller before. */
int vault_link_init(struct vault_link *link, struct loop *loop, int fd, struct err *err);

/* Another vault has taken over: what was asked of the old one is answered ERR_CREDENTIAL. */
int vault_link_replace(struct vault_link *link, int fd, struct err *err);

/* Ask. `message` without handle. ERR_LIMIT, ERR_CREDENTIAL (no vault). */
int vault_link_ask(struct vault_link *link, const struct message *message, struct vault_wait *wait,
                   struct err *err);

/* The answer is not wanted any more. Safe if nothing was asked. */
void vault_link_forget(struct vault_link *link, struct vault_wait *wait);

/* Tell, without an answer. */
int vault_link_tell(struct vault_link *link, const struct message *message, struct err *err);

#endif
