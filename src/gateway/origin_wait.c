/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue before the connections of one session to one place. Only the first in it may take a
 * connection or make one, whoever asks later waits behind it: a stream of requests that finds every
 * connection just given back cannot starve those that came before.
 */
#include "gateway/origin_wait.h"

#include "gateway/session.h"
#include "gateway/worker.h"

static bool is_same(const struct origin_target *a, const struct origin_target *b)
{
    return a->port == b->port && a->scheme == b->scheme && target_is_same_host(a->host, b->host);
}

static struct origin_target target_of(const struct origin *origin)
{
    return (struct origin_target){
        .host = &origin->host, .port = origin->port, .scheme = origin->scheme};
}

static struct origin_wait *first_of(struct session *session, const struct origin_target *target)
{
    for (struct list_node *node = session->waits.first; node != NULL; node = node->next) {
        struct origin_wait *wait = node->item;

        if (is_same(&wait->target, target))
            return wait;
    }
    return NULL;
}

/* Connections that have switched protocols do not come back: they are not waited for. */
static bool is_full(struct session *session, const struct origin_target *target)
{
    uint64_t count = 0;

    for (struct list_node *node = session->origins.first; node != NULL; node = node->next) {
        const struct origin *origin = node->item;
        const struct origin_target its = target_of(origin);

        count += !origin->has_switched && is_same(&its, target);
    }
    return count >= session->worker->role.config.limits.origins_per_host;
}

/*
 * One that is of no use for this request (it wants a new one, or one of HTTP/1.1) and that nobody
 * uses makes room: waiting for it would be for nothing.
 */
static bool room_make(struct session *session, const struct origin_target *target)
{
    for (struct list_node *node = session->origins.first; node != NULL; node = node->next) {
        struct origin *origin = node->item;
        const struct origin_target its = target_of(origin);

        if (origin->state != ORIGIN_IDLE || !is_same(&its, target))
            continue;
        origin_close(origin);
        return true;
    }
    return false;
}

static void turn_give(struct session *session, const struct origin_target *target)
{
    struct origin_wait *first = first_of(session, target);

    if (first != NULL)
        first->on_turn(first);
}

void origin_wait_wake(struct origin *origin)
{
    const struct origin_target target = target_of(origin);

    turn_give(origin->session, &target);
}

void origin_wait_cancel(struct origin_wait *wait)
{
    struct session *session = wait->session;

    if (session == NULL)
        return;
    wait->session = NULL;
    list_remove(&session->waits, &wait->node);
    turn_give(session, &wait->target);
}

static enum origin_answer turn_wait(struct session *session, const struct origin_target *target,
                                    struct origin_wait *wait)
{
    if (wait->session != NULL)
        return ORIGIN_WAITS_ITS_TURN;
    wait->session = session;
    wait->target = *target;
    list_add_last(&session->waits, &wait->node, wait);
    return ORIGIN_WAITS_ITS_TURN;
}

enum origin_answer origin_ask(struct session *session, const struct origin_target *target,
                              struct origin_user *user, struct origin_wait *wait,
                              struct origin **origin, struct err *err)
{
    struct origin_wait *first = first_of(session, target);

    *origin = NULL;
    if (first != NULL && first != wait)
        return turn_wait(session, target, wait);
    if (!target->is_fresh)
        *origin = origin_take(session, target, user);
    if (*origin != NULL) {
        origin_wait_cancel(wait);
        return ORIGIN_TAKEN;
    }
    if (is_full(session, target) && !room_make(session, target))
        return turn_wait(session, target, wait);
    *origin = origin_open(session, target, user, err);
    origin_wait_cancel(wait);
    return *origin == NULL ? ORIGIN_REFUSED : ORIGIN_OPENS;
}

bool origin_wait_is_reached(struct session *session, const struct origin_target *target)
{
    if (!is_full(session, target))
        return false;
    for (struct list_node *node = session->origins.first; node != NULL; node = node->next) {
        const struct origin *origin = node->item;
        const struct origin_target its = target_of(origin);

        if ((origin->state == ORIGIN_BUSY || origin->state == ORIGIN_IDLE) && is_same(&its, target))
            return true;
    }
    return false;
}
