/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_LEAF_H
#define EXEAT_CRYPTO_LEAF_H

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/span.h"
#include "base/text.h"
#include "http/target.h"

/*
 * The certificate authority and the leaves it mints. All keys ECDSA P-256.
 * The two halves never meet in one process: `leaf_ca` lives in the vault, `leaf_key` in a worker.
 */

/* --- vault: the CA --- */

struct leaf_ca;

/* A new CA: certificate as PEM, private key as PKCS#8 PEM. basicConstraints critical CA
 * pathlen 0, keyUsage critical keyCertSign cRLSign, SKI; valid for `days` from one hour ago. */
int leaf_ca_generate(struct span common_name, int64_t now_s, unsigned days, struct text *cert_pem,
                     struct secret *key_pem, struct err *err);

/* NULL if they are no P-256 CA or do not belong together: ERR_CERT_INVALID. Owned by caller. */
struct leaf_ca *leaf_ca_new(struct span cert_pem, struct span key_pem, struct err *err);
void leaf_ca_free(struct leaf_ca *ca);

/* The CA's own certificate. Borrowed from `ca`. */
struct span leaf_ca_certificate(const struct leaf_ca *ca);

/* SHA-256 of its DER, lower-case hex with colons not used. */
void leaf_ca_fingerprint(const struct leaf_ca *ca, struct text *out);

/* No leaf lives longer (H5). */
#define LEAF_LIFETIME_MAX_S (7 * 86400)

/* Room that any leaf fits in. */
#define LEAF_DER_MAX 2048

/*
 * Mint a leaf for exactly one canonical host and the P-256 public key in `spki` (DER): serial of
 * 128 random bits, SAN (DNS or IP) only, subject CN when it fits, EKU serverAuth, keyUsage
 * critical digitalSignature, basicConstraints critical CA:FALSE, AKI and SKI, notBefore one hour
 * ago, notAfter `lifetime_s` from now but never after the CA's own end. DER into `out`.
 * `host` is checked again here: the caller may have it from a process that is not trusted.
 * ERR_TARGET, ERR_CERT_INVALID, ERR_LIMIT.
 */
int leaf_mint(struct leaf_ca *ca, const struct host *host, struct span spki, int64_t now_s,
              int64_t lifetime_s, struct text *out, struct err *err);

/* --- worker: its key, and leaves ready to be served --- */

/* The worker's own key pair, made at its start; it signs handshakes, never certificates. */
struct leaf_key;
struct leaf_key *leaf_key_new(struct err *err);
void leaf_key_free(struct leaf_key *key);

/* SubjectPublicKeyInfo, DER. */
int leaf_key_public(const struct leaf_key *key, struct text *out, struct err *err);

/* A minted certificate, parsed once, served by many connections (counted inside). */
struct leaf;
struct leaf *leaf_new(struct span der, const struct leaf_key *key, struct err *err);
void leaf_free(struct leaf *leaf);

/* End of its validity, seconds of the Unix epoch. */
int64_t leaf_expires_s(const struct leaf *leaf);

#endif
