/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_NUM_H
#define EXEAT_BASE_NUM_H

#include "base/err.h"
#include "base/span.h"

/*
 * A decimal number of 1 to 18 digits and nothing else: no sign, no blank. Leading zeros are
 * allowed. ERR_SYNTAX.
 */
int num_read_u64(struct span text, uint64_t *value, struct err *err);

/* A TCP port: 1 to 65535, no leading zero. ERR_TARGET. */
int num_read_port(struct span text, uint16_t *port, struct err *err);

static inline size_t num_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t num_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
