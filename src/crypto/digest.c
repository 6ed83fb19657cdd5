/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes and random bytes. The algorithms are fetched once: EVP_sha256() looks its
 * implementation up by name on every use, which costs more than hashing a short input.
 */
#include "crypto/digest.h"

#include <limits.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

/* Set once by digest_setup(), then only read. */
static EVP_MD *sha1;
static EVP_MD *sha256;

int digest_setup(struct err *err)
{
    if (sha256 != NULL)
        return 0;
    /* No openssl.cnf and no OPENSSL_CONF: nobody's environment decides what we trust (H2). */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
        return err_set(err, ERR_MEMORY, "OpenSSL does not start");
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    ERR_clear_error();
    if (sha1 != NULL && sha256 != NULL)
        return 0;
    EVP_MD_free(sha1);
    EVP_MD_free(sha256);
    sha1 = NULL;
    sha256 = NULL;
    return err_set(err, ERR_UNSUPPORTED, "OpenSSL has no SHA-1 or no SHA-256");
}

static void digest_parts(const EVP_MD *md, const struct span *parts, size_t count, uint8_t *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    ENSURE(md != NULL);
    ENSURE(ctx != NULL);
    ENSURE(EVP_DigestInit_ex2(ctx, md, NULL) == 1);
    for (size_t i = 0; i < count; i++)
        ENSURE(EVP_DigestUpdate(ctx, parts[i].ptr, parts[i].len) == 1);
    ENSURE(EVP_DigestFinal_ex(ctx, out, NULL) == 1);
    EVP_MD_CTX_free(ctx);
}

void digest_sha1(struct span bytes, uint8_t out[DIGEST_SHA1])
{
    digest_parts(sha1, &bytes, 1, out);
}

void digest_sha256(struct span bytes, uint8_t out[DIGEST_SHA256])
{
    digest_parts(sha256, &bytes, 1, out);
}

void digest_sha256_parts(const struct span *parts, size_t count, uint8_t out[DIGEST_SHA256])
{
    digest_parts(sha256, parts, count, out);
}

int digest_random(struct room out, struct err *err)
{
    ENSURE(out.len <= INT_MAX);
    if (RAND_bytes(out.ptr, (int)out.len) == 1)
        return 0;
    ERR_clear_error();
    return err_set(err, ERR_SYSTEM, "no random bytes from the system");
}
