/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_TLS_TICKET_H
#define EXEAT_CRYPTO_TLS_TICKET_H

#include <openssl/ssl.h>

#include "base/err.h"

/* Private to crypto/: the keys that a server's session tickets are sealed with (RFC 5077). */
struct tls_tickets;

/* The keys of `ssl`, made now and used for its tickets. ERR_MEMORY, ERR_SYSTEM. */
struct tls_tickets *tls_tickets_new(SSL_CTX *ssl, struct err *err);

/* Wiped. NULL is ignored. */
void tls_tickets_free(struct tls_tickets *tickets);

/* New keys for new tickets; those of the last time open old ones until the next call. */
int tls_tickets_rotate(struct tls_tickets *tickets, struct err *err);

#endif
