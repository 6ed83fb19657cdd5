/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to the gateway, one step after the other:
 *
 *     RESOLVE -> DIAL -> (PROXY: CONNECT, Basic) -> (SHAKE: TLS) -> OPEN
 *
 * At any time exactly one of query, dial and stream is alive, so one close callback is all there
 * is to wait for. Every failure is ERR_GATEWAY: what a client is told is that its gateway cannot
 * be reached, and why.
 */
#include "relay/link.h"

#include "http/h1_read.h"

#define ATTEMPT_MS 3000

void link_init(struct link *link, const struct link_plan *plan, void (*on_ready)(struct link *),
               void *owner)
{
    *link = (struct link){.plan = plan, .on_ready = on_ready, .owner = owner};
    buf_init(&link->sealed_in, plan->blocks, BUF_PLAIN);
    buf_init(&link->sealed_out, plan->blocks, BUF_PLAIN);
    buf_init(&link->in, plan->blocks, BUF_PLAIN);
    buf_init(&link->out, plan->blocks, BUF_SECRET);
}

static const struct endpoint *first_hop(const struct link *link)
{
    return link->plan->proxy->is_set ? &link->plan->proxy->at : link->plan->gateway;
}

static const char *hop_name(const struct link *link)
{
    return link->plan->proxy->is_set ? "proxy before the gateway" : "gateway";
}

static void link_fail(struct link *link, const struct err *why)
{
    (void)err_set(&link->failure, ERR_GATEWAY, "%s: %s", hop_name(link), why->text);
    link->state = LINK_FAILED;
}

static void on_stream_ready(struct stream *stream)
{
    struct link *link = stream->owner;

    link->on_ready(link);
}

static int proxy_ask(struct link *link, struct err *err)
{
    char memory[2048];
    struct text text;
    int result;

    text_init(&text, memory, sizeof memory);
    text_add_str(&text, "CONNECT ");
    endpoint_write_target(link->plan->gateway, &text);
    text_add_str(&text, " HTTP/1.1\r\nHost: ");
    endpoint_write_target(link->plan->gateway, &text);
    if (link->plan->proxy->basic[0] != '\0') {
        text_add_str(&text, "\r\nProxy-Authorization: ");
        text_add_str(&text, link->plan->proxy->basic);
    }
    text_add_str(&text, "\r\n\r\n");
    result = text_check(&text, "CONNECT", err);
    if (result == 0)
        result = buf_append(&link->out, text_span(&text), err);
    explicit_bzero(memory, sizeof memory);
    return result;
}

/* The connection, or the tunnel through the proxy, is there. */
static int path_is_open(struct link *link, struct err *err)
{
    if (link->plan->tls == NULL) {
        link->state = LINK_OPEN;
        return 0;
    }
    link->state = LINK_SHAKE;
    return tls_init_client(&link->tls, link->plan->tls, &link->plan->gateway->host, err);
}

static void on_dialled(struct dial *dial, int fd, const struct address *address,
                       const struct err *why)
{
    struct link *link = dial->owner;
    struct err err;
    int result;

    (void)address;
    if (fd < 0) {
        link_fail(link, why);
        link->on_ready(link);
        return;
    }
    result = stream_open(&link->stream, link->plan->loop, fd, on_stream_ready, link, &err);
    if (result == 0 && link->plan->proxy->is_set) {
        link->state = LINK_PROXY;
        result = proxy_ask(link, &err);
    } else if (result == 0) {
        result = path_is_open(link, &err);
    }
    if (result < 0)
        link_fail(link, &err);
    link->on_ready(link);
}

static void on_resolved(struct resolve_query *query, const struct address *addresses, size_t count,
                        const struct err *why)
{
    struct link *link = query->owner;
    struct err err;

    if (count == 0) {
        link_fail(link, why);
        link->on_ready(link);
        return;
    }
    link->dial = (struct dial){.on_done = on_dialled, .owner = link};
    link->state = LINK_DIAL;
    if (dial_start(&link->dial, link->plan->loop, addresses, count, ATTEMPT_MS, &err) == 0)
        return;
    link_fail(link, &err);
    link->on_ready(link);
}

int link_start(struct link *link, struct err *err)
{
    const struct endpoint *hop = first_hop(link);
    struct err inner;

    ENSURE(link->state == LINK_IDLE);
    link->scanned = 0;
    link->is_choked = 0;
    link->out.kind = BUF_SECRET; /* the token goes through it */
    link->query = (struct resolve_query){.on_done = on_resolved, .owner = link};
    if (resolve_start(link->plan->resolver, &link->query, &hop->host, hop->port, &inner) < 0)
        return err_set(err, ERR_GATEWAY, "%s: %s", hop_name(link), inner.text);
    link->state = LINK_RESOLVE;
    return 0;
}

/* --- moving bytes --- */

static int plain_pump(struct link *link, struct err *err)
{
    ssize_t pushed = stream_push(&link->stream, &link->out, err);
    ssize_t pulled;

    if (pushed < 0)
        return -1;
    pulled = stream_pull(&link->stream, &link->in, err);
    return pulled < 0 ? -1 : pushed > 0 || pulled > 0;
}

static int proxy_pump(struct link *link, struct err *err)
{
    struct http_response response;
    ssize_t len;

    if (plain_pump(link, err) < 0)
        return -1;
    len = h1_read_response(buf_span(&link->in), &link->scanned, span_text("CONNECT"),
                           link->plan->scratch, &response, err);
    if (len == 0 && link->stream.has_ended)
        return err_set(err, ERR_GATEWAY, "it closed without an answer");
    if (len <= 0)
        return (int)len;
    arena_reset(link->plan->scratch);
    if (response.status != 200)
        return err_set(err, ERR_GATEWAY, "it answered %d", response.status);
    buf_consume(&link->in, (size_t)len);
    if (!buf_is_empty(&link->in))
        return err_set(err, ERR_GATEWAY, "bytes behind its answer");
    return path_is_open(link, err) < 0 ? -1 : 1;
}

/* Ciphertext that came, into plain bytes or into the handshake. */
static int tls_pump_in(struct link *link, struct err *err)
{
    ssize_t pulled = stream_pull(&link->stream, &link->sealed_in, err);
    size_t used = 0;

    if (pulled < 0)
        return -1;
    if (link->tls.state == TLS_OPEN && buf_is_empty(&link->sealed_in) && !link->is_choked)
        return pulled > 0;
    if (tls_feed(&link->tls, buf_span(&link->sealed_in), &used, &link->in, &link->sealed_out, err) <
        0) {
        struct err ignored;

        (void)stream_push(&link->stream, &link->sealed_out, &ignored); /* our alert */
        return -1;
    }
    buf_consume(&link->sealed_in, used);
    link->is_choked = buf_free_len(&link->in) == 0;
    return pulled > 0 || used > 0;
}

static int tls_pump(struct link *link, struct err *err)
{
    int moved = tls_pump_in(link, err);
    size_t used = 0;
    ssize_t pushed;

    if (moved < 0)
        return -1;
    if (link->state == LINK_SHAKE && link->tls.state == TLS_OPEN) {
        link->state = LINK_OPEN;
        moved = 1;
    }
    if (link->tls.state == TLS_OPEN && !buf_is_empty(&link->out)) {
        if (tls_send(&link->tls, buf_span(&link->out), &used, &link->sealed_out, err) < 0)
            return -1;
        buf_consume(&link->out, used);
    }
    pushed = stream_push(&link->stream, &link->sealed_out, err);
    if (pushed < 0)
        return -1;
    if (link->state == LINK_SHAKE && link_has_ended(link))
        return err_set(err, ERR_GATEWAY, "it closed during the TLS handshake");
    return moved || used > 0 || pushed > 0;
}

int link_pump(struct link *link, struct err *err)
{
    struct err inner;
    int moved = 0;

    switch (link->state) {
    case LINK_PROXY:
        moved = proxy_pump(link, &inner);
        break;
    case LINK_SHAKE:
        moved = tls_pump(link, &inner);
        break;
    case LINK_OPEN:
        moved = link->plan->tls == NULL ? plain_pump(link, &inner) : tls_pump(link, &inner);
        break;
    case LINK_FAILED:
        *err = link->failure;
        return -1;
    case LINK_IDLE:
    case LINK_RESOLVE:
    case LINK_DIAL:
    case LINK_CLOSING:
        return 0;
    }
    if (moved >= 0)
        return moved;
    link_fail(link, &inner);
    *err = link->failure;
    return -1;
}

void link_want(struct link *link)
{
    const struct buf *in =
        link->plan->tls != NULL && link->state != LINK_PROXY ? &link->sealed_in : &link->in;
    const struct buf *out =
        link->plan->tls != NULL && link->state != LINK_PROXY ? &link->sealed_out : &link->out;
    unsigned interest = buf_free_len(in) > 0 ? LOOP_READ : 0;

    if (!link->stream.is_open)
        return;
    if (!buf_is_empty(out) || (link->state == LINK_OPEN && !buf_is_empty(&link->out)))
        interest |= LOOP_WRITE;
    stream_want(&link->stream, interest);
}

int link_has_ended(const struct link *link)
{
    if (!link->stream.is_open)
        return link->state == LINK_FAILED;
    if (link->plan->tls == NULL)
        return link->stream.has_ended;
    return link->tls.state == TLS_ENDED ||
           (link->stream.has_ended && buf_is_empty(&link->sealed_in) && !link->is_choked);
}

/* --- the end --- */

static void link_closed(struct link *link)
{
    link->state = LINK_IDLE;
    if (link->on_closed != NULL)
        link->on_closed(link);
}

static void on_stream_closed(struct stream *stream)
{
    link_closed(stream->owner);
}

static void on_dial_closed(struct dial *dial)
{
    link_closed(dial->owner);
}

static int stream_end(struct link *link, enum link_end end)
{
    struct err ignored;

    if (end == LINK_END_RESET) {
        stream_reset(&link->stream, on_stream_closed);
        return 1;
    }
    if (link->tls.state == TLS_OPEN && link->tls.ssl != NULL) {
        tls_send_close(&link->tls, &link->sealed_out);
        (void)stream_push(&link->stream, &link->sealed_out, &ignored);
    }
    stream_close(&link->stream, on_stream_closed);
    return 1;
}

int link_close(struct link *link, enum link_end end, void (*on_closed)(struct link *))
{
    int is_pending = 0;

    ENSURE(link->state != LINK_CLOSING);
    link->on_closed = on_closed;
    if (link->stream.is_open)
        is_pending = stream_end(link, end);
    else if (link->state == LINK_DIAL)
        is_pending = dial_cancel(&link->dial, on_dial_closed);
    else if (link->state == LINK_RESOLVE)
        resolve_cancel(&link->query);
    tls_fini(&link->tls);
    link->tls = (struct tls){0};
    buf_fini(&link->sealed_in);
    buf_fini(&link->sealed_out);
    buf_fini(&link->in);
    buf_fini(&link->out);
    link->state = is_pending ? LINK_CLOSING : LINK_IDLE;
    return is_pending;
}
