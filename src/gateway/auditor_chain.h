/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_AUDITOR_CHAIN_H
#define EXEAT_GATEWAY_AUDITOR_CHAIN_H

#include "base/err.h"
#include "base/span.h"

/* The end of the audit log's hash chain: number and hash of its last line. */
struct auditor_chain {
    uint64_t seq;  /* 0: no line yet */
    char hash[65]; /* of the last line; 64 zeros before the first */
};

void auditor_chain_init(struct auditor_chain *chain);

/*
 * One line of the log, without its newline: its own number and hash into *self, the `prev` it
 * names into *before (with the number one less). ERR_SYNTAX if it is no record or if its bytes
 * are not those that were hashed.
 */
int auditor_chain_read(struct span line, struct auditor_chain *before, struct auditor_chain *self,
                       struct err *err);

/* `line` must be the one after *chain, which moves on to it. ERR_SYNTAX says what does not fit. */
int auditor_chain_follow(struct auditor_chain *chain, struct span line, struct err *err);

#endif
