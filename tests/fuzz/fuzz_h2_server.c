/* SPDX-License-Identifier: Apache-2.0 */
/* A client of any kind against our server (threats B1-B9): two bytes of seed, then frames. */
#include "fuzz/http/h2_user.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len >= 2)
        user_run(H2_SERVER, bytes, len);
    return 0;
}
