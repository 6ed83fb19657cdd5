/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_OS_LOG_H
#define EXEAT_OS_LOG_H

/*
 * Lines for people on stderr: "exeat: warning: ...". Never a secret: callers format only what they
 * know, and every byte outside printable ASCII becomes \xNN.
 */
enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* `name` is the prefix ("exeat-gateway worker 1"); static or living as long as the process. */
void log_init(const char *name, enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_level_now(void);

/* "error", "warning", "info" or "debug": 0, else -1. */
int log_level_read(const char *word, enum log_level *level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
