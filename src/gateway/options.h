/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_OPTIONS_H
#define EXEAT_GATEWAY_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/* The command line of exeat-gateway. All text is borrowed from argv. */
#define OPTIONS_WORDS 64

enum options_flag {
    OPTION_CONFIG = 1 << 0,
    OPTION_LOG = 1 << 1,
    OPTION_JSON = 1 << 2,
    OPTION_PEM = 1 << 3,
    OPTION_TTL = 1 << 4,
    OPTION_ID = 1 << 5,
    OPTION_TENANT = 1 << 6,
    OPTION_TOKEN_FILE = 1 << 7,
    OPTION_START = 1 << 8,
    OPTION_SWITCH = 1 << 9,
    OPTION_FINISH = 1 << 10,
};

struct options {
    unsigned given; /* of enum options_flag */
    const char *config;
    const char *log;
    const char *id;
    const char *tenant;
    const char *token_file;
    int64_t ttl_ms;
    const char *words[OPTIONS_WORDS]; /* what is no option */
    size_t word_count;
};

struct options_command {
    const char *name; /* one or two words */
    unsigned allowed; /* of enum options_flag */
    unsigned needed;
    size_t word_min;
    size_t word_max;
    const char *help;
    int (*run)(const struct options *options);
};

/*
 * Find the command in `commands` (ends with a NULL name) and read its options. Returns the status
 * to end with, or -1: run *command. Help goes to stdout (0), errors to stderr (2).
 */
int options_read(int argc, char **argv, const struct options_command *commands, const char *help,
                 const struct options_command **command, struct options *options);

#endif
