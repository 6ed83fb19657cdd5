/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>

#include "dies.h"

TEST(err_set_returns_minus_one_and_fills)
{
    struct err err = {.sys = 5};

    CHECK_INT(err_set(&err, ERR_SYNTAX, "byte 0x%02x at %d", 10, 3), -1);
    CHECK_INT(err.code, ERR_SYNTAX);
    CHECK_INT(err.sys, 0);
    CHECK_STR(err.text, "byte 0x0a at 3");
    err_clear(&err);
    CHECK_INT(err.code, ERR_OK);
    CHECK_STR(err.text, "");
}

/* J1: what a peer sent cannot break a line of a log. */
TEST(err_text_is_printable_and_bounded_J1)
{
    struct err err;
    char longer[1024];

    err_set(&err, ERR_SYNTAX, "%s", "a\r\nb\x1b[31m\xc3\xa9\x7f");
    CHECK_STR(err.text, "a??b?[31m???");
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    err_set(&err, ERR_SYNTAX, "%s", longer);
    CHECK_INT(strlen(err.text), sizeof err.text - 1);
}

TEST(err_set_sys_adds_the_words_of_errno)
{
    struct err err;

    CHECK_INT(err_set_sys(&err, ERR_SYSTEM, ENOENT, "open"), -1);
    CHECK_INT(err.sys, ENOENT);
    CHECK_STR(err.text, "open: No such file or directory");
}

TEST(err_table_has_a_status_and_a_word_for_each_code)
{
    for (int code = 0; code < ERR_COUNT; code++) {
        const char *reason = err_reason((enum err_code)code);

        CHECK(err_status((enum err_code)code) >= 200 && err_status((enum err_code)code) < 600);
        CHECK(reason[0] != '\0');
        CHECK_INT(strspn(reason, "abcdefghijklmnopqrstuvwxyz_"), strlen(reason));
        for (int other = 0; other < code; other++)
            CHECK(strcmp(reason, err_reason((enum err_code)other)) != 0);
        CHECK_INT(err_from_number((unsigned)code), code);
    }
    CHECK_INT(err_status(ERR_POLICY), 403);
    CHECK_STR(err_reason(ERR_TOO_LARGE), "head_too_large");
    CHECK(err_can_retry(ERR_DNS) && !err_can_retry(ERR_POLICY));
}

static void status_of_no_code(void)
{
    (void)err_status(ERR_COUNT);
}

TEST(err_from_number_knows_no_other_codes)
{
    CHECK_INT(err_from_number(ERR_COUNT), ERR_INTERNAL);
    CHECK_INT(err_from_number(0xffffffffu), ERR_INTERNAL);
    check_dies(status_of_no_code);
}

TEST_MAIN(TEST_OF(err_set_returns_minus_one_and_fills),
          TEST_OF(err_text_is_printable_and_bounded_J1),
          TEST_OF(err_set_sys_adds_the_words_of_errno),
          TEST_OF(err_table_has_a_status_and_a_word_for_each_code),
          TEST_OF(err_from_number_knows_no_other_codes))
