/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets on the heap, wiped when they end. */
#include "base/secret.h"

#include "base/limits.h"
#include "base/pool.h"

int secret_init(struct secret *secret, struct span bytes, struct err *err)
{
    *secret = (struct secret){0};
    if (bytes.len > LIMIT_SECRET)
        return err_set(err, ERR_LIMIT, "a secret of %zu bytes, the limit is %d", bytes.len,
                       LIMIT_SECRET);
    secret->ptr = pool_block_new(bytes.len + 1);
    if (secret->ptr == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a secret");
    if (bytes.len > 0)
        memcpy(secret->ptr, bytes.ptr, bytes.len);
    secret->len = bytes.len;
    return 0;
}

void secret_fini(struct secret *secret)
{
    if (secret->ptr != NULL)
        explicit_bzero(secret->ptr, secret->len);
    pool_block_free(secret->ptr);
    *secret = (struct secret){0};
}

void secret_move(struct secret *to, struct secret *from)
{
    secret_fini(to);
    *to = *from;
    *from = (struct secret){0};
}

struct span secret_span(const struct secret *secret)
{
    return span_of(secret->ptr, secret->len);
}

bool secret_equal(struct span a, struct span b)
{
    uint8_t difference = 0;

    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        difference |= (uint8_t)(a.ptr[i] ^ b.ptr[i]);
    return difference == 0;
}
