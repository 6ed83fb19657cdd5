/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_PEM_H
#define EXEAT_CRYPTO_PEM_H

#include "base/err.h"
#include "base/span.h"
#include "base/text.h"

/* Textual encodings of keys and certificates (RFC 7468). */
struct pem_block {
    struct span before; /* what stands between the block before and this one */
    struct span label;  /* "CERTIFICATE" */
    struct span body;   /* base 64 with line ends, nothing checked */
};

/*
 * Take the next block off *rest. 1; 0 if there is no more, then *rest is what follows the last
 * one; -1 if a block begins and does not end: ERR_CERT_INVALID.
 */
int pem_next(struct span *rest, struct pem_block *block, struct err *err);

/* A certificate in any of the labels in use, without a key or request. */
bool pem_is_certificate(const struct pem_block *block);

/*
 * Decode a body into memory from pool_block_new(), which the caller gives back: the bytes are
 * *der. NULL: ERR_CERT_INVALID, ERR_MEMORY.
 */
uint8_t *pem_decode_new(const struct pem_block *block, struct span *der, struct err *err);

/* A CERTIFICATE block with lines of 64 characters. */
void pem_add_certificate(struct text *out, struct span der);

#endif
