/* SPDX-License-Identifier: Apache-2.0 */
/* What the two ends agree to speak. Threats H8, B11. */
#include <openssl/ssl.h>

#include "crypto/library.h"
#include "crypto/tls.h"
#include "test.h"
#include "tls_rig.h"

#define H1   TLS_ALPN_H1
#define H2   TLS_ALPN_H2
#define BOTH (TLS_ALPN_H1 | TLS_ALPN_H2)

/*
 * A server that allows `allowed` and a client whose offer is `wire`, as in the ClientHello, or none
 * if that is NULL. What the server took, as text; "" for nothing, or the error of either side.
 */
static const char *chosen(const char *wire, unsigned allowed)
{
    static char name[112];
    struct host host = ends_host("api.test", HOST_NAME);
    const unsigned char *alpn;
    unsigned len;
    struct end client;
    struct end server;

    rig_open(&client, &server, rig_server_context, &host);
    SSL_set_alpn_protos(client.tls.ssl, (const uint8_t *)wire, wire ? (unsigned)strlen(wire) : 0);
    tls_allow_alpn(&server.tls, allowed);
    ends_run(&client, &server, 100000);
    SSL_get0_alpn_selected(server.tls.ssl, &alpn, &len);
    if (server.tls.state == TLS_OPEN)
        CHECK_INT(tls_alpn(&server.tls), len == 2 ? H2 : H1);
    (void)snprintf(name, sizeof name, "%.*s", (int)len, (const char *)alpn);
    if (server.tls.state != TLS_OPEN)
        (void)snprintf(name, sizeof name, "%s", client.err.text);
    end_fini(&client);
    end_fini(&server);
    return name;
}

#define REFUSED "TLS handshake: the peer sent the alert \"no application protocol\""

TEST(tls_alpn_takes_h2_where_it_is_offered_and_allowed)
{
    CHECK_STR(chosen("\x02h2\x08http/1.1", BOTH), "h2");
    CHECK_STR(chosen("\x08http/1.1\x02h2", BOTH), "h2");
    CHECK_STR(chosen("\x02h2", BOTH), "h2");
    CHECK_STR(chosen("\x02h2\x08http/1.1", H1), "http/1.1");
    CHECK_STR(chosen("\x02h2", H1), REFUSED);
}

TEST(tls_alpn_falls_back_to_http_1_1_and_then_http_1_0)
{
    CHECK_STR(chosen("\x08http/1.1", BOTH), "http/1.1");
    CHECK_STR(chosen("\x08http/1.0\x08http/1.1", BOTH), "http/1.1");
    CHECK_STR(chosen("\x08http/1.0", BOTH), "http/1.0");
    CHECK_STR(chosen("\x08http/1.0", H1), "http/1.0");
    CHECK_STR(chosen(NULL, BOTH), "");
    CHECK_STR(chosen(NULL, H1), "");
}

/* H8: the name must be whole and exact; ALPACA's other protocols find nobody here. */
TEST(tls_alpn_answers_no_application_protocol_to_anything_else)
{
    static const char *const others[] = {
        "\x02H2",     "\x03h2c", "\x01h",        "\x05h2-14",     "\x04imap",    "\003ftp",
        "\x06spdy/3", "\x02h3",  "\x08HTTP/1.1", "\x09http/1.1 ", "\x07http/1.", "\x0bhttp/1.1,h2",
    };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        CHECK_STR(chosen(others[i], BOTH), REFUSED);
        CHECK_STR(chosen(others[i], H1), REFUSED);
    }
}

/* What the server allows and the client offers; what the client then says was negotiated. */
static int agreed(unsigned allowed, unsigned offered)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct err err = {0};
    struct end client;
    struct end server;
    int result;

    rig_open(&client, &server, rig_server_context, &host);
    tls_allow_alpn(&server.tls, allowed);
    CHECK_INT(tls_offer_alpn(&client.tls, offered, &err), 0);
    ends_run(&client, &server, 100000);
    CHECK_INT(client.tls.state, TLS_OPEN);
    result = (int)tls_alpn(&client.tls);
    CHECK_INT(tls_alpn(&server.tls), result);
    end_fini(&client);
    end_fini(&server);
    return result;
}

TEST(tls_alpn_is_chosen_for_each_connection_of_one_context)
{
    CHECK_INT(agreed(BOTH, BOTH), H2);
    CHECK_INT(agreed(BOTH, H1), H1);
    CHECK_INT(agreed(H1, BOTH), H1);
    CHECK_INT(agreed(H1, H1), H1);
    CHECK_INT(agreed(BOTH, BOTH), H2);
}

static int answer_choose(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                         const unsigned char *in, unsigned int in_len, void *answer)
{
    (void)ssl;
    (void)in;
    (void)in_len;
    *out = answer;
    *out_len = answer == NULL ? 0 : (unsigned char)strlen(answer);
    return answer == NULL ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

/* A server that answers `answer`, whatever is offered. The client's state. */
static enum tls_state answered(unsigned offered, char *answer, enum tls_alpn *negotiated)
{
    struct host host = ends_host("api.test", HOST_NAME);
    struct tls_context *context = rig_listener(&rig_good);
    struct err err = {0};
    struct end client;
    struct end server;
    enum tls_state state;

    SSL_CTX_set_alpn_select_cb(context->ssl, answer_choose, answer);
    rig_open(&client, &server, context, &host);
    CHECK_INT(tls_offer_alpn(&client.tls, offered, &err), 0);
    ends_run(&client, &server, 100000);
    state = client.tls.state;
    *negotiated = tls_alpn(&client.tls);
    CHECK_INT(client.err.code, state == TLS_OPEN ? ERR_OK : ERR_TLS);
    end_fini(&client);
    end_fini(&server);
    tls_context_free(context);
    return state;
}

/* H8 */
TEST(tls_alpn_client_refuses_what_it_did_not_offer)
{
    static char h2[] = "h2";
    static char http11[] = "http/1.1";
    static char http10[] = "http/1.0";
    enum tls_alpn negotiated;

    CHECK_INT(answered(H1, h2, &negotiated), TLS_FAILED);
    CHECK_INT(answered(BOTH, http10, &negotiated), TLS_FAILED);
    CHECK_INT(answered(H1, http10, &negotiated), TLS_FAILED);
    CHECK_INT(answered(BOTH, h2, &negotiated), TLS_OPEN);
    CHECK_INT(negotiated, H2);
    CHECK_INT(answered(BOTH, http11, &negotiated), TLS_OPEN);
    CHECK_INT(negotiated, H1);
}

TEST(tls_alpn_silence_of_a_server_is_http_1_1)
{
    enum tls_alpn negotiated;

    CHECK_INT(answered(BOTH, NULL, &negotiated), TLS_OPEN);
    CHECK_INT(negotiated, H1);
    CHECK_INT(answered(H1, NULL, &negotiated), TLS_OPEN);
    CHECK_INT(negotiated, H1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(tls_alpn_takes_h2_where_it_is_offered_and_allowed),
        TEST_OF(tls_alpn_falls_back_to_http_1_1_and_then_http_1_0),
        TEST_OF(tls_alpn_answers_no_application_protocol_to_anything_else),
        TEST_OF(tls_alpn_is_chosen_for_each_connection_of_one_context),
        TEST_OF(tls_alpn_client_refuses_what_it_did_not_offer),
        TEST_OF(tls_alpn_silence_of_a_server_is_http_1_1),
    };

    return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
