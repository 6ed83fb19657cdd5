/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of a CONNECT. Clients are sloppy with its fields (Python up to 3.11 sends none at all),
 * and none but the request line is passed on, so only the line is understood. The target itself is
 * judged by the gateway, which must not trust us anyway.
 */
#include "relay/connect_head.h"

#include "base/limits.h"
#include "http/token.h"

enum connect_head_kind connect_head_kind(uint8_t first)
{
    switch (first) {
    case 0x16:
        return CONNECT_HEAD_TLS;
    case 0x04:
        return CONNECT_HEAD_SOCKS4;
    case 0x05:
        return CONNECT_HEAD_SOCKS5;
    default:
        return CONNECT_HEAD_HTTP;
    }
}

enum connect_head_method connect_head_method(struct span in)
{
    ssize_t end = span_find(in, ' ');
    struct span method = span_first(in, end < 0 ? 0 : (size_t)end);

    if (!token_is_token(method))
        return CONNECT_HEAD_UNDECIDED;
    return span_equal(method, span_text("CONNECT")) ? CONNECT_HEAD_CONNECT : CONNECT_HEAD_OTHER;
}

static int line_read(struct span line, struct err *err)
{
    ssize_t method_end = span_find(line, ' ');
    struct span rest;
    ssize_t target_end;
    struct span version;

    if (span_find(line, '\t') >= 0)
        return err_set(err, ERR_SYNTAX, "tab in the request line");
    if (method_end < 1)
        return err_set(err, ERR_SYNTAX, "request line without a method");
    rest = span_from(line, (size_t)method_end + 1);
    target_end = span_find(rest, ' ');
    if (target_end < 1)
        return err_set(err, ERR_SYNTAX, "request line without a target or a version");
    version = span_from(rest, (size_t)target_end + 1);
    if (!span_equal(version, span_text("HTTP/1.1")) && !span_equal(version, span_text("HTTP/1.0")))
        return err_set(err, ERR_SYNTAX, "version is not HTTP/1.0 or HTTP/1.1");
    if (!span_equal(span_first(line, (size_t)method_end), span_text("CONNECT")))
        return err_set(err, ERR_METHOD, "the method is not CONNECT");
    return 0;
}

/* One byte in its place. `at` is not 0 when `previous` is CR. */
static int byte_check(uint8_t byte, uint8_t previous, size_t at, struct err *err)
{
    if (previous == '\r' && byte != '\n')
        return err_set(err, ERR_SYNTAX, "CR without LF at %zu", at - 1);
    if (byte == '\n' && previous != '\r')
        return err_set(err, ERR_SYNTAX, "LF without CR at %zu", at);
    if ((byte < 0x20 && byte != '\t' && byte != '\r' && byte != '\n') || byte == 0x7f)
        return err_set(err, ERR_SYNTAX, "byte 0x%02x at %zu", byte, at);
    return 0;
}

ssize_t connect_head_read(struct span in, size_t *scanned, struct connect_head *head,
                          struct err *err)
{
    for (size_t i = *scanned; i < in.len; i++) {
        if (i == LIMIT_CONNECT_HEAD)
            return err_set(err, ERR_SYNTAX, "head longer than %d bytes", LIMIT_CONNECT_HEAD);
        if (byte_check(in.ptr[i], i == 0 ? 0 : in.ptr[i - 1], i, err) < 0)
            return -1;
        *scanned = i + 1;
        if (in.ptr[i] != '\n')
            continue;
        if (i == 1)
            return err_set(err, ERR_SYNTAX, "empty request line");
        if (i < 3 || in.ptr[i - 2] != '\n')
            continue;
        head->line = span_first(in, (size_t)span_find(in, '\r'));
        if (line_read(head->line, err) < 0)
            return -1;
        return (ssize_t)(i + 1);
    }
    return 0;
}
