/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_TLS_H
#define EXEAT_CRYPTO_TLS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "crypto/digest.h"
#include "crypto/leaf.h"
#include "crypto/tls_context.h"
#include "http/target.h"

/*
 * One TLS connection over memory of the caller: ciphertext in as a span, ciphertext out into a
 * queue. No I/O, no copy besides the library's own record buffer (own BIO_METHOD).
 */

enum tls_state {
    TLS_SHAKING,
    TLS_OPEN,
    TLS_ENDED,  /* the peer sent close_notify: a clean end */
    TLS_FAILED, /* after any error */
};

/* What a connection carries, by ALPN; one or a set of them. */
enum tls_alpn {
    TLS_ALPN_H1 = 1,
    TLS_ALPN_H2 = 2,
};

struct tls {
    void *ssl; /* owned, private */
    enum tls_state state;
    struct span in;     /* private: what the library may read now */
    struct buf *sealed; /* private: where it may write now */
    unsigned alpn;      /* private: a set of enum tls_alpn, allowed or offered */
    int verifies;       /* private: a client that checks the peer; what for: */
    uint8_t peer[DIGEST_SHA256];
    int64_t verified_until_s; /* private: crypto/tls_session.h */
    const void *session;      /* private: the last one taken or given */
    int starved;              /* private: the queue's pool had no block left */
    char alert[48];           /* words of a fatal alert the peer sent, or empty */
};

/* Towards a client; `leaf` NULL for a listener's context, else it may be freed after.
 * ERR_MEMORY, ERR_TLS. */
int tls_init_server(struct tls *tls, struct tls_context *context, struct leaf *leaf,
                    struct err *err);

/* Towards a server whose certificate must be valid for `host` (SNI unless it is an address). */
int tls_init_client(struct tls *tls, struct tls_context *context, const struct host *host,
                    struct err *err);

/*
 * What such a connection would say of the chain in `pem`, without one: its first certificate is
 * the server's, the others may be needed and stand in any order. 0, or -1 with the error of
 * tls_feed(); no more than CERTIFICATE blocks may be in it.
 */
int tls_verify_chain(struct tls_context *client, const struct host *host, struct span pem,
                     struct err *err);

/* `tls` stays where it is until tls_fini(); `context` outlives it. */

/*
 * The protocols that a server takes, a set of enum tls_alpn which has TLS_ALPN_H1 in it; that
 * alone if this is not called. Of what the client offers "h2" is chosen if it is allowed, else
 * "http/1.1", else "http/1.0"; nothing of these ends in the alert no_application_protocol.
 * Before the first tls_feed().
 */
void tls_allow_alpn(struct tls *tls, unsigned allowed);

/*
 * The same for a client: what it offers, in place of what its context says. A server that chooses
 * anything else is refused. Before the first tls_feed(). ERR_MEMORY.
 */
int tls_offer_alpn(struct tls *tls, unsigned offered, struct err *err);

/*
 * Give this client a ticket, if the server's context has keys for any: it resumes with it in later
 * connections of the same owner to the same host, and nowhere else. `owner` has no NUL in it.
 * Before the first tls_feed(). ERR_TLS.
 */
int tls_allow_ticket(struct tls *tls, struct span owner, const struct host *host, struct err *err);

/* What was negotiated, once TLS_OPEN: TLS_ALPN_H1 also if nothing was said. */
enum tls_alpn tls_alpn(const struct tls *tls);

/* Safe on a zeroed struct and twice. */
void tls_fini(struct tls *tls);

/*
 * The most that one plaintext byte run can become: room that `sealed` needs for tls_send() to take
 * anything. A full record is TLS_RECORD plaintext bytes.
 */
#define TLS_RECORD     16384
#define TLS_RECORD_MAX (TLS_RECORD + 256)

/*
 * Ciphertext in: shakes hands, then decrypts into `plain` as long as there is room. *used may be
 * less than in.len when `plain` is full: offer the rest again. Handshake bytes and alerts go to
 * `sealed`. While TLS_SHAKING that needs TLS_RECORD_MAX of room, else nothing is taken: call again
 * when it has drained, with an empty `in` too. Once open no room is needed, so that both
 * directions never wait for each other. A client's first flight is made by a call with an empty
 * `in`.
 * 0, or -1: ERR_TLS; a client that verifies also ERR_CERT_UNTRUSTED, ERR_CERT_EXPIRED,
 * ERR_CERT_NAME, ERR_CERT_INVALID; ERR_MEMORY if a pool is at its limit. `sealed` may then hold an
 * alert worth sending. What follows a close_notify is taken and dropped. That the bytes ended
 * without one (truncation, H10) only the caller can see: its end of file before TLS_ENDED.
 */
int tls_feed(struct tls *tls, struct span in, size_t *used, struct buf *plain, struct buf *sealed,
             struct err *err);

/*
 * 1 if plaintext already opened waits for room in `plain`: a record of which only a part fitted.
 * Then tls_feed() is worth a call with an empty `in` as soon as there is room.
 */
int tls_has_pending(const struct tls *tls);

/*
 * Encrypt: takes as many plaintext bytes as `sealed` has room for, in full records as far as
 * possible; a short run needs its length + 256 bytes of room. *used may be 0, and is before
 * TLS_OPEN. In TLS_ENDED the other direction can still be used.
 */
int tls_send(struct tls *tls, struct span plain, size_t *used, struct buf *sealed, struct err *err);

/* close_notify into `sealed` if there is room. */
void tls_send_close(struct tls *tls, struct buf *sealed);

/* A fatal alert by its number (RFC 8446 section 6) for a connection that has not begun: raw
 * record bytes, for refusing a ClientHello that was only peeked at. */
int tls_write_alert(struct buf *sealed, uint8_t description, struct err *err);
#define TLS_ALERT_HANDSHAKE_FAILURE 40
#define TLS_ALERT_INTERNAL_ERROR    80
#define TLS_ALERT_UNRECOGNIZED_NAME 112

/* "TLSv1.3" and so on; static. */
const char *tls_version(const struct tls *tls);

#endif
