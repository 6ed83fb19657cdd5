/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts, CONNECT targets, authorities and request targets: the first byte chooses which. What is
 * accepted is in canonical form: read again it is the same, and nothing in it could be read
 * otherwise (threats E1-E4, E10, E12).
 */
#include "fuzz/http/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void authority_check(struct span text, int needs_port)
{
    struct host host;
    struct host same;
    struct err err;
    uint16_t port = 0;
    uint16_t same_port;
    int result = needs_port ? target_read_connect(text, &host, &port, &err)
                            : target_read_authority(text, 443, &host, &port, &err);

    if (result < 0) {
        ENSURE(err.code == ERR_TARGET);
        return;
    }
    host_check(&host);
    ENSURE(port > 0);
    ENSURE(target_read_authority(text, 443, &same, &same_port, &err) == 0);
    ENSURE(target_is_same_host(&host, &same) && port == same_port);
}

static void path_check(struct span path)
{
    ENSURE(path.len > 0 && path.ptr[0] == '/');
    for (size_t at = 0; at < path.len;) {
        struct span rest = span_from(path, at + 1);
        ssize_t slash = span_find(rest, '/');
        struct span segment = slash < 0 ? rest : span_first(rest, (size_t)slash);

        ENSURE(!span_equal(segment, span_text(".")) && !span_equal(segment, span_text("..")));
        ENSURE(!span_starts(segment, span_text("..;")) && !span_starts(segment, span_text(".;")));
        ENSURE(!span_starts(segment, span_text("..%2F")) &&
               !span_ends(segment, span_text("%5C..")));
        ENSURE(span_find_span(span_of(path.ptr, path.len), span_text("%00")) < 0);
        at += segment.len + 1;
    }
}

static void target_check(struct span text)
{
    struct pool blocks;
    struct arena arena;
    struct target target;
    struct target again;
    struct err err;

    pool_init(&blocks, LIMIT_ARENA_BLOCK, 64, 0);
    arena_init(&arena, &blocks, 4UL * LIMIT_TARGET);
    if (target_read(text, &arena, &target, &err) < 0) {
        ENSURE(err.code == ERR_TARGET);
    } else {
        ENSURE(span_ends(text, target.query));
        if (target.form != TARGET_ASTERISK)
            path_check(target.path);
        if (target.form == TARGET_ABSOLUTE)
            host_check(&target.host);
        ENSURE(target_read(target.path, &arena, &again, &err) == 0);
        ENSURE(span_equal(target.path, again.path) && again.query.len == 0);
    }
    arena_reset(&arena);
    pool_fini(&blocks);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct host host;
    struct err err;
    struct span text;

    if (len < 1)
        return 0;
    text = span_of(bytes + 1, len - 1);
    switch (bytes[0] & 3) {
    case 0:
        if (target_read_host(text, &host, &err) == 0)
            host_check(&host);
        break;
    case 1:
        authority_check(text, 1);
        break;
    case 2:
        authority_check(text, 0);
        break;
    default:
        target_check(text);
    }
    return 0;
}
