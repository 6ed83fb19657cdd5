/* SPDX-License-Identifier: Apache-2.0 */
/* Our client and our server with each other: whole exchanges, windows, ends of every kind. */
#include "http/h2.h"

#include "base/num.h"
#include "h2_fixture.h"

TEST(h2_carries_a_request_and_its_response)
{
    struct h2_stream *asked;
    struct h2_stream *seen;

    pair_open();
    asked = request_open("GET", "/x?y=1", PAIRS("Accept", "*/*", "X-Empty", ""), H2_ENDS);
    CHECK(asked != NULL);
    pair_pump();

    seen = stream_next(pair.server);
    CHECK_INT(seen->news, H2_NEWS_HEAD | H2_NEWS_END);
    CHECK_SPAN(seen->request.method, "GET");
    CHECK_SPAN(seen->request.target, "/x?y=1");
    CHECK_SPAN(seen->scheme, "https");
    CHECK_INT(seen->request.version, HTTP_2);
    CHECK_INT(seen->request.framing.body, HTTP_BODY_NONE);
    CHECK_INT(seen->request.fields.count, 3);
    CHECK_SPAN(seen->request.fields.items[0].name, "host");
    CHECK_SPAN(seen->request.fields.items[0].value, "a");
    CHECK_SPAN(seen->request.fields.items[1].name, "accept");
    CHECK_SPAN(value_of(&seen->request.fields, "x-empty"), "");
    check_quiet(pair.server);

    CHECK_INT(response_send(seen, 200, PAIRS("Server", "s"), H2_GOES_ON), 0);
    CHECK_INT(h2_send_data(seen, span_text("hello"), &pair_err), 0);
    CHECK_INT(h2_send_end(seen, NULL, &pair_err), 0);
    pair_pump();
    check_quiet(pair.server);
    h2_release(seen);

    CHECK(stream_next(pair.client) == asked);
    CHECK_INT(asked->news, H2_NEWS_HEAD | H2_NEWS_DATA | H2_NEWS_END);
    CHECK_INT(asked->response.status, 200);
    CHECK_INT(asked->response.framing.body, HTTP_BODY_CHUNKED);
    CHECK_SPAN(value_of(&asked->response.fields, "server"), "s");
    CHECK_SPAN(buf_span(&asked->recv), "hello");
    CHECK(asked->recv_ended && !asked->is_reset);
    h2_recv_used(asked, 5);
    h2_release(asked);
    CHECK_INT(h2_stream_count(pair.client), 0);
    pair_end();
}

TEST(h2_carries_content_larger_than_every_window)
{
    static uint8_t piece[10000];
    size_t sent = 0;
    size_t got = 0;
    const size_t all = 3000000;
    struct h2_stream *asked;
    struct h2_stream *seen = NULL;

    pair_open();
    asked = request_open("POST", "/", NULL, H2_GOES_ON);
    while (got < all) {
        struct h2_stream *stream;
        size_t len = sizeof piece < all - sent ? sizeof piece : all - sent;

        for (size_t i = 0; i < len; i++)
            piece[i] = (uint8_t)((sent + i) * 31 >> 3);
        if (len > h2_send_room(asked))
            len = h2_send_room(asked);
        CHECK_INT(h2_send_data(asked, span_of(piece, len), &pair_err), 0);
        sent += len;
        if (sent == all && !asked->send_ended)
            CHECK_INT(h2_send_end(asked, NULL, &pair_err), 0);
        pair_pump();
        while (h2_next(pair.server, &stream))
            seen = stream;
        CHECK(seen != NULL);
        if (buf_len(&seen->recv) < 50000 && !seen->recv_ended)
            continue;
        for (size_t i = 0; i < buf_len(&seen->recv); i++)
            CHECK_INT(buf_span(&seen->recv).ptr[i], (uint8_t)((got + i) * 31 >> 3));
        got += buf_len(&seen->recv);
        h2_recv_used(seen, buf_len(&seen->recv));
    }
    CHECK(seen->recv_ended);
    CHECK_INT(response_send(seen, 204, NULL, H2_ENDS), 0);
    pair_pump();
    CHECK(stream_next(pair.client) == asked);
    CHECK_INT(asked->news & ~H2_NEWS_ROOM, H2_NEWS_HEAD | H2_NEWS_END);
    h2_release(asked);
    h2_release(seen);
    CHECK_INT(pair.server_err.code, ERR_OK);
    CHECK_INT(pair.client_err.code, ERR_OK);
    pair_end();
}

TEST(h2_carries_trailers_behind_content_and_without)
{
    static const char *const content[] = {"abc", ""};

    for (size_t i = 0; i < 2; i++) {
        struct h2_stream *asked;
        struct h2_stream *seen;
        struct http_fields trailers;

        pair_open();
        asked = request_open("POST", "/", PAIRS("te", "trailers"), H2_ENDS);
        pair_pump();
        seen = stream_next(pair.server);
        CHECK_INT(response_send(seen, 200, NULL, H2_GOES_ON), 0);
        CHECK_INT(h2_send_data(seen, span_text(content[i]), &pair_err), 0);
        trailers = fields_of(PAIRS("Grpc-Status", "0", "grpc-message", ""));
        CHECK_INT(h2_send_end(seen, &trailers, &pair_err), 0);
        h2_release(seen);
        pair_pump();
        CHECK(stream_next(pair.client) == asked);
        CHECK_SPAN(buf_span(&asked->recv), content[i]);
        CHECK_INT(asked->trailers.count, 2);
        CHECK_SPAN(asked->trailers.items[0].name, "grpc-status");
        CHECK_SPAN(asked->trailers.items[0].value, "0");
        CHECK(asked->recv_ended && !asked->is_reset);
        h2_release(asked);
        pair_end();
    }
}

/* The window that a peer has is never wider than the room that is left, at any time. */
TEST(h2_offers_no_more_window_than_there_is_room_b7)
{
    static uint8_t bytes[LIMIT_BLOCK];
    uint64_t seed = 7;
    struct h2_stream *asked;
    struct h2_stream *seen;

    pair_open();
    pair_pump();
    asked = request_open("POST", "/", NULL, H2_GOES_ON);
    pair_pump();
    seen = stream_next(pair.server);
    for (int i = 0; i < 2000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        CHECK_INT(h2_send_data(asked, span_of(bytes, h2_send_room(asked)), &pair_err), 0);
        pair_pump();
        CHECK(buf_len(&seen->recv) <= LIMIT_BLOCK);
        CHECK(!seen->is_reset);
        h2_recv_used(seen, num_min(buf_len(&seen->recv), (size_t)(seed >> 40) % 50000));
    }
    h2_release(seen);
    h2_release(asked);
    pair_end();
}

TEST(h2_shuts_down_after_the_last_stream)
{
    struct h2_stream *asked;
    struct h2_stream *seen;

    pair_open();
    asked = request_open("GET", "/", NULL, H2_ENDS);
    pair_pump();
    seen = stream_next(pair.server);
    h2_shutdown(pair.server);
    h2_shutdown(pair.server);
    pair_pump();
    CHECK(h2_is_closing(pair.server) && h2_is_closing(pair.client));
    CHECK(!h2_is_done(pair.server));
    CHECK(request_open("GET", "/", NULL, H2_ENDS) == NULL);
    CHECK_INT(pair_err.code, ERR_ORIGIN_CLOSED);
    CHECK_INT(response_send(seen, 200, NULL, H2_ENDS), 0);
    h2_release(seen);
    pair_pump();
    CHECK(stream_next(pair.client) == asked);
    CHECK_INT(asked->news, H2_NEWS_HEAD | H2_NEWS_END);
    h2_release(asked);
    CHECK(h2_is_done(pair.server) && h2_is_done(pair.client));
    h2_ping(pair.client); /* what comes now is not an error */
    pair_pump();
    CHECK_INT(pair.server_err.code, ERR_OK);
    pair_end();
}

TEST(h2_terminates_at_once)
{
    struct h2_stream *asked;
    struct h2_stream *seen;

    pair_open();
    asked = request_open("GET", "/", NULL, H2_ENDS);
    pair_pump();
    seen = stream_next(pair.server);
    h2_terminate(pair.server, H2_INTERNAL_ERROR);
    h2_terminate(pair.server, H2_NO_ERROR);
    h2_shutdown(pair.server);
    h2_ping(pair.server);
    CHECK(seen->is_reset);
    CHECK_INT(response_send(seen, 200, NULL, H2_ENDS), -1);
    h2_recv_used(seen, 0);
    CHECK(h2_wants_drain(pair.server));
    pair_pump();
    CHECK(h2_is_done(pair.server));
    CHECK_INT(pair.server_err.code, ERR_OK);
    CHECK(h2_is_closing(pair.client));
    h2_release(seen);
    h2_release(asked);
    pair_end();
}

TEST(h2_sends_one_ping_until_it_is_answered)
{
    pair_open();
    pair_pump();
    h2_ping(pair.client);
    h2_ping(pair.client);
    CHECK(h2_wants_drain(pair.client));
    CHECK_INT(h2_drain(pair.client, &pair.to_server, &pair_err), 1);
    CHECK_INT(buf_len(&pair.to_server), 17);
    pair_pump();
    CHECK(!h2_wants_drain(pair.client));
    h2_ping(pair.client);
    CHECK(h2_wants_drain(pair.client));
    pair_pump();
    pair_end();
}

TEST(h2_writes_frames_whole_into_little_room)
{
    static uint8_t bytes[50000];
    struct h2_stream *asked;
    struct h2_stream *seen;
    size_t got = 0;

    pair_init();
    pool_fini(&pair.wire);
    pool_init(&pair.wire, H2_DRAIN_ROOM, 8, 2);
    pair.client = engine_new(H2_CLIENT);
    pair.server = engine_new(H2_SERVER);
    asked = request_open("GET", "/", NULL, H2_ENDS);
    pair_pump();
    seen = stream_next(pair.server);
    CHECK_INT(response_send(seen, 200, NULL, H2_GOES_ON), 0);
    CHECK_INT(h2_send_data(seen, span_of(bytes, sizeof bytes), &pair_err), 0);
    CHECK_INT(h2_send_end(seen, NULL, &pair_err), 0);
    while (!asked->recv_ended) {
        struct err err;

        /* The output is never emptied in whole: room comes in odd pieces. */
        CHECK(h2_drain(pair.server, &pair.to_client, &err) >= 0);
        for (size_t len = buf_len(&pair.to_client) / 2 + 1; len > 0 && !asked->recv_ended;
             len = num_min(len, buf_len(&pair.to_client))) {
            CHECK_INT(h2_feed(pair.client, span_first(buf_span(&pair.to_client), len), &err), 0);
            buf_consume(&pair.to_client, len);
            if (len < 1000)
                break;
        }
        got += buf_len(&asked->recv);
        h2_recv_used(asked, buf_len(&asked->recv));
        (void)pair_carry(pair.client, &pair.to_server, pair.server, &pair.server_err);
    }
    CHECK_INT(got, sizeof bytes);
    h2_release(seen);
    h2_release(asked);
    pair_end();
}

TEST(h2_says_when_no_buffer_is_left_for_frames)
{
    pair_open();
    pair.wire.limit = 0;
    CHECK_INT(h2_drain(pair.client, &pair.to_server, &pair_err), -1);
    CHECK_INT(pair_err.code, ERR_MEMORY);
    pair.wire.limit = 8;
    CHECK_INT(h2_drain(pair.client, &pair.to_server, &pair_err), 1);
    pair_end();
}

/* Several large responses at once: all of them move. */
TEST(h2_lets_streams_take_turns)
{
    static uint8_t bytes[LIMIT_BLOCK];
    struct h2_stream *asked[3];
    struct h2_stream *seen[3];
    struct err err;

    pair_open();
    for (int i = 0; i < 3; i++)
        asked[i] = request_open("GET", "/", PAIRS("priority", i == 0 ? "u=0" : "u=7"), H2_ENDS);
    pair_pump();
    for (int i = 0; i < 3; i++) {
        seen[i] = stream_next(pair.server);
        CHECK_INT(response_send(seen[i], 200, NULL, H2_GOES_ON), 0);
        CHECK_INT(h2_send_data(seen[i], span_of(bytes, sizeof bytes), &pair_err), 0);
    }
    CHECK_INT(h2_drain(pair.server, &pair.to_client, &err), 1);
    CHECK_INT(h2_feed(pair.client, buf_span(&pair.to_client), &err), 0);
    buf_consume(&pair.to_client, buf_len(&pair.to_client));
    for (int i = 0; i < 3; i++) {
        CHECK(buf_len(&asked[i]->recv) > 0);
        h2_release(asked[i]);
        h2_release(seen[i]);
    }
    pair_end();
}

TEST(h2_carries_interim_responses)
{
    struct http_response interim = {.version = HTTP_2, .status = 103};
    struct h2_stream *asked;
    struct h2_stream *seen;

    pair_open();
    asked = request_open("GET", "/", NULL, H2_ENDS);
    pair_pump();
    seen = stream_next(pair.server);
    interim.fields = fields_of(PAIRS("Link", "</x>"));
    CHECK_INT(h2_send_interim(seen, &interim, &pair_err), 0);
    pair_pump();
    CHECK(stream_next(pair.client) == asked);
    CHECK_INT(asked->news, H2_NEWS_INTERIM);
    CHECK_INT(asked->interim.status, 103);
    CHECK_INT(response_send(seen, 200, NULL, H2_ENDS), 0);
    interim.status = 101;
    h2_release(seen);
    pair_pump();
    CHECK(stream_next(pair.client) == asked);
    CHECK_INT(asked->news, H2_NEWS_HEAD | H2_NEWS_END);
    h2_release(asked);
    pair_end();
}

TEST_MAIN(TEST_OF(h2_carries_a_request_and_its_response),
          TEST_OF(h2_carries_content_larger_than_every_window),
          TEST_OF(h2_carries_trailers_behind_content_and_without),
          TEST_OF(h2_offers_no_more_window_than_there_is_room_b7),
          TEST_OF(h2_shuts_down_after_the_last_stream), TEST_OF(h2_terminates_at_once),
          TEST_OF(h2_sends_one_ping_until_it_is_answered),
          TEST_OF(h2_writes_frames_whole_into_little_room),
          TEST_OF(h2_says_when_no_buffer_is_left_for_frames), TEST_OF(h2_lets_streams_take_turns),
          TEST_OF(h2_carries_interim_responses))
