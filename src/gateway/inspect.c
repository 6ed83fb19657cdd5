/* SPDX-License-Identifier: Apache-2.0 */
/* Interception of one tunnel's TLS: look at the ClientHello, get the leaf, shake hands, read HTTP.
 */
#include "gateway/inspect.h"

#include "gateway/tunnel.h"
#include "gateway/tunnel_pump.h"
#include "gateway/worker.h"
#include "os/log.h"
#include "wire/envelope.h"

static const unsigned state_next[] = {
    [INSPECT_PEEK] = 1u << INSPECT_MINT | 1u << INSPECT_SHAKE | 1u << INSPECT_HTTP,
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

void inspect_enter(struct inspect *inspect, enum inspect_state next)
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
    struct pool *blocks = share_pool(&tunnel->session->share, SHARE_BLOCKS);
    struct inspect *inspect = pool_take(&worker->inspect_pool);

    if (inspect == NULL) {
        (void)err_set(err, ERR_LIMIT, "too many intercepted tunnels");
        return NULL;
    }
    *inspect = (struct inspect){.tunnel = tunnel, .state = INSPECT_PEEK};
    inspect->waiter = (struct leaf_waiter){.session = session_id(tunnel->session),
                                           .tenant = tenant_name(tunnel->session->tenant),
                                           .on_ready = leaf_ready,
                                           .owner = inspect};
    buf_init(&inspect->hello, blocks, BUF_PLAIN);
    buf_init(&inspect->plain_in, blocks, BUF_PLAIN);
    seal_init(&inspect->seal, &inspect->tls, &tunnel->out, blocks, SEAL_ENVELOPE);
    state_deadline(inspect);
    return inspect;
}

void inspect_free(struct inspect *inspect)
{
    while (inspect->exchanges.count > 0)
        exchange_free(list_first(&inspect->exchanges));
    if (inspect->h2 != NULL)
        h2_free(inspect->h2);
    leaf_cache_forget(&inspect->waiter);
    seal_fini(&inspect->seal);
    tls_fini(&inspect->tls);
    buf_fini(&inspect->hello);
    buf_fini(&inspect->plain_in);
    pool_give(&inspect->tunnel->worker->inspect_pool, inspect);
}

void inspect_record_failure(struct inspect *inspect, const struct err *err)
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
    inspect_record_failure(inspect, err);
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
    if (leaf == NULL || tls_init_server(&inspect->tls, worker->inspect_context, leaf, &err) < 0 ||
        tls_allow_ticket(&inspect->tls, session_id(inspect->tunnel->session),
                         &inspect->tunnel->host, &err) < 0) {
        alert_send(inspect, TLS_ALERT_INTERNAL_ERROR);
        shake_fail(inspect, &err);
        return 1;
    }
    /* Where its memory runs short HTTP/2 is not offered: HTTP/1.1 needs next to none. */
    if (share_has_h2(&inspect->tunnel->session->share))
        tls_allow_alpn(&inspect->tls, TLS_ALPN_H1 | TLS_ALPN_H2);
    inspect_enter(inspect, INSPECT_SHAKE);
    return 1;
}

/* No record of TLS begins with a letter, every request of HTTP/1 does; who may, policy says. */
static bool begins_like_http(struct span hello)
{
    return hello.ptr[0] >= 'A' && hello.ptr[0] <= 'Z';
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
    if (peeked < 0 && begins_like_http(buf_span(&inspect->hello))) {
        inspect->is_plain = 1;
        inspect->seal.tls = NULL;
        inspect_http_begin(inspect);
        return 1;
    }
    if (peeked < 0) {
        alert_send(inspect, TLS_ALERT_HANDSHAKE_FAILURE);
        shake_fail(inspect, &err);
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

int inspect_decrypt(struct inspect *inspect, struct err *err)
{
    struct tunnel *tunnel = inspect->tunnel;
    int from_hello = !buf_is_empty(&inspect->hello);
    struct span in = from_hello ? buf_span(&inspect->hello) : tunnel->payload;
    size_t before = buf_len(&inspect->plain_in);
    size_t used;

    if (in.len == 0 && (inspect->is_plain || !tls_has_pending(&inspect->tls)))
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
void inspect_explain(const struct inspect *inspect, struct err *err)
{
    if (inspect->tls.alert[0] == '\0')
        return;
    (void)err_set(err, ERR_TLS, "the client refused our certificate or handshake: alert %.40s",
                  inspect->tls.alert);
}

static int shake_step(struct inspect *inspect)
{
    struct err err;
    int moved = inspect_decrypt(inspect, &err);

    if (moved < 0) {
        inspect_explain(inspect, &err);
        shake_fail(inspect, &err);
        return 1;
    }
    /* A client may end at once: its close_notify then comes with its last bytes of the handshake.
     */
    if (inspect->tls.state == TLS_OPEN || inspect->tls.state == TLS_ENDED) {
        inspect_http_begin(inspect);
        return 1;
    }
    return moved;
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
        return inspect_http_step(inspect);
    }
    return 0;
}

void inspect_expired(struct inspect *inspect)
{
    struct err err;

    if (inspect->state == INSPECT_HTTP) {
        inspect_http_expired(inspect);
        return;
    }
    (void)err_set(&err, inspect->state == INSPECT_MINT ? ERR_TIMEOUT : ERR_REQUEST_TIMEOUT,
                  "TLS handshake of the client not complete in time");
    alert_send(inspect, TLS_ALERT_HANDSHAKE_FAILURE);
    shake_fail(inspect, &err);
}

void inspect_abort(struct inspect *inspect, const struct err *err)
{
    for (struct list_node *node = inspect->exchanges.first; node != NULL; node = node->next)
        exchange_abort(node->item, err);
}
