/* SPDX-License-Identifier: Apache-2.0 */
/* What may not be sent is refused as our own error, and nothing of it goes out. */
#include "http/h2.h"

#include "h2_frames.h"

static struct h2_stream *stream;

/* A server with a request of this method on stream 1. */
static void server_asked(const char *method)
{
    server_open();
    block_fields(PAIRS(":method", method, ":scheme", "https", ":authority", "a", ":path", "/"));
    wire_headers(WHOLE, 1);
    CHECK_INT(wire_feed(pair.server), ERR_OK);
    stream = stream_next(pair.server);
}

static void server_done(void)
{
    h2_release(stream);
    pair_end();
}

static void check_request_refused(struct http_request message, struct h2_request request,
                                  enum h2_end end)
{
    client_open();
    (void)answer_of(pair.client);
    request.request = &message;
    CHECK(h2_open(pair.client, &request, end, &pair_err) == NULL);
    CHECK_INT(pair_err.code, ERR_INTERNAL);
    CHECK_STR(answer_of(pair.client), "");
    CHECK_INT(h2_stream_count(pair.client), 0);
    pair_end();
}

TEST(h2_write_refuses_requests_with_parts_that_are_none)
{
    const struct http_request get = {
        .version = HTTP_2, .method = span_text("GET"), .target = span_text("/")};
    const struct h2_request to_a = {.scheme = span_text("https"), .authority = span_text("a")};
    struct http_request message = get;
    struct h2_request request = to_a;

    message.method = span_text("G T");
    check_request_refused(message, request, H2_ENDS);
    message = get;
    message.target = span_text("/ x");
    check_request_refused(message, request, H2_ENDS);
    message.target = span_text("");
    check_request_refused(message, request, H2_ENDS);
    message = get;
    request.authority = span_text("a\r\n");
    check_request_refused(message, request, H2_ENDS);
    request = to_a;
    request.scheme = span_text("");
    check_request_refused(message, request, H2_ENDS);
    request = to_a;
    request.protocol = span_text("websocket"); /* but the method is GET */
    check_request_refused(message, request, H2_ENDS);
    request = to_a;
    message.framing.body = HTTP_BODY_UNTIL_CLOSE;
    check_request_refused(message, request, H2_GOES_ON);
    message.framing = (struct http_framing){.body = HTTP_BODY_LENGTH, .length = 3};
    check_request_refused(message, request, H2_ENDS);
}

TEST(h2_write_refuses_fields_that_mislead)
{
    static const char *const rows[][3] = {
        {"x y", "z"},
        {":path", "/"},
        {"", "z"},
        {"x", "a\r\nb: c"},
        {"x", " a"},
        {"x", "a\t"},
        {"Connection", "close"},
        {"Keep-Alive", "1"},
        {"Proxy-Connection", "close"},
        {"Upgrade", "h2c"},
        {"Transfer-Encoding", "chunked"},
        {"transfer_encoding", "chunked"},
        {"Content-Length", "1"},
        {"content_length", "1"},
        {"TE", "gzip"},
        {"Host", "a"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        client_open();
        CHECK(request_open("GET", "/", rows[i], H2_ENDS) == NULL);
        CHECK_INT(pair_err.code, ERR_INTERNAL);
        pair_end();
        if (i + 1 == sizeof rows / sizeof rows[0])
            break; /* Host is as good as any in a response */
        server_asked("GET");
        CHECK_INT(response_send(stream, 200, rows[i], H2_ENDS), -1);
        CHECK_INT(pair_err.code, ERR_INTERNAL);
        CHECK_STR(answer_of(pair.server), "");
        /* The user can still answer. */
        CHECK_INT(response_send(stream, 502, NULL, H2_ENDS), 0);
        CHECK_STR(answer_of(pair.server), "h1.");
        server_done();
    }
}

static int response_with(int status, struct http_framing framing, enum h2_end end)
{
    struct http_response response = {.version = HTTP_2, .status = status, .framing = framing};

    err_clear(&pair_err);
    return h2_send_response(stream, &response, end, &pair_err);
}

TEST(h2_write_refuses_content_where_none_can_be)
{
    static const struct {
        const char *method;
        int status;
        struct http_framing framing;
        enum h2_end end;
    } rows[] = {
        {"GET", 199, {0}, H2_ENDS},
        {"GET", 600, {0}, H2_ENDS},
        {"GET", 204, {0}, H2_GOES_ON},
        {"GET", 304, {0}, H2_GOES_ON},
        {"HEAD", 200, {0}, H2_GOES_ON},
        {"GET", 204, {.body = HTTP_BODY_LENGTH, .length = 1}, H2_ENDS},
        {"GET", 200, {.body = HTTP_BODY_LENGTH, .length = 1}, H2_ENDS},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        server_asked(rows[i].method);
        CHECK_INT(response_with(rows[i].status, rows[i].framing, rows[i].end), -1);
        CHECK_INT(pair_err.code, ERR_INTERNAL);
        CHECK_STR(answer_of(pair.server), "");
        server_done();
    }
}

TEST(h2_write_adds_the_length_from_the_framing)
{
    static const struct {
        const char *method;
        int status;
        uint64_t length;
        enum h2_end end;
        const char *expected;
    } rows[] = {
        {"GET", 200, 5, H2_GOES_ON, "5"},   {"GET", 200, 0, H2_ENDS, "0"},
        {"HEAD", 200, 5, H2_ENDS, "5"},     {"GET", 304, 5, H2_ENDS, "5"},
        {"GET", 204, 0, H2_ENDS, "(none)"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_framing framing = {.body = HTTP_BODY_LENGTH, .length = rows[i].length};
        struct h2_stream *asked;

        pair_open();
        asked = request_open(rows[i].method, "/", NULL, H2_ENDS);
        pair_pump();
        stream = stream_next(pair.server);
        CHECK_INT(response_with(rows[i].status, framing, rows[i].end), 0);
        pair_pump();
        CHECK_INT(asked->response.status, rows[i].status);
        CHECK_SPAN(value_of(&asked->response.fields, "content-length"), rows[i].expected);
        CHECK_INT(asked->recv_ended, rows[i].end == H2_ENDS);
        h2_release(asked);
        server_done();
    }
}

TEST(h2_write_sends_the_length_of_a_request)
{
    struct http_request message = {
        .version = HTTP_2,
        .method = span_text("POST"),
        .target = span_text("/"),
        .framing = {.body = HTTP_BODY_LENGTH, .length = 3},
    };
    struct h2_request request = {
        .request = &message, .scheme = span_text("https"), .authority = span_text("a:1")};
    struct h2_stream *asked;

    pair_open();
    asked = h2_open(pair.client, &request, H2_GOES_ON, &pair_err);
    CHECK(asked != NULL);
    CHECK_INT(h2_send_data(asked, span_text("abc"), &pair_err), 0);
    CHECK_INT(h2_send_end(asked, NULL, &pair_err), 0);
    pair_pump();
    stream = stream_next(pair.server);
    CHECK_INT(stream->request.framing.body, HTTP_BODY_LENGTH);
    CHECK_INT(stream->request.framing.length, 3);
    CHECK_SPAN(value_of(&stream->request.fields, "host"), "a:1");
    CHECK(stream->recv_ended);
    h2_release(asked);
    server_done();
}

TEST(h2_write_sends_connect_without_scheme_and_path)
{
    struct http_request message = {
        .version = HTTP_2, .method = span_text("CONNECT"), .target = span_text("b:443")};
    struct h2_request request = {
        .request = &message, .scheme = span_text("https"), .authority = span_text("b:443")};
    struct h2_stream *asked;

    pair_open();
    asked = h2_open(pair.client, &request, H2_GOES_ON, &pair_err);
    CHECK(asked != NULL);
    pair_pump();
    stream = stream_next(pair.server);
    CHECK_SPAN(stream->request.target, "b:443");
    CHECK_INT(stream->scheme.len, 0);
    h2_release(asked);
    server_done();
}

TEST(h2_write_sends_extended_connect_to_a_server_that_offers_it)
{
    struct http_request message = {
        .version = HTTP_2, .method = span_text("CONNECT"), .target = span_text("/chat")};
    struct h2_request request = {.request = &message,
                                 .scheme = span_text("https"),
                                 .authority = span_text("a"),
                                 .protocol = span_text("websocket")};
    struct h2_stream *asked;

    pair_init();
    pair.options.extended_connect = 1;
    pair.client = engine_new(H2_CLIENT);
    pair.server = engine_new(H2_SERVER);
    pair_pump();
    CHECK(h2_has_extended_connect(pair.client));
    asked = h2_open(pair.client, &request, H2_GOES_ON, &pair_err);
    CHECK(asked != NULL);
    pair_pump();
    stream = stream_next(pair.server);
    CHECK_SPAN(stream->protocol, "websocket");
    CHECK_INT(response_send(stream, 200, NULL, H2_GOES_ON), 0);
    CHECK_INT(h2_send_data(stream, span_text("down"), &pair_err), 0);
    CHECK_INT(h2_send_data(asked, span_text("up"), &pair_err), 0);
    pair_pump();
    CHECK_SPAN(buf_span(&asked->recv), "down");
    CHECK_SPAN(buf_span(&stream->recv), "up");
    h2_release(asked);
    server_done();
}

TEST(h2_write_refuses_trailers_that_mislead)
{
    static const char *const rows[][3] = {
        {"content-length", "1"}, {"Host", "a"},           {"authorization", "b"}, {"x y", "z"},
        {":path", "/"},          {"x", "a\nb"},           {"te", "trailers"},     {"Trailer", "x"},
        {"cookie", "a=b"},       {"connection", "close"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_fields trailers;

        server_asked("GET");
        CHECK_INT(response_send(stream, 200, NULL, H2_GOES_ON), 0);
        trailers = fields_of(rows[i]);
        CHECK_INT(h2_send_end(stream, &trailers, &pair_err), -1);
        CHECK_INT(pair_err.code, ERR_INTERNAL);
        CHECK_INT(h2_send_end(stream, NULL, &pair_err), 0);
        CHECK_STR(answer_of(pair.server), "h1 d1.");
        server_done();
    }
}

TEST(h2_write_refuses_interim_responses_that_are_none)
{
    struct http_response response = {.version = HTTP_2};
    static const int statuses[] = {99, 101, 200};

    server_asked("GET");
    for (size_t i = 0; i < 3; i++) {
        response.status = statuses[i];
        CHECK_INT(h2_send_interim(stream, &response, &pair_err), -1);
        CHECK_INT(pair_err.code, ERR_INTERNAL);
    }
    response.status = 103;
    response.fields = fields_of(PAIRS("x y", "z"));
    CHECK_INT(h2_send_interim(stream, &response, &pair_err), -1);
    h2_reset(stream, H2_CANCEL);
    CHECK_INT(h2_send_interim(stream, &response, &pair_err), -1);
    CHECK_INT(pair_err.code, ERR_CLOSED);
    server_done();
}

TEST(h2_write_refuses_more_fields_than_it_has_places)
{
    struct http_fields fields = fields_of(NULL);
    struct http_response response = {.version = HTTP_2, .status = 200};

    while (fields.count < fields.cap)
        CHECK_INT(http_fields_add(&fields, span_text("x"), span_text("y"), &pair_err), 0);
    response.fields = fields;
    server_asked("GET");
    CHECK_INT(h2_send_response(stream, &response, H2_ENDS, &pair_err), -1);
    CHECK_INT(pair_err.code, ERR_INTERNAL);
    server_done();
}

TEST(h2_write_refuses_heads_larger_than_any_that_is_read)
{
    static char value[LIMIT_FIELD];
    struct http_field items[10];
    struct http_response response = {
        .version = HTTP_2, .status = 200, .fields = {.items = items, .count = 10, .cap = 10}};

    memset(value, 'v', sizeof value);
    for (size_t i = 0; i < 10; i++)
        items[i] = (struct http_field){span_text("x"), span_of(value, sizeof value)};
    server_asked("GET");
    CHECK_INT(h2_send_response(stream, &response, H2_ENDS, &pair_err), -1);
    CHECK_INT(pair_err.code, ERR_LIMIT);
    server_done();
}

TEST(h2_write_sends_no_trailers_if_one_is_refused)
{
    struct http_fields trailers;

    server_asked("GET");
    CHECK_INT(response_send(stream, 200, NULL, H2_GOES_ON), 0);
    trailers = fields_of(PAIRS("x", "y", "host", "a"));
    CHECK_INT(h2_send_end(stream, &trailers, &pair_err), -1);
    CHECK_INT(h2_send_end(stream, NULL, &pair_err), 0);
    CHECK_STR(answer_of(pair.server), "h1 d1.");
    server_done();
}

/* Heads that the peer does not read wait in memory of the connection, which has an end. */
TEST(h2_write_says_when_the_memory_of_the_connection_is_used_up)
{
    static char value[LIMIT_FIELD];
    struct http_field items[4];
    struct http_response response = {
        .version = HTTP_2, .status = 103, .fields = {.items = items, .count = 4, .cap = 4}};
    int count = 0;

    memset(value, 'v', sizeof value);
    for (size_t i = 0; i < 4; i++)
        items[i] = (struct http_field){span_text("x"), span_of(value, sizeof value)};
    server_asked("GET");
    while (h2_send_interim(stream, &response, &pair_err) == 0)
        CHECK(++count < 100);
    CHECK_INT(pair_err.code, ERR_MEMORY);
    CHECK(count > 2);
    /* The connection goes on: all that was taken goes out, and then there is room again. */
    while (h2_wants_drain(pair.server))
        (void)answer_of(pair.server);
    CHECK_INT(h2_send_interim(stream, &response, &pair_err), 0);
    server_done();
}

TEST_MAIN(TEST_OF(h2_write_refuses_requests_with_parts_that_are_none),
          TEST_OF(h2_write_refuses_fields_that_mislead),
          TEST_OF(h2_write_refuses_content_where_none_can_be),
          TEST_OF(h2_write_adds_the_length_from_the_framing),
          TEST_OF(h2_write_sends_the_length_of_a_request),
          TEST_OF(h2_write_sends_connect_without_scheme_and_path),
          TEST_OF(h2_write_sends_extended_connect_to_a_server_that_offers_it),
          TEST_OF(h2_write_refuses_trailers_that_mislead),
          TEST_OF(h2_write_refuses_interim_responses_that_are_none),
          TEST_OF(h2_write_refuses_more_fields_than_it_has_places),
          TEST_OF(h2_write_refuses_heads_larger_than_any_that_is_read),
          TEST_OF(h2_write_sends_no_trailers_if_one_is_refused),
          TEST_OF(h2_write_says_when_the_memory_of_the_connection_is_used_up))
