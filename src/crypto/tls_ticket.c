/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session tickets towards clients (threat H7): sealed by keys that exist in this process only and
 * live for two periods of rotation, good for one owner and host. What a ticket is bound to lies in
 * it, under the seal, as OpenSSL's session id context; a ticket that was given to another is not
 * an error but a full handshake.
 */
#include "crypto/tls_ticket.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "base/pool.h"
#include "crypto/digest.h"
#include "crypto/library.h"
#include "crypto/tls.h"

#define KEY_NAME    16
#define TICKET_SEAL 32 /* AES-256 */
#define TICKET_MAC  32 /* HMAC-SHA-256 */

struct ticket_key {
    uint8_t name[KEY_NAME];
    uint8_t seal[TICKET_SEAL];
    uint8_t mac[TICKET_MAC];
};

struct tls_tickets {
    EVP_CIPHER *cipher; /* owned */
    struct ticket_key now;
    struct ticket_key before;
    int has_before;
};

static int key_set(const struct tls_tickets *tickets, const struct ticket_key *key,
                   const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac,
                                          sizeof key->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_CipherInit_ex2(cipher, tickets->cipher, key->seal, iv, is_new, NULL) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(): 1, 2 "and give a new one", 0 no such key, -1. */
static int key_find(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                    EVP_MAC_CTX *mac, int is_new)
{
    const struct tls_tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct err ignored;

    if (is_new) {
        if (digest_random((struct room){iv, (size_t)EVP_CIPHER_get_iv_length(tickets->cipher)},
                          &ignored) < 0)
            return -1;
        memcpy(name, tickets->now.name, KEY_NAME);
        return key_set(tickets, &tickets->now, iv, cipher, mac, 1) ? 1 : -1;
    }
    if (memcmp(name, tickets->now.name, KEY_NAME) == 0)
        return !key_set(tickets, &tickets->now, iv, cipher, mac, 0) ? -1
               : SSL_version(ssl) < TLS1_3_VERSION                  ? 1
                                                   : 2; /* a ticket of 1.3 is used up */
    if (tickets->has_before && memcmp(name, tickets->before.name, KEY_NAME) == 0)
        return key_set(tickets, &tickets->before, iv, cipher, mac, 0) ? 2 : -1;
    return 0;
}

struct tls_tickets *tls_tickets_new(SSL_CTX *ssl, struct err *err)
{
    struct tls_tickets *tickets = pool_block_new(sizeof *tickets);

    if (tickets != NULL)
        tickets->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (tickets == NULL || tickets->cipher == NULL) {
        (void)library_err(err, ERR_MEMORY, "no keys for session tickets");
        goto fail;
    }
    if (digest_random((struct room){(uint8_t *)&tickets->now, sizeof tickets->now}, err) < 0)
        goto fail;
    if (SSL_CTX_set_app_data(ssl, tickets) != 1 ||
        SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, key_find) != 1) {
        (void)library_err(err, ERR_MEMORY, "no keys for session tickets");
        goto fail;
    }
    (void)SSL_CTX_set_timeout(ssl, TLS_TICKET_S);
    return tickets;
fail:
    tls_tickets_free(tickets);
    return NULL;
}

void tls_tickets_free(struct tls_tickets *tickets)
{
    if (tickets == NULL)
        return;
    EVP_CIPHER_free(tickets->cipher);
    explicit_bzero(tickets, sizeof *tickets);
    pool_block_free(tickets);
}

int tls_tickets_rotate(struct tls_tickets *tickets, struct err *err)
{
    struct ticket_key next;

    if (digest_random((struct room){(uint8_t *)&next, sizeof next}, err) < 0)
        return -1;
    tickets->before = tickets->now;
    tickets->has_before = 1;
    tickets->now = next;
    explicit_bzero(&next, sizeof next);
    return 0;
}

int tls_allow_ticket(struct tls *tls, struct span owner, const struct host *host, struct err *err)
{
    const struct span parts[] = {owner, span_of("", 1), target_host_span(host)};
    uint8_t bound[DIGEST_SHA256];

    ENSURE(tls->state == TLS_SHAKING && SSL_is_server(tls->ssl) && owner.len > 0);
    if (SSL_CTX_get_app_data(SSL_get_SSL_CTX(tls->ssl)) == NULL)
        return 0; /* this context has no keys for any */
    digest_sha256_parts(parts, sizeof parts / sizeof parts[0], bound);
    if (SSL_set_session_id_context(tls->ssl, bound, sizeof bound) != 1 ||
        SSL_set_num_tickets(tls->ssl, 1) != 1)
        return library_err(err, ERR_TLS, "a session ticket cannot be bound");
    (void)SSL_clear_options(tls->ssl, SSL_OP_NO_TICKET);
    return 0;
}
