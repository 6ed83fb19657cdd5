/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that have ended (RFC 9113 section 5.1): what their peer may still say on them. */
#include "http/h2.h"

#include "h2_frames.h"

/* Stream 1 is asked for, answered, and forgotten. */
static void one_ended(void)
{
    struct h2_stream *stream;

    server_open();
    wire_get(1);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    stream = stream_next(pair.server);
    CHECK_INT(response_send(stream, 200, NULL, H2_ENDS), 0);
    h2_release(stream);
    (void)answer_of(pair.server);
}

TEST(h2_ends_a_connection_for_content_on_a_stream_its_peer_has_ended)
{
    one_ended();
    wire_frame(DATA, END_STREAM, 1, span_text("more"));
    CHECK_INT(wire_feed(pair.server), ERR_SYNTAX);
    CHECK_STR(answer_of(pair.server), "o=5"); /* STREAM_CLOSED */
    pair_end();
}

TEST(h2_ends_a_connection_for_a_head_on_a_stream_its_peer_has_ended)
{
    one_ended();
    wire_get(1);
    CHECK_INT(wire_feed(pair.server), ERR_SYNTAX);
    CHECK_STR(answer_of(pair.server), "o=5");
    pair_end();
}

TEST(h2_ends_a_connection_for_a_frame_behind_its_peers_own_reset)
{
    server_open();
    wire_get(1);
    wire_number(RST_STREAM, 1, 8);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    wire_frame(DATA, END_STREAM, 1, span_text("more"));
    CHECK_INT(wire_feed(pair.server), ERR_SYNTAX);
    CHECK_STR(answer_of(pair.server), "o=5");
    pair_end();
}

TEST(h2_ends_a_connection_for_a_stream_that_is_opened_behind_a_later_one)
{
    server_open();
    wire_get(5);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    wire_get(3);
    CHECK_INT(wire_feed(pair.server), ERR_SYNTAX);
    CHECK_STR(answer_of(pair.server), "o=1"); /* PROTOCOL_ERROR */
    pair_end();
}

/* What was on its way when we ended the stream is nobody's fault. */
TEST(h2_overlooks_what_comes_for_a_stream_that_it_has_reset)
{
    struct h2_stream *stream;

    server_open();
    block_fields(PAIRS(":method", "POST", ":scheme", "https", ":authority", "a", ":path", "/"));
    wire_headers(END_HEADERS, 1);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    stream = stream_next(pair.server);
    h2_reset(stream, H2_CANCEL);
    h2_release(stream);
    CHECK_STR(answer_of(pair.server), "r1=8");
    wire_frame(DATA, 0, 1, span_text("more"));
    block_fields(PAIRS("x-trailer", "1"));
    wire_headers(WHOLE, 1);
    wire_get(3);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    stream = stream_next(pair.server);
    CHECK_INT(stream->id, 3);
    h2_release(stream);
    pair_end();
}

TEST_MAIN(TEST_OF(h2_ends_a_connection_for_content_on_a_stream_its_peer_has_ended),
          TEST_OF(h2_ends_a_connection_for_a_head_on_a_stream_its_peer_has_ended),
          TEST_OF(h2_ends_a_connection_for_a_frame_behind_its_peers_own_reset),
          TEST_OF(h2_ends_a_connection_for_a_stream_that_is_opened_behind_a_later_one),
          TEST_OF(h2_overlooks_what_comes_for_a_stream_that_it_has_reset))
