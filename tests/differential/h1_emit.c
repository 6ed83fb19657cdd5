/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generated streams and what our reader makes of them, for a comparison in another language. A line
 * each: stream, end, why, then for each request: head, content, where it ends, complete, last.
 * Bytes are hexadecimal, everything is separated by tabs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "generate.h"
#include "outcome.h"

static void hex_print(struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        (void)printf("%02x", bytes.ptr[i]);
}

static void outcome_print(const struct outcome *outcome)
{
    static const char *const ends[] = {"waits", "refuses", "closes"};

    (void)printf("\t%s\t%s", ends[outcome->end], outcome->why);
    for (size_t i = 0; i < outcome->count; i++) {
        const struct outcome_message *message = &outcome->messages[i];

        (void)putchar('\t');
        hex_print(outcome_head(outcome, i));
        (void)putchar('\t');
        hex_print(outcome_body(outcome, i));
        (void)printf("\t%zu\t%d\t%d", message->end, message->is_complete, message->is_last);
    }
    (void)putchar('\n');
}

int main(int argc, char **argv)
{
    static uint8_t stream[GENERATE_MAX];
    static struct outcome outcome;
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 20000;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    for (uint64_t seed = first; seed < first + count; seed++) {
        struct span in = span_of(stream, generate_requests(seed, stream));

        outcome_read(in, seed, &outcome);
        hex_print(in);
        outcome_print(&outcome);
    }
    return fflush(stdout) != 0;
}
