/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar. Most choices are the plain ones, so that a stream has one or two things wrong and
 * the readers get to it; each list of words begins with what is right.
 */
#include "generate.h"

#include <stdio.h>

struct writer {
    uint8_t *out;
    size_t len;
    uint64_t state;
    unsigned odd; /* of 256 choices, how many are not the first */
};

/* splitmix64 */
static uint64_t next(struct writer *w)
{
    uint64_t z = w->state += 0x9e3779b97f4a7c15U;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

static size_t below(struct writer *w, size_t count)
{
    return (size_t)(next(w) >> 16) % count;
}

static bool is_odd(struct writer *w)
{
    return (next(w) >> 24 & 255) < w->odd;
}

static bool is_very_odd(struct writer *w)
{
    bool first = is_odd(w);

    return is_odd(w) && first;
}

static bool is_most_odd(struct writer *w)
{
    bool first = is_odd(w);

    return is_very_odd(w) && first;
}

static void put(struct writer *w, const void *bytes, size_t len)
{
    if (len > GENERATE_MAX - w->len)
        len = GENERATE_MAX - w->len;
    memcpy(w->out + w->len, bytes, len);
    w->len += len;
}

static void put_text(struct writer *w, const char *text)
{
    put(w, text, strlen(text));
}

static void put_run(struct writer *w, char byte, size_t len)
{
    while (len-- > 0)
        put(w, &byte, 1);
}

/* The first of the words, or any of them. */
static const char *pick(struct writer *w, const char *const *words, size_t count)
{
    return words[is_odd(w) ? below(w, count) : 0];
}
#define PICK(w, ...)                                                                               \
    pick((w), (const char *const[]){__VA_ARGS__},                                                  \
         sizeof(const char *const[]){__VA_ARGS__} / sizeof(const char *))

/* The end of a line: threat A5. */
static void put_eol(struct writer *w)
{
    w->odd /= 8; /* there are many lines */
    put_text(
        w, PICK(w, "\r\n", "\n", "\r", "\r\r\n", "\n\r", " \r\n", "\r\n\r\n", "\t\r\n", "\f\r\n"));
    w->odd *= 8;
}

/* A byte that has no place in most places. */
static void put_bad_byte(struct writer *w)
{
    static const char bytes[] = "\0\r\n\t\v\f\x1b\x7f\x80\xff :;,\"\\";

    put(w, bytes + below(w, sizeof bytes - 1), 1);
}

/* Threats A9, E3, E12. */
static void put_target(struct writer *w)
{
    put_text(w, PICK(w, "/", "/a/b?c=d", "/%41%2f", "*", "http://a.example/",
                     "https://a.example:443/x?y", "http://other/", "HTTP://A.EXAMPLE/", "ftp://a/",
                     "a.example:443", "//a/b", "", "/a b", "/#f", "/%", "/%zz", "/%00", "/../x",
                     "/\\", "http://", "http://u@a/", "http:///x", "/a\x80", "?", "/a?b?c",
                     "http://[::1]:80/", "/a\tb", "x", "/{}|^`", "http://a.example",
                     "http://a.example?q", "/a;b=c/d", "https:a", "://", "1"));
    if (is_very_odd(w)) /* threat A10 */
        put_run(w, 'a', below(w, 20000));
}

static void put_start_line(struct writer *w)
{
    if (is_very_odd(w))
        put_text(w, PICK(w, "\r\n", "\n", " ", "\r\n\r\n", "\r"));
    put_text(w, PICK(w, "GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "CONNECT",
                     "TRACE", "get", "FOO", "M-SEARCH", "PRI", "SOURCE", "", "G\tET", "GET,",
                     "PROPFIND", "\x80", "G=T", "QUERY", "HTTP/1.1"));
    put_text(w, PICK(w, " ", "  ", "\t", "", " \t", "\v", "\r"));
    put_target(w);
    put_text(w, PICK(w, " ", "  ", "\t", "", "\r\n", "\f"));
    put_text(w, PICK(w, "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/1.10",
                     "http/1.1", "HTTP/1,1", "HTTP/11", "HTTP/1.1 ", "HTTP/1.", "HTTP/1.1\t", "",
                     "HTTP /1.1", "HTTP/01.1", "ICE/1.0", "RTSP/1.0", "HTTP/+1.1"));
    put_eol(w);
}

static void put_blank(struct writer *w)
{
    put_text(w, PICK(w, " ", "", "\t", "  ", " \t ", "\v", "\r\n ", "\r", "\f"));
}

/* A field line with what may go wrong around its colon: threat A4. */
static void put_field(struct writer *w, const char *name, const char *value)
{
    w->odd /= 4;
    if (is_odd(w))
        put_text(w, PICK(w, " ", "\t", "\x01", ""));
    put_text(w, name);
    put_text(w, PICK(w, ":", " :", "\t:", "", "::", ";", "=", "\r\n:", "\v:"));
    put_blank(w);
    put_text(w, value);
    if (is_odd(w))
        put_blank(w);
    if (is_odd(w)) { /* folded */
        put_text(w, PICK(w, "\r\n ", "\r\n\t", "\n ", "\r ", "\r\n  \r\n"));
        put_text(w, "more");
    }
    if (is_odd(w))
        put_bad_byte(w);
    w->odd *= 4;
    put_eol(w);
}

static void put_host(struct writer *w)
{
    if (is_very_odd(w))
        return;
    put_field(w, PICK(w, "Host", "host", "HOST", "Host ", "X-Host"),
              PICK(w, "a.example", "", "b.example", "a.example:443", "a, b", "a b", "a@b"));
    if (is_very_odd(w))
        put_field(w, "Host", PICK(w, "a.example", "b.example"));
}

/* `pattern` with each '#' as `number`. Returns the C string in `out`. */
static const char *fill(const char *pattern, const char *number, char out[64])
{
    size_t len = 0;

    for (; *pattern != '\0'; pattern++) {
        size_t more = *pattern == '#' ? strlen(number) : 1;

        ENSURE(len + more < 64);
        memcpy(out + len, *pattern == '#' ? number : pattern, more);
        len += more;
    }
    out[len] = '\0';
    return out;
}

/* Threats A1 and A2; `body` is how long the content will be. */
static void put_length(struct writer *w, size_t body)
{
    char exact[24];
    char shown[64];
    const char *pattern =
        PICK(w, "#", "+#", "-#", "0x#", "#,#", "#, #", "0#", "# ", " #", "#.0", "#;", "\"#\"",
             "00000000000000000#", "#\v", "1#", "#e0", "", "0", "9223372036854775808",
             "18446744073709551616", "18446744073709551615", "99999999999999999999",
             "999999999999999999", "1000000000000000000", "4294967296", "a", "5,5", "5 5", "1_0");

    (void)snprintf(exact, sizeof exact, "%zu", body);
    put_field(w,
              PICK(w, "Content-Length", "content-length", "Content_Length", "Content-Length ",
                   "Content-length", "X-Content-Length", "Content-Lengt"),
              fill(pattern, exact, shown));
}

/* Threat A3. */
static void put_coding(struct writer *w)
{
    put_field(
        w,
        PICK(w, "Transfer-Encoding", "transfer-encoding", "Transfer_Encoding", "Transfer-Encoding ",
             "TRANSFER-ENCODING", "Transfer-Encodin", "X-Transfer-Encoding"),
        PICK(w, "chunked", "Chunked", "CHUNKED", "xchunked", "chunkedx", "chunked, identity",
             "identity, chunked", "identity", "gzip, chunked", "chunked, chunked", "\tchunked",
             "\vchunked", "chunked\v", "\"chunked\"", "chunked;q=1", "", ",chunked", "chunked,",
             "gzip", "chunke d", "chunked, gzip", "chunk", "chunked\t"));
}

static void put_other(struct writer *w)
{
    static const char *const names[] = {"Accept", "X-A",    "Cookie", "a",
                                        "X_B",    "Expect", "TE",     "!#$%&'*+-.^_`|~"};

    if (is_odd(w))
        put_field(
            w,
            PICK(w, "X-Odd", "", "X(a)", "X\"", "X\x80", "X[", "X/1", "X@", "{}", "X,Y", "X\x7f",
                 "GET / HTTP/1.1"),
            PICK(w, "v", "", "\x80\xff", "a\tb", "a\x01z", "\x7f", "\"q\"", "a\rb", "a\nb", ":"));
    else
        put_field(w, names[below(w, sizeof names / sizeof names[0])],
                  PICK(w, "value", "", "a, b", "100-continue", "trailers", "x=1; y=2", "a  b"));
}

/* Threat A6. Writes chunks of some bytes in all. */
static void put_chunks(struct writer *w)
{
    size_t count = below(w, 3);
    char digits[24];
    char size[64];

    for (size_t i = 0; i <= count; i++) {
        size_t len = i == count ? 0 : 1 + below(w, is_odd(w) ? 300 : 20);
        const char *pattern = PICK(w, "#", "0#", "0x#", "-#", "+#", " #", "# ", "#\t", "1_#", "#g",
                                   "000000000000000#", "0000000000000000#", "10000000000000000#",
                                   "f#", "#\v", "ffffffffffffff#", "\"#\"");

        (void)snprintf(digits, sizeof digits, is_odd(w) ? "%zX" : "%zx", len);
        (void)fill(pattern, digits, size);
        put_text(w, size);
        if (is_odd(w))
            put_text(w, PICK(w, ";a=b", ";", ";a", " ;a=b", "; a=\"b;c\"", ";a=\"\\\"\"", ";a=b;c",
                             ";\n", ";a=\rb", ";a=\x01", ";;", ",a", ";a=", ";a b", ";\x80",
                             ";a=\"b"));
        if (is_very_odd(w)) {
            put_text(w, ";");
            put_run(w, 'x', below(w, 400));
        }
        put_eol(w);
        if (len == 0)
            break;
        put_run(w, "0aZ\r\n"[below(w, 5)], is_odd(w) ? below(w, len + 3) : len);
        put_eol(w);
    }
    if (is_odd(w)) /* threat A7 */
        put_field(w, PICK(w, "X-Trailer", "Content-Length", "Transfer-Encoding", "Host", "", "a b"),
                  PICK(w, "v", "5", "chunked", "a\x01"));
    put_eol(w);
}

static void put_connection(struct writer *w)
{
    put_field(w, PICK(w, "Connection", "connection", "Proxy-Connection"),
              PICK(w, "keep-alive", "close", "Close", "close, keep-alive", "keep-alive, close",
                   "Upgrade", "", "closed", "x, close", "close,", "TE", "keep-alive\t",
                   "upgrade, close", "close;x", "Content-Length", "clos e"));
    if (is_odd(w))
        put_field(w, "Upgrade", PICK(w, "websocket", "h2c", ""));
}

/* Content by length, in chunks, none, or one of them announced and another sent. */
static void put_request(struct writer *w)
{
    size_t kind = below(w, 4);
    size_t body = kind == 1 ? below(w, 40) : 0;
    bool is_chunked = kind == 2;

    put_start_line(w);
    put_host(w);
    for (size_t i = below(w, 3); i > 0; i--)
        put_other(w);
    if (is_odd(w))
        put_connection(w);
    if (kind == 1 || (is_very_odd(w)))
        put_length(w, body);
    if (is_chunked || (is_very_odd(w)))
        put_coding(w);
    if (kind == 1 && is_very_odd(w))
        put_length(w, body + below(w, 2));
    if (is_most_odd(w)) /* threat A10 */
        for (size_t i = 120 + below(w, 12); i > 0; i--)
            put_text(w, "X-Many: 1\r\n");
    if (is_most_odd(w)) {
        put_text(w, "X-Long: ");
        put_run(w, 'l', below(w, 2) ? 16300 + below(w, 100) : below(w, 70000));
        put_text(w, "\r\n");
    }
    put_eol(w);
    if (is_chunked)
        put_chunks(w);
    put_run(w, 'b', is_very_odd(w) ? below(w, body + 3) : body);
}

/* One small change anywhere. */
static void mutate(struct writer *w)
{
    size_t at = w->len == 0 ? 0 : below(w, w->len);
    size_t span = 1 + below(w, 8);

    if (w->len == 0)
        return;
    if (span > w->len - at)
        span = w->len - at;
    switch (below(w, 5)) {
    case 0:
        w->out[at] = (uint8_t)next(w);
        break;
    case 1: {
        size_t end = w->len;

        put_bad_byte(w);
        if (w->len > end)
            w->out[at] = w->out[end];
        w->len = end;
        break;
    }
    case 2: /* leave out */
        memmove(w->out + at, w->out + at + span, w->len - at - span);
        w->len -= span;
        break;
    case 3: /* twice */
        if (w->len + span > GENERATE_MAX)
            break;
        memmove(w->out + at + span, w->out + at, w->len - at);
        w->len += span;
        break;
    default: /* the end is missing */
        w->len = at;
        break;
    }
}

size_t generate_requests(uint64_t seed, uint8_t out[GENERATE_MAX])
{
    static const unsigned oddness[] = {0, 8, 16, 24, 40, 72};
    struct writer w = {.out = out, .state = seed * 0x2545f4914f6cdd1dU + 1};

    w.odd = oddness[below(&w, sizeof oddness / sizeof oddness[0])];
    for (size_t i = 1 + below(&w, 3); i > 0; i--)
        put_request(&w);
    if (below(&w, 3) == 0)
        for (size_t i = 1 + below(&w, 3); i > 0; i--)
            mutate(&w);
    return w.len;
}
