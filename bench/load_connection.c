/* SPDX-License-Identifier: Apache-2.0 */
/* A connection from its dial to its end: CONNECT or the tunnel's upgrade and hello, TLS, requests.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"

static unsigned next_host;

void load_host(const struct load_connection *connection, bool with_port, char *out, size_t room)
{
    const char *colon = strchr(load_options.authority, ':');
    int len = with_port || colon == NULL ? (int)strlen(load_options.authority)
                                         : (int)(colon - load_options.authority);

    if (load_options.hosts > 0)
        (void)snprintf(out, room, "h%u.%.*s", connection->host, len, load_options.authority);
    else
        (void)snprintf(out, room, "%.*s", len, load_options.authority);
}

void load_dial(struct load_connection *connection)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(load_options.port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    const int one = 1;

    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connection->fd < 0)
        load_die("socket: %s", strerror(errno));
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (load_options.hosts > 0)
        connection->host = load_options.first_host + next_host++ % load_options.hosts;
    connection->state = LOAD_DIALS;
    connection->begun_us[0] = load_now_us();
    if (connect(connection->fd, (const struct sockaddr *)&address, sizeof address) < 0 &&
        errno != EINPROGRESS)
        load_die("connect: %s", strerror(errno));
    if (epoll_ctl(load_epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
        load_die("epoll: %s", strerror(errno));
}

static void queue_clear(struct queue *queue)
{
    queue->start = queue->end = 0;
}

static void hang_up(struct load_connection *connection)
{
    /* A reset, so that ports do not wait. */
    const struct linger linger = {.l_onoff = 1};

    if (connection->ssl != NULL) {
        SSL_set_quiet_shutdown(connection->ssl, 1);
        SSL_free(connection->ssl);
    }
    connection->ssl = NULL;
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    (void)close(connection->fd);
    queue_clear(&connection->wire_in);
    queue_clear(&connection->wire_out);
    queue_clear(&connection->payload);
    queue_clear(&connection->out);
    connection->h1 = (struct load_h1){.head_len = 0};
    connection->h2 = (struct load_h2){.head_len = 0};
    connection->answer_len = 0;
    connection->upload_left = 0;
    connection->under_way = 0;
    connection->must_close = false;
    connection->state = LOAD_GONE;
}

static void dial_again(struct load_connection *connection)
{
    hang_up(connection);
    if (load_has_more())
        load_dial(connection);
}

static void fail(struct load_connection *connection, const char *why)
{
    unsigned long reason = ERR_peek_error();

    load_stats.errors++;
    if (load_stats.errors <= 3)
        (void)fprintf(stderr, "load: %s in state %d %s\n", why, (int)connection->state,
                      reason != 0 ? ERR_reason_error_string(reason) : "");
    ERR_clear_error();
    if (load_stats.errors > 1000)
        load_die("too many errors");
    dial_again(connection);
}

static void base64(const char *text, char *out)
{
    (void)EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, (int)strlen(text));
}

/* What opens the way to the origin. */
static void way_ask(struct load_connection *connection)
{
    char text[4096];
    char host[300];

    load_host(connection, true, host, sizeof host);
    if (load_options.way == LOAD_CONNECT)
        (void)snprintf(text, sizeof text, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", host, host);
    else
        (void)snprintf(text, sizeof text,
                       "GET /v1/tunnel HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Content-Type: application/proto\r\nAuthorization: Bearer %s\r\n\r\n",
                       load_options.port, load_options.token);
    queue_add(&connection->wire_out, text, strlen(text));
    connection->state = load_options.way == LOAD_CONNECT ? LOAD_ASKS : LOAD_JOINS;
}

static void hello_ask(struct load_connection *connection)
{
    char text[4096];
    char pair[2048];
    char encoded[3072];
    char host[300];

    load_host(connection, true, host, sizeof host);
    (void)snprintf(pair, sizeof pair, "%s:%s", load_options.session, load_options.token);
    base64(pair, encoded);
    (void)snprintf(text, sizeof text,
                   "CONNECT %s HTTP/1.1\r\nProxy-Authorization: Basic %s\r\n\r\n", host, encoded);
    load_tunnel_send(connection, (const uint8_t *)text, strlen(text));
    connection->state = LOAD_HELLOS;
}

static void shake_begin(struct load_connection *connection)
{
    char host[300];

    load_host(connection, false, host, sizeof host);
    connection->state = LOAD_SHAKES;
    connection->ssl = SSL_new(load_context);
    if (connection->ssl == NULL)
        load_die("no memory");
    if (load_options.way == LOAD_TUNNEL) {
        BIO *bio = load_tunnel_bio(connection);

        SSL_set_bio(connection->ssl, bio, bio);
    } else {
        (void)SSL_set_fd(connection->ssl, connection->fd);
    }
    (void)SSL_set_tlsext_host_name(connection->ssl, host);
    SSL_set_connect_state(connection->ssl);
}

/* The head of an answer on the socket, octet by octet: what is behind it stays there. 1, 0, -1. */
static int answer_read(struct load_connection *connection)
{
    char *answer = connection->answer;

    while (connection->answer_len + 1 < sizeof connection->answer) {
        ssize_t len = recv(connection->fd, answer + connection->answer_len, 1, 0);

        if (len < 0 && errno == EAGAIN)
            return 0;
        if (len <= 0)
            return -1;
        connection->answer_len++;
        answer[connection->answer_len] = '\0';
        if (connection->answer_len >= 4 &&
            strcmp(answer + connection->answer_len - 4, "\r\n\r\n") == 0)
            return 1;
    }
    return -1;
}

/* The same out of chunks. */
static int hello_read(struct load_connection *connection)
{
    struct queue *payload = &connection->payload;
    int result = load_tunnel_pull(connection);
    const uint8_t *end = queue_len(payload) == 0
                             ? NULL
                             : memmem(queue_ptr(payload), queue_len(payload), "\r\n\r\n", 4);

    if (end == NULL)
        return result;
    (void)snprintf(connection->answer, sizeof connection->answer, "%.*s",
                   (int)(end - queue_ptr(payload)), (const char *)queue_ptr(payload));
    queue_take(payload, (size_t)(end - queue_ptr(payload)) + 4);
    return 1;
}

/* One step on the way to an open connection. 1 go on, 0 wait, -1 failed. */
static int way_step(struct load_connection *connection)
{
    bool is_hello = connection->state == LOAD_HELLOS;
    const char *expected = connection->state == LOAD_JOINS ? " 101" : " 200";
    int result = is_hello ? hello_read(connection) : answer_read(connection);

    if (result <= 0)
        return result;
    if (strncmp(connection->answer + strlen("HTTP/1.1"), expected, 4) != 0) {
        (void)fprintf(stderr, "load: %.200s\n", connection->answer);
        return -1;
    }
    if (connection->state == LOAD_JOINS)
        hello_ask(connection);
    else
        shake_begin(connection);
    return 1;
}

static void ask_more(struct load_connection *connection)
{
    unsigned most = load_options.streams > 0 ? load_options.streams : 1;

    while (connection->under_way < most && !connection->must_close && !connection->is_done &&
           load_has_more()) {
        load_stats.started++;
        if (load_options.streams > 0)
            load_h2_ask(connection);
        else
            load_h1_ask(connection);
    }
}

static int shake_step(struct load_connection *connection)
{
    int result = SSL_do_handshake(connection->ssl);

    if (result <= 0) {
        int why = SSL_get_error(connection->ssl, result);

        return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
    if (load_options.streams > 0) {
        const unsigned char *name;
        unsigned len;

        SSL_get0_alpn_selected(connection->ssl, &name, &len);
        if (len != 2)
            load_die("HTTP/2 is not served here");
    }
    load_stats.handshakes++;
    connection->state = LOAD_OPEN;
    ask_more(connection);
    return 1;
}

/* Encrypt what waits. 0, or -1. */
static int requests_send(struct load_connection *connection)
{
    static const uint8_t upload[LOAD_PIECE];
    struct queue *out = &connection->out;

    for (;;) {
        int len;

        if (queue_len(out) == 0 && connection->upload_left > 0) {
            size_t some = connection->upload_left < sizeof upload ? (size_t)connection->upload_left
                                                                  : sizeof upload;

            queue_add(out, upload, some);
            connection->upload_left -= some;
        }
        if (queue_len(out) == 0)
            return 0;
        len = SSL_write(connection->ssl, queue_ptr(out), (int)queue_len(out));
        if (len <= 0) {
            int why = SSL_get_error(connection->ssl, len);

            return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
        }
        queue_take(out, (size_t)len);
        load_stats.bytes += (uint64_t)len;
    }
}

static int responses_take(struct load_connection *connection, const uint8_t *bytes, size_t len)
{
    int result;

    load_stats.bytes += len;
    if (load_options.streams > 0)
        return load_h2_feed(connection, bytes, len);
    result = load_h1_feed(connection, bytes, len);
    if (result > 0)
        load_done(connection, 0);
    return result;
}

static void open_step(struct load_connection *connection)
{
    static uint8_t bytes[128 * 1024];

    for (;;) {
        int len;

        if (requests_send(connection) < 0) {
            fail(connection, "write");
            return;
        }
        len = SSL_read(connection->ssl, bytes, sizeof bytes);
        if (len <= 0) {
            int why = SSL_get_error(connection->ssl, len);

            if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
                return;
            if (connection->under_way > 0)
                fail(connection, "the connection ended in a response");
            else
                dial_again(connection);
            return;
        }
        if (responses_take(connection, bytes, (size_t)len) < 0) {
            fail(connection, "not HTTP");
            return;
        }
        if (connection->under_way == 0 && (load_options.closes || connection->must_close)) {
            dial_again(connection);
            return;
        }
        ask_more(connection);
    }
}

void load_drive(struct load_connection *connection)
{
    int result = 1;

    if (connection->state == LOAD_DIALS) {
        if (load_options.way == LOAD_DIRECT)
            shake_begin(connection);
        else
            way_ask(connection);
    }
    while (result > 0 && connection->state != LOAD_OPEN) {
        if (load_tunnel_flush(connection) < 0)
            result = -1;
        else if (connection->state == LOAD_SHAKES)
            result = shake_step(connection);
        else
            result = way_step(connection);
    }
    if (load_tunnel_flush(connection) < 0)
        result = -1;
    if (result < 0)
        fail(connection, "the way to the origin");
    else if (connection->state == LOAD_OPEN)
        open_step(connection);
}
