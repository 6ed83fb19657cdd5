/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_MASTER_H
#define EXEAT_GATEWAY_MASTER_H

#include "gateway/options.h"

/* `exeat-gateway serve`: the main process. Returns the exit status. */
int master_serve(const struct options *options);

#endif
