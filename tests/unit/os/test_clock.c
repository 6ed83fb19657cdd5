/* SPDX-License-Identifier: Apache-2.0 */
/* What is guarded: clocks that run forwards, and the one form of time in records. */
#include "os/clock.h"

#include "test.h"

static const char *written(int64_t wall_ms)
{
    static char memory[64];
    struct text text;

    text_init(&text, memory, sizeof memory);
    clock_write(&text, wall_ms);
    return text_str(&text);
}

TEST(clock_never_runs_backwards)
{
    int64_t last = clock_mono_us();

    for (int i = 0; i < 10000; i++) {
        int64_t now = clock_mono_us();

        CHECK(now >= last);
        last = now;
    }
    CHECK(clock_mono_ms() >= last / 1000);
}

TEST(clock_wall_is_the_unix_epoch)
{
    int64_t before = (int64_t)time(NULL);
    int64_t now = clock_wall_ms();
    int64_t after = (int64_t)time(NULL);

    CHECK(now / 1000 >= before - 1 && now / 1000 <= after + 1);
}

TEST(clock_write_is_rfc3339_in_utc)
{
    CHECK_STR(written(1795460711123), "2026-11-23T19:05:11.123Z");
    CHECK_STR(written(0), "1970-01-01T00:00:00.000Z");
    CHECK_STR(written(951782400000), "2000-02-29T00:00:00.000Z");
    CHECK_STR(written(4107542399999), "2100-02-28T23:59:59.999Z");
}

TEST(clock_write_counts_down_before_the_epoch)
{
    CHECK_STR(written(-1), "1969-12-31T23:59:59.999Z");
    CHECK_STR(written(-1000), "1969-12-31T23:59:59.000Z");
}

TEST(clock_write_keeps_its_form_for_any_number)
{
    CHECK_INT(strlen(written(INT64_MAX)), 24);
    CHECK_INT(strlen(written(INT64_MIN)), 24);
    CHECK_STR(written(253402300799999), "9999-12-31T23:59:59.999Z");
    CHECK_STR(written(253402300800000), "0000-01-01T00:00:00.000Z");
}

TEST(clock_write_into_too_little_room_says_so)
{
    char memory[23];
    struct text text;
    struct err err;

    text_init(&text, memory, sizeof memory);
    clock_write(&text, 0);
    CHECK_INT(text_check(&text, "time", &err), -1);
}

TEST_MAIN(TEST_OF(clock_never_runs_backwards), TEST_OF(clock_wall_is_the_unix_epoch),
          TEST_OF(clock_write_is_rfc3339_in_utc), TEST_OF(clock_write_counts_down_before_the_epoch),
          TEST_OF(clock_write_keeps_its_form_for_any_number),
          TEST_OF(clock_write_into_too_little_room_says_so))
