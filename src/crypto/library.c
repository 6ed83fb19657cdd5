/* SPDX-License-Identifier: Apache-2.0 */
/* The few things every file here needs from OpenSSL: its errors, certificates, keys, times. */
#include "crypto/library.h"

#include <limits.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/pool.h"

int library_err(struct err *err, enum err_code code, const char *what)
{
    const char *data = NULL;
    int flags = 0;
    unsigned long first = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);
    const char *reason = first == 0 ? NULL : ERR_reason_error_string(first);

    /* Ours, raised within a callback: the data are the words. */
    if (ERR_GET_LIB(first) == ERR_LIB_USER && (flags & ERR_TXT_STRING) != 0 && data != NULL)
        (void)err_set(err, code, "%s: %s", what, data);
    else if (reason != NULL)
        (void)err_set(err, code, "%s: %s", what, reason);
    else
        (void)err_set(err, code, "%s", what);
    ERR_clear_error();
    return -1;
}

X509 *library_read_certificate(struct span der, struct err *err)
{
    const uint8_t *at = der.ptr;
    X509 *x = NULL;

    if (der.len > 0 && der.len <= LONG_MAX)
        x = d2i_X509(NULL, &at, (long)der.len);
    if (x == NULL) {
        (void)library_err(err, ERR_CERT_INVALID, "not a certificate");
        return NULL;
    }
    if (at != der.ptr + der.len) {
        (void)err_set(err, ERR_CERT_INVALID, "bytes behind a certificate");
        X509_free(x);
        return NULL;
    }
    return x;
}

X509 *library_read_block(const struct pem_block *block, struct err *err)
{
    struct span der;
    uint8_t *memory = pem_decode_new(block, &der, err);
    X509 *x;

    if (memory == NULL)
        return NULL;
    x = library_read_certificate(der, err);
    pool_block_free(memory);
    return x;
}

/* Without this OpenSSL would ask on the terminal. */
static int no_passphrase(char *out, int size, int for_writing, void *unused)
{
    (void)out;
    (void)size;
    (void)for_writing;
    (void)unused;
    return -1;
}

EVP_PKEY *library_read_key(struct span pem, struct err *err)
{
    BIO *bio;
    EVP_PKEY *pkey;

    if (pem.len == 0 || pem.len > INT_MAX) {
        (void)err_set(err, ERR_CERT_INVALID, "no private key");
        return NULL;
    }
    bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    pkey = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    if (pkey == NULL)
        (void)library_err(err, ERR_CERT_INVALID, "not a private key in PEM");
    return pkey;
}

int64_t library_time(const ASN1_TIME *time)
{
    struct tm tm = {0};

    if (ASN1_TIME_to_tm(time, &tm) != 1)
        return 0;
    return (int64_t)timegm(&tm);
}
