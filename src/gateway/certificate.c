/* SPDX-License-Identifier: Apache-2.0 */
/* A walk over the DER of a certificate (RFC 5280 section 4.1) as far as its subject. */
#include "gateway/certificate.h"

#include "base/pool.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/pem.h"

enum der_tag {
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_VERSION = 0xa0,
};

static const uint8_t common_name_oid[] = {0x06, 0x03, 0x55, 0x04, 0x03};

/* Take one element off *rest. -1 at the end or for a length that does not fit. */
static int element_take(struct span *rest, uint8_t *tag, struct span *content)
{
    struct span all = *rest; /* *content may be *rest */
    size_t head = 2;
    size_t len;

    if (rest->len < 2)
        return -1;
    *tag = rest->ptr[0];
    len = rest->ptr[1];
    if (len == 0x81 && rest->len >= 3) {
        len = rest->ptr[2];
        head = 3;
    } else if (len == 0x82 && rest->len >= 4) {
        len = (size_t)rest->ptr[2] << 8 | rest->ptr[3];
        head = 4;
    } else if (len >= 0x80) {
        return -1;
    }
    if (len > rest->len - head)
        return -1;
    *rest = span_from(all, head + len);
    *content = span_first(span_from(all, head), len);
    return 0;
}

static int element_expect(struct span *rest, uint8_t tag, struct span *content)
{
    uint8_t seen;

    return element_take(rest, &seen, content) < 0 || seen != tag ? -1 : 0;
}

/* "261123190511Z" or "20261123190511Z" */
static int time_take(struct span *rest, char out[24])
{
    struct span digits;
    struct text text;
    uint8_t tag;

    if (element_take(rest, &tag, &digits) < 0)
        return -1;
    text_init(&text, out, 24);
    if (tag == DER_UTC_TIME && digits.len == 13) {
        text_add_str(&text, digits.ptr[0] >= '5' ? "19" : "20"); /* RFC 5280 4.1.2.5.1 */
    } else if (tag == DER_GENERALIZED_TIME && digits.len == 15) {
        text_add(&text, span_first(digits, 2));
        digits = span_from(digits, 2);
    } else {
        return -1;
    }
    for (size_t i = 0; i < 12; i += 2) {
        static const char *const behind[] = {"-", "-", "T", ":", ":", "Z"};

        text_add_printable(&text, span_first(span_from(digits, i), 2));
        text_add_str(&text, behind[i / 2]);
    }
    if (text.overflow)
        return -1;
    (void)text_str(&text);
    return 0;
}

static int subject_read(struct span names, char *out, size_t cap)
{
    struct span set;
    struct span pair;
    struct span value;
    struct text text;
    uint8_t tag;

    while (element_expect(&names, DER_SET, &set) == 0) {
        if (element_expect(&set, DER_SEQUENCE, &pair) < 0)
            return -1;
        if (!span_starts(pair, span_of(common_name_oid, sizeof common_name_oid)))
            continue;
        pair = span_from(pair, sizeof common_name_oid);
        if (element_take(&pair, &tag, &value) < 0)
            return -1;
        text_init(&text, out, cap - 1);
        text_add_printable(&text, value);
        out[text.len] = '\0';
        return 0;
    }
    return -1;
}

static int fields_read(struct span der, struct certificate *certificate)
{
    struct span whole;
    struct span tbs;
    struct span skipped;
    struct span validity;
    struct span subject;
    uint8_t tag;

    if (element_expect(&der, DER_SEQUENCE, &whole) < 0 ||
        element_expect(&whole, DER_SEQUENCE, &tbs) < 0)
        return -1;
    if (tbs.len > 0 && tbs.ptr[0] == DER_VERSION && element_take(&tbs, &tag, &skipped) < 0)
        return -1;
    for (int i = 0; i < 3; i++) { /* serial number, algorithm, issuer */
        if (element_take(&tbs, &tag, &skipped) < 0)
            return -1;
    }
    if (element_expect(&tbs, DER_SEQUENCE, &validity) < 0 ||
        time_take(&validity, certificate->not_before) < 0 ||
        time_take(&validity, certificate->not_after) < 0 ||
        element_expect(&tbs, DER_SEQUENCE, &subject) < 0)
        return -1;
    return subject_read(subject, certificate->subject, sizeof certificate->subject);
}

int certificate_read(struct span pem, struct certificate *certificate, struct err *err)
{
    struct pem_block block;
    uint8_t digest[DIGEST_SHA256];
    struct span der;
    struct text hex;
    uint8_t *memory;
    int result;

    *certificate = (struct certificate){.subject = ""};
    if (pem_next(&pem, &block, err) <= 0 || !pem_is_certificate(&block))
        return err_set(err, ERR_CERT_INVALID, "is no PEM certificate");
    memory = pem_decode_new(&block, &der, err);
    if (memory == NULL)
        return -1;
    digest_sha256(der, digest);
    result = fields_read(der, certificate);
    pool_block_free(memory);
    if (result < 0)
        return err_set(err, ERR_CERT_INVALID, "is no certificate of ours");
    text_init(&hex, certificate->fingerprint, sizeof certificate->fingerprint);
    text_add_hex(&hex, span_of(digest, sizeof digest));
    (void)text_str(&hex);
    return 0;
}
