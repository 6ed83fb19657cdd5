/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"

#include "test.h"

static uint64_t u64_of(const char *text)
{
    uint64_t value = 0;
    struct err err;

    CHECK_INT(num_read_u64(span_text(text), &value, &err), 0);
    return value;
}

TEST(num_reads_1_to_18_digits)
{
    CHECK_INT(u64_of("0"), 0);
    CHECK_INT(u64_of("007"), 7);
    CHECK_INT(u64_of("999999999999999999"), 999999999999999999);
}

TEST(num_refuses_what_is_no_run_of_digits_A2)
{
    static const char *const bad[] = {"",    "+5",  "-5",  " 5",  "5 ",  "0x5",
                                      "5,5", "5.0", "1e3", "1_0", "\t5", "1000000000000000000"};
    struct err err;
    uint64_t value = 1234;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(num_read_u64(span_text(bad[i]), &value, &err), -1);
        CHECK_INT(err.code, ERR_SYNTAX);
    }
    CHECK_INT(num_read_u64(span_of("1\0", 2), &value, &err), -1);
    CHECK_INT(value, 1234);
}

TEST(num_reads_ports_of_1_to_65535_without_leading_zero_E10)
{
    static const char *const bad[] = {"",      "0",   "65536", "00443", "+443",
                                      "99999", "007", "443 ",  "-1",    "100000"};
    struct err err;
    uint16_t port;

    CHECK_INT(num_read_port(span_text("1"), &port, &err), 0);
    CHECK_INT(port, 1);
    CHECK_INT(num_read_port(span_text("65535"), &port, &err), 0);
    CHECK_INT(port, 65535);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(num_read_port(span_text(bad[i]), &port, &err), -1);
        CHECK_INT(err.code, ERR_TARGET);
    }
}

TEST(num_min_is_the_smaller)
{
    CHECK_INT(num_min(1, 2), 1);
    CHECK_INT(num_min(2, 1), 1);
}

TEST_MAIN(TEST_OF(num_reads_1_to_18_digits), TEST_OF(num_refuses_what_is_no_run_of_digits_A2),
          TEST_OF(num_reads_ports_of_1_to_65535_without_leading_zero_E10),
          TEST_OF(num_min_is_the_smaller))
