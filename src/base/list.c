/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list. */
#include "base/list.h"

#include "base/ensure.h"

void list_add_last(struct list *list, struct list_node *node, void *item)
{
    *node = (struct list_node){.prev = list->last, .item = item};
    if (list->last != NULL)
        list->last->next = node;
    else
        list->first = node;
    list->last = node;
    list->count++;
}

void list_add_first(struct list *list, struct list_node *node, void *item)
{
    *node = (struct list_node){.next = list->first, .item = item};
    if (list->first != NULL)
        list->first->prev = node;
    else
        list->last = node;
    list->first = node;
    list->count++;
}

void list_remove(struct list *list, struct list_node *node)
{
    ENSURE(list->count > 0);
    if (node->prev != NULL)
        node->prev->next = node->next;
    else
        list->first = node->next;
    if (node->next != NULL)
        node->next->prev = node->prev;
    else
        list->last = node->prev;
    list->count--;
    *node = (struct list_node){0};
}

void *list_first(const struct list *list)
{
    return list->first == NULL ? NULL : list->first->item;
}

void *list_last(const struct list *list)
{
    return list->last == NULL ? NULL : list->last->item;
}
