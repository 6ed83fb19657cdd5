/* SPDX-License-Identifier: Apache-2.0 */
/* A listener whose key is elsewhere: crypto/tls_remote.c and crypto/sign.c together. */
#include "crypto/sign.h"

#include <openssl/rsa.h>
#include <openssl/ssl.h>

#include "crypto/digest.h"
#include "crypto/library.h"
#include "ends.h"
#include "pki.h"
#include "test.h"

struct vault {
    struct sign_key *key;
    int asked;
    int refuse;
};

static struct pki root;
static struct bundle_roots *roots;

static int setup(void **state)
{
    struct err err;

    (void)state;
    if (digest_setup(&err) < 0)
        return -1;
    pki_make(&root, &(struct pki_ask){.cn = "root", .is_ca = 1}, NULL);
    roots = bundle_roots_new(pki_certificate(&root), &err);
    return roots == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    bundle_roots_free(roots);
    pki_fini(&root);
    return 0;
}

static ssize_t vault_sign(void *owner, struct span digest, struct room signature, struct err *err)
{
    struct vault *vault = owner;

    vault->asked++;
    if (vault->refuse)
        return err_set(err, ERR_LIMIT, "the vault is busy");
    return sign_key_use(vault->key, digest, signature, err);
}

/* Shake hands with a listener of this kind of key, at this version at most. */
static void shake(enum pki_kind kind, int version, int refuse)
{
    struct host host = ends_host("gateway.test", HOST_NAME);
    struct vault vault = {.refuse = refuse};
    struct tls_sign sign = {.sign = vault_sign, .owner = &vault};
    struct tls_context *server_context;
    struct tls_context *client_context;
    struct pki pki;
    struct end client;
    struct end server;
    struct err err = {0};

    pki_make(&pki, &(struct pki_ask){.cn = "x", .san = "DNS:gateway.test", .kind = kind}, &root);
    vault.key = sign_key_new(pki_key(&pki), &err);
    CHECK(vault.key != NULL);
    server_context = tls_context_new_listener(pki_certificate(&pki), span_of(NULL, 0), &sign, &err);
    if (server_context == NULL)
        fail_msg("%s", err.text);
    client_context = tls_context_new_client(roots, "http/1.1", &err);
    SSL_CTX_set_max_proto_version(client_context->ssl, version);
    end_init(&client, 66560, 66560);
    end_init(&server, 66560, 66560);
    CHECK_INT(tls_init_client(&client.tls, client_context, &host, &err), 0);
    CHECK_INT(tls_init_server(&server.tls, server_context, NULL, &err), 0);
    ends_run(&client, &server, 100000);
    CHECK_INT(vault.asked, 1);
    if (refuse) {
        CHECK_INT(server.err.code, ERR_TLS);
        CHECK(strstr(server.err.text, "the vault is busy") != NULL);
    } else {
        if (client.failed)
            print_error("%s / %s\n", client.err.text, server.err.text);
        CHECK_INT(client.tls.state, TLS_OPEN);
        CHECK_INT(server.tls.state, TLS_OPEN);
        CHECK_STR(tls_version(&client.tls), version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
    }
    end_fini(&client);
    end_fini(&server);
    tls_context_free(client_context);
    tls_context_free(server_context);
    sign_key_free(vault.key);
    pki_fini(&pki);
}

TEST(sign_serves_ec_over_tls_1_3)
{
    shake(PKI_EC, TLS1_3_VERSION, 0);
}

TEST(sign_serves_ec_over_tls_1_2)
{
    shake(PKI_EC, TLS1_2_VERSION, 0);
}

TEST(sign_serves_rsa_over_tls_1_3)
{
    shake(PKI_RSA, TLS1_3_VERSION, 0);
}

TEST(sign_serves_rsa_over_tls_1_2)
{
    shake(PKI_RSA, TLS1_2_VERSION, 0);
}

TEST(sign_passes_the_reason_of_a_refusal_on)
{
    shake(PKI_EC, TLS1_3_VERSION, 1);
    shake(PKI_RSA, TLS1_3_VERSION, 1);
}

TEST(sign_serves_many_connections_of_one_listener)
{
    for (int i = 0; i < 3; i++)
        shake(PKI_EC, TLS1_3_VERSION, 0);
}

/* PKCS #1 v1.5, which older TLS 1.2 clients choose. */
TEST(sign_serves_rsa_pkcs1_over_tls_1_2)
{
    struct vault vault = {0};
    struct tls_sign sign = {.sign = vault_sign, .owner = &vault};
    struct host host = ends_host("gateway.test", HOST_NAME);
    struct tls_context *server_context;
    struct tls_context *client_context;
    struct pki pki;
    struct end client;
    struct end server;
    struct err err = {0};

    pki_make(&pki, &(struct pki_ask){.cn = "x", .san = "DNS:gateway.test", .kind = PKI_RSA}, &root);
    vault.key = sign_key_new(pki_key(&pki), &err);
    server_context = tls_context_new_listener(pki_certificate(&pki), span_of(NULL, 0), &sign, &err);
    client_context = tls_context_new_client(roots, "http/1.1", &err);
    SSL_CTX_set_max_proto_version(client_context->ssl, TLS1_2_VERSION);
    CHECK_INT(SSL_CTX_set1_sigalgs_list(client_context->ssl, "RSA+SHA256:ECDSA+SHA256"), 1);
    end_init(&client, 66560, 66560);
    end_init(&server, 66560, 66560);
    CHECK_INT(tls_init_client(&client.tls, client_context, &host, &err), 0);
    CHECK_INT(tls_init_server(&server.tls, server_context, NULL, &err), 0);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.tls.state, TLS_OPEN);
    end_fini(&client);
    end_fini(&server);
    tls_context_free(client_context);
    tls_context_free(server_context);
    sign_key_free(vault.key);
    pki_fini(&pki);
}

/* H5: a worker taken over gets signatures, never a decryption of what it has captured. */
TEST(sign_refuses_to_decrypt)
{
    struct pki pki;
    struct sign_key *key;
    struct err err = {0};
    uint8_t sealed[256];
    uint8_t out[SIGN_MAX];
    size_t len = sizeof sealed;
    EVP_PKEY_CTX *ctx;

    pki_make(&pki, &(struct pki_ask){.cn = "x", .kind = PKI_RSA}, NULL);
    key = sign_key_new(pki_key(&pki), &err);
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pki.pkey, NULL);
    CHECK_INT(EVP_PKEY_encrypt_init(ctx), 1);
    CHECK_INT(EVP_PKEY_encrypt(ctx, sealed, &len, (const uint8_t *)"premaster", 9), 1);
    EVP_PKEY_CTX_free(ctx);
    CHECK_INT(sign_key_use(key, span_of(sealed, len), (struct room){out, sizeof out}, &err), -1);
    CHECK_INT(err.code, ERR_SYNTAX);
    memset(sealed, 0, sizeof sealed);
    CHECK_INT(sign_key_use(key, span_of(sealed, len), (struct room){out, sizeof out}, &err), -1);
    sealed[1] = 1;
    memset(sealed + 2, 0xff, 200);
    CHECK_INT(sign_key_use(key, span_of(sealed, len), (struct room){out, sizeof out}, &err), -1);
    CHECK_INT(sign_key_use(key, span_of(sealed, 32), (struct room){out, sizeof out}, &err), -1);
    CHECK_INT(err.code, ERR_SYNTAX);
    sign_key_free(key);
    pki_fini(&pki);
}

TEST(sign_refuses_digests_of_other_sizes_and_too_little_room)
{
    struct pki pki;
    struct sign_key *key;
    struct err err = {0};
    uint8_t digest[65] = {1};
    uint8_t out[SIGN_MAX];

    pki_make(&pki, &(struct pki_ask){.cn = "x"}, NULL);
    key = sign_key_new(pki_key(&pki), &err);
    CHECK(sign_key_use(key, span_of(digest, 32), (struct room){out, sizeof out}, &err) > 60);
    CHECK_INT(sign_key_use(key, span_of(digest, 65), (struct room){out, sizeof out}, &err), -1);
    CHECK_INT(sign_key_use(key, span_of(digest, 20), (struct room){out, sizeof out}, &err), -1);
    CHECK_INT(err.code, ERR_SYNTAX);
    CHECK_INT(sign_key_use(key, span_of(digest, 32), (struct room){out, 60}, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    sign_key_free(key);
    pki_fini(&pki);
}

TEST(sign_key_new_refuses_weak_keys_and_junk)
{
    struct pki pki;
    struct err err = {0};

    pki_make(&pki, &(struct pki_ask){.cn = "x", .kind = PKI_RSA_1024}, NULL);
    CHECK(sign_key_new(pki_key(&pki), &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    CHECK(sign_key_new(pki_certificate(&pki), &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    CHECK(sign_key_new(span_of(NULL, 0), &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    pki_fini(&pki);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(sign_serves_ec_over_tls_1_3),
        TEST_OF(sign_serves_ec_over_tls_1_2),
        TEST_OF(sign_serves_rsa_over_tls_1_3),
        TEST_OF(sign_serves_rsa_over_tls_1_2),
        TEST_OF(sign_passes_the_reason_of_a_refusal_on),
        TEST_OF(sign_serves_many_connections_of_one_listener),
        TEST_OF(sign_serves_rsa_pkcs1_over_tls_1_2),
        TEST_OF(sign_refuses_to_decrypt),
        TEST_OF(sign_refuses_digests_of_other_sizes_and_too_little_room),
        TEST_OF(sign_key_new_refuses_weak_keys_and_junk),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
