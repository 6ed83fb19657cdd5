/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of a worker and the credentials they may use. */
#include "gateway/session.h"

#include "gateway/inspect.h"
#include "gateway/origin.h"
#include "gateway/tunnel.h"
#include "gateway/worker.h"

/* How long a credential outlives the last tunnel of its session here: for a client that comes
 * back at once. */
#define CREDENTIAL_LINGER_MS 1000

static void credential_wipe(struct credential *credential)
{
    secret_fini(&credential->value);
    credential->state = CREDENTIAL_NONE;
}

static void session_free(struct session *session)
{
    struct worker *worker = session->worker;
    const struct message left = {
        .type = MESSAGE_LEFT, .a = session_id(session), .number = session->auth_count};
    struct err err;

    ENSURE(session->tunnels.count == 0 && session->waits.count == 0);
    while (session->origins.count > 0)
        origin_close(list_first(&session->origins));
    origin_resume_forget(&worker->resume, session_id(session));
    for (size_t i = 0; i < worker->role.config.policy.credential_count; i++) {
        vault_link_forget(&worker->vault, &session->credentials[i].wait);
        credential_wipe(&session->credentials[i]);
    }
    (void)vault_link_tell(&worker->vault, &left, &err);
    loop_deadline_clear(&session->linger);
    loop_deadline_clear(&session->starved);
    share_fini(&session->share);
    tenant_leave(session->tenant);
    map_remove(&worker->sessions, &session->map_node);
    pool_block_free(session->credentials);
    pool_give(&worker->session_pool, session);
}

/* Without tunnels: first the credentials go, then the session with its origin connections. */
static void linger_expired(struct loop_deadline *deadline)
{
    struct session *session = deadline->owner;

    if (session->is_wiped || session->idle_origins.count + session->shared_origins.count == 0) {
        session_free(session);
        return;
    }
    session_forget_credentials(session);
    session->is_wiped = 1;
    loop_deadline_set(&session->linger, session->worker->role.config.timeouts.origin_idle_ms);
}

static void tunnels_wake(struct session *session)
{
    for (struct list_node *node = session->tunnels.first; node != NULL; node = node->next) {
        struct tunnel *tunnel = node->item;

        tunnel_wake(tunnel);
        if (tunnel->inspect != NULL)
            inspect_wake(tunnel->inspect);
    }
}

/* Whoever waits for buffers looks again. */
static void starved_over(struct loop_deadline *deadline)
{
    struct session *session = deadline->owner;

    tunnels_wake(session);
    origin_look_again(session);
}

static void credential_replied(struct vault_wait *wait, const struct message *reply)
{
    struct credential *credential = wait->owner;

    if (reply->code == ERR_OK && reply->type == MESSAGE_CREDENTIAL_REPLY &&
        secret_init(&credential->value, reply->a, &credential->err) == 0) {
        credential->state = CREDENTIAL_HAVE;
    } else {
        if (reply->code != ERR_OK)
            (void)err_set(&credential->err, ERR_CREDENTIAL, "the vault gives no credential: %s",
                          err_reason(reply->code));
        credential->state = CREDENTIAL_FAILED;
    }
    tunnels_wake(credential->session);
}

static int session_setup(struct session *session, struct span id, struct span tenant,
                         struct err *err)
{
    struct worker *worker = session->worker;
    size_t count = worker->role.config.policy.credential_count;

    memcpy(session->id, id.ptr, id.len);
    session->id_len = id.len;
    session->credentials = pool_block_new((count + 1) * sizeof *session->credentials);
    if (session->credentials == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a session");
    for (size_t i = 0; i < count; i++) {
        struct credential *credential = &session->credentials[i];

        credential->session = session;
        credential->wait = (struct vault_wait){.on_reply = credential_replied, .owner = credential};
    }
    loop_deadline_init(&session->linger, &worker->loop, linger_expired, session);
    loop_deadline_init(&session->starved, &worker->loop, starved_over, session);
    session->tenant = tenant_join(worker, tenant, err);
    if (session->tenant == NULL)
        goto fail_credentials;
    share_init(&session->share, SHARE_SESSION, &session->tenant->share, &worker->role.config.limits,
               id);
    if (map_add(&worker->sessions, &session->map_node, session_id(session), session, err) == 0)
        return 0;
    tenant_leave(session->tenant);

fail_credentials:
    pool_block_free(session->credentials);
    return -1;
}

struct session *session_join(struct worker *worker, struct span id, struct span tenant,
                             int64_t expires_wall_ms, struct err *err)
{
    struct session *session = session_find(worker, id);

    if (session != NULL) {
        session->expires_wall_ms = expires_wall_ms;
        session->auth_count++;
        return session;
    }
    if (id.len == 0 || id.len > LIMIT_SESSION_ID || tenant.len > LIMIT_NAME) {
        (void)err_set(err, ERR_INTERNAL, "session id of %zu bytes", id.len);
        return NULL;
    }
    session = pool_take(&worker->session_pool);
    if (session == NULL) {
        (void)err_set(err, ERR_LIMIT, "too many sessions on this worker (limits.sessions)");
        return NULL;
    }
    *session =
        (struct session){.worker = worker, .expires_wall_ms = expires_wall_ms, .auth_count = 1};
    if (session_setup(session, id, tenant, err) == 0)
        return session;
    pool_give(&worker->session_pool, session);
    return NULL;
}

struct session *session_find(struct worker *worker, struct span id)
{
    return map_find(&worker->sessions, id);
}

int session_add_tunnel(struct session *session, struct tunnel *tunnel, struct err *err)
{
    struct pool *all = share_pool(&session->worker->share, SHARE_TUNNELS);
    struct pool *own = share_pool(&session->share, SHARE_TUNNELS);

    if (pool_move(all, own) < 0)
        return share_refuse(&session->share, SHARE_TUNNELS, err);
    if (tunnel_share(tunnel, &session->share, err) < 0) {
        ENSURE(pool_move(own, all) == 0);
        return -1;
    }
    loop_deadline_clear(&session->linger);
    session->is_wiped = 0;
    list_add_last(&session->tunnels, &tunnel->session_node, tunnel);
    return 0;
}

void session_remove_tunnel(struct session *session, struct tunnel *tunnel)
{
    struct pool *all = share_pool(&session->worker->share, SHARE_TUNNELS);

    list_remove(&session->tunnels, &tunnel->session_node);
    ENSURE(pool_move(share_pool(&session->share, SHARE_TUNNELS), all) == 0);
    if (session->tunnels.count == 0)
        loop_deadline_set(&session->linger, CREDENTIAL_LINGER_MS);
}

bool session_is_starved(struct session *session)
{
    if (!share_is_starved(&session->share))
        return false;
    if (session->starved.at_ms == 0)
        loop_deadline_set(&session->starved, SESSION_STARVED_MS);
    return true;
}

static int credential_ask(struct session *session, struct credential *credential,
                          struct credential_query *query, struct err *err)
{
    const struct message message = {
        .type = MESSAGE_CREDENTIAL,
        .number = (uint64_t)query->rule_index << 32 | query->credential,
        .index = (uint32_t)query->scheme << 16 | query->port,
        .a = session_id(session),
        .b = target_host_span(query->host),
    };

    if (vault_link_ask(&session->worker->vault, &message, &credential->wait, err) < 0)
        return -1;
    credential->state = CREDENTIAL_ASKED;
    credential->attempt++;
    return 0;
}

int session_credential(struct session *session, struct credential_query *query, struct span *value,
                       struct err *err)
{
    struct credential *credential = &session->credentials[query->credential];

    ENSURE(query->credential < session->worker->role.config.policy.credential_count);
    if (credential->state == CREDENTIAL_HAVE) {
        *value = secret_span(&credential->value);
        return 1;
    }
    if (credential->state == CREDENTIAL_FAILED && query->attempt == credential->attempt) {
        *err = credential->err;
        return -1;
    }
    if (credential->state != CREDENTIAL_ASKED &&
        credential_ask(session, credential, query, err) < 0)
        return -1;
    query->attempt = credential->attempt;
    return 0;
}

void session_forget_credentials(struct session *session)
{
    for (size_t i = 0; i < session->worker->role.config.policy.credential_count; i++) {
        if (session->credentials[i].state == CREDENTIAL_HAVE)
            credential_wipe(&session->credentials[i]);
    }
}

void session_end(struct session *session, enum err_code why)
{
    struct err err;

    (void)err_set(&err, why, "the session has ended: %s", err_reason(why));
    while (session->tunnels.count > 0)
        tunnel_abort(list_first(&session->tunnels), &err);
    session_free(session);
}

void session_end_all(struct worker *worker)
{
    for (size_t i = 0; i < worker->sessions.place_count; i++) {
        while (worker->sessions.places[i] != NULL)
            session_end(worker->sessions.places[i]->item, ERR_DRAINING);
    }
}
