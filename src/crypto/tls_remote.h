/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_TLS_REMOTE_H
#define EXEAT_CRYPTO_TLS_REMOTE_H

#include <openssl/x509.h>

#include "base/err.h"
#include "crypto/tls_context.h"

/*
 * A private key that is somewhere else: the public half of `certificate`, every private operation
 * asked of `sign`, which must outlive the key. RSA and EC. NULL: ERR_CERT_INVALID, ERR_MEMORY.
 */
EVP_PKEY *tls_remote_key(X509 *certificate, const struct tls_sign *sign, struct err *err);

#endif
