/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_CRYPTO_DER_H
#define EXEAT_CRYPTO_DER_H

#include "base/span.h"

#define DER_SEQUENCE    0x30
#define DER_SET         0x31
#define DER_INTEGER     0x02
#define DER_BITS        0x03
#define DER_OCTETS      0x04
#define DER_UTF8        0x0c
#define DER_UTC_TIME    0x17
#define DER_TIME        0x18
#define DER_EXPLICIT(n) (uint8_t)(0xa0 | (n))
#define DER_IMPLICIT(n) (uint8_t)(0x80 | (n))

/*
 * DER (ITU-T X.690) written from its end to its start: the length of an element is known when its
 * head is written. What does not fit sets `overflow`, which stays set.
 */
struct der {
    uint8_t *ptr; /* borrowed */
    size_t cap;
    size_t at; /* first byte written */
    bool overflow;
};

void der_init(struct der *der, struct room memory);

/* Before all that was written so far. */
void der_put(struct der *der, struct span bytes);
void der_put_byte(struct der *der, uint8_t byte);

/* How much is written: a mark for der_wrap(). */
static inline size_t der_len(const struct der *der)
{
    return der->cap - der->at;
}

/* The head of an element whose content is all that was written since der_len() was `mark`. */
void der_wrap(struct der *der, uint8_t tag, size_t mark);

/* A whole element. */
void der_put_element(struct der *der, uint8_t tag, struct span content);

static inline struct span der_span(const struct der *der)
{
    return span_of(der->ptr + der->at, der->cap - der->at);
}

#endif
