/* SPDX-License-Identifier: Apache-2.0 */
/* Writing DER backwards, for the one structure that we build often: a leaf. */
#include "crypto/der.h"

void der_init(struct der *der, struct room memory)
{
    *der = (struct der){.ptr = memory.ptr, .cap = memory.len, .at = memory.len};
}

void der_put(struct der *der, struct span bytes)
{
    if (der->overflow || bytes.len > der->at) {
        der->overflow = true;
        return;
    }
    der->at -= bytes.len;
    if (bytes.len > 0)
        memcpy(der->ptr + der->at, bytes.ptr, bytes.len);
}

void der_put_byte(struct der *der, uint8_t byte)
{
    der_put(der, span_of(&byte, 1));
}

void der_wrap(struct der *der, uint8_t tag, size_t mark)
{
    size_t len = der_len(der) - mark;

    if (len < 0x80) {
        der_put_byte(der, (uint8_t)len);
    } else {
        uint8_t count = 0;

        for (; len > 0; len >>= 8, count++)
            der_put_byte(der, (uint8_t)len);
        der_put_byte(der, 0x80 | count);
    }
    der_put_byte(der, tag);
}

void der_put_element(struct der *der, uint8_t tag, struct span content)
{
    size_t mark = der_len(der);

    der_put(der, content);
    der_wrap(der, tag, mark);
}
