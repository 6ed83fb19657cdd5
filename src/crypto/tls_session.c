/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resuming towards a server. A session is kept as bytes, not as OpenSSL's object, which would keep
 * every certificate of its chain with it: ten times the memory, and of no known size.
 */
#include "crypto/tls_session.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "crypto/library.h"

int64_t tls_session_verified_until(const struct tls *tls)
{
    const STACK_OF(X509) *chain = SSL_get0_verified_chain(tls->ssl);
    int64_t until_s = SSL_SESSION_get_time(SSL_get0_session(tls->ssl)) + TLS_SESSION_S;

    for (int i = 0; i < sk_X509_num(chain); i++) {
        int64_t ends_s = library_time(X509_get0_notAfter(sk_X509_value(chain, i)));

        if (ends_s < until_s)
            until_s = ends_s;
    }
    return until_s;
}

int tls_session_take(struct tls *tls, struct tls_session *session)
{
    SSL_SESSION *now = tls->ssl == NULL ? NULL : SSL_get0_session(tls->ssl);
    unsigned char *at = session->bytes;
    int len;

    if (now == NULL || !tls->verifies || (tls->state != TLS_OPEN && tls->state != TLS_ENDED))
        return 0;
    if (now == tls->session || SSL_SESSION_is_resumable(now) != 1)
        return 0;
    tls->session = now;
    len = i2d_SSL_SESSION(now, NULL);
    if (len <= 0 || len > TLS_SESSION_MAX || i2d_SSL_SESSION(now, &at) != len)
        return 0;
    session->context = SSL_get_SSL_CTX(tls->ssl);
    session->until_s = tls->verified_until_s;
    session->is_single = SSL_version(tls->ssl) >= TLS1_3_VERSION;
    memcpy(session->peer, tls->peer, sizeof session->peer);
    session->len = (size_t)len;
    return 1;
}

int tls_session_give(struct tls *tls, const struct tls_session *session, int64_t now_s)
{
    const unsigned char *at = session->bytes;
    SSL_SESSION *given;
    int taken;

    ENSURE(tls->state == TLS_SHAKING && tls->verifies);
    if (session->len == 0 || now_s >= session->until_s ||
        session->context != SSL_get_SSL_CTX(tls->ssl) ||
        memcmp(session->peer, tls->peer, sizeof session->peer) != 0)
        return 0;
    given = d2i_SSL_SESSION(NULL, &at, (long)session->len);
    taken = given != NULL && SSL_SESSION_is_resumable(given) == 1 &&
            SSL_set_session(tls->ssl, given) == 1;
    ERR_clear_error();
    if (taken) {
        tls->verified_until_s = session->until_s;
        tls->session = session->is_single ? SSL_get0_session(tls->ssl) : NULL;
    }
    SSL_SESSION_free(given); /* the connection has its own reference */
    return taken;
}

void tls_session_wipe(struct tls_session *session)
{
    explicit_bzero(session, sizeof *session);
}

int tls_is_resumed(const struct tls *tls)
{
    return tls->ssl != NULL && SSL_session_reused(tls->ssl);
}
