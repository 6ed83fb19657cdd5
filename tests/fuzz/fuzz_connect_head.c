/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client says first to the relay. However it is cut the answer is the same, and the line
 * that is accepted can stand in a hello: no control byte in it.
 */
#include "base/limits.h"
#include "relay/connect_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_line(struct span line, struct span in)
{
    ENSURE(line.ptr >= in.ptr && line.ptr + line.len <= in.ptr + in.len);
    ENSURE(span_starts(line, span_text("CONNECT ")));
    for (size_t i = 0; i < line.len; i++)
        ENSURE(line.ptr[i] >= 0x20 && line.ptr[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span in = span_of(bytes, len);
    struct connect_head head;
    struct connect_head again;
    struct err err;
    struct err err_again;
    size_t scanned = 0;
    size_t scanned_again = 0;
    size_t step = len == 0 ? 1 : 1 + bytes[len - 1] % 7;
    ssize_t whole = connect_head_read(in, &scanned, &head, &err);
    ssize_t pieces = 0;

    ENSURE(whole <= (ssize_t)len);
    if (whole > 0)
        check_line(head.line, in);
    for (size_t at = 0; at < len && pieces == 0;) {
        at = at + step < len ? at + step : len;
        pieces = connect_head_read(span_first(in, at), &scanned_again, &again, &err_again);
    }
    ENSURE((whole > 0) == (pieces > 0) && (whole < 0) == (pieces < 0));
    if (whole > 0)
        ENSURE(whole == pieces && span_equal(head.line, again.line));
    if (whole < 0)
        ENSURE(err.code == err_again.code);
    if (len > 0)
        (void)connect_head_kind(bytes[0]);
    return 0;
}
