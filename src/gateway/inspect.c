/* SPDX-License-Identifier: Apache-2.0 */
/* Interception of one tunnel's TLS: look at the ClientHello, get the leaf, shake hands, read HTTP.
 */
#include "gateway/inspect.h"

#include "gateway/reply.h"
#include "gateway/tunnel.h"
#include "gateway/tunnel_pump.h"
#include "gateway/worker.h"
#include "os/log.h"
#include "wire/envelope.h"

static const unsigned state_next[] = {
    [INSPECT_PEEK] = 1u << INSPECT_MINT | 1u << INSPECT_SHAKE,
    [INSPECT_MINT] = 1u << INSPECT_SHAKE,
    [INSPECT_SHAKE] = 1u << INSPECT_HTTP,
    [INSPECT_HTTP] = 0,
};

static void state_deadline(struct inspect *inspect)
{
    const struct config_timeouts *timeouts = &inspect->tunnel->worker->role.config.timeouts;
    const int64_t deadlines[] = {
#define INSPECT_DEADLINE(name, deadline, ends) deadline,
        INSPECT_STATES(INSPECT_DEADLINE)
#undef INSPECT_DEADLINE
    };

    tunnel_deadline(inspect->tunnel, deadlines[inspect->state]);
}

static void inspect_enter(struct inspect *inspect, enum inspect_state next)
{
    ENSURE(state_next[inspect->state] & 1u << next);
    inspect->state = next;
    state_deadline(inspect);
}

static void leaf_ready(struct leaf_waiter *waiter, const struct err *err)
{
    struct inspect *inspect = waiter->owner;

    inspect->leaf_done = 1;
    err_clear(&inspect->leaf_err);
    if (err != NULL)
        inspect->leaf_err = *err;
    tunnel_wake(inspect->tunnel);
}

struct inspect *inspect_new(struct tunnel *tunnel, struct err *err)
{
    struct worker *worker = tunnel->worker;
    struct inspect *inspect = pool_take(&worker->inspect_pool);

    if (inspect == NULL) {
        (void)err_set(err, ERR_LIMIT, "too many intercepted tunnels");
        return NULL;
    }
    *inspect = (struct inspect){.tunnel = tunnel, .state = INSPECT_PEEK};
    inspect->waiter = (struct leaf_waiter){.on_ready = leaf_ready, .owner = inspect};
    buf_init(&inspect->hello, &worker->blocks, BUF_PLAIN);
    buf_init(&inspect->plain_in, &worker->blocks, BUF_PLAIN);
    seal_init(&inspect->seal, &inspect->tls, &tunnel->out, &worker->blocks, SEAL_ENVELOPE);
    exchange_init(&inspect->exchange, inspect);
    state_deadline(inspect);
    return inspect;
}

void inspect_free(struct inspect *inspect)
{
    exchange_fini(&inspect->exchange);
    leaf_cache_forget(&inspect->waiter);
    seal_fini(&inspect->seal);
    tls_fini(&inspect->tls);
    buf_fini(&inspect->hello);
    buf_fini(&inspect->plain_in);
    pool_give(&inspect->tunnel->worker->inspect_pool, inspect);
}

/* A tunnel that ends before there was an exchange still leaves a record. */
static void failure_record(struct inspect *inspect, const struct err *err)
{
    struct tunnel *tunnel = inspect->tunnel;
    struct worker *worker = tunnel->worker;
    struct record record;

    tunnel_record(tunnel, &record);
    record.method = span_text("CONNECT");
    record.verdict = err->code == ERR_MISDIRECTED ? RECORD_DENY : RECORD_ERROR;
    record.rule = tunnel->decision.rule->name;
    record.status = 200;
    record.reason = span_text(err_reason(err->code));
    record.detail = span_text(err->text);
    record.ms = (uint64_t)(worker->loop.now_ms - tunnel->start_ms);
    audit_link_end(&worker->audit, 0, &record);
}

/* The handshake does not come about: say why to the log and the audit, end the tunnel. */
static void shake_fail(struct inspect *inspect, const struct err *err)
{
    log_info("tunnel %llu to %s:%u: %s", (unsigned long long)inspect->tunnel->number,
             inspect->tunnel->host.name, inspect->tunnel->port, err->text);
    failure_record(inspect, err);
    tunnel_finish(inspect->tunnel);
}

static void alert_send(struct inspect *inspect, uint8_t description)
{
    struct buf *out = &inspect->tunnel->out;
    struct envelope_mark mark;
    struct err err;

    if (envelope_begin(&mark, out, &err) < 0)
        return;
    (void)tls_write_alert(out, description, &err);
    envelope_finish(&mark);
}

/* What came first in the tunnel is no TLS: answer in words if it looks like HTTP. */
static void no_tls(struct inspect *inspect, uint8_t first, struct err *err)
{
    const struct reply reply = {.err = *err, .generation = 0};
    char memory[REPLY_MAX];
    struct text text;
    struct err send_err;

    if (first >= 'A' && first <= 'Z') {
        (void)err_set(err, ERR_UNSUPPORTED,
                      "this tunnel carries TLS only, plain HTTP was sent in it");
        struct reply words = reply;

        words.err = *err;
        text_init(&text, memory, sizeof memory);
        reply_write(&words, &text);
        (void)envelope_send(&inspect->tunnel->out, text_span(&text), NULL, &send_err);
    } else {
        alert_send(inspect, TLS_ALERT_HANDSHAKE_FAILURE);
    }
    shake_fail(inspect, err);
}

/* One name (threats C1, C4): what the client asks for must be what it said in CONNECT. */
static int sni_check(const struct inspect *inspect, const struct sni *sni, struct err *err)
{
    struct host host;

    if (sni->name_len == 0)
        return 0;
    if (target_read_host(span_of(sni->name, sni->name_len), &host, err) < 0 ||
        !target_is_same_host(&host, &inspect->tunnel->host))
        return err_set(err, ERR_MISDIRECTED, "server name %.40s in a tunnel to %.40s", sni->name,
                       inspect->tunnel->host.name);
    return 0;
}

static int shake_start(struct inspect *inspect)
{
    struct worker *worker = inspect->tunnel->worker;
    struct err err;
    struct leaf *leaf =
        leaf_cache_take(&worker->leaves, &inspect->tunnel->host, &inspect->waiter, &err);

    if (leaf == NULL && err.code == ERR_OK) {
        if (inspect->state == INSPECT_PEEK)
            inspect_enter(inspect, INSPECT_MINT);
        inspect->leaf_done = 0;
        return 1;
    }
    if (leaf == NULL || tls_init_server(&inspect->tls, worker->inspect_context, leaf, &err) < 0) {
        alert_send(inspect, TLS_ALERT_INTERNAL_ERROR);
        shake_fail(inspect, &err);
        return 1;
    }
    inspect_enter(inspect, INSPECT_SHAKE);
    return 1;
}

static int peek_step(struct inspect *inspect)
{
    struct tunnel *tunnel = inspect->tunnel;
    size_t taken = buf_append_some(&inspect->hello, tunnel->payload);
    struct sni sni;
    struct err err;
    int peeked;

    tunnel_payload_used(tunnel, taken);
    if (taken == 0)
        return 0;
    peeked = sni_peek(buf_span(&inspect->hello), &sni, &err);
    if (peeked == 0)
        return 1;
    if (peeked < 0) {
        no_tls(inspect, buf_span(&inspect->hello).ptr[0], &err);
        return 1;
    }
    if (sni_check(inspect, &sni, &err) < 0) {
        alert_send(inspect, TLS_ALERT_UNRECOGNIZED_NAME);
        shake_fail(inspect, &err);
        return 1;
    }
    return shake_start(inspect);
}

static int mint_step(struct inspect *inspect)
{
    if (!inspect->leaf_done)
        return 0;
    if (inspect->leaf_err.code == ERR_OK)
        return shake_start(inspect);
    alert_send(inspect, TLS_ALERT_INTERNAL_ERROR);
    shake_fail(inspect, &inspect->leaf_err);
    return 1;
}

/* Payload -> TLS -> plain_in. */
static int decrypt(struct inspect *inspect, struct err *err)
{
    struct tunnel *tunnel = inspect->tunnel;
    int from_hello = !buf_is_empty(&inspect->hello);
    struct span in = from_hello ? buf_span(&inspect->hello) : tunnel->payload;
    size_t before = buf_len(&inspect->plain_in);
    size_t used;

    if (in.len == 0 && !tls_has_pending(&inspect->tls))
        return 0;
    if (seal_feed(&inspect->seal, in, &used, &inspect->plain_in, err) < 0)
        return -1;
    if (from_hello)
        buf_consume(&inspect->hello, used);
    else
        tunnel_payload_used(tunnel, used);
    return used > 0 || buf_len(&inspect->plain_in) != before;
}

/* The client's words are worth more than ours: "unknown ca" means that it does not trust us. */
static void tls_explain(const struct inspect *inspect, struct err *err)
{
    if (inspect->tls.alert[0] == '\0')
        return;
    (void)err_set(err, ERR_TLS, "the client refused our certificate or handshake: alert %.40s",
                  inspect->tls.alert);
}

static int shake_step(struct inspect *inspect)
{
    struct err err;
    int moved = decrypt(inspect, &err);

    if (moved < 0) {
        tls_explain(inspect, &err);
        shake_fail(inspect, &err);
        return 1;
    }
    if (inspect->tls.state == TLS_OPEN) {
        inspect_enter(inspect, INSPECT_HTTP);
        return 1;
    }
    return moved;
}

static int http_end(struct inspect *inspect)
{
    struct err err;
    int flushed = seal_flush(&inspect->seal, &err);

    if (flushed >= 0 && !buf_is_empty(&inspect->seal.gather))
        return flushed; /* the rest when there is room */
    if (flushed >= 0)
        seal_close(&inspect->seal);
    tunnel_finish(inspect->tunnel);
    return 1;
}

/* The client has ended its TLS connection: nothing more of a request will come. */
static int client_ended(struct inspect *inspect)
{
    struct exchange *exchange = &inspect->exchange;
    struct err err;

    if (inspect->tls.state != TLS_ENDED || !buf_is_empty(&inspect->plain_in))
        return 0;
    if (exchange_is_idle(exchange)) {
        inspect->closing = 1;
        return 1;
    }
    if (exchange->request_done || exchange->state == EXCHANGE_DONE)
        return 0; /* it may still read its response */
    if (exchange->state == EXCHANGE_SECRET || exchange->state == EXCHANGE_ORIGIN)
        return 0; /* the whole request may be read already */
    (void)err_set(&err, ERR_CLOSED, "the client ended in the middle of its request");
    exchange_abort(exchange, &err);
    inspect->closing = 1;
    return 1;
}

static int http_step(struct inspect *inspect)
{
    struct tunnel *tunnel = inspect->tunnel; /* `inspect` may be gone after a step */
    struct err err;
    int moved = inspect->closing ? 0 : decrypt(inspect, &err);
    int stepped;

    if (moved < 0) {
        tls_explain(inspect, &err);
        tunnel_abort(tunnel, &err);
        return 1;
    }
    stepped = exchange_step(&inspect->exchange);
    if (tunnel->state != TUNNEL_INSPECT)
        return 1;
    if (stepped == 0 && !inspect->closing)
        stepped = client_ended(inspect);
    if (inspect->closing)
        return http_end(inspect);
    if (seal_flush(&inspect->seal, &err) < 0) {
        tunnel_abort(tunnel, &err);
        return 1;
    }
    return moved > 0 || stepped > 0;
}

int inspect_pump(struct inspect *inspect, struct err *err)
{
    if (tunnel_decode(inspect->tunnel, err) < 0)
        return -1;
    switch (inspect->state) {
    case INSPECT_PEEK:
        return peek_step(inspect);
    case INSPECT_MINT:
        return mint_step(inspect);
    case INSPECT_SHAKE:
        return shake_step(inspect);
    case INSPECT_HTTP:
        return http_step(inspect);
    }
    return 0;
}

void inspect_want(struct inspect *inspect)
{
    exchange_want(&inspect->exchange);
}

bool inspect_holds_nothing(const struct inspect *inspect)
{
    const struct origin *origin = inspect->exchange.origin;

    return buf_is_empty(&inspect->hello) && buf_is_empty(&inspect->plain_in) &&
           buf_is_empty(&inspect->seal.gather) && (origin == NULL || origin_holds_nothing(origin));
}

void inspect_expired(struct inspect *inspect)
{
    struct err err;

    if (inspect->state == INSPECT_HTTP) {
        exchange_expired(&inspect->exchange);
        return;
    }
    (void)err_set(&err, inspect->state == INSPECT_MINT ? ERR_TIMEOUT : ERR_REQUEST_TIMEOUT,
                  "TLS handshake of the client not complete in time");
    alert_send(inspect, TLS_ALERT_HANDSHAKE_FAILURE);
    shake_fail(inspect, &err);
}

void inspect_abort(struct inspect *inspect, const struct err *err)
{
    exchange_abort(&inspect->exchange, err);
}
