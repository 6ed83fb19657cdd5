/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves of a worker (threat H4), with the vault's end of the channel in this test. */
#include "gateway/leaf_cache.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/pool.h"
#include "crypto/digest.h"
#include "os/ipc.h"
#include "test.h"

struct waiting {
    struct leaf_waiter waiter;
    int count;
    struct err err;
};

static struct loop loop;
static struct err err;
static struct vault_link *vault;
static int vault_end;
static struct leaf_key *key;
static struct leaf_cache cache;
static uint8_t memory[MESSAGE_MAX];
static uint8_t der_memory[LEAF_DER_MAX];
static struct text der; /* a leaf: the cache does not look at its name */

static void on_notice(struct vault_link *link, const struct message *notice)
{
    (void)link;
    (void)notice;
}

static void on_open(struct vault_link *link)
{
    (void)link;
}

static struct host host_of(const char *name)
{
    struct host host;

    CHECK_INT(target_read_host(span_text(name), &host, &err), 0);
    return host;
}

static int der_make(void)
{
    static char pem_memory[4096];
    static uint8_t spki_memory[256];
    struct text pem;
    struct text spki;
    struct secret ca_key = {.len = 0};
    struct host host = host_of("any.test");
    struct leaf_ca *ca;
    int made;

    text_init(&pem, pem_memory, sizeof pem_memory);
    text_init(&spki, spki_memory, sizeof spki_memory);
    text_init(&der, der_memory, sizeof der_memory);
    if (leaf_ca_generate(span_text("test"), time(NULL), 30, &pem, &ca_key, &err) < 0)
        return -1;
    ca = leaf_ca_new(text_span(&pem), secret_span(&ca_key), &err);
    key = leaf_key_new(&err);
    if (ca == NULL || key == NULL || leaf_key_public(key, &spki, &err) < 0)
        return -1;
    made = leaf_mint(ca, &host, text_span(&spki), time(NULL), 86400, &der, &err);
    leaf_ca_free(ca);
    secret_fini(&ca_key);
    return made;
}

static int cache_make(void **state)
{
    int fds[2];

    (void)state;
    if (loop_init(&loop, &err) < 0 || ipc_pair(fds, &err) < 0 || der_make() < 0)
        return -1;
    vault = pool_block_new(sizeof *vault);
    vault->on_notice = on_notice;
    vault->on_open = on_open;
    vault_end = fds[1];
    if (vault_link_init(vault, &loop, fds[0], &err) < 0)
        return -1;
    return leaf_cache_init(&cache, vault, key, &err);
}

static void ticks(void)
{
    for (int i = 0; i < 3; i++)
        (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
}

static void vault_gone(void)
{
    if (vault_end >= 0)
        (void)close(vault_end);
    vault_end = -1;
    ticks();
}

static int cache_end(void **state)
{
    (void)state;
    vault_gone();
    leaf_cache_fini(&cache);
    if (vault->fd >= 0)
        loop_watch_close(&vault->watch, NULL);
    loop_fini(&loop);
    pool_block_free(vault);
    leaf_key_free(key);
    return 0;
}

static void on_ready(struct leaf_waiter *waiter, const struct err *why)
{
    struct waiting *waiting = waiter->owner;

    waiting->count++;
    err_clear(&waiting->err);
    if (why != NULL)
        waiting->err = *why;
}

static void waiting_init(struct waiting *waiting, const char *tenant, const char *session)
{
    *waiting = (struct waiting){.waiter = {.session = span_text(session),
                                           .tenant = span_text(tenant),
                                           .on_ready = on_ready,
                                           .owner = waiting}};
}

static struct leaf *take(struct waiting *waiting, const char *name)
{
    struct host host = host_of(name);

    return leaf_cache_take(&cache, &host, &waiting->waiter, &err);
}

/* The next question that arrived at the vault: 1, or 0 if there is none. */
static int question_take(struct message *question)
{
    const struct room room = {.ptr = memory, .len = sizeof memory};

    return message_recv(vault_end, SENDER_WORKER, room, question, NULL, &err);
}

static void answer(uint64_t handle, enum err_code code)
{
    const struct message reply = {.type = MESSAGE_LEAF_REPLY,
                                  .handle = handle,
                                  .code = code,
                                  .a = code == ERR_OK ? text_span(&der) : span_of(NULL, 0)};

    CHECK_INT(message_send(vault_end, &reply, -1, &err), 1);
    ticks();
}

/* As a tunnel does it: from the cache, or from the vault. Whether the vault was asked. */
static int fetch(const char *tenant, const char *name)
{
    struct waiting waiting;
    struct message question;

    waiting_init(&waiting, tenant, tenant);
    if (take(&waiting, name) != NULL)
        return 0;
    CHECK_INT(err.code, ERR_OK);
    CHECK_INT(question_take(&question), 1);
    answer(question.handle, ERR_OK);
    CHECK_INT(waiting.count, 1);
    CHECK(take(&waiting, name) != NULL);
    return 1;
}

/* Names number `from` to `to` of the tenant. How many the vault was asked for. */
static int fetch_many(const char *tenant, int from, int to)
{
    char name[64];
    int asked = 0;

    for (int i = from; i < to; i++) {
        (void)snprintf(name, sizeof name, "n%d.%s.test", i, tenant);
        asked += fetch(tenant, name);
    }
    return asked;
}

/* How many of these are there, without a look that keeps them alive. */
static int count_of(const char *tenant, int from, int to)
{
    char name[64];
    int count = 0;

    for (int i = from; i < to; i++) {
        (void)snprintf(name, sizeof name, "n%d.%s.test", i, tenant);
        count += map_find(&cache.map, span_text(name)) != NULL;
    }
    return count;
}

TEST(leaf_cache_asks_once_for_ten_who_come_together_h4)
{
    static const char *const tenants[] = {"a", "b", "c"};
    struct waiting waiting[10];
    struct message question;

    for (int i = 0; i < 10; i++) {
        waiting_init(&waiting[i], tenants[i % 3], i < 5 ? "es_1" : "es_2");
        CHECK(take(&waiting[i], "api.test") == NULL);
        CHECK_INT(err.code, ERR_OK);
    }
    CHECK_INT(question_take(&question), 1);
    CHECK_INT(question.type, MESSAGE_LEAF);
    CHECK_INT(question.number, HOST_NAME);
    CHECK_SPAN(question.a, "api.test");
    CHECK_SPAN(question.b, "es_1");
    answer(question.handle, ERR_OK);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(waiting[i].count, 1);
        CHECK_INT(waiting[i].err.code, ERR_OK);
        CHECK(take(&waiting[i], "api.test") != NULL);
    }
    CHECK_INT(question_take(&question), 0);
}

TEST(leaf_cache_tenant_with_10000_names_evicts_only_its_own_h4)
{
    CHECK_INT(fetch_many("b", 0, LEAF_CACHE_SHARE), LEAF_CACHE_SHARE);
    CHECK_INT(fetch_many("a", 0, 10000), 10000);
    CHECK_INT(count_of("b", 0, LEAF_CACHE_SHARE), LEAF_CACHE_SHARE);
    CHECK_INT(count_of("a", 0, 10000 - LEAF_CACHE_SHARE), 0);
    CHECK_INT(count_of("a", 10000 - LEAF_CACHE_SHARE, 10000), LEAF_CACHE_SHARE);
    CHECK_INT(cache.map.count, 2 * LEAF_CACHE_SHARE);
    CHECK_INT(fetch_many("b", 0, LEAF_CACHE_SHARE), 0);
}

TEST(leaf_cache_that_is_full_has_room_for_the_least_of_another_tenant)
{
    static const char *const first[] = {"a", "b", "c", "d"};

    for (int i = 0; i < 4; i++)
        (void)fetch_many(first[i], 0, LEAF_CACHE_SHARE);
    CHECK_INT(cache.map.count, LEAF_CACHE_MAX);
    CHECK_INT(fetch_many("e", 0, 500), 500);
    CHECK_INT(count_of("e", 0, 500), LEAF_CACHE_LEAST);
    CHECK_INT(count_of("e", 500 - LEAF_CACHE_LEAST, 500), LEAF_CACHE_LEAST);
    CHECK_INT(cache.map.count, LEAF_CACHE_MAX);
    for (int i = 0; i < 4; i++) /* each gave the same */
        CHECK_INT(count_of(first[i], LEAF_CACHE_LEAST / 4, LEAF_CACHE_SHARE),
                  LEAF_CACHE_SHARE - LEAF_CACHE_LEAST / 4);
}

TEST(leaf_cache_never_has_more_than_its_limit_with_5000_tenants)
{
    char tenant[16];

    for (int i = 0; i < 5000; i++) {
        (void)snprintf(tenant, sizeof tenant, "t%d", i);
        CHECK_INT(fetch_many(tenant, 0, 1), 1);
        CHECK(cache.map.count <= LEAF_CACHE_MAX);
        CHECK_INT(cache.owners.count, cache.map.count);
    }
    CHECK_INT(cache.map.count, LEAF_CACHE_MAX);
}

TEST(leaf_cache_entry_that_another_tenant_uses_stays)
{
    CHECK_INT(fetch("a", "both.test"), 1);
    CHECK_INT(fetch("a", "one.test"), 1);
    for (int i = 0; i < 4; i++) {
        (void)fetch_many("a", i * 1000, (i + 1) * 1000);
        CHECK_INT(fetch("b", "both.test"), 0);
    }
    CHECK_INT(fetch("a", "one.test"), 1);
    /* It went although it was used: who asks again has it for itself. */
    (void)fetch_many("a", 4000, 6000);
    CHECK_INT(fetch("b", "both.test"), 1);
    (void)fetch_many("a", 6000, 9000);
    CHECK_INT(fetch("b", "both.test"), 0);
}

TEST(leaf_cache_refusal_to_a_session_is_not_one_to_others_who_wait)
{
    struct waiting asked;
    struct waiting same;
    struct waiting other;
    struct message question;

    waiting_init(&asked, "a", "es_1");
    waiting_init(&same, "a", "es_1");
    waiting_init(&other, "b", "es_2");
    CHECK(take(&asked, "api.test") == NULL);
    CHECK(take(&same, "api.test") == NULL);
    CHECK(take(&other, "api.test") == NULL);
    CHECK_INT(question_take(&question), 1);
    answer(question.handle, ERR_TENANT_LIMIT);
    CHECK_INT(asked.err.code, ERR_TENANT_LIMIT);
    CHECK(strstr(asked.err.text, "limits.leaves_per_second") != NULL);
    CHECK_INT(same.err.code, ERR_TENANT_LIMIT);
    CHECK_INT(other.count, 1);
    CHECK_INT(other.err.code, ERR_OK);
    CHECK(take(&other, "api.test") == NULL); /* ERR_OK: ask again */
    CHECK_INT(err.code, ERR_OK);
    CHECK_INT(question_take(&question), 1);
    CHECK_SPAN(question.b, "es_2");
    answer(question.handle, ERR_OK);
    CHECK(take(&other, "api.test") != NULL);
    CHECK_INT(asked.count, 1);
    CHECK_INT(same.count, 1);
}

TEST(leaf_cache_keeps_nothing_of_what_was_refused)
{
    static const enum err_code codes[] = {ERR_LIMIT, ERR_TENANT_LIMIT, ERR_SESSION_REVOKED};
    struct message question;
    struct waiting waiting;

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        waiting_init(&waiting, "a", "es_1");
        CHECK(take(&waiting, "api.test") == NULL);
        CHECK_INT(question_take(&question), 1);
        answer(question.handle, codes[i]);
        CHECK_INT(waiting.err.code, codes[i]);
    }
    waiting_init(&waiting, "a", "es_1");
    CHECK(take(&waiting, "api.test") == NULL);
    vault_gone();
    CHECK_INT(waiting.err.code, ERR_CREDENTIAL);
    CHECK(take(&waiting, "api.test") == NULL);
    CHECK_INT(err.code, ERR_CREDENTIAL);
    CHECK_INT(cache.map.count, 0);
    CHECK_INT(cache.owners.count, 0);
}

TEST(leaf_cache_of_one_who_went_away_meanwhile_is_there_for_the_next)
{
    struct waiting waiting;
    struct message question;

    waiting_init(&waiting, "a", "es_1");
    CHECK(take(&waiting, "api.test") == NULL);
    leaf_cache_forget(&waiting.waiter);
    leaf_cache_forget(&waiting.waiter);
    CHECK_INT(question_take(&question), 1);
    answer(question.handle, ERR_OK);
    CHECK_INT(waiting.count, 0);
    CHECK_INT(fetch("b", "api.test"), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, cache_make, cache_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(leaf_cache_asks_once_for_ten_who_come_together_h4),
        CASE(leaf_cache_tenant_with_10000_names_evicts_only_its_own_h4),
        CASE(leaf_cache_that_is_full_has_room_for_the_least_of_another_tenant),
        CASE(leaf_cache_never_has_more_than_its_limit_with_5000_tenants),
        CASE(leaf_cache_entry_that_another_tenant_uses_stays),
        CASE(leaf_cache_refusal_to_a_session_is_not_one_to_others_who_wait),
        CASE(leaf_cache_keeps_nothing_of_what_was_refused),
        CASE(leaf_cache_of_one_who_went_away_meanwhile_is_there_for_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
