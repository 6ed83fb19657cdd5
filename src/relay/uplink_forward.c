/* SPDX-License-Identifier: Apache-2.0 */
/* An uplink whose client names whole URLs: the engine's bytes, tunnels and time. */
#include "relay/uplink.h"

static int has_tunnel(const struct uplink *uplink)
{
    return uplink->state == UPLINK_ANSWER || uplink->state == UPLINK_OPEN ||
           uplink->state == UPLINK_HALF;
}

void uplink_forward_begin(struct uplink *uplink)
{
    struct worker *worker = uplink->worker;
    struct forward *forward = pool_take(&worker->forwards);
    struct err err;

    if (forward == NULL) {
        (void)err_set(&err, ERR_LIMIT, "too many requests at once");
        uplink_fail(uplink, &err);
        return;
    }
    forward_init(forward, &worker->blocks, &worker->arena_blocks, &uplink->client_in,
                 &uplink->client_out);
    forward->client_in = uplink->client_in; /* the bytes read so far are the engine's */
    buf_init(&uplink->client_in, &worker->blocks, BUF_PLAIN);
    uplink->forward = forward;
    uplink_enter(uplink, UPLINK_FORWARD);
}

void uplink_forward_free(struct uplink *uplink)
{
    if (uplink->forward == NULL)
        return;
    forward_fini(uplink->forward);
    pool_give(&uplink->worker->forwards, uplink->forward);
    uplink->forward = NULL;
}

int uplink_forward_pull(struct uplink *uplink, struct err *err)
{
    ssize_t len = stream_pull(&uplink->client, &uplink->forward->client_in, err);

    if (uplink->client.has_ended)
        forward_client_end(uplink->forward);
    return len < 0 ? -1 : len > 0;
}

/* --- tunnels --- */

static void tunnel_leave(struct uplink *uplink)
{
    uplink_say_close(uplink);
    uplink_end_link(uplink);
    buf_consume(&uplink->client_in, buf_len(&uplink->client_in));
    uplink_enter(uplink, UPLINK_FORWARD);
}

void uplink_forward_lost(struct uplink *uplink, const struct err *why)
{
    forward_tunnel_end(uplink->forward, why);
    uplink_end_link(uplink);
    buf_consume(&uplink->client_in, buf_len(&uplink->client_in));
    uplink_enter(uplink, UPLINK_FORWARD);
}

static void tunnel_dial(struct uplink *uplink)
{
    forward_tunnel_asked(uplink->forward);
    uplink->tries = 0;
    uplink->close_sent = 0;
    uplink_dial(uplink);
}

/* The client goes on with CONNECT: as if this were its first request. */
static void client_give_back(struct uplink *uplink)
{
    uplink->client_in = uplink->forward->client_in;
    buf_init(&uplink->forward->client_in, &uplink->worker->blocks, BUF_PLAIN);
    uplink_forward_free(uplink);
    uplink->scanned = 0;
    uplink->tries = 0;
    uplink->close_sent = 0;
    uplink_enter(uplink, UPLINK_HEAD);
}

/* Do what the engine's state asks for. 1 something, 0 nothing, -1 the end. */
static int wish_grant(struct uplink *uplink)
{
    struct forward *forward = uplink->forward;
    int wants_other =
        forward->tunnel == FORWARD_TUNNEL_NONE || forward->tunnel == FORWARD_TUNNEL_WANTED;

    if (forward->state == FORWARD_DONE) {
        if (has_tunnel(uplink))
            uplink_say_close(uplink);
        uplink_finish(uplink);
        return -1;
    }
    if (wants_other && has_tunnel(uplink)) {
        tunnel_leave(uplink);
        return 1;
    }
    if (uplink->state != UPLINK_FORWARD || uplink->link.state != LINK_IDLE)
        return 0;
    if (forward->tunnel == FORWARD_TUNNEL_WANTED) {
        tunnel_dial(uplink);
        return 1;
    }
    if (forward->state == FORWARD_CONNECT) {
        client_give_back(uplink);
        return 1;
    }
    return 0;
}

int uplink_forward_step(struct uplink *uplink)
{
    struct forward *forward = uplink->forward;
    enum forward_state before = forward->state;
    struct err err;
    int moved;
    int granted;

    if (uplink->worker->is_draining)
        forward_stop(forward);
    moved = forward_step(forward, &err);
    uplink->has_payload = forward->response_begun;
    if (moved < 0) {
        uplink_fail(uplink, &err);
        return -1;
    }
    granted = wish_grant(uplink);
    if (granted < 0)
        return -1;
    if (uplink->forward != NULL && forward->state != before &&
        (uplink->state == UPLINK_OPEN || uplink->state == UPLINK_FORWARD))
        uplink_touch(uplink);
    return moved || granted;
}

/* --- time --- */

void uplink_forward_expired(struct uplink *uplink)
{
    struct forward *forward = uplink->forward;
    struct err err;

    switch (forward->state) {
    case FORWARD_HEAD:
        (void)err_set(&err, ERR_REQUEST_TIMEOUT, "no complete request in 10 s");
        uplink_fail(uplink, &err);
        break;
    case FORWARD_TUNNEL:
    case FORWARD_REFUSAL:
    case FORWARD_EXCHANGE:
        (void)err_set(&err, ERR_TIMEOUT, "gateway: no response in time");
        uplink_fail(uplink, &err);
        break;
    case FORWARD_UPGRADED:
        if (uplink->state != UPLINK_HALF) {
            uplink_close(uplink, LINK_END_RESET);
            return;
        }
        uplink_say_close(uplink);
        uplink_finish(uplink);
        break;
    case FORWARD_IDLE:
    case FORWARD_CONNECT:
    case FORWARD_DONE:
    case FORWARD_STATE_COUNT:
        if (has_tunnel(uplink))
            uplink_say_close(uplink);
        uplink_close(uplink, LINK_END_FIN);
        return;
    }
    if (uplink->state != UPLINK_CLOSED)
        uplink_pump(uplink);
}
