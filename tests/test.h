/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_TEST_H
#define EXEAT_TESTS_TEST_H

/*
 * Thin words over cmocka. A test file has TEST(name) functions and ends with
 * TEST_MAIN(TEST_OF(name), TEST_OF(other)).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/span.h"

#define TEST(name)    static void name(void **state __attribute__((unused)))
#define TEST_OF(name) cmocka_unit_test(name)
#define TEST_MAIN(...)                                                                             \
    int main(void)                                                                                 \
    {                                                                                              \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                           \
        return cmocka_run_group_tests(tests, NULL, NULL);                                          \
    }

#define CHECK(condition)            assert_true(condition)
#define CHECK_INT(actual, expected) assert_int_equal((actual), (expected))
#define CHECK_STR(actual, expected) assert_string_equal((actual), (expected))
/* A span against a C string literal. */
#define CHECK_SPAN(actual, expected) check_span((actual), span_text(expected), __FILE__, __LINE__)

static inline void check_span(struct span actual, struct span expected, const char *file, int line)
{
    if (span_equal(actual, expected))
        return;
    print_error("'%.*s' is not '%.*s'\n", (int)actual.len, (const char *)actual.ptr,
                (int)expected.len, (const char *)expected.ptr);
    _fail(file, line);
}

#endif
