/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong in a TLS connection, in words of ours. */
#include "crypto/tls_verdict.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/text.h"
#include "crypto/library.h"

/* Reasons from here on are alerts that the peer sent (ssl/record, SSL_AD_REASON_OFFSET). */
#define ALERT_REASON     1000
#define ALERT_REASON_END 1256

static enum err_code verify_code(long result)
{
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return ERR_CERT_EXPIRED;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return ERR_CERT_NAME;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_REJECTED:
        return ERR_CERT_UNTRUSTED;
    default:
        return ERR_CERT_INVALID;
    }
}

/* The words of the alert behind `reason`, lower case, into tls->alert. 0 if it is none. */
static int alert_note(struct tls *tls, int reason)
{
    struct text text;

    if (reason < ALERT_REASON || reason >= ALERT_REASON_END)
        return 0;
    text_init(&text, tls->alert, sizeof tls->alert);
    text_add_lower(&text, span_text(SSL_alert_desc_string_long(reason - ALERT_REASON)));
    (void)text_str(&text);
    return 1;
}

int tls_verdict(struct tls *tls, const char *what, struct err *err)
{
    long verified = tls->verifies ? SSL_get_verify_result(tls->ssl) : X509_V_OK;
    unsigned long first = ERR_peek_error();

    if (verified != X509_V_OK) {
        ERR_clear_error();
        return err_set(err, verify_code(verified), "certificate: %s",
                       X509_verify_cert_error_string(verified));
    }
    if (first != 0 && ERR_GET_LIB(first) == ERR_LIB_SSL && alert_note(tls, ERR_GET_REASON(first))) {
        ERR_clear_error();
        return err_set(err, ERR_TLS, "%s: the peer sent the alert \"%s\"", what, tls->alert);
    }
    return library_err(err, ERR_TLS, what);
}
