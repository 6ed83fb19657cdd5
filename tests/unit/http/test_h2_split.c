/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine as a story, the same for every cut of the input: what each stream brought, and how the
 * connection fared. A stream that the peer reset is left out: whether the user saw it first depends
 * on when the user looked.
 */
#include "http/h2.h"

#include "../../split.h"
#include "h2_frames.h"

#define STORY_STREAMS 8

/* What the user has of one stream. */
struct told {
    struct h2_stream *stream;
    struct text content;
    char memory[4096];
    int is_reset; /* by itself, not with the connection */
};

struct teller {
    enum h2_role role;
    struct h2 *h2;
    struct told told[STORY_STREAMS];
    size_t count;
    int has_failed;
};

static struct teller teller;
static char story_memory[1 << 16];
static uint8_t input[1 << 16];
static size_t input_len;

static struct told *told_add(struct teller *t, struct h2_stream *stream)
{
    struct told *told = &t->told[t->count++];

    CHECK(t->count <= STORY_STREAMS);
    told->stream = stream;
    told->is_reset = 0;
    stream->owner = told;
    text_init(&told->content, told->memory, sizeof told->memory);
    return told;
}

static void teller_start(void *engine)
{
    struct teller *t = engine;

    pair_init();
    t->count = 0;
    t->has_failed = 0;
    t->h2 = engine_new(t->role);
    if (t->role == H2_SERVER)
        return;
    pair.client = t->h2;
    for (int i = 0; i < 3; i++)
        told_add(t, request_open(i == 1 ? "HEAD" : "GET", "/", NULL, H2_ENDS));
    CHECK_INT(h2_drain(t->h2, &pair.to_server, &pair_err), 1);
}

static void news_take(struct teller *t)
{
    struct h2_stream *stream;

    while (h2_next(t->h2, &stream)) {
        struct told *told = stream->owner != NULL ? stream->owner : told_add(t, stream);

        text_add(&told->content, buf_span(&stream->recv));
        h2_recv_used(stream, buf_len(&stream->recv));
        if ((stream->news & H2_NEWS_RESET) != 0 && !t->has_failed)
            told->is_reset = 1;
    }
}

static void fields_tell(const struct http_fields *fields, struct text *story)
{
    for (size_t i = 0; i < fields->count; i++) {
        text_add_char(story, ' ');
        text_add(story, fields->items[i].name);
        text_add_char(story, '=');
        text_add(story, fields->items[i].value);
    }
}

static void stream_tell(const struct told *told, enum h2_role role, struct text *story)
{
    const struct h2_stream *stream = told->stream;

    if (!stream->has_head || told->is_reset)
        return;
    text_addf(story, "%d[", stream->id);
    if (stream->head_err.code != ERR_OK) {
        text_add_str(story, err_reason(stream->head_err.code));
    } else if (role == H2_SERVER) {
        text_add(story, stream->request.method);
        text_add_char(story, ' ');
        text_add(story, stream->request.target);
        fields_tell(&stream->request.fields, story);
    } else {
        text_add_u64(story, (uint64_t)stream->response.status);
        fields_tell(&stream->response.fields, story);
    }
    text_add_str(story, "]");
    if (told->content.len > 0) {
        text_add_char(story, '{');
        text_add(story, text_span(&told->content));
        text_add_char(story, '}');
    }
    fields_tell(&stream->trailers, story);
    text_add_str(story, stream->recv_ended ? ". " : "~ ");
}

static void teller_finish(void *engine, struct text *story)
{
    struct teller *t = engine;

    for (size_t i = 0; i < t->count; i++)
        stream_tell(&t->told[i], t->role, story);
    text_add_str(story, t->has_failed ? err_reason(pair_err.code) : "ok");
    for (size_t i = 0; i < t->count; i++)
        h2_release(t->told[i].stream);
    pair.server = t->h2;
    pair.client = NULL;
    pair_end();
}

static ssize_t teller_feed(void *engine, struct room piece, struct text *story)
{
    struct teller *t = engine;

    t->has_failed = h2_feed(t->h2, span_of_room(piece), &pair_err) < 0;
    news_take(t);
    if (!t->has_failed)
        return (ssize_t)piece.len;
    teller_finish(t, story);
    return -1;
}

static const struct split_engine engine = {
    .start = teller_start, .feed = teller_feed, .finish = teller_finish, .engine = &teller};

/* The wire, cut in every way, tells `expected`. */
static void check_story(enum h2_role role, const char *expected)
{
    struct text story;

    teller.role = role;
    memcpy(input, wire_memory, wire_len);
    input_len = wire_len;
    text_init(&story, story_memory, sizeof story_memory);
    split_check(&engine, span_of(input, input_len), &story);
    CHECK_SPAN(text_span(&story), expected);
}

static void requests_wire(void)
{
    wire_start(H2_CLIENT);
    wire_frame(SETTINGS, ACK, 0, span_of(NULL, 0));
    wire_get(1);
    block_fields(PAIRS(":method", "POST", ":scheme", "https", ":authority", "b", ":path", "/p?q"));
    wire_headers(0, 3);
    block_fields(PAIRS("cookie", "a=b", "cookie", "c=d", "content-length", "6"));
    wire_frame(CONTINUATION, 0, 3, span_of(block_memory, 9));
    wire_frame(CONTINUATION, END_HEADERS, 3, span_of(block_memory + 9, block_len - 9));
    block_len = 0;
    wire_frame(UNKNOWN, 7, 0, span_text("whatever"));
    wire_frame(DATA, 0, 3, span_text("abc"));
    wire_frame(PING, 0, 0, span_text("12345678"));
    wire_frame(DATA, PADDED, 3, span_of("\2def\0\0", 6));
    wire_number(WINDOW_UPDATE, 0, 1000);
    block_fields(PAIRS("x-sum", "1", "host", "evil"));
    wire_headers(WHOLE, 3);
    wire_frame(PRIORITY, 0, 5, span_of("\0\0\0\0\1", 5));
}

#define REQUESTS                                                                                   \
    "1[GET / host=a]. 3[POST /p?q host=b cookie=a=b; c=d content-length=6]{abcdef} x-sum=1. "

TEST(h2_tells_requests_in_any_cut)
{
    requests_wire();
    check_story(H2_SERVER, REQUESTS "ok");
}

TEST(h2_tells_resets_in_any_cut)
{
    requests_wire();
    wire_get(5);
    wire_number(RST_STREAM, 5, 8);
    block_fields(PAIRS(GET_FIELDS, "x", "a\nb"));
    wire_headers(WHOLE, 7);
    block_fields(PAIRS(GET_FIELDS));
    wire_headers(END_HEADERS, 9);
    wire_frame(DATA, 0, 9, span_text("part"));
    check_story(H2_SERVER, REQUESTS "9[GET / host=a]{part}~ ok");
}

TEST(h2_tells_errors_in_any_cut)
{
    requests_wire();
    wire_number(WINDOW_UPDATE, 0, 0);
    wire_get(5); /* behind the error: not seen */
    check_story(H2_SERVER, REQUESTS "bad_request");

    requests_wire();
    wire_frame(HEADERS, WHOLE, 5, span_of("\xff\xff\xff\xff\xff\xff\xff\xff", 8)); /* no HPACK */
    wire_get(7);
    check_story(H2_SERVER, REQUESTS "bad_request");

    requests_wire();
    wire_frame(PING, 0, 0, span_text("short"));
    wire_get(5);
    check_story(H2_SERVER, REQUESTS "bad_request");

    requests_wire();
    wire_head(16385, DATA, 0, 1);
    wire_get(5);
    check_story(H2_SERVER, REQUESTS "bad_request");

    requests_wire();
    wire_frame(HEADERS, END_STREAM, 5, span_of("\x82", 1));
    wire_frame(DATA, 0, 3, span_text("in a block"));
    check_story(H2_SERVER, REQUESTS "bad_request");

    requests_wire();
    wire_frame(CONTINUATION, END_HEADERS, 5, span_of("\x82", 1));
    check_story(H2_SERVER, REQUESTS "bad_request");

    requests_wire();
    for (int i = 0; i < LIMIT_H2_SETTINGS; i++)
        wire_frame(SETTINGS, 0, 0, span_of(NULL, 0));
    wire_get(5);
    check_story(H2_SERVER, REQUESTS "limit_reached");

    requests_wire();
    block_fields(PAIRS(GET_FIELDS));
    wire_frame(HEADERS, WHOLE, 4, span_of(block_memory, block_len)); /* an even stream */
    block_len = 0;
    check_story(H2_SERVER, REQUESTS "bad_request");
}

TEST(h2_tells_the_first_bytes_in_any_cut)
{
    wire_len = 0;
    wire_add(span_text("PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"));
    check_story(H2_SERVER, "bad_request");

    wire_len = 0;
    wire_add(span_text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    wire_frame(PING, 0, 0, span_text("12345678"));
    check_story(H2_SERVER, "bad_request");

    wire_len = 0;
    wire_frame(SETTINGS, 0, 0, span_of("\0\2\0\0\0\7", 6)); /* ENABLE_PUSH 7 */
    check_story(H2_CLIENT, "origin_bad_response");
}

static void responses_wire(void)
{
    wire_start(H2_SERVER);
    wire_frame(SETTINGS, ACK, 0, span_of(NULL, 0));
    block_fields(PAIRS(":status", "103", "link", "x"));
    wire_headers(END_HEADERS, 1);
    block_fields(PAIRS(":status", "200", "content-length", "5"));
    wire_headers(END_HEADERS, 1);
    block_fields(PAIRS(":status", "200", "content-length", "5"));
    wire_headers(WHOLE, 3);
    wire_frame(DATA, 0, 1, span_text("he"));
    wire_frame(DATA, END_STREAM, 1, span_text("llo"));
    block_fields(PAIRS(":status", "404"));
    wire_headers(END_HEADERS, 5);
    wire_frame(DATA, 0, 5, span_text("x"));
    block_fields(PAIRS("grpc-status", "0"));
    wire_headers(WHOLE, 5);
}

#define RESPONSES                                                                                  \
    "1[200 content-length=5]{hello}. 3[200 content-length=5]. 5[404]{x} grpc-status=0. "

TEST(h2_tells_responses_in_any_cut)
{
    responses_wire();
    check_story(H2_CLIENT, RESPONSES "ok");

    responses_wire();
    wire_frame(GOAWAY, 0, 0, span_of("\0\0\0\5\0\0\0\0debug", 13));
    check_story(H2_CLIENT, RESPONSES "ok");

    responses_wire();
    wire_frame(PUSH_PROMISE, END_HEADERS, 1, span_of("\0\0\0\2\x82", 5));
    check_story(H2_CLIENT, RESPONSES "origin_bad_response");

    responses_wire();
    wire_number(RST_STREAM, 9, 0); /* never opened */
    check_story(H2_CLIENT, RESPONSES "origin_bad_response");
}

TEST_MAIN(TEST_OF(h2_tells_requests_in_any_cut), TEST_OF(h2_tells_resets_in_any_cut),
          TEST_OF(h2_tells_errors_in_any_cut), TEST_OF(h2_tells_the_first_bytes_in_any_cut),
          TEST_OF(h2_tells_responses_in_any_cut))
