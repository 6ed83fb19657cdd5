/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_CONFIG_VALUE_H
#define EXEAT_GATEWAY_CONFIG_VALUE_H

#include "gateway/config.h"
#include "gateway/config_tree.h"

/* Nodes of the tree -> values of struct config, each with its error. Private to config_*.c. */

struct config_reader {
    struct config *config;
    const char *path; /* of the file */
    struct config_errors *errors;
    struct arena *arena;                    /* of the config */
    struct arena *scratch;                  /* gone after config_read() */
    const struct config_node **rules;       /* by rule index */
    const struct config_node **credentials; /* by credential index */
    uint8_t *is_used;                       /* by credential index */
};

enum config_need { CONFIG_OPTIONAL, CONFIG_REQUIRED };

/* One key of a map: how its value is read and where it goes. */
struct config_field {
    const char *name;
    int (*read)(struct config_reader *reader, const struct config_node *node,
                const struct config_field *field, void *into);
    size_t offset; /* of `into` in the struct the map fills */
    uint64_t low;  /* bounds of numbers, durations (ms) and sizes (bytes) */
    uint64_t high;
    enum config_need need;
};

struct config_fields {
    const struct config_field *items;
    size_t count;
    const char *what; /* "a listener", for errors */
};

/* The fields of a table, named `words` in errors. */
#define CONFIG_FIELDS(table, words)                                                                \
    {                                                                                              \
        .items = (table), .count = sizeof(table) / sizeof(table)[0], .what = (words)               \
    }

/* Add an error at the node, none if it is CONFIG_BROKEN. Always -1. */
int config_refuse(struct config_reader *reader, const struct config_node *node, const char *format,
                  ...) __attribute__((format(printf, 3, 4)));

/* What stands there, in words: "'text'", "a list", "nothing". Never for what may be a secret. */
struct config_words {
    char text[64];
};
struct config_words config_words(const struct config_node *node);

/* -1 with an error if the node is not what is expected. */
int config_expect_scalar(struct config_reader *reader, const struct config_node *node,
                         const char *expected);
int config_expect_list(struct config_reader *reader, const struct config_node *node, size_t most,
                       const char *expected);
int config_expect_map(struct config_reader *reader, const struct config_node *node,
                      const char *expected);

/*
 * Read the keys of a map, in the order of the table. Unknown keys, missing required keys and bad
 * values are errors; all of them are added. -1 if there was one.
 */
int config_read_map(struct config_reader *reader, const struct config_node *node,
                    const struct config_fields *fields, void *base);

/* Zeroed memory of the config; NULL with an error at the node. */
void *config_take(struct config_reader *reader, const struct config_node *node, size_t count,
                  size_t size);

/* A copy with a NUL behind it. ptr NULL with an error at the node. */
struct span config_copy(struct config_reader *reader, const struct config_node *node,
                        struct span text);

/* The items of a list or map as an array, for what must be looked up by its index later. */
int config_note_nodes(struct config_reader *reader, const struct config_node *node,
                      const struct config_node ***nodes);

/* LIMIT_NAME letters, digits, '-', '_' and '.'. */
bool config_is_name(struct span text);

/* The path a relative one stands for; absolute ones stay. NULL with an error at the node. */
const char *config_join_path(struct config_reader *reader, const struct config_node *node,
                             const char *directory, struct span path);

/* Readers for tables; the type behind `into` in the comment. */
/* const char * */
int config_read_path(struct config_reader *reader, const struct config_node *node,
                     const struct config_field *field, void *into);
/* int64_t */
int config_read_duration(struct config_reader *reader, const struct config_node *node,
                         const struct config_field *field, void *into);
/* uint64_t */
int config_read_size(struct config_reader *reader, const struct config_node *node,
                     const struct config_field *field, void *into);
/* uint64_t */
int config_read_count(struct config_reader *reader, const struct config_node *node,
                      const struct config_field *field, void *into);

/* The best of several names for one that is none of them. */
struct config_guess {
    struct span text;
    struct span best; /* empty: none is near */
    size_t distance;
};
void config_guess_init(struct config_guess *guess, struct span text);
void config_guess_try(struct config_guess *guess, struct span name);

#endif
