/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_SESSION_H
#define EXEAT_GATEWAY_SESSION_H

#include "base/map.h"
#include "base/secret.h"
#include "gateway/tenant.h"
#include "gateway/vault_link.h"
#include "http/target.h"
#include "net/loop.h"
#include "policy/rule.h"

struct worker;
struct tunnel;

/*
 * A session as one worker knows it: its tunnels, its idle origin connections, and the credentials
 * it was given. Lives from its first tunnel here until a while after its last, or until the vault
 * says that it has ended; then everything of it is closed and wiped. Credentials are wiped soon
 * after the last tunnel already; idle origin connections stay for the next one.
 */

enum credential_state { CREDENTIAL_NONE, CREDENTIAL_ASKED, CREDENTIAL_HAVE, CREDENTIAL_FAILED };

struct credential {
    enum credential_state state;
    struct secret value;
    struct vault_wait wait;
    struct session *session; /* borrowed: the session that embeds it */
    unsigned attempt;        /* counts questions: who waited sees which one failed */
    struct err err;          /* of CREDENTIAL_FAILED */
};

struct session {
    struct worker *worker; /* borrowed */
    struct tenant *tenant; /* borrowed: outlives it */
    struct share share;    /* what it may take, of its tenant's */
    struct map_node map_node;
    size_t id_len;
    char id[LIMIT_SESSION_ID + 1];
    int64_t expires_wall_ms;
    uint64_t auth_count;            /* how often the vault has named it to us */
    struct list tunnels;            /* of struct tunnel */
    struct list idle_origins;       /* of struct origin with HTTP/1, last used first */
    struct list shared_origins;     /* of struct origin with HTTP/2, also while they are used */
    struct list origins;            /* of struct origin: all that are not closed */
    struct list waits;              /* of struct origin_wait: for one of them, in their order */
    struct credential *credentials; /* owned, as many as the policy has */
    struct loop_deadline linger;
    struct loop_deadline starved; /* it had too few buffers left: look again soon */
    int is_wiped;                 /* the credentials, since the last tunnel left */
};

/* The session called `id`, made if it is not known yet. ERR_LIMIT, ERR_MEMORY. */
struct session *session_join(struct worker *worker, struct span id, struct span tenant,
                             int64_t expires_wall_ms, struct err *err);

struct session *session_find(struct worker *worker, struct span id);

/*
 * It counts for this session from now on, with the buffers it holds. ERR_SESSION_LIMIT,
 * ERR_TENANT_LIMIT.
 */
int session_add_tunnel(struct session *session, struct tunnel *tunnel, struct err *err);
void session_remove_tunnel(struct session *session, struct tunnel *tunnel);

/*
 * Whether too few buffers are left for all of the session to read on. Its tunnels are woken in a
 * while.
 */
#define SESSION_STARVED_MS 100
bool session_is_starved(struct session *session);

/* What a request by rule `rule_index` to host:port needs. */
struct credential_query {
    size_t rule_index;
    size_t credential;
    const struct host *host;
    uint16_t port;
    enum rule_scheme scheme;
    unsigned attempt; /* 0 at first; kept between calls */
};

/*
 * 1: *value is the credential (borrowed until the next tick). 0: asked for; every tunnel of the
 * session is woken when the answer comes. -1: ERR_CREDENTIAL and others.
 */
int session_credential(struct session *session, struct credential_query *query, struct span *value,
                       struct err *err);

/* The vault has other values now: the next request asks again. */
void session_forget_credentials(struct session *session);

/* Ended by the vault (revoked, expired): closes its tunnels with this reason. */
void session_end(struct session *session, enum err_code why);

/* All sessions, at the end of the worker. */
void session_end_all(struct worker *worker);

static inline struct span session_id(const struct session *session)
{
    return span_of(session->id, session->id_len);
}

#endif
