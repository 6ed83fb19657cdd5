/* SPDX-License-Identifier: Apache-2.0 */
/* Plaintext gathered, sealed, wrapped into envelopes: what arrives is what was sent. */
#include "gateway/seal.h"

#include "base/limits.h"
#include "base/num.h"
#include "crypto/digest.h"
#include "ends.h"
#include "pki.h"
#include "test.h"
#include "wire/chunk.h"
#include "wire/ws_frame.h"

/* A server that seals into envelopes, and a client that unwraps them. */
struct rig {
    struct pki root;
    struct pki leaf;
    struct bundle_roots *roots;
    struct tls_context *client_context;
    struct tls_context *server_context;
    struct end client;
    struct tls server;
    struct pool blocks;
    struct buf out;
    struct buf plain;
    struct seal seal;
    struct ws_frame ws;
    struct chunk chunk;
    size_t envelopes;
};

static void rig_open(struct rig *rig)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct err err = {0};

    *rig = (struct rig){0};
    CHECK_INT(digest_setup(&err), 0);
    pki_make(&rig->root, &(struct pki_ask){.cn = "root", .is_ca = 1}, NULL);
    pki_make(&rig->leaf, &(struct pki_ask){.cn = "x", .san = "DNS:api.test"}, &rig->root);
    rig->roots = bundle_roots_new(pki_certificate(&rig->root), &err);
    rig->client_context = tls_context_new_client(rig->roots, NULL, &err);
    rig->server_context =
        tls_context_new_listener(pki_certificate(&rig->leaf), pki_key(&rig->leaf), NULL, &err);
    CHECK(rig->client_context != NULL && rig->server_context != NULL);
    pool_init(&rig->blocks, LIMIT_BLOCK, 8, 8);
    buf_init(&rig->out, &rig->blocks, BUF_PLAIN);
    buf_init(&rig->plain, &rig->blocks, BUF_PLAIN);
    end_init(&rig->client, LIMIT_BLOCK, 2 * LIMIT_BLOCK);
    CHECK_INT(tls_init_client(&rig->client.tls, rig->client_context, &host, &err), 0);
    CHECK_INT(tls_init_server(&rig->server, rig->server_context, NULL, &err), 0);
    seal_init(&rig->seal, &rig->server, &rig->out, &rig->blocks, SEAL_ENVELOPE);
    ws_frame_init(&rig->ws, WS_CLIENT, LIMIT_FRAME);
    chunk_init(&rig->chunk);
}

static void rig_close(struct rig *rig)
{
    seal_fini(&rig->seal);
    tls_fini(&rig->server);
    buf_fini(&rig->out);
    buf_fini(&rig->plain);
    pool_fini(&rig->blocks);
    end_fini(&rig->client);
    tls_context_free(rig->client_context);
    tls_context_free(rig->server_context);
    bundle_roots_free(rig->roots);
    pki_fini(&rig->leaf);
    pki_fini(&rig->root);
}

/* Envelopes of the server -> the client's inbox. */
static void rig_unwrap(struct rig *rig)
{
    struct err err = {0};

    while (!buf_is_empty(&rig->out)) {
        struct ws_event event;
        size_t used = 0;

        CHECK_INT(ws_frame_feed(&rig->ws, buf_bytes(&rig->out), &used, &err), 0);
        while (ws_frame_next(&rig->ws, &event)) {
            if (event.type == WS_EVENT_MESSAGE_END) {
                CHECK_INT(chunk_end(&rig->chunk, &err), 0);
                rig->envelopes++;
            }
            while (event.type == WS_EVENT_DATA && event.data.len > 0) {
                struct span payload;
                size_t taken;

                CHECK_INT(chunk_feed(&rig->chunk, event.data, &taken, &payload, &err), 0);
                CHECK_INT(buf_append(&rig->client.inbox, payload, &err), 0);
                event.data = span_from(event.data, taken);
            }
        }
        buf_consume(&rig->out, used);
    }
}

static void rig_run(struct rig *rig)
{
    struct err err = {0};
    size_t moved;

    do {
        size_t used;

        moved = end_step(&rig->client);
        CHECK_INT(seal_feed(&rig->seal, buf_span(&rig->client.sealed), &used, &rig->plain, &err),
                  0);
        buf_consume(&rig->client.sealed, used);
        moved += used + buf_len(&rig->out);
        rig_unwrap(rig);
    } while (moved > 0);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

TEST(seal_delivers_pieces_of_any_size_in_order)
{
    static uint8_t sent[1 << 20];
    struct rig rig;
    struct err err = {0};
    uint32_t seed = 7;
    size_t at = 0;
    size_t arrived = 0;

    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)next_random(&seed);
    rig_open(&rig);
    rig_run(&rig);
    CHECK_INT(rig.server.state, TLS_OPEN);
    while (arrived < sizeof sent) {
        for (int piece = 0; piece < 6; piece++) {
            size_t wanted = next_random(&seed) % (piece % 2 == 0 ? 60000 : 300);
            size_t len = num_min(num_min(wanted, seal_room(&rig.seal)), sizeof sent - at);

            CHECK_INT(seal_send(&rig.seal, span_of(sent + at, len), &err), 0);
            at += len;
        }
        CHECK(seal_flush(&rig.seal, &err) >= 0);
        rig_run(&rig);

        struct span plain = buf_span(&rig.client.plain);

        CHECK(plain.len <= sizeof sent - arrived);
        assert_memory_equal(plain.ptr, sent + arrived, plain.len);
        arrived += plain.len;
        buf_consume(&rig.client.plain, plain.len);
        rig_run(&rig);
    }
    CHECK_INT(rig.client.failed, 0);
    rig_close(&rig);
}

TEST(seal_gathers_head_and_body_into_one_envelope)
{
    struct rig rig;
    struct err err = {0};

    rig_open(&rig);
    rig_run(&rig);
    rig.envelopes = 0;
    CHECK_INT(seal_send(&rig.seal, span_text("HTTP/1.1 200 OK\r\n\r\n"), &err), 0);
    CHECK_INT(seal_send(&rig.seal, span_text("hello"), &err), 0);
    CHECK_INT(seal_flush(&rig.seal, &err), 1);
    rig_run(&rig);
    CHECK_INT(rig.envelopes, 1);
    CHECK_SPAN(buf_span(&rig.client.plain), "HTTP/1.1 200 OK\r\n\r\nhello");
    rig_close(&rig);
}

TEST(seal_has_no_room_when_the_queue_is_full_and_keeps_a_record_free)
{
    static uint8_t bytes[LIMIT_BLOCK];
    struct rig rig;
    struct err err = {0};
    size_t room;

    rig_open(&rig);
    rig_run(&rig);
    while ((room = seal_room(&rig.seal)) > 0) {
        CHECK_INT(seal_send(&rig.seal, span_of(bytes, num_min(room, sizeof bytes)), &err), 0);
        CHECK(seal_flush(&rig.seal, &err) >= 0);
    }
    CHECK(buf_is_empty(&rig.seal.gather));
    CHECK(buf_free_len(&rig.out) >= TLS_RECORD_MAX);
    rig_close(&rig);
}

TEST(seal_keeps_what_finds_no_room_and_sends_it_later)
{
    static uint8_t bytes[60000];
    struct rig rig;
    struct err err = {0};
    size_t arrived = 0;

    memset(bytes, 'x', sizeof bytes);
    rig_open(&rig);
    rig_run(&rig);
    CHECK_INT(
        seal_send(&rig.seal, span_of(bytes, num_min(seal_room(&rig.seal), sizeof bytes)), &err), 0);
    CHECK_INT(buf_append(&rig.seal.gather, span_of(bytes, sizeof bytes), &err), 0);
    for (int round = 0; round < 16; round++) {
        CHECK(seal_flush(&rig.seal, &err) >= 0);
        rig_unwrap(&rig);
        (void)end_step(&rig.client);
        arrived += buf_len(&rig.client.plain);
        buf_consume(&rig.client.plain, buf_len(&rig.client.plain));
    }
    CHECK(buf_is_empty(&rig.seal.gather));
    CHECK(arrived >= sizeof bytes + TLS_RECORD);
    rig_close(&rig);
}

TEST_MAIN(TEST_OF(seal_delivers_pieces_of_any_size_in_order),
          TEST_OF(seal_gathers_head_and_body_into_one_envelope),
          TEST_OF(seal_has_no_room_when_the_queue_is_full_and_keeps_a_record_free),
          TEST_OF(seal_keeps_what_finds_no_room_and_sends_it_later))
