/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's half: its own key, and minted leaves parsed once and served often. */
#include "crypto/leaf.h"

#include <limits.h>

#include "base/pool.h"
#include "crypto/digest.h"
#include "crypto/library.h"

#define SPKI_MAX 256

struct leaf_key *leaf_key_new(struct err *err)
{
    struct leaf_key *key;

    if (digest_setup(err) < 0)
        return NULL;
    key = pool_block_new(sizeof *key);
    if (key != NULL)
        key->pkey = EVP_EC_gen("P-256");
    if (key != NULL && key->pkey != NULL)
        return key;
    (void)library_err(err, ERR_MEMORY, "no key for leaves");
    leaf_key_free(key);
    return NULL;
}

void leaf_key_free(struct leaf_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    pool_block_free(key);
}

int leaf_key_public(const struct leaf_key *key, struct text *out, struct err *err)
{
    uint8_t memory[SPKI_MAX];
    unsigned char *at = memory;
    int len = i2d_PUBKEY(key->pkey, NULL);

    if (len <= 0 || (size_t)len > sizeof memory || i2d_PUBKEY(key->pkey, &at) != len)
        return library_err(err, ERR_CERT_INVALID, "the leaves' public key");
    text_add(out, span_of(memory, (size_t)len));
    return text_check(out, "the leaves' public key", err);
}

struct leaf *leaf_new(struct span der, const struct leaf_key *key, struct err *err)
{
    X509 *x = library_read_certificate(der, err);
    struct leaf *leaf;

    if (x == NULL)
        return NULL;
    if (X509_check_private_key(x, key->pkey) != 1) {
        (void)library_err(err, ERR_CERT_INVALID, "a leaf for another key");
        goto fail;
    }
    leaf = pool_block_new(sizeof *leaf);
    if (leaf == NULL) {
        (void)err_set(err, ERR_MEMORY, "no memory for a leaf");
        goto fail;
    }
    EVP_PKEY_up_ref(key->pkey);
    *leaf = (struct leaf){
        .certificate = x, .pkey = key->pkey, .expires_s = library_time(X509_get0_notAfter(x))};
    return leaf;
fail:
    X509_free(x);
    return NULL;
}

void leaf_free(struct leaf *leaf)
{
    if (leaf == NULL)
        return;
    X509_free(leaf->certificate);
    EVP_PKEY_free(leaf->pkey);
    pool_block_free(leaf);
}

int64_t leaf_expires_s(const struct leaf *leaf)
{
    return leaf->expires_s;
}
