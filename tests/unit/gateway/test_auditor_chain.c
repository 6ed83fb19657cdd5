/* SPDX-License-Identifier: Apache-2.0 */
/* The chain of the audit log: every change of a line is noticed (J4). */
#include "auditor_rig.h"

static uint64_t random_state = 88172645463325252ULL;

static size_t random_below(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % limit);
}

static struct {
    char bytes[8192];
    size_t len;
    size_t starts[17];
} sample;

static void sample_make(void)
{
    struct auditor_log *log = rig_log_open();
    size_t line = 0;

    for (int i = 0; i < 16; i++)
        rig_end_one(log, 1, 0, "/sample");
    CHECK_INT(auditor_log_flush(log, &rig_err), 0);
    auditor_log_close(log);
    sample.len = rig_file_bytes(rig_path, sample.bytes, sizeof sample.bytes);
    for (size_t i = 0; i < sample.len; i++) {
        if (sample.bytes[i] == '\n')
            sample.starts[++line] = i + 1;
    }
    CHECK_INT(line, 16);
}

/* What --verify sees of a log that should end at record 16. */
static int is_noticed(const char *bytes, size_t len)
{
    struct auditor_chain chain;

    auditor_chain_init(&chain);
    return rig_lines_follow(span_of(bytes, len), &chain) < 0 || chain.seq != 16;
}

static size_t line_put(char *to, size_t at, size_t line)
{
    size_t len = sample.starts[line + 1] - sample.starts[line];

    memcpy(to + at, sample.bytes + sample.starts[line], len);
    return at + len;
}

/* J4: 10^4 single edits, deletions, insertions and swaps: every one is noticed. */
TEST(auditor_chain_notices_every_change)
{
    static char changed[2 * sizeof sample.bytes];

    sample_make();
    CHECK(!is_noticed(sample.bytes, sample.len));
    for (int n = 0; n < 4000; n++) {
        size_t at = random_below(sample.len);

        memcpy(changed, sample.bytes, sample.len);
        changed[at] = (char)(changed[at] ^ (1 + (char)random_below(127)));
        CHECK(is_noticed(changed, sample.len));
    }
    for (int n = 0; n < 2000; n++) {
        size_t at = random_below(sample.len);
        size_t len = 1 + random_below(sample.len - at);

        memcpy(changed, sample.bytes, at);
        memcpy(changed + at, sample.bytes + at + len, sample.len - at - len);
        CHECK(is_noticed(changed, sample.len - len));
    }
    for (int n = 0; n < 2000; n++) {
        size_t at = random_below(sample.len + 1);

        memcpy(changed, sample.bytes, at);
        changed[at] = (char)random_below(256);
        memcpy(changed + at + 1, sample.bytes + at, sample.len - at);
        CHECK(is_noticed(changed, sample.len + 1));
    }
    for (int n = 0; n < 2000; n++) {
        size_t a = random_below(16);
        size_t b = random_below(16);
        size_t len = 0;

        for (size_t line = 0; line < 16; line++)
            len = line_put(changed, len, line == a ? b : line == b ? a : line);
        CHECK_INT(is_noticed(changed, len), a != b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(auditor_chain_notices_every_change, rig_start, rig_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
