/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_ENSURE_H
#define EXEAT_BASE_ENSURE_H

/*
 * What must be true, in release builds too: a false condition is our bug and ends the process.
 * Never for input: input is checked and refused with an error.
 */
#define ENSURE(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ensure_failed(#condition, __FILE__, __LINE__);                                         \
    } while (0)

/* Writes one line to stderr and aborts. */
_Noreturn void ensure_failed(const char *condition, const char *file, int line);

#endif
