/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions and answers.
 *
 * A lookup is one resolve_start(): its answers come from the literal, the table of static names or
 * two c-ares queries, one per family. c-ares may call back from within its own calls, so nothing is
 * told there: what is complete is queued (loop_later) and told at the end of the tick, where the
 * owner may start, cancel and free as it likes. c-ares cannot cancel one query, so a lookup whose
 * owner has gone stays until c-ares has let go of it (`pending`).
 */
#include "net/resolve.h"

#include <ares.h>

#include "base/num.h"
#include "net/resolve_channel.h"
#include "net/resolve_names.h"

#define LOOKUP_LIMIT 8192
#define LOOKUP_KEEP  64
/* Once one family has answered, the other gets this long (RFC 8305 section 3 says 50 ms; a sweep
 * of the loop is 100 ms). */
#define OTHER_FAMILY_MS 100

enum lookup_family { LOOKUP_V4, LOOKUP_V6, LOOKUP_FAMILIES };

struct lookup {
    struct resolver *resolver;
    struct resolve_query *query; /* borrowed; NULL once told or cancelled */
    struct list_node node;       /* in resolver->lookups, while there is a query */
    struct loop_task task;
    struct loop_deadline deadline;
    int pending; /* queries c-ares still holds */
    uint16_t port;
    struct err err;
    size_t counts[LOOKUP_FAMILIES];
    struct address answers[LOOKUP_FAMILIES][LIMIT_ADDRESS_COUNT];
};

struct resolver {
    struct loop *loop;
    struct resolve_channel *channel; /* owned */
    struct resolve_names names;
    struct pool pool;    /* of struct lookup */
    struct list lookups; /* that have a query */
    int64_t timeout_ms;
    int is_closing;
};

static void lookup_drop(struct lookup *lookup)
{
    if (lookup->query == NULL && lookup->pending == 0)
        pool_give(&lookup->resolver->pool, lookup);
}

/* From here on the query is the owner's again. */
static struct resolve_query *lookup_detach(struct lookup *lookup)
{
    struct resolve_query *query = lookup->query;

    list_remove(&lookup->resolver->lookups, &lookup->node);
    loop_later_cancel(lookup->resolver->loop, &lookup->task);
    loop_deadline_clear(&lookup->deadline);
    lookup->query = NULL;
    query->state = NULL;
    return query;
}

/* Families take turns, IPv6 first (RFC 8305 section 4), so that a broken one costs one attempt. */
static size_t answers_merge(const struct lookup *lookup, struct address *merged)
{
    size_t count = 0;

    for (size_t i = 0; i < LIMIT_ADDRESS_COUNT; i++) {
        if (i < lookup->counts[LOOKUP_V6] && count < LIMIT_ADDRESS_COUNT)
            merged[count++] = lookup->answers[LOOKUP_V6][i];
        if (i < lookup->counts[LOOKUP_V4] && count < LIMIT_ADDRESS_COUNT)
            merged[count++] = lookup->answers[LOOKUP_V4][i];
    }
    for (size_t i = 0; i < count; i++)
        socket_set_port(&merged[i], lookup->port);
    return count;
}

static void lookup_tell(struct lookup *lookup)
{
    struct address merged[LIMIT_ADDRESS_COUNT];
    size_t count = answers_merge(lookup, merged);
    struct resolve_query *query = lookup_detach(lookup);
    struct err err = lookup->err;

    lookup_drop(lookup);
    if (count == 0 && err.code == ERR_OK)
        (void)err_set(&err, ERR_DNS, "no address");
    query->on_done(query, merged, count, count == 0 ? &err : NULL);
}

static void on_lookup_task(struct loop_task *task)
{
    lookup_tell(task->owner);
}

static void on_lookup_deadline(struct loop_deadline *deadline)
{
    struct lookup *lookup = deadline->owner;

    if (lookup->counts[LOOKUP_V4] + lookup->counts[LOOKUP_V6] == 0)
        (void)err_set(&lookup->err, ERR_TIMEOUT, "no answer from DNS within %lld ms",
                      (long long)lookup->resolver->timeout_ms);
    lookup_tell(lookup);
}

static void lookup_tell_later(struct lookup *lookup)
{
    loop_later(lookup->resolver->loop, &lookup->task, on_lookup_task, lookup);
}

static void lookup_add(struct lookup *lookup, const struct address *address)
{
    enum lookup_family family = address->any.sa_family == AF_INET6 ? LOOKUP_V6 : LOOKUP_V4;

    /* Threat E7: an answer of thousands is cut. */
    if (lookup->counts[family] < LIMIT_ADDRESS_COUNT)
        lookup->answers[family][lookup->counts[family]++] = *address;
}

static void lookup_add_node(struct lookup *lookup, const struct ares_addrinfo_node *node)
{
    struct address address = {.len = node->ai_addrlen};

    if (node->ai_family == AF_INET && address.len == sizeof address.v4)
        memcpy(&address.v4, node->ai_addr, sizeof address.v4);
    else if (node->ai_family == AF_INET6 && address.len == sizeof address.v6)
        memcpy(&address.v6, node->ai_addr, sizeof address.v6);
    else
        return;
    lookup_add(lookup, &address);
}

/* Called by c-ares, perhaps from within resolve_start() or resolver_free(). */
static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct lookup *lookup = arg;

    (void)timeouts;
    lookup->pending--;
    if (lookup->query != NULL && status == ARES_SUCCESS) {
        for (struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next)
            lookup_add_node(lookup, node);
    }
    if (info != NULL)
        ares_freeaddrinfo(info);
    if (lookup->query == NULL) {
        lookup_drop(lookup);
        return;
    }
    /* That the name does not exist in one family says less than why the other one failed. */
    if (status != ARES_SUCCESS && (status != ARES_ENODATA || lookup->err.code == ERR_OK))
        (void)err_set(&lookup->err, status == ARES_ETIMEOUT ? ERR_TIMEOUT : ERR_DNS, "DNS: %s",
                      ares_strerror(status));
    if (lookup->pending == 0)
        lookup_tell_later(lookup);
    else if (lookup->counts[LOOKUP_V4] + lookup->counts[LOOKUP_V6] > 0)
        loop_deadline_set(&lookup->deadline, OTHER_FAMILY_MS);
}

static void lookup_ask(struct lookup *lookup, const char *name)
{
    struct resolver *resolver = lookup->resolver;

    loop_deadline_set(&lookup->deadline, resolver->timeout_ms);
    lookup->pending = LOOKUP_FAMILIES;
    resolve_channel_ask(resolver->channel, name, AF_INET6, on_answer, lookup);
    resolve_channel_ask(resolver->channel, name, AF_INET, on_answer, lookup);
}

int resolve_start(struct resolver *resolver, struct resolve_query *query, const struct host *host,
                  uint16_t port, struct err *err)
{
    const struct resolve_name *name = NULL;
    struct address literal;
    struct lookup *lookup;

    ENSURE(query->on_done != NULL);
    query->state = NULL;
    if (resolver->is_closing)
        return err_set(err, ERR_CLOSED, "the resolver is closing");
    if (host->kind != HOST_NAME && socket_read_ip(target_host_span(host), port, &literal, err) < 0)
        return -1;
    lookup = pool_take(&resolver->pool);
    if (lookup == NULL)
        return err_set(err, ERR_LIMIT, "%zu DNS queries are waiting", resolver->pool.used);
    memset(lookup, 0, offsetof(struct lookup, answers)); /* the answers are behind the counts */
    lookup->resolver = resolver;
    lookup->query = query;
    lookup->port = port;
    query->state = lookup;
    loop_deadline_init(&lookup->deadline, resolver->loop, on_lookup_deadline, lookup);
    list_add_last(&resolver->lookups, &lookup->node, lookup);
    if (host->kind == HOST_NAME)
        name = resolve_names_find(&resolver->names, target_host_span(host));
    else
        lookup_add(lookup, &literal);
    for (const struct resolve_name *at = name; at != NULL; at = at->next)
        lookup_add(lookup, &at->address);
    if (host->kind != HOST_NAME || name != NULL)
        lookup_tell_later(lookup);
    else
        lookup_ask(lookup, host->name);
    return 0;
}

void resolve_cancel(struct resolve_query *query)
{
    struct lookup *lookup = query->state;

    if (lookup == NULL)
        return;
    (void)lookup_detach(lookup);
    lookup_drop(lookup);
}

int resolver_add_static(struct resolver *resolver, struct span name, const struct address *address,
                        struct err *err)
{
    return resolve_names_add(&resolver->names, name, address, err);
}

struct resolver *resolver_new(struct loop *loop, const char *servers, int64_t timeout_ms,
                              struct err *err)
{
    struct resolver *resolver = pool_block_new(sizeof *resolver);

    if (resolver == NULL) {
        (void)err_set(err, ERR_MEMORY, "no memory for the resolver");
        return NULL;
    }
    ENSURE(timeout_ms > 0);
    resolver->loop = loop;
    resolver->timeout_ms = timeout_ms;
    pool_init(&resolver->pool, sizeof(struct lookup), LOOKUP_LIMIT, LOOKUP_KEEP);
    if (resolve_names_init(&resolver->names, err) < 0)
        goto fail_resolver;
    if (resolve_names_read_hosts(&resolver->names, "/etc/hosts", err) < 0)
        goto fail_names;
    resolver->channel = resolve_channel_new(loop, servers, timeout_ms, err);
    if (resolver->channel == NULL)
        goto fail_names;
    return resolver;

fail_names:
    resolve_names_fini(&resolver->names);
fail_resolver:
    pool_fini(&resolver->pool);
    pool_block_free(resolver);
    return NULL;
}

void resolver_free(struct resolver *resolver)
{
    struct lookup *lookup;

    if (resolver == NULL)
        return;
    resolver->is_closing = 1;
    while ((lookup = list_first(&resolver->lookups)) != NULL) {
        lookup->counts[LOOKUP_V4] = 0;
        lookup->counts[LOOKUP_V6] = 0;
        (void)err_set(&lookup->err, ERR_CLOSED, "the resolver is closing");
        lookup_tell(lookup);
    }
    resolve_channel_free(resolver->channel); /* c-ares lets go of every lookup in here */
    resolve_names_fini(&resolver->names);
    pool_fini(&resolver->pool);
    pool_block_free(resolver);
}
