/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML -> tree. libyaml makes events, this file makes nodes of them with a stack of its own, so
 * that no nesting can exhaust ours. Bounded in depth, nodes and keys.
 */
#include "gateway/config_tree.h"

#include <limits.h>
#include <yaml.h>

struct builder {
    const char *path; /* borrowed */
    struct arena *arena;
    struct config_errors *errors;
    struct config_node *stack[CONFIG_TREE_DEPTH];
    struct config_node *key; /* of the map on top, waiting for its value */
    size_t depth;
    size_t nodes;
    size_t documents;
    struct config_node *root;
};

static unsigned from_one(size_t from_zero)
{
    return from_zero < UINT_MAX ? (unsigned)from_zero + 1 : UINT_MAX;
}

#define TREE_ERROR(b, node, ...)                                                                   \
    config_error_add((b)->errors, (b)->path, (node)->line, (node)->column, __VA_ARGS__)

static struct config_node *node_new(struct builder *b, const yaml_event_t *event,
                                    enum config_kind kind)
{
    struct config_node place = {.line = from_one(event->start_mark.line),
                                .column = from_one(event->start_mark.column)};
    struct config_node *node;

    if (b->nodes == CONFIG_TREE_NODES) {
        TREE_ERROR(b, &place, "more than %d values, expected fewer", CONFIG_TREE_NODES);
        return NULL;
    }
    node = arena_take(b->arena, sizeof *node);
    if (node == NULL) {
        TREE_ERROR(b, &place, "out of memory");
        return NULL;
    }
    *node = place;
    node->kind = kind;
    b->nodes++;
    return node;
}

const struct config_node *config_tree_find(const struct config_node *map, struct span key)
{
    for (const struct config_node *at = map->first; at != NULL; at = at->next) {
        if (at->key != NULL && span_equal(at->key->text, key))
            return at;
    }
    return NULL;
}

static int take_key(struct builder *b, struct config_node *node)
{
    const struct config_node *map = b->stack[b->depth - 1];
    const struct config_node *before;

    if (node->kind == CONFIG_LIST || node->kind == CONFIG_MAP) {
        TREE_ERROR(b, node, "a %s as a key, expected a name",
                   node->kind == CONFIG_LIST ? "list" : "map");
        return -1;
    }
    if (map->count == CONFIG_TREE_KEYS) {
        TREE_ERROR(b, node, "more than %d keys, expected fewer", CONFIG_TREE_KEYS);
        return -1;
    }
    before = config_tree_find(map, node->text);
    if (before != NULL && node->kind == CONFIG_SCALAR)
        TREE_ERROR(b, node, "key '%.60s' again, expected it once (it is on line %u)",
                   (const char *)node->text.ptr, before->key->line);
    b->key = node;
    return 0;
}

/* Put a node where it belongs: the root, the next key, the value of a key, or the next item. */
static int place_node(struct builder *b, struct config_node *node)
{
    struct config_node *parent;

    if (b->depth == 0) {
        b->root = node;
        return 0;
    }
    parent = b->stack[b->depth - 1];
    if (parent->kind == CONFIG_MAP) {
        if (b->key == NULL)
            return take_key(b, node);
        node->key = b->key;
        b->key = NULL;
    }
    if (parent->last == NULL)
        parent->first = node;
    else
        parent->last->next = node;
    parent->last = node;
    parent->count++;
    return 0;
}

static bool is_nothing(const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) == 0)
            return true;
    }
    return false;
}

/* Anchors and tags make one text mean different things to different readers. */
static void check_plain(struct builder *b, struct config_node *node, const void *anchor,
                        const void *tag)
{
    if (anchor != NULL)
        TREE_ERROR(b, node, "an anchor (&), expected a value: anchors are not supported");
    if (tag != NULL)
        TREE_ERROR(b, node, "a tag (!), expected a value: tags are not supported");
    if ((anchor != NULL || tag != NULL) && node->kind == CONFIG_SCALAR)
        node->kind = CONFIG_BROKEN;
}

static int on_scalar(struct builder *b, const yaml_event_t *event)
{
    struct span text = span_of(event->data.scalar.value, event->data.scalar.length);
    struct config_node *node =
        node_new(b, event, is_nothing(event) ? CONFIG_NOTHING : CONFIG_SCALAR);
    uint8_t *copy;

    if (node == NULL)
        return -1;
    copy = arena_take(b->arena, text.len + 1);
    if (copy == NULL) {
        TREE_ERROR(b, node, "out of memory");
        return -1;
    }
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    node->text = span_of(copy, text.len);
    if (span_find(text, 0) >= 0) {
        TREE_ERROR(b, node, "a NUL byte, expected text");
        node->kind = CONFIG_BROKEN;
    }
    check_plain(b, node, event->data.scalar.anchor, event->data.scalar.tag);
    return place_node(b, node);
}

static int on_alias(struct builder *b, const yaml_event_t *event)
{
    struct config_node *node = node_new(b, event, CONFIG_BROKEN);

    if (node == NULL)
        return -1;
    TREE_ERROR(b, node, "an alias (*), expected a value: aliases are not supported");
    return place_node(b, node);
}

static int on_start(struct builder *b, const yaml_event_t *event, enum config_kind kind)
{
    struct config_node *node = node_new(b, event, kind);

    if (node == NULL)
        return -1;
    if (b->depth == CONFIG_TREE_DEPTH) {
        TREE_ERROR(b, node, "more than %d levels, expected fewer", CONFIG_TREE_DEPTH);
        return -1;
    }
    if (kind == CONFIG_LIST)
        check_plain(b, node, event->data.sequence_start.anchor, event->data.sequence_start.tag);
    else
        check_plain(b, node, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    if (place_node(b, node) < 0)
        return -1;
    b->stack[b->depth++] = node;
    return 0;
}

static int on_document(struct builder *b, const yaml_event_t *event)
{
    struct config_node place = {.line = from_one(event->start_mark.line),
                                .column = from_one(event->start_mark.column)};

    if (++b->documents == 1)
        return 0;
    TREE_ERROR(b, &place, "a second document (---), expected one");
    return -1;
}

static int on_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_ALIAS_EVENT:
        return on_alias(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(b, event, CONFIG_LIST);
    case YAML_MAPPING_START_EVENT:
        return on_start(b, event, CONFIG_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        ENSURE(b->depth > 0);
        b->depth--;
        return 0;
    case YAML_DOCUMENT_START_EVENT:
        return on_document(b, event);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    return 0;
}

/* Bytes that are no UTF-8 or no text have an offset, but no line yet. */
static void offset_place(struct span yaml, size_t offset, struct config_node *place)
{
    size_t column = 0;
    size_t line = 0;

    for (size_t i = 0; i < offset && i < yaml.len; i++) {
        column++;
        if (yaml.ptr[i] == '\n') {
            line++;
            column = 0;
        }
    }
    place->line = from_one(line);
    place->column = from_one(column);
}

static void syntax_error(struct builder *b, const yaml_parser_t *parser, struct span yaml)
{
    struct config_node place = {.line = from_one(parser->problem_mark.line),
                                .column = from_one(parser->problem_mark.column)};
    const char *problem = parser->problem == NULL ? "cannot be read" : parser->problem;

    if (parser->error == YAML_READER_ERROR)
        offset_place(yaml, parser->problem_offset, &place);
    if (parser->error == YAML_MEMORY_ERROR)
        TREE_ERROR(b, &place, "out of memory");
    else
        TREE_ERROR(b, &place, "not YAML (%s), expected a YAML document in UTF-8", problem);
}

static int run(struct builder *b, yaml_parser_t *parser, struct span yaml)
{
    bool is_done = false;

    while (!is_done) {
        yaml_event_t event;
        int result;

        if (!yaml_parser_parse(parser, &event)) {
            syntax_error(b, parser, yaml);
            return -1;
        }
        is_done = event.type == YAML_STREAM_END_EVENT;
        result = on_event(b, &event);
        yaml_event_delete(&event);
        if (result < 0)
            return -1;
    }
    return 0;
}

int config_tree_read(struct span yaml, const char *path, struct arena *arena,
                     struct config_errors *errors, struct config_node **tree)
{
    struct builder b = {.path = path, .arena = arena, .errors = errors};
    yaml_parser_t parser;
    int result;

    *tree = NULL;
    if (!yaml_parser_initialize(&parser)) {
        config_error_add(errors, path, 0, 0, "out of memory");
        return -1;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, yaml.len == 0 ? (const uint8_t *)"" : yaml.ptr, yaml.len);
    result = run(&b, &parser, yaml);
    yaml_parser_delete(&parser);
    if (result < 0)
        return -1;
    if (b.root == NULL) {
        config_error_add(errors, path, 1, 1, "an empty file, expected a configuration");
        return -1;
    }
    *tree = b.root;
    return 0;
}
