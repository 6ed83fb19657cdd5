/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/forward.h"

#include "split.h"
#include "test.h"

/*
 * The engine between a client whose bytes are cut in every way and tunnels that answer as they are
 * told: 200 to CONNECT, then what `reply` says to each complete request.
 */
struct rig {
    struct pool blocks;
    struct pool arena_blocks;
    struct forward forward;
    struct buf tunnel_out;
    struct buf client_out;
    const char *connect_answer;
    const char *reply;
    int has_started;
};

#define OK_ANSWER "HTTP/1.1 200 Connection Established\r\n\r\n"

static struct rig rig;

static void rig_stop(struct rig *r)
{
    if (!r->has_started)
        return;
    forward_fini(&r->forward);
    buf_fini(&r->tunnel_out);
    buf_fini(&r->client_out);
    CHECK_INT(r->blocks.used, 0);
    CHECK_INT(r->arena_blocks.used, 0);
    pool_fini(&r->blocks);
    pool_fini(&r->arena_blocks);
    r->has_started = 0;
}

static void rig_start(void *engine)
{
    struct rig *r = engine;

    rig_stop(r);
    pool_init(&r->blocks, LIMIT_BLOCK, 4, 4);
    pool_init(&r->arena_blocks, LIMIT_ARENA_BLOCK, 64, 64);
    buf_init(&r->tunnel_out, &r->blocks, BUF_PLAIN);
    buf_init(&r->client_out, &r->blocks, BUF_PLAIN);
    forward_init(&r->forward, &r->blocks, &r->arena_blocks, &r->tunnel_out, &r->client_out);
    r->has_started = 1;
}

static void rig_make(const char *connect_answer, const char *reply)
{
    rig.connect_answer = connect_answer;
    rig.reply = reply;
    rig_start(&rig);
}

/* What the engine has for both sides goes into the story; told when there is anything. */
static int queues_tell(struct rig *r, struct text *story)
{
    int moved = !buf_is_empty(&r->tunnel_out) || !buf_is_empty(&r->client_out);

    text_add(story, buf_span(&r->tunnel_out));
    buf_consume(&r->tunnel_out, buf_len(&r->tunnel_out));
    text_add(story, buf_span(&r->client_out));
    buf_consume(&r->client_out, buf_len(&r->client_out));
    return moved;
}

static void tunnel_say(struct rig *r, const char *bytes)
{
    struct err err;

    CHECK_INT(buf_append(&r->forward.tunnel_in, span_text(bytes), &err), 0);
}

/* The gateway's part. 1: it did something. */
static int gateway_step(struct rig *r, struct text *story)
{
    struct forward *forward = &r->forward;

    if (forward->tunnel == FORWARD_TUNNEL_WANTED) {
        text_add_str(story, "<");
        forward_connect_write(forward, story);
        text_add_str(story, ">");
        forward_tunnel_asked(forward);
        tunnel_say(r, r->connect_answer);
        return 1;
    }
    if (forward->state == FORWARD_EXCHANGE && forward->request_done && !forward->response_seen &&
        buf_is_empty(&forward->tunnel_in) && r->reply[0] != '\0') {
        tunnel_say(r, r->reply);
        return 1;
    }
    return 0;
}

/* As far as it goes. -1 after an error, which is told. */
static int rig_run(struct rig *r, struct text *story)
{
    struct err err;
    int moved = 1;

    while (moved > 0) {
        moved = forward_step(&r->forward, &err);
        if (moved < 0) {
            text_addf(story, "!%s: %s", err_reason(err.code), err.text);
            return -1;
        }
        moved |= queues_tell(r, story);
        moved |= gateway_step(r, story);
    }
    return 0;
}

static ssize_t rig_feed(void *engine, struct room piece, struct text *story)
{
    struct rig *r = engine;
    size_t used = buf_append_some(&r->forward.client_in, span_of(piece.ptr, piece.len));

    return rig_run(r, story) < 0 ? -1 : (ssize_t)used;
}

static void rig_finish(void *engine, struct text *story)
{
    struct rig *r = engine;

    forward_client_end(&r->forward);
    (void)rig_run(r, story);
    text_addf(story, "|%d", (int)r->forward.state);
}

static char story_memory[65536];

/* The story of these client bytes, which no cutting may change. */
static const char *story_of(const char *client)
{
    static const struct split_engine engine = {
        .start = rig_start, .feed = rig_feed, .finish = rig_finish, .engine = &rig};
    struct text story;

    text_init(&story, story_memory, sizeof story_memory - 1);
    split_check(&engine, span_text(client), &story);
    rig_stop(&rig);
    return text_str(&story);
}

/* --- the client's bytes, cut everywhere --- */

TEST(forward_rebuilds_requests_and_opens_one_tunnel_for_each_place)
{
    rig_make(OK_ANSWER, "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n");
    CHECK_STR(
        story_of(
            "GET HTTP://A.test:80/a/./%7eb?q HTTP/1.1\r\nHost: z\r\nAccept: */*\r\n"
            "Proxy-Foo: 1\r\nProxy_Bar: 2\r\nProxy-: 0\r\nConnection: X-Hop\r\nX-Hop: 3\r\n\r\n"
            "DELETE http://a.test HTTP/1.1\r\nHost: z\r\n\r\n"
            "GET https://a.test:80/ HTTP/1.1\r\nHost: z\r\n\r\n"),
        "<CONNECT a.test:80 HTTP/1.1>"
        "GET http://a.test/a/~b?q HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\n\r\n"
        "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n"
        "DELETE http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"
        "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n"
        "<CONNECT a.test:80 HTTP/1.1>"
        "GET https://a.test:80/ HTTP/1.1\r\nHost: a.test:80\r\n\r\n"
        "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n|7");
}

TEST(forward_ends_with_a_client_that_says_close_or_speaks_1_0)
{
    rig_make(OK_ANSWER, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
    CHECK_STR(story_of("GET http://[::1]/ HTTP/1.0\r\n\r\nGET http://ignored/ HTTP/1.0\r\n\r\n"),
              "<CONNECT [::1]:80 HTTP/1.1>GET http://[::1]/ HTTP/1.1\r\nHost: [::1]\r\n\r\n"
              "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nx|7");
    CHECK_STR(story_of("GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
              "<CONNECT a:80 HTTP/1.1>GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
              "1\r\nx\r\n0\r\n\r\n|7");
}

TEST(forward_gives_the_refusal_of_the_gateway_and_goes_on)
{
    rig_make("HTTP/1.1 403 no http\r\nContent-Length: 2\r\nExeat-Reason: policy_denied\r\n"
             "Connection: close\r\n\r\n{}",
             "");
    CHECK_STR(story_of("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"
                       "HEAD http://b/ HTTP/1.1\r\nHost: b\r\n\r\n"),
              "<CONNECT a:80 HTTP/1.1>HTTP/1.1 403 no http\r\nExeat-Reason: policy_denied\r\n"
              "Content-Length: 2\r\n\r\n{}"
              "<CONNECT b:80 HTTP/1.1>HTTP/1.1 403 no http\r\nExeat-Reason: policy_denied\r\n"
              "Content-Length: 2\r\n\r\n|7");
}

/* The gateway knows which of them it carries; a list of them is not passed on. */
TEST(forward_offers_the_one_protocol_that_a_request_without_content_asks_for)
{
    rig_make(OK_ANSWER, "HTTP/1.1 204 No Content\r\n\r\n");
    CHECK_STR(story_of("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
                       "Connection: upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
                       "GET http://a/ HTTP/1.1\r\nHost: a\r\n"
                       "Connection: upgrade\r\nUpgrade: h2c, websocket\r\n\r\n"
                       "PUT http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                       "Connection: upgrade\r\nUpgrade: websocket\r\n\r\nx"),
              "<CONNECT a:80 HTTP/1.1>POST http://a/ HTTP/1.1\r\nHost: a\r\n"
              "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n"
              "HTTP/1.1 204 No Content\r\n\r\n"
              "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
              "PUT http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
              "HTTP/1.1 204 No Content\r\n\r\n|7");
}

TEST(forward_gives_a_challenge_with_its_407)
{
    rig_make("HTTP/1.1 407 no\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", "");
    CHECK_STR(story_of("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
              "<CONNECT a:80 HTTP/1.1>HTTP/1.1 407 no\r\nProxy-Authenticate: Basic\r\n"
              "Content-Length: 0\r\n\r\n|7");
}

TEST(forward_hands_a_client_over_that_goes_on_with_connect)
{
    rig_make(OK_ANSWER, "HTTP/1.1 204 No Content\r\n\r\n");
    CHECK_STR(story_of("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\nCONNECT b:1 HTTP/1.1\r\n\r\n"),
              "<CONNECT a:80 HTTP/1.1>GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"
              "HTTP/1.1 204 No Content\r\n\r\n|6");
}

TEST(forward_refuses_what_is_no_url)
{
    rig_make(OK_ANSWER, "");
    CHECK_STR(
        story_of("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        "!method_not_allowed: this is a proxy: ask for a whole URL (GET http://host/path), or "
        "CONNECT");
    CHECK_STR(story_of("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
              "!not_supported: ftp: is not carried, only http: and https: (or CONNECT)");
    CHECK_STR(story_of("GET http:a HTTP/1.1\r\nHost: a\r\n\r\n"),
              "!bad_target: neither a URL nor CONNECT: GET http://host/path HTTP/1.1");
    CHECK_STR(story_of("GET http://a/ HTTP/1.1\nHost: a\n\n"), "!bad_request: head: bare LF at 22");
    CHECK_STR(story_of("GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n"),
              "!bad_request: Connection names 'Host'");
    CHECK_STR(story_of("GET http://a/ HTTP/1.1\r\nHo"),
              "!bad_request: the request ends before its head does|1");
}

/* --- contents: merged, for a cut may end a chunk --- */

static void client_say(const char *bytes)
{
    struct err err;

    CHECK_INT(buf_append(&rig.forward.client_in, span_text(bytes), &err), 0);
}

static const char *story_now(void)
{
    struct text story;

    text_init(&story, story_memory, sizeof story_memory - 1);
    (void)rig_run(&rig, &story);
    return text_str(&story);
}

TEST(forward_reads_no_further_than_the_queue_behind_has_room)
{
    static char content[LIMIT_BLOCK];
    size_t sent = 0;
    struct err err;

    rig_make(OK_ANSWER, "");
    client_say("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n");
    CHECK_STR(story_now(), "<CONNECT a:80 HTTP/1.1>POST http://a/ HTTP/1.1\r\nHost: a\r\n"
                           "Content-Length: 300000\r\n\r\n");
    memset(content, 'x', sizeof content);
    for (int i = 0; i < 2; i++) {
        sent += buf_append_some(&rig.forward.client_in, span_of(content, sizeof content));
        while (forward_step(&rig.forward, &err) > 0)
            ;
    }
    CHECK(buf_len(&rig.tunnel_out) > LIMIT_BLOCK - 64);
    CHECK(buf_len(&rig.forward.client_in) > LIMIT_BLOCK - 64);
    CHECK_INT(buf_len(&rig.tunnel_out) + buf_len(&rig.forward.client_in), sent);
    rig_stop(&rig);
}

TEST(forward_sends_a_request_again_that_met_the_end_of_its_tunnel)
{
    rig_make(OK_ANSWER, "HTTP/1.1 204 No Content\r\n\r\n");
    client_say("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)story_now();
    rig.reply = "";
    client_say("GET http://a/2 HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_STR(story_now(), "GET http://a/2 HTTP/1.1\r\nHost: a\r\n\r\n");
    forward_tunnel_end(&rig.forward, NULL);
    CHECK_STR(story_now(), "<CONNECT a:80 HTTP/1.1>GET http://a/2 HTTP/1.1\r\nHost: a\r\n\r\n");
    forward_tunnel_end(&rig.forward, NULL);
    CHECK_STR(story_now(), "!gateway_unreachable: gateway: it ended the tunnel without an answer");
    rig_stop(&rig);
}

TEST(forward_drops_a_tunnel_that_speaks_without_being_asked)
{
    rig_make(OK_ANSWER, "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n");
    client_say("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)story_now();
    CHECK_INT(rig.forward.tunnel, FORWARD_TUNNEL_NONE);
    CHECK_INT(rig.forward.state, FORWARD_IDLE);
    rig_stop(&rig);
}

TEST(forward_stops_after_the_exchange)
{
    rig_make(OK_ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    forward_stop(&rig.forward);
    client_say("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(strstr(story_now(), "\r\nConnection: close\r\n") != NULL);
    CHECK_INT(rig.forward.state, FORWARD_DONE);
    rig_stop(&rig);
}

/* --- the tunnel's bytes, cut everywhere --- */

static void reader_start(void *engine)
{
    rig_start(engine);
    rig.connect_answer = "";
    client_say("GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
               "Upgrade: websocket\r\n\r\n");
}

static ssize_t reader_feed(void *engine, struct room piece, struct text *story)
{
    struct rig *r = engine;
    size_t used;

    if (rig_run(r, story) < 0)
        return -1;
    used = buf_append_some(&r->forward.tunnel_in, span_of(piece.ptr, piece.len));
    return rig_run(r, story) < 0 ? -1 : (ssize_t)used;
}

static void reader_finish(void *engine, struct text *story)
{
    struct rig *r = engine;

    forward_tunnel_end(&r->forward, NULL);
    (void)rig_run(r, story);
    text_addf(story, "|%d", (int)r->forward.state);
}

static const char *story_of_tunnel(const char *bytes)
{
    static const struct split_engine engine = {
        .start = reader_start, .feed = reader_feed, .finish = reader_finish, .engine = &rig};
    struct text story;
    const char *told;

    rig.reply = "";
    text_init(&story, story_memory, sizeof story_memory - 1);
    split_check(&engine, span_text(bytes), &story);
    rig_stop(&rig);
    told = strstr(text_str(&story), "Upgrade: websocket\r\n\r\n");
    return told == NULL ? text_str(&story) : told + strlen("Upgrade: websocket\r\n\r\n");
}

TEST(forward_tells_the_same_response_however_the_tunnel_cuts_it)
{
    CHECK_STR(story_of_tunnel(OK_ANSWER "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
                                        "HTTP/1.1 200 OK\r\nKeep-Alive: 1\r\nX: 2\r\n"
                                        "Content-Length: 3\r\n\r\nabc"),
              "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
              "HTTP/1.1 200 OK\r\nX: 2\r\nContent-Length: 3\r\n\r\nabc|0");
    CHECK_STR(story_of_tunnel(OK_ANSWER "HTTP/1.1 101 Go\r\nUpgrade: WebSocket\r\n"
                                        "Connection: Upgrade\r\n\r\nraw\r\n\r\nbytes"),
              "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
              "raw\r\n\r\nbytes|7");
}

TEST(forward_takes_no_response_that_is_cut_or_malformed)
{
    CHECK_STR(story_of_tunnel(OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Len"),
              "!origin_closed: the connection ended in a head|4");
    CHECK_STR(story_of_tunnel(OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
              "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
              "!origin_closed: the connection ended in the content|4");
    CHECK_STR(story_of_tunnel(OK_ANSWER "HTTP/1.1 101 Go\r\nUpgrade: SPDY/3.1\r\n"
                                        "Connection: Upgrade\r\n\r\n"),
              "!origin_bad_response: 101 for what was not asked");
    CHECK_STR(story_of_tunnel("HTTP/1.1 204 No\r\n\r\n"),
              "<CONNECT a:80 HTTP/1.1>!gateway_unreachable: gateway: it answered 204 to CONNECT");
    CHECK_STR(story_of_tunnel("HTTP/1.1 200 OK\n\n"),
              "<CONNECT a:80 HTTP/1.1>!origin_bad_response: head: bare LF at 15");
}

TEST_MAIN(TEST_OF(forward_rebuilds_requests_and_opens_one_tunnel_for_each_place),
          TEST_OF(forward_ends_with_a_client_that_says_close_or_speaks_1_0),
          TEST_OF(forward_gives_the_refusal_of_the_gateway_and_goes_on),
          TEST_OF(forward_offers_the_one_protocol_that_a_request_without_content_asks_for),
          TEST_OF(forward_gives_a_challenge_with_its_407),
          TEST_OF(forward_hands_a_client_over_that_goes_on_with_connect),
          TEST_OF(forward_refuses_what_is_no_url),
          TEST_OF(forward_reads_no_further_than_the_queue_behind_has_room),
          TEST_OF(forward_sends_a_request_again_that_met_the_end_of_its_tunnel),
          TEST_OF(forward_drops_a_tunnel_that_speaks_without_being_asked),
          TEST_OF(forward_stops_after_the_exchange),
          TEST_OF(forward_tells_the_same_response_however_the_tunnel_cuts_it),
          TEST_OF(forward_takes_no_response_that_is_cut_or_malformed))
