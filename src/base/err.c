/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of errors, and how an error is filled. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/ensure.h"

static const struct {
    int status;
    const char *reason;
    bool retry;
} err_table[ERR_COUNT] = {
#define ERR_ROW(code, status, reason, retry) {status, reason, retry},
    ERR_TABLE(ERR_ROW)
#undef ERR_ROW
};

static void text_clean(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text > 0x7e)
            *text = '?';
    }
}

int(err_set)(struct err *err, enum err_code code, const char *format, ...)
{
    va_list args;

    err->code = code;
    err->sys = 0;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    text_clean(err->text);
    return -1;
}

int(err_set_sys)(struct err *err, enum err_code code, int sys, const char *what)
{
    (void)err_set(err, code, "%s: %s", what, strerror(sys));
    err->sys = sys;
    return -1;
}

void err_clear(struct err *err)
{
    *err = (struct err){.code = ERR_OK};
}

int err_status(enum err_code code)
{
    ENSURE(code < ERR_COUNT);
    return err_table[code].status;
}

const char *err_reason(enum err_code code)
{
    ENSURE(code < ERR_COUNT);
    return err_table[code].reason;
}

bool err_can_retry(enum err_code code)
{
    ENSURE(code < ERR_COUNT);
    return err_table[code].retry;
}

enum err_code err_from_number(unsigned number)
{
    return number < ERR_COUNT ? (enum err_code)number : ERR_INTERNAL;
}
