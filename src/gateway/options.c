/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the command line by tables; every error names what was seen and what to do. */
#include "gateway/options.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"

struct option_name {
    const char *name;
    enum options_flag flag;
    int has_value;
};

static const struct option_name option_names[] = {
    {"--config", OPTION_CONFIG, 1},
    {"-c", OPTION_CONFIG, 1},
    {"--log", OPTION_LOG, 1},
    {"--json", OPTION_JSON, 0},
    {"--pem", OPTION_PEM, 0},
    {"--ttl", OPTION_TTL, 1},
    {"--id", OPTION_ID, 1},
    {"--tenant", OPTION_TENANT, 1},
    {"--token-file", OPTION_TOKEN_FILE, 1},
    {"--start", OPTION_START, 0},
    {"--switch", OPTION_SWITCH, 0},
    {"--finish", OPTION_FINISH, 0},
};

#define OPTION_COUNT (sizeof option_names / sizeof *option_names)

static int usage(const char *command, const char *what, const char *name)
{
    (void)fprintf(stderr, "exeat-gateway: %s '%s'\n", what, name);
    (void)fprintf(stderr, "try: exeat-gateway %s%s--help\n", command, command[0] ? " " : "");
    return 2;
}

/* Does the command's name stand at `argv`? How many words it takes, or 0. */
static int command_match(const char *name, int argc, char **argv)
{
    const char *blank = strchr(name, ' ');
    size_t len = blank == NULL ? strlen(name) : (size_t)(blank - name);

    if (argc < 1 || strlen(argv[0]) != len || memcmp(argv[0], name, len) != 0)
        return 0;
    if (blank == NULL)
        return 1;
    return argc > 1 && strcmp(argv[1], blank + 1) == 0 ? 2 : 0;
}

/* The commands that begin with this word: "ca" alone is half a command. */
static int command_half(const struct options_command *commands, const char *word)
{
    int count = 0;
    size_t len = strlen(word);

    for (const struct options_command *at = commands; at->name != NULL; at++) {
        if (strncmp(at->name, word, len) != 0 || at->name[len] != ' ')
            continue;
        if (count++ == 0)
            (void)fprintf(stderr, "exeat-gateway: '%s' needs one more word, one of:\n", word);
        (void)fprintf(stderr, "  exeat-gateway %s\n", at->name);
    }
    return count;
}

static int command_unknown(const struct options_command *commands, const char *word)
{
    if (word[0] != '-' && command_half(commands, word) > 0)
        return 2;
    return usage("", word[0] == '-' ? "unknown option" : "unknown command", word);
}

/* "90", "90s", "15m", "8h", "7d" */
static int duration_read(const char *word, int64_t *ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    struct span text = span_text(word);
    int64_t factor = 1000;
    uint64_t number;
    struct err err;

    for (size_t i = 0; i < sizeof units / sizeof *units && text.len > 0; i++) {
        if (text.ptr[text.len - 1] == (uint8_t)units[i].unit) {
            factor = units[i].ms;
            text = span_first(text, text.len - 1);
            break;
        }
    }
    if (num_read_u64(text, &number, &err) < 0 || number == 0 || number > 315360000)
        return -1;
    *ms = (int64_t)number * factor;
    return *ms > 10LL * 365 * 86400000 ? -1 : 0;
}

static int value_set(struct options *options, const char *command, enum options_flag flag,
                     const char *value)
{
    if (value[0] == '\0')
        return usage(command, "an empty value for an option of", command);
    switch (flag) {
    case OPTION_CONFIG:
        options->config = value;
        break;
    case OPTION_LOG:
        options->log = value;
        break;
    case OPTION_ID:
        options->id = value;
        break;
    case OPTION_TENANT:
        options->tenant = value;
        break;
    case OPTION_TOKEN_FILE:
        options->token_file = value;
        break;
    case OPTION_TTL:
        if (duration_read(value, &options->ttl_ms) < 0)
            return usage(command,
                         "--ttl: expected a time like 30m, 8h or 7d, at most 10 years, not", value);
        break;
    case OPTION_JSON:
    case OPTION_PEM:
    case OPTION_START:
    case OPTION_SWITCH:
    case OPTION_FINISH:
        break;
    }
    return -1;
}

static const struct option_name *option_find(const char *word, const char **value)
{
    const char *equals = strchr(word, '=');
    size_t len = equals == NULL ? strlen(word) : (size_t)(equals - word);

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strlen(option_names[i].name) == len && memcmp(option_names[i].name, word, len) == 0) {
            *value = equals == NULL ? NULL : equals + 1;
            return &option_names[i];
        }
    }
    return NULL;
}

/* One option at argv[*at] and its value. -1, or the status to end with. */
static int option_take(const struct options_command *command, struct options *options, int argc,
                       char **argv, int *at)
{
    const char *value = NULL;
    const struct option_name *option = option_find(argv[*at], &value);

    if (option == NULL || (command->allowed & (unsigned)option->flag) == 0)
        return usage(command->name, "unknown option", argv[*at]);
    options->given |= (unsigned)option->flag;
    if (!option->has_value)
        return value == NULL ? -1 : usage(command->name, "an option without a value:", argv[*at]);
    if (value == NULL && *at + 1 < argc)
        value = argv[++*at];
    if (value == NULL)
        return usage(command->name, "no value behind", argv[*at]);
    return value_set(options, command->name, option->flag, value);
}

static int options_take(const struct options_command *command, struct options *options, int argc,
                        char **argv)
{
    int is_words = 0;

    for (int i = 0; i < argc; i++) {
        int status = -1;

        if (!is_words && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            (void)fputs(command->help, stdout);
            return 0;
        }
        if (!is_words && strcmp(argv[i], "--") == 0)
            is_words = 1;
        else if (!is_words && argv[i][0] == '-' && argv[i][1] != '\0')
            status = option_take(command, options, argc, argv, &i);
        else if (options->word_count < command->word_max && options->word_count < OPTIONS_WORDS)
            options->words[options->word_count++] = argv[i];
        else
            status = usage(command->name, "not expected:", argv[i]);
        if (status >= 0)
            return status;
    }
    if ((options->given & command->needed) != command->needed)
        return usage(command->name, "missing: -c FILE, the configuration, for", command->name);
    if (options->word_count < command->word_min)
        return usage(command->name, "an argument is missing for", command->name);
    return -1;
}

int options_read(int argc, char **argv, const struct options_command *commands, const char *help,
                 const struct options_command **command, struct options *options)
{
    *options = (struct options){.given = 0};
    if (argc < 2) {
        (void)fputs(help, stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        (void)fputs(help, stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)puts("exeat-gateway " EXEAT_VERSION);
        return 0;
    }
    for (*command = commands; (*command)->name != NULL; (*command)++) {
        int words = command_match((*command)->name, argc - 1, argv + 1);

        if (words > 0)
            return options_take(*command, options, argc - 1 - words, argv + 1 + words);
    }
    return command_unknown(commands, argv[1]);
}
