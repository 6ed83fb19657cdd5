/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificate bundles. Copying one (bundle_add) looks only at the outer shape of each certificate:
 * letting OpenSSL 3.0 parse the 140 roots of a system costs tens of milliseconds, which a relay
 * does not have at its start. What we trust ourselves is parsed in full.
 */
#include "crypto/bundle.h"

#include <openssl/x509v3.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/pool.h"
#include "crypto/digest.h"
#include "crypto/library.h"
#include "crypto/pem.h"

/* --- the gateway's CA --- */

/* Empty lines and lines that start with '#', nothing else: a web page is no bundle. */
static bool is_comment(struct span s)
{
    while (s.len > 0) {
        ssize_t end = span_find(s, '\n');
        size_t len = end < 0 ? s.len : (size_t)end;
        struct span line = span_trim(span_first(s, len));

        if (line.len > 0 && line.ptr[0] != '#')
            return false;
        s = span_from(s, end < 0 ? len : len + 1);
    }
    return true;
}

static int ca_check(X509 *x, int count, int64_t now_s, struct err *err)
{
    if (X509_check_ca(x) != 1 || (X509_get_extension_flags(x) & EXFLAG_INVALID) != 0)
        return err_set(err, ERR_CERT_INVALID, "certificate %d is not a CA", count);
    if (library_time(X509_get0_notAfter(x)) <= now_s)
        return err_set(err, ERR_CERT_INVALID, "certificate %d has expired", count);
    return 0;
}

int bundle_check_ca(struct span pem, int64_t now_s, struct err *err)
{
    struct pem_block block;
    int count = 0;
    int more;

    if (pem.len > LIMIT_BUNDLE)
        return err_set(err, ERR_LIMIT, "a bundle of %zu bytes", pem.len);
    while ((more = pem_next(&pem, &block, err)) > 0) {
        X509 *x;
        int checked;

        count++;
        if (!is_comment(block.before))
            return err_set(err, ERR_CERT_INVALID, "other text before certificate %d", count);
        if (!span_equal(block.label, span_text("CERTIFICATE")))
            return err_set(err, ERR_CERT_INVALID, "PEM block %d is no certificate", count);
        x = library_read_block(&block, err);
        if (x == NULL)
            return -1;
        checked = ca_check(x, count, now_s, err);
        X509_free(x);
        if (checked < 0)
            return -1;
    }
    if (more < 0)
        return -1;
    if (count == 0)
        return err_set(err, ERR_CERT_INVALID, "no certificate");
    if (!is_comment(pem))
        return err_set(err, ERR_CERT_INVALID, "other text behind the certificates");
    return count;
}

/* --- copying --- */

/* Length of the DER element at the start of `der` with its head, 0 if it is none or is cut. */
static size_t element_len(struct span der, uint8_t tag)
{
    size_t head = 2;
    size_t len;

    if (der.len < 2 || der.ptr[0] != tag)
        return 0;
    len = der.ptr[1];
    if (len > 0x80 && len <= 0x83) {
        size_t count = len - 0x80;

        if (der.len < head + count)
            return 0;
        len = 0;
        for (size_t i = 0; i < count; i++)
            len = len << 8 | der.ptr[head + i];
        head += count;
    } else if (len >= 0x80) {
        return 0;
    }
    return len <= der.len - head ? head + len : 0;
}

/*
 * The certificate at the start of `der`: a sequence of sequence, sequence and bit string
 * (RFC 5280 section 4.1). len 0 if it is none. A TRUSTED CERTIFICATE has settings behind it.
 */
static struct span certificate_first(struct span der)
{
    static const uint8_t tags[] = {0x30, 0x30, 0x03};
    struct span none = span_of(NULL, 0);
    size_t len = element_len(der, 0x30);
    struct span whole;
    struct span inner;

    if (len < 2)
        return none;
    whole = span_first(der, len);
    inner = span_from(whole, 2 + (whole.ptr[1] > 0x80 ? whole.ptr[1] - 0x80u : 0u));
    for (size_t i = 0; i < sizeof tags; i++) {
        len = element_len(inner, tags[i]);
        if (len == 0)
            return none;
        inner = span_from(inner, len);
    }
    return inner.len == 0 ? whole : none;
}

struct seen {
    struct map_node node;
    uint8_t hash[DIGEST_SHA256];
};

struct adding {
    struct text *out;
    struct map map;
    struct seen *seen; /* owned: room for every block of the input */
    size_t seen_count;
};

/* 1 if added, 0 if it is no certificate or was there before, -1. */
static int add_block(struct adding *adding, const struct pem_block *block, struct err *err)
{
    struct seen *seen = &adding->seen[adding->seen_count];
    struct err ignored;
    struct span der;
    struct span certificate;
    uint8_t *memory;
    int added = 0;

    if (!pem_is_certificate(block))
        return 0;
    memory = pem_decode_new(block, &der, &ignored);
    if (memory == NULL)
        return 0;
    certificate = certificate_first(der);
    digest_sha256(certificate, seen->hash);
    if (certificate.len > 0 && map_find(&adding->map, span_of(seen->hash, DIGEST_SHA256)) == NULL) {
        added = map_add(&adding->map, &seen->node, span_of(seen->hash, DIGEST_SHA256), seen, err);
        pem_add_certificate(adding->out, certificate);
        added = added < 0 ? -1 : 1;
    }
    adding->seen_count += added == 1 ? 1 : 0;
    pool_block_free(memory);
    return added;
}

static int add_all(struct adding *adding, struct span pem, struct err *err)
{
    struct pem_block block;
    int more;

    while ((more = pem_next(&pem, &block, err)) > 0) {
        if (add_block(adding, &block, err) < 0)
            return -1;
    }
    if (more < 0 || text_check(adding->out, "the bundle", err) < 0)
        return -1;
    return (int)adding->seen_count;
}

int bundle_add(struct text *out, struct span pem, struct err *err)
{
    struct adding adding = {.out = out};
    struct span rest = pem;
    struct pem_block block;
    uint8_t seed[16];
    size_t count = 0;
    int result;

    if (pem.len > LIMIT_BUNDLE)
        return err_set(err, ERR_LIMIT, "a bundle of %zu bytes", pem.len);
    while ((result = pem_next(&rest, &block, err)) > 0)
        count++;
    if (result < 0 || count == 0)
        return result;
    if (digest_random((struct room){seed, sizeof seed}, err) < 0)
        return -1;
    adding.seen = pool_block_new((count + 1) * sizeof *adding.seen);
    if (adding.seen == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a bundle");
    result = map_init(&adding.map, count, seed, err);
    if (result == 0) {
        result = add_all(&adding, pem, err);
        map_fini(&adding.map);
    }
    pool_block_free(adding.seen);
    return result;
}

/* --- what we trust ourselves --- */

struct bundle_roots *bundle_roots_new(struct span pem, struct err *err)
{
    struct bundle_roots *roots;
    struct pem_block block;
    struct err ignored;
    int count = 0;
    int more;

    if (digest_setup(err) < 0)
        return NULL;
    roots = pool_block_new(sizeof *roots);
    if (roots != NULL)
        roots->store = X509_STORE_new();
    if (roots == NULL || roots->store == NULL) {
        (void)err_set(err, ERR_MEMORY, "no memory for the roots");
        goto fail;
    }
    while ((more = pem_next(&pem, &block, err)) > 0) {
        X509 *x = pem_is_certificate(&block) ? library_read_block(&block, &ignored) : NULL;

        if (x != NULL)
            count += X509_STORE_add_cert(roots->store, x) == 1 ? 1 : 0;
        X509_free(x);
    }
    if (more < 0)
        goto fail;
    if (count > 0)
        return roots;
    (void)library_err(err, ERR_CERT_INVALID, "no certificate to trust");
fail:
    bundle_roots_free(roots);
    return NULL;
}

void bundle_roots_free(struct bundle_roots *roots)
{
    if (roots == NULL)
        return;
    X509_STORE_free(roots->store);
    pool_block_free(roots);
}
