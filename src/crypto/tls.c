/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One TLS connection over memory of the caller.
 *
 *     in (span) ──▶ bio_read ──▶ OpenSSL ──▶ SSL_read  ──▶ plain (buf)
 *     sealed (buf) ◀── bio_write ◀── OpenSSL ◀── SSL_write ◀── plain (span)
 *
 * `in` and `sealed` are lent to the BIO for the length of one call. OpenSSL asks for a record's
 * five head bytes, then for exactly its body, so it never holds more than one record: a part of
 * one, or one opened whose end waits for room (tls_has_pending). What bio_write has no room for
 * stays with OpenSSL, which asks for a retry, and the next call goes on from there.
 *
 * Opening never waits for room to write: if it did, two peers that both send as fast as they can
 * would each wait for the other to read. The few bytes that an open connection has to say of its
 * own (a key update, an alert) fit behind what tls_send() leaves free.
 */
#include "crypto/tls.h"

#include <openssl/err.h>

#include "base/num.h"
#include "crypto/library.h"
#include "crypto/tls_alpn.h"
#include "crypto/tls_session.h"
#include "crypto/tls_verdict.h"
#include "crypto/tls_verify.h"

#define RECORD_OVERHEAD (TLS_RECORD_MAX - TLS_RECORD)

/* --- the BIO --- */

static int bio_read(BIO *bio, char *out, size_t len, size_t *done)
{
    struct tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (tls->in.len == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    if (len > tls->in.len)
        len = tls->in.len;
    memcpy(out, tls->in.ptr, len);
    tls->in = span_from(tls->in, len);
    *done = len;
    return 1;
}

static int bio_write(BIO *bio, const char *bytes, size_t len, size_t *done)
{
    struct tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    *done = tls->sealed == NULL ? 0 : buf_append_some(tls->sealed, span_of(bytes, len));
    if (*done > 0)
        return 1;
    tls->starved = tls->sealed != NULL && buf_free_len(tls->sealed) > 0;
    BIO_set_retry_write(bio);
    return 0;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    const struct tls *tls = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_PENDING)
        return (long)tls->in.len;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/* Made once; connections refer to it without counting. */
static BIO_METHOD *bio_method;

static int bio_setup(struct err *err)
{
    if (bio_method != NULL)
        return 0;
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "exeat");
    if (bio_method == NULL)
        return library_err(err, ERR_MEMORY, "no BIO method");
    BIO_meth_set_read_ex(bio_method, bio_read);
    BIO_meth_set_write_ex(bio_method, bio_write);
    BIO_meth_set_ctrl(bio_method, bio_ctrl);
    return 0;
}

/* --- beginning and end --- */

static int tls_init(struct tls *tls, struct tls_context *context, struct err *err)
{
    BIO *bio;

    *tls = (struct tls){.state = TLS_SHAKING, .alpn = TLS_ALPN_H1};
    if (bio_setup(err) < 0)
        return -1;
    tls->ssl = SSL_new(context->ssl);
    bio = BIO_new(bio_method);
    if (tls->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        tls_fini(tls);
        return library_err(err, ERR_MEMORY, "no memory for a TLS connection");
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    if (SSL_set_app_data(tls->ssl, tls) != 1) {
        tls_fini(tls);
        return library_err(err, ERR_MEMORY, "no memory for a TLS connection");
    }
    return 0;
}

int tls_init_server(struct tls *tls, struct tls_context *context, struct leaf *leaf,
                    struct err *err)
{
    ENSURE(context->role == (leaf == NULL ? TLS_ROLE_LISTENER : TLS_ROLE_INSPECT));
    if (tls_init(tls, context, err) < 0)
        return -1;
    if (leaf != NULL && (SSL_use_certificate(tls->ssl, leaf->certificate) != 1 ||
                         SSL_use_PrivateKey(tls->ssl, leaf->pkey) != 1)) {
        tls_fini(tls);
        return library_err(err, ERR_TLS, "the leaf cannot be served");
    }
    SSL_set_accept_state(tls->ssl);
    return 0;
}

/* The name to prove, and to ask for unless it is an address (RFC 6066 section 3). */
static int peer_expect(SSL *ssl, const struct host *host)
{
    if (tls_verify_expect(SSL_get0_param(ssl), host) != 1)
        return 0;
    return host->kind != HOST_NAME ||
           SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    (void *)(uintptr_t)host->name) == 1; /* copied */
}

int tls_init_client(struct tls *tls, struct tls_context *context, const struct host *host,
                    struct err *err)
{
    ENSURE(context->role == TLS_ROLE_CLIENT);
    /* OpenSSL takes an empty name for "check none". */
    ENSURE(host->len > 0 && host->len < sizeof host->name && host->name[host->len] == '\0');
    if (tls_init(tls, context, err) < 0)
        return -1;
    tls->verifies = 1;
    digest_sha256_parts(
        (const struct span[]){span_of(&host->kind, sizeof host->kind), target_host_span(host)}, 2,
        tls->peer);
    if (peer_expect(tls->ssl, host) != 1) {
        tls_fini(tls);
        return library_err(err, ERR_TLS, "the peer's name cannot be set");
    }
    SSL_set_connect_state(tls->ssl);
    return 0;
}

void tls_fini(struct tls *tls)
{
    SSL_free(tls->ssl);
    tls->ssl = NULL;
    tls->state = TLS_FAILED;
}

/* --- bytes --- */

/* What OpenSSL's `result` of the step named `what` means: 0 to wait, -1 failed for good. */
static int step_failed(struct tls *tls, int result, const char *what, struct err *err)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_WANT_WRITE:
        if (!tls->starved)
            return 0;
        tls->state = TLS_FAILED;
        return err_set(err, ERR_MEMORY, "no buffer left for TLS records");
    case SSL_ERROR_ZERO_RETURN:
        tls->state = TLS_ENDED;
        return 0;
    default:
        tls->state = TLS_FAILED;
        return tls_verdict(tls, what, err);
    }
}

/* The client's own look at the server it has got, in full or by what it resumed. */
static int peer_verified(struct tls *tls, struct err *err)
{
    if (SSL_get_verify_result(tls->ssl) != X509_V_OK) {
        tls->state = TLS_FAILED;
        return tls_verdict(tls, "TLS handshake", err);
    }
    if (!SSL_session_reused(tls->ssl))
        tls->verified_until_s = tls_session_verified_until(tls);
    return tls_alpn_check(tls, err);
}

static int tls_shake(struct tls *tls, struct err *err)
{
    int result = SSL_do_handshake(tls->ssl);

    if (result != 1)
        return step_failed(tls, result, "TLS handshake", err);
    tls->state = TLS_OPEN;
    return tls->verifies ? peer_verified(tls, err) : 0;
}

/* One record, or what fits of it. 1 if there may be more, 0 if not, -1. */
static int tls_open_record(struct tls *tls, struct buf *plain, struct err *err)
{
    struct room room;
    size_t len = 0;
    int result;

    if (buf_free_len(plain) == 0)
        return 0;
    room = buf_reserve(plain, num_min(buf_free_len(plain), TLS_RECORD));
    if (room.len == 0) {
        tls->state = TLS_FAILED;
        return err_set(err, ERR_MEMORY, "no buffer left for plaintext");
    }
    result = SSL_read_ex(tls->ssl, room.ptr, room.len, &len);
    buf_commit(plain, len);
    if (result == 1)
        return tls->in.len > 0 || SSL_pending(tls->ssl) > 0;
    return step_failed(tls, result, "TLS", err);
}

/* Lend `in` and `sealed` to the BIO, with no old errors of anybody's in the queue. */
static void lend(struct tls *tls, struct span in, struct buf *sealed)
{
    ERR_clear_error(); /* SSL_get_error() would take an old one for its own */
    tls->in = in;
    tls->sealed = sealed;
    tls->starved = 0;
}

static void take_back(struct tls *tls)
{
    tls->in = span_of(NULL, 0);
    tls->sealed = NULL;
}

int tls_feed(struct tls *tls, struct span in, size_t *used, struct buf *plain, struct buf *sealed,
             struct err *err)
{
    int more = 1;

    *used = 0;
    if (tls->state == TLS_FAILED)
        return err_set(err, ERR_TLS, "the TLS connection has failed before");
    if (tls->state == TLS_ENDED) {
        *used = in.len;
        return 0;
    }
    if (tls->state == TLS_SHAKING && buf_free_len(sealed) < TLS_RECORD_MAX)
        return 0;
    lend(tls, in, sealed);
    if (tls->state == TLS_SHAKING)
        more = tls_shake(tls, err);
    if (more >= 0 && tls->state == TLS_OPEN) {
        do
            more = tls_open_record(tls, plain, err);
        while (more > 0);
    }
    *used = tls->state == TLS_ENDED ? in.len : in.len - tls->in.len;
    take_back(tls);
    return more < 0 ? -1 : 0;
}

int tls_has_pending(const struct tls *tls)
{
    return tls->state == TLS_OPEN && SSL_pending(tls->ssl) > 0;
}

int tls_send(struct tls *tls, struct span plain, size_t *used, struct buf *sealed, struct err *err)
{
    int failed = 0;

    *used = 0;
    if (tls->state == TLS_FAILED)
        return err_set(err, ERR_TLS, "the TLS connection has failed before");
    if (tls->state == TLS_SHAKING || plain.len == 0)
        return 0;
    lend(tls, span_of(NULL, 0), sealed);
    while (plain.len > 0 && failed == 0) {
        size_t len = num_min(plain.len, TLS_RECORD);
        size_t done = 0;
        int result;

        if (buf_free_len(sealed) < len + RECORD_OVERHEAD)
            break;
        result = SSL_write_ex(tls->ssl, plain.ptr, len, &done);
        if (result != 1) {
            failed = step_failed(tls, result, "TLS", err);
            break;
        }
        *used += done;
        plain = span_from(plain, done);
    }
    take_back(tls);
    return failed;
}

void tls_send_close(struct tls *tls, struct buf *sealed)
{
    if (tls->state != TLS_OPEN && tls->state != TLS_ENDED)
        return;
    if (buf_free_len(sealed) < RECORD_OVERHEAD)
        return;
    lend(tls, span_of(NULL, 0), sealed);
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
    take_back(tls);
}

int tls_write_alert(struct buf *sealed, uint8_t description, struct err *err)
{
    const uint8_t record[] = {21, 3, 3, 0, 2, 2, description}; /* alert, TLS 1.2, 2 bytes, fatal */

    return buf_append(sealed, span_of(record, sizeof record), err);
}

const char *tls_version(const struct tls *tls)
{
    return tls->ssl == NULL ? "" : SSL_get_version(tls->ssl);
}
