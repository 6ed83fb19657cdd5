/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 by the table of RFC 3629 section 4: only the second byte of a sequence has ranges of its
 * own (no overlong forms, no surrogates, nothing above U+10FFFF), so that a wrong sequence is told
 * at the first byte that makes it wrong.
 */
#include "wire/ws_utf8.h"

static bool lead_feed(struct ws_utf8 *utf8, uint8_t byte)
{
    *utf8 = (struct ws_utf8){.low = 0x80, .high = 0xbf};
    if (byte < 0x80)
        return true;
    if (byte < 0xc2 || byte > 0xf4)
        return false;
    utf8->left = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    if (byte == 0xe0)
        utf8->low = 0xa0;
    else if (byte == 0xed)
        utf8->high = 0x9f;
    else if (byte == 0xf0)
        utf8->low = 0x90;
    else if (byte == 0xf4)
        utf8->high = 0x8f;
    return true;
}

static bool tail_feed(struct ws_utf8 *utf8, uint8_t byte)
{
    if (byte < utf8->low || byte > utf8->high)
        return false;
    utf8->left--;
    utf8->low = 0x80;
    utf8->high = 0xbf;
    return true;
}

bool ws_utf8_feed(struct ws_utf8 *utf8, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (utf8->left > 0 ? !tail_feed(utf8, text.ptr[i]) : !lead_feed(utf8, text.ptr[i]))
            return false;
    }
    return true;
}

bool ws_utf8_is_whole(const struct ws_utf8 *utf8)
{
    return utf8->left == 0;
}
