/* SPDX-License-Identifier: Apache-2.0 */
#include "base/quota.h"

#include <stdint.h>

#include "base/ensure.h"

void quota_init(struct quota *quota, struct quota *parent, size_t limit)
{
    *quota = (struct quota){.parent = parent, .limit = limit};
}

void quota_fini(struct quota *quota)
{
    ENSURE(quota->used == 0);
}

size_t quota_left(const struct quota *quota)
{
    size_t left = SIZE_MAX;

    for (; quota != NULL; quota = quota->parent) {
        if (quota->used >= quota->limit)
            return 0;
        if (quota->limit - quota->used < left)
            left = quota->limit - quota->used;
    }
    return left;
}

void quota_add(struct quota *quota, size_t count)
{
    for (; quota != NULL; quota = quota->parent)
        quota->used += count;
}

bool quota_is_over(const struct quota *quota)
{
    while (quota != NULL && quota->used <= quota->limit)
        quota = quota->parent;
    return quota != NULL;
}

int quota_take(struct quota *quota, size_t count)
{
    if (quota_left(quota) < count)
        return -1;
    quota_add(quota, count);
    return 0;
}

void quota_give(struct quota *quota, size_t count)
{
    for (; quota != NULL; quota = quota->parent) {
        ENSURE(quota->used >= count);
        quota->used -= count;
    }
}
