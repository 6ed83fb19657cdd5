/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client has to keep to while contents move (threats K1, B7). Three things can be over:
 *
 *     forward_idle   nothing at all moves; whoever is silent, and for event streams all there is
 *     body_window    the request's content comes slower than body_rate, measured until the origin
 *                    has begun to answer, and only while the origin takes what comes
 *     stall          bytes wait for the client and it takes none
 *
 * Streams of gRPC are asked for by requests that stay open: they have no rate. Neither has what
 * waits for a 100. The last two are looked at when their time is over and not with every byte, so
 * they may come late, by less than their own length.
 */
#include "gateway/exchange_pace.h"

#include "gateway/exchange.h"
#include "gateway/inspect.h"
#include "gateway/tunnel.h"
#include "gateway/tunnel_pump.h"
#include "gateway/worker.h"

static const struct config_timeouts *timeouts_of(const struct exchange *exchange)
{
    return &exchange->inspect->tunnel->worker->role.config.timeouts;
}

static int64_t now_of(const struct exchange *exchange)
{
    return exchange->inspect->tunnel->worker->loop.now_ms;
}

static bool is_grpc(const struct http_request *request)
{
    const struct span grpc = span_text("application/grpc");
    const struct http_field *field =
        http_fields_find(&request->fields, span_text("content-type"), NULL);

    return field != NULL && field->value.len >= grpc.len &&
           span_equal_nocase(span_first(field->value, grpc.len), grpc);
}

static bool waits_for_continue(const struct exchange *exchange)
{
    return exchange->bytes_in == 0 &&
           http_fields_find(&exchange->request->fields, span_text("expect"), NULL) != NULL;
}

static bool is_measured(const struct exchange *exchange)
{
    return exchange->pace.is_measured && !exchange->request_done && !exchange->response_head_done;
}

static void body_restart(struct exchange *exchange)
{
    exchange->pace.body_ms = now_of(exchange);
    exchange->pace.body_bytes = exchange->bytes_in;
}

/* Bytes that the client could take now. Over HTTP/1 all of the connection is its response. */
static bool has_waiting(const struct exchange *exchange)
{
    const struct tunnel *tunnel = exchange->inspect->tunnel;

    if (exchange->client.kind == CODEC_H2)
        return !buf_is_empty(&exchange->client.stream->send);
    return !buf_is_empty(&exchange->inspect->seal.gather) || !buf_is_empty(&tunnel->out) ||
           !buf_is_empty(&tunnel->net_out);
}

static uint64_t taken_of(const struct exchange *exchange)
{
    if (exchange->client.kind == CODEC_H2)
        return exchange->bytes_out - buf_len(&exchange->client.stream->send);
    return exchange->inspect->tunnel->stream.bytes_out;
}

void exchange_pace_look(struct exchange *exchange)
{
    struct exchange_pace *pace = &exchange->pace;
    uint64_t taken = taken_of(exchange);
    int is_held = codec_room(&exchange->server) == 0;

    if (is_held || pace->was_held)
        body_restart(exchange);
    pace->was_held = is_held;
    if (!has_waiting(exchange) || taken != pace->taken)
        pace->taken_ms = now_of(exchange);
    pace->taken = taken;
}

void exchange_pace_begin(struct exchange *exchange)
{
    exchange->pace = (struct exchange_pace){
        .moved_ms = now_of(exchange),
        .is_measured = !exchange->request_ends && exchange->upgrade == UPGRADE_NONE &&
                       timeouts_of(exchange)->body_rate > 0 && !is_grpc(exchange->request),
        .taken = taken_of(exchange),
        .taken_ms = now_of(exchange),
    };
    body_restart(exchange);
}

static int64_t next_ms(const struct exchange *exchange)
{
    const struct config_timeouts *timeouts = timeouts_of(exchange);
    const struct exchange_pace *pace = &exchange->pace;
    int64_t at_ms = pace->moved_ms + timeouts->forward_ms;

    if (is_measured(exchange) && pace->body_ms + timeouts->body_window_ms < at_ms)
        at_ms = pace->body_ms + timeouts->body_window_ms;
    if (has_waiting(exchange) && pace->taken_ms + timeouts->stall_ms < at_ms)
        at_ms = pace->taken_ms + timeouts->stall_ms;
    return at_ms > now_of(exchange) ? at_ms - now_of(exchange) : 1;
}

int64_t exchange_pace_moved(struct exchange *exchange)
{
    exchange->pace.moved_ms = now_of(exchange);
    return next_ms(exchange);
}

/* -1: less came in this window than had to. */
static int body_check(struct exchange *exchange, struct err *err)
{
    const struct config_timeouts *timeouts = timeouts_of(exchange);
    uint64_t came = exchange->bytes_in - exchange->pace.body_bytes;
    uint64_t least = timeouts->body_rate * (uint64_t)timeouts->body_window_ms / 1000;

    if (!is_measured(exchange) ||
        now_of(exchange) - exchange->pace.body_ms < timeouts->body_window_ms)
        return 0;
    if (came < least && !waits_for_continue(exchange) && tunnel_may_read(exchange->inspect->tunnel))
        return err_set(err, ERR_REQUEST_TIMEOUT,
                       "%llu bytes of content within %lld ms (timeouts.body_rate)",
                       (unsigned long long)came, (long long)timeouts->body_window_ms);
    body_restart(exchange);
    return 0;
}

int64_t exchange_pace_check(struct exchange *exchange, struct err *err)
{
    const struct config_timeouts *timeouts = timeouts_of(exchange);
    const struct exchange_pace *pace = &exchange->pace;

    exchange_pace_look(exchange);
    if (now_of(exchange) - pace->moved_ms >= timeouts->forward_ms)
        return err_set(err, ERR_TIMEOUT, "%s: nothing moved for too long",
                       exchange->inspect->tunnel->host.name);
    if (body_check(exchange, err) < 0)
        return -1;
    if (has_waiting(exchange) && now_of(exchange) - pace->taken_ms >= timeouts->stall_ms)
        return err_set(err, ERR_TIMEOUT, "the client took nothing for %lld ms (timeouts.stall)",
                       (long long)timeouts->stall_ms);
    return next_ms(exchange);
}
