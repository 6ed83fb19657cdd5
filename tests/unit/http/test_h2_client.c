/* SPDX-License-Identifier: Apache-2.0 */
/* Origins of every kind, threat B12: what their responses become, and what ends the connection. */
#include "http/h2.h"

#include "h2_frames.h"

static struct h2_stream *stream;

/* A client that has asked on stream 1. */
static void asked_open(const char *method)
{
    client_open();
    stream = request_open(method, "/", NULL, H2_ENDS);
    CHECK(stream != NULL);
    CHECK_STR(answer_of(pair.client), "h1.");
    CHECK_INT(stream->id, 1);
}

static void asked_done(void)
{
    h2_release(stream);
    pair_end();
}

static void response_wire(unsigned flags, const char *const *names)
{
    block_fields(names);
    wire_headers(END_HEADERS | flags, 1);
}

#define RESPONSE(flags, ...) response_wire(flags, PAIRS(__VA_ARGS__))

/* The response on the wire is refused: its stream is reset and nothing of it is shown. */
static void check_refused(const char *answer)
{
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK_STR(answer_of(pair.client), answer);
    CHECK(stream_next(pair.client) == stream);
    CHECK((stream->news & H2_NEWS_RESET) != 0);
    CHECK((stream->news & (H2_NEWS_HEAD | H2_NEWS_END)) == 0);
    CHECK(stream->is_reset && !stream->may_retry);
    asked_done();
}

TEST(h2_refuses_heads_of_responses_that_are_none_b12)
{
    static const char *const heads[][5] = {
        {"x", "y"},
        {":status", "99"},
        {":status", "099"},
        {":status", "600"},
        {":status", "1000"},
        {":status", "2x0"},
        {":status", ""},
        {":status", "101"},
        {":status", "200", ":status", "200"},
        {":status", "200", ":path", "/"},
        {"x", "y", ":status", "200"},
        {":status", "200", "X", "y"},
        {":status", "200", "x", "a\r\nb: c"},
        {":status", "200", "x", "a "},
        {":status", "200", "connection", "close"},
        {":status", "200", "transfer-encoding", "chunked"},
        {":status", "200", "transfer_encoding", "chunked"},
        {":status", "200", "content_length", "1"},
        {":status", "200", "content-length", "x"},
        {":status", "200", "content-length", "1"}, /* but the head is the end */
        {":status", "103"},                        /* likewise */
    };

    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        asked_open("GET");
        response_wire(END_STREAM, heads[i]);
        check_refused("r1=1");
    }
}

TEST(h2_says_why_it_refused_a_response)
{
    asked_open("GET");
    RESPONSE(END_STREAM, ":status", "600");
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK_INT(stream->head_err.code, ERR_ORIGIN_SYNTAX);
    CHECK(strstr(stream->head_err.text, ":status") != NULL);
    asked_done();
}

TEST(h2_refuses_content_where_none_can_be_b12)
{
    static const char *const statuses[] = {"204", "304", "200"};

    for (size_t i = 0; i < 3; i++) {
        asked_open(i == 2 ? "HEAD" : "GET");
        RESPONSE(0, ":status", statuses[i]);
        wire_frame(DATA, END_STREAM, 1, span_text("x"));
        CHECK_INT(wire_feed(pair.client), ERR_OK);
        CHECK_STR(answer_of(pair.client), "r1=1");
        CHECK(stream_next(pair.client) == stream);
        CHECK((stream->news & H2_NEWS_RESET) != 0);
        CHECK(!stream->recv_ended && buf_is_empty(&stream->recv));
        asked_done();
    }
}

TEST(h2_holds_content_to_its_length_b12)
{
    static const char *const contents[] = {"ab", "abcd"};

    for (size_t i = 0; i < 2; i++) {
        asked_open("GET");
        RESPONSE(0, ":status", "200", "content-length", "3");
        wire_frame(DATA, END_STREAM, 1, span_text(contents[i]));
        CHECK_INT(wire_feed(pair.client), ERR_OK);
        CHECK_STR(answer_of(pair.client), "r1=1");
        CHECK(stream_next(pair.client) == stream);
        CHECK((stream->news & H2_NEWS_RESET) != 0);
        CHECK(!stream->recv_ended);
        asked_done();
    }
}

TEST(h2_reads_framing_as_http_1_does)
{
    asked_open("GET");
    RESPONSE(0, ":status", "200", "content-length", "3");
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK_INT(stream->response.framing.body, HTTP_BODY_LENGTH);
    CHECK_INT(stream->response.framing.length, 3);
    asked_done();

    asked_open("HEAD");
    RESPONSE(END_STREAM, ":status", "200", "content-length", "3");
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK_INT(stream->response.framing.body, HTTP_BODY_LENGTH);
    CHECK_INT(stream->response.framing.length, 3);
    CHECK(stream->recv_ended);
    asked_done();

    asked_open("GET");
    RESPONSE(END_STREAM, ":status", "200", "content-length", "0");
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK_INT(stream->response.framing.body, HTTP_BODY_NONE);
    asked_done();
}

TEST(h2_takes_interim_responses_up_to_a_limit_b12)
{
    asked_open("GET");
    RESPONSE(0, ":status", "103", "link", "x");
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK(stream_next(pair.client) == stream);
    CHECK_INT(stream->news, H2_NEWS_INTERIM);
    CHECK_INT(stream->interim.status, 103);
    CHECK_SPAN(value_of(&stream->interim.fields, "link"), "x");
    RESPONSE(END_STREAM, ":status", "200");
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK(stream_next(pair.client) == stream);
    CHECK_INT(stream->news, H2_NEWS_HEAD | H2_NEWS_END);
    asked_done();

    asked_open("GET");
    for (int i = 0; i <= LIMIT_INTERIM_COUNT; i++)
        RESPONSE(0, ":status", "100");
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK_STR(answer_of(pair.client), "r1=1");
    CHECK(stream->is_reset);
    CHECK_INT(stream->head_err.code, ERR_ORIGIN_SYNTAX);
    asked_done();
}

TEST(h2_ends_a_connection_that_pushes_b12)
{
    asked_open("GET");
    block_bytes(span_of("\0\0\0\2", 4));
    block_fields(PAIRS(GET_FIELDS));
    wire_frame(PUSH_PROMISE, END_HEADERS, 1, span_of(block_memory, block_len));
    CHECK_INT(wire_feed(pair.client), ERR_ORIGIN_SYNTAX);
    CHECK_STR(answer_of(pair.client), "o=1");
    CHECK(stream_next(pair.client) == stream);
    CHECK_INT(stream->news, H2_NEWS_RESET);
    CHECK_INT(h2_open_count(pair.client), 0);
    CHECK(request_open("GET", "/", NULL, H2_ENDS) == NULL);
    CHECK_INT(pair_err.code, ERR_ORIGIN_CLOSED);
    asked_done();
}

TEST(h2_ends_a_connection_for_frames_on_streams_never_opened_b12)
{
    asked_open("GET");
    block_fields(PAIRS(":status", "200"));
    wire_headers(WHOLE, 3);
    CHECK_INT(wire_feed(pair.client), ERR_ORIGIN_SYNTAX);
    asked_done();

    asked_open("GET");
    block_fields(PAIRS(":status", "200"));
    wire_headers(WHOLE, 2);
    CHECK_INT(wire_feed(pair.client), ERR_ORIGIN_SYNTAX);
    asked_done();

    asked_open("GET");
    wire_frame(DATA, END_STREAM, 3, span_text("x"));
    CHECK_INT(wire_feed(pair.client), ERR_ORIGIN_SYNTAX);
    asked_done();
}

/* Such frames may have been under way when we reset it; so they count, and end nothing at once. */
TEST(h2_shows_nothing_of_a_stream_that_is_used_again_b12)
{
    uint32_t i = 0;

    asked_open("GET");
    RESPONSE(END_STREAM, ":status", "200");
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK(stream_next(pair.client) == stream);
    for (; wire_feed(pair.client) == ERR_OK; i++) {
        CHECK(i < 10000);
        check_quiet(pair.client);
        CHECK_INT(stream->response.status, 200);
        RESPONSE(END_STREAM, ":status", "201");
    }
    CHECK(i > 10);
    CHECK_INT(pair_err.code, ERR_ORIGIN_SYNTAX);
    asked_done();
}

TEST(h2_ends_a_connection_for_content_before_the_head_b12)
{
    asked_open("GET");
    wire_frame(DATA, 0, 1, span_text("x"));
    CHECK_INT(wire_feed(pair.client), ERR_ORIGIN_SYNTAX);
    CHECK_STR(answer_of(pair.client), "o=1");
    asked_done();
}

TEST(h2_resets_a_response_whose_head_is_too_large_b12)
{
    static char value[LIMIT_FIELD - 100];

    memset(value, 'v', sizeof value);
    asked_open("GET");
    block_fields(PAIRS(":status", "200"));
    for (int i = 0; i < 5; i++)
        block_field_span(span_text("x"), span_of(value, 14000));
    for (size_t i = 0; i < 5; i++)
        wire_frame(i == 0 ? HEADERS : CONTINUATION, i == 4 ? END_HEADERS : 0, 1,
                   span_of(block_memory + i * 12000, i == 4 ? block_len - 48000 : 12000));
    CHECK_INT(wire_feed(pair.client), ERR_ORIGIN_SYNTAX); /* over LIMIT_H2_BLOCK on the wire */
    asked_done();

    asked_open("GET");
    block_fields(PAIRS(":status", "200"));
    block_number(0x40, 6, 0);
    block_string(span_text("x"));
    block_string(span_of(value, 4000));
    for (size_t i = 0; i < 20; i++)
        block_bytes(span_of("\xbe", 1));
    wire_headers(END_HEADERS, 1);
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK_STR(answer_of(pair.client), "r1=1");
    CHECK_INT(stream->head_err.code, ERR_ORIGIN_SYNTAX);
    asked_done();
}

TEST(h2_may_retry_what_a_server_has_not_looked_at)
{
    struct h2_stream *second;

    client_open();
    stream = request_open("GET", "/", NULL, H2_ENDS);
    second = request_open("GET", "/", NULL, H2_ENDS);
    CHECK_STR(answer_of(pair.client), "h1. h3.");
    wire_frame(GOAWAY, 0, 0, span_of("\0\0\0\1\0\0\0\0", 8));
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK(stream_next(pair.client) == second);
    CHECK_INT(second->news, H2_NEWS_RESET);
    CHECK(second->may_retry);
    CHECK(h2_is_closing(pair.client));
    CHECK(!h2_is_done(pair.client));
    CHECK_INT(h2_open_count(pair.client), 0);
    h2_release(second);
    check_quiet(pair.client);
    RESPONSE(END_STREAM, ":status", "200");
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK(stream_next(pair.client) == stream);
    CHECK_INT(stream->news, H2_NEWS_HEAD | H2_NEWS_END);
    h2_release(stream);
    CHECK_STR(answer_of(pair.client), "");
    CHECK(h2_is_done(pair.client));
    pair_end();
}

TEST(h2_may_retry_what_was_not_sent_when_a_server_said_goodbye)
{
    client_open();
    stream = request_open("GET", "/", NULL, H2_ENDS);
    wire_frame(GOAWAY, 0, 0, span_of("\0\0\0\0\0\0\0\0", 8));
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK_STR(answer_of(pair.client), "");
    CHECK(stream_next(pair.client) == stream);
    CHECK_INT(stream->news, H2_NEWS_RESET);
    CHECK(stream->may_retry);
    h2_release(stream);
    CHECK(h2_is_done(pair.client));
    pair_end();
}

TEST(h2_may_not_retry_what_was_answered_in_part)
{
    asked_open("GET");
    RESPONSE(0, ":status", "200");
    wire_number(RST_STREAM, 1, 7); /* REFUSED_STREAM */
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK(stream_next(pair.client) == stream);
    CHECK_INT(stream->news, H2_NEWS_HEAD | H2_NEWS_RESET);
    CHECK(!stream->may_retry);
    asked_done();
}

/* RFC 9113 section 8.1: the server has answered and wants no more of the request. */
TEST(h2_takes_an_early_response_that_ends_the_upload)
{
    client_open();
    stream = request_open("POST", "/", NULL, H2_GOES_ON);
    CHECK_INT(h2_send_data(stream, span_text("abc"), &pair_err), 0);
    CHECK_STR(answer_of(pair.client), "h1 d1");
    CHECK(stream_next(pair.client) == stream);
    RESPONSE(END_STREAM, ":status", "413");
    wire_number(RST_STREAM, 1, 0);
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK(stream_next(pair.client) == stream);
    CHECK_INT(stream->news, H2_NEWS_HEAD | H2_NEWS_END);
    check_quiet(pair.client);
    CHECK_INT(h2_send_room(stream), 0);
    CHECK_INT(h2_send_data(stream, span_text("d"), &pair_err), -1);
    CHECK_INT(pair_err.code, ERR_CLOSED);
    asked_done();
}

TEST(h2_keeps_to_the_streams_that_a_server_allows)
{
    struct h2_stream *streams[2];

    pair_init();
    pair.client = engine_new(H2_CLIENT);
    wire_len = 0;
    wire_frame(SETTINGS, 0, 0, span_of("\0\3\0\0\0\2", 6)); /* MAX_CONCURRENT_STREAMS 2 */
    CHECK_INT(h2_open_count(pair.client), PAIR_STREAMS);
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK_INT(h2_open_count(pair.client), 2);
    for (int i = 0; i < 2; i++)
        streams[i] = request_open("GET", "/", NULL, H2_ENDS);
    CHECK_INT(h2_open_count(pair.client), 0);
    CHECK(request_open("GET", "/", NULL, H2_ENDS) == NULL);
    CHECK_INT(pair_err.code, ERR_LIMIT);
    /* Released before it was sent: it never goes out. */
    h2_release(streams[0]);
    CHECK_STR(answer_of(pair.client), "h3.");
    CHECK_INT(h2_open_count(pair.client), 1);
    h2_release(streams[1]);
    CHECK_STR(answer_of(pair.client), "r3=8");
    pair_end();
}

/* Credentials: nothing of one request helps to guess another, nor stays in a table. */
TEST(h2_keeps_requests_out_of_compression_tables)
{
    static const char secret[] = "Bearer 0123456789abcdef";
    size_t lens[2];

    client_open();
    for (size_t i = 0; i < 2; i++) {
        stream = request_open("GET", "/p", PAIRS("authorization", secret, "x", "y"), H2_ENDS);
        (void)h2_drain(pair.client, &pair.to_server, &pair_err);
        if (i == 0) { /* the preface, SETTINGS, the table's size */
            buf_consume(&pair.to_server, buf_len(&pair.to_server));
            h2_release(stream);
            (void)h2_drain(pair.client, &pair.to_server, &pair_err);
            buf_consume(&pair.to_server, buf_len(&pair.to_server));
            stream = request_open("GET", "/p", PAIRS("authorization", secret, "x", "y"), H2_ENDS);
            (void)h2_drain(pair.client, &pair.to_server, &pair_err);
        }
        lens[i] = buf_len(&pair.to_server);
        buf_consume(&pair.to_server, buf_len(&pair.to_server));
        h2_release(stream);
        (void)h2_drain(pair.client, &pair.to_server, &pair_err);
        buf_consume(&pair.to_server, buf_len(&pair.to_server));
    }
    CHECK_INT(lens[0], lens[1]);
    CHECK(lens[0] > 40);
    pair_end();
}

static void reset_flood(uint32_t number)
{
    wire_number(RST_STREAM, 2 * number + 1, 8);
}

/* The floods of servers: the same budgets, another name for the error. */
TEST(h2_counts_what_an_origin_costs_b12)
{
    uint32_t i = 0;

    client_open();
    for (;; i++) {
        CHECK(i < 1000);
        stream = request_open("GET", "/", NULL, H2_ENDS);
        (void)answer_of(pair.client);
        reset_flood(i);
        if (wire_feed(pair.client) != ERR_OK)
            break;
        CHECK(stream_next(pair.client) == stream);
        h2_release(stream);
    }
    CHECK_INT(pair_err.code, ERR_ORIGIN_SYNTAX);
    CHECK_STR(answer_of(pair.client), "o=11");
    asked_done();

    static const unsigned types[] = {PING, SETTINGS, UNKNOWN, PRIORITY, WINDOW_UPDATE};

    for (size_t k = 0; k < 5; k++) {
        client_open();
        for (i = 0; i < 10000; i++) {
            static const uint8_t payload[8] = {0, 0, 0, 1};
            static const size_t lens[] = {8, 0, 3, 5, 4};

            wire_frame(types[k], 0, types[k] == PRIORITY ? 3 : 0, span_of(payload, lens[k]));
            if (wire_feed(pair.client) != ERR_OK)
                break;
            (void)answer_of(pair.client);
        }
        CHECK(i > 10 && i < 10000);
        CHECK_INT(pair_err.code, ERR_ORIGIN_SYNTAX);
        pair_end();
    }
}

TEST(h2_reads_that_a_server_takes_extended_connect)
{
    client_open();
    CHECK(!h2_has_extended_connect(pair.client));
    wire_frame(SETTINGS, 0, 0, span_of("\0\10\0\0\0\1", 6));
    CHECK_INT(wire_feed(pair.client), ERR_OK);
    CHECK(h2_has_extended_connect(pair.client));
    pair_end();
}

TEST(h2_refuses_what_is_no_http_2_at_all)
{
    pair_init();
    pair.client = engine_new(H2_CLIENT);
    wire_len = 0;
    wire_add(span_text("HTTP/1.1 400 Bad Request\r\n\r\n"));
    CHECK_INT(wire_feed(pair.client), ERR_ORIGIN_SYNTAX);
    CHECK_INT(wire_feed(pair.client), ERR_ORIGIN_SYNTAX); /* final */
    pair_end();

    pair_init();
    pair.server = engine_new(H2_SERVER);
    wire_add(span_text("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    CHECK_INT(wire_feed(pair.server), ERR_SYNTAX);
    pair_end();
}

TEST_MAIN(TEST_OF(h2_refuses_heads_of_responses_that_are_none_b12),
          TEST_OF(h2_says_why_it_refused_a_response),
          TEST_OF(h2_refuses_content_where_none_can_be_b12),
          TEST_OF(h2_holds_content_to_its_length_b12), TEST_OF(h2_reads_framing_as_http_1_does),
          TEST_OF(h2_takes_interim_responses_up_to_a_limit_b12),
          TEST_OF(h2_ends_a_connection_that_pushes_b12),
          TEST_OF(h2_ends_a_connection_for_frames_on_streams_never_opened_b12),
          TEST_OF(h2_shows_nothing_of_a_stream_that_is_used_again_b12),
          TEST_OF(h2_ends_a_connection_for_content_before_the_head_b12),
          TEST_OF(h2_resets_a_response_whose_head_is_too_large_b12),
          TEST_OF(h2_may_retry_what_a_server_has_not_looked_at),
          TEST_OF(h2_may_retry_what_was_not_sent_when_a_server_said_goodbye),
          TEST_OF(h2_may_not_retry_what_was_answered_in_part),
          TEST_OF(h2_takes_an_early_response_that_ends_the_upload),
          TEST_OF(h2_keeps_to_the_streams_that_a_server_allows),
          TEST_OF(h2_keeps_requests_out_of_compression_tables),
          TEST_OF(h2_counts_what_an_origin_costs_b12),
          TEST_OF(h2_reads_that_a_server_takes_extended_connect),
          TEST_OF(h2_refuses_what_is_no_http_2_at_all))
