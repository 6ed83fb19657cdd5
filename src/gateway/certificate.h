/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_CERTIFICATE_H
#define EXEAT_GATEWAY_CERTIFICATE_H

#include "base/err.h"
#include "base/span.h"

/* What `ca show` tells of a certificate of ours, without any key. */
struct certificate {
    char subject[80];     /* common name; printable */
    char fingerprint[65]; /* SHA-256 of its DER, lower-case hex */
    char not_before[24];  /* RFC 3339, UTC */
    char not_after[24];
};

/* The first certificate in `pem`. ERR_CERT_INVALID. */
int certificate_read(struct span pem, struct certificate *certificate, struct err *err);

#endif
