/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the configuration: what every section reads the same way. */
#include "gateway/config_value.h"

#include <stdarg.h>

#include "base/num.h"
#include "base/text.h"

#define PATH_LIMIT 4095

int config_refuse(struct config_reader *reader, const struct config_node *node, const char *format,
                  ...)
{
    char text[CONFIG_LINE_MAX];
    va_list args;

    if (node->kind == CONFIG_BROKEN)
        return -1;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    config_error_add(reader->errors, reader->path, node->line, node->column, "%s", text);
    return -1;
}

struct config_words config_words(const struct config_node *node)
{
    struct config_words words;
    int cut = node->text.len > 40;

    switch (node->kind) {
    case CONFIG_NOTHING:
    case CONFIG_BROKEN:
        (void)snprintf(words.text, sizeof words.text, "nothing");
        break;
    case CONFIG_LIST:
        (void)snprintf(words.text, sizeof words.text, "a list");
        break;
    case CONFIG_MAP:
        (void)snprintf(words.text, sizeof words.text, "a map");
        break;
    case CONFIG_SCALAR:
        (void)snprintf(words.text, sizeof words.text, "'%.40s%s'", (const char *)node->text.ptr,
                       cut ? "..." : "");
        break;
    }
    return words;
}

int config_expect_scalar(struct config_reader *reader, const struct config_node *node,
                         const char *expected)
{
    if (node->kind == CONFIG_SCALAR && node->text.len > 0)
        return 0;
    return config_refuse(reader, node, "%s, expected %s", config_words(node).text, expected);
}

int config_expect_list(struct config_reader *reader, const struct config_node *node, size_t most,
                       const char *expected)
{
    if (node->kind != CONFIG_LIST)
        return config_refuse(reader, node, "%s, expected a list of %s", config_words(node).text,
                             expected);
    if (node->count == 0)
        return config_refuse(reader, node, "an empty list, expected at least one of %s", expected);
    if (node->count > most)
        return config_refuse(reader, node, "a list of %zu, expected at most %zu of %s", node->count,
                             most, expected);
    return 0;
}

int config_expect_map(struct config_reader *reader, const struct config_node *node,
                      const char *expected)
{
    if (node->kind == CONFIG_MAP)
        return 0;
    return config_refuse(reader, node, "%s, expected %s (a map)", config_words(node).text,
                         expected);
}

static int unknown_key(struct config_reader *reader, const struct config_node *key,
                       const struct config_fields *fields)
{
    char names[256];
    struct text list;
    struct config_guess guess;

    if (key->kind != CONFIG_SCALAR)
        return config_refuse(reader, key, "%s as a key, expected a name", config_words(key).text);
    text_init(&list, names, sizeof names);
    config_guess_init(&guess, key->text);
    for (size_t i = 0; i < fields->count; i++) {
        config_guess_try(&guess, span_text(fields->items[i].name));
        text_addf(&list, "%s%s", i == 0 ? "" : ", ", fields->items[i].name);
    }
    if (guess.best.len > 0)
        return config_refuse(reader, key, "unknown key %s in %s, did you mean '%s'?",
                             config_words(key).text, fields->what, (const char *)guess.best.ptr);
    return config_refuse(reader, key, "unknown key %s in %s, expected one of %s",
                         config_words(key).text, fields->what, text_str(&list));
}

static bool is_known(const struct config_fields *fields, const struct config_node *key)
{
    for (size_t i = 0; i < fields->count && key->kind == CONFIG_SCALAR; i++) {
        if (span_equal(span_text(fields->items[i].name), key->text))
            return true;
    }
    return false;
}

int config_read_map(struct config_reader *reader, const struct config_node *node,
                    const struct config_fields *fields, void *base)
{
    int result = 0;

    if (config_expect_map(reader, node, fields->what) < 0)
        return -1;
    for (const struct config_node *at = node->first; at != NULL; at = at->next) {
        if (!is_known(fields, at->key))
            result = unknown_key(reader, at->key, fields);
    }
    for (size_t i = 0; i < fields->count; i++) {
        const struct config_field *field = &fields->items[i];
        const struct config_node *value = config_tree_find(node, span_text(field->name));

        if (value == NULL && field->need == CONFIG_REQUIRED)
            result = config_refuse(reader, node, "%s without '%s', expected one", fields->what,
                                   field->name);
        if (value != NULL && field->read(reader, value, field, (uint8_t *)base + field->offset) < 0)
            result = -1;
    }
    return result;
}

void *config_take(struct config_reader *reader, const struct config_node *node, size_t count,
                  size_t size)
{
    void *memory;

    ENSURE(count <= SIZE_MAX / size);
    memory = arena_take(reader->arena, count * size);
    if (memory == NULL)
        (void)config_refuse(reader, node, "too large: out of memory");
    return memory;
}

struct span config_copy(struct config_reader *reader, const struct config_node *node,
                        struct span text)
{
    uint8_t *copy = config_take(reader, node, text.len + 1, 1);

    if (copy == NULL)
        return span_of(NULL, 0);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    return span_of(copy, text.len);
}

int config_note_nodes(struct config_reader *reader, const struct config_node *node,
                      const struct config_node ***nodes)
{
    const struct config_node **at =
        arena_take(reader->scratch, (node->count + 1) * sizeof(const struct config_node *));
    size_t count = 0;

    if (at == NULL)
        return config_refuse(reader, node, "too large: out of memory");
    for (const struct config_node *item = node->first; item != NULL; item = item->next)
        at[count++] = item;
    *nodes = at;
    return 0;
}

bool config_is_name(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_' || c == '.'))
            return false;
    }
    return text.len > 0 && text.len <= LIMIT_NAME;
}

const char *config_join_path(struct config_reader *reader, const struct config_node *node,
                             const char *directory, struct span path)
{
    size_t len = strlen(directory);
    struct text out;
    char *memory;

    if (path.len > 0 && path.ptr[0] == '/')
        len = 0;
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] < 0x20 || path.ptr[i] == 0x7f) {
            (void)config_refuse(reader, node, "byte 0x%02x, expected a path", path.ptr[i]);
            return NULL;
        }
    }
    if (path.len > PATH_LIMIT || len > PATH_LIMIT - path.len) {
        (void)config_refuse(reader, node, "a path of %zu bytes, expected at most %d",
                            len + path.len, PATH_LIMIT);
        return NULL;
    }
    memory = config_take(reader, node, len + path.len + 2, 1);
    if (memory == NULL)
        return NULL;
    text_init(&out, memory, len + path.len + 2);
    if (len > 0) {
        text_add(&out, span_of(directory, len));
        if (directory[len - 1] != '/')
            text_add_char(&out, '/');
    }
    text_add(&out, path);
    return text_str(&out);
}

/* The directory of the configuration file, as far as its path names one. */
static const char *file_directory(struct config_reader *reader, const struct config_node *node)
{
    const char *slash = strrchr(reader->path, '/');

    if (slash == NULL)
        return "";
    return (const char *)config_copy(reader, node,
                                     span_of(reader->path, (size_t)(slash - reader->path) + 1))
        .ptr;
}

int config_read_path(struct config_reader *reader, const struct config_node *node,
                     const struct config_field *field, void *into)
{
    const char *directory;
    const char *joined;

    (void)field;
    if (config_expect_scalar(reader, node, "a path") < 0)
        return -1;
    directory = file_directory(reader, node);
    if (directory == NULL)
        return -1;
    joined = config_join_path(reader, node, directory, node->text);
    if (joined == NULL)
        return -1;
    memcpy(into, &joined, sizeof joined);
    return 0;
}

struct unit {
    const char *word;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit size_units[] = {
    {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {NULL, 0}};

struct amount {
    char text[32];
};

/* In the largest unit that leaves no rest. */
static struct amount amount_text(uint64_t value, const struct unit *units)
{
    struct amount out;

    for (; units->word != NULL; units++) {
        if (value % units->factor != 0)
            continue;
        (void)snprintf(out.text, sizeof out.text, "%llu%s",
                       (unsigned long long)(value / units->factor), units->word);
        return out;
    }
    (void)snprintf(out.text, sizeof out.text, "%llu", (unsigned long long)value);
    return out;
}

static int read_amount(struct span text, const struct unit *units, uint64_t *value)
{
    size_t digits = 0;
    struct err err;

    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    if (num_read_u64(span_first(text, digits), value, &err) < 0)
        return -1;
    for (; units->word != NULL; units++) {
        if (span_equal(span_from(text, digits), span_text(units->word)))
            return __builtin_mul_overflow(*value, units->factor, value) ? -1 : 0;
    }
    return -1;
}

static int check_range(struct config_reader *reader, const struct config_node *node,
                       const struct config_field *field, const struct unit *units, uint64_t value)
{
    if (value >= field->low && value <= field->high)
        return 0;
    return config_refuse(reader, node, "%s, expected %s to %s", config_words(node).text,
                         amount_text(field->low, units).text, amount_text(field->high, units).text);
}

int config_read_duration(struct config_reader *reader, const struct config_node *node,
                         const struct config_field *field, void *into)
{
    static const char expected[] = "a duration such as 500ms, 5s, 2m or 24h";
    uint64_t value;
    int64_t ms;

    if (config_expect_scalar(reader, node, expected) < 0)
        return -1;
    if (read_amount(node->text, duration_units, &value) < 0)
        return config_refuse(reader, node, "%s, expected %s", config_words(node).text, expected);
    if (check_range(reader, node, field, duration_units, value) < 0)
        return -1;
    ms = (int64_t)value;
    memcpy(into, &ms, sizeof ms);
    return 0;
}

int config_read_size(struct config_reader *reader, const struct config_node *node,
                     const struct config_field *field, void *into)
{
    static const char expected[] = "a size such as 64KiB, 16MiB or 1GiB";
    uint64_t value;

    if (config_expect_scalar(reader, node, expected) < 0)
        return -1;
    if (read_amount(node->text, size_units, &value) < 0)
        return config_refuse(reader, node, "%s, expected %s", config_words(node).text, expected);
    if (check_range(reader, node, field, size_units, value) < 0)
        return -1;
    memcpy(into, &value, sizeof value);
    return 0;
}

int config_read_count(struct config_reader *reader, const struct config_node *node,
                      const struct config_field *field, void *into)
{
    uint64_t value;
    struct err err;

    if (config_expect_scalar(reader, node, "a number") < 0)
        return -1;
    if (num_read_u64(node->text, &value, &err) < 0 || value < field->low || value > field->high)
        return config_refuse(reader, node, "%s, expected a number from %llu to %llu",
                             config_words(node).text, (unsigned long long)field->low,
                             (unsigned long long)field->high);
    memcpy(into, &value, sizeof value);
    return 0;
}

#define GUESS_MAX  32
#define GUESS_NEAR 2

void config_guess_init(struct config_guess *guess, struct span text)
{
    *guess = (struct config_guess){.text = text, .distance = GUESS_NEAR + 1};
}

/* Levenshtein: how many letters to insert, drop or change. */
static size_t edit_distance(struct span a, struct span b)
{
    size_t row[GUESS_MAX + 1];

    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 0; i < a.len; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < b.len; j++) {
            size_t changed = diagonal + (a.ptr[i] == b.ptr[j] ? 0 : 1);

            diagonal = row[j + 1];
            row[j + 1] = num_min(changed, num_min(row[j], row[j + 1]) + 1);
        }
    }
    return row[b.len];
}

void config_guess_try(struct config_guess *guess, struct span name)
{
    size_t distance;

    if (guess->text.len > GUESS_MAX || name.len > GUESS_MAX)
        return;
    distance = edit_distance(guess->text, name);
    if (distance >= guess->distance || distance >= name.len)
        return;
    guess->distance = distance;
    guess->best = name;
}
