/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include "dies.h"

struct thing {
    int number;
    struct list_node node;
};

static struct thing things[4];

static void list_fill(struct list *list)
{
    *list = (struct list){0};
    for (int i = 0; i < 4; i++) {
        things[i] = (struct thing){.number = i};
        list_add_last(list, &things[i].node, &things[i]);
    }
}

static void check_order(const struct list *list, const char *expected)
{
    const struct list_node *last = NULL;
    size_t count = 0;

    for (const struct list_node *node = list->first; node != NULL; node = node->next) {
        const struct thing *thing = node->item;

        CHECK(node->prev == last);
        CHECK_INT(thing->number, expected[count] - '0');
        last = node;
        count++;
    }
    CHECK(list->last == last);
    CHECK_INT(count, strlen(expected));
    CHECK_INT(list->count, count);
}

TEST(list_keeps_the_order_of_adding)
{
    struct list list;

    list_fill(&list);
    check_order(&list, "0123");
    list = (struct list){0};
    for (int i = 0; i < 4; i++)
        list_add_first(&list, &things[i].node, &things[i]);
    check_order(&list, "3210");
    CHECK(list_first(&list) == &things[3]);
    CHECK(list_last(&list) == &things[0]);
}

TEST(list_removes_anywhere)
{
    static const char *const expected[] = {"123", "023", "013", "012"};
    struct list list;

    for (int i = 0; i < 4; i++) {
        list_fill(&list);
        list_remove(&list, &things[i].node);
        check_order(&list, expected[i]);
        CHECK(things[i].node.next == NULL && things[i].node.prev == NULL);
        list_add_last(&list, &things[i].node, &things[i]);
        CHECK_INT(list.count, 4);
    }
}

static void remove_from_nothing(void)
{
    struct list list = {0};

    list_remove(&list, &things[0].node);
}

TEST(list_can_be_empty)
{
    struct list list = {0};

    CHECK(list_first(&list) == NULL && list_last(&list) == NULL);
    list_add_first(&list, &things[0].node, &things[0]);
    list_remove(&list, &things[0].node);
    check_order(&list, "");
    check_dies(remove_from_nothing);
}

TEST_MAIN(TEST_OF(list_keeps_the_order_of_adding), TEST_OF(list_removes_anywhere),
          TEST_OF(list_can_be_empty))
