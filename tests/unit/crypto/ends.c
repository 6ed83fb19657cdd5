/* SPDX-License-Identifier: Apache-2.0 */
#include "ends.h"

#include "base/num.h"

void end_init(struct end *end, size_t plain_size, size_t wire_size)
{
    *end = (struct end){0};
    pool_init(&end->plain_pool, plain_size, 1, 1);
    pool_init(&end->wire_pool, wire_size, 2, 2);
    buf_init(&end->plain, &end->plain_pool, BUF_SECRET);
    buf_init(&end->sealed, &end->wire_pool, BUF_PLAIN);
    buf_init(&end->inbox, &end->wire_pool, BUF_PLAIN);
}

void end_fini(struct end *end)
{
    tls_fini(&end->tls);
    buf_fini(&end->plain);
    buf_fini(&end->sealed);
    buf_fini(&end->inbox);
    pool_fini(&end->plain_pool);
    pool_fini(&end->wire_pool);
}

size_t end_step(struct end *end)
{
    size_t plain = buf_len(&end->plain);
    size_t sealed = buf_len(&end->sealed);
    size_t used = 0;

    if (end->failed)
        return 0;
    if (tls_feed(&end->tls, buf_span(&end->inbox), &used, &end->plain, &end->sealed, &end->err) < 0)
        end->failed = 1;
    buf_consume(&end->inbox, used);
    return used + buf_len(&end->plain) - plain + buf_len(&end->sealed) - sealed;
}

size_t ends_carry(struct end *from, struct end *to, size_t cut)
{
    struct span bytes = buf_span(&from->sealed);
    size_t len = buf_append_some(&to->inbox, span_first(bytes, num_min(bytes.len, cut)));

    buf_consume(&from->sealed, len);
    return len;
}

void ends_run(struct end *a, struct end *b, size_t cut)
{
    size_t moved;

    do {
        moved = end_step(a);
        moved += ends_carry(a, b, cut);
        moved += end_step(b);
        moved += ends_carry(b, a, cut);
    } while (moved > 0);
}

struct host ends_host(const char *name, enum host_kind kind)
{
    struct host host = {.kind = kind, .len = strlen(name)};

    ENSURE(host.len < sizeof host.name);
    memcpy(host.name, name, host.len);
    return host;
}
