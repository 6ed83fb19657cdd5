/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_RECORD_BATCH_H
#define EXEAT_GATEWAY_RECORD_BATCH_H

#include "base/text.h"
#include "gateway/messages.h"

/*
 * Several records in one message to the auditor, in their order, each behind a head of fixed size.
 * A packet costs both ends more than most records do.
 */
#define RECORD_BATCH_HEAD 16

struct record_item {
    enum message_type type; /* MESSAGE_BEGIN or MESSAGE_END */
    uint64_t handle;
    struct span record;
};

/* Appends; look at out->overflow: then nothing was written. */
void record_batch_add(struct text *out, const struct record_item *item);

/* The next item of *rest, which is advanced: 1, 0 at the end, -1 ERR_INTERNAL. */
int record_batch_next(struct span *rest, struct record_item *item, struct err *err);

#endif
