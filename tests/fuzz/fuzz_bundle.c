/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles of any bytes; what bundle_add() writes it reads again as the same. */
#include "crypto/bundle.h"

#include "crypto/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char once[1 << 20];
static char again[1 << 20];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct err err = {0};
    struct text first;
    struct text second;
    int count;

    if (digest_setup(&err) < 0)
        return 0;
    (void)bundle_check_ca(in, 1795000000, &err);
    bundle_roots_free(bundle_roots_new(in, &err));
    text_init(&first, once, sizeof once);
    text_init(&second, again, sizeof again);
    count = bundle_add(&first, in, &err);
    if (count <= 0)
        return 0;
    ENSURE(bundle_add(&second, text_span(&first), &err) == count);
    ENSURE(span_equal(text_span(&first), text_span(&second)));
    return 0;
}
