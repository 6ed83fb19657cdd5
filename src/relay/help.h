/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_HELP_H
#define EXEAT_RELAY_HELP_H

#include "relay/options.h"

/* The text for a command, or the overview. Static. */
const char *help_text(enum options_command command);

#endif
