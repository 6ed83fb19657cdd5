/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A connection is made once and in this order: resolve, check every address
 * by policy, dial only what was checked, verify the certificate for the one name of the tunnel.
 * Then it belongs to an exchange (BUSY) or waits in its session's pool (IDLE). While BUSY its
 * events go to the user, whose pump calls origin_pull() and origin_push().
 */
#include "gateway/origin.h"

#include "gateway/origin_dial.h"
#include "gateway/origin_wait.h"
#include "gateway/session.h"
#include "gateway/worker.h"
#include "os/clock.h"
#include "os/log.h"

static const char *const state_names[] = {
#define ORIGIN_NAME(name, deadline, ends) #name,
    ORIGIN_STATES(ORIGIN_NAME)
#undef ORIGIN_NAME
};

/* Which states may follow, as a bit set. */
static const unsigned state_next[] = {
    [ORIGIN_RESOLVE] = 1u << ORIGIN_CONNECT | 1u << ORIGIN_CLOSED,
    [ORIGIN_CONNECT] = 1u << ORIGIN_SHAKE | 1u << ORIGIN_CLOSED,
    [ORIGIN_SHAKE] = 1u << ORIGIN_BUSY | 1u << ORIGIN_CLOSED,
    [ORIGIN_IDLE] = 1u << ORIGIN_BUSY | 1u << ORIGIN_CLOSED,
    [ORIGIN_BUSY] = 1u << ORIGIN_IDLE | 1u << ORIGIN_CLOSED,
    [ORIGIN_CLOSED] = 0,
};

static int64_t state_deadline_ms(const struct origin *origin, enum origin_state state)
{
    const struct config_timeouts *timeouts = &origin->worker->role.config.timeouts;
    const int64_t deadlines[] = {
#define ORIGIN_DEADLINE(name, deadline, ends) timeouts->deadline,
        ORIGIN_STATES(ORIGIN_DEADLINE)
#undef ORIGIN_DEADLINE
    };

    return deadlines[state];
}

void origin_enter(struct origin *origin, enum origin_state next)
{
    ENSURE(state_next[origin->state] & 1u << next);
    log_debug("origin %s:%u: %s -> %s", origin->host.name, origin->port, state_names[origin->state],
              state_names[next]);
    origin->state = next;
    if (next == ORIGIN_CLOSED)
        loop_deadline_clear(&origin->deadline);
    else
        loop_deadline_set(&origin->deadline, state_deadline_ms(origin, next));
}

static void stream_closed(struct stream *stream)
{
    struct origin *origin = stream->owner;
    struct worker *worker = origin->worker;

    tls_fini(&origin->tls);
    pool_give(share_pool(&worker->share, SHARE_ORIGINS), origin);
    worker_check_drained(worker);
}

static unsigned alpn_offered(const struct origin *origin)
{
    return origin->version == ORIGIN_ONLY_H1 ? (unsigned)TLS_ALPN_H1
                                             : (unsigned)TLS_ALPN_H1 | (unsigned)TLS_ALPN_H2;
}

static struct origin_resume_key resume_key(const struct origin *origin)
{
    return (struct origin_resume_key){
        .session = session_id(origin->session),
        .host = &origin->host,
        .port = origin->port,
        .alpn = alpn_offered(origin),
    };
}

/* The next connection may do without certificates; what failed is no ground for that. */
static void resumption_keep(struct origin *origin)
{
    const struct origin_resume_key key = resume_key(origin);

    if (origin->scheme == RULE_HTTPS &&
        (origin->state == ORIGIN_IDLE || origin->state == ORIGIN_BUSY))
        origin_resume_keep(&origin->worker->resume, &key, &origin->tls);
}

void origin_close(struct origin *origin)
{
    if (origin->state == ORIGIN_CLOSED)
        return;
    resumption_keep(origin);
    if (origin->state == ORIGIN_IDLE)
        origin->worker->idle_origins--;
    if (origin->h2 != NULL)
        list_remove(&origin->session->shared_origins, &origin->node);
    else if (origin->state == ORIGIN_IDLE)
        list_remove(&origin->session->idle_origins, &origin->node);
    list_remove(&origin->session->origins, &origin->session_node);
    origin_wait_wake(origin);
    origin_enter(origin, ORIGIN_CLOSED);
    origin->user = NULL;
    while (origin->users.count > 0)
        list_remove(&origin->users, origin->users.first);
    loop_later_cancel(&origin->worker->loop, &origin->task);
    if (origin->h2 != NULL)
        h2_free(origin->h2);
    origin->h2 = NULL;
    if (origin->dialing != NULL) {
        origin_dial_cancel(origin->dialing);
        origin->dialing = NULL;
    }
    seal_fini(&origin->seal);
    buf_fini(&origin->net_in);
    buf_fini(&origin->net_out);
    buf_fini(&origin->plain_in);
    /* The session may be gone before the loop has reaped it. */
    ENSURE(pool_move(share_pool(&origin->session->share, SHARE_ORIGINS),
                     share_pool(&origin->worker->share, SHARE_ORIGINS)) == 0);
    if (origin->stream.is_open) {
        stream_close(&origin->stream, stream_closed);
    } else {
        tls_fini(&origin->tls);
        pool_give(share_pool(&origin->worker->share, SHARE_ORIGINS), origin);
    }
}

void origin_fail(struct origin *origin, const struct err *err)
{
    struct origin_user *user = origin->user;
    struct list users = origin->users;

    origin->users = (struct list){.first = NULL};
    origin_close(origin);
    if (user != NULL)
        user->on_open(user, NULL, err);
    while (users.count > 0) {
        user = list_first(&users);
        list_remove(&users, &user->node);
        user->on_lost(user, err);
    }
}

static void deadline_expired(struct loop_deadline *deadline)
{
    struct origin *origin = deadline->owner;
    struct err err;

    if (origin->state == ORIGIN_BUSY && (origin->h2 == NULL || origin->users.count > 0)) {
        origin_touch(origin); /* the exchange has a deadline of its own */
        return;
    }
    if (origin->state == ORIGIN_IDLE || origin->state == ORIGIN_BUSY) {
        origin_close(origin);
        return;
    }
    (void)err_set(&err, ERR_TIMEOUT, "%s: no answer within %lld ms (%s)", origin->host.name,
                  (long long)state_deadline_ms(origin, origin->state),
                  origin->state == ORIGIN_RESOLVE   ? "DNS"
                  : origin->state == ORIGIN_CONNECT ? "connect"
                                                    : "TLS handshake");
    origin_fail(origin, &err);
}

/* A stream does not know whose connection it is: what was closed here is the origin's. */
static int stream_failed(struct err *err)
{
    if (err->code == ERR_CLOSED)
        err->code = ERR_ORIGIN_CLOSED;
    return -1;
}

/* What HTTP/2 has queued goes out only when the windows that open it are read. */
static bool may_read(const struct origin *origin)
{
    const struct share *share = &origin->session->share;

    return !session_is_starved(origin->session) ||
           ((origin->h2 != NULL || origin->state == ORIGIN_SHAKE) &&
            share_has_last_buffers(share)) ||
           (origin_holds_nothing(origin) && share_has_spare_buffers(share));
}

int origin_pull(struct origin *origin, enum origin_end *end, struct err *err)
{
    ssize_t pulled = 0;
    size_t before = buf_len(&origin->plain_in);
    size_t used;

    *end = ORIGIN_GOES_ON;
    if (may_read(origin))
        pulled = stream_pull(&origin->stream, &origin->net_in, err);
    if (pulled < 0)
        return stream_failed(err);
    if (seal_feed(&origin->seal, buf_span(&origin->net_in), &used, &origin->plain_in, err) < 0)
        return -1;
    buf_consume(&origin->net_in, used);
    if (origin->tls.state == TLS_ENDED)
        *end = ORIGIN_ENDED;
    else if (origin->stream.has_ended && used == 0 && buf_len(&origin->plain_in) == before)
        *end = origin->scheme == RULE_HTTPS ? ORIGIN_CUT : ORIGIN_ENDED;
    return pulled > 0 || used > 0 || buf_len(&origin->plain_in) != before;
}

int origin_push(struct origin *origin, struct err *err)
{
    int flushed = seal_flush(&origin->seal, err);
    int accepted = flushed < 0 ? -1 : audit_link_accept(&origin->worker->audit, err);
    ssize_t pushed;

    /* Log before effect (invariant I4): what is pushed may hold a credential. */
    if (accepted <= 0)
        return accepted < 0 ? -1 : flushed > 0;
    pushed = stream_push(&origin->stream, &origin->net_out, err);
    return pushed < 0 ? stream_failed(err) : flushed > 0 || pushed > 0;
}

void origin_want(struct origin *origin, enum origin_reading reading)
{
    unsigned interest = 0;

    if (buf_free_len(&origin->net_in) > 0 && buf_free_len(&origin->plain_in) >= TLS_RECORD &&
        !origin->stream.has_ended && reading == ORIGIN_READS)
        interest |= LOOP_READ;
    if (!buf_is_empty(&origin->net_out))
        interest |= LOOP_WRITE;
    stream_want(&origin->stream, interest);
}

bool origin_holds_nothing(const struct origin *origin)
{
    return buf_is_empty(&origin->net_in) && buf_is_empty(&origin->net_out) &&
           buf_is_empty(&origin->plain_in) && buf_is_empty(&origin->seal.gather);
}

void origin_touch(struct origin *origin)
{
    if (origin->state == ORIGIN_BUSY)
        loop_deadline_set(&origin->deadline, state_deadline_ms(origin, ORIGIN_BUSY));
}

/* It is open: the one who waited for it has it. */
static void open_done(struct origin *origin)
{
    struct origin_user *user = origin->user;
    struct err err;

    if (origin->scheme == RULE_HTTPS && tls_alpn(&origin->tls) == TLS_ALPN_H2 &&
        origin_h2_start(origin, &err) < 0) {
        origin_fail(origin, &err);
        return;
    }
    origin_enter(origin, ORIGIN_BUSY);
    origin->uses = 0;
    user->on_open(user, origin, NULL);
    if (origin->h2 != NULL)
        origin_wake(origin); /* its preface */
    if (origin->h2 != NULL)
        origin_wait_wake(origin); /* it has room for many */
}

static void shake_step(struct origin *origin)
{
    enum origin_end end;
    struct err err;
    struct err write_err;
    int pulled = origin_pull(origin, &end, &err);

    if (origin_push(origin, &write_err) < 0 && pulled >= 0) {
        origin_fail(origin, &write_err);
        return;
    }
    if (pulled >= 0 && end != ORIGIN_GOES_ON && origin->tls.state != TLS_OPEN)
        pulled = err_set(&err, ERR_TLS, "%s closed the connection during the TLS handshake",
                         origin->host.name);
    if (pulled < 0) {
        origin_fail(origin, &err);
        return;
    }
    if (origin->tls.state == TLS_OPEN)
        open_done(origin);
    else
        origin_want(origin, may_read(origin) ? ORIGIN_READS : ORIGIN_WAITS);
}

/* A session ticket or a key update is no byte of a response; everything else ends the connection
 * (threat A12). */
static void idle_step(struct origin *origin)
{
    enum origin_end end;
    struct err err;

    if (origin_pull(origin, &end, &err) < 0 || end != ORIGIN_GOES_ON ||
        !buf_is_empty(&origin->plain_in) || origin_push(origin, &err) < 0)
        origin_close(origin);
    else
        origin_want(origin, may_read(origin) ? ORIGIN_READS : ORIGIN_WAITS);
}

static void stream_ready(struct stream *stream)
{
    struct origin *origin = stream->owner;

    if (origin->h2 != NULL) {
        origin_wake(origin);
        return;
    }
    switch (origin->state) {
    case ORIGIN_SHAKE:
        shake_step(origin);
        break;
    case ORIGIN_BUSY:
        origin->user->on_ready(origin->user);
        break;
    case ORIGIN_IDLE:
        idle_step(origin);
        break;
    case ORIGIN_RESOLVE:
    case ORIGIN_CONNECT:
    case ORIGIN_CLOSED:
        break;
    }
}

void origin_look_again(struct session *session)
{
    struct list_node *next;

    for (struct list_node *node = session->origins.first; node != NULL; node = next) {
        struct origin *origin = node->item;

        next = node->next;
        if (origin->h2 != NULL || origin->state == ORIGIN_SHAKE || origin->state == ORIGIN_IDLE)
            stream_ready(&origin->stream);
    }
}

static void dial_resolved(void *owner)
{
    origin_enter(owner, ORIGIN_CONNECT);
}

static void dial_done(void *owner, int fd, const struct address *address, const struct err *why)
{
    struct origin *origin = owner;
    struct worker *worker = origin->worker;
    struct text text;
    struct err err;

    origin->dialing = NULL;
    if (fd < 0) {
        origin_fail(origin, why);
        return;
    }
    text_init(&text, origin->address, sizeof origin->address);
    socket_write_address(&text, address);
    (void)text_str(&text);
    if (stream_open(&origin->stream, &worker->loop, fd, stream_ready, origin, &err) < 0) {
        origin_fail(origin, &err);
        return;
    }
    origin_enter(origin, ORIGIN_SHAKE);
    if (origin->scheme == RULE_HTTP) {
        open_done(origin);
        return;
    }
    const struct origin_resume_key key = resume_key(origin);

    if (tls_init_client(&origin->tls, worker->origin_context, &origin->host, &err) < 0 ||
        tls_offer_alpn(&origin->tls, alpn_offered(origin), &err) < 0) {
        origin_fail(origin, &err);
        return;
    }
    (void)origin_resume_give(&worker->resume, &key, &origin->tls, clock_wall_ms() / 1000);
    shake_step(origin);
}

/* Where its memory runs short HTTP/2 is not asked for: HTTP/1.1 needs next to none. */
static enum origin_version version_of(const struct session *session,
                                      const struct origin_target *target)
{
    return share_has_h2(&session->share) ? target->version : ORIGIN_ONLY_H1;
}

struct origin *origin_open(struct session *session, const struct origin_target *target,
                           struct origin_user *user, struct err *err)
{
    struct worker *worker = session->worker;
    struct pool *blocks = share_pool(&session->share, SHARE_BLOCKS);
    struct origin *origin = origin_pool_room(session);

    if (origin == NULL) {
        (void)share_refuse(&session->share, SHARE_ORIGINS, err);
        return NULL;
    }
    *origin = (struct origin){
        .worker = worker,
        .session = session,
        .user = user,
        .host = *target->host,
        .port = target->port,
        .scheme = target->scheme,
        .version = version_of(session, target),
    };
    list_add_last(&session->origins, &origin->session_node, origin);
    loop_deadline_init(&origin->deadline, &worker->loop, deadline_expired, origin);
    buf_init(&origin->net_in, blocks, BUF_PLAIN);
    buf_init(&origin->net_out, blocks, BUF_PLAIN);
    buf_init(&origin->plain_in, blocks, BUF_PLAIN);
    seal_init(&origin->seal, target->scheme == RULE_HTTPS ? &origin->tls : NULL, &origin->net_out,
              blocks, SEAL_BARE);
    h1_init(&origin->h1, H1_RESPONSES);
    loop_deadline_set(&origin->deadline, state_deadline_ms(origin, ORIGIN_RESOLVE));
    const struct origin_dial_calls calls = {dial_resolved, dial_done, origin};

    origin->dialing = origin_dial_start(worker, target->host, target->port, &calls, err);
    if (origin->dialing != NULL)
        return origin;
    origin->user = NULL;
    origin_close(origin);
    return NULL;
}
