/* SPDX-License-Identifier: Apache-2.0 */
/* How many leaves a tenant, and all tenants together, get in a time (threat H4). */
#include "gateway/mint_budget.h"

#include <stdio.h>

#include "test.h"

#define RATE  50
#define BURST (RATE * MINT_BURST_MS / 1000)
#define ALL   (LIMIT_LEAVES_PER_SECOND * MINT_BURST_MS / 1000)
#define START 5000

static struct mint_budget budget;
static struct err err;

static int budget_make(void **state)
{
    (void)state;
    return mint_budget_init(&budget, RATE, &err);
}

static int budget_end(void **state)
{
    (void)state;
    mint_budget_fini(&budget);
    return 0;
}

static enum err_code take(const char *tenant, int64_t now_ms)
{
    if (mint_budget_take(&budget, span_text(tenant), now_ms, &err) == 0)
        return ERR_OK;
    return err.code;
}

/* How many of `count` it gets at one moment. */
static int taken_of(int count, const char *tenant, int64_t now_ms)
{
    int taken = 0;

    for (int i = 0; i < count; i++)
        taken += take(tenant, now_ms) == ERR_OK;
    return taken;
}

TEST(mint_budget_of_a_tenant_ends_and_comes_back_with_time)
{
    CHECK_INT(taken_of(BURST, "a", START), BURST);
    CHECK_INT(take("a", START), ERR_TENANT_LIMIT);
    CHECK_INT(take("a", START + 19), ERR_TENANT_LIMIT);
    CHECK_INT(take("a", START + 20), ERR_OK); /* 50 a second */
    CHECK_INT(take("a", START + 20), ERR_TENANT_LIMIT);
    CHECK_INT(taken_of(1000, "a", START + 1020), RATE);
    CHECK_INT(taken_of(1000, "a", START + 3600000), BURST);
}

TEST(mint_budget_of_a_tenant_costs_the_others_nothing_h4)
{
    CHECK_INT(taken_of(100000, "a", START), BURST);
    CHECK_INT(taken_of(BURST, "b", START), BURST);
    CHECK_INT(take("b", START), ERR_TENANT_LIMIT);
}

TEST(mint_budget_of_a_tenant_holds_over_time)
{
    int taken = 0;

    for (int64_t ms = 0; ms < 20000; ms++)
        taken += taken_of(3, "a", START + ms);
    CHECK(taken >= RATE * 20);
    CHECK(taken <= BURST + RATE * 20);
}

TEST(mint_budget_has_a_limit_for_all_tenants)
{
    char name[16];
    int taken = 0;

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "t%d", i);
        taken += taken_of(10, name, START);
    }
    CHECK_INT(taken, ALL);
    CHECK_INT(take("one-more", START), ERR_LIMIT);
    CHECK_INT(take("one-more", START + 5), ERR_OK); /* 200 a second */
    CHECK_INT(take("t0", START + 5), ERR_LIMIT);
}

/* What was refused must not push out those whose buckets are not full. */
TEST(mint_budget_remembers_nobody_who_got_nothing)
{
    char name[16];

    CHECK_INT(taken_of(ALL, "a", START), BURST);
    for (int i = 0; i < ALL; i++) {
        (void)snprintf(name, sizeof name, "t%d", i);
        (void)take(name, START);
    }
    CHECK_INT(budget.map.count, 1 + ALL - BURST);
    CHECK_INT(take("a", START), ERR_TENANT_LIMIT);
}

/* However many tenants there are, none is forgotten before its bucket is full again. */
TEST(mint_budget_gives_no_more_to_a_tenant_among_very_many)
{
    char name[16];
    int taken = 0;
    int others = 0;

    for (int64_t ms = 0; ms < 60000; ms++) {
        /* Bursts with pauses between, the most that can be had within a while. */
        int burst = ms % 4000 == 0 ? ALL : ms % 4000 < 2000;

        taken += take("a", START + ms) == ERR_OK;
        for (int i = 0; i < burst; i++) {
            (void)snprintf(name, sizeof name, "t%d", others);
            others += take(name, START + ms) == ERR_OK;
        }
        CHECK(taken <= BURST + RATE * (ms + 1000) / 1000);
    }
    CHECK(others > 5000);
    CHECK(budget.map.count <= 2 * ALL + 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, budget_make, budget_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(mint_budget_of_a_tenant_ends_and_comes_back_with_time),
        CASE(mint_budget_of_a_tenant_costs_the_others_nothing_h4),
        CASE(mint_budget_of_a_tenant_holds_over_time),
        CASE(mint_budget_has_a_limit_for_all_tenants),
        CASE(mint_budget_remembers_nobody_who_got_nothing),
        CASE(mint_budget_gives_no_more_to_a_tenant_among_very_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
