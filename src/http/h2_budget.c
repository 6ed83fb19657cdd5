/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer may cost (threats B1, B2, B5, B12). Each kind of frame that makes work without being
 * of use has a budget; what is over it ends the connection. Budgets come back with time, by a tenth
 * each tick, and with use: an exchange that is complete pays for some of every kind, so that a busy
 * peer is never taken for a flood.
 */
#include "http/h2_session.h"

static const struct {
    unsigned limit;
    const char *words;
} budgets[H2_BUDGET_COUNT] = {
#define H2_BUDGET_ROW(name, limit, words) {limit, words},
    H2_BUDGETS(H2_BUDGET_ROW)
#undef H2_BUDGET_ROW
};

void h2_budget_init(struct h2_budget *budget)
{
    for (size_t i = 0; i < H2_BUDGET_COUNT; i++)
        budget->left[i] = budgets[i].limit;
}

int h2_budget_spend(struct h2_budget *budget, enum h2_budget_kind kind, struct err *err)
{
    if (budget->left[kind] == 0)
        return err_set(err, ERR_LIMIT, "too many %s", budgets[kind].words);
    budget->left[kind]--;
    return 0;
}

void h2_budget_earn(struct h2_budget *budget, enum h2_budget_kind kind, unsigned count)
{
    unsigned room = budgets[kind].limit - budget->left[kind];

    budget->left[kind] += count < room ? count : room;
}

void h2_budget_exchange(struct h2_budget *budget)
{
    h2_budget_earn(budget, H2_BUDGET_RESETS, 1);
    h2_budget_earn(budget, H2_BUDGET_FAULTS, 1);
    h2_budget_earn(budget, H2_BUDGET_PINGS, 2);
    h2_budget_earn(budget, H2_BUDGET_EMPTY, 2);
    h2_budget_earn(budget, H2_BUDGET_PRIORITIES, 4);
    h2_budget_earn(budget, H2_BUDGET_WINDOWS, 8);
    h2_budget_earn(budget, H2_BUDGET_STRAYS, 4);
}

void h2_budget_tick(struct h2_budget *budget)
{
    for (unsigned i = 0; i < H2_BUDGET_COUNT; i++)
        h2_budget_earn(budget, (enum h2_budget_kind)i, (budgets[i].limit + 9) / 10);
}
