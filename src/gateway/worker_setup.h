/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_WORKER_SETUP_H
#define EXEAT_GATEWAY_WORKER_SETUP_H

#include "gateway/worker.h"

/* What a worker needs before the sandbox shuts: configuration, public files, pools, contexts. */
int worker_setup(struct worker *worker, int argc, char **argv, struct err *err);

/* Tell the vault our public key. */
int worker_introduce(struct worker *worker, struct err *err);

/* Main has handed over the channel of a new vault. */
void worker_take_peer(struct worker *worker, enum message_peer peer, int fd);

#endif
