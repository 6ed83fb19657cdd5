/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_WS_STORY_H
#define EXEAT_TESTS_WS_STORY_H

#include "split.h"
#include "wire/ws_frame.h"

/*
 * What a WebSocket engine understood, as words: "binary 6869 end ping 68 close 1000 error 1002".
 * Data of one message is merged as long as nothing comes between.
 */
const char *ws_story(enum ws_role role, uint64_t limit, struct span input);

#endif
