/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an accepted connection to a tunnel whose origin is reached: upgrade request, the vault's
 * word about the token, the first message, policy, origin; only then 200 (docs/protocol.md).
 */
#include "gateway/tunnel_join.h"

#include "gateway/inspect.h"
#include "gateway/pass.h"
#include "gateway/reply.h"
#include "gateway/tunnel_pump.h"
#include "gateway/worker.h"
#include "wire/envelope.h"
#include "wire/ws_shake.h"

enum resource { RESOURCE_NONE, RESOURCE_TUNNEL, RESOURCE_CA, RESOURCE_HEALTH };

/* Both profiles are served at once. */
static const struct {
    const char *path;
    enum resource resource;
} resources[] = {
    {"/v1/tunnel", RESOURCE_TUNNEL},
    {"/v1/ca-cert", RESOURCE_CA},
    {"/v1/health", RESOURCE_HEALTH},
    {"/v1/code/upstreamproxy/ws", RESOURCE_TUNNEL},
    {"/v1/code/upstreamproxy/ca-cert", RESOURCE_CA},
};

static enum resource resource_find(struct span target)
{
    for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++) {
        if (span_equal(target, span_text(resources[i].path)))
            return resources[i].resource;
    }
    return RESOURCE_NONE;
}

void tunnel_join_refuse(struct tunnel *tunnel, const struct err *err)
{
    const struct reply reply = {
        .err = *err,
        .generation = tunnel->worker->role.config.policy.generation,
    };
    char memory[REPLY_MAX];
    struct text text;
    struct err send_err;

    text_init(&text, memory, sizeof memory);
    reply_write(&reply, &text);
    (void)buf_append(&tunnel->out, text_span(&text), &send_err);
    tunnel_enter(tunnel, TUNNEL_DRAIN);
}

static int content_answer(struct tunnel *tunnel, const char *type, struct span content)
{
    struct room room = buf_reserve(&tunnel->out, content.len + REPLY_MAX);
    struct text text;

    text_init(&text, room.ptr, room.len);
    reply_write_content(&text, type, content);
    buf_commit(&tunnel->out, text.overflow ? 0 : text.len);
    tunnel_enter(tunnel, TUNNEL_DRAIN);
    return 1;
}

static void auth_replied(struct vault_wait *wait, const struct message *reply)
{
    struct tunnel *tunnel = wait->owner;
    struct session *session = NULL;

    tunnel->auth_done = 1;
    err_clear(&tunnel->auth_err);
    tunnel_wake(tunnel);
    if (reply->code != ERR_OK || reply->type != MESSAGE_AUTH_REPLY) {
        (void)err_set(&tunnel->auth_err, reply->code == ERR_OK ? ERR_INTERNAL : reply->code,
                      "the token is not accepted: %s", err_reason(reply->code));
        return;
    }
    session =
        session_join(tunnel->worker, reply->a, reply->b, (int64_t)reply->number, &tunnel->auth_err);
    if (session != NULL && session_add_tunnel(session, tunnel, &tunnel->auth_err) == 0)
        tunnel->session = session;
}

static int auth_ask(struct tunnel *tunnel, struct span token, struct err *err)
{
    const struct message message = {.type = MESSAGE_AUTH, .a = token};

    if (secret_init(&tunnel->token, token, err) < 0)
        return -1;
    tunnel->auth = (struct vault_wait){.on_reply = auth_replied, .owner = tunnel};
    return vault_link_ask(&tunnel->worker->vault, &message, &tunnel->auth, err);
}

static int request_handle(struct tunnel *tunnel, const struct http_request *request,
                          struct err *err)
{
    enum resource resource = resource_find(request->target);
    struct span token;

    if (resource == RESOURCE_NONE)
        return err_set(err, ERR_NOT_FOUND, "this gateway has /v1/tunnel and /v1/ca-cert");
    if (!span_equal(request->method, span_text("GET")))
        return err_set(err, ERR_METHOD, "only GET is served here");
    if (resource == RESOURCE_HEALTH)
        return content_answer(tunnel, "text/plain", span_text("ok\n"));
    if (resource == RESOURCE_CA)
        return content_answer(tunnel, "application/x-pem-file",
                              span_of_room(tunnel->worker->ca_pem));
    if (tunnel->worker->tunnels.count > tunnel->worker->role.config.limits.tunnels)
        return err_set(err, ERR_LIMIT, "this worker has %zu tunnels (limits.tunnels)",
                       tunnel->worker->tunnels.count - 1);
    if (ws_shake_read(request, &token, tunnel->accept, err) < 0 || auth_ask(tunnel, token, err) < 0)
        return -1;
    tunnel_enter(tunnel, TUNNEL_AUTH);
    return 1;
}

/* The token in the head's memory is not needed any more. */
static void token_wipe(struct http_request *request)
{
    const struct http_field *field =
        http_fields_find(&request->fields, span_text("authorization"), NULL);

    if (field != NULL)
        explicit_bzero((void *)(uintptr_t)field->value.ptr, field->value.len);
}

int tunnel_join_step(struct tunnel *tunnel, struct err *err)
{
    struct buf *in = tunnel_in(tunnel);
    struct h1_event event;
    struct err bad;
    size_t used;

    (void)err;
    if (buf_is_empty(in))
        return 0;
    if (h1_feed(&tunnel->h1, buf_span(in), &used, &bad) < 0) {
        tunnel_join_refuse(tunnel, &bad);
        return 1;
    }
    buf_consume(in, used);
    if (!h1_next(&tunnel->h1, &event))
        return 0;
    if (request_handle(tunnel, &tunnel->h1.request, &bad) < 0)
        tunnel_join_refuse(tunnel, &bad);
    token_wipe(&tunnel->h1.request);
    return 1;
}

int tunnel_auth_step(struct tunnel *tunnel)
{
    struct err err;

    if (!tunnel->auth_done)
        return 0;
    if (tunnel->session == NULL) {
        tunnel_join_refuse(tunnel, &tunnel->auth_err);
        return 1;
    }
    if (ws_shake_answer(tunnel->accept, &tunnel->out, &err) < 0) {
        tunnel_join_refuse(tunnel, &err);
        return 1;
    }
    tunnel->is_websocket = 1;
    arena_reset(&tunnel->arena);
    arena_init(&tunnel->arena, share_pool(&tunnel->session->share, SHARE_HEADS), 2 * LIMIT_HEAD);
    tunnel_enter(tunnel, TUNNEL_HELLO);
    return 1;
}

static void reached(struct origin_user *user, struct origin *origin, const struct err *err)
{
    struct tunnel *tunnel = user->owner;

    tunnel->reaching = NULL;
    tunnel->reach_done = 1;
    err_clear(&tunnel->reach_err);
    if (origin == NULL)
        tunnel->reach_err = *err;
    else
        /* The first exchange takes it from the session's pool. */
        origin_leave(origin, &tunnel->reach, ORIGIN_KEEP);
    tunnel_wake(tunnel);
}

static void reached_ready(struct origin_user *user)
{
    (void)user;
}

static void reached_lost(struct origin_user *user, const struct err *err)
{
    (void)user;
    (void)err;
}

/* By which scheme will the first request go? If this is wrong it makes a connection of its own. */
static enum rule_scheme scheme_guess(const struct tunnel *tunnel)
{
    unsigned schemes = tunnel->decision.rule->schemes;

    if (!(schemes & (unsigned)RULE_HTTP))
        return RULE_HTTPS;
    return schemes & (unsigned)RULE_HTTPS && tunnel->port != 80 ? RULE_HTTPS : RULE_HTTP;
}

static void turn_came(struct origin_wait *wait)
{
    tunnel_wake(wait->owner);
}

/* Again when its turn has come. */
static int reach_ask(struct tunnel *tunnel, struct err *err)
{
    const struct origin_target target = {
        .host = &tunnel->host,
        .port = tunnel->port,
        .scheme = scheme_guess(tunnel),
        .version = ORIGIN_ANY_VERSION,
    };
    struct origin *origin;

    if (origin_wait_is_reached(tunnel->session, &target)) {
        origin_wait_cancel(&tunnel->reach_wait);
        tunnel->reach_done = 1;
        return 0;
    }
    switch (
        origin_ask(tunnel->session, &target, &tunnel->reach, &tunnel->reach_wait, &origin, err)) {
    case ORIGIN_TAKEN:
        origin_leave(origin, &tunnel->reach, ORIGIN_KEEP);
        tunnel->reach_done = 1;
        return 0;
    case ORIGIN_OPENS:
        tunnel->reaching = origin;
        return 0;
    case ORIGIN_WAITS_ITS_TURN:
        return 0;
    case ORIGIN_REFUSED:
        break;
    }
    return -1;
}

static int reach_start(struct tunnel *tunnel, struct err *err)
{
    if (tunnel->decision.rule->action != RULE_ALLOW) {
        tunnel->pass = pass_open(tunnel, err);
        return tunnel->pass == NULL ? -1 : 0;
    }
    tunnel->reach_wait = (struct origin_wait){.on_turn = turn_came, .owner = tunnel};
    tunnel->reach = (struct origin_user){
        .on_open = reached,
        .on_ready = reached_ready,
        .on_lost = reached_lost,
        .owner = tunnel,
    };
    return reach_ask(tunnel, err);
}

/* The hello is read: who, where to, and may they? */
static int hello_check(struct tunnel *tunnel, const struct hello *hello, struct err *err)
{
    struct span session = session_id(tunnel->session);
    int is_same = secret_equal(hello_session(hello), session);

    tunnel->host = hello->host;
    tunnel->port = hello->port;
    is_same &= secret_equal(hello_token(hello), secret_span(&tunnel->token));
    if (!is_same)
        return err_set(err, ERR_SESSION_MISMATCH,
                       "Proxy-Authorization is not that of the session of this tunnel");
    decide_connect(&tunnel->worker->role.config.policy, &tunnel->host, tunnel->port,
                   &tunnel->decision);
    if (tunnel->decision.verdict == VERDICT_ALLOW)
        return 0;
    if (tunnel->decision.rule == NULL && tunnel->port == 80)
        return err_set(err, ERR_POLICY,
                       "no rule allows %.45s:80 (plain http needs schemes: [http])",
                       tunnel->host.name);
    if (tunnel->decision.rule == NULL)
        return err_set(err, ERR_POLICY, "no rule of the policy allows %.60s:%u", tunnel->host.name,
                       tunnel->port);
    return err_set(err, ERR_POLICY, "rule %.*s denies %.60s:%u",
                   (int)tunnel->decision.rule->name.len,
                   (const char *)tunnel->decision.rule->name.ptr, tunnel->host.name, tunnel->port);
}

static int hello_handle(struct tunnel *tunnel, struct err *err)
{
    struct hello hello;
    int result = hello_read(buf_span(&tunnel->hello_in), &hello, err);

    if (result == 0)
        result = hello_check(tunnel, &hello, err);
    hello_fini(&hello);
    secret_fini(&tunnel->token);
    buf_consume(&tunnel->hello_in, buf_len(&tunnel->hello_in));
    if (result == 0)
        result = reach_start(tunnel, err);
    return result;
}

int tunnel_hello_step(struct tunnel *tunnel, struct err *err)
{
    struct err bad;
    int decoded = tunnel_decode(tunnel, err);

    if (decoded < 0)
        return -1;
    if (tunnel->payload.len > 0) {
        if (buf_len(&tunnel->hello_in) + tunnel->payload.len > LIMIT_CONNECT_HEAD ||
            buf_append(&tunnel->hello_in, tunnel->payload, &bad) < 0) {
            (void)err_set(&bad, ERR_HELLO, "the first message is longer than %d bytes",
                          LIMIT_CONNECT_HEAD);
            tunnel_refuse(tunnel, &bad);
            return 1;
        }
        tunnel_payload_used(tunnel, tunnel->payload.len);
        return 1;
    }
    if (!tunnel->hello_complete)
        return 0;
    /* What follows is payload, not a secret of ours: no need to wipe it any more. */
    tunnel->net_in.kind = BUF_PLAIN;
    tunnel->clear_in.kind = BUF_PLAIN;
    if (hello_handle(tunnel, &bad) < 0)
        tunnel_refuse(tunnel, &bad);
    else
        tunnel_enter(tunnel, TUNNEL_REACH);
    return 1;
}

int tunnel_reach_step(struct tunnel *tunnel, struct err *err)
{
    struct err bad;

    if (tunnel_decode(tunnel, err) < 0)
        return -1;
    if (tunnel->reach_wait.session != NULL && reach_ask(tunnel, &bad) < 0) {
        tunnel_refuse(tunnel, &bad);
        return 1;
    }
    if (!tunnel->reach_done)
        return 0;
    if (tunnel->reach_err.code != ERR_OK) {
        tunnel_refuse(tunnel, &tunnel->reach_err);
        return 1;
    }
    if (tunnel->pass != NULL)
        return pass_start(tunnel->pass, err);
    tunnel->inspect = inspect_new(tunnel, &bad);
    if (tunnel->inspect == NULL) {
        tunnel_refuse(tunnel, &bad);
        return 1;
    }
    if (envelope_send(&tunnel->out, reply_established(), NULL, err) < 0)
        return -1;
    tunnel_enter(tunnel, TUNNEL_INSPECT);
    return 1;
}
