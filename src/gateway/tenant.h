/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_TENANT_H
#define EXEAT_GATEWAY_TENANT_H

#include "base/map.h"
#include "gateway/share.h"

struct worker;

/* Whose sessions are: what all of them together may take of this worker. Lives with the first. */
struct tenant {
    struct worker *worker; /* borrowed */
    struct map_node map_node;
    char name[LIMIT_NAME + 1];
    size_t name_len;
    size_t sessions;
    struct share share;
};

/* The tenant called `name`, with one more session. ERR_LIMIT, ERR_MEMORY. */
struct tenant *tenant_join(struct worker *worker, struct span name, struct err *err);

/* One session less, whose share is gone already. */
void tenant_leave(struct tenant *tenant);

static inline struct span tenant_name(const struct tenant *tenant)
{
    return span_of(tenant->name, tenant->name_len);
}

#endif
