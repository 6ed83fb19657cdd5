/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own checks of a field block (B8, B9), without nghttp2 in front of them: it refuses most of
 * this too, and either must suffice alone.
 */
#include "http/h2_session.h"

#include "h2_fixture.h"

static struct h2_stream *stream;

/* A block on a stream of an engine of this role, complete. The error's code, ERR_OK if it is well.
 */
static enum err_code block_read(enum h2_role role, const char *const *names)
{
    struct h2 *h2;
    unsigned news;
    int result;

    pair_init();
    h2 = engine_new(role);
    pair.server = h2; /* pair_end() frees it */
    stream = h2_stream_new(h2, 1);
    CHECK(stream != NULL);
    h2_block_begin(&h2->block, stream);
    for (size_t i = 0; names[i] != NULL; i += 2)
        CHECK_INT(h2_block_add(h2, span_text(names[i]), span_text(names[i + 1])), 0);
    err_clear(&pair_err);
    result = h2_block_end(h2, H2_GOES_ON, &news, &pair_err);
    return result < 0 ? pair_err.code : ERR_OK;
}

static enum err_code request_error(const char *const *names)
{
    enum err_code code = block_read(H2_SERVER, names);

    pair_end();
    return code;
}

static enum err_code response_error(const char *const *names)
{
    enum err_code code = block_read(H2_CLIENT, names);

    pair_end();
    return code;
}

#define REQUEST(...)  request_error(PAIRS(__VA_ARGS__))
#define RESPONSE(...) response_error(PAIRS(__VA_ARGS__))
#define GET           ":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/"

TEST(h2_head_takes_a_request)
{
    CHECK_INT(block_read(H2_SERVER, PAIRS(GET, "x", "y")), ERR_OK);
    CHECK_SPAN(stream->request.method, "GET");
    CHECK_SPAN(stream->request.target, "/");
    CHECK_SPAN(value_of(&stream->request.fields, "x"), "y");
    pair_end();
}

TEST(h2_head_refuses_pseudo_fields_out_of_order_b8)
{
    CHECK_INT(REQUEST(GET, "x", "y", ":protocol", "z"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, ":path", "/"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, ":other", "/"), ERR_SYNTAX);
    CHECK_INT(REQUEST(":scheme", "https", ":authority", "a", ":path", "/"), ERR_SYNTAX);
    CHECK_INT(REQUEST(":method", "GET", ":authority", "a", ":path", "/"), ERR_SYNTAX);
    CHECK_INT(REQUEST(":method", "GET", ":scheme", "https", ":path", "/"), ERR_SYNTAX);
    CHECK_INT(REQUEST(":method", "GET", ":scheme", "https", ":authority", "a"), ERR_SYNTAX);
}

TEST(h2_head_refuses_values_that_split_a_head_b9)
{
    CHECK_INT(REQUEST(GET, "x", "a\r\nb: c"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, "x", "a\nb"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, "x", " a"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, "x", "a\t"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, "x\r\ny", "a"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, "x:", "a"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, "X", "a"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, "", "a"), ERR_SYNTAX);
    CHECK_INT(REQUEST(":method", "G T", ":scheme", "https", ":authority", "a", ":path", "/"),
              ERR_SYNTAX);
    CHECK_INT(REQUEST(":method", "GET", ":scheme", "https", ":authority", "a\r\n", ":path", "/"),
              ERR_SYNTAX);
    CHECK_INT(REQUEST(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/ x"),
              ERR_SYNTAX);
    CHECK_INT(REQUEST(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "x"),
              ERR_SYNTAX);
}

TEST(h2_head_refuses_framing_by_fields_b9)
{
    CHECK_INT(REQUEST(GET, "connection", "close"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, "transfer-encoding", "chunked"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, "transfer_encoding", "chunked"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, "te", "gzip"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, "content-length", "1", "content-length", "1"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, "content-length", "1x"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, "content_length", "1"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, "host", "a", "host", "a"), ERR_SYNTAX);
}

TEST(h2_head_refuses_connect_in_forms_that_are_none_b10)
{
    CHECK_INT(REQUEST(":method", "CONNECT", ":authority", "a:1"), ERR_OK);
    CHECK_INT(REQUEST(":method", "CONNECT", ":authority", "a:1", ":path", "/"), ERR_SYNTAX);
    CHECK_INT(REQUEST(":method", "CONNECT", ":authority", "a:1", ":scheme", "https"), ERR_SYNTAX);
    CHECK_INT(REQUEST(GET, ":protocol", "websocket"), ERR_SYNTAX);
    CHECK_INT(REQUEST(":method", "CONNECT", ":protocol", "a b", ":scheme", "https", ":authority",
                      "a", ":path", "/"),
              ERR_SYNTAX);
}

TEST(h2_head_refuses_responses_that_are_none_b12)
{
    CHECK_INT(RESPONSE(":status", "200"), ERR_OK);
    CHECK_INT(RESPONSE(":status", "101"), ERR_ORIGIN_SYNTAX);
    CHECK_INT(RESPONSE(":status", "99"), ERR_ORIGIN_SYNTAX);
    CHECK_INT(RESPONSE(":status", "600"), ERR_ORIGIN_SYNTAX);
    CHECK_INT(RESPONSE("x", "y"), ERR_ORIGIN_SYNTAX);
    CHECK_INT(RESPONSE(":status", "200", "x", "a\nb"), ERR_ORIGIN_SYNTAX);
}

TEST(h2_head_refuses_a_target_over_its_limit)
{
    static char target[LIMIT_TARGET + 2];
    const char *const names[] = {":method", "GET",   ":scheme", "https", ":authority",
                                 "a",       ":path", target,    NULL};

    memset(target, '/', sizeof target - 1);
    CHECK_INT(block_read(H2_SERVER, names), ERR_OK);
    CHECK_INT(stream->head_err.code, ERR_TOO_LARGE);
    pair_end();
}

TEST(h2_head_refuses_pseudo_fields_in_trailers)
{
    struct err err;
    unsigned news;

    CHECK_INT(block_read(H2_SERVER, PAIRS(GET)), ERR_OK);
    h2_block_begin(&pair.server->block, stream);
    CHECK_INT(h2_block_add(pair.server, span_text(":path"), span_text("/")), 0);
    CHECK_INT(h2_block_end(pair.server, H2_ENDS, &news, &err), -1);
    CHECK_INT(err.code, ERR_SYNTAX);
    pair_end();
}

TEST(h2_head_limits_trailers)
{
    static char value[LIMIT_TRAILER];
    struct err err;
    unsigned news;

    memset(value, 'v', sizeof value);
    CHECK_INT(block_read(H2_SERVER, PAIRS(GET)), ERR_OK);
    h2_block_begin(&pair.server->block, stream);
    CHECK_INT(h2_block_add(pair.server, span_text("x"), span_of(value, sizeof value)), 0);
    CHECK_INT(h2_block_end(pair.server, H2_ENDS, &news, &err), -1);
    pair_end();
}

/* Each place at which a head needs memory, without any. */
TEST(h2_head_says_when_there_is_no_memory)
{
    for (size_t blocks = 0; blocks < 3; blocks++) {
        struct h2 *h2;
        unsigned news;

        pair_init();
        pair.arena.limit = blocks;
        h2 = engine_new(H2_SERVER);
        pair.server = h2;
        stream = h2_stream_new(h2, 1);
        h2_block_begin(&h2->block, stream);
        for (size_t i = 0; PAIRS(GET)[i] != NULL; i += 2)
            (void)h2_block_add(h2, span_text(PAIRS(GET)[i]), span_text(PAIRS(GET)[i + 1]));
        for (size_t i = 0; i < 100; i++)
            (void)h2_block_add(h2, span_text("cookie"), span_text("012345678901234567890123456"));
        CHECK_INT(h2_block_end(h2, H2_ENDS, &news, &pair_err), 0);
        CHECK_INT(stream->head_err.code, ERR_MEMORY);
        pair_end();
    }
}

TEST_MAIN(TEST_OF(h2_head_takes_a_request), TEST_OF(h2_head_refuses_pseudo_fields_out_of_order_b8),
          TEST_OF(h2_head_refuses_values_that_split_a_head_b9),
          TEST_OF(h2_head_refuses_framing_by_fields_b9),
          TEST_OF(h2_head_refuses_connect_in_forms_that_are_none_b10),
          TEST_OF(h2_head_refuses_responses_that_are_none_b12),
          TEST_OF(h2_head_refuses_a_target_over_its_limit),
          TEST_OF(h2_head_refuses_pseudo_fields_in_trailers), TEST_OF(h2_head_limits_trailers),
          TEST_OF(h2_head_says_when_there_is_no_memory))
