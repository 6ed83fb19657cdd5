/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request targets. The path is rewritten into the one form that policy sees and that is sent, so
 * that no two parties read it differently (threat E12): escapes of unreserved characters decoded,
 * dot segments resolved, and what some server would take for a dot segment although RFC 3986 does
 * not is refused. Written segment by segment; the result is never longer than what was sent.
 */
#include "http/target.h"

#define PORT_HTTP  80
#define PORT_HTTPS 443

enum { IS_PCHAR = 1, IS_UNRESERVED = 2, IS_QUERY = 4 };

/*
 * RFC 3986 section 3.3 (pchar without '%') and section 2.3. A query may hold all visible ASCII but
 * '#': clients send brackets, braces and quotes there as they are, and nothing is derived from it.
 */
/* clang-format off */
static const uint8_t target_class[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 00 */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 10 */
    0, 5, 4, 0, 5, 0, 5, 5, 5, 5, 5, 5, 5, 7, 7, 4, /* 20 */
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 5, 5, 4, 5, 4, 4, /* 30 */
    5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, /* 40 */
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 4, 4, 4, 4, 7, /* 50 */
    4, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, /* 60 */
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 4, 4, 4, 7, 0, /* 70 */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 80 */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 90 */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* a0 */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* b0 */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* c0 */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* d0 */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* e0 */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* f0 */
};
/* clang-format on */

static bool is_class(uint8_t byte, int class)
{
    return (target_class[byte] & class) != 0;
}

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The byte that the escape at the start of `text` stands for, or -1. */
static int escape_read(struct span text)
{
    int high;
    int low;

    if (text.len < 3 || text.ptr[0] != '%')
        return -1;
    high = hex_value(text.ptr[1]);
    low = hex_value(text.ptr[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* The path that is being written: `ptr` has room for all that can come. */
struct path {
    uint8_t *ptr;
    size_t len;
};

static int path_add_escape(struct path *path, struct span text, struct err *err)
{
    static const char digits[] = "0123456789ABCDEF";
    int byte = escape_read(text);

    if (byte <= 0)
        return err_set(err, ERR_TARGET, byte < 0 ? "path: bad escape" : "path: %%00");
    if (is_class((uint8_t)byte, IS_UNRESERVED)) {
        path->ptr[path->len++] = (uint8_t)byte;
        return 0;
    }
    path->ptr[path->len++] = '%';
    path->ptr[path->len++] = (uint8_t)digits[byte >> 4];
    path->ptr[path->len++] = (uint8_t)digits[byte & 15];
    return 0;
}

/* Bytes up to the next '/'. Returns how many were read, or -1. */
static ssize_t path_add_segment(struct path *path, struct span text, struct err *err)
{
    size_t at = 0;

    while (at < text.len && text.ptr[at] != '/') {
        if (is_class(text.ptr[at], IS_PCHAR)) {
            path->ptr[path->len++] = text.ptr[at++];
            continue;
        }
        if (text.ptr[at] != '%')
            return err_set(err, ERR_TARGET, "path: byte 0x%02x", text.ptr[at]);
        if (path_add_escape(path, span_from(text, at), err) < 0)
            return -1;
        at += 3;
    }
    return (ssize_t)at;
}

static bool is_dots(struct span piece)
{
    return span_equal(piece, span_of(".", 1)) || span_equal(piece, span_of("..", 2));
}

/* Length of what some servers take for the end of a name at the start of `text`, or 0. */
static size_t separator_len(struct span text)
{
    if (text.ptr[0] == ';')
        return 1;
    switch (escape_read(text)) {
    case '/':
    case '\\':
    case ';':
        return 3;
    default:
        return 0;
    }
}

/*
 * Whether a server that decodes "%2F" or "%5C" before it resolves dots, or that strips ";..."
 * parameters before it does, would find a dot segment in this one: "..;", "a%2F..", ".%5C".
 */
static bool is_hidden_dots(struct span segment)
{
    size_t start = 0;
    bool is_split = false;

    for (size_t at = 0; at < segment.len;) {
        size_t len = separator_len(span_from(segment, at));

        if (len == 0) {
            at++;
            continue;
        }
        if (is_dots(span_of(segment.ptr + start, at - start)))
            return true;
        at += len;
        start = at;
        is_split = true;
    }
    return is_split && is_dots(span_from(segment, start));
}

enum segment_place { SEGMENT_INNER, SEGMENT_LAST };

/*
 * Resolve the segment that was written last, from `start` on, if it is "." or ".."
 * (RFC 3986 section 5.2.4). At the end the slash before it stays.
 */
static int path_resolve(struct path *path, size_t start, enum segment_place place, struct err *err)
{
    struct span segment = span_of(path->ptr + start, path->len - start);

    if (is_hidden_dots(segment))
        return err_set(err, ERR_TARGET, "path: a dot segment in disguise");
    if (!is_dots(segment))
        return 0;
    path->len = start - 1;
    if (segment.len == 2) {
        if (path->len == 0)
            return err_set(err, ERR_TARGET, "path: '..' above the root");
        do {
            path->len--;
        } while (path->ptr[path->len] != '/');
    }
    if (place == SEGMENT_LAST)
        path->ptr[path->len++] = '/';
    return 0;
}

/* `text` starts with '/'. */
static int path_read(struct span text, struct arena *arena, struct span *out, struct err *err)
{
    struct path path = {.ptr = arena_take(arena, text.len)};
    size_t at = 0;

    ENSURE(text.len > 0 && text.ptr[0] == '/');
    if (path.ptr == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a path of %zu bytes", text.len);
    while (at < text.len) {
        size_t start = path.len + 1;
        ssize_t len;

        path.ptr[path.len++] = '/';
        len = path_add_segment(&path, span_from(text, at + 1), err);
        if (len < 0)
            return -1;
        at += (size_t)len + 1;
        if (path_resolve(&path, start, at == text.len ? SEGMENT_LAST : SEGMENT_INNER, err) < 0)
            return -1;
    }
    *out = span_of(path.ptr, path.len);
    return 0;
}

/* '?' and what follows, checked but left as it is. */
static int query_check(struct span query, struct err *err)
{
    for (size_t at = 0; at < query.len; at++) {
        uint8_t byte = query.ptr[at];

        if (byte == '%' && escape_read(span_from(query, at)) < 0)
            return err_set(err, ERR_TARGET, "query: bad escape");
        if (byte != '%' && !is_class(byte, IS_QUERY))
            return err_set(err, ERR_TARGET, "query: byte 0x%02x", byte);
    }
    return 0;
}

/* path [ "?" query ], both may be empty. */
static int path_and_query_read(struct span text, struct arena *arena, struct target *target,
                               struct err *err)
{
    ssize_t mark = span_find(text, '?');
    struct span path = mark < 0 ? text : span_first(text, (size_t)mark);

    target->query = span_from(text, path.len);
    if (query_check(target->query, err) < 0)
        return -1;
    if (path.len == 0) /* RFC 3986 section 6.2.3 */
        path = span_of("/", 1);
    return path_read(path, arena, &target->path, err);
}

static size_t authority_len(struct span text)
{
    size_t len = 0;

    while (len < text.len && text.ptr[len] != '/' && text.ptr[len] != '?')
        len++;
    return len;
}

/* scheme "://" authority path [ "?" query ] */
static int absolute_read(struct span text, struct arena *arena, struct target *target,
                         struct err *err)
{
    static const struct {
        const char *scheme;
        uint16_t port;
    } schemes[] = {{"http", PORT_HTTP}, {"https", PORT_HTTPS}};
    ssize_t colon = span_find(text, ':');
    uint16_t default_port = 0;
    size_t len;

    for (size_t i = 0; i < 2 && colon > 0; i++) {
        if (!span_equal_nocase(span_first(text, (size_t)colon), span_text(schemes[i].scheme)))
            continue;
        target->scheme = span_text(schemes[i].scheme);
        default_port = schemes[i].port;
    }
    if (default_port == 0 || !span_starts(span_from(text, (size_t)colon), span_of("://", 3)))
        return err_set(err, ERR_TARGET, "target is neither a path nor an http or https URL");
    text = span_from(text, (size_t)colon + 3);
    len = authority_len(text);
    target->form = TARGET_ABSOLUTE;
    if (target_read_authority(span_first(text, len), default_port, &target->host, &target->port,
                              err) < 0)
        return -1;
    return path_and_query_read(span_from(text, len), arena, target, err);
}

int target_read(struct span text, struct arena *arena, struct target *target, struct err *err)
{
    *target = (struct target){.form = TARGET_ORIGIN};
    if (text.len == 0 || text.len > LIMIT_TARGET)
        return err_set(err, ERR_TARGET, "target of %zu bytes", text.len);
    if (text.ptr[0] == '/')
        return path_and_query_read(text, arena, target, err);
    if (span_equal(text, span_of("*", 1))) {
        target->form = TARGET_ASTERISK;
        target->path = span_of("*", 1);
        return 0;
    }
    return absolute_read(text, arena, target, err);
}
