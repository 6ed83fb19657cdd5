/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field blocks: which are messages, and what they become. B8 and B9: nothing that is refused here
 * is ever seen by the user of the engine.
 */
#include "http/h2.h"

#include "h2_frames.h"

static struct h2_stream *stream;

/* The block as request 1, ended by its head or not. */
static void block_send(const char *const *names, unsigned flags)
{
    server_open();
    block_fields(names);
    wire_headers(END_HEADERS | flags, 1);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
}

/* The request that the user is shown is `stream`. */
static void request_take(const char *const *names, unsigned flags)
{
    block_send(names, flags);
    CHECK_STR(answer_of(pair.server), "");
    stream = stream_next(pair.server);
}

static void request_done(void)
{
    h2_release(stream);
    pair_end();
}

static void check_refused(const char *const *names)
{
    block_send(names, END_STREAM);
    CHECK_STR(answer_of(pair.server), "r1=1"); /* PROTOCOL_ERROR */
    check_quiet(pair.server);
    CHECK_INT(h2_stream_count(pair.server), 0);
    pair_end();
}

#define CHECK_REFUSED(...) check_refused(PAIRS(__VA_ARGS__))

TEST(h2_refuses_pseudo_fields_that_are_missing_doubled_or_late_b8)
{
    CHECK_REFUSED(":scheme", "https", ":authority", "a", ":path", "/");
    CHECK_REFUSED(":method", "GET", ":authority", "a", ":path", "/");
    CHECK_REFUSED(":method", "GET", ":scheme", "https", ":authority", "a");
    CHECK_REFUSED(":method", "GET", ":scheme", "https", ":path", "/");
    CHECK_REFUSED(GET_FIELDS, ":method", "GET");
    CHECK_REFUSED(GET_FIELDS, ":authority", "a");
    CHECK_REFUSED(GET_FIELDS, ":path", "/");
    CHECK_REFUSED(GET_FIELDS, ":scheme", "https");
    CHECK_REFUSED(GET_FIELDS, ":status", "200");
    CHECK_REFUSED(GET_FIELDS, ":other", "x");
    CHECK_REFUSED(GET_FIELDS, ":", "x");
    CHECK_REFUSED("x", "y", GET_FIELDS);
}

TEST(h2_refuses_pseudo_fields_with_values_of_no_meaning_b8)
{
    CHECK_REFUSED(":method", "", ":scheme", "https", ":authority", "a", ":path", "/");
    CHECK_REFUSED(":method", "G T", ":scheme", "https", ":authority", "a", ":path", "/");
    CHECK_REFUSED(":method", "GET", ":scheme", "ftp", ":authority", "a", ":path", "/");
    CHECK_REFUSED(":method", "GET", ":scheme", "HTTPS", ":authority", "a", ":path", "/");
    CHECK_REFUSED(":method", "GET", ":scheme", "https", ":authority", "", ":path", "/");
    CHECK_REFUSED(":method", "GET", ":scheme", "https", ":authority", "a b", ":path", "/");
    CHECK_REFUSED(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "");
    CHECK_REFUSED(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "x");
    CHECK_REFUSED(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "*");
    CHECK_REFUSED(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "http://b/");
    CHECK_REFUSED(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/ HTTP/1.1");
    CHECK_REFUSED(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/\r\nx: y");
    CHECK_REFUSED(":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/\xc3\xa9");
}

TEST(h2_takes_asterisk_only_for_options)
{
    request_take(PAIRS(":method", "OPTIONS", ":scheme", "http", ":authority", "a", ":path", "*"),
                 END_STREAM);
    CHECK_SPAN(stream->request.target, "*");
    CHECK_SPAN(stream->scheme, "http");
    request_done();
}

TEST(h2_refuses_host_that_differs_from_authority_b8)
{
    CHECK_REFUSED(GET_FIELDS, "host", "b");
    CHECK_REFUSED(GET_FIELDS, "host", "");
    CHECK_REFUSED(GET_FIELDS, "host", "a", "host", "a");
    CHECK_REFUSED(":method", "GET", ":scheme", "https", ":path", "/", "host", "");
}

TEST(h2_makes_one_host_field_of_authority_and_host)
{
    request_take(PAIRS(GET_FIELDS, "x", "y", "host", "A"), END_STREAM);
    CHECK_INT(stream->request.fields.count, 2);
    CHECK_SPAN(stream->request.fields.items[0].name, "host");
    CHECK_SPAN(stream->request.fields.items[0].value, "a");
    request_done();

    request_take(PAIRS(":method", "GET", ":scheme", "https", ":path", "/", "x", "y", "host", "b:1"),
                 END_STREAM);
    CHECK_INT(stream->request.fields.count, 2);
    CHECK_SPAN(stream->request.fields.items[0].value, "b:1");
    CHECK_SPAN(stream->request.fields.items[1].value, "y");
    request_done();
}

TEST(h2_refuses_fields_of_http_1_b8)
{
    CHECK_REFUSED(GET_FIELDS, "connection", "close");
    CHECK_REFUSED(GET_FIELDS, "keep-alive", "1");
    CHECK_REFUSED(GET_FIELDS, "proxy-connection", "close");
    CHECK_REFUSED(GET_FIELDS, "transfer-encoding", "chunked");
    CHECK_REFUSED(GET_FIELDS, "transfer_encoding", "chunked");
    CHECK_REFUSED(GET_FIELDS, "upgrade", "h2c");
    CHECK_REFUSED(GET_FIELDS, "te", "gzip");
    CHECK_REFUSED(GET_FIELDS, "te", "trailers, gzip");
}

TEST(h2_refuses_names_and_values_that_would_split_a_head_b9)
{
    CHECK_REFUSED(GET_FIELDS, "X", "y");
    CHECK_REFUSED(GET_FIELDS, "", "y");
    CHECK_REFUSED(GET_FIELDS, "x:", "y");
    CHECK_REFUSED(GET_FIELDS, "x y", "z");
    CHECK_REFUSED(GET_FIELDS, "x\r\ny", "z");
    CHECK_REFUSED(GET_FIELDS, "x\xc3\xa9", "z");
    CHECK_REFUSED(GET_FIELDS, "x", "a\r\nb: c");
    CHECK_REFUSED(GET_FIELDS, "x", "a\nb");
    CHECK_REFUSED(GET_FIELDS, "x", "a\rb");
    CHECK_REFUSED(GET_FIELDS, "x", "a\x7f");
    CHECK_REFUSED(GET_FIELDS, "x", "a\x01");
    CHECK_REFUSED(GET_FIELDS, "x", " a");
    CHECK_REFUSED(GET_FIELDS, "x", "a ");
    CHECK_REFUSED(GET_FIELDS, "x", "\ta");
}

TEST(h2_refuses_nul_in_names_and_values_b9)
{
    for (int i = 0; i < 2; i++) {
        server_open();
        block_fields(PAIRS(GET_FIELDS));
        block_field_span(i == 0 ? span_of("x\0y", 3) : span_text("x"), span_of("a\0b", 3));
        wire_headers(WHOLE, 1);
        CHECK_INT(wire_feed(pair.server), ERR_OK);
        CHECK_STR(answer_of(pair.server), "r1=1");
        check_quiet(pair.server);
        pair_end();
    }
}

TEST(h2_refuses_lengths_that_are_not_one_number_b9)
{
    CHECK_REFUSED(GET_FIELDS, "content-length", "");
    CHECK_REFUSED(GET_FIELDS, "content-length", "-1");
    CHECK_REFUSED(GET_FIELDS, "content-length", "+1");
    CHECK_REFUSED(GET_FIELDS, "content-length", "0x1");
    CHECK_REFUSED(GET_FIELDS, "content-length", "1, 1");
    CHECK_REFUSED(GET_FIELDS, "content-length", "0000000000000000000");
    CHECK_REFUSED(GET_FIELDS, "content-length", "0", "content-length", "0");
    CHECK_REFUSED(GET_FIELDS, "content_length", "0");
    CHECK_REFUSED(GET_FIELDS, "content-length", "1"); /* and the head ends the stream */
}

TEST(h2_reads_a_length_and_holds_content_to_it_b9)
{
    request_take(PAIRS(GET_FIELDS, "content-length", "3"), 0);
    CHECK_INT(stream->request.framing.body, HTTP_BODY_LENGTH);
    CHECK_INT(stream->request.framing.length, 3);
    wire_frame(DATA, END_STREAM, 1, span_text("abc"));
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    CHECK(stream_next(pair.server) == stream);
    CHECK_INT(stream->news, H2_NEWS_DATA | H2_NEWS_END);
    request_done();

    static const char *const wrong[] = {"ab", "abcd"};

    for (size_t i = 0; i < 2; i++) {
        request_take(PAIRS(GET_FIELDS, "content-length", "3"), 0);
        wire_frame(DATA, END_STREAM, 1, span_text(wrong[i]));
        CHECK_INT(wire_feed(pair.server), ERR_OK);
        CHECK_STR(answer_of(pair.server), "r1=1");
        CHECK(stream_next(pair.server) == stream);
        CHECK((stream->news & H2_NEWS_RESET) != 0);
        CHECK(!stream->recv_ended);
        request_done();
    }
}

TEST(h2_calls_content_of_unknown_length_chunked)
{
    request_take(PAIRS(GET_FIELDS), 0);
    CHECK_INT(stream->news, H2_NEWS_HEAD);
    CHECK_INT(stream->request.framing.body, HTTP_BODY_CHUNKED);
    request_done();
}

TEST(h2_joins_cookies_where_the_first_was)
{
    request_take(PAIRS(GET_FIELDS, "cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", ""),
                 END_STREAM);
    CHECK_INT(stream->request.fields.count, 3);
    CHECK_SPAN(stream->request.fields.items[1].name, "cookie");
    CHECK_SPAN(stream->request.fields.items[1].value, "a=1; b=2");
    CHECK_SPAN(stream->request.fields.items[2].name, "x");
    request_done();
}

TEST(h2_takes_connect_and_leaves_it_to_the_user_b10)
{
    request_take(PAIRS(":method", "CONNECT", ":authority", "b:443"), 0);
    CHECK_SPAN(stream->request.method, "CONNECT");
    CHECK_SPAN(stream->request.target, "b:443");
    request_done();
    CHECK_REFUSED(":method", "CONNECT", ":authority", "b:443", ":scheme", "https", ":path", "/");
}

TEST(h2_refuses_protocol_unless_it_was_offered_b8_b10)
{
    CHECK_REFUSED(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority",
                  "a", ":path", "/");
}

TEST(h2_takes_extended_connect_when_offered)
{
    static const char *const names[] = {":method",    "CONNECT", ":protocol", "websocket",
                                        ":scheme",    "https",   ":path",     "/chat",
                                        ":authority", "a",       NULL};

    pair_init();
    pair.options.extended_connect = 1;
    pair.server = engine_new(H2_SERVER);
    wire_start(H2_CLIENT);
    block_fields(names);
    wire_headers(END_HEADERS, 1);
    block_fields(PAIRS(GET_FIELDS, ":protocol", "websocket"));
    wire_headers(WHOLE, 3);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    stream = stream_next(pair.server);
    CHECK_SPAN(stream->protocol, "websocket");
    CHECK_SPAN(stream->request.target, "/chat");
    check_quiet(pair.server);
    CHECK_STR(answer_of(pair.server), "r3=1");
    request_done();
}

/* A request with `count` fields of `len` bytes each. */
static void wire_large(size_t count, size_t len)
{
    static char value[LIMIT_FIELD + 1];

    memset(value, 'v', sizeof value);
    block_fields(PAIRS(GET_FIELDS));
    for (size_t i = 0; i < count; i++)
        block_field_span(span_text("x"), span_of(value, len));
    for (size_t at = 0; at < block_len; at += 16384) {
        size_t left = block_len - at;
        size_t part = left < 16384 ? left : 16384;

        wire_frame(at == 0 ? HEADERS : CONTINUATION,
                   (at == 0 ? END_STREAM : 0U) | (part == left ? END_HEADERS : 0U), 1,
                   span_of(block_memory + at, part));
    }
    block_len = 0;
}

TEST(h2_lets_the_user_answer_a_head_that_is_too_large)
{
    static const struct {
        size_t count;
        size_t len;
    } heads[] = {{4, LIMIT_FIELD - 20},
                 {1, LIMIT_FIELD},
                 {LIMIT_FIELD_COUNT + 1, 1},
                 {LIMIT_FIELD_COUNT, 1}};

    for (size_t i = 0; i < 4; i++) {
        server_open();
        wire_large(heads[i].count, heads[i].len);
        CHECK_INT(wire_feed(pair.server), ERR_OK);
        stream = stream_next(pair.server);
        CHECK_INT(stream->news, H2_NEWS_HEAD | H2_NEWS_END);
        CHECK_INT(stream->head_err.code, ERR_TOO_LARGE);
        CHECK_SPAN(stream->request.method, "GET");
        CHECK_INT(stream->request.fields.count, 0);
        CHECK_INT(response_send(stream, 431, NULL, H2_ENDS), 0);
        CHECK_STR(answer_of(pair.server), "h1.");
        request_done();
    }
    server_open();
    wire_large(LIMIT_FIELD_COUNT - 1, 400);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    stream = stream_next(pair.server);
    CHECK_INT(stream->head_err.code, ERR_OK);
    CHECK_INT(stream->request.fields.count, LIMIT_FIELD_COUNT);
    request_done();
}

TEST(h2_finds_cookies_too_large_together)
{
    static char value[LIMIT_FIELD / 2];

    memset(value, 'c', sizeof value);
    server_open();
    block_fields(PAIRS(GET_FIELDS));
    for (int i = 0; i < 2; i++)
        block_field_span(span_text("cookie"), span_of(value, sizeof value));
    wire_frame(HEADERS, END_STREAM, 1, span_of(block_memory, 16000));
    wire_frame(CONTINUATION, END_HEADERS, 1, span_of(block_memory + 16000, block_len - 16000));
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    stream = stream_next(pair.server);
    CHECK_INT(stream->head_err.code, ERR_TOO_LARGE);
    request_done();
}

TEST(h2_tells_trailers_of_a_request_without_those_that_mislead)
{
    request_take(PAIRS(GET_FIELDS), 0);
    wire_frame(DATA, 0, 1, span_text("abc"));
    block_fields(PAIRS("x-sum", "1", "authorization", "b", "host", "b", "cookie", "c=d"));
    wire_headers(WHOLE, 1);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    CHECK(stream_next(pair.server) == stream);
    CHECK_INT(stream->news, H2_NEWS_DATA | H2_NEWS_END);
    CHECK_INT(stream->trailers.count, 1);
    CHECK_SPAN(value_of(&stream->trailers, "x-sum"), "1");
    request_done();
}

TEST(h2_resets_a_stream_for_trailers_that_are_none)
{
    static const char *const bad[][3] = {
        {":path", "/", NULL}, {"X", "y", NULL}, {"x", "a\nb", NULL}, {"te", "gzip", NULL}};

    for (size_t i = 0; i < 4; i++) {
        request_take(PAIRS(GET_FIELDS), 0);
        block_fields(bad[i]);
        wire_headers(WHOLE, 1);
        CHECK_INT(wire_feed(pair.server), ERR_OK);
        CHECK_STR(answer_of(pair.server), "r1=1");
        CHECK(stream_next(pair.server) == stream);
        CHECK_INT(stream->news, H2_NEWS_RESET);
        request_done();
    }
    request_take(PAIRS(GET_FIELDS), 0);
    block_fields(PAIRS("x", "y"));
    wire_headers(END_HEADERS, 1); /* and more content to follow */
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    CHECK_STR(answer_of(pair.server), "r1=1");
    CHECK(stream_next(pair.server) == stream);
    request_done();
}

TEST_MAIN(TEST_OF(h2_refuses_pseudo_fields_that_are_missing_doubled_or_late_b8),
          TEST_OF(h2_refuses_pseudo_fields_with_values_of_no_meaning_b8),
          TEST_OF(h2_takes_asterisk_only_for_options),
          TEST_OF(h2_refuses_host_that_differs_from_authority_b8),
          TEST_OF(h2_makes_one_host_field_of_authority_and_host),
          TEST_OF(h2_refuses_fields_of_http_1_b8),
          TEST_OF(h2_refuses_names_and_values_that_would_split_a_head_b9),
          TEST_OF(h2_refuses_nul_in_names_and_values_b9),
          TEST_OF(h2_refuses_lengths_that_are_not_one_number_b9),
          TEST_OF(h2_reads_a_length_and_holds_content_to_it_b9),
          TEST_OF(h2_calls_content_of_unknown_length_chunked),
          TEST_OF(h2_joins_cookies_where_the_first_was),
          TEST_OF(h2_takes_connect_and_leaves_it_to_the_user_b10),
          TEST_OF(h2_refuses_protocol_unless_it_was_offered_b8_b10),
          TEST_OF(h2_takes_extended_connect_when_offered),
          TEST_OF(h2_lets_the_user_answer_a_head_that_is_too_large),
          TEST_OF(h2_finds_cookies_too_large_together),
          TEST_OF(h2_tells_trailers_of_a_request_without_those_that_mislead),
          TEST_OF(h2_resets_a_stream_for_trailers_that_are_none))
