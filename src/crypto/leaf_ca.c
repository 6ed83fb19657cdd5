/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate authority: made, read, checked. Lives in the vault only (threat H5). */
#include "crypto/leaf_authority.h"

#include <limits.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/pool.h"
#include "crypto/library.h"

#define CN_MAX  64 /* ub-common-name, RFC 5280 appendix A.1 */
#define DAY_S   86400
#define DAY_MAX 36525

/* --- generate --- */

static int extension_add(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    int ok;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = extension != NULL && X509_add_ext(x, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok ? 0 : -1;
}

static int serial_set(X509 *x)
{
    uint8_t bytes[17] = {1}; /* so that the number is positive and not too short */
    struct err ignored;
    BIGNUM *number;
    int ok;

    if (digest_random((struct room){bytes + 1, sizeof bytes - 1}, &ignored) < 0)
        return -1;
    number = BN_bin2bn(bytes, sizeof bytes, NULL);
    ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL;
    BN_free(number);
    return ok ? 0 : -1;
}

static int ca_fill(X509 *x, EVP_PKEY *pkey, struct span common_name, int64_t now_s, unsigned days)
{
    X509_NAME *name = X509_get_subject_name(x);

    if (X509_set_version(x, X509_VERSION_3) != 1 || serial_set(x) < 0 ||
        X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, common_name.ptr,
                                   (int)common_name.len, -1, 0) != 1 ||
        X509_set_issuer_name(x, name) != 1 || X509_set_pubkey(x, pkey) != 1 ||
        ASN1_TIME_set(X509_getm_notBefore(x), now_s - LEAF_SKEW_S) == NULL ||
        ASN1_TIME_set(X509_getm_notAfter(x), now_s + (int64_t)days * DAY_S) == NULL)
        return -1;
    if (extension_add(x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") < 0 ||
        extension_add(x, NID_key_usage, "critical,keyCertSign,cRLSign") < 0 ||
        extension_add(x, NID_subject_key_identifier, "hash") < 0)
        return -1;
    return X509_sign(x, pkey, EVP_sha256()) > 0 ? 0 : -1;
}

/* The bytes that a memory BIO holds. */
static struct span bio_span(BIO *bio)
{
    char *bytes = NULL;
    long len = BIO_get_mem_data(bio, &bytes);

    return span_of(bytes, len < 0 ? 0 : (size_t)len);
}

static int ca_write(X509 *x, EVP_PKEY *pkey, struct text *cert_pem, struct secret *key_pem,
                    struct err *err)
{
    BIO *cert = BIO_new(BIO_s_mem());
    BIO *key = BIO_new(BIO_s_secmem());
    int result = -1;

    if (cert == NULL || key == NULL || PEM_write_bio_X509(cert, x) != 1 ||
        PEM_write_bio_PKCS8PrivateKey(key, pkey, NULL, NULL, 0, NULL, NULL) != 1) {
        (void)library_err(err, ERR_MEMORY, "the CA cannot be written");
        goto done;
    }
    text_add(cert_pem, bio_span(cert));
    if (text_check(cert_pem, "the CA certificate", err) < 0)
        goto done;
    result = secret_init(key_pem, bio_span(key), err);
done:
    /* A memory BIO is wiped when it is freed. */
    BIO_free(cert);
    BIO_free(key);
    return result;
}

int leaf_ca_generate(struct span common_name, int64_t now_s, unsigned days, struct text *cert_pem,
                     struct secret *key_pem, struct err *err)
{
    EVP_PKEY *pkey;
    X509 *x;
    int result = -1;

    if (common_name.len == 0 || common_name.len > CN_MAX)
        return err_set(err, ERR_LIMIT, "a CA name of %zu bytes, 1 to %d are allowed",
                       common_name.len, CN_MAX);
    if (days == 0 || days > DAY_MAX)
        return err_set(err, ERR_LIMIT, "a CA for %u days, 1 to %d are allowed", days, DAY_MAX);
    if (digest_setup(err) < 0)
        return -1;
    pkey = EVP_EC_gen("P-256");
    x = X509_new();
    if (pkey == NULL || x == NULL || ca_fill(x, pkey, common_name, now_s, days) < 0)
        (void)library_err(err, ERR_CERT_INVALID, "the CA cannot be made");
    else
        result = ca_write(x, pkey, cert_pem, key_pem, err);
    X509_free(x);
    EVP_PKEY_free(pkey);
    return result;
}

/* --- read --- */

static int is_p256(const EVP_PKEY *pkey)
{
    char group[32];
    size_t len = 0;

    return EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(pkey, group, sizeof group, &len) == 1 &&
           span_equal(span_of(group, len), span_text("prime256v1"));
}

static int ca_check(X509 *x, const EVP_PKEY *pkey, struct err *err)
{
    if (!is_p256(pkey))
        return err_set(err, ERR_CERT_INVALID, "the CA key is not on P-256");
    if (X509_check_private_key(x, pkey) != 1)
        return library_err(err, ERR_CERT_INVALID, "CA key and certificate do not belong together");
    if (X509_check_ca(x) != 1 || (X509_get_extension_flags(x) & EXFLAG_INVALID) != 0)
        return err_set(err, ERR_CERT_INVALID, "the certificate is not a CA's");
    if ((X509_get_extension_flags(x) & EXFLAG_KUSAGE) == 0 ||
        (X509_get_key_usage(x) & KU_KEY_CERT_SIGN) == 0)
        return err_set(err, ERR_CERT_INVALID, "the CA's key usage does not let it sign");
    if (X509_get0_subject_key_id(x) == NULL)
        return err_set(err, ERR_CERT_INVALID, "the CA has no subject key identifier");
    return 0;
}

/* What never changes between two leaves. */
static int ca_prepare(struct leaf_ca *ca, X509 *x, struct span cert_pem, struct err *err)
{
    const ASN1_OCTET_STRING *key_id = X509_get0_subject_key_id(x);
    int key_id_len = ASN1_STRING_length(key_id);
    int subject_len = i2d_X509_NAME(X509_get_subject_name(x), NULL);
    unsigned char *at = ca->subject;
    uint8_t *pem;

    if (key_id_len <= 0 || (size_t)key_id_len > sizeof ca->key_id || subject_len <= 2 ||
        (size_t)subject_len > sizeof ca->subject)
        return err_set(err, ERR_CERT_INVALID, "the CA's name or key identifier has no usable size");
    memcpy(ca->key_id, ASN1_STRING_get0_data(key_id), (size_t)key_id_len);
    ca->key_id_len = (size_t)key_id_len;
    ca->subject_len = (size_t)i2d_X509_NAME(X509_get_subject_name(x), &at);
    ca->ends_s = library_time(X509_get0_notAfter(x));
    if (X509_digest(x, EVP_sha256(), ca->fingerprint, NULL) != 1)
        return library_err(err, ERR_MEMORY, "the CA's fingerprint");
    pem = pool_block_new(cert_pem.len);
    if (pem == NULL)
        return err_set(err, ERR_MEMORY, "no memory for the CA");
    memcpy(pem, cert_pem.ptr, cert_pem.len);
    ca->certificate = span_of(pem, cert_pem.len);
    ca->group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    ca->point = ca->group == NULL ? NULL : EC_POINT_new(ca->group);
    ca->sign = EVP_PKEY_CTX_new_from_pkey(NULL, ca->pkey, NULL);
    if (ca->point == NULL || ca->sign == NULL || EVP_PKEY_sign_init(ca->sign) != 1)
        return library_err(err, ERR_MEMORY, "the CA key cannot be used");
    return 0;
}

/* The only block of `pem`; NULL with *err filled. */
static X509 *only_certificate(struct span pem, struct err *err)
{
    struct pem_block block;
    struct pem_block second;
    X509 *x;
    int more = pem_next(&pem, &block, err);

    if (more == 0 || (more > 0 && !pem_is_certificate(&block)))
        (void)err_set(err, ERR_CERT_INVALID, "no CA certificate");
    if (more <= 0 || !pem_is_certificate(&block))
        return NULL;
    x = library_read_block(&block, err);
    if (x == NULL || pem_next(&pem, &second, err) == 0)
        return x;
    X509_free(x);
    (void)err_set(err, ERR_CERT_INVALID, "more than one certificate for the CA");
    return NULL;
}

struct leaf_ca *leaf_ca_new(struct span cert_pem, struct span key_pem, struct err *err)
{
    struct leaf_ca *ca;
    X509 *x;

    if (digest_setup(err) < 0)
        return NULL;
    x = only_certificate(cert_pem, err);
    if (x == NULL)
        return NULL;
    ca = pool_block_new(sizeof *ca);
    if (ca == NULL) {
        (void)err_set(err, ERR_MEMORY, "no memory for the CA");
        goto fail;
    }
    ca->pkey = library_read_key(key_pem, err);
    if (ca->pkey == NULL || ca_check(x, ca->pkey, err) < 0 || ca_prepare(ca, x, cert_pem, err) < 0)
        goto fail;
    X509_free(x);
    return ca;
fail:
    leaf_ca_free(ca);
    X509_free(x);
    return NULL;
}

void leaf_ca_free(struct leaf_ca *ca)
{
    if (ca == NULL)
        return;
    EVP_PKEY_CTX_free(ca->sign);
    EVP_PKEY_free(ca->pkey);
    EC_POINT_free(ca->point);
    EC_GROUP_free(ca->group);
    pool_block_free((void *)(uintptr_t)ca->certificate.ptr);
    pool_block_free(ca);
}

struct span leaf_ca_certificate(const struct leaf_ca *ca)
{
    return ca->certificate;
}

void leaf_ca_fingerprint(const struct leaf_ca *ca, struct text *out)
{
    text_add_hex(out, span_of(ca->fingerprint, sizeof ca->fingerprint));
}
