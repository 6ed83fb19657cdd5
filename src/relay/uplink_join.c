/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the client's head to an open tunnel: CONNECT, upgrade, 101, hello. The hello waits for the
 * 101, for old gateways read nothing before. What the client sends in the meantime stays behind
 * its head in client_in, and follows the hello in order.
 */
#include "relay/uplink.h"

#include "crypto/digest.h"
#include "http/h1_read.h"
#include "os/log.h"
#include "relay/connect_head.h"
#include "wire/envelope.h"
#include "wire/hello.h"

#define UPGRADE_MAX (LIMIT_TOKEN + 2048)
#define HELLO_MAX   (LIMIT_CONNECT_HEAD + 2 * LIMIT_TOKEN)

/* A SOCKS client gets a refusal it understands, a TLS client the nearest thing to one. */
static int stranger_answer(struct uplink *uplink, enum connect_head_kind kind)
{
    static const uint8_t no_method[] = {0x05, 0xff}; /* RFC 1928 section 3 */
    static const uint8_t rejected[] = {0x00, 0x5b, 0, 0, 0, 0, 0, 0};
    struct span answer = kind == CONNECT_HEAD_SOCKS5 ? span_of(no_method, sizeof no_method)
                                                     : span_of(rejected, sizeof rejected);
    struct err err;

    if (kind == CONNECT_HEAD_TLS) {
        (void)err_set(&err, ERR_SYNTAX, "TLS to a plain proxy port: the proxy URL must be http://");
        uplink_fail(uplink, &err);
        return -1;
    }
    log_info("uplink %u: SOCKS is not served; use an http:// proxy URL", uplink->number);
    uplink_finish(uplink);
    if (buf_append(&uplink->client_out, answer, &err) < 0)
        uplink_close(uplink, LINK_END_RESET);
    return -1;
}

/* Whether a request is taken at all. */
static int worker_check(const struct worker *worker, struct err *err)
{
    if (worker->is_draining)
        return err_set(err, ERR_DRAINING, "the relay is stopping");
    if (worker->uplink_count > WORKER_UPLINKS)
        return err_set(err, ERR_LIMIT, "more than %d connections at once", WORKER_UPLINKS);
    return 0;
}

int uplink_read_head(struct uplink *uplink)
{
    struct span in = buf_span(&uplink->client_in);
    struct connect_head head;
    struct err err;
    ssize_t len;

    if (in.len == 0) {
        if (!uplink->client.has_ended)
            return 0;
        uplink_close(uplink, LINK_END_FIN);
        return -1;
    }
    if (connect_head_kind(in.ptr[0]) != CONNECT_HEAD_HTTP)
        return stranger_answer(uplink, connect_head_kind(in.ptr[0]));
    if (connect_head_method(in) == CONNECT_HEAD_OTHER) {
        if (worker_check(uplink->worker, &err) < 0)
            uplink_fail(uplink, &err);
        else
            uplink_forward_begin(uplink);
        return uplink->state == UPLINK_FORWARD ? 1 : -1;
    }
    len = connect_head_read(in, &uplink->scanned, &head, &err);
    if (len == 0 && uplink->client.has_ended)
        len = err_set(&err, ERR_SYNTAX, "the request ends before its head does");
    if (len > 0)
        len = worker_check(uplink->worker, &err) < 0 ? -1 : len;
    if (len < 0)
        uplink_fail(uplink, &err);
    if (len <= 0)
        return (int)len;
    uplink->head_len = (size_t)len;
    uplink->line_len = head.line.len;
    uplink_dial(uplink);
    return uplink->state == UPLINK_DIAL ? 1 : -1;
}

static int upgrade_write(struct uplink *uplink, struct text *out, struct err *err)
{
    const struct settings *settings = &uplink->worker->settings;
    char host_memory[LIMIT_HOST + 16];
    char path_memory[1024];
    uint8_t nonce[16];
    struct text host;
    struct text path;

    text_init(&host, host_memory, sizeof host_memory);
    endpoint_write_authority(&settings->gateway, &host);
    text_init(&path, path_memory, sizeof path_memory);
    text_add_str(&path, settings->gateway.path);
    text_add_str(&path, profile_at(settings->profile)->tunnel_path);
    if (text_check(&host, "gateway host", err) < 0 || text_check(&path, "gateway path", err) < 0 ||
        digest_random((struct room){.ptr = nonce, .len = sizeof nonce}, err) < 0)
        return -1;
    uplink->shake = (struct ws_shake){.host = text_span(&host),
                                      .path = text_span(&path),
                                      .token = secret_span(&uplink->worker->token)};
    ws_shake_key(&uplink->shake, nonce);
    ws_shake_write(&uplink->shake, out);
    uplink->shake.host = span_of(NULL, 0); /* they lived on this stack */
    uplink->shake.path = span_of(NULL, 0);
    return text_check(out, "upgrade request", err);
}

int uplink_send_upgrade(struct uplink *uplink)
{
    char memory[UPGRADE_MAX];
    struct text text;
    struct err err;
    int result;

    text_init(&text, memory, sizeof memory);
    result = upgrade_write(uplink, &text, &err);
    if (result == 0)
        result = buf_append(&uplink->link.out, text_span(&text), &err);
    explicit_bzero(memory, sizeof memory);
    if (result < 0) {
        uplink_fail(uplink, &err);
        return -1;
    }
    uplink->scanned = 0;
    uplink_enter(uplink, UPLINK_JOIN);
    return 1;
}

/* The client's CONNECT line, or the one that its request needs. */
static struct span connect_line(const struct uplink *uplink, struct text *memory)
{
    if (uplink->forward == NULL)
        return span_first(buf_span(&uplink->client_in), uplink->line_len);
    forward_connect_write(uplink->forward, memory);
    return text_span(memory);
}

/* The first message; then the head makes way for what came early. */
static int hello_send(struct uplink *uplink, struct err *err)
{
    const struct worker *worker = uplink->worker;
    char line_memory[FORWARD_CONNECT_MAX];
    char memory[HELLO_MAX];
    uint8_t mask[4];
    struct text line;
    struct text text;
    int result;

    text_init(&line, line_memory, sizeof line_memory);
    text_init(&text, memory, sizeof memory);
    hello_write(&text, connect_line(uplink, &line), span_text(worker->settings.session_id),
                secret_span(&worker->token));
    mask_next(&uplink->worker->masks, mask);
    ENSURE(!line.overflow);
    result = text_check(&text, "hello", err);
    if (result == 0)
        result = envelope_send(&uplink->link.out, text_span(&text), mask, err);
    explicit_bzero(memory, sizeof memory);
    buf_consume(&uplink->client_in, uplink->head_len);
    uplink->head_len = 0;
    return result;
}

static int upgrade_judge(struct uplink *uplink, const struct http_response *response,
                         struct err *err)
{
    if (ws_shake_check(&uplink->shake, response, err) == 0)
        return 0;
    /* A refusal that a second try cannot change; 5xx may pass. */
    if (response->status < 500)
        uplink_fail(uplink, err);
    else
        uplink_retry(uplink, err);
    return -1;
}

int uplink_read_upgrade(struct uplink *uplink)
{
    struct http_response response;
    struct err err;
    ssize_t len = h1_read_response(buf_span(&uplink->link.in), &uplink->scanned, span_text("GET"),
                                   &uplink->worker->scratch, &response, &err);

    if (len < 0)
        (void)err_set(&err, ERR_GATEWAY, "gateway: its answer to the upgrade cannot be read");
    if (len == 0 && link_has_ended(&uplink->link))
        len = err_set(&err, ERR_GATEWAY, "gateway: it closed without an answer to the upgrade");
    if (len < 0) {
        uplink_retry(uplink, &err);
        return -1;
    }
    if (len == 0)
        return 0;
    if (upgrade_judge(uplink, &response, &err) < 0) {
        arena_reset(&uplink->worker->scratch);
        return -1;
    }
    arena_reset(&uplink->worker->scratch);
    buf_consume(&uplink->link.in, (size_t)len);
    ws_frame_init(&uplink->ws, WS_CLIENT, LIMIT_FRAME);
    chunk_init(&uplink->chunk);
    if (hello_send(uplink, &err) < 0) {
        uplink_fail(uplink, &err);
        return -1;
    }
    uplink_enter(uplink, UPLINK_ANSWER);
    return 1;
}
