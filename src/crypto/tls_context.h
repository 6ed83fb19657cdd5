/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_TLS_CONTEXT_H
#define EXEAT_CRYPTO_TLS_CONTEXT_H

#include "base/err.h"
#include "base/span.h"
#include "crypto/bundle.h"

/*
 * What connections of one role share: TLS 1.2 and 1.3, AES-128-GCM first, X25519 and P-256, no
 * renegotiation, no compression, no 0-RTT, release-buffers. Made once per process and role, never
 * per host (OpenSSL 3.0 needs 0.2 ms for each).
 */
struct tls_context;

/* Towards the client inside a tunnel: the leaf is given per connection, and what ALPN may choose
 * (tls_allow_alpn). No tickets at first. */
struct tls_context *tls_context_new_inspect(struct err *err);

/*
 * Let connections of an inspect context give tickets (tls_allow_ticket). The keys exist here only;
 * they are to be changed each TLS_TICKET_S. A ticket is good for so long, or until the second
 * change, whichever is first. Once for a context. ERR_MEMORY, ERR_SYSTEM.
 */
#define TLS_TICKET_S 3600
int tls_context_add_tickets(struct tls_context *context, struct err *err);

/* The change: new keys for new tickets, those before them for what is out. ERR_SYSTEM. */
int tls_context_rotate_tickets(struct tls_context *context, struct err *err);

/*
 * A listener with a certificate chain (PEM), leaf first. Its private key stays elsewhere: `sign`
 * (copied) is asked for a signature over what the handshake needs signed. `key_pem` may be given
 * instead for tests and for the relay's peers; exactly one of the two. ALPN is for HTTP/1.
 */
struct tls_sign {
    /*
     * Sign `digest` with the key of the chain's first certificate; returns the length of the
     * signature or -1 with *err filled. Blocks. What the two are depends on the key's kind:
     *   EC:  `digest` is the hash itself, 32 to 64 bytes; the signature is an ECDSA-Sig-Value in
     *        DER (RFC 3279 section 2.2.3).
     *   RSA: `digest` is the block already padded (EMSA-PKCS1-v1_5 or EMSA-PSS, RFC 8017 section
     *        9), exactly as long as the modulus; the signature is the private operation on it, of
     *        the same length.
     * crypto/sign.h is the other half, for the process that has the key.
     */
    ssize_t (*sign)(void *owner, struct span digest, struct room signature, struct err *err);
    void *owner;
};
struct tls_context *tls_context_new_listener(struct span chain_pem, struct span key_pem,
                                             const struct tls_sign *sign, struct err *err);

/*
 * Towards a server that is verified against `roots` (taken by reference count, may be freed after).
 * `alpn` is what connections offer if tls_offer_alpn() says nothing else: one protocol
 * ("http/1.1") or NULL. A server that chooses another is refused. Without resumption: every
 * connection is verified in full. Here P-384 is offered too, last.
 */
struct tls_context *tls_context_new_client(const struct bundle_roots *roots, const char *alpn,
                                           struct err *err);

/* Let connections of a client context take part in resumption (crypto/tls_session.h). */
void tls_context_allow_resumption(struct tls_context *context);

/* After the last of its connections. */
void tls_context_free(struct tls_context *context);

#endif
