/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exeat: the relay in the container. Start-up in the order of docs/protocol.md section 7: harden,
 * gates, token, CA and bundle, listen, unlink the token, hand out the environment.
 */
#include <stdio.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "os/file.h"
#include "os/log.h"
#include "os/proc.h"
#include "relay/connect.h"
#include "relay/gates.h"
#include "relay/help.h"
#include "relay/keeper.h"
#include "relay/setup.h"
#include "relay/state.h"
#include "relay/worker.h"

#define EXIT_USAGE 2
#define OUTPUT_MAX 65536

static int output(struct span text)
{
    struct err err;

    if (file_write_all(STDOUT_FILENO, text, &err) == 0)
        return 0;
    log_error("stdout: %s", err.text);
    return 1;
}

static int block_output(const struct environ_block *block, enum environ_format format,
                        const char *intro)
{
    static char memory[OUTPUT_MAX];
    struct text text;

    text_init(&text, memory, sizeof memory);
    text_add_str(&text, intro);
    environ_write(block, format, &text);
    if (text.overflow) {
        log_error("the environment block is too large");
        return 1;
    }
    return output(text_span(&text));
}

/* --- exeat env --- */

static int env_command(const struct options *options)
{
    static struct state state;
    char memory[SETTINGS_PATH];
    struct text dir;
    struct err err;
    const struct profile *profile = options->profile;

    if (profile == NULL)
        profile = profile_detect(environ);
    text_init(&dir, memory, sizeof memory - 1);
    if (settings_read_state_dir(options, profile, environ, &dir, &err) < 0 ||
        state_read(text_str(&dir), &state, &err) < 0) {
        log_error("%s", err.text);
        return 1;
    }
    return block_output(&(struct environ_block){.profile = state.profile,
                                                .port = state.port,
                                                .no_proxy = state.no_proxy,
                                                .bundle = state.bundle},
                        options->format, "");
}

/* --- starting the relay --- */

/* Why there is no relay, and how loud that is. */
struct refusal {
    enum log_level level;
    struct err err;
};

static int refuse(struct refusal *refusal, enum log_level level)
{
    refusal->level = level;
    return -1;
}

/* Steps 2 to 8. */
static int relay_start(struct keeper *keeper, const struct options *options,
                       struct refusal *refusal)
{
    const struct profile *profile =
        options->profile != NULL ? options->profile : profile_detect(environ);
    static struct settings settings;
    struct token_source source;
    struct secret token;
    struct gates gates;
    struct err *err = &refusal->err;
    int result;

    if (gates_check(&gates, profile, environ, options->session_id, err) < 0)
        return refuse(refusal, gates.level);
    if (token_source_read(&source, options->token_file, environ_find(environ, ENVIRON_TOKEN_FD),
                          profile->token_path, err) < 0)
        return refuse(refusal, LOG_WARNING);
    if (token_load(&source, &token, err) < 0)
        return refuse(refusal, err->code == ERR_NOT_FOUND ? LOG_DEBUG : LOG_WARNING);
    result = settings_read(&settings, options, profile, environ, err);
    if (result == 0) {
        (void)snprintf(settings.session_id, sizeof settings.session_id, "%s", gates.session_id);
        result = keeper_start(keeper, &settings, &token, &source, err);
    }
    secret_fini(&token);
    return result < 0 ? refuse(refusal, LOG_WARNING) : 0;
}

static struct environ_block keeper_block(const struct keeper *keeper)
{
    return (struct environ_block){.profile = keeper->settings.profile,
                                  .port = keeper->port,
                                  .no_proxy = keeper->settings.no_proxy,
                                  .bundle = keeper->settings.bundle};
}

static int relay_command(struct keeper *keeper, const struct options *options)
{
    struct refusal refusal = {0};
    struct environ_block block;
    char intro[64];

    if (relay_start(keeper, options, &refusal) < 0) {
        log_error("the relay is not started: %s", refusal.err.text);
        keeper->status = 1;
        return keeper_wait(keeper);
    }
    block = keeper_block(keeper);
    (void)snprintf(intro, sizeof intro, "listening on 127.0.0.1:%u\n", keeper->port);
    if (block_output(&block, ENVIRON_SHELL, intro) != 0)
        keeper->status = 1;
    return keeper_wait(keeper);
}

/* 0: go on without the relay. */
static int refusal_tell(const struct refusal *refusal, const struct options *options)
{
    if (options->is_required) {
        log_error("the relay is required but not started: %s", refusal->err.text);
        log_error("%s is not run; set what is missing, or leave out --required",
                  options->program[0]);
        return 1;
    }
    if (refusal->level == LOG_DEBUG)
        log_debug("%s; going on without the proxy", refusal->err.text);
    else
        log_warning("%s; going on without the proxy", refusal->err.text);
    return 0;
}

static int run_command(struct keeper *keeper, const struct options *options)
{
    struct refusal refusal = {0};
    struct environ_block block;
    struct pool blocks;
    struct arena arena;
    char **envp;
    int status = 0;

    if (relay_start(keeper, options, &refusal) < 0)
        status = refusal_tell(&refusal, options);
    if (status == 0) {
        pool_init(&blocks, LIMIT_ARENA_BLOCK, 4096, 0);
        arena_init(&arena, &blocks, 1 << 23);
        block = keeper_block(keeper);
        envp = environ_merge(keeper->is_relaying ? &block : NULL, environ, &arena);
        if (envp == NULL) {
            log_error("no memory for the environment of %s", options->program[0]);
            status = 126;
        } else {
            status = keeper_run_program(keeper, options->program, envp);
        }
        arena_reset(&arena);
        pool_fini(&blocks);
    }
    keeper->status = status;
    return keeper_wait(keeper);
}

static int start_command(const struct options *options)
{
    static struct keeper keeper;
    struct err err;

    if (proc_tracer() != 0)
        log_warning("process %d traces this one and can read the token", (int)proc_tracer());
    if (digest_setup(&err) < 0 || keeper_init(&keeper, &err) < 0) {
        log_error("%s", err.text);
        return 1;
    }
    return options->command == OPTIONS_RUN ? run_command(&keeper, options)
                                           : relay_command(&keeper, options);
}

int main(int argc, char **argv)
{
    struct err err;
    /* First of all (threat F2). What runs other programs must leave them their privileges. */
    bool is_role = argc > 1 && strncmp(argv[1], "--role=", 7) == 0;
    int hardened = is_role ? proc_harden(&err) : proc_hide(&err);
    struct options options;

    log_init("exeat", LOG_WARNING);
    if (hardened < 0) {
        log_error("%s", err.text);
        return 1;
    }
    if (options_read(&options, argv, &err) < 0) {
        log_error("%s", err.text);
        return EXIT_USAGE;
    }
    log_set_level(options.log);
    switch (options.command) {
    case OPTIONS_HELP:
        return output(span_text(help_text(options.help_for)));
    case OPTIONS_VERSION:
        return output(span_text("exeat " EXEAT_VERSION "\n"));
    case OPTIONS_ENV:
        return env_command(&options);
    case OPTIONS_CONNECT:
        return connect_command(&options, environ);
    case OPTIONS_RUN:
    case OPTIONS_RELAY:
        return start_command(&options);
    case OPTIONS_ROLE_SETUP:
        return setup_role();
    case OPTIONS_ROLE_WORKER:
        return worker_role();
    }
    return EXIT_USAGE;
}
