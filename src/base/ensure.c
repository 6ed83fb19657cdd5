/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a process whose own invariants do not hold. */
#include "base/ensure.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void ensure_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "exeat: bug: %s is false at %s:%d\n", condition, file, line);
    abort();
}
