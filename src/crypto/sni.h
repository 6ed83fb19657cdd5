/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_SNI_H
#define EXEAT_CRYPTO_SNI_H

#include "base/err.h"
#include "base/span.h"

/* What a ClientHello asks for, read before any TLS library sees it (RFC 8446 section 4.1.2). */
struct sni {
    size_t name_len; /* 0: no server_name extension */
    char name[256];  /* as sent, NUL behind it; holds no NUL itself */
    int offers_h2;
    int offers_http11;
    int has_alpn;
};

/*
 * Peek at the first bytes of a TLS connection: the ClientHello may be split over records and
 * reads anywhere. Nothing is consumed. Returns 1 with *sni filled, 0 if more is needed (cheaply
 * while the handshake message is known to be incomplete), -1: ERR_TLS for what is no
 * ClientHello, is longer than LIMIT_CLIENT_HELLO, or has a malformed or doubled server_name.
 */
int sni_peek(struct span in, struct sni *sni, struct err *err);

#endif
