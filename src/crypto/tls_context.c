/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of each role. Threats H2, H7, H8, H10, B11. */
#include "crypto/tls_context.h"

#include <openssl/err.h>

#include "base/limits.h"
#include "base/pool.h"
#include "crypto/digest.h"
#include "crypto/library.h"
#include "crypto/tls_alpn.h"
#include "crypto/tls_remote.h"
#include "crypto/tls_verify.h"

#define CHAIN_DEPTH 10

static int settings_apply(SSL_CTX *ssl)
{
    SSL_CTX_set_security_level(ssl, TLS_SECURITY_LEVEL);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(ssl, LIMIT_CHAIN);
    SSL_CTX_set_verify_depth(ssl, CHAIN_DEPTH);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
                   SSL_CTX_set_max_early_data(ssl, 0) == 1 &&
                   SSL_CTX_set_num_tickets(ssl, 0) == 1 &&
                   SSL_CTX_set_ciphersuites(ssl, "TLS_AES_128_GCM_SHA256:"
                                                 "TLS_CHACHA20_POLY1305_SHA256:"
                                                 "TLS_AES_256_GCM_SHA384") == 1 &&
                   SSL_CTX_set_cipher_list(ssl, "ECDHE+AES128+AESGCM:ECDHE+CHACHA20:"
                                                "ECDHE+AES256+AESGCM") == 1 &&
                   SSL_CTX_set1_groups_list(ssl, "X25519:P-256") == 1
               ? 0
               : -1;
}

static struct tls_context *context_new(const SSL_METHOD *method, struct err *err)
{
    struct tls_context *context;

    if (digest_setup(err) < 0)
        return NULL;
    context = pool_block_new(sizeof *context);
    if (context != NULL)
        context->ssl = SSL_CTX_new(method);
    if (context == NULL || context->ssl == NULL) {
        (void)library_err(err, ERR_MEMORY, "no TLS context");
        tls_context_free(context);
        return NULL;
    }
    if (settings_apply(context->ssl) < 0) {
        (void)library_err(err, ERR_UNSUPPORTED, "TLS settings refused by OpenSSL");
        tls_context_free(context);
        return NULL;
    }
    return context;
}

void tls_context_free(struct tls_context *context)
{
    if (context == NULL)
        return;
    SSL_CTX_free(context->ssl);
    tls_tickets_free(context->tickets);
    pool_block_free(context);
}

struct tls_context *tls_context_new_inspect(struct err *err)
{
    struct tls_context *context = context_new(TLS_server_method(), err);

    if (context == NULL)
        return NULL;
    context->role = TLS_ROLE_INSPECT;
    SSL_CTX_set_alpn_select_cb(context->ssl, tls_alpn_choose, NULL);
    return context;
}

int tls_context_add_tickets(struct tls_context *context, struct err *err)
{
    ENSURE(context->role == TLS_ROLE_INSPECT && context->tickets == NULL);
    context->tickets = tls_tickets_new(context->ssl, err);
    return context->tickets == NULL ? -1 : 0;
}

int tls_context_rotate_tickets(struct tls_context *context, struct err *err)
{
    ENSURE(context->tickets != NULL);
    return tls_tickets_rotate(context->tickets, err);
}

/* The first certificate is the listener's own, the others follow it in the handshake. */
static int chain_load(SSL_CTX *ssl, struct span pem, struct err *err)
{
    struct pem_block block;
    int count = 0;
    int more;

    while ((more = pem_next(&pem, &block, err)) > 0) {
        X509 *x;
        int ok;

        if (!pem_is_certificate(&block))
            return err_set(err, ERR_CERT_INVALID, "the chain holds more than certificates");
        x = library_read_block(&block, err);
        if (x == NULL)
            return -1;
        ok = count == 0 ? SSL_CTX_use_certificate(ssl, x) : (int)SSL_CTX_add1_chain_cert(ssl, x);
        X509_free(x);
        if (ok != 1)
            return library_err(err, ERR_CERT_INVALID, "the listener's chain");
        count++;
    }
    if (more == 0 && count == 0)
        return err_set(err, ERR_CERT_INVALID, "the listener's chain is empty");
    return more;
}

struct tls_context *tls_context_new_listener(struct span chain_pem, struct span key_pem,
                                             const struct tls_sign *sign, struct err *err)
{
    struct tls_context *context;
    EVP_PKEY *pkey;

    ENSURE((key_pem.len > 0) != (sign != NULL));
    context = context_new(TLS_server_method(), err);
    if (context == NULL)
        return NULL;
    context->role = TLS_ROLE_LISTENER;
    SSL_CTX_set_alpn_select_cb(context->ssl, tls_alpn_choose, NULL);
    if (chain_load(context->ssl, chain_pem, err) < 0)
        goto fail;
    if (sign != NULL) {
        context->sign = *sign;
        pkey = tls_remote_key(SSL_CTX_get0_certificate(context->ssl), &context->sign, err);
    } else {
        pkey = library_read_key(key_pem, err);
    }
    if (pkey == NULL)
        goto fail;
    if (SSL_CTX_use_PrivateKey(context->ssl, pkey) != 1) {
        EVP_PKEY_free(pkey);
        (void)library_err(err, ERR_CERT_INVALID, "the key is not the certificate's");
        goto fail;
    }
    EVP_PKEY_free(pkey);
    return context;
fail:
    tls_context_free(context);
    return NULL;
}

/* One name with its length before it (RFC 7301 section 3.1). */
static int alpn_offer(SSL_CTX *ssl, const char *alpn)
{
    uint8_t wire[256];
    size_t len = strlen(alpn);

    ENSURE(len > 0 && len < sizeof wire);
    wire[0] = (uint8_t)len;
    memcpy(wire + 1, alpn, len);
    return SSL_CTX_set_alpn_protos(ssl, wire, (unsigned)len + 1); /* 0 is success */
}

struct tls_context *tls_context_new_client(const struct bundle_roots *roots, const char *alpn,
                                           struct err *err)
{
    struct tls_context *context;

    ENSURE(roots != NULL);
    context = context_new(TLS_client_method(), err);
    if (context == NULL)
        return NULL;
    context->role = TLS_ROLE_CLIENT;
    SSL_CTX_set1_cert_store(context->ssl, roots->store);
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context->ssl, tls_verify_run, NULL);
    /* Some origins have no other curve than P-384; it is never the first choice. */
    if (SSL_CTX_set1_groups_list(context->ssl, "X25519:P-256:P-384") != 1 ||
        (alpn != NULL && alpn_offer(context->ssl, alpn) != 0)) {
        (void)library_err(err, ERR_MEMORY, "no TLS context");
        tls_context_free(context);
        return NULL;
    }
    return context;
}

void tls_context_allow_resumption(struct tls_context *context)
{
    ENSURE(context->role == TLS_ROLE_CLIENT);
    (void)SSL_CTX_clear_options(context->ssl, SSL_OP_NO_TICKET);
}
