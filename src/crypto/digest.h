/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_DIGEST_H
#define EXEAT_CRYPTO_DIGEST_H

#include "base/err.h"
#include "base/span.h"

#define DIGEST_SHA1   20
#define DIGEST_SHA256 32

/* Fetches the algorithms once. Call it before anything else of this folder. */
int digest_setup(struct err *err);

void digest_sha1(struct span bytes, uint8_t out[DIGEST_SHA1]);
void digest_sha256(struct span bytes, uint8_t out[DIGEST_SHA256]);

/* SHA-256 of several spans, one after the other. */
void digest_sha256_parts(const struct span *parts, size_t count, uint8_t out[DIGEST_SHA256]);

/* Unpredictable bytes. ERR_SYSTEM. */
int digest_random(struct room out, struct err *err);

#endif
