/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_TLS_ALPN_H
#define EXEAT_CRYPTO_TLS_ALPN_H

#include <openssl/ssl.h>

#include "base/err.h"
#include "crypto/tls.h"

/* Private to crypto/: what is behind tls_allow_alpn(), tls_offer_alpn() and tls_alpn(). */

/* A server's choice, for SSL_CTX_set_alpn_select_cb(). */
int tls_alpn_choose(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                    const unsigned char *in, unsigned int in_len, void *unused);

/* A server may choose nothing, or what was offered; OpenSSL 3.0 does not check that (H8). */
int tls_alpn_check(struct tls *tls, struct err *err);

#endif
