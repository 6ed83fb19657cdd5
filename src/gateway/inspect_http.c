/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP inside a tunnel. Bytes come in, every exchange for which something has changed makes its
 * steps, bytes go out. Over HTTP/1 there is one exchange, over HTTP/2 one for each stream.
 */
#include "gateway/inspect.h"
#include "gateway/tunnel.h"
#include "gateway/tunnel_pump.h"
#include "gateway/worker.h"
#include "os/log.h"

/* Steps of one round before bytes go out and others get their turn. */
#define HTTP_STEPS 256

/* No request can be served: there is nobody to tell it to yet. */
static void begin_fail(struct inspect *inspect, const struct err *err)
{
    log_warning("tunnel %llu: %s", (unsigned long long)inspect->tunnel->number, err->text);
    inspect->closing = 1;
}

void inspect_http_begin(struct inspect *inspect)
{
    struct exchange *exchange = NULL;
    struct err err;

    inspect_enter(inspect, INSPECT_HTTP);
    if (!inspect->is_plain && tls_alpn(&inspect->tls) == TLS_ALPN_H2) {
        if (inspect_h2_begin(inspect, &err) < 0)
            begin_fail(inspect, &err);
        return;
    }
    exchange = exchange_new(inspect, &err);
    if (exchange == NULL)
        begin_fail(inspect, &err);
    else
        tunnel_deadline_clear(inspect->tunnel); /* the exchange has one of its own */
}

void inspect_wake(struct inspect *inspect)
{
    for (struct list_node *node = inspect->exchanges.first; node != NULL; node = node->next) {
        struct exchange *exchange = node->item;

        exchange_wake(exchange);
        if (exchange->origin != NULL)
            origin_wake(exchange->origin);
    }
}

void inspect_drain(struct inspect *inspect)
{
    const struct exchange *exchange = list_first(&inspect->exchanges);

    if (inspect->h2 != NULL) {
        h2_shutdown(inspect->h2);
        return;
    }
    /* One that has not asked anything yet gets its first answer. */
    if (inspect->served > 0 && exchange != NULL && exchange_is_idle(exchange))
        inspect->closing = 1;
}

bool inspect_has_ended(const struct inspect *inspect)
{
    return inspect->tls.state == TLS_ENDED;
}

void inspect_want(struct inspect *inspect)
{
    for (struct list_node *node = inspect->exchanges.first; node != NULL; node = node->next)
        exchange_want(node->item);
}

bool inspect_holds_nothing(const struct inspect *inspect)
{
    if (!buf_is_empty(&inspect->hello) || !buf_is_empty(&inspect->plain_in) ||
        !buf_is_empty(&inspect->seal.gather))
        return false;
    if (inspect->h2 != NULL)
        return inspect->exchanges.count == 0;
    return inspect->exchanges.count == 0 || exchange_holds_nothing(list_first(&inspect->exchanges));
}

void inspect_http_expired(struct inspect *inspect)
{
    if (inspect->closing)
        tunnel_finish(inspect->tunnel); /* the client does not take what is left */
    else if (inspect->h2 != NULL && !h2_is_closing(inspect->h2))
        h2_shutdown(inspect->h2); /* it closes when that is written */
    else
        inspect->closing = 1;
}

/*
 * The exchanges that are due; those that moved are due again. A stream's exchange that is done goes
 * here and only here. 1, 0; the tunnel may have come to its end.
 */
static int exchanges_step(struct inspect *inspect)
{
    struct tunnel *tunnel = inspect->tunnel; /* `inspect` may be gone after a step */
    int moved = 0;

    for (int steps = 0; steps < HTTP_STEPS && inspect->ready.count > 0; steps++) {
        struct exchange *exchange = list_first(&inspect->ready);

        list_remove(&inspect->ready, &exchange->ready_node);
        exchange->is_ready = 0;
        if (exchange_step(exchange)) {
            moved = 1;
            if (tunnel->state != TUNNEL_INSPECT)
                return 1;
            exchange_queue(exchange);
        }
        if (exchange->state == EXCHANGE_DONE && exchange->client.kind == CODEC_H2)
            exchange_free(exchange);
    }
    return moved || inspect->ready.count > 0;
}

/* The client has ended its TLS connection: nothing more of a request will come. */
static int client_ended(struct inspect *inspect)
{
    struct exchange *exchange = list_first(&inspect->exchanges);
    struct err err;

    if (!inspect_has_ended(inspect) || !buf_is_empty(&inspect->plain_in))
        return 0;
    (void)err_set(&err, ERR_CLOSED, "the client ended in the middle of its request");
    if (inspect->h2 != NULL) {
        inspect_abort(inspect, &err);
        inspect->closing = 1;
        return 1;
    }
    if (exchange == NULL || exchange_is_idle(exchange)) {
        inspect->closing = 1;
        return 1;
    }
    if (exchange->request_done || exchange->state == EXCHANGE_DONE)
        return 0; /* it may still read its response */
    if (exchange->state == EXCHANGE_SECRET || exchange->state == EXCHANGE_ORIGIN)
        return 0; /* the whole request may be read already */
    exchange_abort(exchange, &err);
    inspect->closing = 1;
    return 1;
}

/* Everything that was to be said goes out, then the connection ends. */
static int closing_step(struct inspect *inspect)
{
    struct err err;
    int flushed =
        inspect->h2 != NULL ? inspect_h2_give(inspect, &err) : seal_flush(&inspect->seal, &err);

    if (flushed >= 0 && !buf_is_empty(&inspect->seal.gather)) {
        tunnel_deadline_keep(inspect->tunnel,
                             inspect->tunnel->worker->role.config.timeouts.idle_ms);
        return flushed; /* the rest when there is room */
    }
    if (flushed >= 0)
        seal_close(&inspect->seal);
    tunnel_finish(inspect->tunnel);
    return 1;
}

static int bytes_take(struct inspect *inspect, struct err *err)
{
    int decrypted = inspect_decrypt(inspect, err);
    int taken;

    if (decrypted < 0)
        inspect_explain(inspect, err);
    if (decrypted < 0 || inspect->h2 == NULL)
        return decrypted;
    taken = inspect_h2_take(inspect, err);
    return taken < 0 ? -1 : decrypted > 0 || taken > 0;
}

static int bytes_give(struct inspect *inspect, struct err *err)
{
    return inspect->h2 != NULL ? inspect_h2_give(inspect, err) : seal_flush(&inspect->seal, err);
}

int inspect_http_step(struct inspect *inspect)
{
    struct tunnel *tunnel = inspect->tunnel;
    struct err err;
    int moved = inspect->closing ? 0 : bytes_take(inspect, &err);
    int stepped;
    int given;

    if (moved < 0) {
        tunnel_abort(tunnel, &err);
        return 1;
    }
    if (inspect->h2 == NULL && inspect->exchanges.count > 0)
        exchange_queue(list_first(&inspect->exchanges));
    stepped = exchanges_step(inspect);
    if (tunnel->state != TUNNEL_INSPECT)
        return 1;
    if (stepped == 0 && !inspect->closing)
        stepped = client_ended(inspect);
    if (inspect->closing)
        return closing_step(inspect);
    given = bytes_give(inspect, &err);
    if (given < 0) {
        tunnel_abort(tunnel, &err);
        return 1;
    }
    return moved > 0 || stepped > 0 || (inspect->h2 != NULL && given > 0);
}
