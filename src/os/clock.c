/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks: one that never jumps for timers, one of the calendar for records. */
#include "os/clock.h"

#include <time.h>

static int64_t clock_us(clockid_t id)
{
    struct timespec now;

    ENSURE(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_mono_ms(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

void clock_rest_ms(unsigned ms)
{
    const struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    (void)nanosleep(&rest, NULL);
}

void clock_write(struct text *out, int64_t wall_ms)
{
    int64_t ms = wall_ms % 1000;
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;

    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    /* RFC 3339 has four digits for the year. */
    if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year > 8099) {
        text_add_str(out, "0000-01-01T00:00:00.000Z");
        return;
    }
    char line[80];
    int len = snprintf(line, sizeof line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)ms);

    ENSURE(len > 0 && (size_t)len < sizeof line);
    text_add(out, span_of(line, (size_t)len));
}
