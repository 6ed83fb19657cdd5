/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host patterns and path globs. Both compare canonical forms byte for byte, by whole labels and
 * whole paths: nothing here is anchored by the one who writes the rule (threat E11).
 *
 * A glob is run as a set of places in it that the path read so far can have reached, one bit
 * each: no backtracking, so no path can make it slow. A star's bit stays while the star goes on,
 * and the place behind a star is reached together with the star.
 */
#include "policy/match.h"

#define GLOB_WORDS ((MATCH_GLOB_MAX + 1 + 63) / 64)

struct glob_state {
    uint64_t places[GLOB_WORDS]; /* bit i: glob[0..i) has matched */
};

static bool is_below(struct span name, struct span parent)
{
    return name.len > parent.len + 1 && name.ptr[name.len - parent.len - 1] == '.' &&
           span_ends(name, parent);
}

bool match_host(const struct host_pattern *pattern, const struct host *host)
{
    struct span name = target_host_span(host);

    switch (pattern->kind) {
    case PATTERN_EXACT:
        return span_equal(pattern->name, name);
    case PATTERN_BELOW:
        return host->kind == HOST_NAME && is_below(name, pattern->name);
    case PATTERN_ANY:
        return host->kind == HOST_NAME;
    }
    return false;
}

static bool has_place(const struct glob_state *state, size_t at)
{
    return (state->places[at / 64] >> (at % 64) & 1) != 0;
}

/* The places reached at `at`: it and, for stars, what is behind them. */
static void add_place(struct glob_state *state, struct span glob, size_t at)
{
    state->places[at / 64] |= UINT64_C(1) << (at % 64);
    while (at < glob.len && glob.ptr[at] == '*') {
        at++;
        state->places[at / 64] |= UINT64_C(1) << (at % 64);
    }
}

static bool is_double_star(struct span glob, size_t at)
{
    return (at > 0 && glob.ptr[at - 1] == '*') || (at + 1 < glob.len && glob.ptr[at + 1] == '*');
}

static void step(struct glob_state *next, struct span glob, size_t at, uint8_t byte)
{
    if (at == glob.len)
        return;
    if (glob.ptr[at] != '*') {
        if (glob.ptr[at] == byte)
            add_place(next, glob, at + 1);
        return;
    }
    if (byte != '/' || is_double_star(glob, at))
        add_place(next, glob, at);
}

bool match_path(struct span glob, struct span path)
{
    struct glob_state now = {{0}};

    ENSURE(glob.len <= MATCH_GLOB_MAX);
    add_place(&now, glob, 0);
    for (size_t i = 0; i < path.len; i++) {
        struct glob_state next = {{0}};

        for (size_t word = 0; word < GLOB_WORDS; word++) {
            for (uint64_t left = now.places[word]; left != 0; left &= left - 1)
                step(&next, glob, word * 64 + (size_t)__builtin_ctzll(left), path.ptr[i]);
        }
        now = next;
    }
    return has_place(&now, glob.len);
}

static bool is_unreserved(unsigned byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

/* RFC 3986 section 3.3: pchar without escapes, and the slash. */
static bool is_path_byte(uint8_t byte)
{
    return is_unreserved(byte) || (byte != 0 && strchr("!$&'()*+,;=:@/", byte) != NULL);
}

/* The value of an upper-case hexadecimal digit, or -1. */
static int upper_hex(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

static int check_escape(struct span glob, size_t at, struct err *err)
{
    int high = at + 2 < glob.len ? upper_hex(glob.ptr[at + 1]) : -1;
    int low = at + 2 < glob.len ? upper_hex(glob.ptr[at + 2]) : -1;

    if (high < 0 || low < 0)
        return err_set(err, ERR_CONFIG,
                       "'%%' at %zu without two digits 0-9A-F (upper case, as paths are matched)",
                       at);
    if (high * 16 + low == 0)
        return err_set(err, ERR_CONFIG, "%%00 at %zu, which is refused in every request", at);
    if (is_unreserved((unsigned)(high * 16 + low)))
        return err_set(err, ERR_CONFIG, "%%%X%X at %zu: write '%c', as paths are matched", high,
                       low, at, high * 16 + low);
    return 0;
}

static bool is_dot_segment(struct span segment)
{
    return span_equal(segment, span_text(".")) || span_equal(segment, span_text(".."));
}

static int check_segments(struct span glob, struct err *err)
{
    size_t start = 0;

    for (size_t i = 0; i <= glob.len; i++) {
        if (i < glob.len && glob.ptr[i] != '/')
            continue;
        if (is_dot_segment(span_of(glob.ptr + start, i - start)))
            return err_set(err, ERR_CONFIG, "a dot segment, which no normalised path has");
        start = i + 1;
    }
    return 0;
}

int match_check_glob(struct span glob, struct err *err)
{
    if (glob.len == 0 || glob.len > MATCH_GLOB_MAX)
        return err_set(err, ERR_CONFIG, "a path of %zu bytes, expected 1 to %d", glob.len,
                       MATCH_GLOB_MAX);
    if (span_equal(glob, span_text("*")))
        return 0;
    if (glob.ptr[0] != '/' && !span_starts(glob, span_text("**")))
        return err_set(err, ERR_CONFIG, "a path that starts with neither '/' nor '**'");
    if (span_find_span(glob, span_text("***")) >= 0)
        return err_set(err, ERR_CONFIG, "'***', expected '*' (in a segment) or '**' (anything)");
    for (size_t i = 0; i < glob.len; i++) {
        if (glob.ptr[i] == '?' || glob.ptr[i] == '#')
            return err_set(err, ERR_CONFIG, "'%c' at %zu: rules see the path without its query",
                           glob.ptr[i], i);
        if (glob.ptr[i] == '%') {
            if (check_escape(glob, i, err) < 0)
                return -1;
            continue;
        }
        if (!is_path_byte(glob.ptr[i]))
            return err_set(err, ERR_CONFIG, "byte 0x%02x at %zu, which no path has", glob.ptr[i],
                           i);
    }
    return check_segments(glob, err);
}

static int set_name(struct host_pattern *pattern, const struct host *host, struct arena *arena,
                    struct err *err)
{
    pattern->name = arena_copy(arena, target_host_span(host));
    if (pattern->name.ptr == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a host pattern");
    return 0;
}

int match_read_host_pattern(struct span text, struct arena *arena, struct host_pattern *pattern,
                            struct err *err)
{
    struct span below = span_text("*.");
    struct host host;
    struct err why;

    *pattern = (struct host_pattern){0};
    if (span_equal(text, span_text("*"))) {
        pattern->kind = PATTERN_ANY;
        return 0;
    }
    pattern->kind = PATTERN_EXACT;
    if (span_starts(text, below)) {
        pattern->kind = PATTERN_BELOW;
        text = span_from(text, below.len);
    }
    if (span_find(text, '*') >= 0)
        return err_set(err, ERR_CONFIG, "a '*' that is neither alone nor the first label");
    if (target_read_host(text, &host, &why) < 0)
        return err_set(err, ERR_CONFIG, "%s", why.text);
    if (pattern->kind == PATTERN_BELOW && host.kind != HOST_NAME)
        return err_set(err, ERR_CONFIG, "'*.' before an address, which has nothing below it");
    return set_name(pattern, &host, arena, err);
}

bool match_is_literal(const struct host_pattern *pattern)
{
    if (pattern->kind != PATTERN_EXACT || pattern->name.len == 0)
        return false;
    if (span_find(pattern->name, ':') >= 0)
        return true;
    /* A canonical name whose last label is all digits is an IPv4 address (target_read_host). */
    for (size_t i = pattern->name.len; i > 0 && pattern->name.ptr[i - 1] != '.'; i--) {
        if (pattern->name.ptr[i - 1] < '0' || pattern->name.ptr[i - 1] > '9')
            return false;
    }
    return true;
}

bool match_covers(const struct host_pattern *wide, const struct host_pattern *narrow)
{
    switch (wide->kind) {
    case PATTERN_EXACT:
        return narrow->kind == PATTERN_EXACT && span_equal(wide->name, narrow->name);
    case PATTERN_BELOW:
        if (narrow->kind == PATTERN_BELOW && span_equal(wide->name, narrow->name))
            return true;
        return narrow->kind != PATTERN_ANY && is_below(narrow->name, wide->name);
    case PATTERN_ANY:
        return !match_is_literal(narrow);
    }
    return false;
}
