/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_OUTCOME_H
#define EXEAT_TESTS_OUTCOME_H

#include "base/span.h"

/* What a reader made of a stream of requests, in a form that readers can be compared by. */

#define OUTCOME_COUNT  16
#define OUTCOME_MEMORY 1048576

enum outcome_end {
    OUTCOME_WAITS,   /* for more bytes */
    OUTCOME_REFUSES, /* `why` tells */
    OUTCOME_CLOSES, /* after a message: the connection is not to be used any more, or is a tunnel */
};

struct outcome_message {
    size_t at; /* in memory: the head, then the content */
    size_t head_len;
    size_t body_len;
    size_t end; /* in the stream, once it is complete */
    bool is_complete;
    bool is_last; /* "Connection: close" and the like */
};

struct outcome {
    struct outcome_message messages[OUTCOME_COUNT]; /* each with a head that was accepted */
    size_t count;
    enum outcome_end end;
    char why[160];
    uint8_t memory[OUTCOME_MEMORY];
    size_t used;
};

static inline void outcome_add(struct outcome *outcome, const void *bytes, size_t len)
{
    ENSURE(len <= OUTCOME_MEMORY - outcome->used);
    if (len > 0)
        memcpy(outcome->memory + outcome->used, bytes, len);
    outcome->used += len;
}

/* method LF target LF version LF (name ':' value LF)* */
static inline struct span outcome_head(const struct outcome *outcome, size_t i)
{
    return span_of(outcome->memory + outcome->messages[i].at, outcome->messages[i].head_len);
}

static inline struct span outcome_body(const struct outcome *outcome, size_t i)
{
    const struct outcome_message *message = &outcome->messages[i];

    return span_of(outcome->memory + message->at + message->head_len, message->body_len);
}

/*
 * What http/h1 and http/target make of it, as the gateway uses them; `cut` chooses the pieces in
 * which it comes.
 */
void outcome_read(struct span stream, uint64_t cut, struct outcome *outcome);

#endif
