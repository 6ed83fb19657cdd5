/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_SIGN_H
#define EXEAT_CRYPTO_SIGN_H

#include "base/err.h"
#include "base/span.h"

/*
 * The vault's half of a listener whose key stays in the vault: what struct tls_sign asks for (see
 * crypto/tls_context.h for what the digest and the signature are).
 */
struct sign_key;

/* Room that any signature fits in. */
#define SIGN_MAX 1024

/* From a PEM private key without passphrase: EC, or RSA of 2048 to 8192 bits. ERR_CERT_INVALID. */
struct sign_key *sign_key_new(struct span pem, struct err *err);
void sign_key_free(struct sign_key *key);

/*
 * Sign. Returns the length; -1: ERR_SYNTAX if `digest` is not what a TLS handshake has signed
 * (for RSA: no PKCS #1 v1.5 or PSS block), so that a worker taken over gets signatures and never a
 * decryption; ERR_LIMIT if `signature` has not enough room; ERR_SYSTEM.
 */
ssize_t sign_key_use(struct sign_key *key, struct span digest, struct room signature,
                     struct err *err);

#endif
