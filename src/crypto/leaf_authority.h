/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_LEAF_AUTHORITY_H
#define EXEAT_CRYPTO_LEAF_AUTHORITY_H

#include <openssl/ec.h>
#include <openssl/evp.h>

#include "crypto/digest.h"
#include "crypto/leaf.h"

/* What minting needs of the CA, prepared once. Private to the leaf_*.c of this folder. */

#define LEAF_SKEW_S      3600 /* clocks of clients run behind: valid from an hour ago (H6) */
#define LEAF_SUBJECT_MAX 512
#define LEAF_POINT       65 /* an uncompressed P-256 point */

struct leaf_ca {
    EVP_PKEY *pkey;     /* owned */
    EVP_PKEY_CTX *sign; /* owned: ready to sign with pkey */
    EC_GROUP *group;    /* owned: to check the points of workers */
    EC_POINT *point;    /* owned: scratch */
    int64_t ends_s;
    struct span certificate; /* owned: PEM */
    uint8_t fingerprint[DIGEST_SHA256];
    uint8_t key_id[64]; /* the CA's own SKI: every leaf's AKI */
    size_t key_id_len;
    uint8_t subject[LEAF_SUBJECT_MAX]; /* DER of its name: every leaf's issuer */
    size_t subject_len;
};

#endif
