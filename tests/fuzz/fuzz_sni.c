/* SPDX-License-Identifier: Apache-2.0 */
/* sni_peek() over any bytes; a prefix of them never says anything else than the whole. */
#include "crypto/sni.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_prefix(struct span in, size_t len, int whole, const struct sni *sni)
{
    struct sni early;
    struct err err;
    int result = sni_peek(span_first(in, len), &early, &err);

    ENSURE(result == 0 || result == whole);
    if (result == 1)
        ENSURE(early.name_len == sni->name_len && memcmp(early.name, sni->name, 256) == 0 &&
               early.offers_h2 == sni->offers_h2 && early.has_alpn == sni->has_alpn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct sni sni;
    struct err err = {0};
    int whole = sni_peek(in, &sni, &err);

    if (whole < 0)
        ENSURE(err.code == ERR_TLS && err.text[0] != '\0');
    if (whole == 1)
        ENSURE(strlen(sni.name) == sni.name_len);
    if (size > 4096)
        return 0;
    for (size_t len = 0; len < size; len += 1 + size / 64)
        check_prefix(in, len, whole, &sni);
    return 0;
}
