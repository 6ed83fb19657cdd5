/* SPDX-License-Identifier: Apache-2.0 */
/* Our client and our server, shaking hands in memory. Threats H1, H2, H7, H8, H10, B11. */
#include "crypto/tls.h"

#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/num.h"
#include "crypto/digest.h"
#include "crypto/library.h"
#include "ends.h"
#include "pki.h"
#include "test.h"

#define PLAIN 66560
#define WIRE  66560

static struct pki root;
static struct pki good;
static struct bundle_roots *roots;
static struct tls_context *client_context;
static struct tls_context *server_context;

static struct tls_context *listener(const struct pki *pki)
{
    struct err err = {0};
    struct tls_context *context =
        tls_context_new_listener(pki_certificate(pki), pki_key(pki), NULL, &err);

    if (context == NULL)
        print_error("%s\n", err.text);
    return context;
}

static int setup(void **state)
{
    struct err err;

    (void)state;
    if (digest_setup(&err) < 0)
        return -1;
    pki_make(&root, &(struct pki_ask){.cn = "root", .is_ca = 1}, NULL);
    pki_make(&good,
             &(struct pki_ask){.cn = "x", .san = "DNS:api.test,IP:192.0.2.7,DNS:*.wild.test"},
             &root);
    roots = bundle_roots_new(pki_certificate(&root), &err);
    client_context = tls_context_new_client(roots, "http/1.1", &err);
    server_context = listener(&good);
    return client_context == NULL || server_context == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    tls_context_free(client_context);
    tls_context_free(server_context);
    bundle_roots_free(roots);
    pki_fini(&good);
    pki_fini(&root);
    return 0;
}

static void ends_open(struct end *client, struct end *server, struct tls_context *context,
                      const struct host *host)
{
    struct err err = {0};

    end_init(client, PLAIN, WIRE);
    end_init(server, PLAIN, WIRE);
    CHECK_INT(tls_init_client(&client->tls, client_context, host, &err), 0);
    CHECK_INT(tls_init_server(&server->tls, context, NULL, &err), 0);
}

/* Shake hands with a server that has `pki`; what the client says about it. */
static struct err shake(const struct pki *pki, const char *name, enum host_kind kind)
{
    struct host host = ends_host(name, kind);
    struct tls_context *context = listener(pki);
    struct end client;
    struct end server;
    struct err err;

    CHECK(context != NULL);
    ends_open(&client, &server, context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.tls.state, client.failed ? TLS_FAILED : TLS_OPEN);
    CHECK_INT(server.tls.state, client.failed ? TLS_FAILED : TLS_OPEN);
    if (client.failed)
        CHECK(server.tls.alert[0] != '\0');
    err = client.err;
    end_fini(&client);
    end_fini(&server);
    tls_context_free(context);
    return err;
}

static struct err shake_with(const struct pki_ask *ask, const struct pki *issuer, const char *name)
{
    struct pki pki;
    struct err err;

    pki_make(&pki, ask, issuer);
    err = shake(&pki, name, HOST_NAME);
    pki_fini(&pki);
    return err;
}

/* --- who the peer is --- */

TEST(tls_accepts_the_name_and_the_address_in_the_san)
{
    CHECK_INT(shake(&good, "api.test", HOST_NAME).code, ERR_OK);
    CHECK_INT(shake(&good, "192.0.2.7", HOST_IPV4).code, ERR_OK);
    CHECK_INT(shake(&good, "a.wild.test", HOST_NAME).code, ERR_OK);
}

TEST(tls_refuses_another_name)
{
    CHECK_INT(shake(&good, "other.test", HOST_NAME).code, ERR_CERT_NAME);
    CHECK_INT(shake(&good, "192.0.2.8", HOST_IPV4).code, ERR_CERT_NAME);
    CHECK_INT(shake(&good, "a.b.wild.test", HOST_NAME).code, ERR_CERT_NAME);
    CHECK_INT(shake(&good, "wild.test", HOST_NAME).code, ERR_CERT_NAME);
}

TEST(tls_never_takes_the_common_name)
{
    const struct pki_ask ask = {.cn = "api.test"};

    CHECK_INT(shake_with(&ask, &root, "api.test").code, ERR_CERT_NAME);
}

TEST(tls_refuses_partial_wildcards)
{
    const struct pki_ask ask = {.cn = "x", .san = "DNS:a*.test.example"};

    CHECK_INT(shake_with(&ask, &root, "ab.test.example").code, ERR_CERT_NAME);
}

TEST(tls_refuses_an_address_given_as_a_name)
{
    const struct pki_ask ask = {.cn = "x", .san = "DNS:192.0.2.7"};
    struct pki pki;

    pki_make(&pki, &ask, &root);
    CHECK_INT(shake(&pki, "192.0.2.7", HOST_IPV4).code, ERR_CERT_NAME);
    pki_fini(&pki);
}

TEST(tls_refuses_expired_and_future_certificates)
{
    const struct pki_ask expired = {
        .cn = "x", .san = "DNS:api.test", .start_days = -10, .days = -1};
    const struct pki_ask future = {.cn = "x", .san = "DNS:api.test", .start_days = 2};

    CHECK_INT(shake_with(&expired, &root, "api.test").code, ERR_CERT_EXPIRED);
    CHECK_INT(shake_with(&future, &root, "api.test").code, ERR_CERT_EXPIRED);
}

TEST(tls_refuses_what_no_root_has_signed)
{
    const struct pki_ask ask = {.cn = "x", .san = "DNS:api.test"};
    struct pki other;

    pki_make(&other, &(struct pki_ask){.cn = "other root", .is_ca = 1}, NULL);
    CHECK_INT(shake_with(&ask, &other, "api.test").code, ERR_CERT_UNTRUSTED);
    CHECK_INT(shake_with(&ask, NULL, "api.test").code, ERR_CERT_UNTRUSTED);
    pki_fini(&other);
}

/* A root of the same name with another key. */
TEST(tls_refuses_a_forged_signature)
{
    const struct pki_ask ask = {.cn = "x", .san = "DNS:api.test"};
    struct pki other;
    enum err_code code;

    pki_make(&other, &(struct pki_ask){.cn = "root", .is_ca = 1}, NULL);
    code = shake_with(&ask, &other, "api.test").code;
    CHECK(code == ERR_CERT_UNTRUSTED || code == ERR_CERT_INVALID);
    pki_fini(&other);
}

TEST(tls_refuses_the_wrong_extended_key_usage)
{
    const struct pki_ask ask = {.cn = "x", .san = "DNS:api.test", .eku = "clientAuth"};

    CHECK_INT(shake_with(&ask, &root, "api.test").code, ERR_CERT_INVALID);
}

TEST(tls_refuses_an_issuer_that_is_no_ca)
{
    const struct pki_ask ask = {.cn = "x", .san = "DNS:api.test"};
    struct pki_ask bad = {.cn = "not a ca", .san = "DNS:bad.test"};
    struct tls_context *context;
    struct host host = ends_host("api.test", HOST_NAME);
    struct pki middle;
    struct pki pki;
    struct end client;
    struct end server;
    struct err err = {0};
    char memory[8192];
    struct text chain;

    pki_make(&middle, &bad, &root);
    pki_make(&pki, &ask, &middle);
    text_init(&chain, memory, sizeof memory);
    text_add(&chain, pki_certificate(&pki));
    text_add(&chain, pki_certificate(&middle));
    context = tls_context_new_listener(text_span(&chain), pki_key(&pki), NULL, &err);
    CHECK(context != NULL);
    ends_open(&client, &server, context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.err.code, ERR_CERT_INVALID);
    end_fini(&client);
    end_fini(&server);
    tls_context_free(context);
    pki_fini(&pki);
    pki_fini(&middle);
}

TEST(tls_listener_refuses_a_key_of_1024_bits)
{
    struct pki pki;
    struct err err = {0};

    pki_make(&pki, &(struct pki_ask){.cn = "x", .san = "DNS:api.test", .kind = PKI_RSA_1024},
             &root);
    CHECK(tls_context_new_listener(pki_certificate(&pki), pki_key(&pki), NULL, &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    pki_fini(&pki);
}

TEST(tls_says_in_words_what_is_wrong)
{
    struct err err = shake(&good, "other.test", HOST_NAME);

    CHECK(strstr(err.text, "ostname mismatch") != NULL);
}

TEST(tls_keeps_the_words_of_the_peers_alert)
{
    const struct pki_ask ask = {.cn = "x", .san = "DNS:api.test"};
    struct host host = ends_host("api.test", HOST_NAME);
    struct pki self;
    struct tls_context *context;
    struct end client;
    struct end server;

    pki_make(&self, &ask, NULL);
    context = listener(&self);
    ends_open(&client, &server, context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(server.err.code, ERR_TLS);
    CHECK_STR(server.tls.alert, "unknown ca");
    end_fini(&client);
    end_fini(&server);
    tls_context_free(context);
    pki_fini(&self);
}

TEST(tls_listener_refuses_a_key_of_another_certificate)
{
    struct err err = {0};

    CHECK(tls_context_new_listener(pki_certificate(&good), pki_key(&root), NULL, &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
}

/* --- bytes --- */

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 31 + at / 251);
}

struct transfer {
    size_t sent;
    size_t received;
};

/* One round from `from` to `to`: send what goes, take what came and check it. */
static size_t transfer_step(struct transfer *t, struct end *from, struct end *to, size_t total,
                            size_t slice)
{
    static uint8_t bytes[PLAIN];
    struct span came = buf_span(&to->plain);
    size_t len = num_min(num_min(total - t->sent, slice), sizeof bytes);
    size_t used = 0;

    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(t->sent + i);
    CHECK_INT(tls_send(&from->tls, span_of(bytes, len), &used, &from->sealed, &from->err), 0);
    t->sent += used;
    for (size_t i = 0; i < came.len; i++) {
        if (came.ptr[i] != pattern(t->received + i))
            fail_msg("byte %zu is wrong", t->received + i);
    }
    t->received += came.len;
    buf_consume(&to->plain, came.len);
    return used + came.len;
}

/* `total` bytes both ways through queues of these sizes and wires that carry `cut` at a time. */
static void transfer_both(size_t total, size_t cut, size_t plain_size, size_t slice)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct transfer up = {0};
    struct transfer down = {0};
    struct end client;
    struct end server;
    struct err err;
    size_t moved;

    end_init(&client, plain_size, TLS_RECORD_MAX + 100);
    end_init(&server, plain_size, TLS_RECORD_MAX + 100);
    CHECK_INT(tls_init_client(&client.tls, client_context, &host, &err), 0);
    CHECK_INT(tls_init_server(&server.tls, server_context, NULL, &err), 0);
    do {
        moved = end_step(&client);
        moved += ends_carry(&client, &server, cut);
        moved += end_step(&server);
        moved += ends_carry(&server, &client, cut);
        moved += transfer_step(&up, &client, &server, total, slice);
        moved += transfer_step(&down, &server, &client, total, slice);
        CHECK(!client.failed && !server.failed);
    } while (moved > 0);
    CHECK_INT(client.tls.state, TLS_OPEN);
    CHECK_STR(tls_version(&client.tls), "TLSv1.3");
    CHECK_INT(up.received, total);
    CHECK_INT(down.received, total);
    CHECK_INT(tls_has_pending(&client.tls), 0);
    end_fini(&client);
    end_fini(&server);
}

TEST(tls_carries_a_mebibyte_both_ways)
{
    transfer_both(1 << 20, 100000, PLAIN, PLAIN);
    transfer_both(1 << 20, 16000, PLAIN, PLAIN);
    transfer_both(1 << 20, 1000, 512, PLAIN);
}

TEST(tls_carries_bytes_in_any_pieces)
{
    for (size_t cut = 1; cut < 40; cut += 3)
        transfer_both(20000, cut, 64, 5000);
    for (size_t slice = 1; slice < 400; slice += 57)
        transfer_both(20000, 333, 100, slice);
    transfer_both(3000, 1, 8, 1);
}

TEST(tls_says_that_a_record_waits_for_room)
{
    struct host host = ends_host("api.test", HOST_NAME);
    uint8_t bytes[1000] = {0};
    struct end client;
    struct end server;
    struct err err;
    size_t used;
    size_t got = 0;

    end_init(&client, 300, WIRE);
    end_init(&server, PLAIN, WIRE);
    CHECK_INT(tls_init_client(&client.tls, client_context, &host, &err), 0);
    CHECK_INT(tls_init_server(&server.tls, server_context, NULL, &err), 0);
    ends_run(&client, &server, 100000);
    CHECK_INT(tls_send(&server.tls, span_of(bytes, sizeof bytes), &used, &server.sealed, &err), 0);
    CHECK_INT(used, sizeof bytes);
    ends_run(&client, &server, 100000);
    CHECK(buf_is_empty(&client.inbox));
    while (tls_has_pending(&client.tls)) {
        got += buf_len(&client.plain);
        buf_consume(&client.plain, buf_len(&client.plain));
        CHECK_INT(
            tls_feed(&client.tls, span_of(NULL, 0), &used, &client.plain, &client.sealed, &err), 0);
    }
    CHECK_INT(got + buf_len(&client.plain), sizeof bytes);
    end_fini(&client);
    end_fini(&server);
}

/* Half a record on the wire is not plaintext that waits: a caller must not spin on it. */
TEST(tls_has_nothing_pending_within_a_record)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct end client;
    struct end server;
    struct err err;
    size_t used;

    ends_open(&client, &server, server_context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(tls_send(&server.tls, span_text("hello"), &used, &server.sealed, &err), 0);
    ends_carry(&server, &client, 10);
    end_step(&client);
    CHECK(buf_is_empty(&client.inbox));
    CHECK_INT(tls_has_pending(&client.tls), 0);
    ends_run(&client, &server, 100000);
    CHECK_SPAN(buf_span(&client.plain), "hello");
    end_fini(&client);
    end_fini(&server);
}

TEST(tls_takes_nothing_without_room_for_what_it_may_have_to_say)
{
    struct host host = ends_host("api.test", HOST_NAME);
    uint8_t full[1000] = {0};
    struct end client;
    struct end server;
    struct err err;
    size_t used = 1;

    end_init(&client, PLAIN, TLS_RECORD_MAX + 10);
    end_init(&server, PLAIN, WIRE);
    CHECK_INT(tls_init_client(&client.tls, client_context, &host, &err), 0);
    CHECK_INT(tls_init_server(&server.tls, server_context, NULL, &err), 0);
    CHECK_INT(buf_append(&client.sealed, span_of(full, 11), &err), 0);
    CHECK_INT(tls_feed(&client.tls, span_text("x"), &used, &client.plain, &client.sealed, &err), 0);
    CHECK_INT(used, 0);
    CHECK_INT(buf_len(&client.sealed), 11);
    buf_consume(&client.sealed, 11);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.tls.state, TLS_OPEN);
    end_fini(&client);
    end_fini(&server);
}

TEST(tls_sends_a_short_run_into_little_room)
{
    struct host host = ends_host("api.test", HOST_NAME);
    static uint8_t full[WIRE - 261];
    struct end client;
    struct end server;
    struct err err;
    size_t used;

    ends_open(&client, &server, server_context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(buf_append(&client.sealed, span_of(full, sizeof full), &err), 0);
    CHECK_INT(tls_send(&client.tls, span_text("sixsix"), &used, &client.sealed, &err), 0);
    CHECK_INT(used, 0);
    CHECK_INT(tls_send(&client.tls, span_text("fives"), &used, &client.sealed, &err), 0);
    CHECK_INT(used, 5);
    buf_consume(&client.sealed, sizeof full);
    ends_run(&client, &server, 100000);
    CHECK_SPAN(buf_span(&server.plain), "fives");
    end_fini(&client);
    end_fini(&server);
}

TEST(tls_ends_with_close_notify_only)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct end client;
    struct end server;
    struct err err;
    size_t used;

    ends_open(&client, &server, server_context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(tls_send(&server.tls, span_text("last"), &used, &server.sealed, &err), 0);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.tls.state, TLS_OPEN);
    tls_send_close(&server.tls, &server.sealed);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.tls.state, TLS_ENDED);
    CHECK_SPAN(buf_span(&client.plain), "last");
    CHECK_INT(tls_send(&client.tls, span_text("but"), &used, &client.sealed, &err), 0);
    CHECK_INT(used, 3);
    ends_run(&client, &server, 100000);
    CHECK_SPAN(buf_span(&server.plain), "but");
    end_fini(&client);
    end_fini(&server);
}

TEST(tls_fails_for_good_on_a_forged_record)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct end client;
    struct end server;
    struct err err;
    size_t used;

    ends_open(&client, &server, server_context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(tls_send(&server.tls, span_text("hello"), &used, &server.sealed, &err), 0);
    buf_bytes(&server.sealed).ptr[9] ^= 1;
    ends_run(&client, &server, 100000);
    CHECK_INT(client.err.code, ERR_TLS);
    CHECK_INT(client.tls.state, TLS_FAILED);
    CHECK(buf_is_empty(&client.plain));
    CHECK_STR(server.tls.alert, "bad record mac");
    CHECK_INT(tls_send(&client.tls, span_text("x"), &used, &client.sealed, &err), -1);
    CHECK_INT(tls_feed(&client.tls, span_text("x"), &used, &client.plain, &client.sealed, &err),
              -1);
    end_fini(&client);
    end_fini(&server);
}

/* --- versions, renegotiation, ALPN; a peer that is not ours --- */

static struct err serve(SSL_CTX *peer_context, const uint8_t *alpn, unsigned alpn_len,
                        struct tls_context *context, char *alert)
{
    struct end server;
    struct err err = {0};
    SSL *ssl = SSL_new(peer_context);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    uint8_t bytes[20000];

    end_init(&server, PLAIN, WIRE);
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

    CHECK_INT(serve(old, NULL, 0, server_context, NULL).code, ERR_TLS);
    CHECK_INT(serve(peer, NULL, 0, server_context, NULL).code, ERR_OK);
    SSL_CTX_free(old);
    SSL_CTX_free(peer);
}

TEST(tls_refuses_ciphers_without_forward_secrecy_or_aead)
{
    SSL_CTX *peer = peer_of_version(TLS1_2_VERSION);

    SSL_CTX_set_cipher_list(peer, "ECDHE+AES+SHA:ECDHE+AES+SHA256:RSA+AESGCM:@SECLEVEL=0");
    CHECK_INT(serve(peer, NULL, 0, server_context, NULL).code, ERR_TLS);
    SSL_CTX_free(peer);
}

TEST(tls_answers_no_application_protocol_to_h2_alone)
{
    static const uint8_t h2[] = {2, 'h', '2'};
    static const uint8_t both[] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    SSL_CTX *peer = peer_of_version(TLS1_3_VERSION);
    char alert = 0;

    CHECK_INT(serve(peer, h2, sizeof h2, server_context, &alert).code, ERR_TLS);
    CHECK_INT(alert, 120);
    CHECK_INT(serve(peer, both, sizeof both, server_context, NULL).code, ERR_OK);
    CHECK_INT(serve(peer, NULL, 0, server_context, NULL).code, ERR_OK);
    SSL_CTX_free(peer);
}

TEST(tls_refuses_what_is_no_tls)
{
    struct end server;
    struct err err;

    end_init(&server, PLAIN, WIRE);
    CHECK_INT(tls_init_server(&server.tls, server_context, NULL, &err), 0);
    CHECK_INT(buf_append(&server.inbox, span_text("GET / HTTP/1.1\r\n\r\n"), &err), 0);
    end_step(&server);
    CHECK_INT(server.err.code, ERR_TLS);
    end_fini(&server);
}

TEST(tls_write_alert_is_one_record)
{
    static const uint8_t expected[] = {21, 3, 3, 0, 2, 2, 112};
    struct end end;
    struct err err;

    end_init(&end, PLAIN, WIRE);
    CHECK_INT(tls_write_alert(&end.sealed, TLS_ALERT_UNRECOGNIZED_NAME, &err), 0);
    CHECK(span_equal(buf_span(&end.sealed), span_of(expected, sizeof expected)));
    end_fini(&end);
}

TEST(tls_refuses_an_empty_set_of_roots)
{
    struct err err;

    CHECK(bundle_roots_new(span_of(NULL, 0), &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    CHECK(bundle_roots_new(pki_key(&root), &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
}

TEST(tls_handshake_speed)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct timespec from;
    struct timespec to;
    double seconds;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int i = 0; i < 100; i++) {
        struct end client;
        struct end server;

        ends_open(&client, &server, server_context, &host);
        ends_run(&client, &server, 100000);
        CHECK_INT(server.tls.state, TLS_OPEN);
        end_fini(&client);
        end_fini(&server);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    print_message("full handshake, client and server: %.0f us\n", seconds * 1e4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(tls_accepts_the_name_and_the_address_in_the_san),
        TEST_OF(tls_refuses_another_name),
        TEST_OF(tls_never_takes_the_common_name),
        TEST_OF(tls_refuses_partial_wildcards),
        TEST_OF(tls_refuses_an_address_given_as_a_name),
        TEST_OF(tls_refuses_expired_and_future_certificates),
        TEST_OF(tls_refuses_what_no_root_has_signed),
        TEST_OF(tls_refuses_a_forged_signature),
        TEST_OF(tls_refuses_the_wrong_extended_key_usage),
        TEST_OF(tls_refuses_an_issuer_that_is_no_ca),
        TEST_OF(tls_listener_refuses_a_key_of_1024_bits),
        TEST_OF(tls_says_in_words_what_is_wrong),
        TEST_OF(tls_keeps_the_words_of_the_peers_alert),
        TEST_OF(tls_listener_refuses_a_key_of_another_certificate),
        TEST_OF(tls_carries_a_mebibyte_both_ways),
        TEST_OF(tls_carries_bytes_in_any_pieces),
        TEST_OF(tls_says_that_a_record_waits_for_room),
        TEST_OF(tls_has_nothing_pending_within_a_record),
        TEST_OF(tls_takes_nothing_without_room_for_what_it_may_have_to_say),
        TEST_OF(tls_sends_a_short_run_into_little_room),
        TEST_OF(tls_ends_with_close_notify_only),
        TEST_OF(tls_fails_for_good_on_a_forged_record),
        TEST_OF(tls_refuses_tls_1_1_and_takes_1_2),
        TEST_OF(tls_refuses_ciphers_without_forward_secrecy_or_aead),
        TEST_OF(tls_answers_no_application_protocol_to_h2_alone),
        TEST_OF(tls_refuses_what_is_no_tls),
        TEST_OF(tls_write_alert_is_one_record),
        TEST_OF(tls_refuses_an_empty_set_of_roots),
        TEST_OF(tls_handshake_speed),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
