/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_PKI_H
#define EXEAT_TESTS_PKI_H

/* Certificates of every kind for tests, good and bad. */
#include <openssl/x509.h>

#include "base/span.h"

struct pki {
    X509 *x;
    EVP_PKEY *pkey;
};

enum pki_kind { PKI_EC, PKI_RSA, PKI_RSA_1024 };

struct pki_ask {
    const char *cn;
    const char *san; /* as in openssl.cnf, or NULL */
    const char *eku; /* or NULL */
    enum pki_kind kind;
    int is_ca;
    int days;       /* until its end, from now; 0 is 10 */
    int start_days; /* from now; 0 is yesterday */
};

/* Signed by `issuer`, or by itself if that is NULL. Aborts if it cannot be made. */
void pki_make(struct pki *pki, const struct pki_ask *ask, const struct pki *issuer);
void pki_fini(struct pki *pki);

/* PEM in static memory, good until the next call but three. */
struct span pki_certificate(const struct pki *pki);
struct span pki_key(const struct pki *pki);

/* The result of verifying `der` for `host` under `root` at `at_s` with X509_V_FLAG_X509_STRICT. */
int pki_verify_strict(struct span der, const char *host, const char *ip, struct span root_pem,
                      int64_t at_s);

#endif
