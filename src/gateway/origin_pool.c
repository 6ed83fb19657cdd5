/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which connection serves which exchange. A session's connections of HTTP/1 wait in idle_origins,
 * last used first; those of HTTP/2 are in shared_origins from their start to their end, for they
 * can be used while they are in use. Sessions never share one.
 */
#include "gateway/origin_wait.h"
#include "gateway/session.h"
#include "gateway/worker.h"

static bool is_for(const struct origin *origin, const struct origin_target *target)
{
    return origin->port == target->port && origin->scheme == target->scheme &&
           target_is_same_host(&origin->host, target->host);
}

static void use_begin(struct origin *origin)
{
    if (origin->state == ORIGIN_BUSY)
        return;
    origin->worker->idle_origins--;
    origin_enter(origin, ORIGIN_BUSY);
}

/* How many streams nobody has asked for yet: a user that has none may still open one. */
static size_t free_count(const struct origin *origin)
{
    size_t can_open = h2_open_count(origin->h2);
    size_t will_open = origin->users.count - h2_stream_count(origin->h2);

    return can_open > will_open ? can_open - will_open : 0;
}

static struct origin *shared_take(struct session *session, const struct origin_target *target,
                                  struct origin_user *user)
{
    for (struct list_node *node = session->shared_origins.first; node != NULL; node = node->next) {
        struct origin *origin = node->item;

        if (!is_for(origin, target) || free_count(origin) == 0)
            continue;
        use_begin(origin);
        list_add_last(&origin->users, &user->node, user);
        return origin;
    }
    return NULL;
}

struct origin *origin_take(struct session *session, const struct origin_target *target,
                           struct origin_user *user)
{
    struct origin *shared = NULL;

    if (target->version == ORIGIN_ANY_VERSION)
        shared = shared_take(session, target, user);
    if (shared != NULL)
        return shared;
    for (struct list_node *node = session->idle_origins.first; node != NULL; node = node->next) {
        struct origin *origin = node->item;

        if (!is_for(origin, target))
            continue;
        list_remove(&session->idle_origins, &origin->node);
        use_begin(origin);
        origin->user = user;
        origin->saw_bytes = 0;
        return origin;
    }
    return NULL;
}

struct origin *origin_pool_room(struct session *session)
{
    struct pool *pool = share_pool(&session->share, SHARE_ORIGINS);
    struct origin *origin = pool_take(pool);

    if (origin != NULL || session->idle_origins.count == 0)
        return origin;
    origin_close(list_last(&session->idle_origins));
    return pool_take(pool);
}

/* May a connection that stands between two exchanges wait for another? */
static bool may_wait(const struct origin *origin)
{
    const struct worker *worker = origin->worker;

    return (origin->scheme == RULE_HTTP || origin->tls.state == TLS_OPEN) &&
           !origin->stream.has_ended && !worker->is_draining &&
           worker->idle_origins < worker->role.config.limits.origins_idle;
}

static void h1_leave(struct origin *origin, enum origin_fate fate)
{
    if (fate == ORIGIN_DISCARD || !may_wait(origin) || !buf_is_empty(&origin->plain_in) ||
        !buf_is_empty(&origin->seal.gather)) {
        origin_close(origin);
        return;
    }
    origin->user = NULL;
    list_add_first(&origin->session->idle_origins, &origin->node, origin);
    origin->worker->idle_origins++;
    origin_enter(origin, ORIGIN_IDLE);
    origin_want(origin, ORIGIN_READS);
    origin_wait_wake(origin);
}

static void h2_leave(struct origin *origin, struct origin_user *user)
{
    list_remove(&origin->users, &user->node);
    origin_wake(origin); /* the end of its stream may have to be told */
    origin_wait_wake(origin);
    if (origin->users.count > 0)
        return;
    if (!may_wait(origin)) {
        h2_shutdown(origin->h2);
        return; /* its run closes it once everything is written */
    }
    origin->worker->idle_origins++;
    origin_enter(origin, ORIGIN_IDLE);
}

void origin_leave(struct origin *origin, struct origin_user *user, enum origin_fate fate)
{
    ENSURE(origin->state == ORIGIN_BUSY);
    if (origin->h2 != NULL)
        h2_leave(origin, user);
    else
        h1_leave(origin, fate);
}
