/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vault's side of the boundary between parsers and secrets (B5). Nothing that a worker says is
 * believed: a host is read again by the strict grammar, a credential goes only to a worker on
 * which its session has authenticated and by a rule of the vault's own copy of the policy.
 */
#include "gateway/vault_answer.h"

#include "policy/decide.h"

static int answer_code(struct message *answer, enum err_code code)
{
    answer->code = code;
    return 1;
}

/* Canonical as the worker says it, and it must be exactly that. */
static int host_read(struct span text, struct host *host)
{
    char bracketed[LIMIT_HOST + 5];
    struct text out;
    struct err err;

    text_init(&out, bracketed, sizeof bracketed);
    if (span_find(text, ':') >= 0) {
        text_add_char(&out, '[');
        text_add(&out, text);
        text_add_char(&out, ']');
    } else {
        text_add(&out, text);
    }
    if (out.overflow || target_read_host(text_span(&out), host, &err) < 0)
        return -1;
    return span_equal(target_host_span(host), text) ? 0 : -1;
}

static int answer_worker(struct vault_asker *asker, const struct message *question, struct err *err)
{
    if (asker->spki_len != 0)
        return err_set(err, ERR_INTERNAL, "a second public key");
    if (question->a.len == 0 || question->a.len > sizeof asker->spki)
        return err_set(err, ERR_INTERNAL, "a public key of %zu bytes", question->a.len);
    memcpy(asker->spki, question->a.ptr, question->a.len);
    asker->spki_len = question->a.len;
    return 0;
}

/* The same work for a token that is unknown and for one that is not to be used (threat G5). */
static int answer_auth(struct vault_answers *answers, const struct vault_asker *asker,
                       const struct message *question, struct vault_room *room,
                       struct message *answer)
{
    struct stored_session session = {.expires_ms = 0};
    uint8_t hash[DIGEST_SHA256];
    enum err_code state;
    struct err err;
    int found;

    digest_sha256(question->a, hash);
    found = session_store_find(answers->store, hash, &session, &err);
    explicit_bzero(hash, sizeof hash);
    state = session_store_state(&session, asker->now_wall_ms);
    if (found < 0)
        return answer_code(answer, ERR_SYSTEM);
    if (found == 0)
        return answer_code(answer, ERR_TOKEN_INVALID);
    if (state != ERR_OK)
        return answer_code(answer, state);
    if (vault_table_join(answers->table, asker->worker, &session, &err) < 0)
        return answer_code(answer, err.code);
    memcpy(room->id, session.id, sizeof room->id);
    memcpy(room->tenant, session.tenant, sizeof room->tenant);
    answer->a = span_text(room->id);
    answer->b = span_text(room->tenant);
    answer->number = (uint64_t)session.expires_ms;
    return answer_code(answer, ERR_OK);
}

/* For a session that is there, at its tenant's cost: a worker taken over has no more (threat H4).
 */
static int answer_leaf(struct vault_answers *answers, const struct vault_asker *asker,
                       const struct message *question, struct vault_room *room,
                       struct message *answer)
{
    struct span tenant;
    struct host host;
    struct text out;
    struct err err;

    if (asker->spki_len == 0 || host_read(question->a, &host) < 0 ||
        question->number != (uint64_t)host.kind)
        return answer_code(answer, ERR_TARGET);
    if (!vault_table_tenant(answers->table, asker->worker, question->b, asker->now_wall_ms,
                            &tenant))
        return answer_code(answer, ERR_SESSION_REVOKED);
    if (mint_budget_take(answers->mints, tenant, asker->now_mono_ms, &err) < 0)
        return answer_code(answer, err.code);
    text_init(&out, room->bytes, sizeof room->bytes);
    if (leaf_mint(answers->keys->ca, &host, span_of(asker->spki, asker->spki_len),
                  asker->now_wall_ms / 1000, answers->config->ca.leaf_lifetime_ms / 1000, &out,
                  &err) < 0)
        return answer_code(answer, err.code);
    answer->a = text_span(&out);
    return answer_code(answer, ERR_OK);
}

static int answer_credential(struct vault_answers *answers, const struct vault_asker *asker,
                             const struct message *question, struct message *answer)
{
    const struct policy *policy = &answers->config->policy;
    size_t rule = (size_t)(question->number >> 32);
    size_t credential = (size_t)(question->number & UINT32_MAX);
    uint32_t scheme = question->index >> 16;
    struct host host;
    struct decide_query query = {.host = &host, .port = (uint16_t)(question->index & UINT16_MAX)};

    if (rule >= policy->rule_count || credential >= policy->credential_count || query.port == 0 ||
        (scheme != RULE_HTTPS && scheme != RULE_HTTP) || host_read(question->b, &host) < 0)
        return answer_code(answer, ERR_CREDENTIAL);
    query.scheme = (enum rule_scheme)scheme;
    if (!vault_table_has(answers->table, asker->worker, question->a, asker->now_wall_ms) ||
        !decide_credential(policy, rule, &query, credential))
        return answer_code(answer, ERR_CREDENTIAL);
    answer->a = secret_span(&answers->keys->credentials[credential]);
    return answer_code(answer, ERR_OK);
}

static enum message_type answer_type(enum message_type question)
{
    if (question == MESSAGE_AUTH)
        return MESSAGE_AUTH_REPLY;
    return question == MESSAGE_LEAF ? MESSAGE_LEAF_REPLY : MESSAGE_CREDENTIAL_REPLY;
}

int vault_answer(struct vault_answers *answers, struct vault_asker *asker,
                 const struct message *question, struct vault_room *room, struct message *answer,
                 struct err *err)
{
    *answer = (struct message){.type = answer_type(question->type), .handle = question->handle};
    if (question->type == MESSAGE_WORKER)
        return answer_worker(asker, question, err);
    if (question->type == MESSAGE_LEFT) {
        vault_table_leave(answers->table, asker->worker, question->a, question->number);
        return 0;
    }
    if (question->type == MESSAGE_AUTH)
        return answer_auth(answers, asker, question, room, answer);
    if (question->type == MESSAGE_LEAF)
        return answer_leaf(answers, asker, question, room, answer);
    if (question->type == MESSAGE_CREDENTIAL)
        return answer_credential(answers, asker, question, answer);
    return err_set(err, ERR_INTERNAL, "message %d is not for the vault", (int)question->type);
}

int vault_answer_sign(struct vault_answers *answers, const struct message *question,
                      struct vault_room *room, struct message *answer, struct err *err)
{
    struct err why;
    ssize_t len;

    if (question->type != MESSAGE_SIGN)
        return err_set(err, ERR_INTERNAL, "message %d on a sign channel", (int)question->type);
    *answer = (struct message){
        .type = MESSAGE_SIGN_REPLY, .handle = question->handle, .index = question->index};
    if (question->index >= answers->config->listen_count ||
        answers->keys->listeners[question->index] == NULL)
        return answer_code(answer, ERR_NOT_FOUND);
    len = sign_key_use(answers->keys->listeners[question->index], question->a,
                       (struct room){.ptr = room->bytes, .len = SIGN_MAX}, &why);
    if (len < 0)
        return answer_code(answer, why.code);
    answer->a = span_of(room->bytes, (size_t)len);
    return answer_code(answer, ERR_OK);
}
