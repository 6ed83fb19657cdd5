/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_LIST_H
#define EXEAT_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* Intrusive doubly linked list. A node is in at most one list; `item` is the struct around it. */
struct list_node {
    struct list_node *prev;
    struct list_node *next;
    void *item; /* borrowed: the struct that embeds the node */
};

struct list {
    struct list_node *first;
    struct list_node *last;
    size_t count;
};

void list_add_last(struct list *list, struct list_node *node, void *item);
void list_add_first(struct list *list, struct list_node *node, void *item);

/* `node` is in `list`. */
void list_remove(struct list *list, struct list_node *node);

/* The first or last item, or NULL. */
void *list_first(const struct list *list);
void *list_last(const struct list *list);

#endif
