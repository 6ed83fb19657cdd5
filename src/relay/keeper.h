/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_KEEPER_H
#define EXEAT_RELAY_KEEPER_H

#include "base/secret.h"
#include "net/loop.h"
#include "net/signals.h"
#include "relay/settings.h"
#include "relay/token.h"

/*
 * The `exeat` process: holds the listening socket and the token, parses nothing that strangers
 * send, starts the worker again when it dies, and runs the program.
 */
struct keeper {
    struct loop loop;
    struct signals signals;
    struct settings settings;
    struct secret token;
    int is_relaying; /* 0: fail-open, or there was no relay to start */
    int listen_fd;
    uint16_t port;
    pid_t worker;  /* 0 if none runs */
    pid_t program; /* 0 for `exeat relay` */
    struct loop_watch order;
    struct loop_deadline respawn;
    struct loop_deadline patience; /* for the worker to end by itself */
    int64_t worker_since_ms;
    unsigned quick_deaths;
    int is_stopping;
    int status; /* exit status */
};

/* A loop and signals; nothing is started. */
int keeper_init(struct keeper *keeper, struct err *err);

/* Steps 4 to 8 of the start. Takes `token`. On failure nothing is left behind. */
int keeper_start(struct keeper *keeper, const struct settings *settings, struct secret *token,
                 const struct token_source *source, struct err *err);

/* Start CMD with `envp`. 0, or the exit status to end with: 126, 127. */
int keeper_run_program(struct keeper *keeper, char *const *argv, char *const *envp);

/* Until the program has ended or, without one, a signal says so. The exit status. */
int keeper_wait(struct keeper *keeper);

#endif
