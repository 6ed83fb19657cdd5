/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listener's private key lives in the vault; OpenSSL sees a key whose private operation calls
 * back. OpenSSL 3.0 offers two ways: a provider of our own, or the older method tables of RSA and
 * EC keys, deprecated but whole. The tables are a tenth of the code. A key with a foreign table is
 * never copied into a provider, so no operation can pass by the callback.
 */
#include "crypto/tls_remote.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "crypto/library.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define BLOCK_MAX 1024 /* RSA of 8192 bits */

/* Made once, never freed: keys refer to them without counting. */
static RSA_METHOD *rsa_method;
static EC_KEY_METHOD *ec_method;

static int remote_sign(const struct tls_sign *sign, struct span digest, struct room signature)
{
    struct err err = {0};
    ssize_t len;

    if (sign == NULL)
        return -1;
    len = sign->sign(sign->owner, digest, signature, &err);
    if (len > 0 && (size_t)len <= signature.len)
        return (int)len;
    ERR_raise_data(ERR_LIB_USER, ERR_R_OPERATION_FAIL, "%s", err.text);
    return -1;
}

static int remote_rsa(int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
    uint8_t block[BLOCK_MAX];
    int size = RSA_size(rsa);

    if (len < 0 || size <= 0 || size > BLOCK_MAX)
        return -1;
    if (padding == RSA_PKCS1_PADDING) {
        if (RSA_padding_add_PKCS1_type_1(block, size, from, len) != 1)
            return -1;
    } else if (padding == RSA_NO_PADDING && len == size) {
        memcpy(block, from, (size_t)size);
    } else {
        return -1;
    }
    len = remote_sign(RSA_get_ex_data(rsa, 0), span_of(block, (size_t)size),
                      (struct room){to, (size_t)size});
    return len == size ? size : -1;
}

static int remote_ec(int type, const unsigned char *digest, int digest_len, unsigned char *out,
                     unsigned int *out_len, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *key)
{
    int size = ECDSA_size(key);
    int len;

    (void)type;
    (void)kinv;
    (void)r;
    if (digest_len < 0 || size <= 0)
        return 0;
    len = remote_sign(EC_KEY_get_ex_data(key, 0), span_of(digest, (size_t)digest_len),
                      (struct room){out, (size_t)size});
    if (len < 0)
        return 0;
    *out_len = (unsigned int)len;
    return 1;
}

static int methods_setup(void)
{
    if (rsa_method == NULL) {
        rsa_method = RSA_meth_dup(RSA_PKCS1_OpenSSL());
        if (rsa_method == NULL || RSA_meth_set_priv_enc(rsa_method, remote_rsa) != 1)
            return -1;
    }
    if (ec_method == NULL) {
        ec_method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
        if (ec_method == NULL)
            return -1;
        EC_KEY_METHOD_set_sign(ec_method, remote_ec, NULL, NULL);
    }
    return 0;
}

static int remote_from_rsa(EVP_PKEY *to, const EVP_PKEY *public, const struct tls_sign *sign)
{
    RSA *rsa = RSAPublicKey_dup(EVP_PKEY_get0_RSA(public));
    int ok = rsa != NULL && RSA_set_method(rsa, rsa_method) == 1 &&
             RSA_set_ex_data(rsa, 0, (void *)(uintptr_t)sign) == 1;

    if (ok) {
        RSA_set_flags(rsa, RSA_FLAG_EXT_PKEY | RSA_METHOD_FLAG_NO_CHECK);
        ok = EVP_PKEY_set1_RSA(to, rsa) == 1;
    }
    RSA_free(rsa);
    return ok ? 0 : -1;
}

static int remote_from_ec(EVP_PKEY *to, const EVP_PKEY *public, const struct tls_sign *sign)
{
    EC_KEY *key = EC_KEY_dup(EVP_PKEY_get0_EC_KEY(public));
    int ok = key != NULL && EC_KEY_set_method(key, ec_method) == 1 &&
             EC_KEY_set_ex_data(key, 0, (void *)(uintptr_t)sign) == 1 &&
             EVP_PKEY_set1_EC_KEY(to, key) == 1;

    EC_KEY_free(key);
    return ok ? 0 : -1;
}

EVP_PKEY *tls_remote_key(X509 *certificate, const struct tls_sign *sign, struct err *err)
{
    EVP_PKEY *public = X509_get0_pubkey(certificate);
    EVP_PKEY *remote = NULL;
    int kind = public == NULL ? EVP_PKEY_NONE : EVP_PKEY_get_base_id(public);
    int done = -1;

    if (kind != EVP_PKEY_RSA && kind != EVP_PKEY_EC) {
        (void)err_set(err, ERR_CERT_INVALID, "the certificate's key is neither RSA nor EC");
        return NULL;
    }
    if (methods_setup() == 0)
        remote = EVP_PKEY_new();
    if (remote != NULL && kind == EVP_PKEY_RSA)
        done = remote_from_rsa(remote, public, sign);
    else if (remote != NULL)
        done = remote_from_ec(remote, public, sign);
    if (done == 0)
        return remote;
    EVP_PKEY_free(remote);
    (void)library_err(err, ERR_CERT_INVALID, "the certificate's key cannot be used");
    return NULL;
}
