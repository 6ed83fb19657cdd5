/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_OS_DISK_H
#define EXEAT_OS_DISK_H

#include "base/err.h"
#include "base/span.h"

/* Files that stay open: the audit log, mapped memory. Errors are ERR_SYSTEM with errno. */

/* The log, append-only, made with 0640: a regular file, never through a link. Descriptor or -1. */
int disk_open_log(const char *path, struct err *err);

/*
 * A file of `size` bytes, made with 0600, all its blocks on disk, locked for this process, mapped
 * shared. ERR_LIMIT while another process holds it.
 */
int disk_open_map(const char *path, size_t size, struct room *map, struct err *err);

void disk_close_map(int fd, struct room map);

/* Memory that another process can map too: a descriptor without a name, zeroed; its mapping. */
int disk_new_shared(const char *name, size_t size, struct err *err);
int disk_map_shared(int fd, size_t size, struct room *map, struct err *err);

/* Read-only, for verifying; `size` bytes at least. Descriptor or -1. */
int disk_open_read(const char *path, struct err *err);
void disk_close(int fd);

int disk_size(int fd, uint64_t *size, struct err *err);

/* As many bytes as there are from `at` on; 0 at the end. */
ssize_t disk_read(int fd, uint64_t at, struct room room, struct err *err);

/* One write(2): how many bytes went. */
ssize_t disk_append(int fd, struct span bytes, struct err *err);
int disk_sync(int fd, struct err *err);
int disk_cut(int fd, uint64_t size, struct err *err);

/* Does `path` still name this file? False after it was moved away. */
bool disk_is_at(int fd, const char *path);

/* When the file behind this path was last changed, 0 if it cannot be seen. */
int64_t disk_changed_ns(const char *path);

#endif
