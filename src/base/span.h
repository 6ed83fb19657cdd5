/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_SPAN_H
#define EXEAT_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "base/ensure.h"

/* Borrowed bytes. `ptr` may be NULL only if `len` is 0. */
struct span {
    const uint8_t *ptr;
    size_t len;
};

/* Borrowed bytes that may be written. */
struct room {
    uint8_t *ptr;
    size_t len;
};

static inline struct span span_of(const void *ptr, size_t len)
{
    return (struct span){.ptr = ptr, .len = len};
}

/* The bytes of a C string, without its NUL. For literals and our own strings only. */
static inline struct span span_text(const char *text)
{
    return (struct span){.ptr = (const uint8_t *)text, .len = strlen(text)};
}

static inline struct span span_of_room(struct room room)
{
    return (struct span){.ptr = room.ptr, .len = room.len};
}

/* What follows the first `at` bytes; `at` <= len. */
static inline struct span span_from(struct span s, size_t at)
{
    ENSURE(at <= s.len);
    return (struct span){.ptr = at == 0 ? s.ptr : s.ptr + at, .len = s.len - at};
}

/* The first `len` bytes; `len` <= s.len. */
static inline struct span span_first(struct span s, size_t len)
{
    ENSURE(len <= s.len);
    return (struct span){.ptr = s.ptr, .len = len};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII case is ignored, nothing else. */
bool span_equal_nocase(struct span a, struct span b);
bool span_starts(struct span s, struct span prefix);
bool span_ends(struct span s, struct span suffix);

/* Offset of the first `byte`, or -1. */
ssize_t span_find(struct span s, uint8_t byte);

/* Offset of the first `needle` (not empty), or -1. */
ssize_t span_find_span(struct span s, struct span needle);

/* Without SP, HTAB, CR and LF on both ends. */
struct span span_trim(struct span s);

#endif
