/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/token.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "test.h"

static char dir[] = "/tmp/exeat-token-XXXXXX";
static char path[64];
static char other[64];

static int file_put(const char *content, mode_t mode)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    size_t len = strlen(content);
    int result = write(fd, content, len) == (ssize_t)len ? fchmod(fd, mode) : -1;

    (void)close(fd);
    return result;
}

static int load(struct secret *token, struct err *err)
{
    struct token_source source;

    CHECK_INT(token_source_read(&source, path, NULL, "/nowhere", err), 0);
    return token_load(&source, token, err);
}

static int refused(void)
{
    struct secret token;
    struct err err;
    int result = load(&token, &err);

    secret_fini(&token);
    (void)unlink(path);
    (void)unlink(other);
    return result < 0;
}

TEST(token_is_read_without_blanks_around_it)
{
    struct secret token;
    struct err err;

    CHECK_INT(file_put("  tok\n", 0600), 0);
    CHECK_INT(load(&token, &err), 0);
    CHECK_SPAN(secret_span(&token), "tok");
    secret_fini(&token);
    (void)unlink(path);
}

TEST(token_file_that_is_missing_is_told_apart)
{
    struct secret token;
    struct err err;

    CHECK_INT(load(&token, &err), -1);
    CHECK_INT(err.code, ERR_NOT_FOUND);
}

/* Threat F6. */
TEST(token_file_must_be_private_regular_and_have_one_link)
{
    CHECK_INT(file_put("tok", 0644), 0);
    CHECK(refused());
    CHECK_INT(file_put("tok", 0600), 0);
    CHECK_INT(link(path, other), 0);
    CHECK(refused());
    CHECK_INT(symlink("/etc/hostname", path), 0);
    CHECK(refused());
    CHECK_INT(mkfifo(path, 0600), 0);
    CHECK(refused());
}

TEST(token_must_be_one_visible_word)
{
    CHECK_INT(file_put(" \n", 0600), 0);
    CHECK(refused());
    CHECK_INT(file_put("a b", 0600), 0);
    CHECK(refused());
    CHECK_INT(file_put("a\r\nX: y", 0600), 0);
    CHECK(refused());
}

TEST(token_from_a_descriptor_goes_before_the_file_and_is_closed)
{
    struct token_source source;
    struct secret token;
    struct err err;
    char number[12];
    int fds[2];

    CHECK_INT(pipe(fds), 0);
    CHECK_INT(write(fds[1], "tok\n", 4), 4);
    (void)close(fds[1]);
    (void)snprintf(number, sizeof number, "%d", fds[0]);
    CHECK_INT(token_source_read(&source, NULL, number, path, &err), 0);
    CHECK(source.path == NULL);
    CHECK_INT(token_load(&source, &token, &err), 0);
    CHECK_SPAN(secret_span(&token), "tok");
    CHECK_INT(fcntl(fds[0], F_GETFD), -1);
    secret_fini(&token);
}

TEST(token_option_goes_before_the_descriptor)
{
    struct token_source source;
    struct err err;

    CHECK_INT(token_source_read(&source, path, "7", "/nowhere", &err), 0);
    CHECK_STR(source.path, path);
    CHECK_INT(source.fd, -1);
}

TEST(token_descriptor_must_be_a_number_from_3_on)
{
    const char *const bad[] = {"0", "2", "-1", "x", "3 ", "99999999999"};
    struct token_source source;
    struct err err;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(token_source_read(&source, NULL, bad[i], path, &err), -1);
}

TEST(token_forget_unlinks_the_file)
{
    struct token_source source = {.path = path, .fd = -1};
    struct err err;

    CHECK_INT(file_put("tok", 0600), 0);
    CHECK_INT(token_forget(&source, &err), 0);
    CHECK_INT(access(path, F_OK), -1);
    CHECK_INT(token_forget(&source, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(token_is_read_without_blanks_around_it),
        TEST_OF(token_file_that_is_missing_is_told_apart),
        TEST_OF(token_file_must_be_private_regular_and_have_one_link),
        TEST_OF(token_must_be_one_visible_word),
        TEST_OF(token_from_a_descriptor_goes_before_the_file_and_is_closed),
        TEST_OF(token_option_goes_before_the_descriptor),
        TEST_OF(token_descriptor_must_be_a_number_from_3_on),
        TEST_OF(token_forget_unlinks_the_file),
    };
    int result;

    if (mkdtemp(dir) == NULL)
        return 1;
    (void)snprintf(path, sizeof path, "%s/token", dir);
    (void)snprintf(other, sizeof other, "%s/other", dir);
    result = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(dir);
    return result;
}
