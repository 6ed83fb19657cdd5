/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_SPLIT_H
#define EXEAT_TESTS_SPLIT_H

/*
 * The any-split harness: an engine must tell the same story however its input is cut. A test
 * gives a function that feeds one piece and writes what happened; the harness runs it with the
 * input whole, byte by byte, in two pieces at every place, and in 200 pseudo-random cuttings, and
 * compares the stories.
 */
#include "base/span.h"
#include "base/text.h"

struct split_engine {
    /* A fresh engine, in the caller's static storage. */
    void (*start)(void *engine);
    /*
     * Feed `piece`, which is a private writable copy; append what was understood to `story`, with
     * adjacent data merged. Returns how many bytes were taken (the rest is offered again together
     * with more), or -1 after an error, which the story tells.
     */
    ssize_t (*feed)(void *engine, struct room piece, struct text *story);
    /* No more input; may append. May be NULL. */
    void (*finish)(void *engine, struct text *story);
    void *engine;
};

/* Fails the running cmocka test when two stories differ. `story` gets the one of the whole input.
 */
void split_check(const struct split_engine *engine, struct span input, struct text *story);

#endif
