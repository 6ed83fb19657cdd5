/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character classes of HTTP. Names are looked up byte by byte in a table; values are long and
 * mostly plain, so they are tested eight bytes at a time, and by the table where that says no.
 */
#include "http/token.h"

enum { IS_TCHAR = 1, IS_VALUE = 2 };

/* Bits of RFC 9110 section 5.6.2 (tchar) and section 5.5 (field-vchar, SP, HTAB). */
/* clang-format off */
static const uint8_t token_class[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, /* 00 */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 10 */
    2, 3, 2, 3, 3, 3, 3, 3, 2, 2, 3, 3, 2, 3, 3, 2, /* 20 */
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, /* 30 */
    2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, /* 40 */
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 3, 3, /* 50 */
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, /* 60 */
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 3, 2, 3, 0, /* 70 */
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* 80 */
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* 90 */
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* a0 */
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* b0 */
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* c0 */
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* d0 */
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* e0 */
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, /* f0 */
};
/* clang-format on */

bool token_is_tchar(uint8_t byte)
{
    return (token_class[byte] & IS_TCHAR) != 0;
}

bool token_is_value_byte(uint8_t byte)
{
    return (token_class[byte] & IS_VALUE) != 0;
}

size_t token_count_tchars(struct span text)
{
    size_t at = 0;

    while (at < text.len && (token_class[text.ptr[at]] & IS_TCHAR) != 0)
        at++;
    return at;
}

/*
 * Whether one of eight bytes may be below 0x20 or be 0x7f. Says yes for HTAB too, and for what
 * follows such a byte; the table has the last word.
 */
static bool is_suspect(const uint8_t *eight)
{
    const uint64_t ones = 0x0101010101010101;
    const uint64_t tops = ones * 0x80;
    uint64_t word;

    memcpy(&word, eight, sizeof word);

    uint64_t deletes = word ^ (ones * 0x7f);
    uint64_t below = (word - ones * 0x20) & ~word;

    return ((below | ((deletes - ones) & ~deletes)) & tops) != 0;
}

size_t token_count_value_bytes(struct span text)
{
    size_t at = 0;

    for (;;) {
        while (text.len - at >= 8 && !is_suspect(text.ptr + at))
            at += 8;
        for (size_t end = at + 8; at < end; at++) {
            if (at == text.len || (token_class[text.ptr[at]] & IS_VALUE) == 0)
                return at;
        }
    }
}

bool token_is_token(struct span text)
{
    return text.len > 0 && token_count_tchars(text) == text.len;
}

bool token_is_value(struct span text)
{
    return token_count_value_bytes(text) == text.len;
}
