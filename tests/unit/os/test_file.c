/* SPDX-License-Identifier: Apache-2.0 */
/* What is guarded: limits, the checks on secret files (threat F6), all-or-nothing writes. */
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

static char directory[64];
static char path_memory[256];

static const char *in_directory(const char *name)
{
    (void)snprintf(path_memory, sizeof path_memory, "%s/%s", directory, name);
    return path_memory;
}

static void put(const char *name, const void *bytes, size_t len, mode_t mode)
{
    int fd = open(in_directory(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    CHECK(fd >= 0);
    CHECK_INT(write(fd, bytes, len), len);
    CHECK_INT(fchmod(fd, mode), 0);
    CHECK_INT(close(fd), 0);
}

static size_t entry_count(void)
{
    DIR *dir = opendir(directory);
    size_t count = 0;

    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count - 2;
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/exeat-file-XXXXXX");
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;

    (void)state;
    while ((entry = readdir(dir)) != NULL)
        (void)unlinkat(dirfd(dir), entry->d_name, entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
    (void)closedir(dir);
    return rmdir(directory);
}

/* --- reading --- */

TEST(file_read_returns_the_whole_content)
{
    struct room content;
    struct err err;

    put("a", "one\0two\n", 8, 0644);
    CHECK_INT(file_read(in_directory("a"), 8, &content, &err), 0);
    CHECK_INT(content.len, 8);
    CHECK_INT(memcmp(content.ptr, "one\0two\n", 8), 0);
    file_free(&content);
    CHECK(content.ptr == NULL);
}

TEST(file_read_refuses_one_byte_over_the_limit)
{
    struct room content;
    struct err err;

    put("a", "12345678", 8, 0644);
    CHECK_INT(file_read(in_directory("a"), 7, &content, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK(content.ptr == NULL);
}

TEST(file_read_of_an_empty_file_is_empty)
{
    struct room content;
    struct err err;

    put("a", "", 0, 0644);
    CHECK_INT(file_read(in_directory("a"), 0, &content, &err), 0);
    CHECK_INT(content.len, 0);
    file_free(&content);
}

TEST(file_read_grows_for_what_has_no_size)
{
    struct room content;
    struct err err;
    int fd;

    /* A file of /proc says that its size is 0. */
    CHECK_INT(file_read("/proc/self/maps", 1048576, &content, &err), 0);
    CHECK(content.len > 0);
    file_free(&content);
    fd = open("/proc/self/smaps", O_RDONLY);
    if (fd < 0)
        return;
    (void)close(fd);
    CHECK_INT(file_read("/proc/self/smaps", 8388608, &content, &err), 0);
    CHECK(content.len > 4096);
    file_free(&content);
    CHECK_INT(file_read("/proc/self/smaps", 4096, &content, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
}

TEST(file_read_names_what_is_not_there)
{
    struct room content;
    struct err err;

    CHECK_INT(file_read("/nonexistent/file", 10, &content, &err), -1);
    CHECK_INT(err.code, ERR_SYSTEM);
    CHECK_INT(err.sys, ENOENT);
    CHECK(strstr(err.text, "/nonexistent/file") != NULL);
    CHECK_INT(file_read("/tmp", 10, &content, &err), -1);
    CHECK_INT(err.sys, EISDIR);
}

/* --- secrets --- */

static enum err_code secret_refused(const char *name, const char *word)
{
    struct secret secret;
    struct err err;

    CHECK_INT(file_read_secret(in_directory(name), 100, &secret, &err), -1);
    CHECK(secret.ptr == NULL);
    if (strstr(err.text, word) == NULL)
        print_error("'%s' does not say '%s'\n", err.text, word);
    CHECK(strstr(err.text, word) != NULL);
    return err.code;
}

TEST(file_read_secret_drops_blanks_at_both_ends)
{
    struct secret secret;
    struct err err;

    put("s", "\n  to ken\t\r\n", 12, 0600);
    CHECK_INT(file_read_secret(in_directory("s"), 100, &secret, &err), 0);
    CHECK_SPAN(secret_span(&secret), "to ken");
    secret_fini(&secret);
    put("s", "token", 5, 0400);
    CHECK_INT(file_read_secret(in_directory("s"), 5, &secret, &err), 0);
    secret_fini(&secret);
}

TEST(file_read_secret_refuses_what_others_can_read)
{
    const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666};

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        put("s", "token", 5, modes[i]);
        CHECK_INT(secret_refused("s", "group or others"), ERR_CONFIG);
    }
}

TEST(file_read_secret_refuses_a_hard_link)
{
    char other[256];

    put("s", "token", 5, 0600);
    (void)snprintf(other, sizeof other, "%s/other", directory);
    CHECK_INT(link(in_directory("s"), other), 0);
    CHECK_INT(secret_refused("s", "one link"), ERR_CONFIG);
}

TEST(file_read_secret_refuses_a_symbolic_link)
{
    put("s", "token", 5, 0600);
    CHECK_INT(symlink("s", in_directory("l")), 0);
    CHECK_INT(secret_refused("l", "symbolic link"), ERR_CONFIG);
}

TEST(file_read_secret_refuses_fifo_and_directory_without_waiting)
{
    CHECK_INT(mkfifo(in_directory("f"), 0600), 0);
    CHECK_INT(secret_refused("f", "regular file"), ERR_CONFIG);
    CHECK_INT(mkdir(in_directory("d"), 0700), 0);
    CHECK_INT(secret_refused("d", "regular file"), ERR_CONFIG);
}

TEST(file_read_secret_refuses_the_file_of_another_user)
{
    if (geteuid() != 0)
        skip();
    put("s", "token", 5, 0600);
    CHECK_INT(chown(in_directory("s"), 12345, 0), 0);
    CHECK_INT(secret_refused("s", "owned by"), ERR_CONFIG);
}

TEST(file_read_secret_refuses_empty_and_too_long)
{
    char bytes[200];

    put("s", " \n", 2, 0600);
    CHECK_INT(secret_refused("s", "empty"), ERR_CONFIG);
    memset(bytes, 'a', sizeof bytes);
    put("s", bytes, 101, 0600);
    CHECK_INT(secret_refused("s", "longer than 100"), ERR_LIMIT);
    put("s", bytes, sizeof bytes, 0600);
    CHECK_INT(secret_refused("s", "longer than 100"), ERR_LIMIT);
}

TEST(file_read_secret_says_enoent_for_one_that_is_not_there)
{
    struct secret secret;
    struct err err;

    CHECK_INT(file_read_secret(in_directory("none"), 100, &secret, &err), -1);
    CHECK_INT(err.code, ERR_SYSTEM);
    CHECK_INT(err.sys, ENOENT);
}

TEST(file_read_secret_fd_takes_the_descriptor)
{
    struct secret secret;
    struct err err;
    int fds[2];

    CHECK_INT(pipe(fds), 0);
    CHECK_INT(write(fds[1], "tok", 3), 3);
    CHECK_INT(write(fds[1], "en\n", 3), 3);
    (void)close(fds[1]);
    CHECK_INT(file_read_secret_fd(fds[0], 100, &secret, &err), 0);
    CHECK_SPAN(secret_span(&secret), "token");
    secret_fini(&secret);
    CHECK_INT(fcntl(fds[0], F_GETFD), -1);
    CHECK_INT(file_read_secret_fd(fds[0], 100, &secret, &err), -1);
    CHECK_INT(err.code, ERR_SYSTEM);
}

/* --- writing --- */

TEST(file_write_atomic_replaces_and_sets_the_mode)
{
    mode_t old_mask = umask(0177);
    struct room content;
    struct stat st;
    struct err err;

    put("a", "old content", 11, 0600);
    CHECK_INT(file_write_atomic(in_directory("a"), span_text("new"), 0644, &err), 0);
    (void)umask(old_mask);
    CHECK_INT(stat(in_directory("a"), &st), 0);
    CHECK_INT(st.st_mode & 07777, 0644);
    CHECK_INT(file_read(in_directory("a"), 100, &content, &err), 0);
    CHECK_SPAN(span_of_room(content), "new");
    file_free(&content);
    CHECK_INT(entry_count(), 1);
}

TEST(file_write_atomic_leaves_nothing_behind_when_it_fails)
{
    struct err err;

    CHECK_INT(mkdir(in_directory("a"), 0700), 0);
    CHECK_INT(file_write_atomic(in_directory("a"), span_text("new"), 0600, &err), -1);
    CHECK_INT(err.code, ERR_SYSTEM);
    CHECK_INT(err.sys, EISDIR);
    CHECK_INT(entry_count(), 1);
    CHECK_INT(file_write_atomic(in_directory("none/a"), span_text("new"), 0600, &err), -1);
    CHECK_INT(err.sys, ENOENT);
}

TEST(file_write_atomic_works_in_the_current_directory)
{
    int old = open(".", O_RDONLY | O_DIRECTORY);
    struct err err;

    CHECK_INT(chdir(directory), 0);
    CHECK_INT(file_write_atomic("plain", span_text("x"), 0600, &err), 0);
    CHECK_INT(fchdir(old), 0);
    (void)close(old);
    CHECK_INT(access(in_directory("plain"), F_OK), 0);
}

TEST(file_make_dirs_makes_parents_and_accepts_what_exists)
{
    struct stat st;
    struct err err;

    CHECK_INT(file_make_dirs(in_directory("p/q//r/"), 0700, &err), 0);
    CHECK_INT(file_make_dirs(in_directory("p/q/r"), 0700, &err), 0);
    CHECK_INT(stat(in_directory("p/q/r"), &st), 0);
    CHECK(S_ISDIR(st.st_mode));
    put("p/q/f", "", 0, 0600);
    CHECK_INT(file_make_dirs(in_directory("p/q/f"), 0700, &err), -1);
    CHECK_INT(err.sys, ENOTDIR);
    CHECK_INT(file_make_dirs(in_directory("p/q/f/g"), 0700, &err), -1);
    CHECK_INT(err.sys, ENOTDIR);
    CHECK_INT(file_make_dirs("", 0700, &err), -1);
    CHECK_INT(unlink(in_directory("p/q/f")), 0);
    CHECK_INT(rmdir(in_directory("p/q/r")), 0);
    CHECK_INT(rmdir(in_directory("p/q")), 0);
}

TEST(file_sealed_can_be_read_and_never_changed)
{
    struct err err;
    char bytes[16];
    int fd = file_sealed("config", span_text("content"), &err);

    CHECK(fd >= 0);
    CHECK_INT(read(fd, bytes, sizeof bytes), 7);
    CHECK_INT(memcmp(bytes, "content", 7), 0);
    CHECK_INT(pwrite(fd, "x", 1, 0), -1);
    CHECK_INT(errno, EPERM);
    CHECK_INT(ftruncate(fd, 0), -1);
    CHECK_INT(ftruncate(fd, 100), -1);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    CHECK_INT(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    (void)close(fd);
}

TEST(file_rename_replaces_and_names_what_is_not_there)
{
    struct room content;
    struct err err;
    char from[256];

    (void)snprintf(from, sizeof from, "%s/a", directory);
    put("a", "one", 3, 0600);
    put("b", "two", 3, 0600);
    CHECK_INT(file_rename(from, in_directory("b"), &err), 0);
    CHECK_INT(file_read(in_directory("b"), 100, &content, &err), 0);
    CHECK_SPAN(span_of_room(content), "one");
    file_free(&content);
    CHECK_INT(entry_count(), 1);
    CHECK_INT(file_rename(from, in_directory("b"), &err), -1);
    CHECK_INT(err.sys, ENOENT);
}

TEST(file_exists_until_it_is_removed)
{
    struct err err;

    put("a", "one", 3, 0600);
    CHECK_INT(file_exists(in_directory("a"), &err), 1);
    CHECK_INT(file_exists(in_directory("a/b"), &err), -1);
    CHECK_INT(err.sys, ENOTDIR);
    CHECK_INT(file_remove(in_directory("a"), &err), 0);
    CHECK_INT(file_exists(in_directory("a"), &err), 0);
    CHECK_INT(file_remove(in_directory("a"), &err), 0);
    CHECK_INT(symlink("nowhere", in_directory("a")), 0);
    CHECK_INT(file_exists(in_directory("a"), &err), 1);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TEST_MAIN(FILE_TEST(file_read_returns_the_whole_content),
          FILE_TEST(file_read_refuses_one_byte_over_the_limit),
          FILE_TEST(file_read_of_an_empty_file_is_empty),
          FILE_TEST(file_read_grows_for_what_has_no_size),
          FILE_TEST(file_read_names_what_is_not_there),
          FILE_TEST(file_read_secret_drops_blanks_at_both_ends),
          FILE_TEST(file_read_secret_refuses_what_others_can_read),
          FILE_TEST(file_read_secret_refuses_a_hard_link),
          FILE_TEST(file_read_secret_refuses_a_symbolic_link),
          FILE_TEST(file_read_secret_refuses_fifo_and_directory_without_waiting),
          FILE_TEST(file_read_secret_refuses_the_file_of_another_user),
          FILE_TEST(file_read_secret_refuses_empty_and_too_long),
          FILE_TEST(file_read_secret_says_enoent_for_one_that_is_not_there),
          FILE_TEST(file_read_secret_fd_takes_the_descriptor),
          FILE_TEST(file_write_atomic_replaces_and_sets_the_mode),
          FILE_TEST(file_write_atomic_leaves_nothing_behind_when_it_fails),
          FILE_TEST(file_write_atomic_works_in_the_current_directory),
          FILE_TEST(file_rename_replaces_and_names_what_is_not_there),
          FILE_TEST(file_exists_until_it_is_removed),
          FILE_TEST(file_make_dirs_makes_parents_and_accepts_what_exists),
          FILE_TEST(file_sealed_can_be_read_and_never_changed))
