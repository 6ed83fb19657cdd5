/* SPDX-License-Identifier: Apache-2.0 */
/* The CA and its leaves. Threats H4, H5, H6. */
#include "crypto/leaf.h"

#include <time.h>

#include <openssl/x509v3.h>

#include "crypto/bundle.h"
#include "crypto/digest.h"
#include "ends.h"
#include "pki.h"
#include "test.h"

#define NOW 1795000000 /* 2026-11-18 */

static struct leaf_ca *ca;
static struct leaf_key *key;
static char ca_memory[4096];
static struct text ca_pem;
static struct secret ca_key;
static uint8_t spki_memory[256];
static struct text spki;

static int setup(void **state)
{
    struct err err;

    (void)state;
    text_init(&ca_pem, ca_memory, sizeof ca_memory);
    text_init(&spki, spki_memory, sizeof spki_memory);
    if (leaf_ca_generate(span_text("exeat test CA"), NOW, 3650, &ca_pem, &ca_key, &err) < 0)
        return -1;
    ca = leaf_ca_new(text_span(&ca_pem), secret_span(&ca_key), &err);
    key = leaf_key_new(&err);
    return ca == NULL || key == NULL ? -1 : leaf_key_public(key, &spki, &err);
}

static int teardown(void **state)
{
    (void)state;
    leaf_ca_free(ca);
    leaf_key_free(key);
    secret_fini(&ca_key);
    return 0;
}

static uint8_t leaf_memory[LEAF_DER_MAX];

/* DER of a leaf for `name`, in static memory; empty with *err filled if it was refused. */
static struct span mint(const char *name, enum host_kind kind, int64_t lifetime_s, struct err *err)
{
    struct host host = ends_host(name, kind);
    struct text out;

    text_init(&out, leaf_memory, sizeof leaf_memory);
    if (leaf_mint(ca, &host, text_span(&spki), NOW, lifetime_s, &out, err) < 0)
        return span_of(NULL, 0);
    return text_span(&out);
}

static enum err_code mint_code(const char *name, enum host_kind kind)
{
    struct err err = {0};

    (void)mint(name, kind, 3600, &err);
    return err.code;
}

static const char long_name[] =
    "a-label-of-more-than-thirty-two-bytes.another-label-of-more-than-32-bytes.example.com";

TEST(leaf_satisfies_strict_verification)
{
    struct err err = {0};
    struct span root = leaf_ca_certificate(ca);

    CHECK_INT(pki_verify_strict(mint("api.example.com", HOST_NAME, 86400, &err), "api.example.com",
                                NULL, root, NOW),
              X509_V_OK);
    CHECK_INT(
        pki_verify_strict(mint(long_name, HOST_NAME, 86400, &err), long_name, NULL, root, NOW),
        X509_V_OK);
    CHECK_INT(
        pki_verify_strict(mint("192.0.2.7", HOST_IPV4, 86400, &err), NULL, "192.0.2.7", root, NOW),
        X509_V_OK);
    CHECK_INT(pki_verify_strict(mint("2001:db8::1", HOST_IPV6, 86400, &err), NULL, "2001:db8::1",
                                root, NOW),
              X509_V_OK);
}

TEST(leaf_is_for_its_host_only)
{
    struct err err = {0};
    struct span der = mint("api.example.com", HOST_NAME, 86400, &err);

    CHECK_INT(pki_verify_strict(der, "example.com", NULL, leaf_ca_certificate(ca), NOW),
              X509_V_ERR_HOSTNAME_MISMATCH);
    CHECK_INT(pki_verify_strict(der, "a.api.example.com", NULL, leaf_ca_certificate(ca), NOW),
              X509_V_ERR_HOSTNAME_MISMATCH);
}

/* Clocks of clients differ by up to an hour (H6). */
TEST(leaf_is_valid_from_an_hour_ago_until_its_lifetime)
{
    struct err err = {0};
    struct span der = mint("a.test", HOST_NAME, 86400, &err);
    struct span root = leaf_ca_certificate(ca);

    CHECK_INT(pki_verify_strict(der, "a.test", NULL, root, NOW - 3599), X509_V_OK);
    CHECK_INT(pki_verify_strict(der, "a.test", NULL, root, NOW - 3601),
              X509_V_ERR_CERT_NOT_YET_VALID);
    CHECK_INT(pki_verify_strict(der, "a.test", NULL, root, NOW + 86399), X509_V_OK);
    CHECK_INT(pki_verify_strict(der, "a.test", NULL, root, NOW + 86401),
              X509_V_ERR_CERT_HAS_EXPIRED);
}

TEST(leaf_has_the_profile_and_nothing_else)
{
    struct err err = {0};
    struct span der = mint("api.example.com", HOST_NAME, 86400, &err);
    const uint8_t *at = der.ptr;
    X509 *x = d2i_X509(NULL, &at, (long)der.len);
    char cn[80];

    CHECK(x != NULL);
    CHECK(at == der.ptr + der.len);
    CHECK_INT(X509_get_version(x), X509_VERSION_3);
    CHECK_INT(X509_get_ext_count(x), 6);
    CHECK_INT(X509_check_ca(x), 0);
    CHECK_INT(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
    CHECK_INT(X509_get_extended_key_usage(x), XKU_SSL_SERVER);
    CHECK_INT(X509_NAME_entry_count(X509_get_subject_name(x)), 1);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof cn);
    CHECK_STR(cn, "api.example.com");
    CHECK_INT(ASN1_STRING_length(X509_get_serialNumber(x)), 17);
    CHECK_INT(ASN1_STRING_type(X509_get_serialNumber(x)), V_ASN1_INTEGER);
    /* As OpenSSL would encode it: what we wrote is DER. */
    CHECK_INT(i2d_X509(x, NULL), der.len);
    X509_free(x);
}

TEST(leaf_of_a_long_name_has_no_subject_and_a_critical_san)
{
    struct err err = {0};
    struct span der = mint(long_name, HOST_NAME, 86400, &err);
    const uint8_t *at = der.ptr;
    X509 *x = d2i_X509(NULL, &at, (long)der.len);

    CHECK_INT(X509_NAME_entry_count(X509_get_subject_name(x)), 0);
    CHECK((X509_get_extension_flags(x) & EXFLAG_SAN_CRITICAL) != 0);
    X509_free(x);
}

TEST(leaf_serials_differ)
{
    struct err err = {0};
    uint8_t first[64];
    struct span der = mint("a.test", HOST_NAME, 60, &err);

    CHECK(der.len > sizeof first);
    memcpy(first, leaf_memory, sizeof first);
    (void)mint("a.test", HOST_NAME, 60, &err);
    CHECK(memcmp(first, leaf_memory, 25) != 0); /* heads and serial */
}

TEST(leaf_mint_refuses_hosts_that_are_not_canonical)
{
    static const char *const names[] = {
        "",     "*.example.com", "Api.example.com", "a..b",  "a.b.",    ".a",         "a b",
        "a/b",  "a,DNS:b",       "a:443",           "1.2.3", "1.2.3.4", "0x7f.1.0x1", "a.0x1",
        "a.77", "\xc3\xa4.test",
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_INT(mint_code(names[i], HOST_NAME), ERR_TARGET);
    CHECK_INT(mint_code("01.2.3.4", HOST_IPV4), ERR_TARGET);
    CHECK_INT(mint_code("1.2.3", HOST_IPV4), ERR_TARGET);
    CHECK_INT(mint_code("a.test", HOST_IPV4), ERR_TARGET);
    CHECK_INT(mint_code("2001:DB8::1", HOST_IPV6), ERR_TARGET);
    CHECK_INT(mint_code("2001:db8:0::1", HOST_IPV6), ERR_TARGET);
    CHECK_INT(mint_code("fe80::1%eth0", HOST_IPV6), ERR_TARGET);
    CHECK_INT(mint_code("my_host.internal", HOST_NAME), ERR_OK);
    CHECK_INT(mint_code("localhost", HOST_NAME), ERR_OK);
    CHECK_INT(mint_code("xn--bcher-kva.example", HOST_NAME), ERR_OK);
}

TEST(leaf_mint_refuses_labels_of_64_bytes_and_names_of_254)
{
    char name[255];

    memset(name, 'a', 64);
    name[64] = '\0';
    CHECK_INT(mint_code(name, HOST_NAME), ERR_TARGET);
    CHECK_INT(mint_code(name + 1, HOST_NAME), ERR_OK);
    for (size_t i = 0; i < 254; i++)
        name[i] = i % 50 == 49 ? '.' : 'a';
    name[254] = '\0';
    CHECK_INT(mint_code(name, HOST_NAME), ERR_TARGET);
    CHECK_INT(mint_code(name + 1, HOST_NAME), ERR_OK);
}

TEST(leaf_mint_refuses_a_name_with_nul_inside)
{
    struct host host = ends_host("good.test", HOST_NAME);
    struct text out;
    struct err err = {0};

    host.name[4] = '\0';
    text_init(&out, leaf_memory, sizeof leaf_memory);
    CHECK_INT(leaf_mint(ca, &host, text_span(&spki), NOW, 60, &out, &err), -1);
    CHECK_INT(err.code, ERR_TARGET);
}

TEST(leaf_mint_refuses_other_keys)
{
    struct host host = ends_host("good.test", HOST_NAME);
    struct text out;
    struct err err = {0};
    uint8_t bad[128];
    size_t len = spki.len;

    text_init(&out, leaf_memory, sizeof leaf_memory);
    memcpy(bad, spki_memory, len);
    bad[len - 1] ^= 1; /* off the curve */
    CHECK_INT(leaf_mint(ca, &host, span_of(bad, len), NOW, 60, &out, &err), -1);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    CHECK_INT(leaf_mint(ca, &host, span_of(spki_memory, len - 1), NOW, 60, &out, &err), -1);
    memcpy(bad, spki_memory, len);
    bad[20] ^= 1; /* another curve's OID */
    CHECK_INT(leaf_mint(ca, &host, span_of(bad, len), NOW, 60, &out, &err), -1);
    CHECK_INT(leaf_mint(ca, &host, span_of(NULL, 0), NOW, 60, &out, &err), -1);
    CHECK_INT(out.len, 0);
}

TEST(leaf_never_outlives_a_week_or_its_ca)
{
    struct err err = {0};
    struct host host = ends_host("a.test", HOST_NAME);
    int64_t end = NOW + 3650LL * 86400;
    struct text out;
    struct leaf *leaf;

    (void)mint("a.test", HOST_NAME, LEAF_LIFETIME_MAX_S + 1, &err);
    CHECK_INT(err.code, ERR_LIMIT);
    (void)mint("a.test", HOST_NAME, 0, &err);
    CHECK_INT(err.code, ERR_LIMIT);
    text_init(&out, leaf_memory, sizeof leaf_memory);
    CHECK_INT(leaf_mint(ca, &host, text_span(&spki), end - 100, 86400, &out, &err), 0);
    leaf = leaf_new(text_span(&out), key, &err);
    CHECK_INT(leaf_expires_s(leaf), end);
    leaf_free(leaf);
    CHECK_INT(leaf_mint(ca, &host, text_span(&spki), end, 86400, &out, &err), -1);
    CHECK_INT(err.code, ERR_CERT_INVALID);
}

/* UTCTime ends with 2049 (RFC 5280 section 4.1.2.5). */
TEST(leaf_dates_are_right_around_2050)
{
    static const int64_t times[] = {2524607999 - 1800, 2524608000 - 86400, 2524608000 + 7200};
    char memory[4096];
    struct text pem;
    struct secret secret = {0};
    struct host host = ends_host("a.test", HOST_NAME);
    struct leaf_ca *old;
    struct err err = {0};

    text_init(&pem, memory, sizeof memory);
    CHECK_INT(leaf_ca_generate(span_text("later"), NOW, 36500, &pem, &secret, &err), 0);
    old = leaf_ca_new(text_span(&pem), secret_span(&secret), &err);
    for (size_t i = 0; i < 3; i++) {
        struct text out;

        text_init(&out, leaf_memory, sizeof leaf_memory);
        CHECK_INT(leaf_mint(old, &host, text_span(&spki), times[i], 3600, &out, &err), 0);
        CHECK_INT(pki_verify_strict(text_span(&out), "a.test", NULL, text_span(&pem), times[i]),
                  X509_V_OK);
    }
    leaf_ca_free(old);
    secret_fini(&secret);
}

TEST(leaf_ca_has_what_strict_clients_ask_of_a_ca)
{
    struct err err = {0};
    char memory[80];
    struct text hex;

    CHECK_INT(bundle_check_ca(leaf_ca_certificate(ca), NOW, &err), 1);
    CHECK(span_starts(secret_span(&ca_key), span_text("-----BEGIN PRIVATE KEY-----\n")));
    text_init(&hex, memory, sizeof memory);
    leaf_ca_fingerprint(ca, &hex);
    CHECK_INT(hex.len, 64);
}

TEST(leaf_ca_new_refuses_what_is_no_p256_ca)
{
    struct err err = {0};
    struct pki rsa;
    struct pki plain;
    struct pki other;

    pki_make(&rsa, &(struct pki_ask){.cn = "r", .is_ca = 1, .kind = PKI_RSA}, NULL);
    pki_make(&plain, &(struct pki_ask){.cn = "p"}, NULL);
    pki_make(&other, &(struct pki_ask){.cn = "o", .is_ca = 1}, NULL);
    CHECK(leaf_ca_new(pki_certificate(&rsa), pki_key(&rsa), &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    CHECK(leaf_ca_new(pki_certificate(&plain), pki_key(&plain), &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    CHECK(leaf_ca_new(pki_certificate(&other), secret_span(&ca_key), &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    CHECK(leaf_ca_new(span_text("junk"), secret_span(&ca_key), &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    pki_fini(&rsa);
    pki_fini(&plain);
    pki_fini(&other);
}

TEST(leaf_new_refuses_a_leaf_for_another_key)
{
    struct err err = {0};
    struct leaf_key *other = leaf_key_new(&err);
    struct span der = mint("a.test", HOST_NAME, 60, &err);

    CHECK(leaf_new(der, other, &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    CHECK(leaf_new(span_first(der, der.len - 1), key, &err) == NULL);
    CHECK(leaf_new(span_of(NULL, 0), key, &err) == NULL);
    leaf_key_free(other);
}

/* The whole way: CA, leaf, a client that trusts the CA. The leaf may go before its connection. */
TEST(leaf_serves_a_verifying_client)
{
    struct err err = {0};
    struct host host = ends_host("api.test", HOST_NAME);
    struct bundle_roots *roots = bundle_roots_new(leaf_ca_certificate(ca), &err);
    struct tls_context *to_origin = tls_context_new_client(roots, "http/1.1", &err);
    struct tls_context *inspect = tls_context_new_inspect(&err);
    struct text out;
    struct leaf *leaf;
    struct end client;
    struct end server;

    text_init(&out, leaf_memory, sizeof leaf_memory);
    CHECK_INT(leaf_mint(ca, &host, text_span(&spki), time(NULL), 3600, &out, &err), 0);
    leaf = leaf_new(text_span(&out), key, &err);
    CHECK(leaf != NULL);
    end_init(&client, 66560, 66560);
    end_init(&server, 66560, 66560);
    CHECK_INT(tls_init_client(&client.tls, to_origin, &host, &err), 0);
    CHECK_INT(tls_init_server(&server.tls, inspect, leaf, &err), 0);
    leaf_free(leaf);
    ends_run(&client, &server, 1000);
    CHECK_INT(client.tls.state, time(NULL) < NOW - 3600 ? TLS_FAILED : TLS_OPEN);
    end_fini(&client);
    end_fini(&server);
    tls_context_free(inspect);
    tls_context_free(to_origin);
    bundle_roots_free(roots);
}

TEST(leaf_mint_speed)
{
    struct err err = {0};
    struct timespec from;
    struct timespec to;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int i = 0; i < 1000; i++)
        CHECK(mint("api.example.com", HOST_NAME, 3600, &err).len > 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    print_message("a leaf of %zu bytes: %.1f us\n", mint("a.test", HOST_NAME, 60, &err).len,
                  (double)(to.tv_sec - from.tv_sec) * 1e3 +
                      (double)(to.tv_nsec - from.tv_nsec) / 1e6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(leaf_satisfies_strict_verification),
        TEST_OF(leaf_is_for_its_host_only),
        TEST_OF(leaf_is_valid_from_an_hour_ago_until_its_lifetime),
        TEST_OF(leaf_has_the_profile_and_nothing_else),
        TEST_OF(leaf_of_a_long_name_has_no_subject_and_a_critical_san),
        TEST_OF(leaf_serials_differ),
        TEST_OF(leaf_mint_refuses_hosts_that_are_not_canonical),
        TEST_OF(leaf_mint_refuses_labels_of_64_bytes_and_names_of_254),
        TEST_OF(leaf_mint_refuses_a_name_with_nul_inside),
        TEST_OF(leaf_mint_refuses_other_keys),
        TEST_OF(leaf_never_outlives_a_week_or_its_ca),
        TEST_OF(leaf_dates_are_right_around_2050),
        TEST_OF(leaf_ca_has_what_strict_clients_ask_of_a_ca),
        TEST_OF(leaf_ca_new_refuses_what_is_no_p256_ca),
        TEST_OF(leaf_new_refuses_a_leaf_for_another_key),
        TEST_OF(leaf_serves_a_verifying_client),
        TEST_OF(leaf_mint_speed),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
