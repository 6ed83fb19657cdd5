/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing PEM blocks without copying more than the bytes decoded. */
#include "crypto/pem.h"

#include <limits.h>

#include <openssl/evp.h>

#include "base/pool.h"

#define LINE_BYTES 48 /* 64 characters */

static const char begin_mark[] = "-----BEGIN ";
static const char end_mark[] = "-----END ";
static const char dashes[] = "-----";

/* Offset of `mark` at the start of a line, or -1. */
static ssize_t mark_find(struct span s, const char *mark)
{
    struct span needle = span_text(mark);
    size_t from = 0;

    for (;;) {
        ssize_t at = span_find_span(span_from(s, from), needle);

        if (at < 0)
            return -1;
        at += (ssize_t)from;
        if (at == 0 || s.ptr[at - 1] == '\n' || s.ptr[at - 1] == '\r')
            return at;
        from = (size_t)at + needle.len;
    }
}

/* What stands between the mark at the start of *s and the dashes that close its line. */
static int label_take(struct span *s, const char *mark, struct span *label)
{
    struct span after = span_from(*s, strlen(mark));
    ssize_t len = span_find_span(after, span_text(dashes));

    if (len < 0)
        return -1;
    *label = span_first(after, (size_t)len);
    if (span_find(*label, '\n') >= 0)
        return -1;
    *s = span_from(after, (size_t)len + strlen(dashes));
    return 0;
}

int pem_next(struct span *rest, struct pem_block *block, struct err *err)
{
    ssize_t at = mark_find(*rest, begin_mark);
    struct span s;
    struct span end_label;

    if (at < 0)
        return 0;
    block->before = span_first(*rest, (size_t)at);
    s = span_from(*rest, (size_t)at);
    if (label_take(&s, begin_mark, &block->label) < 0)
        return err_set(err, ERR_CERT_INVALID, "a PEM block without label");
    at = mark_find(s, end_mark);
    if (at < 0)
        return err_set(err, ERR_CERT_INVALID, "a PEM block without end");
    block->body = span_first(s, (size_t)at);
    s = span_from(s, (size_t)at);
    if (label_take(&s, end_mark, &end_label) < 0 || !span_equal(end_label, block->label))
        return err_set(err, ERR_CERT_INVALID, "a PEM block ends with another label");
    *rest = s;
    return 1;
}

bool pem_is_certificate(const struct pem_block *block)
{
    return span_equal(block->label, span_text("CERTIFICATE")) ||
           span_equal(block->label, span_text("X509 CERTIFICATE")) ||
           span_equal(block->label, span_text("TRUSTED CERTIFICATE"));
}

static ssize_t body_decode(struct span body, struct room out, struct err *err)
{
    EVP_ENCODE_CTX *ctx;
    int len = 0;
    int last = 0;
    int ok;

    ENSURE(out.len >= body.len); /* four characters become three bytes */
    if (body.len == 0 || body.len > INT_MAX)
        return err_set(err, ERR_CERT_INVALID, "an empty PEM block");
    ctx = EVP_ENCODE_CTX_new();
    if (ctx == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a PEM block");
    EVP_DecodeInit(ctx);
    ok = EVP_DecodeUpdate(ctx, out.ptr, &len, body.ptr, (int)body.len) >= 0 &&
         EVP_DecodeFinal(ctx, out.ptr + len, &last) == 1;
    EVP_ENCODE_CTX_free(ctx);
    if (!ok || len + last <= 0)
        return err_set(err, ERR_CERT_INVALID, "bad base 64 in a PEM block");
    return len + last;
}

uint8_t *pem_decode_new(const struct pem_block *block, struct span *der, struct err *err)
{
    uint8_t *memory = pool_block_new(block->body.len + 1);
    ssize_t len;

    if (memory == NULL) {
        (void)err_set(err, ERR_MEMORY, "no memory for a PEM block");
        return NULL;
    }
    len = body_decode(block->body, (struct room){memory, block->body.len}, err);
    if (len < 0) {
        pool_block_free(memory);
        return NULL;
    }
    *der = span_of(memory, (size_t)len);
    return memory;
}

void pem_add_certificate(struct text *out, struct span der)
{
    text_add_str(out, "-----BEGIN CERTIFICATE-----\n");
    while (der.len > 0) {
        size_t len = der.len < LINE_BYTES ? der.len : LINE_BYTES;

        text_add_base64(out, span_first(der, len));
        text_add_char(out, '\n');
        der = span_from(der, len);
    }
    text_add_str(out, "-----END CERTIFICATE-----\n");
}
