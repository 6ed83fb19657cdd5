/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_TLS_VERIFY_H
#define EXEAT_CRYPTO_TLS_VERIFY_H

#include <openssl/ssl.h>

#include "base/err.h"
#include "http/target.h"

/* Private to crypto/: the one place that decides whether a server's chain is good (threat H1). */

/* No SHA-1 signatures, no keys of less than 112 bits of strength (RSA under 2048). */
#define TLS_SECURITY_LEVEL 2

/* The name that the peer must prove. 1, or 0 if OpenSSL does not take it. */
int tls_verify_expect(X509_VERIFY_PARAM *param, const struct host *host);

/* For SSL_CTX_set_cert_verify_callback(): 1 or 0, and the store context's error. */
int tls_verify_run(X509_STORE_CTX *ctx, void *unused);

/* A result of it in our codes and words. Returns -1. */
int tls_verify_err(long result, struct err *err);

#endif
