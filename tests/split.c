/* SPDX-License-Identifier: Apache-2.0 */
/* The any-split harness, see split.h. */
#include "split.h"

#include "test.h"

#define SPLIT_INPUT_MAX 262144
#define SPLIT_STORY_MAX 524288
#define SPLIT_RANDOM    200

/* Where to cut next: returns a piece length >= 1 for `left` bytes at `at`. */
struct cutter {
    enum { CUT_WHOLE, CUT_BYTES, CUT_TWO, CUT_RANDOM } kind;
    size_t at;
    uint64_t state;
};

static size_t cutter_next(struct cutter *cutter, size_t at, size_t left)
{
    size_t len = left;

    switch (cutter->kind) {
    case CUT_WHOLE:
        break;
    case CUT_BYTES:
        len = 1;
        break;
    case CUT_TWO:
        if (at < cutter->at)
            len = cutter->at - at;
        break;
    case CUT_RANDOM:
        cutter->state = cutter->state * 6364136223846793005u + 1442695040888963407u;
        len = 1 + (size_t)(cutter->state >> 33) % (cutter->state >> 60 == 0 ? left : 9);
        break;
    }
    return len < left ? len : left;
}

static void story_run(const struct split_engine *engine, struct span input, struct cutter cutter,
                      struct text *story)
{
    size_t taken = 0;   /* bytes the engine has consumed */
    size_t offered = 0; /* bytes it has been shown */

    engine->start(engine->engine);
    while (offered < input.len) {
        offered += cutter_next(&cutter, offered, input.len - offered);
        for (;;) {
            size_t len = offered - taken;
            uint8_t *piece = test_malloc(len + 1);
            ssize_t used;

            if (len > 0)
                memcpy(piece, input.ptr + taken, len);
            used = engine->feed(engine->engine, (struct room){.ptr = piece, .len = len}, story);
            test_free(piece);
            if (used < 0)
                return;
            assert_true((size_t)used <= len);
            taken += (size_t)used;
            if (used == 0 || taken == offered)
                break;
        }
    }
    if (engine->finish != NULL)
        engine->finish(engine->engine, story);
}

static void story_compare(const struct split_engine *engine, struct span input,
                          struct cutter cutter, const struct text *expected)
{
    static char memory[SPLIT_STORY_MAX];
    struct text story;

    text_init(&story, memory, sizeof memory);
    story_run(engine, input, cutter, &story);
    assert_false(story.overflow);
    if (!span_equal(text_span(&story), text_span(expected))) {
        print_error("cut kind %d at %zu tells another story:\n%.*s\ninstead of\n%.*s\n",
                    (int)cutter.kind, cutter.at, (int)story.len, story.ptr, (int)expected->len,
                    expected->ptr);
        fail();
    }
}

void split_check(const struct split_engine *engine, struct span input, struct text *story)
{
    size_t step = input.len / 2000 + 1;

    assert_true(input.len <= SPLIT_INPUT_MAX);
    story_run(engine, input, (struct cutter){.kind = CUT_WHOLE}, story);
    assert_false(story->overflow);
    if (input.len <= 8192)
        story_compare(engine, input, (struct cutter){.kind = CUT_BYTES}, story);
    for (size_t at = 1; at < input.len; at += step)
        story_compare(engine, input, (struct cutter){.kind = CUT_TWO, .at = at}, story);
    for (uint64_t seed = 1; seed <= SPLIT_RANDOM && input.len <= 32768; seed++)
        story_compare(engine, input, (struct cutter){.kind = CUT_RANDOM, .state = seed}, story);
}
