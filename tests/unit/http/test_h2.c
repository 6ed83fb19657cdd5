/* SPDX-License-Identifier: Apache-2.0 */
/* Our client and our server with each other: whole exchanges, windows, ends of every kind. */
#include "http/h2.h"

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

TEST_MAIN(TEST_OF(h2_carries_a_request_and_its_response),
          TEST_OF(h2_carries_content_larger_than_every_window),
          TEST_OF(h2_carries_trailers_behind_content_and_without),
          TEST_OF(h2_tells_both_sides_of_a_reset))
