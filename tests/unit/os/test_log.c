/* SPDX-License-Identifier: Apache-2.0 */
/* What is guarded: one clean line per message, whatever is in it (threat J1). */
#include "os/log.h"

#include <errno.h>
#include <unistd.h>

#include "test.h"

static char output[4096];

/* Everything written to stderr between the two calls. */
static int capture_fds[2];
static int capture_saved;

static void capture_begin(void)
{
    CHECK_INT(pipe(capture_fds), 0);
    capture_saved = dup(STDERR_FILENO);
    CHECK(capture_saved >= 0);
    CHECK_INT(dup2(capture_fds[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(capture_fds[1]);
}

static const char *capture_end(void)
{
    ssize_t len;

    CHECK_INT(dup2(capture_saved, STDERR_FILENO), STDERR_FILENO); /* the last end to write to */
    (void)close(capture_saved);
    len = read(capture_fds[0], output, sizeof output - 1);
    CHECK(len >= 0);
    output[len] = '\0';
    (void)close(capture_fds[0]);
    return output;
}

TEST(log_lines_have_name_level_and_text)
{
    log_init("exeat-gateway worker 1", LOG_DEBUG);
    capture_begin();
    log_error("cannot %s", "listen");
    log_warning("low on %d", 3);
    log_info("ready");
    log_debug("tick");
    CHECK_STR(capture_end(), "exeat-gateway worker 1: error: cannot listen\n"
                             "exeat-gateway worker 1: warning: low on 3\n"
                             "exeat-gateway worker 1: ready\n"
                             "exeat-gateway worker 1: debug: tick\n");
}

TEST(log_leaves_out_what_is_below_the_level)
{
    log_init("x", LOG_WARNING);
    capture_begin();
    log_info("no");
    log_debug("no");
    log_warning("yes");
    log_set_level(LOG_ERROR);
    log_warning("no");
    CHECK_STR(capture_end(), "x: warning: yes\n");
    CHECK_INT(log_level_now(), LOG_ERROR);
}

TEST(log_line_cannot_be_forged)
{
    log_init("x", LOG_INFO);
    capture_begin();
    log_info("a\nx: error: b\r\x1b[31m\x7f\xc3\xa9");
    CHECK_STR(capture_end(), "x: a\\x0ax: error: b\\x0d\\x1b[31m\\x7f\\xc3\\xa9\n");
}

TEST(log_cuts_a_long_line_and_shows_it)
{
    char words[3000];
    const char *line;

    memset(words, 'a', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    log_init("x", LOG_INFO);
    capture_begin();
    log_info("%s", words);
    line = capture_end();
    CHECK_INT(strlen(line), 1024);
    CHECK_STR(line + 1019, "a...\n");
}

TEST(log_never_cuts_an_escape_in_two)
{
    char words[600];
    const char *line;
    size_t len;

    memset(words, '\n', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    log_init("x", LOG_INFO);
    capture_begin();
    log_info("%s", words);
    line = capture_end();
    len = strlen(line);
    CHECK(len <= 1024);
    CHECK_STR(line + len - 8, "\\x0a...\n");
}

TEST(log_keeps_errno)
{
    log_init("x", LOG_INFO);
    capture_begin();
    errno = ENOSPC;
    log_info("a");
    CHECK_INT(errno, ENOSPC);
    (void)capture_end();
}

TEST(log_level_read_knows_four_words)
{
    enum log_level level = LOG_ERROR;

    CHECK_INT(log_level_read("debug", &level), 0);
    CHECK_INT(level, LOG_DEBUG);
    CHECK_INT(log_level_read("error", &level), 0);
    CHECK_INT(level, LOG_ERROR);
    CHECK_INT(log_level_read("warning", &level), 0);
    CHECK_INT(log_level_read("info", &level), 0);
    CHECK_INT(log_level_read("Info", &level), -1);
    CHECK_INT(log_level_read("", &level), -1);
}

TEST_MAIN(TEST_OF(log_lines_have_name_level_and_text),
          TEST_OF(log_leaves_out_what_is_below_the_level), TEST_OF(log_line_cannot_be_forged),
          TEST_OF(log_cuts_a_long_line_and_shows_it), TEST_OF(log_never_cuts_an_escape_in_two),
          TEST_OF(log_keeps_errno), TEST_OF(log_level_read_knows_four_words))
