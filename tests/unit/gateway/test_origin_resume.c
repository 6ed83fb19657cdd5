/* SPDX-License-Identifier: Apache-2.0 */
/* Which connection may resume which. Threats G4, H7, I6. */
#include "gateway/origin_resume.h"

#include <time.h>

#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/leaf.h"
#include "ends.h"
#include "test.h"

#define ROOM 66560

static struct leaf_ca *ca;
static struct leaf_key *leaf_key;
static struct leaf *leaf;
static struct bundle_roots *roots;
static struct tls_context *origin_context;
static struct tls_context *context;
static struct host host;
static struct origin_resume resume;

static int setup(void **state)
{
    char memory[4096];
    uint8_t der_memory[LEAF_DER_MAX];
    uint8_t spki_memory[256];
    struct text pem;
    struct text der;
    struct text spki;
    struct secret secret = {0};
    struct err err;

    (void)state;
    host = ends_host("api.test", HOST_NAME);
    text_init(&pem, memory, sizeof memory);
    text_init(&der, der_memory, sizeof der_memory);
    text_init(&spki, spki_memory, sizeof spki_memory);
    if (digest_setup(&err) < 0 ||
        leaf_ca_generate(span_text("test CA"), time(NULL), 30, &pem, &secret, &err) < 0)
        return -1;
    ca = leaf_ca_new(text_span(&pem), secret_span(&secret), &err);
    secret_fini(&secret);
    leaf_key = leaf_key_new(&err);
    roots = bundle_roots_new(text_span(&pem), &err);
    CHECK_INT(leaf_key_public(leaf_key, &spki, &err), 0);
    CHECK_INT(leaf_mint(ca, &host, text_span(&spki), time(NULL), 86400, &der, &err), 0);
    leaf = leaf_new(text_span(&der), leaf_key, &err);
    origin_context = tls_context_new_inspect(&err);
    context = tls_context_new_client(roots, "http/1.1", &err);
    tls_context_allow_resumption(context);
    return tls_context_add_tickets(origin_context, &err);
}

static int teardown(void **state)
{
    (void)state;
    tls_context_free(origin_context);
    tls_context_free(context);
    bundle_roots_free(roots);
    leaf_free(leaf);
    leaf_key_free(leaf_key);
    leaf_ca_free(ca);
    return 0;
}

static int begin(void **state)
{
    struct err err;

    (void)state;
    return origin_resume_init(&resume, &err);
}

static int end(void **state)
{
    (void)state;
    origin_resume_fini(&resume);
    return 0;
}

static struct origin_resume_key key_of(const char *session, uint16_t port)
{
    return (struct origin_resume_key){
        .session = span_text(session), .host = &host, .port = port, .alpn = TLS_ALPN_H1};
}

/* One connection by this key, from give to keep: whether it was resumed. */
static int connection(const struct origin_resume_key *key, int64_t now_s)
{
    struct err err;
    struct end client;
    struct end server;
    int given;
    int resumed;

    end_init(&client, ROOM, ROOM);
    end_init(&server, ROOM, ROOM);
    CHECK_INT(tls_init_server(&server.tls, origin_context, leaf, &err), 0);
    CHECK_INT(tls_allow_ticket(&server.tls, span_text("origin"), &host, &err), 0);
    CHECK_INT(tls_init_client(&client.tls, context, &host, &err), 0);
    given = origin_resume_give(&resume, key, &client.tls, now_s);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.tls.state, TLS_OPEN);
    resumed = tls_is_resumed(&client.tls);
    CHECK_INT(given, resumed);
    origin_resume_keep(&resume, key, &client.tls);
    end_fini(&client);
    end_fini(&server);
    return resumed;
}

TEST(origin_resume_is_for_the_same_session_host_port_and_offer_only)
{
    struct origin_resume_key key = key_of("one", 443);
    struct origin_resume_key other = key;
    struct host name = ends_host("b.test", HOST_NAME);
    struct tls tls = {0};
    struct err err;

    CHECK_INT(connection(&key, time(NULL)), 0);
    CHECK_INT(connection(&key, time(NULL)), 1);
    CHECK_INT(connection(&key, time(NULL)), 1);
    other.session = span_text("two");
    CHECK_INT(connection(&other, time(NULL)), 0);
    other = key;
    other.port = 8443;
    CHECK_INT(connection(&other, time(NULL)), 0);
    other = key;
    other.alpn = TLS_ALPN_H1 | TLS_ALPN_H2;
    CHECK_INT(connection(&other, time(NULL)), 0);
    other = key;
    other.host = &name;
    CHECK_INT(tls_init_client(&tls, context, &name, &err), 0);
    CHECK_INT(origin_resume_give(&resume, &other, &tls, time(NULL)), 0);
    tls_fini(&tls);
    CHECK_INT(connection(&key, time(NULL)), 1);
    CHECK_INT(resume.map.count, 4);
}

TEST(origin_resume_gives_nothing_an_hour_later)
{
    struct origin_resume_key key = key_of("one", 443);

    CHECK_INT(connection(&key, time(NULL)), 0);
    CHECK_INT(connection(&key, time(NULL) + TLS_SESSION_S), 0);
    CHECK_INT(connection(&key, time(NULL) + TLS_SESSION_S - 60), 1);
}

/* TLS 1.3: a ticket is for one connection; two at once cannot both have it. */
TEST(origin_resume_gives_each_only_once)
{
    struct origin_resume_key key = key_of("one", 443);
    struct tls first = {0};
    struct tls second = {0};
    struct err err;

    CHECK_INT(connection(&key, time(NULL)), 0);
    CHECK_INT(tls_init_client(&first, context, &host, &err), 0);
    CHECK_INT(tls_init_client(&second, context, &host, &err), 0);
    CHECK_INT(origin_resume_give(&resume, &key, &first, time(NULL)), 1);
    CHECK_INT(origin_resume_give(&resume, &key, &second, time(NULL)), 0);
    tls_fini(&first);
    tls_fini(&second);
}

TEST(origin_resume_keeps_nothing_of_a_handshake_that_is_not_done)
{
    struct origin_resume_key key = key_of("one", 443);
    struct tls tls = {0};
    struct err err;

    CHECK_INT(tls_init_client(&tls, context, &host, &err), 0);
    origin_resume_keep(&resume, &key, &tls);
    tls_fini(&tls);
    origin_resume_keep(&resume, &key, &tls);
    CHECK_INT(resume.map.count, 0);
}

TEST(origin_resume_forgets_a_session_and_no_other)
{
    struct origin_resume_key one = key_of("one", 443);
    struct origin_resume_key longer = key_of("one1", 443);

    CHECK_INT(connection(&one, time(NULL)), 0);
    CHECK_INT(connection(&longer, time(NULL)), 0);
    origin_resume_forget(&resume, span_text("one"));
    CHECK_INT(connection(&longer, time(NULL)), 1);
    CHECK_INT(connection(&one, time(NULL)), 0);
}

TEST(origin_resume_of_one_session_never_takes_more_than_its_share)
{
    struct origin_resume_key other = key_of("other", 443);

    CHECK_INT(connection(&other, time(NULL)), 0);
    for (uint16_t port = 1; port <= ORIGIN_RESUME_SHARE + 8; port++) {
        struct origin_resume_key key = key_of("greedy", port);

        CHECK_INT(connection(&key, time(NULL)), 0);
    }
    CHECK_INT(resume.map.count, ORIGIN_RESUME_SHARE + 1);
    CHECK_INT(connection(&other, time(NULL)), 1);
    for (uint16_t port = 1; port <= ORIGIN_RESUME_SHARE + 8; port += ORIGIN_RESUME_SHARE + 7) {
        struct origin_resume_key key = key_of("greedy", port);

        CHECK_INT(connection(&key, time(NULL)), port > 8); /* the oldest went */
    }
}

TEST(origin_resume_is_bounded_in_all)
{
    for (int i = 0; i < ORIGIN_RESUME_MAX + 16; i++) {
        char name[16];
        struct origin_resume_key key;

        (void)snprintf(name, sizeof name, "session%d", i);
        key = key_of(name, 443);
        CHECK_INT(connection(&key, time(NULL)), 0);
    }
    CHECK_INT(resume.map.count, ORIGIN_RESUME_MAX);
    CHECK_INT(resume.entries.used, ORIGIN_RESUME_MAX);
}

#define TEST_EACH(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_EACH(origin_resume_is_for_the_same_session_host_port_and_offer_only),
        TEST_EACH(origin_resume_gives_nothing_an_hour_later),
        TEST_EACH(origin_resume_gives_each_only_once),
        TEST_EACH(origin_resume_keeps_nothing_of_a_handshake_that_is_not_done),
        TEST_EACH(origin_resume_forgets_a_session_and_no_other),
        TEST_EACH(origin_resume_of_one_session_never_takes_more_than_its_share),
        TEST_EACH(origin_resume_is_bounded_in_all),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
