/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_BUNDLE_H
#define EXEAT_CRYPTO_BUNDLE_H

#include "base/err.h"
#include "base/span.h"
#include "base/text.h"

/* PEM certificate bundles. */

/*
 * The gateway's CA as it came from the network: PEM with at least one certificate, every one of
 * them a valid CA certificate (basicConstraints CA, not expired at `now_s`), nothing but
 * CERTIFICATE blocks. Returns the count; ERR_CERT_INVALID.
 */
int bundle_check_ca(struct span pem, int64_t now_s, struct err *err);

/*
 * Append the CERTIFICATE blocks of `pem` to `out`, re-encoded, without comments, keys or
 * duplicates of what this call added before. Returns how many; 0 is no error. ERR_LIMIT.
 */
int bundle_add(struct text *out, struct span pem, struct err *err);

/*
 * Trusted roots for verifying peers, from PEM. Owned by the caller. NULL: ERR_CERT_INVALID if
 * there is no certificate in it (an empty store is never used: threat H2).
 */
struct bundle_roots;
struct bundle_roots *bundle_roots_new(struct span pem, struct err *err);
void bundle_roots_free(struct bundle_roots *roots);

#endif
