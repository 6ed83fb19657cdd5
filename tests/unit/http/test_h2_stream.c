/* SPDX-License-Identifier: Apache-2.0 */
/* How streams end, and who holds them then: nothing is shown twice, lost, or kept. */
#include "http/h2.h"

#include "base/num.h"
#include "h2_fixture.h"

TEST(h2_tells_both_sides_of_a_reset)
{
    struct h2_stream *asked;
    struct h2_stream *seen;

    pair_open();
    asked = request_open("GET", "/", NULL, H2_ENDS);
    pair_pump();
    seen = stream_next(pair.server);
    h2_release(asked);
    pair_pump();
    CHECK(stream_next(pair.server) == seen);
    CHECK_INT(seen->news, H2_NEWS_RESET);
    CHECK_INT(seen->reset_code, H2_CANCEL);
    CHECK_INT(response_send(seen, 200, NULL, H2_ENDS), -1);
    CHECK_INT(pair_err.code, ERR_CLOSED);
    h2_release(seen);

    asked = request_open("GET", "/", NULL, H2_ENDS);
    pair_pump();
    seen = stream_next(pair.server);
    h2_reset(seen, H2_REFUSED_STREAM);
    h2_release(seen);
    pair_pump();
    CHECK(stream_next(pair.client) == asked);
    CHECK_INT(asked->news, H2_NEWS_RESET);
    CHECK(asked->is_reset && asked->may_retry);
    h2_release(asked);
    pair_end();
}

TEST(h2_frees_a_stream_that_is_released_after_its_connection)
{
    struct h2_stream *asked;
    struct h2_stream *seen;

    pair_open();
    asked = request_open("POST", "/", NULL, H2_GOES_ON);
    CHECK_INT(h2_send_data(asked, span_text("abc"), &pair_err), 0);
    pair_pump();
    seen = stream_next(pair.server);
    CHECK_INT(response_send(seen, 200, NULL, H2_GOES_ON), 0);
    CHECK_INT(h2_send_data(seen, span_text("abc"), &pair_err), 0);
    h2_free(pair.client);
    h2_free(pair.server);
    pair.client = NULL;
    pair.server = NULL;
    CHECK(asked->h2 == NULL && asked->is_reset && !asked->may_retry);
    CHECK(seen->h2 == NULL && seen->is_reset);
    CHECK_SPAN(buf_span(&seen->recv), "abc");
    CHECK_SPAN(seen->request.method, "POST");
    CHECK_INT(h2_send_room(seen), 0);
    CHECK_INT(h2_send_data(seen, span_text("d"), &pair_err), -1);
    CHECK_INT(pair_err.code, ERR_CLOSED);
    h2_recv_used(seen, 1);
    h2_reset(seen, H2_CANCEL);
    h2_release(seen);
    h2_release(asked);
    pair_end();
}

TEST(h2_may_retry_a_request_that_never_went_out)
{
    struct h2_stream *asked;

    pair_open();
    asked = request_open("GET", "/", NULL, H2_ENDS);
    h2_free(pair.client);
    pair.client = NULL;
    CHECK(asked->may_retry);
    h2_release(asked);
    pair_end();
}

TEST(h2_sends_what_was_complete_when_its_stream_was_released)
{
    static uint8_t bytes[LIMIT_BLOCK];
    struct h2_stream *asked;
    struct h2_stream *seen;
    size_t got = 0;

    pair_open();
    asked = request_open("GET", "/", NULL, H2_ENDS);
    pair_pump();
    seen = stream_next(pair.server);
    CHECK_INT(response_send(seen, 200, NULL, H2_GOES_ON), 0);
    CHECK_INT(h2_send_data(seen, span_of(bytes, sizeof bytes), &pair_err), 0);
    CHECK_INT(h2_send_end(seen, NULL, &pair_err), 0);
    h2_release(seen);
    CHECK_INT(h2_stream_count(pair.server), 0);
    while (!asked->recv_ended) {
        pair_pump();
        got += buf_len(&asked->recv);
        h2_recv_used(asked, buf_len(&asked->recv));
    }
    CHECK_INT(got, sizeof bytes);
    CHECK(!asked->is_reset);
    h2_release(asked);
    pair_pump();
    pair_end();
}

/* RFC 9113 section 8.1: the whole response first, then NO_ERROR. */
TEST(h2_asks_for_no_more_of_a_request_that_was_answered_early)
{
    struct h2_stream *asked;
    struct h2_stream *seen;

    for (int i = 0; i < 2; i++) {
        pair_open();
        asked = request_open("POST", "/", NULL, H2_GOES_ON);
        pair_pump();
        seen = stream_next(pair.server);
        CHECK_INT(response_send(seen, 413, NULL, H2_GOES_ON), 0);
        CHECK_INT(h2_send_data(seen, span_text("no"), &pair_err), 0);
        CHECK_INT(h2_send_end(seen, NULL, &pair_err), 0);
        if (i == 1)
            pair_pump(); /* it is out before the stream is released */
        h2_release(seen);
        pair_pump();
        CHECK(stream_next(pair.client) == asked);
        CHECK_INT(asked->news, H2_NEWS_HEAD | H2_NEWS_DATA | H2_NEWS_END);
        CHECK(asked->is_reset);
        CHECK_INT(asked->reset_code, H2_NO_ERROR);
        CHECK_SPAN(buf_span(&asked->recv), "no");
        h2_release(asked);
        pair_pump();
        CHECK_INT(h2_stream_count(pair.server), 0);
        pair_end();
    }
}

TEST(h2_never_shows_a_stream_again_that_was_released)
{
    static uint8_t bytes[LIMIT_BLOCK];
    struct h2_stream *asked;
    struct h2_stream *seen;
    size_t got = 0;

    pair_open();
    asked = request_open("POST", "/", NULL, H2_GOES_ON);
    pair_pump();
    seen = stream_next(pair.server);
    CHECK_INT(response_send(seen, 200, NULL, H2_GOES_ON), 0);
    CHECK_INT(h2_send_data(seen, span_of(bytes, sizeof bytes), &pair_err), 0);
    CHECK_INT(h2_send_end(seen, NULL, &pair_err), 0);
    h2_release(seen);
    /* The request goes on and ends while the response is still on its way. */
    CHECK_INT(h2_send_data(asked, span_text("abc"), &pair_err), 0);
    CHECK_INT(h2_send_end(asked, NULL, &pair_err), 0);
    while (!asked->recv_ended) {
        (void)pair_carry(pair.client, &pair.to_server, pair.server, &pair.server_err);
        check_quiet(pair.server);
        pair_pump();
        got += buf_len(&asked->recv);
        h2_recv_used(asked, buf_len(&asked->recv));
    }
    CHECK_INT(got, sizeof bytes);
    CHECK(!asked->is_reset);
    h2_release(asked);
    pair_pump();
    check_quiet(pair.server);
    pair_end();
}

TEST(h2_drops_content_of_a_stream_that_it_has_reset)
{
    struct h2_stream *asked;
    struct h2_stream *seen;

    pair_open();
    asked = request_open("POST", "/", NULL, H2_GOES_ON);
    pair_pump();
    seen = stream_next(pair.server);
    CHECK_INT(h2_send_data(asked, span_text("abc"), &pair_err), 0);
    CHECK_INT(h2_send_end(asked, NULL, &pair_err), 0);
    h2_reset(seen, H2_CANCEL);
    h2_reset(seen, H2_INTERNAL_ERROR);
    CHECK_INT(pair_carry(pair.client, &pair.to_server, pair.server, &pair.server_err), 1);
    check_quiet(pair.server);
    CHECK(buf_is_empty(&seen->recv) && !seen->recv_ended);
    pair_pump();
    CHECK_INT(asked->reset_code, H2_CANCEL);
    h2_release(seen);
    h2_release(asked);
    pair_end();
}

/* Before a peer has read our settings its window is 65,535 bytes, whatever room there is. */
TEST(h2_resets_a_stream_for_content_over_its_room)
{
    static uint8_t bytes[10000];
    struct h2_stream *asked;
    struct h2_stream *seen;

    pair_init();
    pool_fini(&pair.recv);
    pool_init(&pair.recv, 8192, 64, 8);
    pair.client = engine_new(H2_CLIENT);
    pair.server = engine_new(H2_SERVER);
    CHECK_INT(pair_carry(pair.client, &pair.to_server, pair.server, &pair.server_err), 1);
    asked = request_open("POST", "/", NULL, H2_GOES_ON);
    CHECK_INT(pair_carry(pair.client, &pair.to_server, pair.server, &pair.server_err), 1);
    seen = stream_next(pair.server);
    CHECK_INT(h2_send_data(asked, span_of(bytes, sizeof bytes), &pair_err), 0);
    CHECK_INT(pair_carry(pair.client, &pair.to_server, pair.server, &pair.server_err), 1);
    CHECK(stream_next(pair.server) == seen);
    CHECK_INT(seen->reset_code, 3); /* FLOW_CONTROL_ERROR */
    CHECK_INT(pair.server_err.code, ERR_OK);
    h2_release(seen);
    h2_release(asked);
    pair_end();
}

TEST(h2_never_shows_a_request_that_was_reset_before_it_was_seen)
{
    struct h2_stream *asked;

    pair_open();
    pair_pump();
    asked = request_open("POST", "/", NULL, H2_GOES_ON);
    CHECK_INT(h2_send_data(asked, span_text("abc"), &pair_err), 0);
    CHECK_INT(h2_drain(pair.client, &pair.to_server, &pair_err), 1);
    h2_release(asked);
    pair_pump();
    check_quiet(pair.server);
    CHECK_INT(h2_stream_count(pair.server), 0);
    pair_end();
}

/* The connection's window is given back for content that nobody read. */
TEST(h2_gives_the_window_back_for_streams_that_go_unread)
{
    static uint8_t bytes[60000];

    pair_init();
    pair.options.window = 100000;
    pair.client = engine_new(H2_CLIENT);
    pair.server = engine_new(H2_SERVER);
    for (int i = 0; i < 20; i++) {
        struct h2_stream *asked = request_open("POST", "/", NULL, H2_GOES_ON);
        struct h2_stream *seen;

        CHECK_INT(h2_send_data(asked, span_of(bytes, sizeof bytes), &pair_err), 0);
        pair_pump();
        seen = stream_next(pair.server);
        CHECK_INT(buf_len(&seen->recv), sizeof bytes);
        if (i % 3 == 0)
            h2_release(seen);
        else if (i % 3 == 1)
            h2_release(asked);
        else
            h2_reset(seen, H2_CANCEL);
        pair_pump();
        if (i % 3 != 0)
            h2_release(seen);
        if (i % 3 != 1)
            h2_release(asked);
        pair_pump();
    }
    pair_end();
}

TEST(h2_resets_a_stream_when_no_block_is_left_for_its_content)
{
    struct h2_stream *asked;
    struct h2_stream *seen;

    pair_open();
    pair.recv.limit = 0;
    asked = request_open("POST", "/", NULL, H2_GOES_ON);
    pair_pump();
    seen = stream_next(pair.server);
    CHECK_INT(h2_send_data(asked, span_text("abc"), &pair_err), 0);
    pair_pump();
    CHECK(stream_next(pair.server) == seen);
    CHECK_INT(seen->news, H2_NEWS_RESET);
    CHECK_INT(seen->reset_code, H2_ENHANCE_YOUR_CALM);
    CHECK_INT(seen->head_err.code, ERR_MEMORY);
    CHECK(stream_next(pair.client) == asked);
    CHECK((asked->news & H2_NEWS_RESET) != 0);
    h2_release(seen);
    h2_release(asked);
    pair_end();
}

TEST(h2_refuses_a_stream_when_no_struct_is_left_for_it)
{
    struct h2_stream *asked;

    pair_open();
    asked = request_open("GET", "/", NULL, H2_ENDS);
    pair.streams.limit = pair.streams.used;
    CHECK(request_open("GET", "/", NULL, H2_ENDS) == NULL);
    CHECK_INT(pair_err.code, ERR_MEMORY);
    pair_pump();
    check_quiet(pair.server);
    CHECK(stream_next(pair.client) == asked);
    CHECK(asked->may_retry);
    h2_release(asked);
    pair_end();
}

TEST(h2_answers_503_when_no_memory_is_left_for_a_head)
{
    struct h2_stream *asked;
    struct h2_stream *seen;

    pair_open();
    asked = request_open("GET", "/", NULL, H2_ENDS);
    pair.arena.limit = 0;
    pair_pump();
    seen = stream_next(pair.server);
    CHECK_INT(seen->head_err.code, ERR_MEMORY);
    CHECK_INT(response_send(seen, 503, NULL, H2_ENDS), 0);
    pair.arena.limit = 4096;
    h2_release(seen);
    pair_pump();
    CHECK_INT(asked->response.status, 503);
    h2_release(asked);
    pair_end();
}

TEST_MAIN(TEST_OF(h2_tells_both_sides_of_a_reset),
          TEST_OF(h2_frees_a_stream_that_is_released_after_its_connection),
          TEST_OF(h2_may_retry_a_request_that_never_went_out),
          TEST_OF(h2_sends_what_was_complete_when_its_stream_was_released),
          TEST_OF(h2_asks_for_no_more_of_a_request_that_was_answered_early),
          TEST_OF(h2_never_shows_a_stream_again_that_was_released),
          TEST_OF(h2_drops_content_of_a_stream_that_it_has_reset),
          TEST_OF(h2_resets_a_stream_for_content_over_its_room),
          TEST_OF(h2_never_shows_a_request_that_was_reset_before_it_was_seen),
          TEST_OF(h2_gives_the_window_back_for_streams_that_go_unread),
          TEST_OF(h2_resets_a_stream_when_no_block_is_left_for_its_content),
          TEST_OF(h2_refuses_a_stream_when_no_struct_is_left_for_it),
          TEST_OF(h2_answers_503_when_no_memory_is_left_for_a_head))
