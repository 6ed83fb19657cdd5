/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant whose bucket is full again is as one that was never seen, so only those that minted
 * within MINT_BURST_MS must be remembered. They cannot be more than what is minted in all within
 * that time: what the bucket of all held, and what it was given meanwhile. With one place more
 * than that, who is forgotten for want of a place has a full bucket.
 */
#include "gateway/mint_budget.h"

#include "crypto/digest.h"

#define BUDGET_TENANTS (2 * LIMIT_LEAVES_PER_SECOND * MINT_BURST_MS / 1000 + 1)

struct mint_tenant {
    struct map_node map_node;
    struct list_node list_node;
    struct mint_bucket bucket;
    size_t name_len;
    char name[LIMIT_NAME];
};

int mint_budget_init(struct mint_budget *budget, uint64_t per_second, struct err *err)
{
    uint8_t seed[16];

    ENSURE(per_second >= 1 && per_second <= LIMIT_LEAVES_PER_SECOND);
    *budget = (struct mint_budget){.per_second = (int64_t)per_second};
    budget->all.milli = (int64_t)LIMIT_LEAVES_PER_SECOND * MINT_BURST_MS;
    pool_init(&budget->pool, sizeof(struct mint_tenant), BUDGET_TENANTS, 64);
    if (digest_random((struct room){.ptr = seed, .len = sizeof seed}, err) < 0)
        return -1;
    return map_init(&budget->map, BUDGET_TENANTS, seed, err);
}

static void tenant_forget(struct mint_budget *budget, struct mint_tenant *tenant)
{
    map_remove(&budget->map, &tenant->map_node);
    list_remove(&budget->used, &tenant->list_node);
    pool_give(&budget->pool, tenant);
}

void mint_budget_fini(struct mint_budget *budget)
{
    while (budget->used.count > 0)
        tenant_forget(budget, list_last(&budget->used));
    map_fini(&budget->map);
    pool_fini(&budget->pool);
}

/* What a second brings is a thousandth of it for each millisecond. */
static void bucket_fill(struct mint_bucket *bucket, int64_t per_second, int64_t now_ms)
{
    int64_t most = per_second * MINT_BURST_MS;
    int64_t passed_ms = now_ms - bucket->at_ms;

    bucket->at_ms = now_ms;
    if (passed_ms >= MINT_BURST_MS)
        bucket->milli = most;
    else
        bucket->milli += passed_ms * per_second;
    if (bucket->milli > most)
        bucket->milli = most;
}

static struct mint_tenant *tenant_new(struct mint_budget *budget, struct span name, int64_t now_ms,
                                      struct err *err)
{
    struct mint_tenant *tenant;

    ENSURE(name.len <= sizeof tenant->name);
    if (budget->map.count == BUDGET_TENANTS)
        tenant_forget(budget, list_last(&budget->used));
    tenant = pool_take(&budget->pool);
    if (tenant == NULL) {
        (void)err_set(err, ERR_MEMORY, "no memory for a tenant's mints");
        return NULL;
    }
    *tenant = (struct mint_tenant){.name_len = name.len};
    tenant->bucket =
        (struct mint_bucket){.milli = budget->per_second * MINT_BURST_MS, .at_ms = now_ms};
    if (name.len > 0)
        memcpy(tenant->name, name.ptr, name.len);
    if (map_add(&budget->map, &tenant->map_node, span_of(tenant->name, name.len), tenant, err) <
        0) {
        pool_give(&budget->pool, tenant);
        return NULL;
    }
    list_add_first(&budget->used, &tenant->list_node, tenant);
    return tenant;
}

/* Only who gets a leaf is remembered: what is refused leaves no trace and costs nobody a place. */
int mint_budget_take(struct mint_budget *budget, struct span tenant, int64_t now_ms,
                     struct err *err)
{
    struct mint_tenant *known = map_find(&budget->map, tenant);

    if (known != NULL)
        bucket_fill(&known->bucket, budget->per_second, now_ms);
    if (known != NULL && known->bucket.milli < 1000)
        return err_set(err, ERR_TENANT_LIMIT, "%lld leaves a second for a tenant",
                       (long long)budget->per_second);
    bucket_fill(&budget->all, LIMIT_LEAVES_PER_SECOND, now_ms);
    if (budget->all.milli < 1000)
        return err_set(err, ERR_LIMIT, "%d leaves a second in all", LIMIT_LEAVES_PER_SECOND);
    if (known == NULL)
        known = tenant_new(budget, tenant, now_ms, err);
    if (known == NULL)
        return -1;
    list_remove(&budget->used, &known->list_node);
    list_add_first(&budget->used, &known->list_node, known);
    known->bucket.milli -= 1000;
    budget->all.milli -= 1000;
    return 0;
}
