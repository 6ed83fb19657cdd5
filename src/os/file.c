/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files: read within a limit, secrets with their checks, written all or nothing. */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/num.h"
#include "base/pool.h"
#include "base/text.h"

#define FILE_FIRST_ROOM 4096
#define FILE_PATH_SHOWN 50
#define FILE_SECRET_PAD 64 /* blanks and line ends around a secret */

/* The end of a long path says more than its beginning. */
static const char *path_tail(const char *path)
{
    size_t len = strlen(path);

    return len > FILE_PATH_SHOWN ? path + len - FILE_PATH_SHOWN : path;
}

/* ERR_SYSTEM with errno and the path. */
static int fail_path(struct err *err, const char *verb, const char *path)
{
    int sys = errno;
    char what[100];

    (void)snprintf(what, sizeof what, "cannot %.30s %.60s", verb, path_tail(path));
    return err_set_sys(err, ERR_SYSTEM, sys, what);
}

static int fail_config(struct err *err, const char *path, const char *why)
{
    return err_set(err, ERR_CONFIG, "%s: %s", path_tail(path), why);
}

static void fd_close(int fd)
{
    int saved_errno = errno;

    (void)close(fd);
    errno = saved_errno;
}

static ssize_t fd_read(int fd, struct room room)
{
    ssize_t len;

    do {
        len = read(fd, room.ptr, room.len);
    } while (len < 0 && errno == EINTR);
    return len;
}

void file_free(struct room *content)
{
    if (content->ptr != NULL)
        explicit_bzero(content->ptr, content->len);
    pool_block_free(content->ptr);
    *content = (struct room){0};
}

/* Twice the room, the old block wiped. */
static int content_grow(struct room *block, size_t len, size_t limit)
{
    size_t wanted = num_min(block->len * 2, limit + 1);
    uint8_t *larger = pool_block_new(wanted);

    if (larger == NULL)
        return -1;
    ENSURE(len <= wanted);
    memcpy(larger, block->ptr, len);
    file_free(block);
    *block = (struct room){.ptr = larger, .len = wanted};
    return 0;
}

/* Read to the end, one byte past `limit` at most, so that more than the limit shows. */
static int content_read(int fd, size_t limit, struct room *block, size_t *len)
{
    while (*len <= limit) {
        ssize_t got;

        if (*len == block->len && content_grow(block, *len, limit) < 0) {
            errno = ENOMEM;
            return -1;
        }
        got = fd_read(fd, (struct room){.ptr = block->ptr + *len, .len = block->len - *len});
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        *len += (size_t)got;
    }
    return 0;
}

int file_read(const char *path, size_t limit, struct room *content, struct err *err)
{
    struct room block = {.len = num_min(limit, FILE_FIRST_ROOM - 1) + 1};
    size_t len = 0;
    struct stat st;
    int fd;

    ENSURE(limit < SIZE_MAX / 4);
    *content = (struct room){0};
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return fail_path(err, "open", path);
    /* One more than its size, so that the end is seen without growing. */
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
        block.len = num_min((size_t)st.st_size, limit) + 1;
    block.ptr = pool_block_new(block.len);
    if (block.ptr == NULL) {
        fd_close(fd);
        return err_set(err, ERR_MEMORY, "no memory for a file of %zu bytes", block.len);
    }
    if (content_read(fd, limit, &block, &len) < 0) {
        fail_path(err, "read", path);
        goto fail;
    }
    if (len > limit) {
        err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", path_tail(path), limit);
        goto fail;
    }
    fd_close(fd);
    *content = (struct room){.ptr = block.ptr, .len = len};
    return 0;

fail:
    file_free(&block);
    fd_close(fd);
    return -1;
}

/* Threat F6: what could have been read or put there by somebody else is no secret. */
static int secret_check(const struct stat *st, const char *path, struct err *err)
{
    if (!S_ISREG(st->st_mode))
        return fail_config(err, path, "a secret must be a regular file");
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return fail_config(err, path, "a secret must be owned by this user or root");
    if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return fail_config(err, path, "open to group or others, must be mode 600");
    if (st->st_nlink != 1)
        return fail_config(err, path, "a secret must have exactly one link");
    return 0;
}

int file_read_secret_fd(int fd, size_t limit, struct secret *secret, struct err *err)
{
    struct room block = {.len = limit + FILE_SECRET_PAD + 1};
    struct span content;
    size_t len = 0;
    int result = -1;

    ENSURE(limit <= LIMIT_SECRET);
    *secret = (struct secret){0};
    block.ptr = pool_block_new(block.len);
    if (block.ptr == NULL) {
        err_set(err, ERR_MEMORY, "no memory for a secret");
        goto end;
    }
    if (content_read(fd, limit + FILE_SECRET_PAD, &block, &len) < 0) {
        err_set_sys(err, ERR_SYSTEM, errno, "cannot read a secret");
        goto end;
    }
    content = span_trim(span_of(block.ptr, len));
    if (len > limit + FILE_SECRET_PAD || content.len > limit)
        err_set(err, ERR_LIMIT, "a secret longer than %zu bytes", limit);
    else
        result = secret_init(secret, content, err);

end:
    file_free(&block);
    fd_close(fd);
    return result;
}

int file_read_secret(const char *path, size_t limit, struct secret *secret, struct err *err)
{
    /* Non-blocking: opening a FIFO must not wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;

    *secret = (struct secret){0};
    if (fd < 0 && errno == ELOOP)
        return fail_config(err, path, "a secret must not be a symbolic link");
    if (fd < 0)
        return fail_path(err, "open", path);
    if (fstat(fd, &st) < 0) {
        fd_close(fd);
        return fail_path(err, "look at", path);
    }
    if (secret_check(&st, path, err) < 0) {
        fd_close(fd);
        return -1;
    }
    if (file_read_secret_fd(fd, limit, secret, err) < 0)
        return -1;
    if (secret->len == 0) {
        secret_fini(secret);
        return fail_config(err, path, "the secret is empty");
    }
    return 0;
}

static int write_all(int fd, struct span content)
{
    while (content.len > 0) {
        ssize_t len = write(fd, content.ptr, content.len);

        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return -1;
        content = span_from(content, (size_t)len);
    }
    return 0;
}

int file_write_all(int fd, struct span content, struct err *err)
{
    if (write_all(fd, content) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "cannot write");
    return 0;
}

/* The directory of `path`, with its final '/', or "" for the current one. */
static struct span path_directory(const char *path)
{
    const char *slash = strrchr(path, '/');

    return span_of(path, slash == NULL ? 0 : (size_t)(slash - path) + 1);
}

static int directory_sync(const char *path)
{
    struct span directory = path_directory(path);
    char memory[PATH_MAX];
    struct text text;
    int fd, result;

    text_init(&text, memory, sizeof memory);
    text_add(&text, directory);
    if (directory.len == 0)
        text_add_str(&text, ".");
    fd = open(text_str(&text), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    result = fsync(fd);
    /* Some file systems cannot sync a directory, and say so. */
    if (result < 0 && errno == EINVAL)
        result = 0;
    fd_close(fd);
    return result;
}

/* A file of our own beside `path`: the descriptor, its name in `name`. */
static int temporary_open(const char *path, struct text *name)
{
    uint8_t random[8];

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return -1;
    text_add(name, path_directory(path));
    text_add_str(name, ".exeat-");
    text_add_hex(name, span_of(random, sizeof random));
    (void)text_str(name);
    if (name->overflow || strlen(path) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(name->ptr, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* The mode comes last, and by fchmod, which no umask changes. */
static int temporary_fill(int fd, struct span content, unsigned mode)
{
    if (write_all(fd, content) < 0 || fchmod(fd, (mode_t)mode) < 0)
        return -1;
    return fsync(fd);
}

int file_write_atomic(const char *path, struct span content, unsigned mode, struct err *err)
{
    char memory[PATH_MAX];
    struct text name;
    int fd;

    text_init(&name, memory, sizeof memory);
    fd = temporary_open(path, &name);
    if (fd < 0)
        return fail_path(err, "create a file beside", path);
    if (temporary_fill(fd, content, mode) < 0)
        goto fail;
    if (close(fd) < 0) {
        fd = -1;
        goto fail;
    }
    fd = -1;
    if (rename(name.ptr, path) < 0)
        goto fail;
    if (directory_sync(path) < 0)
        return fail_path(err, "sync the directory of", path);
    return 0;

fail:
    fail_path(err, "write", path);
    if (fd >= 0)
        fd_close(fd);
    (void)unlink(name.ptr);
    return -1;
}

int file_rename(const char *from, const char *to, struct err *err)
{
    if (rename(from, to) < 0)
        return fail_path(err, "rename", from);
    return directory_sync(to) < 0 ? fail_path(err, "sync the directory of", to) : 0;
}

int file_remove(const char *path, struct err *err)
{
    return unlink(path) < 0 && errno != ENOENT ? fail_path(err, "remove", path) : 0;
}

int file_exists(const char *path, struct err *err)
{
    struct stat stat;

    if (lstat(path, &stat) == 0)
        return 1;
    return errno == ENOENT ? 0 : fail_path(err, "look at", path);
}

int file_make_dirs(const char *path, unsigned mode, struct err *err)
{
    size_t len = strlen(path);
    char memory[PATH_MAX];
    struct stat st;

    if (len == 0 || len >= sizeof memory) {
        errno = len == 0 ? ENOENT : ENAMETOOLONG;
        return fail_path(err, "make", path);
    }
    memcpy(memory, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (memory[i] != '/' && memory[i] != '\0')
            continue;
        memory[i] = '\0';
        if (mkdir(memory, (mode_t)mode) < 0 && errno != EEXIST)
            return fail_path(err, "make", memory);
        memory[i] = path[i];
    }
    if (stat(path, &st) < 0)
        return fail_path(err, "look at", path);
    if (!S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return fail_path(err, "make", path);
    }
    return 0;
}

int file_sealed(const char *name, struct span content, struct err *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "memfd_create");
    if (write_all(fd, content) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
        err_set_sys(err, ERR_SYSTEM, errno, "cannot fill an anonymous file");
        fd_close(fd);
        return -1;
    }
    return fd;
}
