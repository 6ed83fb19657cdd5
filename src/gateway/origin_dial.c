/* SPDX-License-Identifier: Apache-2.0 */
/* From a name that policy allows to a connected socket whose address policy allows. */
#include "gateway/origin_dial.h"

#include "gateway/worker.h"
#include "policy/address.h"

struct origin_dial {
    struct worker *worker; /* borrowed */
    struct origin_dial_calls calls;
    struct resolve_query query;
    struct dial dial;
    int is_dialing; /* else resolving */
};

size_t origin_dial_size(void)
{
    return sizeof(struct origin_dial);
}

static void dial_free(struct origin_dial *origin_dial)
{
    pool_give(&origin_dial->worker->dial_pool, origin_dial);
}

/* The last call: the dial is gone before it is made. */
static void done_tell(struct origin_dial *origin_dial, int fd, const struct address *address,
                      const struct err *err)
{
    struct origin_dial_calls calls = origin_dial->calls;

    dial_free(origin_dial);
    calls.on_done(calls.owner, fd, address, err);
}

static void dialed(struct dial *dial, int fd, const struct address *address, const struct err *err)
{
    struct origin_dial *origin_dial = dial->owner;
    struct address copy = {0};
    struct err why = {.code = ERR_OK};

    if (address != NULL)
        copy = *address;
    if (err != NULL)
        why = *err;
    done_tell(origin_dial, fd, &copy, &why);
}

/* Keep what policy allows; all must be allowed, for a mixed answer is a rebinding attempt. */
static int addresses_check(const struct worker *worker, const struct address *addresses,
                           size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[16];

        if (address_bytes(&addresses[i].any, bytes) < 0)
            return err_set(err, ERR_ADDRESS, "an answer that is no address");
        if (address_check(&worker->role.config.policy, bytes, err) < 0 ||
            own_address_check(&worker->own, &addresses[i], err) < 0)
            return -1;
    }
    return 0;
}

static void resolved(struct resolve_query *query, const struct address *addresses, size_t count,
                     const struct err *why)
{
    struct origin_dial *origin_dial = query->owner;
    struct worker *worker = origin_dial->worker;
    struct err err;

    if (count == 0) {
        err = *why;
        done_tell(origin_dial, -1, NULL, &err);
        return;
    }
    if (addresses_check(worker, addresses, count, &err) < 0) {
        done_tell(origin_dial, -1, NULL, &err);
        return;
    }
    origin_dial->calls.on_resolved(origin_dial->calls.owner);
    origin_dial->is_dialing = 1;
    origin_dial->dial.on_done = dialed;
    origin_dial->dial.owner = origin_dial;
    if (dial_start(&origin_dial->dial, &worker->loop, addresses, count,
                   worker->role.config.timeouts.connect_ms, &err) < 0)
        done_tell(origin_dial, -1, NULL, &err);
}

struct origin_dial *origin_dial_start(struct worker *worker, const struct host *host, uint16_t port,
                                      const struct origin_dial_calls *calls, struct err *err)
{
    struct origin_dial *origin_dial = pool_take(&worker->dial_pool);

    if (origin_dial == NULL) {
        (void)err_set(err, ERR_LIMIT, "too many connections are being made");
        return NULL;
    }
    *origin_dial = (struct origin_dial){.worker = worker, .calls = *calls};
    origin_dial->query.on_done = resolved;
    origin_dial->query.owner = origin_dial;
    if (resolve_start(worker->resolver, &origin_dial->query, host, port, err) == 0)
        return origin_dial;
    dial_free(origin_dial);
    return NULL;
}

static void dial_closed(struct dial *dial)
{
    dial_free(dial->owner);
}

void origin_dial_cancel(struct origin_dial *origin_dial)
{
    if (!origin_dial->is_dialing) {
        resolve_cancel(&origin_dial->query);
        dial_free(origin_dial);
        return;
    }
    if (dial_cancel(&origin_dial->dial, dial_closed) == 0)
        dial_free(origin_dial);
}
