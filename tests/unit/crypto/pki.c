/* SPDX-License-Identifier: Apache-2.0 */
#include "pki.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ENSURE(e != NULL);
    ENSURE(X509_add_ext(x, e, -1) == 1);
    X509_EXTENSION_free(e);
}

static EVP_PKEY *key_make(enum pki_kind kind)
{
    switch (kind) {
    case PKI_EC:
        return EVP_EC_gen("P-256");
    case PKI_RSA:
        return EVP_RSA_gen(2048);
    case PKI_RSA_1024:
        return EVP_RSA_gen(1024);
    }
    return NULL;
}

void pki_make(struct pki *pki, const struct pki_ask *ask, const struct pki *issuer)
{
    static long serial = 1000;
    const struct pki *by = issuer == NULL ? pki : issuer;
    X509_NAME *name;
    X509 *x = X509_new();

    pki->x = x;
    pki->pkey = key_make(ask->kind);
    ENSURE(x != NULL && pki->pkey != NULL);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)ask->cn, -1, -1,
                               0);
    X509_set_issuer_name(x, X509_get_subject_name(by->x));
    X509_set_pubkey(x, pki->pkey);
    X509_gmtime_adj(X509_getm_notBefore(x), (ask->start_days == 0 ? -1L : ask->start_days) * 86400);
    X509_gmtime_adj(X509_getm_notAfter(x), (ask->days == 0 ? 10L : ask->days) * 86400);
    extension(x, by->x, NID_subject_key_identifier, "hash");
    if (issuer != NULL)
        extension(x, by->x, NID_authority_key_identifier, "keyid:always");
    extension(x, by->x, NID_basic_constraints, ask->is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (ask->is_ca)
        extension(x, by->x, NID_key_usage, "critical,keyCertSign,cRLSign");
    if (ask->san != NULL)
        extension(x, by->x, NID_subject_alt_name, ask->san);
    if (ask->eku != NULL)
        extension(x, by->x, NID_ext_key_usage, ask->eku);
    ENSURE(X509_sign(x, by->pkey, EVP_sha256()) > 0);
}

void pki_fini(struct pki *pki)
{
    X509_free(pki->x);
    EVP_PKEY_free(pki->pkey);
    *pki = (struct pki){0};
}

/* Moves what `bio` holds into static memory and frees it. */
static struct span bio_take(BIO *bio)
{
    static uint8_t memory[4][16384];
    static size_t turn;
    uint8_t *at = memory[turn++ % 4];
    int len = BIO_read(bio, at, sizeof memory[0]);

    ENSURE(len > 0 && len < (int)sizeof memory[0]);
    BIO_free(bio);
    return span_of(at, (size_t)len);
}

struct span pki_certificate(const struct pki *pki)
{
    BIO *bio = BIO_new(BIO_s_mem());

    ENSURE(PEM_write_bio_X509(bio, pki->x) == 1);
    return bio_take(bio);
}

struct span pki_key(const struct pki *pki)
{
    BIO *bio = BIO_new(BIO_s_mem());

    ENSURE(PEM_write_bio_PrivateKey(bio, pki->pkey, NULL, NULL, 0, NULL, NULL) == 1);
    return bio_take(bio);
}

int pki_verify_strict(struct span der, const char *host, const char *ip, struct span root_pem,
                      int64_t at_s)
{
    const uint8_t *at = der.ptr;
    X509 *x = d2i_X509(NULL, &at, (long)der.len);
    BIO *bio = BIO_new_mem_buf(root_pem.ptr, (int)root_pem.len);
    X509 *root = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *param;
    int result;

    ENSURE(x != NULL && root != NULL && X509_STORE_add_cert(store, root) == 1);
    ENSURE(X509_STORE_CTX_init(ctx, store, x, NULL) == 1);
    param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_auth_level(param, 2);
    X509_VERIFY_PARAM_set_time(param, at_s);
    if (host != NULL)
        X509_VERIFY_PARAM_set1_host(param, host, 0);
    if (ip != NULL)
        X509_VERIFY_PARAM_set1_ip_asc(param, ip);
    X509_verify_cert(ctx);
    result = X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(root);
    BIO_free(bio);
    X509_free(x);
    return result;
}
