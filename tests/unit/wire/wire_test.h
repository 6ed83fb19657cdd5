/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_WIRE_TEST_H
#define EXEAT_TESTS_WIRE_TEST_H

#include "base/text.h"
#include "test.h"

/* Bytes of hexadecimal digits; blanks between them are for the reader. */
static inline struct span bytes_of(const char *hex, struct room room)
{
    size_t len = 0;

    for (const char *at = hex; *at != '\0';) {
        char pair[3] = {at[0], at[1], '\0'};

        if (*at == ' ') {
            at++;
            continue;
        }
        assert_true(len < room.len && at[1] != '\0');
        room.ptr[len++] = (uint8_t)strtoul(pair, NULL, 16);
        at += 2;
    }
    return span_of(room.ptr, len);
}

/* A compound literal lives as long as the block that the macro is used in. */
#define BYTES(hex) bytes_of((hex), (struct room){.ptr = (uint8_t[512]){0}, .len = 512})

/* Pseudo-random numbers that are the same in every run. */
static inline uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 33);
}

#endif
