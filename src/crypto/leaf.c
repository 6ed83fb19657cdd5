/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Minting: one certificate for one host. The profile never changes, so its DER is written here
 * byte for byte, from the end to the start, and signed; building it from OpenSSL's objects takes
 * twice the time of the signature itself. Only a canonical host gets in: the caller is a worker
 * that may have been taken over (threats H4, H5).
 */
#include "crypto/leaf.h"

#include <arpa/inet.h>
#include <time.h>

#include <openssl/ec.h>

#include "crypto/der.h"
#include "crypto/leaf_authority.h"
#include "crypto/library.h"

#define SIGNATURE_MAX 80 /* ECDSA-Sig-Value on P-256: at most 72 */
#define CN_MAX        64
#define YEAR_2050     2524608000 /* from here on GeneralizedTime, RFC 5280 section 4.1.2.5 */

/* ecdsa-with-SHA256, RFC 5758 section 3.2 */
static const uint8_t algorithm[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                    0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};

/* basicConstraints critical {}; keyUsage critical digitalSignature; extKeyUsage serverAuth */
static const uint8_t profile[] = {0x30, 0x0c, 0x06, 0x03, 0x55, 0x1d, 0x13, 0x01, 0x01, 0xff, 0x04,
                                  0x02, 0x30, 0x00, 0x30, 0x0e, 0x06, 0x03, 0x55, 0x1d, 0x0f, 0x01,
                                  0x01, 0xff, 0x04, 0x04, 0x03, 0x02, 0x07, 0x80, 0x30, 0x13, 0x06,
                                  0x03, 0x55, 0x1d, 0x25, 0x04, 0x0c, 0x30, 0x0a, 0x06, 0x08, 0x2b,
                                  0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01};

static const uint8_t oid_san[] = {0x06, 0x03, 0x55, 0x1d, 0x11};
static const uint8_t oid_ski[] = {0x06, 0x03, 0x55, 0x1d, 0x0e};
static const uint8_t oid_aki[] = {0x06, 0x03, 0x55, 0x1d, 0x23};
static const uint8_t oid_cn[] = {0x06, 0x03, 0x55, 0x04, 0x03};
static const uint8_t critical[] = {0x01, 0x01, 0xff};

/* What stands before the point in a P-256 SubjectPublicKeyInfo, RFC 5480 section 2 */
static const uint8_t spki_head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

#define SPAN(bytes) span_of((bytes), sizeof(bytes))

/* --- what may be signed --- */

static bool is_label(struct span label)
{
    if (label.len == 0 || label.len > 63)
        return false;
    for (size_t i = 0; i < label.len; i++) {
        uint8_t c = label.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return true;
}

/* What inet_aton() could take for the last part of an address. */
static bool is_number(struct span label)
{
    if (span_starts(label, span_text("0x")))
        return true;
    for (size_t i = 0; i < label.len; i++) {
        if (label.ptr[i] < '0' || label.ptr[i] > '9')
            return false;
    }
    return true;
}

static bool is_canonical_name(struct span name)
{
    struct span rest = name;

    if (name.len == 0 || name.len > LIMIT_HOST)
        return false;
    for (;;) {
        ssize_t dot = span_find(rest, '.');
        struct span label = dot < 0 ? rest : span_first(rest, (size_t)dot);

        if (!is_label(label))
            return false;
        if (dot < 0)
            return !is_number(label);
        rest = span_from(rest, (size_t)dot + 1);
    }
}

/* The SAN's content: a dNSName [2] or an iPAddress [7] (RFC 5280 section 4.2.1.6). */
struct identity {
    uint8_t tag;
    struct span bytes;
    uint8_t address[16];
};

static int identity_read(const struct host *host, struct identity *id, struct err *err)
{
    struct span name = span_of(host->name, host->len);
    int family = host->kind == HOST_IPV4 ? AF_INET : AF_INET6;
    char again[INET6_ADDRSTRLEN];

    if (host->len >= sizeof host->name || host->name[host->len] != '\0')
        return err_set(err, ERR_TARGET, "a host without end");
    if (host->kind == HOST_NAME) {
        *id = (struct identity){.tag = DER_IMPLICIT(2), .bytes = name};
        if (!is_canonical_name(name))
            return err_set(err, ERR_TARGET, "no leaf for a name that is not canonical");
        return 0;
    }
    *id = (struct identity){.tag = DER_IMPLICIT(7)};
    if (inet_pton(family, host->name, id->address) != 1 ||
        inet_ntop(family, id->address, again, sizeof again) == NULL ||
        !span_equal(name, span_text(again)))
        return err_set(err, ERR_TARGET, "no leaf for an address that is not canonical");
    id->bytes = span_of(id->address, family == AF_INET ? 4 : 16);
    return 0;
}

/* The uncompressed point, which must be on the curve. */
static int point_read(struct leaf_ca *ca, struct span spki, struct span *point, struct err *err)
{
    if (spki.len != sizeof spki_head + LEAF_POINT || !span_starts(spki, SPAN(spki_head)) ||
        spki.ptr[sizeof spki_head] != 0x04)
        return err_set(err, ERR_CERT_INVALID, "the leaf's key is not an uncompressed P-256 key");
    *point = span_from(spki, sizeof spki_head);
    if (EC_POINT_oct2point(ca->group, ca->point, point->ptr, point->len, NULL) != 1)
        return library_err(err, ERR_CERT_INVALID, "the leaf's key");
    return 0;
}

/* --- writing; everything from the end to the start --- */

static void put_time(struct der *der, int64_t time_s)
{
    char text[20];
    time_t t = (time_t)time_s;
    struct tm tm = {0};
    bool is_short = time_s < YEAR_2050;
    size_t len;

    ENSURE(gmtime_r(&t, &tm) != NULL);
    len = strftime(text, sizeof text, "%Y%m%d%H%M%SZ", &tm);
    ENSURE(len == 15);
    if (is_short)
        der_put_element(der, DER_UTC_TIME, span_from(span_of(text, len), 2)); /* without century */
    else
        der_put_element(der, DER_TIME, span_of(text, len));
}

static void put_validity(struct der *der, int64_t from_s, int64_t until_s)
{
    size_t mark = der_len(der);

    put_time(der, until_s);
    put_time(der, from_s);
    der_wrap(der, DER_SEQUENCE, mark);
}

/* CN where it fits; else the name is empty and the SAN is critical (RFC 5280 section 4.1.2.6). */
static void put_subject(struct der *der, struct span name)
{
    size_t mark = der_len(der);

    if (name.len <= CN_MAX) {
        der_put_element(der, DER_UTF8, name);
        der_put(der, SPAN(oid_cn));
        der_wrap(der, DER_SEQUENCE, mark);
        der_wrap(der, DER_SET, mark);
    }
    der_wrap(der, DER_SEQUENCE, mark);
}

static void put_extensions(struct der *der, const struct leaf_ca *ca, struct span name,
                           const struct identity *id, struct span point)
{
    uint8_t key_id[DIGEST_SHA1];
    size_t all = der_len(der);
    size_t mark = all;

    der_put_element(der, id->tag, id->bytes);
    der_wrap(der, DER_SEQUENCE, mark);
    der_wrap(der, DER_OCTETS, mark);
    if (name.len > CN_MAX)
        der_put(der, SPAN(critical));
    der_put(der, SPAN(oid_san));
    der_wrap(der, DER_SEQUENCE, mark);

    mark = der_len(der);
    der_put_element(der, DER_IMPLICIT(0), span_of(ca->key_id, ca->key_id_len));
    der_wrap(der, DER_SEQUENCE, mark);
    der_wrap(der, DER_OCTETS, mark);
    der_put(der, SPAN(oid_aki));
    der_wrap(der, DER_SEQUENCE, mark);

    mark = der_len(der);
    digest_sha1(point, key_id);
    der_put_element(der, DER_OCTETS, SPAN(key_id));
    der_wrap(der, DER_OCTETS, mark);
    der_put(der, SPAN(oid_ski));
    der_wrap(der, DER_SEQUENCE, mark);

    der_put(der, SPAN(profile));
    der_wrap(der, DER_SEQUENCE, all);
    der_wrap(der, DER_EXPLICIT(3), all);
}

/* 128 random bits behind a 1, which keeps the number positive and its length fixed. */
static int put_serial(struct der *der, struct err *err)
{
    uint8_t serial[17] = {1};

    if (digest_random((struct room){serial + 1, sizeof serial - 1}, err) < 0)
        return -1;
    der_put_element(der, DER_INTEGER, SPAN(serial));
    return 0;
}

/* Sign what `tbs` covers and write the certificate around it. */
static int leaf_sign(struct leaf_ca *ca, struct span tbs, struct text *out, struct err *err)
{
    uint8_t memory[LEAF_DER_MAX];
    uint8_t hash[DIGEST_SHA256];
    uint8_t signature[SIGNATURE_MAX];
    size_t len = sizeof signature;
    struct der der;

    digest_sha256(tbs, hash);
    if (EVP_PKEY_sign(ca->sign, signature, &len, hash, sizeof hash) != 1)
        return library_err(err, ERR_SYSTEM, "the CA did not sign");
    der_init(&der, (struct room){memory, sizeof memory});
    der_put(&der, span_of(signature, len));
    der_put_byte(&der, 0); /* no unused bits */
    der_wrap(&der, DER_BITS, 0);
    der_put(&der, SPAN(algorithm));
    der_put(&der, tbs);
    der_wrap(&der, DER_SEQUENCE, 0);
    if (der.overflow)
        return err_set(err, ERR_LIMIT, "a leaf of more than %d bytes", LEAF_DER_MAX);
    text_add(out, der_span(&der));
    return text_check(out, "the leaf", err);
}

int leaf_mint(struct leaf_ca *ca, const struct host *host, struct span spki, int64_t now_s,
              int64_t lifetime_s, struct text *out, struct err *err)
{
    static const uint8_t version3[] = {0xa0, 0x03, 0x02, 0x01, 0x02};
    uint8_t memory[LEAF_DER_MAX];
    struct span name = span_of(host->name, host->len);
    struct identity id;
    struct span point;
    struct der der;

    if (identity_read(host, &id, err) < 0 || point_read(ca, spki, &point, err) < 0)
        return -1;
    if (lifetime_s <= 0 || lifetime_s > LEAF_LIFETIME_MAX_S)
        return err_set(err, ERR_LIMIT, "a leaf for %lld s", (long long)lifetime_s);
    if (now_s >= ca->ends_s)
        return err_set(err, ERR_CERT_INVALID, "the CA has expired");
    if (lifetime_s > ca->ends_s - now_s)
        lifetime_s = ca->ends_s - now_s;
    der_init(&der, (struct room){memory, sizeof memory});
    put_extensions(&der, ca, name, &id, point);
    der_put(&der, spki);
    put_subject(&der, name);
    put_validity(&der, now_s - LEAF_SKEW_S, now_s + lifetime_s);
    der_put(&der, span_of(ca->subject, ca->subject_len));
    der_put(&der, SPAN(algorithm));
    if (put_serial(&der, err) < 0)
        return -1;
    der_put(&der, SPAN(version3));
    der_wrap(&der, DER_SEQUENCE, 0);
    if (der.overflow)
        return err_set(err, ERR_LIMIT, "a leaf of more than %d bytes", LEAF_DER_MAX);
    return leaf_sign(ca, der_span(&der), out, err);
}
