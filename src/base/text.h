/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_TEXT_H
#define EXEAT_BASE_TEXT_H

#include "base/err.h"
#include "base/span.h"

/*
 * Text written into memory of the caller. What does not fit is not written at all and sets
 * `overflow`, which stays set: check once, at the end, with text_check().
 */
struct text {
    char *ptr; /* borrowed */
    size_t len;
    size_t cap;
    bool overflow;
};

void text_init(struct text *text, void *memory, size_t cap);
void text_add(struct text *text, struct span bytes);
void text_add_str(struct text *text, const char *str);
void text_add_char(struct text *text, char c);
void text_add_u64(struct text *text, uint64_t value);
void text_addf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As a JSON string with its quotes (RFC 8259); bytes that are not UTF-8 become U+FFFD. */
void text_add_json(struct text *text, struct span bytes);

/* For people and logs: bytes outside printable ASCII become \xNN. */
void text_add_printable(struct text *text, struct span bytes);

/* Base 64 with padding (RFC 4648 section 4), and the URL alphabet without padding (section 5). */
void text_add_base64(struct text *text, struct span bytes);
void text_add_base64url(struct text *text, struct span bytes);

/* Lower-case hexadecimal. */
void text_add_hex(struct text *text, struct span bytes);

/* Lower-case ASCII copy of `bytes`. */
void text_add_lower(struct text *text, struct span bytes);

/* NUL behind the text so that it can be given to C; the NUL is not part of it. */
const char *text_str(struct text *text);

static inline struct span text_span(const struct text *text)
{
    return span_of(text->ptr, text->len);
}

/* ERR_LIMIT with `what` in the words if something did not fit. */
int text_check(const struct text *text, const char *what, struct err *err);

/*
 * Decode base 64 with padding into `out`; strict: canonical, no blanks. Returns the length, or -1
 * with ERR_SYNTAX or ERR_LIMIT.
 */
ssize_t text_read_base64(struct span in, struct room out, struct err *err);

#endif
