/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_OS_FILE_H
#define EXEAT_OS_FILE_H

#include "base/err.h"
#include "base/secret.h"
#include "base/span.h"

/* Errors are ERR_SYSTEM with errno in err->sys and the path in the text, ERR_LIMIT over `limit`. */

/* A whole file into memory; *content is owned by the caller: file_free(). */
int file_read(const char *path, size_t limit, struct room *content, struct err *err);
void file_free(struct room *content); /* wipes */

/*
 * A secret file (threat F6): O_NOFOLLOW, a regular file, owned by us or by root, no permission
 * for group or others, one link, not empty; content without blanks at both ends. ERR_CONFIG names
 * what is wrong, ERR_SYSTEM with ENOENT if it is not there.
 */
int file_read_secret(const char *path, size_t limit, struct secret *secret, struct err *err);

/* The same from a descriptor, which is taken (closed). No checks but the limit; may be empty. */
int file_read_secret_fd(int fd, size_t limit, struct secret *secret, struct err *err);

/*
 * Temporary file beside it (".exeat-" and 16 hex digits), fsync, rename, fsync of the directory:
 * all or nothing. `mode` is exact, whatever the umask.
 */
int file_write_atomic(const char *path, struct span content, unsigned mode, struct err *err);

/* Put the file `from` in the place of `to`, in one step; fsync of the directory. */
int file_rename(const char *from, const char *to, struct err *err);

/* 0 also if it was not there. */
int file_remove(const char *path, struct err *err);

/* 1 something has this name, 0 nothing has, -1 it cannot be known. */
int file_exists(const char *path, struct err *err);

/* Create `path` and its parents; an existing directory is fine. */
int file_make_dirs(const char *path, unsigned mode, struct err *err);

/* Write all of `content` to a descriptor that blocks. */
int file_write_all(int fd, struct span content, struct err *err);

/* An anonymous file holding `content`, sealed against change (memfd): the descriptor, or -1. */
int file_sealed(const char *name, struct span content, struct err *err);

#endif
