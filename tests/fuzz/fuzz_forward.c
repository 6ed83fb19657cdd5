/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that name a whole URL: client and gateway say what they like, in any order. A step is
 * two bytes, what and how much, and then the bytes of it. Whatever comes, the engine comes to
 * rest, and what enters a tunnel is requests in absolute-form for the place of that tunnel, each
 * with one Host and nothing for a proxy (threats A1-A8, invariant I5), until a 101.
 */
#include "base/num.h"
#include "http/h1.h"
#include "relay/forward.h"

#define STEPS_MAX 1000000

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct rig {
    struct pool blocks;
    struct pool arena_blocks;
    struct forward forward;
    struct buf tunnel_out;
    struct buf client_out;
    struct arena arena; /* of the request that is read again */
    struct h1 reader;
};

static void reader_reset(struct rig *rig)
{
    arena_reset(&rig->arena);
    h1_init(&rig->reader, H1_REQUESTS);
    h1_begin(&rig->reader, &rig->arena, span_of(NULL, 0));
}

static void request_check(struct rig *rig)
{
    const struct forward_place *place = &rig->forward.place;
    const struct http_request *request = &rig->reader.request;
    struct target target;
    struct host host;
    uint16_t port;
    struct err err;

    ENSURE(target_read(request->target, &rig->arena, &target, &err) == 0);
    ENSURE(target.form == TARGET_ABSOLUTE);
    ENSURE(target.port == place->port && target_is_same_host(&target.host, &place->host));
    ENSURE(span_equal(target.scheme, span_text(place->scheme == FORWARD_HTTPS ? "https" : "http")));
    ENSURE(http_fields_count(&request->fields, span_text("host")) == 1);
    ENSURE(target_read_authority(http_fields_find(&request->fields, span_text("host"), NULL)->value,
                                 place->scheme == FORWARD_HTTPS ? 443 : 80, &host, &port,
                                 &err) == 0);
    ENSURE(port == place->port && target_is_same_host(&host, &place->host));
    for (size_t i = 0; i < request->fields.count; i++) {
        struct span name = request->fields.items[i].name;

        ENSURE(name.len < 6 || !http_name_is_like(span_first(name, 6), span_text("proxy-")));
    }
}

/* Everything that goes into the tunnel. */
static void tunnel_drain(struct rig *rig)
{
    struct h1_event event;
    size_t used = 1;
    struct err err;

    while (rig->forward.state != FORWARD_UPGRADED && used > 0 && !buf_is_empty(&rig->tunnel_out)) {
        ENSURE(h1_feed(&rig->reader, buf_span(&rig->tunnel_out), &used, &err) == 0);
        while (h1_next(&rig->reader, &event)) {
            if (event.type == H1_HEAD)
                request_check(rig);
            if (event.type == H1_END)
                reader_reset(rig);
        }
        buf_consume(&rig->tunnel_out, used);
    }
    if (rig->forward.state == FORWARD_UPGRADED)
        buf_consume(&rig->tunnel_out, buf_len(&rig->tunnel_out));
}

/* What the owner does for it. */
static void wish_grant(struct rig *rig)
{
    struct forward *forward = &rig->forward;

    if (forward->tunnel == FORWARD_TUNNEL_NONE || forward->tunnel == FORWARD_TUNNEL_WANTED) {
        buf_consume(&rig->tunnel_out, buf_len(&rig->tunnel_out));
        reader_reset(rig);
    }
    if (forward->tunnel == FORWARD_TUNNEL_WANTED)
        forward_tunnel_asked(forward);
}

/* 0, or -1: the exchange has failed. */
static int run(struct rig *rig)
{
    int moved = 1;
    struct err err;

    for (int i = 0; moved > 0; i++) {
        ENSURE(i < STEPS_MAX);
        moved = forward_step(&rig->forward, &err);
        if (moved < 0)
            return -1;
        wish_grant(rig);
        tunnel_drain(rig);
        buf_consume(&rig->client_out, buf_len(&rig->client_out));
    }
    return 0;
}

static void say(struct rig *rig, uint8_t what, struct span bytes)
{
    struct forward *forward = &rig->forward;
    struct err lost;

    switch (what % 8) {
    case 0:
    case 1:
        (void)buf_append_some(&forward->client_in, bytes);
        return;
    case 2:
    case 3:
        (void)buf_append_some(&forward->tunnel_in, bytes);
        return;
    case 4:
        (void)buf_append_some(&forward->tunnel_in, span_text("HTTP/1.1 200 OK\r\n\r\n"));
        return;
    case 5:
        forward_tunnel_end(forward, NULL);
        return;
    case 6:
        (void)err_set(&lost, ERR_GATEWAY, "lost");
        forward_tunnel_end(forward, &lost);
        return;
    default:
        forward_client_end(forward);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct rig rig;
    size_t at = 0;

    pool_init(&rig.blocks, LIMIT_BLOCK, 4, 4);
    pool_init(&rig.arena_blocks, LIMIT_ARENA_BLOCK, 128, 8);
    buf_init(&rig.tunnel_out, &rig.blocks, BUF_PLAIN);
    buf_init(&rig.client_out, &rig.blocks, BUF_PLAIN);
    arena_init(&rig.arena, &rig.arena_blocks, 4 * LIMIT_HEAD);
    reader_reset(&rig);
    forward_init(&rig.forward, &rig.blocks, &rig.arena_blocks, &rig.tunnel_out, &rig.client_out);
    while (at + 2 <= len) {
        size_t count = num_min(bytes[at + 1], len - at - 2);

        say(&rig, bytes[at], span_of(bytes + at + 2, count));
        at += 2 + count;
        if (run(&rig) < 0)
            break;
    }
    forward_fini(&rig.forward);
    buf_fini(&rig.tunnel_out);
    buf_fini(&rig.client_out);
    arena_reset(&rig.arena);
    pool_fini(&rig.blocks);
    pool_fini(&rig.arena_blocks);
    return 0;
}
