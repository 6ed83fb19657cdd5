/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_MASTER_GENERATION_H
#define EXEAT_GATEWAY_MASTER_GENERATION_H

#include "gateway/config.h"
#include "gateway/master_child.h"

/*
 * Everything that lives with one version of the configuration: its listening sockets, its vault,
 * its workers. A new version is a new generation beside the old one, which then drains.
 */
#define GENERATION_LISTENS 16
#define GENERATION_WORKERS 64

enum generation_state {
    GENERATION_STARTING, /* until vault and workers are ready */
    GENERATION_SERVING,
    GENERATION_DRAINING, /* until its workers are gone */
    GENERATION_CLOSING,  /* until its vault is gone */
    GENERATION_CLOSED,
};

struct master;

struct generation {
    struct master *master; /* borrowed */
    struct list_node node;
    enum generation_state state;
    struct config config;
    int config_fd;
    int table_fd; /* which session lives where: survives a vault */
    int listen_fds[GENERATION_LISTENS];
    struct child vault;
    struct child workers[GENERATION_WORKERS];
    size_t worker_count;
    struct loop_deadline give_up; /* of the drain */
};

/* A generation of this configuration, on the sockets of `before` (may be NULL) where it can. */
struct generation *generation_new(struct master *master, struct span yaml, const char *path,
                                  struct generation *before, struct err *err);

/* Start vault and workers. */
int generation_start(struct generation *generation, struct err *err);

/* No new tunnels; its workers end by themselves within the drain time. */
void generation_drain(struct generation *generation);

/* SIGKILL to all of it. */
void generation_kill(struct generation *generation);

/* The child with this pid has ended: 1, or 0 if it is none of ours. */
int generation_child_died(struct generation *generation, const struct proc_end *end);

/* Send the auditor all workers' channels once more. */
void generation_announce(struct generation *generation);

/* All processes gone: close the descriptors and free it. */
void generation_free(struct generation *generation);

#endif
