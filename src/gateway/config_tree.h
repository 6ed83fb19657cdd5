/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_CONFIG_TREE_H
#define EXEAT_GATEWAY_CONFIG_TREE_H

#include "base/arena.h"
#include "base/span.h"
#include "gateway/config_error.h"

/* A YAML document as a tree that knows where everything stood. Anchors, aliases and tags are no
 * part of our YAML. */

#define CONFIG_TREE_DEPTH 16
#define CONFIG_TREE_NODES 100000
#define CONFIG_TREE_KEYS  1024 /* of one map */

enum config_kind {
    CONFIG_NOTHING, /* an empty, null or ~ value */
    CONFIG_SCALAR,
    CONFIG_LIST,
    CONFIG_MAP,
    CONFIG_BROKEN, /* an error was added for it: say nothing more */
};

struct config_node {
    enum config_kind kind;
    unsigned line;                 /* from 1 */
    unsigned column;               /* from 1, in characters */
    struct span text;              /* of a scalar; NUL behind it, none in it */
    const struct config_node *key; /* in a map: the scalar before the colon */
    struct config_node *first;     /* of a list or map */
    struct config_node *last;
    struct config_node *next; /* in the list or map around it */
    size_t count;             /* of a list or map */
};

/*
 * Read one YAML document. 0 and the root in *tree, which lives in `arena`; errors may have been
 * added (duplicate keys, aliases). -1 with an error added if there is no tree.
 */
int config_tree_read(struct span yaml, const char *path, struct arena *arena,
                     struct config_errors *errors, struct config_node **tree);

/* The value of a key in a map, or NULL. */
const struct config_node *config_tree_find(const struct config_node *map, struct span key);

#endif
