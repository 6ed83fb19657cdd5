/* SPDX-License-Identifier: Apache-2.0 */
/* Masks from a batch, so that a frame costs no system call for its mask. */
#include "relay/mask.h"

#include "crypto/digest.h"

void mask_next(struct mask_source *source, uint8_t mask[4])
{
    struct err err;

    if (source->left < 4) {
        struct room room = {.ptr = source->bytes, .len = sizeof source->bytes};

        ENSURE(digest_random(room, &err) == 0);
        source->left = sizeof source->bytes;
    }
    source->left -= 4;
    memcpy(mask, source->bytes + source->left, 4);
    explicit_bzero(source->bytes + source->left, 4);
}
