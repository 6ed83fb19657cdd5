/* SPDX-License-Identifier: Apache-2.0 */
/* The files and variables that a configuration names. */
#include "gateway/config.h"

#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"

#include "test.h"

static char directory[] = "/tmp/exeat-config-XXXXXX";
static char path[64];
static struct config config;
static struct config_errors errors;

static const char yaml[] =
    "listen:\n"
    "  - address: 127.0.0.1:8443\n"
    "    tls: {certificate: tls.crt, key: tls.key}\n"
    "state_dir: .\n"
    "origins: {roots: roots.pem}\n"
    "credentials:\n"
    "  file: {file: secret}\n"
    "  env: {env: EXEAT_TEST_CREDENTIAL}\n"
    "rules:\n"
    "  - name: a\n"
    "    hosts: [a.com]\n"
    "    inject: [{header: K, credential: file}, {header: L, credential: env}]\n";

static void write_file(const char *name, const char *content, unsigned mode)
{
    struct err err;
    char at[128];

    (void)snprintf(at, sizeof at, "%s/%s", directory, name);
    (void)unlink(at);
    CHECK_INT(file_write_atomic(at, span_text(content), mode, &err), 0);
}

static void remove_file(const char *name)
{
    char at[128];

    (void)snprintf(at, sizeof at, "%s/%s", directory, name);
    (void)unlink(at);
}

static const char *const names[] = {"tls.crt", "tls.key", "roots.pem", "ca.crt", "ca.key"};

static void all_there(void)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        write_file(names[i], "pem", 0600);
    write_file("secret", "s3cret\n", 0600);
    CHECK_INT(setenv("EXEAT_TEST_CREDENTIAL", "s3cret too", 1), 0);
}

static int check(void)
{
    config_fini(&config);
    config_errors_init(&errors);
    CHECK_INT(config_read(&config, span_text(yaml), path, &errors), 0);
    return config_check_files(&config, &errors);
}

static void check_one(const char *place, const char *what)
{
    CHECK_INT(check(), -1);
    CHECK_INT(errors.errors.total, 1);
    if (strstr(errors.errors.items[0].text, place) == NULL ||
        strstr(errors.errors.items[0].text, what) == NULL)
        print_error("%s\n", errors.errors.items[0].text);
    CHECK(strstr(errors.errors.items[0].text, place) != NULL);
    CHECK(strstr(errors.errors.items[0].text, what) != NULL);
    CHECK(strstr(errors.errors.items[0].text, "3cret") == NULL);
}

TEST(files_that_are_there_are_fine)
{
    all_there();
    CHECK_INT(check(), 0);
    CHECK_INT(errors.errors.total, 0);
}

TEST(a_file_that_is_missing_or_empty_is_named)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        all_there();
        remove_file(names[i]);
        check_one("c.yaml", names[i]);
        write_file(names[i], "", 0600);
        check_one("c.yaml", "is empty");
    }
    all_there();
    remove_file("tls.key");
    check_one("c.yaml:2: key of the listener", "tls.key");
}

TEST(a_credential_others_can_read_is_refused_F6)
{
    all_there();
    write_file("secret", "s3cret", 0640);
    check_one("c.yaml:7: credential 'file': ", "secret");
}

TEST(a_credential_that_is_no_field_value_is_refused_and_not_shown_D5)
{
    all_there();
    write_file("secret", "s3cret\ns3cret", 0600);
    check_one("c.yaml:7: credential 'file': ", "a byte at 6 that is not visible ASCII");
    all_there();
    CHECK_INT(setenv("EXEAT_TEST_CREDENTIAL", "s3cret\r", 1), 0);
    check_one("c.yaml:8: credential 'env': ", "a byte at 6 that is not visible ASCII");
    CHECK_INT(setenv("EXEAT_TEST_CREDENTIAL", "", 1), 0);
    check_one("c.yaml:8: credential 'env': ", "a value of 0 bytes, expected 1 to 8192");
}

TEST(a_variable_that_is_not_set_is_named)
{
    all_there();
    CHECK_INT(unsetenv("EXEAT_TEST_CREDENTIAL"), 0);
    check_one("c.yaml:8: credential 'env': ", "variable EXEAT_TEST_CREDENTIAL is not set");
}

TEST(all_that_is_missing_is_told_in_one_run)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        remove_file(names[i]);
    remove_file("secret");
    CHECK_INT(unsetenv("EXEAT_TEST_CREDENTIAL"), 0);
    CHECK_INT(check(), -1);
    CHECK_INT(errors.errors.total, 7);
}

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/c.yaml", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    config_fini(&config);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        remove_file(names[i]);
    remove_file("secret");
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(files_that_are_there_are_fine),
        TEST_OF(a_file_that_is_missing_or_empty_is_named),
        TEST_OF(a_credential_others_can_read_is_refused_F6),
        TEST_OF(a_credential_that_is_no_field_value_is_refused_and_not_shown_D5),
        TEST_OF(a_variable_that_is_not_set_is_named),
        TEST_OF(all_that_is_missing_is_told_in_one_run),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
