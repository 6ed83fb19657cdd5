/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_MASTER_MAIN_H
#define EXEAT_GATEWAY_MASTER_MAIN_H

#include "gateway/master_generation.h"

/* main's state, shared by the master_*.c files. */
#define MASTER_LEAVERS 64

/* The auditor's end of the channel of a worker that is gone: what is in it is not lost. */
struct master_leaver {
    unsigned worker;
    int fd;           /* -1: free */
    int64_t until_ms; /* by then the auditor has read it */
};

struct master {
    struct loop loop;
    const char *config_path;
    const char *log_word; /* for children: "info" */
    struct list generations;
    struct generation *current; /* serving; borrowed from the list */
    struct generation *next;    /* starting; borrowed from the list; NULL */
    struct child auditor;
    struct master_leaver leavers[MASTER_LEAVERS];
    struct loop_signal signals[4];
    struct loop_deadline tick;
    unsigned next_id;
    unsigned auditor_starts;
    int is_stopping;
    int status;
};

/* A worker's channel to the auditor; at once, and to every auditor that comes. */
void master_announce(struct master *master, unsigned worker, int fd);

/* A worker is gone: keep the channel a while. Takes fd. */
void master_keep_leaver(struct master *master, unsigned worker, int fd);

/* A generation has changed its state. */
void master_generation_ready(struct master *master, struct generation *generation);
void master_generation_failed(struct master *master, struct generation *generation);
void master_generation_closed(struct master *master);

#endif
