/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an uplink: from the client's CONNECT to the end of its tunnel.
 *
 *     HEAD -> DIAL -> JOIN -> ANSWER -> OPEN -> (HALF) -> DRAIN -> LINGER -> CLOSED
 *              ^  WAIT <-+
 *
 * A request that names a whole URL goes through relay/forward.h instead, which asks for one tunnel
 * after the other: HEAD -> FORWARD -> DIAL ... OPEN -> FORWARD -> DIAL ...
 *
 * Until a byte of the gateway has been given to the client, every failure is told as an HTTP
 * answer; afterwards only a reset says that something is missing.
 */
#include "relay/uplink.h"

#include <unistd.h>

#include "os/log.h"
#include "relay/answer.h"
#include "wire/envelope.h"

#define TRIES        3
#define BACK_OFF_MS  100
#define KEEPALIVE_MS 30000

static const struct {
    const char *name;
    int64_t deadline_ms;
} states[] = {
#define UPLINK_ROW(name, deadline_ms, ends) [UPLINK_##name] = {#name, deadline_ms},
    UPLINK_STATES(UPLINK_ROW)
#undef UPLINK_ROW
};

#define TO(name) (1u << UPLINK_##name)
#define TO_END   (TO(DRAIN) | TO(CLOSED))

static const unsigned state_next[] = {
    [UPLINK_HEAD] = TO(DIAL) | TO(FORWARD) | TO_END,
    [UPLINK_FORWARD] = TO(DIAL) | TO(HEAD) | TO_END,
    [UPLINK_DIAL] = TO(JOIN) | TO(WAIT) | TO_END,
    [UPLINK_WAIT] = TO(DIAL) | TO_END,
    [UPLINK_JOIN] = TO(ANSWER) | TO(WAIT) | TO_END,
    [UPLINK_ANSWER] = TO(OPEN) | TO(HALF) | TO(FORWARD) | TO_END,
    [UPLINK_OPEN] = TO(HALF) | TO(FORWARD) | TO_END,
    [UPLINK_HALF] = TO(FORWARD) | TO_END,
    [UPLINK_DRAIN] = TO(LINGER) | TO(CLOSED),
    [UPLINK_LINGER] = TO(CLOSED),
    [UPLINK_CLOSED] = 0,
};

/* With no tunnel to wait for, or an open one, it is the request that takes its time. */
static int64_t deadline_ms(const struct uplink *uplink)
{
    if (uplink->forward != NULL &&
        (uplink->state == UPLINK_FORWARD || uplink->state == UPLINK_OPEN))
        return forward_deadline_ms(uplink->forward);
    return states[uplink->state].deadline_ms;
}

void uplink_enter(struct uplink *uplink, enum uplink_state next)
{
    ENSURE(state_next[uplink->state] & 1u << next);
    log_debug("uplink %u: %s -> %s", uplink->number, states[uplink->state].name, states[next].name);
    uplink->state = next;
    if (next == UPLINK_CLOSED) {
        loop_deadline_clear(&uplink->deadline);
        return;
    }
    loop_deadline_set(&uplink->deadline, deadline_ms(uplink));
    if (next == UPLINK_ANSWER)
        loop_deadline_set(&uplink->keepalive, KEEPALIVE_MS);
}

void uplink_touch(struct uplink *uplink)
{
    loop_deadline_set(&uplink->deadline, deadline_ms(uplink));
}

/* --- the end --- */

void uplink_on_again(struct loop_task *task)
{
    uplink_pump(task->owner);
}

static void part_closed(struct uplink *uplink)
{
    struct worker *worker = uplink->worker;

    uplink->closing_count--;
    if (uplink->state == UPLINK_FORWARD) /* its next tunnel waits for the end of this one */
        loop_later(&worker->loop, &uplink->again, uplink_on_again, uplink);
    if (uplink->closing_count > 0 || uplink->state != UPLINK_CLOSED)
        return;
    pool_give(&worker->uplinks, uplink);
    worker_uplink_gone(worker);
}

static void on_client_closed(struct stream *stream)
{
    part_closed(stream->owner);
}

static void on_link_closed(struct link *link)
{
    part_closed(link->owner);
}

/* In order: a reset would take our close frame back. */
void uplink_end_link(struct uplink *uplink)
{
    loop_deadline_clear(&uplink->keepalive);
    if (uplink->link.state != LINK_CLOSING)
        uplink->closing_count += (unsigned)link_close(&uplink->link, LINK_END_FIN, on_link_closed);
}

void uplink_close(struct uplink *uplink, enum link_end end)
{
    uplink_enter(uplink, UPLINK_CLOSED);
    loop_later_cancel(&uplink->worker->loop, &uplink->again);
    uplink->closing_count++;
    if (end == LINK_END_RESET)
        stream_reset(&uplink->client, on_client_closed);
    else
        stream_close(&uplink->client, on_client_closed);
    uplink_end_link(uplink);
    uplink_forward_free(uplink);
    explicit_bzero(&uplink->shake, sizeof uplink->shake);
    buf_fini(&uplink->client_in);
    buf_fini(&uplink->client_out);
}

void uplink_finish(struct uplink *uplink)
{
    uplink_end_link(uplink);
    uplink_forward_free(uplink);
    buf_fini(&uplink->client_in);
    uplink_enter(uplink, UPLINK_DRAIN);
}

void uplink_fail(struct uplink *uplink, const struct err *why)
{
    char memory[ANSWER_MAX];
    struct text text;
    struct span answer;
    struct err err;

    log_info("uplink %u: %s", uplink->number, why->text);
    if (uplink->has_payload || uplink->state == UPLINK_DRAIN) {
        uplink_close(uplink, LINK_END_RESET);
        return;
    }
    text_init(&text, memory, sizeof memory);
    answer_write(answer_status(why), why, &text);
    ENSURE(!text.overflow);
    answer = text_span(&text);
    if (uplink->forward != NULL)
        answer = forward_answer(uplink->forward, answer);
    uplink_finish(uplink);
    if (buf_append(&uplink->client_out, answer, &err) < 0)
        uplink_close(uplink, LINK_END_RESET);
}

void uplink_lose(struct uplink *uplink, const struct err *why)
{
    if (uplink->forward != NULL)
        uplink_forward_lost(uplink, why);
    else
        uplink_fail(uplink, why);
}

/* --- tries --- */

void uplink_retry(struct uplink *uplink, const struct err *why)
{
    uint8_t jitter[4];

    if (uplink->tries >= TRIES) {
        uplink_fail(uplink, why);
        return;
    }
    uplink->why = *why;
    uplink_end_link(uplink);
    uplink_enter(uplink, UPLINK_WAIT);
    mask_next(&uplink->worker->masks, jitter);
    loop_deadline_set(&uplink->deadline, (BACK_OFF_MS << (uplink->tries - 1)) + jitter[0] / 4);
}

static void on_link_ready(struct link *link)
{
    uplink_pump(link->owner);
}

void uplink_dial(struct uplink *uplink)
{
    struct err err;

    uplink->tries++;
    uplink->scanned = 0;
    uplink_enter(uplink, UPLINK_DIAL);
    link_init(&uplink->link, &uplink->worker->plan, on_link_ready, uplink);
    if (link_start(&uplink->link, &err) < 0)
        uplink_retry(uplink, &err);
}

/* --- time --- */

void uplink_say_close(struct uplink *uplink)
{
    struct err err;
    uint8_t mask[4];

    if (uplink->close_sent)
        return;
    mask_next(&uplink->worker->masks, mask);
    if (ws_frame_send_close(&uplink->link.out, 1000, span_of(NULL, 0), mask, &err) == 0)
        uplink->close_sent = 1;
    (void)link_pump(&uplink->link, &err);
}

static void on_deadline(struct loop_deadline *deadline)
{
    struct uplink *uplink = deadline->owner;
    struct err err;

    log_debug("uplink %u: time is over in %s", uplink->number, states[uplink->state].name);
    if (uplink->forward != NULL && (uplink->state == UPLINK_FORWARD ||
                                    uplink->state == UPLINK_OPEN || uplink->state == UPLINK_HALF)) {
        uplink_forward_expired(uplink);
        return;
    }
    switch (uplink->state) {
    case UPLINK_HEAD:
        if (buf_is_empty(&uplink->client_in)) {
            uplink_close(uplink, LINK_END_FIN);
            return;
        }
        (void)err_set(&err, ERR_REQUEST_TIMEOUT, "no complete CONNECT request in 10 s");
        uplink_fail(uplink, &err);
        break;
    case UPLINK_DIAL:
    case UPLINK_JOIN:
        (void)err_set(&err, ERR_GATEWAY, "gateway: no answer in 10 s");
        uplink_retry(uplink, &err);
        break;
    case UPLINK_WAIT:
        if (uplink->link.state == LINK_CLOSING)
            loop_deadline_set(deadline, BACK_OFF_MS);
        else
            uplink_dial(uplink);
        break;
    case UPLINK_ANSWER:
        (void)err_set(&err, ERR_TIMEOUT, "gateway: no answer to CONNECT in 30 s");
        uplink_fail(uplink, &err);
        break;
    case UPLINK_HALF:
        uplink_say_close(uplink);
        uplink_finish(uplink);
        break;
    case UPLINK_OPEN:
    case UPLINK_DRAIN:
        uplink_close(uplink, LINK_END_RESET);
        return;
    case UPLINK_LINGER:
        uplink_close(uplink, LINK_END_FIN);
        return;
    case UPLINK_FORWARD:
    case UPLINK_CLOSED:
    case UPLINK_STATE_COUNT:
        return;
    }
    if (uplink->state != UPLINK_CLOSED)
        uplink_pump(uplink);
}

/* Middle boxes drop a WebSocket that is quiet for 50 s. */
static void on_keepalive(struct loop_deadline *deadline)
{
    struct uplink *uplink = deadline->owner;
    struct err err;
    uint8_t mask[4];

    loop_deadline_set(deadline, KEEPALIVE_MS);
    mask_next(&uplink->worker->masks, mask);
    if (envelope_send(&uplink->link.out, span_of(NULL, 0), mask, &err) < 0)
        return; /* full: so it is not quiet */
    uplink_pump(uplink);
}

/* --- the beginning --- */

static void on_client_ready(struct stream *stream)
{
    uplink_pump(stream->owner);
}

int uplink_open(struct worker *worker, int fd, struct err *err)
{
    struct uplink *uplink = pool_take(&worker->uplinks);

    if (uplink == NULL) {
        (void)close(fd);
        return err_set(err, ERR_LIMIT, "too many clients");
    }
    *uplink = (struct uplink){.worker = worker, .number = ++worker->uplink_number};
    if (stream_open(&uplink->client, &worker->loop, fd, on_client_ready, uplink, err) < 0) {
        pool_give(&worker->uplinks, uplink);
        return -1;
    }
    worker->uplink_count++;
    buf_init(&uplink->client_in, &worker->blocks, BUF_PLAIN);
    buf_init(&uplink->client_out, &worker->blocks, BUF_PLAIN);
    link_init(&uplink->link, &worker->plan, on_link_ready, uplink);
    loop_deadline_init(&uplink->deadline, &worker->loop, on_deadline, uplink);
    loop_deadline_init(&uplink->keepalive, &worker->loop, on_keepalive, uplink);
    loop_deadline_set(&uplink->deadline, states[UPLINK_HEAD].deadline_ms);
    uplink_pump(uplink);
    return 0;
}
