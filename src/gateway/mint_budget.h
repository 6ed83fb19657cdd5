/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_MINT_BUDGET_H
#define EXEAT_GATEWAY_MINT_BUDGET_H

#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "base/pool.h"

/*
 * How many leaves the vault mints now (threat H4): for each tenant and in all. Both are buckets
 * that hold what MINT_BURST_MS brings.
 */
#define MINT_BURST_MS 2000

struct mint_bucket {
    int64_t milli; /* that may be minted, in thousandths */
    int64_t at_ms; /* when that was so */
};

struct mint_budget {
    int64_t per_second; /* of one tenant */
    struct mint_bucket all;
    struct map map;   /* of tenants that minted lately */
    struct list used; /* the same, who minted last first */
    struct pool pool;
};

/* `per_second` of one tenant: 1 to LIMIT_LEAVES_PER_SECOND. ERR_MEMORY, ERR_SYSTEM. */
int mint_budget_init(struct mint_budget *budget, uint64_t per_second, struct err *err);
void mint_budget_fini(struct mint_budget *budget);

/* One leaf more for this tenant, by a clock that never goes back. ERR_TENANT_LIMIT, ERR_LIMIT. */
int mint_budget_take(struct mint_budget *budget, struct span tenant, int64_t now_ms,
                     struct err *err);

#endif
