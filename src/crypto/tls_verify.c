/* SPDX-License-Identifier: Apache-2.0 */
/* What a server must prove, by its chain and its name. Threat H1. */
#include "crypto/tls_verify.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/pool.h"
#include "crypto/library.h"
#include "crypto/tls.h"

/* SAN only, never the CN, '*' for one whole label only (H1). */
int tls_verify_expect(X509_VERIFY_PARAM *param, const struct host *host)
{
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (host->kind != HOST_NAME)
        return X509_VERIFY_PARAM_set1_ip_asc(param, host->name);
    return X509_VERIFY_PARAM_set1_host(param, host->name, host->len);
}

/* A key that no handshake of ours can be signed with is refused here, in words, not there. */
static int key_check(X509 *leaf)
{
    const EVP_PKEY *pkey = X509_get0_pubkey(leaf);

    switch (pkey == NULL ? EVP_PKEY_NONE : EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS:
    case EVP_PKEY_EC:
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
        return 1;
    default:
        return 0;
    }
}

int tls_verify_run(X509_STORE_CTX *ctx, void *unused)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

    (void)unused;
    X509_VERIFY_PARAM_set_auth_level(param, TLS_SECURITY_LEVEL);
    if (X509_STORE_CTX_set_default(ctx, "ssl_server") != 1) {
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_UNSPECIFIED);
        return 0;
    }
    if (X509_verify_cert(ctx) != 1) {
        if (X509_STORE_CTX_get_error(ctx) == X509_V_OK)
            X509_STORE_CTX_set_error(ctx, X509_V_ERR_UNSPECIFIED);
        return 0;
    }
    if (!key_check(X509_STORE_CTX_get0_cert(ctx))) {
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    return 1;
}

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

int tls_verify_err(long result, struct err *err)
{
    return err_set(err, verify_code(result), "certificate: %s",
                   X509_verify_cert_error_string(result));
}

/* --- a chain without a connection --- */

/* What TLS 1.3 says it with: a Certificate message (RFC 8446 section 4.4.2). */
#define MESSAGE_HEAD 4
#define ENTRY_HEAD   5

static int chain_add(STACK_OF(X509) * chain, const struct pem_block *block, size_t *message_len,
                     struct err *err)
{
    X509 *x;
    int len;

    if (!span_equal(block->label, span_text("CERTIFICATE")))
        return err_set(err, ERR_CERT_INVALID, "the chain holds more than certificates");
    x = library_read_block(block, err);
    if (x == NULL)
        return -1;
    len = i2d_X509(x, NULL);
    if (len <= 0 || sk_X509_push(chain, x) == 0) {
        X509_free(x);
        return library_err(err, ERR_MEMORY, "no memory for the chain");
    }
    *message_len += ENTRY_HEAD + (size_t)len;
    return 0;
}

static STACK_OF(X509) * chain_read(struct span pem, long most, struct err *err)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    struct pem_block block;
    size_t message_len = MESSAGE_HEAD;
    int more = chain == NULL ? err_set(err, ERR_MEMORY, "no memory for the chain") : 0;

    while (chain != NULL && (more = pem_next(&pem, &block, err)) > 0) {
        more = chain_add(chain, &block, &message_len, err);
        if (more == 0 && message_len > (size_t)most)
            more = err_set(err, ERR_TLS, "the chain is larger than %ld bytes", most);
        if (more < 0)
            break;
    }
    if (more == 0 && sk_X509_num(chain) == 0)
        more = err_set(err, ERR_CERT_INVALID, "no certificate");
    if (more == 0)
        return chain;
    sk_X509_pop_free(chain, X509_free);
    return NULL;
}

int tls_verify_chain(struct tls_context *client, const struct host *host, struct span pem,
                     struct err *err)
{
    STACK_OF(X509) *chain = chain_read(pem, SSL_CTX_get_max_cert_list(client->ssl), err);
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    struct tls tls = {0};
    int result = -1;

    if (chain == NULL || tls_init_client(&tls, client, host, err) < 0)
        goto done;
    if (ctx == NULL ||
        X509_STORE_CTX_init(ctx, SSL_CTX_get_cert_store(client->ssl), sk_X509_value(chain, 0),
                            chain) != 1 ||
        X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(ctx), SSL_get0_param(tls.ssl)) != 1)
        (void)library_err(err, ERR_MEMORY, "no memory for a verification");
    else if (tls_verify_run(ctx, NULL) == 1)
        result = 0;
    else
        (void)tls_verify_err(X509_STORE_CTX_get_error(ctx), err);
done:
    ERR_clear_error();
    X509_STORE_CTX_free(ctx);
    tls_fini(&tls);
    sk_X509_pop_free(chain, X509_free);
    return result;
}
