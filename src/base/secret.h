/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_SECRET_H
#define EXEAT_BASE_SECRET_H

#include "base/err.h"
#include "base/span.h"

/* A token, credential or key: moved, not copied; wiped at its end; no function formats one. */
struct secret {
    uint8_t *ptr; /* owned */
    size_t len;
};

/* A copy of `bytes`; the caller wipes its own. ERR_MEMORY, ERR_LIMIT over LIMIT_SECRET. */
int secret_init(struct secret *secret, struct span bytes, struct err *err);

/* Wiped and freed. Safe on a zeroed struct and twice. */
void secret_fini(struct secret *secret);

/* `from` is empty afterwards; what `to` held is wiped. */
void secret_move(struct secret *to, struct secret *from);

/* For comparing, hashing and sending; never for formatting. Borrowed from the secret. */
struct span secret_span(const struct secret *secret);

/* Time depends on the lengths only. */
bool secret_equal(struct span a, struct span b);

#endif
