/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One exchange after the other, over the tunnel that its target needs.
 *
 *     IDLE -> HEAD -> TUNNEL -> EXCHANGE -> IDLE           another target: TUNNEL asks for another
 *              |         \-> REFUSAL -> IDLE                tunnel, the one before is closed
 *              |                  EXCHANGE -> UPGRADED      after 101
 *              \-> CONNECT                                  the client goes on without us
 *
 *     client_in --h1--> rebuilt head, content --> tunnel_out
 *     client_out <-- rebuilt head, content <--h1-- tunnel_in
 *
 * A request is read only when the response before it is complete; until then its bytes wait in
 * client_in, whose socket is not read when it is full. Content is read only as far as the queue
 * behind has room.
 */
#include "relay/forward.h"

static const int64_t state_deadline_ms[] = {
#define FORWARD_ROW(name, deadline_ms, ends) [FORWARD_##name] = (deadline_ms),
    FORWARD_STATES(FORWARD_ROW)
#undef FORWARD_ROW
};

#define TO(name) (1u << FORWARD_##name)

static const unsigned state_next[] = {
    [FORWARD_IDLE] = TO(HEAD) | TO(CONNECT) | TO(DONE),
    [FORWARD_HEAD] = TO(TUNNEL) | TO(CONNECT),
    [FORWARD_TUNNEL] = TO(EXCHANGE) | TO(REFUSAL),
    [FORWARD_REFUSAL] = TO(IDLE) | TO(DONE),
    [FORWARD_EXCHANGE] = TO(IDLE) | TO(TUNNEL) | TO(UPGRADED) | TO(DONE),
    [FORWARD_UPGRADED] = TO(DONE),
    [FORWARD_CONNECT] = 0,
    [FORWARD_DONE] = 0,
};

void forward_enter(struct forward *forward, enum forward_state next)
{
    ENSURE(state_next[forward->state] & 1u << next);
    forward->state = next;
}

int64_t forward_deadline_ms(const struct forward *forward)
{
    return state_deadline_ms[forward->state];
}

/* Ready for the head of a request. */
static void request_await(struct forward *forward)
{
    arena_reset(&forward->arena);
    h1_init(&forward->request, H1_REQUESTS);
    h1_begin(&forward->request, &forward->arena, span_of(NULL, 0));
    forward->request_done = 0;
    forward->upgrade = span_of(NULL, 0);
    forward->response_begun = 0;
    forward->response_seen = 0;
    forward->response_done = 0;
    forward->has_retried = 0;
}

void forward_init(struct forward *forward, struct pool *blocks, struct pool *arena_blocks,
                  struct buf *tunnel_out, struct buf *client_out)
{
    *forward =
        (struct forward){.state = FORWARD_IDLE, .tunnel_out = tunnel_out, .client_out = client_out};
    buf_init(&forward->client_in, blocks, BUF_PLAIN);
    buf_init(&forward->tunnel_in, blocks, BUF_PLAIN);
    arena_init(&forward->arena, arena_blocks, 4 * LIMIT_HEAD);
    request_await(forward);
}

void forward_fini(struct forward *forward)
{
    buf_fini(&forward->client_in);
    buf_fini(&forward->tunnel_in);
    arena_reset(&forward->arena);
}

void forward_client_end(struct forward *forward)
{
    forward->client_has_ended = 1;
}

void forward_stop(struct forward *forward)
{
    forward->must_close = 1;
}

int forward_has_sent_all(const struct forward *forward)
{
    return (forward->state == FORWARD_EXCHANGE || forward->state == FORWARD_REFUSAL ||
            forward->state == FORWARD_UPGRADED) &&
           forward->request_done && buf_is_empty(&forward->client_in);
}

struct span forward_answer(const struct forward *forward, struct span answer)
{
    const struct span end = span_text("\r\n\r\n");
    ssize_t at = span_find_span(answer, end);

    if (at < 0 || !span_equal(forward->request.request.method, span_text("HEAD")))
        return answer;
    return span_first(answer, (size_t)at + end.len);
}

/* --- the tunnel --- */

void forward_tunnel_drop(struct forward *forward)
{
    buf_consume(&forward->tunnel_in, buf_len(&forward->tunnel_in));
    forward->tunnel = FORWARD_TUNNEL_NONE;
    forward->tunnel_is_spent = 0;
}

void forward_tunnel_want(struct forward *forward)
{
    forward_tunnel_drop(forward);
    forward->tunnel = FORWARD_TUNNEL_WANTED;
    forward->tunnel_uses = 0;
    h1_init(&forward->response, H1_RESPONSES);
    h1_begin(&forward->response, &forward->arena, span_text("CONNECT"));
}

void forward_tunnel_asked(struct forward *forward)
{
    ENSURE(forward->tunnel == FORWARD_TUNNEL_WANTED);
    forward->tunnel = FORWARD_TUNNEL_ASKED;
}

void forward_tunnel_end(struct forward *forward, const struct err *why)
{
    err_clear(&forward->tunnel_end);
    if (why != NULL)
        forward->tunnel_end = *why;
    if (forward->tunnel == FORWARD_TUNNEL_ASKED || forward->tunnel == FORWARD_TUNNEL_OPEN)
        forward->tunnel = FORWARD_TUNNEL_ENDED;
}

void forward_connect_write(const struct forward *forward, struct text *out)
{
    const struct host *host = &forward->place.host;

    text_addf(out, host->kind == HOST_IPV6 ? "CONNECT [%s]:%u HTTP/1.1" : "CONNECT %s:%u HTTP/1.1",
              host->name, forward->place.port);
}

/* --- the end of an exchange --- */

/* Request and response have passed, or as much of the request as the response left. */
static void exchange_end(struct forward *forward)
{
    if (forward->is_upgraded) {
        forward_enter(forward, FORWARD_UPGRADED);
        return;
    }
    if (forward->tunnel_is_spent || forward->tunnel != FORWARD_TUNNEL_OPEN ||
        !forward->request_done || !buf_is_empty(&forward->tunnel_in))
        forward_tunnel_drop(forward);
    if (forward->must_close || !forward->request_done) {
        forward_enter(forward, FORWARD_DONE);
        return;
    }
    forward_enter(forward, FORWARD_IDLE);
    request_await(forward);
}

/* --- after 101 --- */

static int some_carry(struct buf *from, struct buf *to)
{
    size_t len = buf_append_some(to, buf_span(from));

    buf_consume(from, len);
    return len > 0;
}

static int upgraded_step(struct forward *forward, struct err *err)
{
    int moved = some_carry(&forward->tunnel_in, forward->client_out);

    if (forward->tunnel == FORWARD_TUNNEL_OPEN)
        moved |= some_carry(&forward->client_in, forward->tunnel_out);
    if (forward->tunnel != FORWARD_TUNNEL_ENDED || !buf_is_empty(&forward->tunnel_in))
        return moved;
    if (forward->tunnel_end.code != ERR_OK) {
        *err = forward->tunnel_end;
        return -1;
    }
    forward_enter(forward, FORWARD_DONE);
    return 1;
}

static int exchange_step(struct forward *forward, struct err *err)
{
    int up = forward_content_step(forward, err);
    int down = up < 0 ? -1 : forward_response_step(forward, err);

    return down < 0 ? -1 : up || down;
}

int forward_step(struct forward *forward, struct err *err)
{
    enum forward_state before = forward->state;
    int moved = 0;

    switch (forward->state) {
    case FORWARD_IDLE:
    case FORWARD_HEAD:
        moved = forward_head_step(forward, err);
        break;
    case FORWARD_TUNNEL:
        moved = forward_tunnel_step(forward, err);
        break;
    case FORWARD_REFUSAL:
        moved = forward_response_step(forward, err);
        break;
    case FORWARD_EXCHANGE:
        moved = exchange_step(forward, err);
        break;
    case FORWARD_UPGRADED:
        moved = upgraded_step(forward, err);
        break;
    case FORWARD_CONNECT:
    case FORWARD_DONE:
    case FORWARD_STATE_COUNT:
        return 0;
    }
    if (moved < 0)
        return -1;
    if ((forward->state == FORWARD_EXCHANGE || forward->state == FORWARD_REFUSAL) &&
        forward->response_done)
        exchange_end(forward);
    return moved || forward->state != before;
}
