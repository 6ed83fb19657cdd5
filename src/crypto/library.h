/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_LIBRARY_H
#define EXEAT_CRYPTO_LIBRARY_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "base/span.h"
#include "crypto/leaf.h"
#include "crypto/pem.h"
#include "crypto/tls_context.h"
#include "crypto/tls_ticket.h"

/* What the opaque structs of this folder hold. Never included outside of crypto/. */

struct bundle_roots {
    X509_STORE *store; /* owned */
};

struct leaf_key {
    EVP_PKEY *pkey; /* owned */
};

struct leaf {
    X509 *certificate; /* owned: one reference */
    EVP_PKEY *pkey;    /* owned: one reference */
    int64_t expires_s;
};

struct tls_context {
    SSL_CTX *ssl; /* owned */
    enum { TLS_ROLE_INSPECT, TLS_ROLE_LISTENER, TLS_ROLE_CLIENT } role;
    struct tls_tickets *tickets; /* owned; NULL: none are given */
    struct tls_sign sign;        /* where a listener's key is, if not here */
};

/* Fill *err with `what` and the first reason OpenSSL has queued; empties the queue. Returns -1. */
int library_err(struct err *err, enum err_code code, const char *what);

/* One certificate from exactly `der`; NULL with ERR_CERT_INVALID. Owned by the caller. */
X509 *library_read_certificate(struct span der, struct err *err);

/* The same from a PEM block, whatever its label. */
X509 *library_read_block(const struct pem_block *block, struct err *err);

/* A private key without passphrase from PEM; NULL with ERR_CERT_INVALID. Owned by the caller. */
EVP_PKEY *library_read_key(struct span pem, struct err *err);

/* Seconds of the Unix epoch. */
int64_t library_time(const ASN1_TIME *time);

#endif
