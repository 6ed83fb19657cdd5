/* SPDX-License-Identifier: Apache-2.0 */
/* Which certificates a client accepts. Threats H1, H2. */
#include "crypto/tls.h"

#include "test.h"
#include "tls_rig.h"

/* Whether `chain` alone is judged as the connection `client`, which was sent it, has judged it. */
static void check_same_verdict(const struct end *client, struct span chain, const struct host *host)
{
    struct err alone = {0};

    CHECK_INT(tls_verify_chain(rig_client_context, host, chain, &alone), client->failed ? -1 : 0);
    CHECK_INT(alone.code, client->err.code);
    if (client->failed)
        CHECK_STR(alone.text, client->err.text);
}

/* Shake hands with a server that has `pki`; what the client says about it. */
static struct err shake(const struct pki *pki, const char *name, enum host_kind kind)
{
    struct host host = ends_host(name, kind);
    struct tls_context *context = rig_listener(pki);
    struct end client;
    struct end server;
    struct err err;

    CHECK(context != NULL);
    rig_open(&client, &server, context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.tls.state, client.failed ? TLS_FAILED : TLS_OPEN);
    CHECK_INT(server.tls.state, client.failed ? TLS_FAILED : TLS_OPEN);
    if (client.failed)
        CHECK(server.tls.alert[0] != '\0');
    check_same_verdict(&client, pki_certificate(pki), &host);
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
    CHECK_INT(shake(&rig_good, "api.test", HOST_NAME).code, ERR_OK);
    CHECK_INT(shake(&rig_good, "192.0.2.7", HOST_IPV4).code, ERR_OK);
    CHECK_INT(shake(&rig_good, "a.wild.test", HOST_NAME).code, ERR_OK);
}

TEST(tls_refuses_another_name)
{
    CHECK_INT(shake(&rig_good, "other.test", HOST_NAME).code, ERR_CERT_NAME);
    CHECK_INT(shake(&rig_good, "192.0.2.8", HOST_IPV4).code, ERR_CERT_NAME);
    CHECK_INT(shake(&rig_good, "a.b.wild.test", HOST_NAME).code, ERR_CERT_NAME);
    CHECK_INT(shake(&rig_good, "wild.test", HOST_NAME).code, ERR_CERT_NAME);
}

TEST(tls_never_takes_the_common_name)
{
    const struct pki_ask ask = {.cn = "api.test"};

    CHECK_INT(shake_with(&ask, &rig_root, "api.test").code, ERR_CERT_NAME);
}

TEST(tls_refuses_partial_wildcards)
{
    const struct pki_ask ask = {.cn = "x", .san = "DNS:a*.test.example"};

    CHECK_INT(shake_with(&ask, &rig_root, "ab.test.example").code, ERR_CERT_NAME);
}

TEST(tls_refuses_an_address_given_as_a_name)
{
    const struct pki_ask ask = {.cn = "x", .san = "DNS:192.0.2.7"};
    struct pki pki;

    pki_make(&pki, &ask, &rig_root);
    CHECK_INT(shake(&pki, "192.0.2.7", HOST_IPV4).code, ERR_CERT_NAME);
    pki_fini(&pki);
}

TEST(tls_refuses_expired_and_future_certificates)
{
    const struct pki_ask expired = {
        .cn = "x", .san = "DNS:api.test", .start_days = -10, .days = -1};
    const struct pki_ask future = {.cn = "x", .san = "DNS:api.test", .start_days = 2};

    CHECK_INT(shake_with(&expired, &rig_root, "api.test").code, ERR_CERT_EXPIRED);
    CHECK_INT(shake_with(&future, &rig_root, "api.test").code, ERR_CERT_EXPIRED);
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

    CHECK_INT(shake_with(&ask, &rig_root, "api.test").code, ERR_CERT_INVALID);
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

    pki_make(&middle, &bad, &rig_root);
    pki_make(&pki, &ask, &middle);
    text_init(&chain, memory, sizeof memory);
    text_add(&chain, pki_certificate(&pki));
    text_add(&chain, pki_certificate(&middle));
    context = tls_context_new_listener(text_span(&chain), pki_key(&pki), NULL, &err);
    CHECK(context != NULL);
    rig_open(&client, &server, context, &host);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.err.code, ERR_CERT_INVALID);
    check_same_verdict(&client, text_span(&chain), &host);
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
             &rig_root);
    CHECK(tls_context_new_listener(pki_certificate(&pki), pki_key(&pki), NULL, &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    pki_fini(&pki);
}

TEST(tls_says_in_words_what_is_wrong)
{
    struct err err = shake(&rig_good, "other.test", HOST_NAME);

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
    context = rig_listener(&self);
    rig_open(&client, &server, context, &host);
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

    CHECK(tls_context_new_listener(pki_certificate(&rig_good), pki_key(&rig_root), NULL, &err) ==
          NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
}

TEST(tls_refuses_an_empty_set_of_roots)
{
    struct err err;

    CHECK(bundle_roots_new(span_of(NULL, 0), &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    CHECK(bundle_roots_new(pki_key(&rig_root), &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
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
        TEST_OF(tls_refuses_an_empty_set_of_roots),
    };

    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
