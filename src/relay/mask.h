/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_MASK_H
#define EXEAT_RELAY_MASK_H

#include "base/span.h"

/* Fresh unpredictable frame masks (RFC 6455 section 5.3), drawn many at a time. */
struct mask_source {
    uint8_t bytes[1024];
    size_t left;
};

/* Ends the process if the system has no random bytes: a known mask would be worse. */
void mask_next(struct mask_source *source, uint8_t mask[4]);

#endif
