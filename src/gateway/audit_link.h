/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_AUDIT_LINK_H
#define EXEAT_GATEWAY_AUDIT_LINK_H

#include "gateway/messages.h"
#include "gateway/record.h"
#include "net/loop.h"

/*
 * A worker's end of its channel to the auditor. What was sent is accepted: the channel outlives
 * the auditor, main holds its other end too. Records of a tick go together, at its end or before a
 * credential leaves, whichever is first.
 */
#define AUDIT_BATCH 8192

struct audit_link {
    struct loop_watch watch;
    struct loop *loop; /* borrowed */
    struct loop_task task;
    int fd;
    enum err_code state; /* ERR_OK, or why no credential may go out */
    uint64_t next_exchange;
    struct text batch; /* records of this tick, not sent yet */
    size_t begun;      /* of them: credentials that must not leave before they are sent */
    int is_blocked;    /* the batch found the queue full */
    int is_stalled;    /* BEGIN has waited for room in vain */
    /* Everything was handed over; `was_blocked`: somebody may have been told to wait. May be NULL.
     */
    void (*on_flushed)(struct audit_link *link, int was_blocked);
    void *owner;         /* borrowed */
    struct list backlog; /* of ended exchanges whose record found the queue full */
    size_t lost;         /* records dropped since the backlog was full; logged */
    uint8_t batch_bytes[AUDIT_BATCH];
    uint8_t room[MESSAGE_MAX];
};

/* Takes fd. */
int audit_link_init(struct audit_link *link, struct loop *loop, int fd, struct err *err);

/*
 * A credential is about to go out (threat I4): the handle to end it with, or 0 with ERR_AUDIT;
 * then it must not go out. Nor before audit_link_accept() says so. While the auditor's queue is
 * full it waits a moment for the auditor.
 */
uint64_t audit_link_begin(struct audit_link *link, const struct record *record, struct err *err);

/*
 * Has the auditor every record that was begun? 1. 0: its queue is full; `on_flushed` comes when
 * that has changed. -1: ERR_AUDIT, ERR_CLOSED.
 */
int audit_link_accept(struct audit_link *link, struct err *err);

/* The exchange is over; `handle` 0 for one without a credential. Never fails: waits its turn. */
void audit_link_end(struct audit_link *link, uint64_t handle, const struct record *record);

/* Whether every record was handed over. */
bool audit_link_is_drained(const struct audit_link *link);

#endif
