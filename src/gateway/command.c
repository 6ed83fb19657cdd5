/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share, and `check`. */
#include "gateway/command.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/pool.h"
#include "base/text.h"
#include "os/file.h"

int command_failed(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fputs("exeat-gateway: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    return 1;
}

void command_errors_print(const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->warnings.count; i++)
        (void)fprintf(stderr, "%s\n", errors->warnings.items[i].text);
    for (size_t i = 0; i < errors->errors.count; i++)
        (void)fprintf(stderr, "%s\n", errors->errors.items[i].text);
    if (errors->errors.total > errors->errors.count)
        (void)fprintf(stderr, "and %zu more errors\n", errors->errors.total - errors->errors.count);
}

static int config_load(struct config *config, const char *path, enum command_files files,
                       struct config_errors *errors)
{
    struct room content;
    struct err err;
    int result;

    if (file_read(path, CONFIG_FILE_MAX, &content, &err) < 0) {
        config_error_add(errors, path, 0, 0, "%s", err.text);
        return -1;
    }
    result = config_read(config, span_of_room(content), path, errors);
    file_free(&content);
    if (result == 0 && files == COMMAND_FILES_TOO && config_check_files(config, errors) < 0) {
        config_fini(config);
        result = -1;
    }
    return result;
}

int command_config(struct config *config, const char *path, enum command_files files)
{
    struct config_errors *errors = pool_block_new(sizeof *errors);
    int result;

    if (errors == NULL)
        return command_failed("out of memory");
    config_errors_init(errors);
    result = config_load(config, path, files, errors);
    errors->warnings.count = 0; /* `check` and `serve` tell them */
    command_errors_print(errors);
    pool_block_free(errors);
    return result < 0 ? 1 : 0;
}

static void lines_json(const char *name, const struct config_lines *lines)
{
    static char memory[8 * CONFIG_LINE_MAX];

    (void)printf("\"%s\":[", name);
    for (size_t i = 0; i < lines->count; i++) {
        struct text out;

        text_init(&out, memory, sizeof memory - 1);
        text_add_json(&out, span_text(lines->items[i].text));
        (void)printf("%s{\"line\":%u,\"column\":%u,\"text\":%s}", i == 0 ? "" : ",",
                     lines->items[i].line, lines->items[i].column, text_str(&out));
    }
    (void)fputs("]", stdout);
}

static void memory_print(const struct config *config)
{
    struct config_memory_part parts[CONFIG_MEMORY_COUNT];

    config_memory_parts(config, parts);
    (void)printf("worst-case memory: %llu MiB for each worker, of at most %llu MiB\n",
                 (unsigned long long)(config_memory_worst(config) >> 20),
                 (unsigned long long)(config->limits.memory >> 20));
    for (size_t i = 0; i < CONFIG_MEMORY_COUNT; i++)
        (void)printf("  %s: %llu x %llu KiB = %llu MiB\n", parts[i].words,
                     (unsigned long long)parts[i].count, (unsigned long long)(parts[i].each >> 10),
                     (unsigned long long)(parts[i].count * parts[i].each >> 20));
}

static void summary_print(const struct config *config, const char *path)
{
    char memory[128];
    struct text out;

    (void)printf("%s: good, policy %016llx\n", path, (unsigned long long)config->generation);
    for (size_t i = 0; i < config->listen_count; i++) {
        text_init(&out, memory, sizeof memory - 1);
        socket_write_address(&out, &config->listens[i].address);
        (void)printf("listener: %s (%s)\n", text_str(&out),
                     config->listens[i].certificate == NULL ? "ws, without TLS" : "wss");
    }
    (void)printf("rules: %zu\ncredentials: %zu\n", config->policy.rule_count,
                 config->policy.credential_count);
    memory_print(config);
}

static void summary_json(const struct config *config, const struct config_errors *errors)
{
    (void)printf("{\"ok\":%s,", errors->errors.total == 0 ? "true" : "false");
    if (errors->errors.total == 0)
        (void)printf("\"policy\":\"%016llx\",\"listeners\":%zu,\"rules\":%zu,\"credentials\":%zu,"
                     "\"worker_memory_max\":%llu,",
                     (unsigned long long)config->generation, config->listen_count,
                     config->policy.rule_count, config->policy.credential_count,
                     (unsigned long long)config_memory_worst(config));
    lines_json("errors", &errors->errors);
    (void)fputs(",", stdout);
    lines_json("warnings", &errors->warnings);
    (void)puts("}");
}

int command_check(const struct options *options)
{
    static struct config config;
    struct config_errors *errors = pool_block_new(sizeof *errors);
    int result;

    if (errors == NULL)
        return command_failed("out of memory");
    config_errors_init(errors);
    result = config_load(&config, options->config, COMMAND_FILES_TOO, errors);
    if ((options->given & OPTION_JSON) != 0)
        summary_json(&config, errors);
    else
        command_errors_print(errors);
    if (result == 0 && (options->given & OPTION_JSON) == 0)
        summary_print(&config, options->config);
    config_fini(&config);
    pool_block_free(errors);
    return result < 0 ? 1 : 0;
}
