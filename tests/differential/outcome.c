/* SPDX-License-Identifier: Apache-2.0 */
/* Our reader's outcome. */
#include "outcome.h"

#include <stdio.h>

#include "base/limits.h"
#include "http/h1.h"
#include "http/target.h"

struct run {
    struct h1 h1;
    struct arena arena;
    struct outcome *outcome;
    size_t taken;
};

static void refuse(struct outcome *outcome, const char *kind, const struct err *err)
{
    outcome->end = OUTCOME_REFUSES;
    (void)snprintf(outcome->why, sizeof outcome->why, "%s%s", kind, err->text);
}

/* False if what is asked for is nothing that the gateway would ask an origin for. */
static bool head_check(struct run *run, struct err *err)
{
    struct http_request *request = &run->h1.request;
    struct target target;
    struct host host;
    uint16_t port;

    if (span_equal(request->method, span_text("CONNECT")))
        return target_read_connect(request->target, &host, &port, err) == 0;
    return target_read(request->target, &run->arena, &target, err) == 0;
}

static void head_take(struct run *run)
{
    struct outcome *outcome = run->outcome;
    const struct http_request *request = &run->h1.request;
    struct outcome_message *message = &outcome->messages[outcome->count++];

    *message = (struct outcome_message){.at = outcome->used};
    outcome_add(outcome, request->method.ptr, request->method.len);
    outcome_add(outcome, "\n", 1);
    outcome_add(outcome, request->target.ptr, request->target.len);
    outcome_add(outcome, request->version == HTTP_1_1 ? "\n1.1\n" : "\n1.0\n", 5);
    for (size_t i = 0; i < request->fields.count; i++) {
        const struct http_field *field = &request->fields.items[i];

        outcome_add(outcome, field->name.ptr, field->name.len);
        outcome_add(outcome, ":", 1);
        outcome_add(outcome, field->value.ptr, field->value.len);
        outcome_add(outcome, "\n", 1);
    }
    message->head_len = outcome->used - message->at;
    message->is_last = request->framing.persistence == HTTP_CLOSE ||
                       span_equal(request->method, span_text("CONNECT"));
}

/* False when the stream is not read on. */
static bool event_take(struct run *run, const struct h1_event *event)
{
    struct outcome *outcome = run->outcome;
    struct outcome_message *message;
    struct err err;

    if (event->type == H1_HEAD) {
        if (!head_check(run, &err)) {
            refuse(outcome, "target: ", &err);
            return false;
        }
        head_take(run);
        return true;
    }
    message = &outcome->messages[outcome->count - 1];
    if (event->type == H1_DATA) {
        outcome_add(outcome, event->data.ptr, event->data.len);
        message->body_len += event->data.len;
        return true;
    }
    message->is_complete = true;
    message->end = run->taken;
    if (message->is_last)
        outcome->end = OUTCOME_CLOSES;
    if (message->is_last || outcome->count == OUTCOME_COUNT)
        return false;
    arena_reset(&run->arena);
    h1_begin(&run->h1, &run->arena, span_of(NULL, 0));
    return true;
}

/* False when the stream is not read on. */
static bool piece_read(struct run *run, struct span stream, size_t shown)
{
    size_t used;

    do {
        struct span in = span_of(stream.ptr + run->taken, shown - run->taken);
        struct h1_event event;
        struct err err;

        if (h1_feed(&run->h1, in, &used, &err) < 0) {
            refuse(run->outcome, "", &err);
            return false;
        }
        run->taken += used;
        while (h1_next(&run->h1, &event)) {
            if (!event_take(run, &event))
                return false;
        }
    } while (used > 0);
    return true;
}

void outcome_read(struct span stream, uint64_t cut, struct outcome *outcome)
{
    static struct run run;
    struct pool blocks;
    size_t shown = 0;

    outcome->count = 0;
    outcome->used = 0;
    outcome->end = OUTCOME_WAITS;
    outcome->why[0] = '\0';
    run = (struct run){.outcome = outcome};
    pool_init(&blocks, LIMIT_ARENA_BLOCK, 256, 4);
    arena_init(&run.arena, &blocks, 4UL * LIMIT_HEAD);
    h1_init(&run.h1, H1_REQUESTS);
    h1_begin(&run.h1, &run.arena, span_of(NULL, 0));
    do {
        cut = cut * 6364136223846793005U + 1442695040888963407U;
        shown += 1 + (size_t)(cut >> 40) % ((cut >> 36 & 7) == 0 ? 8 : 4096);
        if (shown > stream.len)
            shown = stream.len;
    } while (piece_read(&run, stream, shown) && shown < stream.len);
    arena_reset(&run.arena);
    pool_fini(&blocks);
}
