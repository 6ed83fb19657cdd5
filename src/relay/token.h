/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_TOKEN_H
#define EXEAT_RELAY_TOKEN_H

#include "base/err.h"
#include "base/secret.h"

/* Gate 4: where the session token comes from. Never from argv, never from the environment. */
struct token_source {
    const char *path; /* borrowed; NULL if it comes from a descriptor */
    int fd;           /* -1 if it comes from a file */
};

/*
 * `option_path` (--token-file) before `fd_value` (the text of EXEAT_TOKEN_FD) before
 * `profile_path`; NULL for what was not given. ERR_CONFIG for a bad descriptor number.
 */
int token_source_read(struct token_source *source, const char *option_path, const char *fd_value,
                      const char *profile_path, struct err *err);

/*
 * ERR_NOT_FOUND if there is no file; ERR_CONFIG or ERR_SYSTEM for one that must not be used: not
 * private, empty, a byte that cannot stand in a header.
 */
int token_load(struct token_source *source, struct secret *token, struct err *err);

/* Unlink the file (start-up step 8); nothing to do for a descriptor. */
int token_forget(const struct token_source *source, struct err *err);

#endif
