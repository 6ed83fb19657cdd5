/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 of a client: the engine makes streams of bytes and bytes of streams, each stream is an
 * exchange. The connection has a deadline only while it has no stream: exchanges have theirs.
 */
#include "gateway/inspect.h"
#include "gateway/reply.h"
#include "gateway/tunnel.h"
#include "gateway/worker.h"
#include "os/log.h"

int inspect_h2_begin(struct inspect *inspect, struct err *err)
{
    struct worker *worker = inspect->tunnel->worker;
    struct share *share = &inspect->tunnel->session->share;
    const struct h2_options options = {
        .role = H2_SERVER,
        .pools = share->h2_pools,
        .memory = &share->h2_memory,
        .streams = LIMIT_STREAM_COUNT,
        .window = LIMIT_CONNECTION_WINDOW,
        .extended_connect = 1,
    };

    inspect->h2 = h2_new(&options, err);
    if (inspect->h2 == NULL)
        return err->code == ERR_LIMIT ? share_refuse_h2(share, err) : -1;
    if (worker->is_draining)
        h2_shutdown(inspect->h2);
    return 0;
}

/* There is no exchange to be had for it: the answer says which limit that was. */
static void stream_refuse(struct inspect *inspect, struct h2_stream *stream, const struct err *err)
{
    const struct policy *policy = &inspect->tunnel->worker->role.config.policy;
    const struct reply reply = {.err = *err, .generation = policy->generation};
    struct reply_parts parts;
    struct codec codec;
    struct err send_err;

    log_debug("tunnel %llu: stream %d: %s", (unsigned long long)inspect->tunnel->number,
              (int)stream->id, err->text);
    inspect_record_failure(inspect, err);
    codec_init_h2(&codec, stream);
    reply_make(&reply, &parts);
    if (codec_send_response(&codec, &parts.response, stream->request.method, H2_GOES_ON,
                            &send_err) == 0 &&
        codec_send_data(&codec, parts.content, &send_err) == 0)
        (void)codec_send_end(&codec, NULL, &send_err);
    codec_fini(&codec);
}

static void news_handle(struct inspect *inspect, struct h2_stream *stream)
{
    struct exchange *exchange = stream->owner;
    struct err err;

    if (exchange == NULL)
        exchange = exchange_new_h2(inspect, stream, &err);
    if (exchange == NULL) {
        stream_refuse(inspect, stream, &err);
        return;
    }
    exchange->client.news |= stream->news;
    exchange_queue(exchange);
}

/* The client broke the protocol or floods us: our GOAWAY goes out, then the connection ends. */
static void protocol_fail(struct inspect *inspect, const struct err *err)
{
    struct tunnel *tunnel = inspect->tunnel;

    log_info("tunnel %llu to %s:%u: HTTP/2: %s", (unsigned long long)tunnel->number,
             tunnel->host.name, tunnel->port, err->text);
    inspect_record_failure(inspect, err);
    inspect_abort(inspect, err);
    inspect->closing = 1;
}

int inspect_h2_take(struct inspect *inspect, struct err *err)
{
    struct buf *in = &inspect->plain_in;
    struct h2_stream *stream;
    int moved = 0;

    h2_tick_until(inspect->h2, inspect->tunnel->worker->loop.now_ms);
    if (!buf_is_empty(in)) {
        struct err bad;

        if (h2_feed(inspect->h2, buf_span(in), &bad) < 0)
            protocol_fail(inspect, &bad);
        buf_consume(in, buf_len(in));
        moved = 1;
    }
    (void)err;
    while (!inspect->closing && h2_next(inspect->h2, &stream)) {
        news_handle(inspect, stream);
        moved = 1;
    }
    return moved;
}

/* Idle only as long as no stream is there. */
static void deadline_choose(struct inspect *inspect)
{
    struct tunnel *tunnel = inspect->tunnel;

    if (inspect->exchanges.count > 0)
        tunnel_deadline_clear(tunnel);
    else
        tunnel_deadline_keep(tunnel, tunnel->worker->role.config.timeouts.idle_ms);
}

int inspect_h2_give(struct inspect *inspect, struct err *err)
{
    struct seal *seal = &inspect->seal;
    int drained = h2_drain(inspect->h2, &seal->gather, err);
    int flushed = drained < 0 ? -1 : seal_flush(seal, err);

    if (flushed < 0)
        return -1;
    deadline_choose(inspect);
    if (!inspect->closing && h2_is_done(inspect->h2) && buf_is_empty(&seal->gather))
        inspect->closing = 1;
    return drained > 0 || flushed > 0;
}
