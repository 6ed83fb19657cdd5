/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peeking at a ClientHello. First the record heads alone are walked, to know whether the whole
 * handshake message is there; only then is it read, in place if one record holds it (the usual
 * case) and from a joined copy otherwise. Strict: what OpenSSL would read differently later must
 * not get a leaf or a policy decision first. Threats C1, C4, H9.
 */
#include "crypto/sni.h"

#include "base/limits.h"
#include "base/num.h"

#define RECORD_HEAD    5
#define RECORD_BODY    16384 /* RFC 8446 section 5.1 */
#define TYPE_HANDSHAKE 22
#define CLIENT_HELLO   1
#define HELLO_HEAD     4 /* type and length of a handshake message */
#define EXT_NAME       0
#define EXT_ALPN       16

/* --- taking from the front; -1 if there is too little --- */

static int take_number(struct span *s, size_t width, size_t *value)
{
    if (s->len < width)
        return -1;
    *value = 0;
    for (size_t i = 0; i < width; i++)
        *value = *value << 8 | s->ptr[i];
    *s = span_from(*s, width);
    return 0;
}

static int take_bytes(struct span *s, size_t len, struct span *bytes)
{
    if (s->len < len)
        return -1;
    *bytes = span_first(*s, len);
    *s = span_from(*s, len);
    return 0;
}

/* A vector with its length before it (RFC 8446 section 3.4). */
static int take_vector(struct span *s, size_t width, struct span *vector)
{
    size_t len;

    return take_number(s, width, &len) < 0 ? -1 : take_bytes(s, len, vector);
}

/* --- records --- */

static int record_refuse(struct err *err)
{
    return err_set(err, ERR_TLS, "not a TLS handshake record");
}

/*
 * The part of the next record's body that is there. 1; 0 if not even a head is; -1. A head is
 * judged byte by byte, so that what is no TLS fails at its first byte.
 */
static int record_next(struct span *in, struct span *body, struct err *err)
{
    size_t len;

    if (in->len >= 1 && in->ptr[0] != TYPE_HANDSHAKE)
        return record_refuse(err);
    if (in->len >= 2 && in->ptr[1] != 3)
        return record_refuse(err);
    if (in->len >= 3 && in->ptr[2] > 3)
        return record_refuse(err);
    if (in->len < RECORD_HEAD)
        return 0;
    len = (size_t)in->ptr[3] << 8 | in->ptr[4];
    if (len == 0 || len > RECORD_BODY)
        return err_set(err, ERR_TLS, "a TLS record of %zu bytes", len);
    *in = span_from(*in, RECORD_HEAD);
    *body = span_first(*in, num_min(len, in->len));
    *in = span_from(*in, body->len);
    return 1;
}

/* Type and length of the message, from however many of its first four bytes are there. */
static int hello_head_check(const uint8_t head[HELLO_HEAD], size_t have, size_t *total,
                            struct err *err)
{
    *total = 0;
    if (have >= 1 && head[0] != CLIENT_HELLO)
        return err_set(err, ERR_TLS, "handshake message %u where a ClientHello belongs", head[0]);
    if (have < HELLO_HEAD)
        return 0;
    *total = HELLO_HEAD + ((size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3]);
    if (*total > LIMIT_CLIENT_HELLO)
        return err_set(err, ERR_TLS, "a ClientHello of %zu bytes", *total);
    return 0;
}

/* Where the message lies, once all of it is there. */
struct extent {
    size_t total;      /* its length with its head; 0 as long as that is not known */
    struct span first; /* the first record's body */
};

/* 1 if the whole message is there, 0 if not, -1. */
static int hello_measure(struct span in, struct extent *extent, struct err *err)
{
    uint8_t head[HELLO_HEAD] = {0};
    struct span body = {0};
    size_t have = 0;
    int more;

    *extent = (struct extent){0};
    while ((more = record_next(&in, &body, err)) > 0) {
        if (have == 0)
            extent->first = body;
        for (size_t i = 0; have + i < HELLO_HEAD && i < body.len; i++)
            head[have + i] = body.ptr[i];
        have += body.len;
        if (extent->total == 0 &&
            hello_head_check(head, num_min(have, HELLO_HEAD), &extent->total, err) < 0)
            return -1;
        if (extent->total > 0 && have >= extent->total)
            return 1;
    }
    return more;
}

/* --- extensions --- */

static int name_read(struct span data, struct sni *sni, struct err *err)
{
    struct span list;
    struct span name;
    size_t type;

    if (take_vector(&data, 2, &list) < 0 || data.len != 0 || take_number(&list, 1, &type) < 0 ||
        type != 0 || take_vector(&list, 2, &name) < 0)
        return err_set(err, ERR_TLS, "malformed server_name");
    if (list.len != 0)
        return err_set(err, ERR_TLS, "more than one name in server_name");
    if (name.len == 0 || name.len >= sizeof sni->name)
        return err_set(err, ERR_TLS, "server_name of %zu bytes", name.len);
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] <= 0x20 || name.ptr[i] >= 0x7f)
            return err_set(err, ERR_TLS, "server_name: byte 0x%02x at %zu", name.ptr[i], i);
    }
    memcpy(sni->name, name.ptr, name.len);
    sni->name[name.len] = '\0';
    sni->name_len = name.len;
    return 0;
}

static int alpn_read(struct span data, struct sni *sni, struct err *err)
{
    struct span list;
    struct span protocol;

    if (take_vector(&data, 2, &list) < 0 || data.len != 0 || list.len == 0)
        return err_set(err, ERR_TLS, "malformed ALPN");
    while (list.len > 0) {
        if (take_vector(&list, 1, &protocol) < 0 || protocol.len == 0)
            return err_set(err, ERR_TLS, "malformed ALPN");
        sni->offers_h2 |= span_equal(protocol, span_text("h2"));
        sni->offers_http11 |= span_equal(protocol, span_text("http/1.1"));
    }
    sni->has_alpn = 1;
    return 0;
}

static int extensions_read(struct span list, struct sni *sni, struct err *err)
{
    while (list.len > 0) {
        struct span data;
        size_t type;

        if (take_number(&list, 2, &type) < 0 || take_vector(&list, 2, &data) < 0)
            return err_set(err, ERR_TLS, "malformed extensions");
        if ((type == EXT_NAME && sni->name_len > 0) || (type == EXT_ALPN && sni->has_alpn))
            return err_set(err, ERR_TLS, "extension %zu is there twice", type);
        if (type == EXT_NAME && name_read(data, sni, err) < 0)
            return -1;
        if (type == EXT_ALPN && alpn_read(data, sni, err) < 0)
            return -1;
    }
    return 0;
}

/* RFC 8446 section 4.1.2; extensions may be missing from a TLS 1.2 client. */
static int hello_read(struct span hello, struct sni *sni, struct err *err)
{
    struct span s = span_from(hello, HELLO_HEAD);
    struct span random;
    struct span session;
    struct span ciphers;
    struct span compressions;
    struct span extensions;
    size_t version;

    if (take_number(&s, 2, &version) < 0 || version >> 8 != 3 || take_bytes(&s, 32, &random) < 0 ||
        take_vector(&s, 1, &session) < 0 || session.len > 32 || take_vector(&s, 2, &ciphers) < 0 ||
        ciphers.len == 0 || ciphers.len % 2 != 0 || take_vector(&s, 1, &compressions) < 0 ||
        compressions.len == 0)
        return err_set(err, ERR_TLS, "malformed ClientHello");
    if (s.len == 0)
        return 0;
    if (take_vector(&s, 2, &extensions) < 0 || s.len != 0)
        return err_set(err, ERR_TLS, "malformed extensions");
    return extensions_read(extensions, sni, err);
}

/* The message from several records. Only here is the large buffer on the stack. */
static __attribute__((noinline)) int hello_join(struct span in, size_t total, struct sni *sni,
                                                struct err *err)
{
    uint8_t joined[LIMIT_CLIENT_HELLO];
    struct span body = {0};
    size_t have = 0;

    ENSURE(total <= sizeof joined);
    while (have < total && record_next(&in, &body, err) > 0) {
        size_t len = num_min(body.len, total - have);

        if (len > 0)
            memcpy(joined + have, body.ptr, len);
        have += len;
    }
    ENSURE(have == total); /* hello_measure() has seen it all */
    return hello_read(span_of(joined, total), sni, err);
}

int sni_peek(struct span in, struct sni *sni, struct err *err)
{
    struct extent extent;
    int whole = hello_measure(in, &extent, err);

    if (whole < 0)
        return -1;
    if (whole == 0 && in.len > LIMIT_CLIENT_HELLO)
        return err_set(err, ERR_TLS, "no ClientHello within %d bytes", LIMIT_CLIENT_HELLO);
    if (whole == 0)
        return 0;
    *sni = (struct sni){0};
    if (extent.first.len >= extent.total)
        whole = hello_read(span_first(extent.first, extent.total), sni, err);
    else
        whole = hello_join(in, extent.total, sni, err);
    return whole < 0 ? -1 : 1;
}
