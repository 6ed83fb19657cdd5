/* SPDX-License-Identifier: Apache-2.0 */
/* System calls on files that stay open: the log, the mapped file beside it, shared memory. */
#include "os/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(const char *what, const char *path, struct err *err)
{
    int sys = errno;
    char text[96];

    (void)snprintf(text, sizeof text, "%s %s", what, path);
    return err_set_sys(err, ERR_SYSTEM, sys, text);
}

static int open_regular(const char *path, int flags, mode_t mode, struct err *err)
{
    struct stat status;
    int fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, mode);

    if (fd < 0)
        return failed("cannot open", path, err);
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return fd;
    (void)close(fd);
    return err_set(err, ERR_CONFIG, "%s is not a regular file", path);
}

int disk_open_log(const char *path, struct err *err)
{
    return open_regular(path, O_RDWR | O_APPEND | O_CREAT, 0640, err);
}

int disk_open_read(const char *path, struct err *err)
{
    return open_regular(path, O_RDONLY, 0, err);
}

int disk_open_map(const char *path, size_t size, struct room *map, struct err *err)
{
    int fd = open_regular(path, O_RDWR | O_CREAT, 0600, err);
    void *memory;
    int sys;

    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        (void)close(fd);
        return err_set(err, ERR_LIMIT, "%s is in use by another process", path);
    }
    /* Blocks now, so that a full disk is an error here and not a SIGBUS later. */
    sys = posix_fallocate(fd, 0, (off_t)size);
    if (sys != 0) {
        (void)close(fd);
        errno = sys;
        return failed("no room for", path, err);
    }
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        failed("cannot map", path, err);
        (void)close(fd);
        return -1;
    }
    *map = (struct room){.ptr = memory, .len = size};
    return fd;
}

void disk_close_map(int fd, struct room map)
{
    (void)munmap(map.ptr, map.len);
    (void)close(fd);
}

int disk_new_shared(const char *name, size_t size, struct err *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    (void)err_set_sys(err, ERR_SYSTEM, errno, "shared memory");
    disk_close(fd);
    return -1;
}

int disk_map_shared(int fd, size_t size, struct room *map, struct err *err)
{
    uint64_t there;
    void *memory;

    if (disk_size(fd, &there, err) < 0)
        return -1;
    if (there < size)
        return err_set(err, ERR_INTERNAL, "shared memory of the wrong size");
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return err_set_sys(err, ERR_SYSTEM, errno, "cannot map shared memory");
    *map = (struct room){.ptr = memory, .len = size};
    return 0;
}

void disk_close(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

int disk_size(int fd, uint64_t *size, struct err *err)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "size of a file");
    *size = (uint64_t)status.st_size;
    return 0;
}

ssize_t disk_read(int fd, uint64_t at, struct room room, struct err *err)
{
    size_t len = 0;

    while (len < room.len) {
        ssize_t got = pread(fd, room.ptr + len, room.len - len, (off_t)(at + len));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_sys(err, ERR_SYSTEM, errno, "cannot read");
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

ssize_t disk_append(int fd, struct span bytes, struct err *err)
{
    ssize_t len = write(fd, bytes.ptr, bytes.len);

    if (len < 0 && errno == EINTR)
        return 0;
    if (len < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "cannot write");
    return len;
}

int disk_sync(int fd, struct err *err)
{
    if (fdatasync(fd) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "cannot sync");
    return 0;
}

int disk_cut(int fd, uint64_t size, struct err *err)
{
    if (ftruncate(fd, (off_t)size) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "cannot truncate");
    return 0;
}

bool disk_is_at(int fd, const char *path)
{
    struct stat open_file;
    struct stat named_file;

    return fstat(fd, &open_file) == 0 && lstat(path, &named_file) == 0 &&
           open_file.st_dev == named_file.st_dev && open_file.st_ino == named_file.st_ino;
}

int64_t disk_changed_ns(const char *path)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return 0;
    return (int64_t)status.st_ctim.tv_sec * 1000000000 + status.st_ctim.tv_nsec;
}
