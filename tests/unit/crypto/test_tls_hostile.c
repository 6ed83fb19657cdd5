/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that do not play along. Threats H7, H8, H10, B11. */
#include "crypto/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/text.h"
#include "crypto/library.h"
#include "test.h"
#include "tls_rig.h"

static struct err serve(SSL_CTX *peer_context, const uint8_t *alpn, unsigned alpn_len,
                        struct tls_context *context, char *alert)
{
    struct end server;
    struct err err = {0};
    SSL *ssl = SSL_new(peer_context);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    uint8_t bytes[20000];

    end_init(&server, RIG_PLAIN, RIG_WIRE);
    CHECK_INT(tls_init_server(&server.tls, context, NULL, &err), 0);
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    if (alpn != NULL)
        SSL_set_alpn_protos(ssl, alpn, alpn_len);
    for (int round = 0; round < 6; round++) {
        int len;

        (void)SSL_do_handshake(ssl);
        len = BIO_read(out, bytes, sizeof bytes);
        if (len > 0)
            CHECK_INT(buf_append(&server.inbox, span_of(bytes, (size_t)len), &err), 0);
        end_step(&server);
        len = (int)buf_len(&server.sealed);
        if (len > 0)
            CHECK_INT(BIO_write(in, buf_span(&server.sealed).ptr, len), len);
        buf_consume(&server.sealed, (size_t)len);
    }
    (void)SSL_do_handshake(ssl);
    if (alert != NULL) {
        unsigned long e = ERR_peek_last_error();

        *alert = (char)(ERR_GET_REASON(e) > 1000 ? ERR_GET_REASON(e) - 1000 : 0);
    }
    err = server.failed ? server.err : (struct err){0};
    CHECK(server.failed || server.tls.state == TLS_OPEN);
    SSL_free(ssl);
    end_fini(&server);
    return err;
}

static SSL_CTX *peer_of_version(int version)
{
    SSL_CTX *peer = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_security_level(peer, 0);
    SSL_CTX_set_min_proto_version(peer, version);
    SSL_CTX_set_max_proto_version(peer, version);
    SSL_CTX_set_cipher_list(peer, "ALL:@SECLEVEL=0");
    return peer;
}

TEST(tls_refuses_tls_1_1_and_takes_1_2)
{
    SSL_CTX *old = peer_of_version(TLS1_1_VERSION);
    SSL_CTX *peer = peer_of_version(TLS1_2_VERSION);

    CHECK_INT(serve(old, NULL, 0, rig_server_context, NULL).code, ERR_TLS);
    CHECK_INT(serve(peer, NULL, 0, rig_server_context, NULL).code, ERR_OK);
    SSL_CTX_free(old);
    SSL_CTX_free(peer);
}

TEST(tls_refuses_ciphers_without_forward_secrecy_or_aead)
{
    SSL_CTX *peer = peer_of_version(TLS1_2_VERSION);

    SSL_CTX_set_cipher_list(peer, "ECDHE+AES+SHA:ECDHE+AES+SHA256:RSA+AESGCM:@SECLEVEL=0");
    CHECK_INT(serve(peer, NULL, 0, rig_server_context, NULL).code, ERR_TLS);
    SSL_CTX_free(peer);
}

TEST(tls_answers_no_application_protocol_to_h2_alone)
{
    static const uint8_t h2[] = {2, 'h', '2'};
    static const uint8_t both[] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    /* What "curl --http1.0" offers, and nothing else. */
    static const uint8_t old[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '0'};
    SSL_CTX *peer = peer_of_version(TLS1_3_VERSION);
    char alert = 0;

    CHECK_INT(serve(peer, old, sizeof old, rig_server_context, NULL).code, ERR_OK);
    CHECK_INT(serve(peer, h2, sizeof h2, rig_server_context, &alert).code, ERR_TLS);
    CHECK_INT(alert, 120);
    CHECK_INT(serve(peer, both, sizeof both, rig_server_context, NULL).code, ERR_OK);
    CHECK_INT(serve(peer, NULL, 0, rig_server_context, NULL).code, ERR_OK);
    SSL_CTX_free(peer);
}

TEST(tls_refuses_what_is_no_tls)
{
    struct end server;
    struct err err;

    end_init(&server, RIG_PLAIN, RIG_WIRE);
    CHECK_INT(tls_init_server(&server.tls, rig_server_context, NULL, &err), 0);
    CHECK_INT(buf_append(&server.inbox, span_text("GET / HTTP/1.1\r\n\r\n"), &err), 0);
    end_step(&server);
    CHECK_INT(server.err.code, ERR_TLS);
    end_fini(&server);
}

/* Server and client at TLS 1.2 or less, both open. */
static void open_1_2(struct end *client, struct end *server)
{
    struct host host = ends_host("api.test", HOST_NAME);

    rig_open(client, server, rig_server_context, &host);
    SSL_set_max_proto_version(client->tls.ssl, TLS1_2_VERSION);
    ends_run(client, server, 100000);
    CHECK_INT(client->tls.state, TLS_OPEN);
    CHECK_STR(tls_version(&server->tls), "TLSv1.2");
}

/* H7 */
TEST(tls_refuses_renegotiation)
{
    struct end client;
    struct end server;
    struct err err = {0};
    size_t used;

    open_1_2(&client, &server);
    SSL_clear_options(client.tls.ssl, SSL_OP_NO_RENEGOTIATION);
    CHECK_INT(SSL_renegotiate(client.tls.ssl), 1);
    (void)tls_send(&client.tls, span_text("x"), &used, &client.sealed, &err);
    CHECK(buf_len(&client.sealed) > 0);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.err.code, ERR_TLS);
    CHECK(strstr(client.err.text, "no renegotiation") != NULL);
    CHECK_INT(SSL_session_reused(server.tls.ssl), 0);
    end_fini(&client);
    end_fini(&server);
}

/* H7: nothing to resume with, nothing sent early. */
TEST(tls_gives_no_tickets)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct end client;
    struct end server;

    rig_open(&client, &server, rig_server_context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(SSL_SESSION_is_resumable(SSL_get0_session(client.tls.ssl)), 0);
    CHECK_INT(SSL_SESSION_get_max_early_data(SSL_get0_session(client.tls.ssl)), 0);
    end_fini(&client);
    end_fini(&server);
    open_1_2(&client, &server);
    CHECK_INT(SSL_SESSION_has_ticket(SSL_get0_session(client.tls.ssl)), 0);
    end_fini(&client);
    end_fini(&server);
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                     const unsigned char *in, unsigned int in_len, void *unused)
{
    (void)ssl;
    (void)in;
    (void)in_len;
    (void)unused;
    *out = (const unsigned char *)"h2";
    *out_len = 2;
    return SSL_TLSEXT_ERR_OK;
}

/* H8 */
TEST(tls_refuses_a_server_that_chooses_what_was_not_offered)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct tls_context *context = rig_listener(&rig_good);
    struct end client;
    struct end server;

    SSL_CTX_set_alpn_select_cb(context->ssl, choose_h2, NULL);
    rig_open(&client, &server, context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.tls.state, TLS_FAILED);
    CHECK_INT(client.err.code, ERR_TLS);
    end_fini(&client);
    end_fini(&server);
    tls_context_free(context);
}

/* A listener whose chain is followed by `count` certificates nobody needs. */
static struct tls_context *padded(int count)
{
    static char memory[1 << 19];
    struct text chain;
    struct err err = {0};
    struct tls_context *context;

    text_init(&chain, memory, sizeof memory);
    text_add(&chain, pki_certificate(&rig_good));
    for (int i = 0; i < count; i++)
        text_add(&chain, pki_certificate(&rig_root));
    CHECK(!chain.overflow);
    context = tls_context_new_listener(text_span(&chain), pki_key(&rig_good), NULL, &err);
    CHECK(context != NULL);
    return context;
}

TEST(tls_sends_a_flight_larger_than_its_queue)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct tls_context *context = padded(100);
    struct end client;
    struct end server;
    struct err err;

    for (size_t cut = 50; cut < 20000; cut *= 7) {
        end_init(&client, 1000, TLS_RECORD_MAX + 50);
        end_init(&server, 1000, TLS_RECORD_MAX + 50);
        CHECK_INT(tls_init_client(&client.tls, rig_client_context, &host, &err), 0);
        CHECK_INT(tls_init_server(&server.tls, context, NULL, &err), 0);
        ends_run(&client, &server, cut);
        CHECK_INT(client.tls.state, TLS_OPEN);
        CHECK_INT(server.tls.state, TLS_OPEN);
        end_fini(&client);
        end_fini(&server);
    }
    tls_context_free(context);
}

/* H10 */
TEST(tls_refuses_a_chain_of_more_than_100_kib)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct tls_context *context = padded(300);
    struct end client;
    struct end server;

    rig_open(&client, &server, context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.err.code, ERR_TLS);
    CHECK(strstr(client.err.text, "excessive message size") != NULL);
    end_fini(&client);
    end_fini(&server);
    tls_context_free(context);
}

/* The answer to a key update waits for room; nothing is lost and nothing else waits for it. */
TEST(tls_answers_key_updates_when_there_is_room)
{
    static uint8_t full[RIG_WIRE];
    struct host host = ends_host("api.test", HOST_NAME);
    struct end client;
    struct end server;
    struct err err;
    size_t used;

    rig_open(&client, &server, rig_server_context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(buf_append(&client.sealed, span_of(full, sizeof full), &err), 0);
    CHECK_INT(SSL_key_update(server.tls.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    CHECK_INT(tls_send(&server.tls, span_text("hello"), &used, &server.sealed, &err), 0);
    CHECK_INT(used, 5);
    ends_carry(&server, &client, 100000);
    end_step(&client);
    CHECK_INT(client.failed, 0);
    buf_consume(&client.sealed, sizeof full);
    CHECK_INT(tls_send(&client.tls, span_text("answer"), &used, &client.sealed, &err), 0);
    CHECK_INT(used, 6);
    ends_run(&client, &server, 100000);
    CHECK_SPAN(buf_span(&client.plain), "hello");
    CHECK_SPAN(buf_span(&server.plain), "answer");
    end_fini(&client);
    end_fini(&server);
}

/*
 * Flights with one byte changed: an error, or waiting for a record that became longer. Only the
 * version in a record's head is nobody's business (RFC 8446 section 5.1).
 */
TEST(tls_never_opens_after_a_changed_flight)
{
    struct host host = ends_host("api.test", HOST_NAME);
    size_t opened = 0;

    for (size_t at = 0; at < 700; at += 11) {
        struct end client;
        struct end server;
        size_t len;

        rig_open(&client, &server, rig_server_context, &host);
        end_step(&client);
        ends_carry(&client, &server, 100000);
        end_step(&server);
        len = buf_len(&server.sealed);
        CHECK(len > 700);
        buf_bytes(&server.sealed).ptr[at] ^= 0x41;
        ends_run(&client, &server, 100000);
        CHECK(!client.failed || client.err.text[0] != '\0');
        opened += client.tls.state == TLS_OPEN ? 1 : 0;
        end_fini(&client);
        end_fini(&server);
    }
    CHECK(opened <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(tls_refuses_tls_1_1_and_takes_1_2),
        TEST_OF(tls_refuses_ciphers_without_forward_secrecy_or_aead),
        TEST_OF(tls_answers_no_application_protocol_to_h2_alone),
        TEST_OF(tls_refuses_what_is_no_tls),
        TEST_OF(tls_refuses_renegotiation),
        TEST_OF(tls_gives_no_tickets),
        TEST_OF(tls_refuses_a_server_that_chooses_what_was_not_offered),
        TEST_OF(tls_sends_a_flight_larger_than_its_queue),
        TEST_OF(tls_refuses_a_chain_of_more_than_100_kib),
        TEST_OF(tls_answers_key_updates_when_there_is_room),
        TEST_OF(tls_never_opens_after_a_changed_flight),
    };

    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
