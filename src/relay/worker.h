/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_WORKER_H
#define EXEAT_RELAY_WORKER_H

#include "relay/link.h"
#include "relay/mask.h"
#include "relay/settings.h"

#define WORKER_UPLINKS 1024 /* more are answered 503 */
#define WORKER_SPARE   64   /* of those: at once */
#define WORKER_ARENAS  16   /* blocks of an arena for each */

/* The process that accepts clients and carries their bytes. */
struct worker {
    struct loop loop;
    struct settings settings;
    struct secret token;
    struct pool blocks;
    struct pool arena_blocks;
    struct pool uplinks;
    struct pool forwards;
    struct arena scratch;
    struct link_plan plan;
    struct mask_source masks;
    struct loop_watch listen;
    struct loop_watch keeper;
    struct loop_deadline accept_pause;
    struct loop_signal term;
    size_t uplink_count;
    unsigned uplink_number;
    int is_draining;
};

/* The role: returns its exit status. */
int worker_role(void);

/* An uplink has been freed. */
void worker_uplink_gone(struct worker *worker);

#endif
