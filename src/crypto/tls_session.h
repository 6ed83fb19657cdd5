/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_TLS_SESSION_H
#define EXEAT_CRYPTO_TLS_SESSION_H

#include "crypto/tls.h"

/*
 * What a client keeps of a connection so that the next one to the same server needs no certificate
 * (RFC 8446 section 2.2). It is as good as the verification that it stands for: same context, so
 * the same roots; same host; and until an hour after a chain was last verified in full, or until a
 * certificate of that chain ends, whichever is first, however often it was renewed since.
 */
#define TLS_SESSION_MAX 4096
#define TLS_SESSION_S   3600

/* In the caller's memory; holds keys: tls_session_wipe() at its end. */
struct tls_session {
    const void *context;         /* private: identity of the context it came from */
    int64_t until_s;             /* of the Unix epoch: not to be given after */
    int is_single;               /* TLS 1.3: good for one connection (RFC 8446 appendix C.4) */
    uint8_t peer[DIGEST_SHA256]; /* private: the host that was verified */
    size_t len;
    uint8_t bytes[TLS_SESSION_MAX];
};

/*
 * 1: the server of this client connection has given something to resume with that was not taken
 * before. 0: not (yet; TLS 1.3 servers send it after the handshake, so ask again later), or it is
 * larger than TLS_SESSION_MAX. Only while TLS_OPEN or TLS_ENDED: what failed is not resumed.
 */
int tls_session_take(struct tls *tls, struct tls_session *session);

/*
 * Try to resume with it; a server that does not want to makes a full handshake of it, which is
 * verified as any other. Before the first tls_feed() and after tls_offer_alpn(). 0 if it is too
 * old, or not of this context and host: then nothing is changed. It never carries early data.
 */
int tls_session_give(struct tls *tls, const struct tls_session *session, int64_t now_s);

void tls_session_wipe(struct tls_session *session);

/* Whether this connection, once TLS_OPEN, is a resumed one. Of servers too. */
int tls_is_resumed(const struct tls *tls);

/* Private to crypto/: until when the full handshake just done is worth something. */
int64_t tls_session_verified_until(const struct tls *tls);

#endif
