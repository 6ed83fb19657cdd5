/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_OS_CLOCK_H
#define EXEAT_OS_CLOCK_H

#include <stdint.h>

#include "base/text.h"

/* Milliseconds that never jump; start undefined. For every timer. */
int64_t clock_mono_ms(void);

/* Microseconds likewise, for measuring. */
int64_t clock_mono_us(void);

/* Milliseconds of the Unix epoch. For records and certificates only. */
int64_t clock_wall_ms(void);

/* Do nothing for so long; a signal may end it. For processes that nobody waits for. */
void clock_rest_ms(unsigned ms);

/* 2026-11-23T19:05:11.123Z (RFC 3339, UTC). */
void clock_write(struct text *out, int64_t wall_ms);

#endif
