/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong in a TLS connection, in words of ours. */
#include "crypto/tls_verdict.h"

#include <openssl/err.h>

#include "base/text.h"
#include "crypto/library.h"
#include "crypto/tls_verify.h"

/* Reasons from here on are alerts that the peer sent (ssl/record, SSL_AD_REASON_OFFSET). */
#define ALERT_REASON     1000
#define ALERT_REASON_END 1256

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
        return tls_verify_err(verified, err);
    }
    if (first != 0 && ERR_GET_LIB(first) == ERR_LIB_SSL && alert_note(tls, ERR_GET_REASON(first))) {
        ERR_clear_error();
        return err_set(err, ERR_TLS, "%s: the peer sent the alert \"%s\"", what, tls->alert);
    }
    return library_err(err, ERR_TLS, what);
}
