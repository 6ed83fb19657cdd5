/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines for people. One write(2) per line, so that the lines of several processes on one stderr
 * do not mix; a line that cannot be written is lost, for a log must not stop what it reports on.
 */
#include "os/log.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/text.h"

#define LOG_LINE_MAX 1024

static const char *const level_words[] = {
    [LOG_ERROR] = "error",
    [LOG_WARNING] = "warning",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

static const char *log_name = "exeat";
static enum log_level log_level = LOG_INFO;

void log_init(const char *name, enum log_level level)
{
    log_name = name;
    log_level = level;
}

void log_set_level(enum log_level level)
{
    log_level = level;
}

enum log_level log_level_now(void)
{
    return log_level;
}

int log_level_read(const char *word, enum log_level *level)
{
    for (size_t i = 0; i < sizeof level_words / sizeof level_words[0]; i++) {
        if (strcmp(word, level_words[i]) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    }
    return -1;
}

/* As many of `bytes` as fit, each either whole or not at all. */
static void line_add(struct text *line, struct span bytes)
{
    for (size_t i = 0; i < bytes.len && !line->overflow; i++)
        text_add_printable(line, span_of(bytes.ptr + i, 1));
}

static void log_line(enum log_level level, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void log_line(enum log_level level, const char *format, va_list args)
{
    char words[LOG_LINE_MAX];
    char memory[LOG_LINE_MAX];
    struct text line;
    int saved_errno = errno;

    if (level > log_level)
        return;
    text_init(&line, memory, sizeof memory - 4); /* room for what marks a cut line, and for LF */
    line_add(&line, span_text(log_name));
    text_add_str(&line, ": ");
    if (level != LOG_INFO) {
        text_add_str(&line, level_words[level]);
        text_add_str(&line, ": ");
    }
    int len = vsnprintf(words, sizeof words, format, args);
    if (len > 0)
        line_add(&line, span_of(words, strnlen(words, sizeof words)));

    bool is_cut = line.overflow || len >= (int)sizeof words;
    line.cap = sizeof memory;
    line.overflow = false;
    text_add_str(&line, is_cut ? "...\n" : "\n");
    while (write(STDERR_FILENO, line.ptr, line.len) < 0 && errno == EINTR)
        continue;
    errno = saved_errno;
}

#define LOG_FUNCTION(name, level)                                                                  \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        va_list args;                                                                              \
                                                                                                   \
        va_start(args, format);                                                                    \
        log_line(level, format, args);                                                             \
        va_end(args);                                                                              \
    }

LOG_FUNCTION(log_error, LOG_ERROR)
LOG_FUNCTION(log_warning, LOG_WARNING)
LOG_FUNCTION(log_info, LOG_INFO)
LOG_FUNCTION(log_debug, LOG_DEBUG)
