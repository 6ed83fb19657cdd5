/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_GENERATE_H
#define EXEAT_TESTS_GENERATE_H

#include "base/span.h"

/*
 * Streams of HTTP/1 requests as an attacker would write them: a grammar whose productions are the
 * rows A1 to A10 of the threat model, then mutations of single bytes and lines. The same seed gives
 * the same stream everywhere.
 */
#define GENERATE_MAX 150000

/* Returns the length. */
size_t generate_requests(uint64_t seed, uint8_t out[GENERATE_MAX]);

#endif
