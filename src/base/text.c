/* SPDX-License-Identifier: Apache-2.0 */
/* Writing bounded text: numbers, JSON strings, base 64, hexadecimal. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void text_init(struct text *text, void *memory, size_t cap)
{
    *text = (struct text){.ptr = memory, .cap = cap};
}

void text_add(struct text *text, struct span bytes)
{
    if (text->overflow || bytes.len > text->cap - text->len) {
        text->overflow = true;
        return;
    }
    if (bytes.len > 0)
        memcpy(text->ptr + text->len, bytes.ptr, bytes.len);
    text->len += bytes.len;
}

void text_add_str(struct text *text, const char *str)
{
    text_add(text, span_text(str));
}

void text_add_char(struct text *text, char c)
{
    text_add(text, span_of(&c, 1));
}

void text_add_u64(struct text *text, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    text_add(text, span_of(digits + at, sizeof digits - at));
}

void text_addf(struct text *text, const char *format, ...)
{
    va_list args;
    size_t room = text->cap - text->len;
    int len;

    if (text->overflow)
        return;
    va_start(args, format);
    len = vsnprintf(text->ptr + text->len, room, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= room)
        text->overflow = true; /* the last byte is vsnprintf's NUL: one byte of room is lost */
    else
        text->len += (size_t)len;
}

/* Length of the well-formed UTF-8 sequence at the start of `s` (RFC 3629), or 0. */
static size_t utf8_len(struct span s)
{
    static const struct {
        uint8_t first_low, first_high, second_low, second_high, len;
    } forms[] = {
        {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        size_t len = forms[i].len;

        if (s.ptr[0] < forms[i].first_low || s.ptr[0] > forms[i].first_high)
            continue;
        if (len > s.len)
            return 0;
        if (len > 1 && (s.ptr[1] < forms[i].second_low || s.ptr[1] > forms[i].second_high))
            return 0;
        for (size_t k = 2; k < len; k++) {
            if ((s.ptr[k] & 0xc0) != 0x80)
                return 0;
        }
        return len;
    }
    return 0;
}

static void json_add_char(struct text *text, uint8_t c)
{
    if (c == '"' || c == '\\') {
        text_add_char(text, '\\');
        text_add_char(text, (char)c);
    } else if (c < 0x20 || c == 0x7f) {
        text_add_str(text, "\\u00");
        text_add_char(text, hex_digits[c >> 4]);
        text_add_char(text, hex_digits[c & 15]);
    } else {
        text_add_char(text, (char)c);
    }
}

static bool json_is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void text_add_json(struct text *text, struct span bytes)
{
    size_t at = 0;

    text_add_char(text, '"');
    while (at < bytes.len) {
        size_t plain = at;

        while (plain < bytes.len && json_is_plain(bytes.ptr[plain]))
            plain++;
        text_add(text, span_of(bytes.ptr + at, plain - at));
        at = plain;
        if (at == bytes.len)
            break;

        size_t len = utf8_len(span_from(bytes, at));

        if (len == 0)
            text_add_str(text, "\\ufffd");
        else if (len == 1)
            json_add_char(text, bytes.ptr[at]);
        else
            text_add(text, span_of(bytes.ptr + at, len));
        at += len == 0 ? 1 : len;
    }
    text_add_char(text, '"');
}

void text_add_printable(struct text *text, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.ptr[i];

        if (c >= 0x20 && c <= 0x7e) {
            text_add_char(text, (char)c);
            continue;
        }
        text_add_str(text, "\\x");
        text_add_char(text, hex_digits[c >> 4]);
        text_add_char(text, hex_digits[c & 15]);
    }
}

static uint32_t base64_group(struct span bytes, size_t at)
{
    uint32_t word = (uint32_t)bytes.ptr[at] << 16;

    if (at + 1 < bytes.len)
        word |= (uint32_t)bytes.ptr[at + 1] << 8;
    if (at + 2 < bytes.len)
        word |= bytes.ptr[at + 2];
    return word;
}

static void base64_add(struct text *text, struct span bytes, const char *digits)
{
    for (size_t at = 0; at < bytes.len; at += 3) {
        uint32_t word = base64_group(bytes, at);
        size_t count = bytes.len - at < 3 ? bytes.len - at + 1 : 4;

        for (size_t i = 0; i < count; i++)
            text_add_char(text, digits[word >> (18 - 6 * i) & 63]);
        for (size_t i = count; i < 4 && digits == base64_digits; i++)
            text_add_char(text, '=');
    }
}

void text_add_base64(struct text *text, struct span bytes)
{
    base64_add(text, bytes, base64_digits);
}

void text_add_base64url(struct text *text, struct span bytes)
{
    base64_add(text, bytes, base64url_digits);
}

void text_add_hex(struct text *text, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        text_add_char(text, hex_digits[bytes.ptr[i] >> 4]);
        text_add_char(text, hex_digits[bytes.ptr[i] & 15]);
    }
}

void text_add_lower(struct text *text, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.ptr[i];

        text_add_char(text, (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c));
    }
}

const char *text_str(struct text *text)
{
    ENSURE(text->cap > 0);
    if (text->len == text->cap) {
        text->overflow = true;
        text->len--;
    }
    text->ptr[text->len] = '\0';
    return text->ptr;
}

int text_check(const struct text *text, const char *what, struct err *err)
{
    if (text->overflow)
        return err_set(err, ERR_LIMIT, "%s is longer than %zu bytes", what, text->cap);
    return 0;
}

static int base64_value(uint8_t c)
{
    const char *at = c == '\0' ? NULL : strchr(base64_digits, c);

    return at == NULL ? -1 : (int)(at - base64_digits);
}

ssize_t text_read_base64(struct span in, struct room out, struct err *err)
{
    size_t pad = 0;
    size_t len = 0;

    if (in.len % 4 != 0)
        return err_set(err, ERR_SYNTAX, "base64: length %zu is no multiple of 4", in.len);
    while (pad < 2 && pad < in.len && in.ptr[in.len - 1 - pad] == '=')
        pad++;
    if (in.len / 4 * 3 - pad > out.len)
        return err_set(err, ERR_LIMIT, "base64: longer than %zu bytes", out.len);
    for (size_t at = 0; at < in.len; at += 4) {
        size_t digits = at + 4 == in.len ? 4 - pad : 4;
        uint32_t word = 0;

        for (size_t i = 0; i < 4; i++) {
            int value = i < digits ? base64_value(in.ptr[at + i]) : 0;

            if (value < 0)
                return err_set(err, ERR_SYNTAX, "base64: bad digit at %zu", at + i);
            word = word << 6 | (uint32_t)value;
        }
        if ((word & (digits == 4 ? 0 : digits == 3 ? 0xffU : 0xffffU)) != 0)
            return err_set(err, ERR_SYNTAX, "base64: bits behind the end");
        for (size_t i = 0; i + 1 < digits; i++)
            out.ptr[len++] = (uint8_t)(word >> (16 - 8 * i));
    }
    return (ssize_t)len;
}
