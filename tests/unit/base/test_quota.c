/* SPDX-License-Identifier: Apache-2.0 */
#include "base/quota.h"

#include "base/ensure.h"
#include "dies.h"

TEST(quota_gives_up_to_its_limit)
{
    struct quota quota;

    quota_init(&quota, NULL, 10);
    CHECK_INT(quota_take(&quota, 7), 0);
    CHECK_INT(quota_left(&quota), 3);
    CHECK_INT(quota_take(&quota, 4), -1);
    CHECK_INT(quota.used, 7);
    CHECK_INT(quota_take(&quota, 3), 0);
    CHECK_INT(quota_take(&quota, 1), -1);
    CHECK_INT(quota_take(&quota, SIZE_MAX), -1);
    quota_give(&quota, 10);
    quota_fini(&quota);
}

TEST(quota_takes_of_all_that_it_is_part_of_or_of_none_K2)
{
    struct quota all;
    struct quota one;
    struct quota two;

    quota_init(&all, NULL, 10);
    quota_init(&one, &all, 8);
    quota_init(&two, &all, 8);
    CHECK_INT(quota_take(&one, 8), 0);
    CHECK_INT(quota_take(&one, 1), -1);
    CHECK_INT(quota_take(&two, 3), -1); /* `all` has 2 left */
    CHECK_INT(two.used, 0);
    CHECK_INT(quota_left(&two), 2);
    CHECK_INT(quota_take(&two, 2), 0);
    CHECK_INT(all.used, 10);
    quota_give(&one, 8);
    quota_give(&two, 2);
    CHECK_INT(all.used, 0);
}

TEST(quota_says_who_has_gone_over)
{
    struct quota all;
    struct quota one;
    struct quota two;

    quota_init(&all, NULL, 10);
    quota_init(&one, &all, 20);
    quota_init(&two, &all, 2);
    quota_add(&one, 10);
    CHECK(!quota_is_over(&one));
    quota_add(&one, 1);
    CHECK(quota_is_over(&one)); /* as a part of `all` */
    CHECK_INT(quota_left(&one), 0);
    CHECK_INT(quota_take(&two, 1), -1);
    quota_give(&one, 9);
    CHECK(!quota_is_over(&one));
    quota_add(&two, 3);
    CHECK(quota_is_over(&two));
    CHECK(!quota_is_over(&one));
    quota_give(&one, 2);
    quota_give(&two, 3);
    quota_fini(&all);
}

static void give_without_take(void)
{
    struct quota quota;

    quota_init(&quota, NULL, 1);
    quota_give(&quota, 1);
}

static void fini_with_some_out(void)
{
    struct quota quota;

    quota_init(&quota, NULL, 1);
    (void)quota_take(&quota, 1);
    quota_fini(&quota);
}

TEST(quota_counts_what_is_out)
{
    check_dies(give_without_take);
    check_dies(fini_with_some_out);
}

TEST_MAIN(TEST_OF(quota_gives_up_to_its_limit),
          TEST_OF(quota_takes_of_all_that_it_is_part_of_or_of_none_K2),
          TEST_OF(quota_says_who_has_gone_over), TEST_OF(quota_counts_what_is_out))
