/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line by table: an option is a row with the commands that know it. "--name value" and
 * "--name=value" are the same. Options of `run` end at "--" or at the first word that is none.
 */
#include "relay/options.h"

#include "base/num.h"
#include "base/span.h"

#define FOR_RUN     (1u << OPTIONS_RUN)
#define FOR_RELAY   (1u << OPTIONS_RELAY)
#define FOR_ENV     (1u << OPTIONS_ENV)
#define FOR_CONNECT (1u << OPTIONS_CONNECT)
#define FOR_START   (FOR_RUN | FOR_RELAY)
#define FOR_STATE   (FOR_START | FOR_ENV)
#define FOR_ALL     (FOR_STATE | FOR_CONNECT)

static int profile_read(struct options *options, const char *value, struct err *err)
{
    options->profile = profile_find(value);
    if (options->profile == NULL)
        return err_set(err, ERR_CONFIG, "--profile %.40s: expected ccr or exeat", value);
    return 0;
}

static int gateway_read(struct options *options, const char *value, struct err *err)
{
    (void)err;
    options->gateway = value;
    return 0;
}

static int session_read(struct options *options, const char *value, struct err *err)
{
    (void)err;
    options->session_id = value;
    return 0;
}

static int token_file_read(struct options *options, const char *value, struct err *err)
{
    (void)err;
    options->token_file = value;
    return 0;
}

static int state_dir_read(struct options *options, const char *value, struct err *err)
{
    if (value[0] == '\0')
        return err_set(err, ERR_CONFIG, "--state-dir: expected a directory");
    options->state_dir = value;
    return 0;
}

static int no_proxy_read(struct options *options, const char *value, struct err *err)
{
    (void)err;
    options->no_proxy = value;
    return 0;
}

static int gateway_ca_read(struct options *options, const char *value, struct err *err)
{
    (void)err;
    options->gateway_ca = value;
    return 0;
}

static int system_roots_read(struct options *options, const char *value, struct err *err)
{
    (void)err;
    options->system_roots = value;
    return 0;
}

static int proxy_read(struct options *options, const char *value, struct err *err)
{
    (void)err;
    options->proxy = value;
    return 0;
}

static int port_read(struct options *options, const char *value, struct err *err)
{
    struct err inner;

    if (num_read_port(span_text(value), &options->port, &inner) < 0)
        return err_set(err, ERR_CONFIG, "--port %.20s: expected 1 to 65535", value);
    return 0;
}

static int log_read(struct options *options, const char *value, struct err *err)
{
    if (log_level_read(value, &options->log) < 0)
        return err_set(err, ERR_CONFIG, "--log %.20s: expected error, warning, info or debug",
                       value);
    return 0;
}

static int format_read(struct options *options, const char *value, struct err *err)
{
    if (environ_format_read(value, &options->format) < 0)
        return err_set(err, ERR_CONFIG, "--format %.20s: expected shell, json or dotenv", value);
    return 0;
}

static const struct option_row {
    const char *name;
    unsigned commands;
    int (*read)(struct options *options, const char *value, struct err *err);
} option_rows[] = {
    {"--profile", FOR_STATE, profile_read},
    {"--gateway", FOR_START, gateway_read},
    {"--session-id", FOR_START, session_read},
    {"--token-file", FOR_START, token_file_read},
    {"--port", FOR_START, port_read},
    {"--state-dir", FOR_STATE, state_dir_read},
    {"--no-proxy", FOR_START, no_proxy_read},
    {"--gateway-ca", FOR_START, gateway_ca_read},
    {"--system-roots", FOR_START, system_roots_read},
    {"--log", FOR_ALL, log_read},
    {"--format", FOR_ENV, format_read},
    {"--proxy", FOR_CONNECT, proxy_read},
};

static const struct option_row *row_find(struct span name)
{
    for (size_t i = 0; i < sizeof option_rows / sizeof option_rows[0]; i++) {
        if (span_equal(name, span_text(option_rows[i].name)))
            return &option_rows[i];
    }
    return NULL;
}

/* One option at argv[*at]; *at is moved to the next word. */
static int option_read(struct options *options, char *const *argv, size_t *at, struct err *err)
{
    const char *word = argv[*at];
    const char *equals = strchr(word, '=');
    struct span name = equals == NULL ? span_text(word) : span_of(word, (size_t)(equals - word));
    const struct option_row *row = row_find(name);
    const char *value = equals == NULL ? NULL : equals + 1;

    if (row == NULL || (row->commands & 1u << options->command) == 0)
        return err_set(err, ERR_CONFIG, "unknown option %.40s; see exeat --help", word);
    *at += 1;
    if (value == NULL) {
        value = argv[*at];
        if (value == NULL)
            return err_set(err, ERR_CONFIG, "%s needs a value", row->name);
        *at += 1;
    }
    return row->read(options, value, err);
}

static int command_read(struct options *options, const char *word, struct err *err)
{
    static const struct {
        const char *word;
        enum options_command command;
    } commands[] = {
        {"run", OPTIONS_RUN},
        {"relay", OPTIONS_RELAY},
        {"env", OPTIONS_ENV},
        {"connect", OPTIONS_CONNECT},
        {"help", OPTIONS_HELP},
        {"--help", OPTIONS_HELP},
        {"-h", OPTIONS_HELP},
        {"--version", OPTIONS_VERSION},
        {"--role=setup", OPTIONS_ROLE_SETUP},
        {"--role=worker", OPTIONS_ROLE_WORKER},
    };

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(word, commands[i].word) == 0) {
            options->command = commands[i].command;
            return 0;
        }
    }
    return err_set(err, ERR_CONFIG, "unknown command %.40s; expected run, relay, env or connect",
                   word);
}

/* What follows the options. */
static int arguments_check(const struct options *options, struct err *err)
{
    char *const *words = options->program;

    if (options->command == OPTIONS_CONNECT) {
        if (words[0] == NULL || words[1] == NULL || words[2] != NULL)
            return err_set(err, ERR_CONFIG, "connect: expected HOST PORT");
        return 0;
    }
    if (options->command == OPTIONS_RUN && words[0] == NULL)
        return err_set(err, ERR_CONFIG, "run: expected a command to run");
    if (options->command != OPTIONS_RUN && words[0] != NULL)
        return err_set(err, ERR_CONFIG, "unexpected argument %.40s", words[0]);
    return 0;
}

static int is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int options_read(struct options *options, char *const *argv, struct err *err)
{
    size_t at = 2;

    *options = (struct options){.help_for = OPTIONS_HELP, .log = LOG_WARNING};
    if (argv[0] == NULL || argv[1] == NULL)
        return err_set(err, ERR_CONFIG, "no command; expected run, relay, env or connect");
    if (command_read(options, argv[1], err) < 0)
        return -1;
    if (options->command == OPTIONS_HELP && argv[2] != NULL) {
        if (command_read(options, argv[2], err) < 0)
            return -1;
        options->help_for = options->command;
        options->command = OPTIONS_HELP;
        return 0;
    }
    while (argv[at] != NULL && argv[at][0] == '-' && strcmp(argv[at], "--") != 0) {
        if (is_help(argv[at])) {
            options->help_for = options->command;
            options->command = OPTIONS_HELP;
            return 0;
        }
        if (strcmp(argv[at], "--required") == 0 && (FOR_START & 1u << options->command) != 0) {
            options->is_required = 1;
            at++;
        } else if (option_read(options, argv, &at, err) < 0) {
            return -1;
        }
    }
    if (argv[at] != NULL && strcmp(argv[at], "--") == 0)
        at++;
    options->program = argv + at;
    return arguments_check(options, err);
}
