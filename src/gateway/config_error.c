/* SPDX-License-Identifier: Apache-2.0 */
/* Lines about a configuration, the first of them by place in the file. */
#include "gateway/config_error.h"

#include <stdarg.h>

#include "base/span.h"

#define PATH_SHOWN 200

void config_errors_init(struct config_errors *errors)
{
    memset(errors, 0, sizeof *errors);
}

/* -1 if `a` stands before `b`. A line without a place stands last. */
static int compare(const struct config_line *a, const struct config_line *b)
{
    unsigned line_a = a->line == 0 ? UINT32_MAX : a->line;
    unsigned line_b = b->line == 0 ? UINT32_MAX : b->line;

    if (line_a != line_b)
        return line_a < line_b ? -1 : 1;
    if (a->column == b->column)
        return 0;
    return a->column < b->column ? -1 : 1;
}

/* Insert behind those before and at its place; when all places are taken the last one goes. */
static void insert(struct config_lines *lines, const struct config_line *item)
{
    size_t at = lines->count;

    lines->total++;
    while (at > 0 && compare(item, &lines->items[at - 1]) < 0)
        at--;
    if (at == CONFIG_LINE_COUNT)
        return;
    if (lines->count < CONFIG_LINE_COUNT)
        lines->count++;
    for (size_t i = lines->count - 1; i > at; i--)
        lines->items[i] = lines->items[i - 1];
    lines->items[at] = *item;
}

/* "path:line:column: " into the item; the offset behind it. */
static size_t write_place(struct config_line *item, const char *path)
{
    size_t len = strlen(path);
    const char *cut = len > PATH_SHOWN ? "..." : "";
    int n;

    if (len > PATH_SHOWN)
        path += len - PATH_SHOWN;
    if (item->line == 0)
        n = snprintf(item->text, sizeof item->text, "%s%s: ", cut, path);
    else if (item->column == 0)
        n = snprintf(item->text, sizeof item->text, "%s%s:%u: ", cut, path, item->line);
    else
        n = snprintf(item->text, sizeof item->text, "%s%s:%u:%u: ", cut, path, item->line,
                     item->column);
    ENSURE(n > 0 && (size_t)n < sizeof item->text);
    return (size_t)n;
}

__attribute__((format(printf, 3, 0))) static void write_line(struct config_line *item, size_t at,
                                                             const char *format, va_list args)
{
    (void)vsnprintf(item->text + at, sizeof item->text - at, format, args);
    for (char *c = item->text; *c != 0; c++) {
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    }
}

void config_error_add(struct config_errors *errors, const char *path, unsigned line,
                      unsigned column, const char *format, ...)
{
    struct config_line item = {.line = line, .column = column};
    va_list args;

    va_start(args, format);
    write_line(&item, write_place(&item, path), format, args);
    va_end(args);
    insert(&errors->errors, &item);
}

void config_warning_add(struct config_errors *errors, const char *path, unsigned line,
                        unsigned column, const char *format, ...)
{
    static const char word[] = "warning: ";
    struct config_line item = {.line = line, .column = column};
    size_t at = write_place(&item, path);
    va_list args;

    ENSURE(at + sizeof word < sizeof item.text);
    memcpy(item.text + at, word, sizeof word);
    va_start(args, format);
    write_line(&item, at + sizeof word - 1, format, args);
    va_end(args);
    insert(&errors->warnings, &item);
}
