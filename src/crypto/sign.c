/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signing for listeners. RSA gets a padded block, for OpenSSL pads before it asks the key; a raw
 * private operation on any block would also be a decryption, so the block must have the form of a
 * signature: EMSA-PKCS1-v1_5 or EMSA-PSS with a salt as long as the hash, as TLS has them (RFC
 * 8446 section 4.2.3, RFC 8017 section 9).
 */
#include "crypto/sign.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/pool.h"
#include "crypto/digest.h"
#include "crypto/library.h"

/* PKCS1_MGF1() has no successor that works outside of a provider. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

struct sign_key {
    EVP_PKEY *pkey;    /* owned */
    EVP_PKEY_CTX *ctx; /* owned: ready to sign */
    int is_rsa;
    size_t size; /* of the modulus in bytes, or the longest ECDSA signature */
};

static int key_setup(struct sign_key *key, struct err *err)
{
    int bits = EVP_PKEY_get_bits(key->pkey);
    int size = EVP_PKEY_get_size(key->pkey);
    int kind = EVP_PKEY_get_base_id(key->pkey);

    key->is_rsa = kind == EVP_PKEY_RSA;
    if (!key->is_rsa && kind != EVP_PKEY_EC)
        return err_set(err, ERR_CERT_INVALID, "the key is neither RSA nor EC");
    if (key->is_rsa && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX || bits % 8 != 0))
        return err_set(err, ERR_CERT_INVALID, "an RSA key of %d bits", bits);
    if (size <= 0 || size > SIGN_MAX)
        return err_set(err, ERR_CERT_INVALID, "a key with signatures of %d bytes", size);
    key->size = (size_t)size;
    key->ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    if (key->ctx == NULL || EVP_PKEY_sign_init(key->ctx) != 1 ||
        (key->is_rsa && EVP_PKEY_CTX_set_rsa_padding(key->ctx, RSA_NO_PADDING) != 1))
        return library_err(err, ERR_CERT_INVALID, "the key cannot sign");
    return 0;
}

struct sign_key *sign_key_new(struct span pem, struct err *err)
{
    struct sign_key *key;

    if (digest_setup(err) < 0)
        return NULL;
    key = pool_block_new(sizeof *key);
    if (key == NULL) {
        (void)err_set(err, ERR_MEMORY, "no memory for a key");
        return NULL;
    }
    key->pkey = library_read_key(pem, err);
    if (key->pkey != NULL && key_setup(key, err) == 0)
        return key;
    sign_key_free(key);
    return NULL;
}

void sign_key_free(struct sign_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_CTX_free(key->ctx);
    EVP_PKEY_free(key->pkey);
    pool_block_free(key);
}

/* 00 01 ff ... ff 00 and a DigestInfo with SHA-256, 384 or 512. */
static bool is_pkcs1_block(struct span block)
{
    static const uint8_t heads[][19] = {
        {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
         0x05, 0x00, 0x04, 0x20},
        {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02,
         0x05, 0x00, 0x04, 0x30},
        {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03,
         0x05, 0x00, 0x04, 0x40},
    };
    size_t at = 2;

    if (block.len < 2 || block.ptr[0] != 0x00 || block.ptr[1] != 0x01)
        return false;
    while (at < block.len && block.ptr[at] == 0xff)
        at++;
    if (at < 10 || at == block.len || block.ptr[at] != 0x00)
        return false;
    block = span_from(block, at + 1);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct span head = span_of(heads[i], sizeof heads[i]);

        if (span_starts(block, head) && block.len == head.len + head.ptr[head.len - 1])
            return true;
    }
    return false;
}

/* EMSA-PSS with one hash, its MGF1, and a salt of its length. The modulus is whole bytes long. */
static bool is_pss_block_of(struct span block, const EVP_MD *md)
{
    uint8_t mask[SIGN_MAX];
    size_t hash_len = (size_t)EVP_MD_get_size(md);
    size_t masked_len;
    size_t zeros;

    if (block.len > sizeof mask || block.len < 2 * hash_len + 2 ||
        block.ptr[block.len - 1] != 0xbc || (block.ptr[0] & 0x80) != 0)
        return false;
    masked_len = block.len - hash_len - 1;
    zeros = masked_len - hash_len - 1;
    if (PKCS1_MGF1(mask, (long)masked_len, block.ptr + masked_len, (long)hash_len, md) != 0)
        return false;
    for (size_t i = 0; i < masked_len; i++)
        mask[i] ^= block.ptr[i];
    mask[0] &= 0x7f;
    for (size_t i = 0; i < zeros; i++) {
        if (mask[i] != 0)
            return false;
    }
    return mask[zeros] == 0x01;
}

static bool is_signature_block(struct span block)
{
    return is_pkcs1_block(block) || is_pss_block_of(block, EVP_sha256()) ||
           is_pss_block_of(block, EVP_sha384()) || is_pss_block_of(block, EVP_sha512());
}

ssize_t sign_key_use(struct sign_key *key, struct span digest, struct room signature,
                     struct err *err)
{
    size_t len = signature.len;

    if (signature.len < key->size)
        return err_set(err, ERR_LIMIT, "a signature needs %zu bytes of room", key->size);
    if (key->is_rsa && (digest.len != key->size || !is_signature_block(digest)))
        return err_set(err, ERR_SYNTAX, "%zu bytes that are no padded digest", digest.len);
    if (!key->is_rsa && (digest.len < 32 || digest.len > 64))
        return err_set(err, ERR_SYNTAX, "a digest of %zu bytes", digest.len);
    if (EVP_PKEY_sign(key->ctx, signature.ptr, &len, digest.ptr, digest.len) != 1)
        return library_err(err, ERR_SYSTEM, "the key did not sign");
    return (ssize_t)len;
}
