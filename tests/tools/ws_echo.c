/* SPDX-License-Identifier: Apache-2.0 */
/* ws-echo: the WebSocket engine as a program, for conformance tests from outside. */
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/num.h"
#include "crypto/digest.h"
#include "echo_peer.h"
#include "http/target.h"

static const char help[] =
    "usage: ws-echo server --port N [--once] [--limit BYTES]\n"
    "       ws-echo client ws://HOST[:PORT]/PATH [--agent NAME] [--limit BYTES]\n"
    "\n"
    "Sends every message back, as it comes: text is checked (close code 1007), binary is not "
    "read.\n"
    "\n"
    "  server         listens on 127.0.0.1 and prints 'listening on ADDRESS'; port 0: any\n"
    "  client         connects, and echoes until the server closes; status 0 if it did so "
    "properly\n"
    "  --once         the server ends after its first connection\n"
    "  --limit BYTES  of one frame; a longer one is refused with 1009 (default 67108864)\n"
    "  --agent NAME   adds agent=NAME to the query, as test suites want it\n";

#define PEER_COUNT    256
#define LIMIT_DEFAULT 67108864

struct options {
    bool is_server;
    bool is_once;
    uint16_t port;
    uint64_t limit;
    const char *url;
    const char *agent;
};

struct echo {
    struct loop loop;
    struct pool queues;
    struct pool peers; /* of struct echo_peer */
    struct loop_watch listener;
    struct options options;
    int status;
};

static int failed(const char *what, const char *why)
{
    (void)fprintf(stderr, "ws-echo: %s: %s\n", what, why);
    return 1;
}

static void on_peer_end(struct echo_peer *peer)
{
    struct echo *echo = peer->owner;

    if (peer->err.code != ERR_OK)
        (void)failed("connection", peer->err.text);
    if (!echo->options.is_server)
        echo->status = peer->has_closed ? 0 : 1;
    pool_give(&echo->peers, peer);
    if (echo->options.is_once)
        loop_watch_close(&echo->listener, NULL);
}

/* Takes fd. */
static int peer_start(struct echo *echo, const struct ws_shake *shake, int fd, struct err *err)
{
    struct echo_peer *peer = pool_take(&echo->peers);
    struct echo_setup setup = {
        .loop = &echo->loop,
        .queues = &echo->queues,
        .shake = shake,
        .frame_limit = echo->options.limit,
        .on_end = on_peer_end,
        .owner = echo,
    };

    if (peer == NULL) {
        (void)close(fd);
        return err_set(err, ERR_LIMIT, "more than %d connections", PEER_COUNT);
    }
    if (echo_peer_open(peer, &setup, fd, err) < 0) {
        pool_give(&echo->peers, peer);
        return -1;
    }
    return 0;
}

static void on_listener_ready(struct loop_watch *watch, unsigned ready)
{
    struct echo *echo = watch->owner;
    struct address from;
    struct err err;
    int fd = socket_accept(watch->fd, &from, &err);

    (void)ready;
    if (fd < 0 && err.code == ERR_OK)
        return;
    if (fd < 0 || peer_start(echo, NULL, fd, &err) < 0) {
        (void)failed("accept", err.text);
        return;
    }
    if (echo->options.is_once)
        loop_watch_set(&echo->listener, 0);
}

static int server_start(struct echo *echo, struct err *err)
{
    char memory[64];
    struct address address;
    struct text text;
    int fd;

    if (socket_read_ip(span_text("127.0.0.1"), echo->options.port, &address, err) < 0)
        return -1;
    fd = socket_listen(&address, 128, err);
    if (fd < 0)
        return -1;
    if (socket_local(fd, &address, err) < 0 ||
        loop_watch_open(&echo->listener, &echo->loop, fd, on_listener_ready, echo, err) < 0) {
        (void)close(fd);
        return -1;
    }
    loop_watch_set(&echo->listener, LOOP_READ);
    text_init(&text, memory, sizeof memory);
    socket_write_address(&text, &address);
    (void)printf("listening on %s\n", text_str(&text));
    (void)fflush(stdout);
    return 0;
}

/* "ws://" authority [path]: what to dial, and what to ask for. */
static int url_read(const struct options *options, struct host *host, uint16_t *port,
                    struct ws_shake *shake, struct text *path, struct err *err)
{
    struct span rest = span_text(options->url);
    ssize_t slash;

    if (!span_starts(rest, span_text("ws://")))
        return err_set(err, ERR_CONFIG, "the URL does not begin with ws://");
    rest = span_from(rest, 5);
    slash = span_find(rest, '/');
    shake->host = slash < 0 ? rest : span_first(rest, (size_t)slash);
    rest = slash < 0 ? span_text("/") : span_from(rest, (size_t)slash);
    text_add(path, rest);
    if (options->agent != NULL) {
        text_add_str(path, span_find(rest, '?') < 0 ? "?agent=" : "&agent=");
        text_add_str(path, options->agent);
    }
    shake->path = text_span(path);
    for (size_t i = 0; i < path->len; i++) {
        if (path->ptr[i] <= 0x20 || path->ptr[i] == 0x7f)
            return err_set(err, ERR_CONFIG, "the URL has a blank or a control byte");
    }
    if (text_check(path, "path", err) < 0)
        return -1;
    return target_read_authority(shake->host, 80, host, port, err);
}

/* A blocking connection is enough for a test program. */
static int dial(const struct host *host, uint16_t port, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    char service[8];
    int fd = -1;
    int status;

    (void)snprintf(service, sizeof service, "%u", port);
    status = getaddrinfo(host->name, service, &hints, &found);
    if (status != 0)
        return err_set(err, ERR_DNS, "%s: %s", host->name, gai_strerror(status));
    for (struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) < 0) {
            (void)close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd >= 0 ? fd : err_set(err, ERR_CONNECT, "cannot connect to %s", host->name);
}

static int client_start(struct echo *echo, struct err *err)
{
    static char memory[LIMIT_TARGET];
    struct ws_shake shake = {0};
    struct host host;
    struct text path;
    uint16_t port;
    int fd;

    text_init(&path, memory, sizeof memory);
    if (url_read(&echo->options, &host, &port, &shake, &path, err) < 0)
        return -1;
    fd = dial(&host, port, err);
    return fd < 0 ? -1 : peer_start(echo, &shake, fd, err);
}

/* The value behind an option, which must be there. */
static const char *value_of(char **argv, int *at)
{
    return argv[*at + 1] == NULL ? "" : argv[++*at];
}

static int options_read(char **argv, struct options *options, struct err *err)
{
    uint64_t port = 0;

    options->is_server = strcmp(argv[1], "server") == 0;
    if (!options->is_server && strcmp(argv[1], "client") != 0)
        return err_set(err, ERR_CONFIG, "'%.40s' is neither server nor client", argv[1]);
    for (int i = 2; argv[i] != NULL; i++) {
        int result = 0;

        if (strcmp(argv[i], "--limit") == 0)
            result = num_read_u64(span_text(value_of(argv, &i)), &options->limit, err);
        else if (options->is_server && strcmp(argv[i], "--port") == 0)
            result = num_read_u64(span_text(value_of(argv, &i)), &port, err);
        else if (options->is_server && strcmp(argv[i], "--once") == 0)
            options->is_once = true;
        else if (!options->is_server && strcmp(argv[i], "--agent") == 0)
            options->agent = value_of(argv, &i);
        else if (!options->is_server && argv[i][0] != '-' && options->url == NULL)
            options->url = argv[i];
        else
            result = err_set(err, ERR_CONFIG, "'%.40s' is not expected", argv[i]);
        if (result < 0)
            return -1;
    }
    if (port > UINT16_MAX)
        return err_set(err, ERR_CONFIG, "there is no port %llu", (unsigned long long)port);
    if (!options->is_server && options->url == NULL)
        return err_set(err, ERR_CONFIG, "no URL");
    options->port = (uint16_t)port;
    return 0;
}

static int run(const struct options *options, struct err *err)
{
    static struct echo echo = {.status = 0};

    echo.options = *options;
    pool_init(&echo.queues, ECHO_BLOCK, 2UL * PEER_COUNT, 8);
    pool_init(&echo.peers, sizeof(struct echo_peer), PEER_COUNT, 8);
    if (digest_setup(err) < 0 || loop_init(&echo.loop, err) < 0)
        return -1;
    if ((options->is_server ? server_start(&echo, err) : client_start(&echo, err)) < 0)
        return -1;
    loop_run(&echo.loop);
    loop_fini(&echo.loop);
    pool_fini(&echo.peers);
    pool_fini(&echo.queues);
    return echo.status;
}

int main(int argc, char **argv)
{
    struct options options = {.limit = LIMIT_DEFAULT};
    struct err err;
    int status;

    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        (void)fputs(help, argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (options_read(argv, &options, &err) < 0) {
        (void)failed("arguments", err.text);
        return 2;
    }
    status = run(&options, &err);
    return status < 0 ? failed("cannot start", err.text) : status;
}
