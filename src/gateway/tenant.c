/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/tenant.h"

#include "gateway/worker.h"

struct tenant *tenant_join(struct worker *worker, struct span name, struct err *err)
{
    struct tenant *tenant = map_find(&worker->tenants, name);

    if (tenant != NULL) {
        tenant->sessions++;
        return tenant;
    }
    ENSURE(name.len <= LIMIT_NAME);
    tenant = pool_take(&worker->tenant_pool);
    if (tenant == NULL) {
        (void)err_set(err, ERR_LIMIT, "too many tenants on this worker (limits.sessions)");
        return NULL;
    }
    *tenant = (struct tenant){.worker = worker, .name_len = name.len, .sessions = 1};
    if (name.len > 0)
        memcpy(tenant->name, name.ptr, name.len);
    if (map_add(&worker->tenants, &tenant->map_node, span_of(tenant->name, name.len), tenant, err) <
        0) {
        pool_give(&worker->tenant_pool, tenant);
        return NULL;
    }
    share_init(&tenant->share, SHARE_TENANT, &worker->share, &worker->role.config.limits, name);
    return tenant;
}

void tenant_leave(struct tenant *tenant)
{
    struct worker *worker = tenant->worker;

    if (--tenant->sessions > 0)
        return;
    share_fini(&tenant->share);
    map_remove(&worker->tenants, &tenant->map_node);
    pool_give(&worker->tenant_pool, tenant);
}
