/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_ENVIRON_H
#define EXEAT_RELAY_ENVIRON_H

#include "base/arena.h"
#include "base/text.h"
#include "relay/profile.h"

/* The environment block that children get (docs/relay.md). */

enum environ_format { ENVIRON_SHELL, ENVIRON_JSON, ENVIRON_DOTENV };

/* What the block is made of. All borrowed. */
struct environ_block {
    enum profile_id profile;
    uint16_t port;
    const char *no_proxy;
    const char *bundle; /* path of the certificate bundle */
};

/* "shell", "json" or "dotenv": 0, else -1. */
int environ_format_read(const char *word, enum environ_format *format);

/* The block as text for people and programs. */
void environ_write(const struct environ_block *block, enum environ_format format, struct text *out);

/*
 * `envp` with the block merged in (its values win; NULL: no block) and without our own descriptor
 * variable. The array is NULL-ended and lives in `arena`; other strings are borrowed from `envp`.
 * NULL without memory.
 */
char **environ_merge(const struct environ_block *block, char *const *envp, struct arena *arena);

/* The value of `name`, or NULL. */
const char *environ_find(char *const *envp, const char *name);

#define ENVIRON_TOKEN_FD "EXEAT_TOKEN_FD"

#endif
