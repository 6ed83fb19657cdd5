/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What costs us more than the peer (threats B1 to B7): each flood ends its connection with
 * ENHANCE_YOUR_CALM, soon, and is remembered by nothing.
 */
#include "http/h2.h"

#include "h2_frames.h"

#define CALM "11" /* RFC 9113 section 7 */

/* How many of something were sent before the connection ended. */
struct flood {
    void (*send)(uint32_t number); /* frames onto the wire */
    size_t most;
};

static void streams_release_all(struct h2 *h2)
{
    struct h2_stream *stream;

    while (h2_next(h2, &stream)) {
        if ((stream->news & H2_NEWS_RESET) != 0)
            h2_release(stream);
    }
}

static size_t flood_run(void (*send)(uint32_t number), size_t most, enum err_code code)
{
    struct h2 *h2 = pair.server != NULL ? pair.server : pair.client;

    for (uint32_t i = 0; i < most; i++) {
        send(i);
        if (wire_feed(h2) != ERR_OK) {
            const char *answer = answer_of(h2);
            size_t len = strlen(answer);

            CHECK_INT(pair_err.code, code);
            CHECK(len >= 4 && strcmp(answer + len - 4, "o=" CALM) == 0);
            CHECK(h2_is_closing(h2));
            streams_release_all(h2);
            CHECK(h2_is_done(h2));
            return i + 1;
        }
        (void)answer_of(h2);
        streams_release_all(h2);
    }
    return most + 1;
}

static void flood_check(void (*send)(uint32_t number), size_t most)
{
    size_t count;

    server_open();
    count = flood_run(send, most, ERR_LIMIT);
    CHECK(count > 10);
    CHECK(count <= most);
    pair_end();
}

static void reset_send(uint32_t number)
{
    wire_get(2 * number + 1);
    wire_number(RST_STREAM, 2 * number + 1, 8);
}

TEST(h2_ends_a_rapid_reset_within_1000_b1)
{
    flood_check(reset_send, 1000);
}

static void overflow_reset_send(uint32_t number)
{
    wire_get(2 * number + 1);
    wire_number(WINDOW_UPDATE, 2 * number + 1, 0x7fffffff);
}

static void length_reset_send(uint32_t number)
{
    block_fields(PAIRS(GET_FIELDS, "content-length", "1"));
    wire_headers(END_HEADERS, 2 * number + 1);
    wire_frame(DATA, END_STREAM, 2 * number + 1, span_text("ab"));
}

static void bad_head_send(uint32_t number)
{
    block_fields(PAIRS(GET_FIELDS, "x", "a\nb"));
    wire_headers(WHOLE, 2 * number + 1);
}

static void bad_host_send(uint32_t number)
{
    block_fields(PAIRS(GET_FIELDS, "host", "b"));
    wire_headers(WHOLE, 2 * number + 1);
}

TEST(h2_counts_the_resets_that_a_peer_makes_us_send_b2)
{
    flood_check(overflow_reset_send, 1000);
    flood_check(length_reset_send, 1000);
    flood_check(bad_head_send, 1000);
    flood_check(bad_host_send, 1000);
}

TEST(h2_ends_a_connection_for_a_window_update_of_nothing_b2)
{
    struct h2_stream *stream;

    server_open();
    wire_get(1);
    wire_number(WINDOW_UPDATE, 1, 0);
    CHECK_INT(wire_feed(pair.server), ERR_SYNTAX);
    CHECK_STR(answer_of(pair.server), "o=1");
    while (h2_next(pair.server, &stream))
        h2_release(stream);
    pair_end();
}

TEST(h2_ends_a_block_of_too_many_frames_b3)
{
    for (int i = 0; i < 2; i++) {
        server_open();
        block_fields(PAIRS(GET_FIELDS));
        wire_headers(END_STREAM, 1);
        for (int k = 0; k < 9; k++)
            wire_frame(CONTINUATION, 0, 1, i == 0 ? span_of(NULL, 0) : span_of("\x82", 1));
        CHECK_INT(wire_feed(pair.server), ERR_LIMIT);
        CHECK_STR(answer_of(pair.server), "o=" CALM);
        check_quiet(pair.server);
        pair_end();
    }
}

TEST(h2_ends_a_block_of_too_many_bytes_b3)
{
    static uint8_t zeros[16384];

    server_open();
    block_fields(PAIRS(GET_FIELDS));
    wire_headers(END_STREAM, 1);
    for (int k = 0; k < 4; k++) {
        memset(zeros, 0x82, sizeof zeros);
        wire_frame(CONTINUATION, 0, 1, span_of(zeros, sizeof zeros));
    }
    CHECK_INT(wire_feed(pair.server), ERR_LIMIT);
    CHECK_STR(answer_of(pair.server), "o=" CALM);
    pair_end();
}

/* One entry of 4,000 bytes in the table, then a byte for each reference to it. */
static void bomb_send(size_t references)
{
    static char value[4000];

    memset(value, 'v', sizeof value);
    block_fields(PAIRS(GET_FIELDS));
    block_number(0x40, 6, 0);
    block_string(span_text("x"));
    block_string(span_of(value, sizeof value));
    for (size_t i = 0; i < references; i++)
        block_bytes(span_of("\xbe", 1));
    wire_headers(WHOLE, 1);
}

TEST(h2_ends_an_hpack_bomb_in_its_first_frame_b4)
{
    server_open();
    bomb_send(10000);
    CHECK_INT(wire_feed(pair.server), ERR_LIMIT);
    CHECK_STR(answer_of(pair.server), "o=" CALM);
    check_quiet(pair.server);
    pair_end();
}

TEST(h2_answers_a_bomb_below_twice_the_limit_b4)
{
    struct h2_stream *stream;

    server_open();
    bomb_send(20);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    stream = stream_next(pair.server);
    CHECK_INT(stream->head_err.code, ERR_TOO_LARGE);
    h2_release(stream);
    pair_end();
}

static void ping_send(uint32_t number)
{
    (void)number;
    wire_frame(PING, 0, 0, span_of("12345678", 8));
}

static void pong_send(uint32_t number)
{
    (void)number;
    wire_frame(PING, ACK, 0, span_of("12345678", 8));
}

static void settings_send(uint32_t number)
{
    (void)number;
    wire_frame(SETTINGS, 0, 0, span_of(NULL, 0));
}

static void priority_send(uint32_t number)
{
    wire_frame(PRIORITY, 0, 2 * number + 1, span_of("\0\0\0\0\1", 5));
}

static void window_send(uint32_t number)
{
    (void)number;
    wire_number(WINDOW_UPDATE, 0, 1);
}

static void unknown_send(uint32_t number)
{
    (void)number;
    wire_frame(UNKNOWN, 0, 0, span_text("x"));
}

static void empty_data_send(uint32_t number)
{
    if (number == 0) {
        block_fields(PAIRS(GET_FIELDS));
        wire_headers(END_HEADERS, 1);
    }
    wire_frame(DATA, 0, 1, span_of(NULL, 0));
}

static void padded_data_send(uint32_t number)
{
    if (number == 0) {
        block_fields(PAIRS(GET_FIELDS));
        wire_headers(END_HEADERS, 1);
    }
    wire_frame(DATA, PADDED, 1, span_of("\3\0\0\0", 4));
}

/* DATA for a stream that was refused. */
static void stray_data_send(uint32_t number)
{
    if (number == 0) {
        block_fields(PAIRS(GET_FIELDS, "host", "b"));
        wire_headers(END_HEADERS, 1);
    }
    wire_frame(DATA, 0, 1, span_text("x"));
}

static void stray_reset_send(uint32_t number)
{
    if (number == 0)
        wire_get(1);
    wire_number(RST_STREAM, 1, 8);
}

static void stream_window_send(uint32_t number)
{
    if (number == 0)
        wire_get(1);
    wire_number(WINDOW_UPDATE, 1, 1);
}

TEST(h2_ends_floods_of_useless_frames_before_10000_b5)
{
    flood_check(ping_send, 10000);
    flood_check(pong_send, 10000);
    flood_check(settings_send, 10000);
    flood_check(priority_send, 10000);
    flood_check(window_send, 10000);
    flood_check(unknown_send, 10000);
    flood_check(stray_data_send, 10000);
    flood_check(stray_reset_send, 10000);
}

/* These leave a stream with the user. */
static void stream_flood_check(void (*send)(uint32_t number))
{
    struct h2_stream *stream;

    server_open();
    send(0);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    stream = stream_next(pair.server);
    for (uint32_t i = 1; i < 10000; i++) {
        send(i);
        if (wire_feed(pair.server) != ERR_OK)
            break;
        CHECK(i < 9999);
        (void)answer_of(pair.server);
    }
    CHECK_INT(pair_err.code, ERR_LIMIT);
    CHECK(stream_next(pair.server) == stream);
    CHECK_INT(stream->news, H2_NEWS_RESET);
    h2_release(stream);
    pair_end();
}

TEST(h2_ends_floods_on_an_open_stream_b5)
{
    stream_flood_check(empty_data_send);
    stream_flood_check(padded_data_send);
    stream_flood_check(stream_window_send);
}

TEST(h2_tick_gives_budgets_back)
{
    server_open();
    for (int i = 0; i < 3000; i++) {
        ping_send(0);
        if (i % 10 == 0)
            h2_tick(pair.server);
        CHECK_INT(wire_feed(pair.server), ERR_OK);
        (void)answer_of(pair.server);
    }
    pair_end();
}

TEST(h2_lets_a_client_that_works_reset_now_and_then)
{
    server_open();
    for (uint32_t i = 0; i < 1500; i++) {
        struct h2_stream *stream;

        if (i % 2 == 0) {
            wire_get(2 * i + 1);
            CHECK_INT(wire_feed(pair.server), ERR_OK);
            stream = stream_next(pair.server);
            CHECK_INT(response_send(stream, 200, NULL, H2_ENDS), 0);
            h2_release(stream);
        } else {
            reset_send(i);
            CHECK_INT(wire_feed(pair.server), ERR_OK);
        }
        (void)answer_of(pair.server);
    }
    CHECK_INT(h2_stream_count(pair.server), 0);
    pair_end();
}

/* Acknowledgements that nobody reads. */
TEST(h2_queues_no_answers_without_end_b7)
{
    size_t count = 0;

    server_open();
    do {
        ping_send(0);
        CHECK(++count < 1000);
    } while (wire_feed(pair.server) == ERR_OK);
    CHECK_INT(pair_err.code, ERR_LIMIT);
    pair_end();
}

TEST(h2_refuses_streams_over_its_limit)
{
    struct h2_stream *streams[PAIR_STREAMS];
    struct h2_stream *other;

    server_open();
    (void)answer_of(pair.server);
    for (uint32_t i = 0; i < PAIR_STREAMS; i++) {
        wire_get(2 * i + 1);
        CHECK_INT(wire_feed(pair.server), ERR_OK);
        streams[i] = stream_next(pair.server);
    }
    /* The peer has not acknowledged our settings, so it may not know better. */
    wire_get(2 * PAIR_STREAMS + 1);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    CHECK_INT(h2_next(pair.server, &other), 0);
    CHECK_STR(answer_of(pair.server), "r17=7");
    for (uint32_t i = 0; i < PAIR_STREAMS; i++)
        h2_release(streams[i]);
    pair_end();
}

/* The peer lets nothing out: what waits is one block for each stream. */
TEST(h2_holds_one_block_for_a_peer_that_does_not_read_b7)
{
    static uint8_t bytes[LIMIT_BLOCK];
    struct h2_stream *stream;

    pair_init();
    pair.server = engine_new(H2_SERVER);
    wire_start(H2_CLIENT);
    wire_len -= 9;
    wire_frame(SETTINGS, 0, 0, span_of("\0\4\0\0\0\0", 6)); /* INITIAL_WINDOW_SIZE 0 */
    wire_get(1);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    stream = stream_next(pair.server);
    CHECK_INT(response_send(stream, 200, NULL, H2_GOES_ON), 0);
    CHECK_INT(h2_send_room(stream), LIMIT_BLOCK);
    CHECK_INT(h2_send_data(stream, span_of(bytes, sizeof bytes), &pair_err), 0);
    CHECK_INT(h2_send_room(stream), 0);
    CHECK_STR(answer_of(pair.server), "h1");
    CHECK(!h2_wants_drain(pair.server));
    check_quiet(pair.server);
    wire_number(WINDOW_UPDATE, 1, 100);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    CHECK_STR(answer_of(pair.server), "d1");
    CHECK(stream_next(pair.server) == stream);
    CHECK_INT(stream->news, H2_NEWS_ROOM);
    CHECK_INT(h2_send_room(stream), 100);
    h2_release(stream);
    CHECK_STR(answer_of(pair.server), "r1=8");
    pair_end();
}

/* Settings out of range (threat B6): the code of RFC 9113 section 6.5.2 for each. */
TEST(h2_ends_a_connection_for_settings_out_of_range_b6)
{
    static const struct {
        const char *entry;
        const char *answer;
    } rows[] = {
        {"\0\4\x80\0\0\0", "o=3"},      /* INITIAL_WINDOW_SIZE 2^31: FLOW_CONTROL_ERROR */
        {"\0\5\0\0\x3f\xff", "o=1"},    /* MAX_FRAME_SIZE 16383 */
        {"\0\5\1\0\0\0", "o=1"},        /* MAX_FRAME_SIZE 2^24 */
        {"\0\2\0\0\0\2", "o=1"},        /* ENABLE_PUSH 2 */
        {"\0\x01\xff\xff\xff\xff", ""}, /* HEADER_TABLE_SIZE 4 GiB: allowed, we use less */
        {"\0\x42\0\0\0\0", ""},         /* unknown */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        server_open();
        wire_frame(SETTINGS, 0, 0, span_of(rows[i].entry, 6));
        CHECK_INT(wire_feed(pair.server), rows[i].answer[0] == '\0' ? ERR_OK : ERR_SYNTAX);
        CHECK_STR(answer_of(pair.server), rows[i].answer);
        pair_end();
    }
    server_open();
    wire_frame(SETTINGS, ACK, 0, span_of("\0\4\0\0\0\0", 6));
    CHECK_INT(wire_feed(pair.server), ERR_SYNTAX);
    CHECK_STR(answer_of(pair.server), "o=6"); /* FRAME_SIZE_ERROR */
    pair_end();
}

TEST(h2_engines_share_a_quota_of_memory_I6)
{
    struct quota all;
    struct h2 *engines[8];
    size_t count = 0;
    size_t each;

    pair_init();
    quota_init(&all, NULL, 4 * H2_MEMORY_LEAST);
    pair.options.memory = &all;
    pair.options.role = H2_SERVER;
    while (count < 8 && (engines[count] = h2_new(&pair.options, &pair_err)) != NULL)
        count++;
    CHECK(count >= 4 && count < 8);
    CHECK_INT(pair_err.code, ERR_LIMIT);
    CHECK_STR(pair_err.text, "no memory left for one more HTTP/2 connection");
    each = count > 0 ? all.used / count : 0;
    CHECK(each > sizeof(void *) && each <= H2_MEMORY_LEAST);
    CHECK(all.limit - all.used < H2_MEMORY_LEAST);
    for (size_t i = 0; i < count; i++)
        h2_free(engines[i]);
    CHECK_INT(all.used, 0);
    pair_end();
}

TEST_MAIN(TEST_OF(h2_ends_a_rapid_reset_within_1000_b1),
          TEST_OF(h2_counts_the_resets_that_a_peer_makes_us_send_b2),
          TEST_OF(h2_ends_a_connection_for_a_window_update_of_nothing_b2),
          TEST_OF(h2_ends_a_block_of_too_many_frames_b3),
          TEST_OF(h2_ends_a_block_of_too_many_bytes_b3),
          TEST_OF(h2_ends_an_hpack_bomb_in_its_first_frame_b4),
          TEST_OF(h2_answers_a_bomb_below_twice_the_limit_b4),
          TEST_OF(h2_ends_floods_of_useless_frames_before_10000_b5),
          TEST_OF(h2_ends_floods_on_an_open_stream_b5), TEST_OF(h2_tick_gives_budgets_back),
          TEST_OF(h2_lets_a_client_that_works_reset_now_and_then),
          TEST_OF(h2_queues_no_answers_without_end_b7), TEST_OF(h2_refuses_streams_over_its_limit),
          TEST_OF(h2_holds_one_block_for_a_peer_that_does_not_read_b7),
          TEST_OF(h2_ends_a_connection_for_settings_out_of_range_b6),
          TEST_OF(h2_engines_share_a_quota_of_memory_I6))
