/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets towards clients and resumption towards servers, each tested with the other. Threat H7. */
#include <time.h>

#include <openssl/ssl.h>

#include "crypto/digest.h"
#include "crypto/leaf.h"
#include "crypto/library.h"
#include "crypto/tls_session.h"
#include "ends.h"
#include "test.h"

#define ROOM 66560

static struct leaf_ca *ca;
static struct leaf_key *key;
static struct bundle_roots *roots;
static struct tls_context *server_context; /* with tickets */
static struct tls_context *client_context;
static int version; /* the most that the client offers */

static struct tls_context *inspect_new(void)
{
    struct err err;
    struct tls_context *context = tls_context_new_inspect(&err);

    CHECK(context != NULL);
    CHECK_INT(tls_context_add_tickets(context, &err), 0);
    return context;
}

static struct tls_context *client_new(void)
{
    struct err err;
    struct tls_context *context = tls_context_new_client(roots, "http/1.1", &err);

    CHECK(context != NULL);
    tls_context_allow_resumption(context);
    return context;
}

static int setup(void **state)
{
    char memory[4096];
    struct text pem;
    struct secret secret = {0};
    struct err err;

    (void)state;
    text_init(&pem, memory, sizeof memory);
    if (digest_setup(&err) < 0 ||
        leaf_ca_generate(span_text("test CA"), time(NULL), 30, &pem, &secret, &err) < 0)
        return -1;
    ca = leaf_ca_new(text_span(&pem), secret_span(&secret), &err);
    secret_fini(&secret);
    key = leaf_key_new(&err);
    roots = bundle_roots_new(text_span(&pem), &err);
    if (ca == NULL || key == NULL || roots == NULL)
        return -1;
    server_context = inspect_new();
    client_context = client_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tls_context_free(server_context);
    tls_context_free(client_context);
    bundle_roots_free(roots);
    leaf_key_free(key);
    leaf_ca_free(ca);
    return 0;
}

static int each(void **state)
{
    (void)state;
    version = TLS1_3_VERSION;
    return 0;
}

static struct leaf *leaf_of(const struct host *host, int64_t lifetime_s)
{
    char memory[LEAF_DER_MAX];
    char spki_memory[256];
    struct text der;
    struct text spki;
    struct err err;
    struct leaf *leaf;

    text_init(&der, memory, sizeof memory);
    text_init(&spki, spki_memory, sizeof spki_memory);
    CHECK_INT(leaf_key_public(key, &spki, &err), 0);
    CHECK_INT(leaf_mint(ca, host, text_span(&spki), time(NULL), lifetime_s, &der, &err), 0);
    leaf = leaf_new(text_span(&der), key, &err);
    CHECK(leaf != NULL);
    return leaf;
}

/* One connection: what the client gives (or NULL), who the tunnel's owner is on the server. */
struct visit {
    const char *host;
    const char *owner; /* NULL: no ticket is allowed */
    struct tls_context *server;
    const struct tls_session *give;
    int64_t lifetime_s; /* of the leaf; 0: a day */
    struct tls_session *take;
    int gave;
    int took;
};

/* 1 resumed, 0 in full; both ends agree, and bytes arrive. */
static int visit(struct visit *v)
{
    struct host host = ends_host(v->host, HOST_NAME);
    struct leaf *leaf = leaf_of(&host, v->lifetime_s == 0 ? 86400 : v->lifetime_s);
    struct err err = {0};
    struct end client;
    struct end server;
    size_t used;
    int resumed;

    end_init(&client, ROOM, ROOM);
    end_init(&server, ROOM, ROOM);
    CHECK_INT(
        tls_init_server(&server.tls, v->server == NULL ? server_context : v->server, leaf, &err),
        0);
    if (v->owner != NULL)
        CHECK_INT(tls_allow_ticket(&server.tls, span_text(v->owner), &host, &err), 0);
    tls_allow_alpn(&server.tls, TLS_ALPN_H1 | TLS_ALPN_H2);
    CHECK_INT(tls_init_client(&client.tls, client_context, &host, &err), 0);
    SSL_set_max_proto_version(client.tls.ssl, version);
    CHECK_INT(tls_offer_alpn(&client.tls, TLS_ALPN_H1 | TLS_ALPN_H2, &err), 0);
    v->gave = v->give != NULL && tls_session_give(&client.tls, v->give, time(NULL));
    ends_run(&client, &server, 1000);
    if (client.failed)
        print_error("%s\n", client.err.text);
    CHECK_INT(client.tls.state, TLS_OPEN);
    CHECK_INT(server.tls.state, TLS_OPEN);
    CHECK_INT(tls_alpn(&client.tls), TLS_ALPN_H2);
    CHECK_INT(tls_send(&server.tls, span_text("hello"), &used, &server.sealed, &err), 0);
    ends_run(&client, &server, 1000);
    CHECK_SPAN(buf_span(&client.plain), "hello");
    resumed = tls_is_resumed(&client.tls);
    CHECK_INT(tls_is_resumed(&server.tls), resumed);
    CHECK_INT(SSL_SESSION_get_max_early_data(SSL_get0_session(client.tls.ssl)), 0);
    if (v->take != NULL) {
        struct tls_session again;

        v->took = tls_session_take(&client.tls, v->take);
        CHECK_INT(tls_session_take(&client.tls, &again), 0); /* each only once */
    }
    end_fini(&client);
    end_fini(&server);
    leaf_free(leaf);
    return resumed;
}

static void resumes_and_gives_another(void)
{
    static struct tls_session first;
    static struct tls_session second;
    struct visit v = {.host = "api.test", .owner = "session1", .take = &first};

    CHECK_INT(visit(&v), 0);
    CHECK_INT(v.took, 1);
    CHECK_INT(first.is_single, version == TLS1_3_VERSION);
    v.give = &first;
    v.take = &second;
    CHECK_INT(visit(&v), 1);
    CHECK_INT(v.gave, 1);
    CHECK_INT(v.took, 1);
    CHECK(first.until_s == second.until_s); /* renewed, but not verified again */
    v.give = &second;
    v.take = NULL;
    CHECK_INT(visit(&v), 1);
}

TEST(tls_resumes_with_a_ticket_and_gives_another)
{
    resumes_and_gives_another();
    version = TLS1_2_VERSION;
    resumes_and_gives_another();
}

/* H7: tickets across tenants. */
TEST(tls_ticket_of_another_owner_is_a_full_handshake)
{
    static struct tls_session session;

    for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct visit v = {.host = "api.test", .owner = "session1", .take = &session};

        CHECK_INT(visit(&v), 0);
        v = (struct visit){.host = "api.test", .owner = "session2", .give = &session};
        CHECK_INT(visit(&v), 0);
        CHECK_INT(v.gave, 1);
        v.owner = "session1";
        CHECK_INT(visit(&v), 1);
    }
}

/* Owner and host cannot be moved into one another. */
TEST(tls_ticket_of_another_host_is_a_full_handshake)
{
    static struct tls_session session;
    static struct tls_session other;

    for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct visit v = {.host = "api.test", .owner = "session1", .take = &session};

        CHECK_INT(visit(&v), 0);
        v = (struct visit){.host = "b.test", .owner = "session1", .give = &session, .take = &other};
        CHECK_INT(visit(&v), 0);
        CHECK_INT(v.gave, 0);
        memcpy(session.peer, other.peer, sizeof session.peer); /* a client that does not care */
        v.take = NULL;
        CHECK_INT(visit(&v), 0);
        CHECK_INT(v.gave, 1);
    }
}

TEST(tls_gives_no_ticket_to_who_is_not_named)
{
    static struct tls_session session;

    for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct visit v = {.host = "api.test", .take = &session};

        CHECK_INT(visit(&v), 0);
        CHECK_INT(v.took, 0);
    }
}

TEST(tls_context_without_keys_gives_no_ticket)
{
    static struct tls_session session;
    struct err err;
    struct tls_context *bare = tls_context_new_inspect(&err);
    struct visit v = {.host = "api.test", .owner = "session1", .server = bare, .take = &session};

    CHECK_INT(visit(&v), 0);
    CHECK_INT(v.took, 0);
    tls_context_free(bare);
}

/* H7: keys per process, rotated. */
TEST(tls_ticket_outlives_one_rotation_and_not_two)
{
    static struct tls_session session;
    struct err err;

    for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct visit v = {.host = "api.test", .owner = "session1", .take = &session};

        CHECK_INT(visit(&v), 0);
        v = (struct visit){.host = "api.test", .owner = "session1", .give = &session};
        CHECK_INT(tls_context_rotate_tickets(server_context, &err), 0);
        CHECK_INT(visit(&v), 1);
        CHECK_INT(tls_context_rotate_tickets(server_context, &err), 0);
        CHECK_INT(visit(&v), 0);
        CHECK_INT(v.gave, 1);
    }
}

TEST(tls_ticket_of_another_process_is_a_full_handshake)
{
    static struct tls_session session;
    struct tls_context *other = inspect_new();
    struct visit v = {.host = "api.test", .owner = "session1", .take = &session};

    CHECK_INT(visit(&v), 0);
    v = (struct visit){.host = "api.test", .owner = "session1", .give = &session, .server = other};
    CHECK_INT(visit(&v), 0);
    CHECK_INT(v.gave, 1);
    tls_context_free(other);
}

/* Where the ticket's own bytes lie in what the client keeps, which is not sealed towards us. */
TEST(tls_forged_ticket_is_a_full_handshake)
{
    static struct tls_session session;
    static struct tls_session forged;
    struct visit v = {.host = "api.test", .owner = "session1", .take = &session};
    const unsigned char *ticket;
    const unsigned char *at = session.bytes;
    SSL_SESSION *parsed;
    size_t len;
    size_t from = 0;

    CHECK_INT(visit(&v), 0);
    parsed = d2i_SSL_SESSION(NULL, &at, (long)session.len);
    SSL_SESSION_get0_ticket(parsed, &ticket, &len);
    while (memcmp(session.bytes + from, ticket, len) != 0)
        from++;
    SSL_SESSION_free(parsed);
    for (size_t i = 0; i < len; i += 7) {
        forged = session;
        forged.bytes[from + i] ^= 0x10;
        v = (struct visit){.host = "api.test", .owner = "session1", .give = &forged};
        CHECK_INT(visit(&v), 0);
        CHECK_INT(v.gave, 1);
    }
}

TEST(tls_session_ends_an_hour_after_the_verification_or_with_the_certificate)
{
    static struct tls_session session;
    struct visit v = {.host = "api.test", .owner = "session1", .take = &session};

    CHECK_INT(visit(&v), 0);
    CHECK(session.until_s > time(NULL) + TLS_SESSION_S - 60);
    CHECK(session.until_s <= time(NULL) + TLS_SESSION_S);
    v.lifetime_s = 600;
    CHECK_INT(visit(&v), 0);
    CHECK(session.until_s <= time(NULL) + 600);
    CHECK(session.until_s > time(NULL) + 540);
}

TEST(tls_session_give_refuses_what_is_not_for_this_connection)
{
    static struct tls_session session;
    struct visit v = {.host = "api.test", .owner = "session1", .take = &session};
    struct tls_context *other = client_new();
    struct host name = ends_host("api.test", HOST_NAME);
    struct host address = ends_host("192.0.2.7", HOST_IPV4);
    struct tls tls = {0};
    struct err err;

    CHECK_INT(visit(&v), 0);
    CHECK_INT(tls_init_client(&tls, client_context, &name, &err), 0);
    CHECK_INT(tls_session_give(&tls, &session, session.until_s), 0);
    CHECK_INT(tls_session_give(&tls, &session, session.until_s - 1), 1);
    tls_fini(&tls);
    CHECK_INT(tls_init_client(&tls, client_context, &address, &err), 0);
    CHECK_INT(tls_session_give(&tls, &session, time(NULL)), 0);
    tls_fini(&tls);
    CHECK_INT(tls_init_client(&tls, other, &name, &err), 0); /* maybe other roots */
    CHECK_INT(tls_session_give(&tls, &session, time(NULL)), 0);
    tls_fini(&tls);
    tls_session_wipe(&session);
    CHECK_INT(tls_init_client(&tls, client_context, &name, &err), 0);
    CHECK_INT(tls_session_give(&tls, &session, time(NULL)), 0);
    tls_fini(&tls);
    tls_context_free(other);
}

/* --- what it costs --- */

static double cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* The server's part and the client's of one handshake, in microseconds. */
static void measure(const char *what, const char *owner, int resumes)
{
    static struct tls_session session;
    struct host host = ends_host("api.test", HOST_NAME);
    struct leaf *leaf = leaf_of(&host, 86400);
    double spent[2] = {0, 0};
    struct err err;
    int rounds = 200;

    session.len = 0;
    for (int i = 0; i < rounds; i++) {
        struct end ends[2];
        size_t moved;

        end_init(&ends[0], ROOM, ROOM);
        end_init(&ends[1], ROOM, ROOM);
        CHECK_INT(tls_init_server(&ends[0].tls, server_context, leaf, &err), 0);
        if (owner != NULL)
            CHECK_INT(tls_allow_ticket(&ends[0].tls, span_text(owner), &host, &err), 0);
        CHECK_INT(tls_init_client(&ends[1].tls, client_context, &host, &err), 0);
        if (resumes && session.len > 0)
            CHECK_INT(tls_session_give(&ends[1].tls, &session, time(NULL)), 1);
        do {
            moved = 0;
            for (int side = 1; side >= 0; side--) {
                double from = cpu_us();

                moved += end_step(&ends[side]);
                spent[side] += cpu_us() - from;
                moved += ends_carry(&ends[side], &ends[1 - side], 100000);
            }
        } while (moved > 0);
        CHECK_INT(tls_is_resumed(&ends[0].tls), resumes && i > 0);
        if (resumes)
            CHECK_INT(tls_session_take(&ends[1].tls, &session), 1);
        end_fini(&ends[0]);
        end_fini(&ends[1]);
    }
    leaf_free(leaf);
    print_message("%s: server %.0f us, client %.0f us\n", what, spent[0] / rounds,
                  spent[1] / rounds);
}

TEST(tls_resumption_speed)
{
    measure("full, no ticket", NULL, 0);
    measure("full, one ticket", "session1", 0);
    measure("resumed, one ticket", "session1", 1);
}

#define TEST_EACH(name) cmocka_unit_test_setup(name, each)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_EACH(tls_resumes_with_a_ticket_and_gives_another),
        TEST_EACH(tls_ticket_of_another_owner_is_a_full_handshake),
        TEST_EACH(tls_ticket_of_another_host_is_a_full_handshake),
        TEST_EACH(tls_gives_no_ticket_to_who_is_not_named),
        TEST_EACH(tls_context_without_keys_gives_no_ticket),
        TEST_EACH(tls_ticket_outlives_one_rotation_and_not_two),
        TEST_EACH(tls_ticket_of_another_process_is_a_full_handshake),
        TEST_EACH(tls_forged_ticket_is_a_full_handshake),
        TEST_EACH(tls_session_ends_an_hour_after_the_verification_or_with_the_certificate),
        TEST_EACH(tls_session_give_refuses_what_is_not_for_this_connection),
        TEST_EACH(tls_resumption_speed),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
