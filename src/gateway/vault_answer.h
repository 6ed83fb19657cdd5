/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_VAULT_ANSWER_H
#define EXEAT_GATEWAY_VAULT_ANSWER_H

#include "gateway/messages.h"
#include "gateway/mint_budget.h"
#include "gateway/vault_keys.h"
#include "gateway/vault_table.h"

/* What the vault decides: from a worker's question to the answer. No descriptors, no clock. */

struct vault_answers {
    const struct config *config; /* borrowed */
    struct vault_keys *keys;     /* borrowed */
    struct vault_table *table;   /* borrowed */
    struct session_store *store; /* borrowed */
    struct mint_budget *mints;   /* borrowed */
};

/* Who asks, and when. */
struct vault_asker {
    unsigned worker;
    uint8_t spki[256];
    size_t spki_len;
    int64_t now_wall_ms;
    int64_t now_mono_ms;
};

/* The bytes of an answer's parts, where they are not borrowed from elsewhere; wiped by the caller.
 */
struct vault_room {
    char id[LIMIT_SESSION_ID + 1];
    char tenant[LIMIT_NAME + 1];
    uint8_t bytes[4096];
};

/*
 * The answer to `question` of a worker's first channel: 1 with *answer (its parts lie in `room` or
 * in the keys), 0 if there is none to give, -1 ERR_INTERNAL: what no honest worker sends.
 */
int vault_answer(struct vault_answers *answers, struct vault_asker *asker,
                 const struct message *question, struct vault_room *room, struct message *answer,
                 struct err *err);

/* The same for its sign channel. */
int vault_answer_sign(struct vault_answers *answers, const struct message *question,
                      struct vault_room *room, struct message *answer, struct err *err);

#endif
