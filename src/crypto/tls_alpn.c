/* SPDX-License-Identifier: Apache-2.0 */
/* Which protocol a TLS connection carries (RFC 7301). Threats H8, B11. */
#include "crypto/tls_alpn.h"

#define ALPN_ALL (TLS_ALPN_H1 | TLS_ALPN_H2)

static const char http2[] = "h2";
static const char http11[] = "http/1.1";
static const char http10[] = "http/1.0"; /* the whole offer of "curl --http1.0" */

/* Who says nothing in ALPN speaks HTTP/1.1: a set without it could not be kept to. */
static unsigned set_check(unsigned set)
{
    ENSURE((set & TLS_ALPN_H1) != 0 && (set & ~(unsigned)ALPN_ALL) == 0);
    return set;
}

void tls_allow_alpn(struct tls *tls, unsigned allowed)
{
    ENSURE(tls->state == TLS_SHAKING && SSL_is_server(tls->ssl));
    tls->alpn = set_check(allowed);
}

int tls_offer_alpn(struct tls *tls, unsigned offered, struct err *err)
{
    static const uint8_t both[] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    struct span wire = span_of(both, sizeof both);

    ENSURE(tls->state == TLS_SHAKING && !SSL_is_server(tls->ssl));
    tls->alpn = set_check(offered);
    if ((offered & TLS_ALPN_H2) == 0)
        wire = span_from(wire, sizeof http2); /* its length byte in place of the NUL */
    if (SSL_set_alpn_protos(tls->ssl, wire.ptr, (unsigned)wire.len) != 0) /* 0 is success */
        return err_set(err, ERR_MEMORY, "no memory for ALPN");
    return 0;
}

static struct span alpn_selected(const struct tls *tls)
{
    const unsigned char *name = NULL;
    unsigned int len = 0;

    SSL_get0_alpn_selected(tls->ssl, &name, &len);
    return span_of(name, len);
}

enum tls_alpn tls_alpn(const struct tls *tls)
{
    return span_equal(alpn_selected(tls), span_text(http2)) ? TLS_ALPN_H2 : TLS_ALPN_H1;
}

int tls_alpn_check(struct tls *tls, struct err *err)
{
    struct span name = alpn_selected(tls);

    if (name.len == 0 || span_equal(name, span_text(http11)))
        return 0;
    if ((tls->alpn & TLS_ALPN_H2) != 0 && span_equal(name, span_text(http2)))
        return 0;
    tls->state = TLS_FAILED;
    return err_set(err, ERR_TLS, "the server chose a protocol that was not offered");
}

/* The name of `protocol` in the client's list (RFC 7301 section 3.1), or an empty span. */
static struct span alpn_find(struct span list, const char *protocol)
{
    while (list.len > 0) {
        size_t len = list.ptr[0];

        if (len > list.len - 1)
            break;
        if (span_equal(span_first(span_from(list, 1), len), span_text(protocol)))
            return span_of(list.ptr + 1, len);
        list = span_from(list, 1 + len);
    }
    return span_of(NULL, 0);
}

/* Only called if the client offers ALPN at all; OpenSSL has checked the shape of `in`. */
int tls_alpn_choose(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                    const unsigned char *in, unsigned int in_len, void *unused)
{
    const struct tls *tls = SSL_get_app_data(ssl);
    struct span offer = span_of(in, in_len);
    struct span chosen = span_of(NULL, 0);

    (void)unused;
    if ((tls->alpn & TLS_ALPN_H2) != 0)
        chosen = alpn_find(offer, http2);
    if (chosen.len == 0)
        chosen = alpn_find(offer, http11);
    if (chosen.len == 0)
        chosen = alpn_find(offer, http10);
    if (chosen.len == 0)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* becomes no_application_protocol */
    *out = chosen.ptr;
    *out_len = (unsigned char)chosen.len;
    return SSL_TLSEXT_ERR_OK;
}
