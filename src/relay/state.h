/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_STATE_H
#define EXEAT_RELAY_STATE_H

#include "relay/settings.h"

/* The file by which `exeat env` finds a running relay: relay.state in its state directory. */
struct state {
    enum profile_id profile;
    uint64_t pid;
    uint64_t started; /* of the process, in the kernel's ticks: a pid alone may be another's */
    uint16_t port;
    char bundle[SETTINGS_PATH];
    char no_proxy[2048];
};

/* Of this process. */
int state_write(const struct settings *settings, uint16_t port, struct err *err);

/* Only if it is still ours. */
void state_remove(const struct settings *settings);

/* ERR_NOT_FOUND if there is none or its relay has gone; ERR_SYNTAX for a file that is no state. */
int state_read(const char *state_dir, struct state *state, struct err *err);

#endif
