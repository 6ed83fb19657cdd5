/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_WIRE_WS_UTF8_H
#define EXEAT_WIRE_WS_UTF8_H

#include "base/span.h"

/*
 * Text of WebSocket messages and close reasons must be UTF-8 (RFC 3629, RFC 6455 section 8.1).
 * Checked as it comes, in any pieces; zeroed is the start of a text.
 */
struct ws_utf8 {
    unsigned left; /* private: bytes that the sequence still needs */
    uint8_t low;   /* private: the range of the next one of them */
    uint8_t high;
};

/* False as soon as a byte cannot be part of UTF-8; then the text is over. */
bool ws_utf8_feed(struct ws_utf8 *utf8, struct span text);

/* Whether the text may end here: not within a sequence. */
bool ws_utf8_is_whole(const struct ws_utf8 *utf8);

#endif
