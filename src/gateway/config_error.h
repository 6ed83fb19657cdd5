/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_CONFIG_ERROR_H
#define EXEAT_GATEWAY_CONFIG_ERROR_H

#include <stddef.h>

/* What is wrong with a configuration: the first ones by place in the file, and how many in all. */

#define CONFIG_LINE_COUNT 20
#define CONFIG_LINE_MAX   384

/* "gateway.yaml:12:5: unknown key 'prots', expected one of ... (did you mean 'ports'?)" */
struct config_line {
    unsigned line; /* of the file; 0: none in particular */
    unsigned column;
    char text[CONFIG_LINE_MAX]; /* printable, NUL behind it */
};

struct config_lines {
    size_t count; /* of `items` */
    size_t total; /* seen, also those not kept */
    struct config_line items[CONFIG_LINE_COUNT];
};

struct config_errors {
    struct config_lines errors;
    struct config_lines warnings; /* their text says so */
};

void config_errors_init(struct config_errors *errors);

/*
 * Add one line, in order of line and column. `line` 0: no place is written; `column` 0: only the
 * line is. Bytes that are not printable ASCII become '?'.
 */
void config_error_add(struct config_errors *errors, const char *path, unsigned line,
                      unsigned column, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void config_warning_add(struct config_errors *errors, const char *path, unsigned line,
                        unsigned column, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
