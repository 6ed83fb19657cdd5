/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine as a story: what a stream of bytes means, whole and cut anywhere. Messages are read
 * one after the other; "midway" and the end of the connection are part of the story.
 */
#include "http/h1.h"

#include "../../split.h"
#include "fixture.h"

/* An engine and how it is driven. */
struct teller {
    struct h1 h1;
    enum h1_role role;
    struct span method;
    int in_data; /* adjacent content is told as one */
};

static struct teller teller;
static char story_memory[65536];

static void teller_start(void *engine)
{
    struct teller *t = engine;

    t->in_data = 0;
    h1_init(&t->h1, t->role);
    h1_begin(&t->h1, arena_fresh(), t->method);
    CHECK(!h1_is_midway(&t->h1));
}

static void fields_tell(const struct http_fields *fields, struct text *story)
{
    for (size_t i = 0; i < fields->count; i++) {
        text_add_str(story, " ");
        text_add(story, fields->items[i].name);
        text_add_str(story, "=");
        text_add(story, fields->items[i].value);
    }
}

static void head_tell(const struct h1 *h1, struct text *story)
{
    if (h1->role == H1_REQUESTS) {
        text_add(story, h1->request.method);
        text_add_str(story, " ");
        text_add(story, h1->request.target);
        fields_tell(&h1->request.fields, story);
        return;
    }
    text_add_u64(story, (uint64_t)h1->response.status);
    fields_tell(&h1->response.fields, story);
}

static void event_tell(struct teller *t, const struct h1_event *event, struct text *story)
{
    if (event->type != H1_DATA && t->in_data)
        text_add_str(story, "}");
    if (event->type == H1_DATA) {
        CHECK(event->data.len > 0);
        if (!t->in_data)
            text_add_str(story, "{");
        text_add(story, event->data);
    }
    t->in_data = event->type == H1_DATA;
    if (event->type == H1_HEAD || event->type == H1_INTERIM) {
        text_add_str(story, event->type == H1_HEAD ? "[" : "(");
        head_tell(&t->h1, story);
        text_add_str(story, event->type == H1_HEAD ? "]" : ")");
    }
    if (event->type == H1_END) {
        text_add_str(story, ".");
        h1_begin(&t->h1, &fixture_arena, t->method);
    }
}

static ssize_t teller_feed(void *engine, struct room piece, struct text *story)
{
    struct teller *t = engine;
    struct h1_event event;
    struct err err;
    size_t used;

    if (h1_feed(&t->h1, span_of_room(piece), &used, &err) < 0) {
        CHECK_INT(h1_next(&t->h1, &event), 0);
        text_addf(story, "%s!%s", t->in_data ? "}" : "", err_reason(err.code));
        CHECK_INT(h1_feed(&t->h1, span_of_room(piece), &used, &err), -1);
        return -1;
    }
    while (h1_next(&t->h1, &event))
        event_tell(t, &event, story);
    return (ssize_t)used;
}

static void teller_finish(void *engine, struct text *story)
{
    struct teller *t = engine;
    struct h1_event event;
    struct err err;

    if (h1_is_midway(&t->h1))
        text_add_str(story, "~");
    if (h1_eof(&t->h1, &err) < 0) {
        text_addf(story, "%s!%s", t->in_data ? "}" : "", err_reason(err.code));
        return;
    }
    while (h1_next(&t->h1, &event))
        event_tell(t, &event, story);
    text_add_str(story, "eof");
}

static const struct split_engine engine = {
    .start = teller_start, .feed = teller_feed, .finish = teller_finish, .engine = &teller};

static void check_story_span(struct span in, const char *expected)
{
    struct text story;

    text_init(&story, story_memory, sizeof story_memory);
    split_check(&engine, in, &story);
    CHECK_SPAN(text_span(&story), expected);
}

static void check_requests(const char *in, const char *expected)
{
    teller.role = H1_REQUESTS;
    teller.method = span_of(NULL, 0);
    check_story_span(span_text(in), expected);
}

static void check_responses(const char *method, const char *in, const char *expected)
{
    teller.role = H1_RESPONSES;
    teller.method = span_text(method);
    check_story_span(span_text(in), expected);
}

TEST(h1_reads_requests_without_and_with_content)
{
    check_requests("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "[GET / Host=a].eof");
    check_requests("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
                   "[PUT / Host=a Content-Length=5]{hello}.eof");
    check_requests("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
                   "[PUT / Host=a Content-Length=0].eof");
    check_requests("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "5;e\r\nhello\r\n1\r\n \r\n05\r\nworld\r\n0\r\nT: t\r\n\r\n",
                   "[PUT / Host=a Transfer-Encoding=chunked]{hello world}.eof");
    check_requests("", "eof");
}

TEST(h1_reads_pipelined_requests_in_their_order_A8)
{
    check_requests("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                   "GET /2 HTTP/1.1\r\nHost: b\r\n\r\n"
                   "POST /3 HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "1\r\nx\r\n0\r\n\r\n"
                   "GET /4 HTTP/1.0\r\n\r\n",
                   "[POST /1 Host=a Content-Length=3]{abc}."
                   "[GET /2 Host=b]."
                   "[POST /3 Host=c Transfer-Encoding=chunked]{x}."
                   "[GET /4].eof");
}

/* A1: what follows an ambiguous head is never looked at as a request. */
TEST(h1_stops_at_the_first_error_for_good_A1)
{
    check_requests("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n"
                   "Host: a\r\n\r\n",
                   "!bad_request");
    check_requests("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "5\r\nhelloX\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
                   "[POST / Host=a Transfer-Encoding=chunked]{hello}!bad_request");
    check_requests("GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                   "[GET / Host=a].!bad_request");
    check_requests("GET / HTTP/1.1\nHost: a\r\n\r\n", "!bad_request");
    check_requests("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "!not_supported");
}

TEST(h1_leaves_what_follows_connect_to_the_caller)
{
    static struct h1 h1;
    static const char in[] = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n\x16\x03\x01";
    struct h1_event event;
    struct err err;
    size_t used;

    h1_init(&h1, H1_REQUESTS);
    h1_begin(&h1, arena_fresh(), span_of(NULL, 0));
    CHECK_INT(h1_feed(&h1, span_text(in), &used, &err), 0);
    CHECK_INT(used, sizeof in - 1 - 3);
    CHECK_INT(h1_next(&h1, &event), 1);
    CHECK_INT(event.type, H1_HEAD);
    CHECK_INT(h1_next(&h1, &event), 1);
    CHECK_INT(event.type, H1_END);
    CHECK_INT(h1_feed(&h1, span_text("\x16\x03\x01"), &used, &err), 0);
    CHECK_INT(used, 0);
    CHECK_INT(h1_next(&h1, &event), 0);
    CHECK(!h1_is_midway(&h1));
}

TEST(h1_takes_no_byte_while_an_event_waits)
{
    static struct h1 h1;
    static const char in[] = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    struct h1_event event;
    struct err err;
    size_t used;
    size_t again;

    h1_init(&h1, H1_REQUESTS);
    h1_begin(&h1, arena_fresh(), span_of(NULL, 0));
    CHECK_INT(h1_feed(&h1, span_text(in), &used, &err), 0);
    CHECK_INT(used, sizeof in - 1 - 5);
    CHECK_INT(h1_feed(&h1, span_text("hello"), &again, &err), 0);
    CHECK_INT(again, 0);
    CHECK_INT(h1_next(&h1, &event), 1);
    CHECK_INT(h1_feed(&h1, span_text("hello"), &again, &err), 0);
    CHECK_INT(again, 5);
    CHECK_INT(h1_next(&h1, &event), 1);
    CHECK_SPAN(event.data, "hello");
    CHECK_INT(h1_feed(&h1, span_text("x"), &again, &err), 0);
    CHECK_INT(again, 0);
    CHECK_INT(h1_next(&h1, &event), 1);
    CHECK_INT(event.type, H1_END);
}

TEST(h1_says_when_a_request_is_cut_off)
{
    check_requests("GET", "~!bad_request");
    check_requests("GET / HTTP/1.1\r\nHost: a\r\n\r", "~!bad_request");
    check_requests("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
                   "[PUT / Host=a Content-Length=5]{hell~}!bad_request");
    check_requests("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                   "[PUT / Host=a Transfer-Encoding=chunked]~!bad_request");
}

TEST(h1_reads_responses)
{
    check_responses("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                    "[200 Content-Length=2]{hi}.eof");
    check_responses("GET",
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "2\r\nhi\r\n0\r\n\r\n",
                    "[200 Transfer-Encoding=chunked]{hi}.eof");
    check_responses("GET", "HTTP/1.1 200 OK\r\n\r\nuntil the end", "[200]{until the end~}.eof");
    check_responses("GET", "HTTP/1.0 200\r\n\r\n", "[200]~.eof");
    check_responses("GET", "", "eof");
}

TEST(h1_says_when_a_response_is_cut_off_A11)
{
    check_responses("GET", "HTTP/1.1 200 OK\r\n", "~!origin_closed");
    check_responses("GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
                    "[200 Content-Length=3]{hi~}!origin_closed");
    check_responses("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
                    "[200 Transfer-Encoding=chunked]{hi~}!origin_closed");
    check_responses("GET", "HTTP/1.1 100 Continue\r\n\r\n", "(100)~!origin_closed");
}

TEST(h1_reads_no_content_where_none_can_be_A11)
{
    check_responses("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                    "[200 Content-Length=5].eof");
    check_responses("HEAD", "HTTP/1.1 200 OK\r\n\r\n", "[200].eof");
    check_responses("GET", "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n",
                    "[304 Content-Length=5].eof");
    check_responses("GET", "HTTP/1.1 204 x\r\n\r\n", "[204].eof");
    check_responses("GET", "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n",
                    "[101 Upgrade=websocket].eof");
    check_responses("CONNECT", "HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\n",
                    "[200 Content-Length=5].eof");
}

/* A11, A12: bytes behind the end are the caller's to see; as a next response they are an error. */
TEST(h1_gives_no_byte_behind_the_end_to_the_response_A12)
{
    check_responses("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                    "[200 Content-Length=5].!origin_bad_response");
    check_responses("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiX",
                    "[200 Content-Length=2]{hi}.!origin_bad_response");
    check_responses("GET", "HTTP/1.1 204 x\r\nContent-Length: 2\r\n\r\nhi",
                    "[204 Content-Length=2].!origin_bad_response");
}

TEST(h1_hands_interim_responses_on_A11)
{
    check_responses("POST",
                    "HTTP/1.1 100 Continue\r\n\r\n"
                    "HTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 9\r\n\r\n"
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                    "(100)(103 Link=x Content-Length=9)[200 Content-Length=2]{hi}.eof");
}

TEST(h1_stops_a_storm_of_interim_responses_A11)
{
    static char memory[8192];
    static char expected[1024];
    struct text text;
    struct text story;

    for (int extra = 0; extra < 2; extra++) {
        text_init(&text, memory, sizeof memory);
        text_init(&story, expected, sizeof expected);
        for (int i = 0; i < LIMIT_INTERIM_COUNT + extra; i++)
            text_add_str(&text, "HTTP/1.1 102 x\r\n\r\n");
        for (int i = 0; i < LIMIT_INTERIM_COUNT; i++)
            text_add_str(&story, "(102)");
        text_add_str(&text, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        text_add_str(&story, extra == 0 ? "[200 Content-Length=0].eof" : "!origin_bad_response");
        check_responses("GET", text_str(&text), text_str(&story));
    }
}

TEST(h1_refuses_bad_responses_A11)
{
    check_responses("GET", "<html>", "!origin_bad_response");
    check_responses("GET", "HTTP/1.1 999 x\r\n\r\n", "!origin_bad_response");
    check_responses("GET", "HTTP/1.1 200 x\nA: b\r\n\r\n", "!origin_bad_response");
    check_responses("GET",
                    "HTTP/1.1 200 x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                    "!origin_bad_response");
    check_responses("GET", "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhiX",
                    "[200 Transfer-Encoding=chunked]{hi}!origin_bad_response");
}

TEST(h1_copies_the_head_so_that_the_input_may_go)
{
    static char in[] = "GET /path HTTP/1.1\r\nHost: a\r\n\r\n";
    static struct h1 h1;
    struct h1_event event;
    struct err err;
    size_t used;

    h1_init(&h1, H1_REQUESTS);
    h1_begin(&h1, arena_fresh(), span_of(NULL, 0));
    CHECK_INT(h1_feed(&h1, span_text(in), &used, &err), 0);
    memset(in, 'x', sizeof in - 1);
    CHECK_INT(h1_next(&h1, &event), 1);
    CHECK_SPAN(h1.request.target, "/path");
    CHECK_SPAN(h1.request.fields.items[0].value, "a");
}

TEST(h1_says_when_there_is_no_memory)
{
    static struct h1 h1;
    struct arena arena;
    struct err err;
    size_t used;

    (void)arena_fresh();
    arena_init(&arena, &fixture_blocks, 16);
    h1_init(&h1, H1_RESPONSES);
    h1_begin(&h1, &arena, span_text("GET"));
    CHECK_INT(h1_feed(&h1, span_text("HTTP/1.1 200 OK\r\nA: b\r\n\r\n"), &used, &err), -1);
    CHECK_INT(err.code, ERR_MEMORY);
}

TEST_MAIN(TEST_OF(h1_reads_requests_without_and_with_content),
          TEST_OF(h1_reads_pipelined_requests_in_their_order_A8),
          TEST_OF(h1_stops_at_the_first_error_for_good_A1),
          TEST_OF(h1_leaves_what_follows_connect_to_the_caller),
          TEST_OF(h1_takes_no_byte_while_an_event_waits),
          TEST_OF(h1_says_when_a_request_is_cut_off), TEST_OF(h1_reads_responses),
          TEST_OF(h1_says_when_a_response_is_cut_off_A11),
          TEST_OF(h1_reads_no_content_where_none_can_be_A11),
          TEST_OF(h1_gives_no_byte_behind_the_end_to_the_response_A12),
          TEST_OF(h1_hands_interim_responses_on_A11),
          TEST_OF(h1_stops_a_storm_of_interim_responses_A11), TEST_OF(h1_refuses_bad_responses_A11),
          TEST_OF(h1_copies_the_head_so_that_the_input_may_go),
          TEST_OF(h1_says_when_there_is_no_memory))
