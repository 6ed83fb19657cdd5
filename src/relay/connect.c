/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the relay's port for programs that have none: ssh's ProxyCommand. It finds the proxy
 * as any client does, and needs nothing of the relay but that.
 */
#include "relay/connect.h"

#include <signal.h>
#include <unistd.h>

#include "base/num.h"
#include "http/h1_read.h"
#include "net/bridge.h"
#include "net/dial.h"
#include "net/resolve.h"
#include "relay/endpoint.h"

#define DIAL_MS    10000
#define ATTEMPT_MS 3000
#define ANSWER_MS  120000 /* more than the relay takes to say that it has none */

/* --- to the proxy --- */

struct dialling {
    struct loop loop;
    struct resolver *resolver;
    struct resolve_query query;
    struct dial dial;
    struct loop_deadline deadline;
    int fd; /* connected, or -1 */
    struct err err;
};

static void dialling_end(struct dialling *dialling, int fd)
{
    dialling->fd = fd;
    loop_deadline_clear(&dialling->deadline);
    loop_stop(&dialling->loop);
}

static void on_dialled(struct dial *dial, int fd, const struct address *address,
                       const struct err *why)
{
    struct dialling *dialling = dial->owner;

    (void)address;
    if (fd < 0)
        dialling->err = *why;
    dialling_end(dialling, fd);
}

static void on_resolved(struct resolve_query *query, const struct address *addresses, size_t count,
                        const struct err *why)
{
    struct dialling *dialling = query->owner;

    if (count == 0) {
        dialling->err = *why;
        dialling_end(dialling, -1);
        return;
    }
    dialling->dial = (struct dial){.on_done = on_dialled, .owner = dialling};
    if (dial_start(&dialling->dial, &dialling->loop, addresses, count, ATTEMPT_MS, &dialling->err) <
        0)
        dialling_end(dialling, -1);
}

static void on_expired(struct loop_deadline *deadline)
{
    struct dialling *dialling = deadline->owner;

    (void)err_set(&dialling->err, ERR_TIMEOUT, "no connection in %d s", DIAL_MS / 1000);
    resolve_cancel(&dialling->query);
    if (dialling->dial.owner == NULL || dial_cancel(&dialling->dial, NULL) == 0)
        dialling_end(dialling, -1);
    else
        loop_stop(&dialling->loop);
}

static int dialling_run(struct dialling *dialling, const struct endpoint *to)
{
    dialling->fd = -1;
    dialling->query = (struct resolve_query){.on_done = on_resolved, .owner = dialling};
    dialling->resolver = resolver_new(&dialling->loop, NULL, DIAL_MS, &dialling->err);
    if (dialling->resolver == NULL)
        return -1;
    loop_deadline_init(&dialling->deadline, &dialling->loop, on_expired, dialling);
    loop_deadline_set(&dialling->deadline, DIAL_MS);
    if (resolve_start(dialling->resolver, &dialling->query, &to->host, to->port, &dialling->err) ==
        0)
        loop_run(&dialling->loop);
    loop_deadline_clear(&dialling->deadline);
    resolver_free(dialling->resolver);
    return dialling->fd;
}

/* A connected descriptor, or -1. */
static int proxy_dial(const struct endpoint *to, struct err *err)
{
    static struct dialling dialling;

    if (loop_init(&dialling.loop, err) < 0)
        return -1;
    if (dialling_run(&dialling, to) < 0)
        *err = dialling.err;
    loop_fini(&dialling.loop);
    return dialling.fd;
}

/* --- CONNECT --- */

struct connection {
    struct pool blocks;
    struct pool arena_blocks;
    struct arena arena;
    struct bridge bridge;
    struct parent_proxy proxy;
    char target[LIMIT_HOST + 16]; /* host:port */
};

static int request_write(struct connection *connection, struct err *err)
{
    char memory[2048];
    struct text text;
    int result;

    text_init(&text, memory, sizeof memory);
    text_addf(&text, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", connection->target, connection->target);
    if (connection->proxy.basic[0] != '\0')
        text_addf(&text, "Proxy-Authorization: %s\r\n", connection->proxy.basic);
    text_add_str(&text, "\r\n");
    result = text_check(&text, "CONNECT", err);
    if (result == 0)
        result = buf_append(&connection->bridge.up, text_span(&text), err);
    explicit_bzero(memory, sizeof memory);
    return result;
}

/* 200 or the words of a refusal, for ssh shows nothing else. */
static int answer_judge(const struct connection *connection, const struct http_response *response)
{
    const struct http_field *reason =
        http_fields_find(&response->fields, span_text("exeat-reason"), NULL);
    struct span code = reason == NULL ? span_text("no Exeat-Reason") : reason->value;

    if (response->status == 200)
        return 0;
    log_error("connect %s: refused with %d %.*s (%.*s)", connection->target, response->status,
              (int)response->reason.len, (const char *)response->reason.ptr, (int)code.len,
              (const char *)code.ptr);
    return -1;
}

/* 0: open; what follows the answer is in bridge.down. */
static int answer_read(struct connection *connection)
{
    struct buf *down = &connection->bridge.down;
    struct http_response response;
    size_t scanned = 0;
    struct err err;
    ssize_t len = 0;
    int result = 0;

    while (len == 0 && result == 0) {
        result = bridge_fetch(&connection->bridge, ANSWER_MS, &err);
        if (result < 0)
            break;
        len = h1_read_response(buf_span(down), &scanned, span_text("CONNECT"), &connection->arena,
                               &response, &err);
        if (len == 0 && connection->bridge.socket_has_ended)
            result = err_set(&err, ERR_CLOSED, "it closed without an answer");
    }
    if (result < 0 || len < 0) {
        log_error("connect %s: proxy: %s", connection->target, err.text);
        return -1;
    }
    result = answer_judge(connection, &response);
    buf_consume(down, (size_t)len);
    return result;
}

static int connection_run(struct connection *connection, int fd)
{
    struct err err;
    int result;

    pool_init(&connection->blocks, LIMIT_BLOCK, 2, 2);
    pool_init(&connection->arena_blocks, LIMIT_ARENA_BLOCK, 64, 0);
    arena_init(&connection->arena, &connection->arena_blocks, 2 * LIMIT_HEAD);
    bridge_init(&connection->bridge, &connection->blocks, fd, STDIN_FILENO, STDOUT_FILENO);
    result = request_write(connection, &err);
    if (result < 0)
        log_error("connect %s: %s", connection->target, err.text);
    else
        result = answer_read(connection);
    if (result == 0) {
        result = bridge_run(&connection->bridge, &err);
        if (result < 0)
            log_error("connect %s: %s", connection->target, err.text);
    }
    bridge_fini(&connection->bridge);
    arena_reset(&connection->arena);
    pool_fini(&connection->arena_blocks);
    pool_fini(&connection->blocks);
    return result;
}

/* --- the command --- */

/* HOST as people and ssh write it: an IPv6 address without brackets too. */
static int target_write(struct connection *connection, const char *host, const char *port,
                        struct err *err)
{
    int is_bare_ipv6 = strchr(host, ':') != NULL && host[0] != '[';
    struct host ignored;
    struct err inner;
    uint16_t number;
    struct text text;

    text_init(&text, connection->target, sizeof connection->target - 1);
    text_add_str(&text, is_bare_ipv6 ? "[" : "");
    text_add_str(&text, host);
    text_add_str(&text, is_bare_ipv6 ? "]:" : ":");
    text_add_str(&text, port);
    if (text_check(&text, "host", &inner) < 0 ||
        target_read_connect(text_span(&text), &ignored, &number, &inner) < 0)
        return err_set(err, ERR_CONFIG, "%.40s %.8s: %s", host, port, inner.text);
    (void)text_str(&text);
    return 0;
}

int connect_command(const struct options *options, char *const *envp)
{
    static struct connection connection;
    struct err err;
    int fd;

    (void)signal(SIGPIPE, SIG_IGN);
    if (target_write(&connection, options->program[0], options->program[1], &err) < 0 ||
        parent_proxy_find(&connection.proxy, options->proxy, envp, &err) < 0) {
        log_error("connect: %s", err.text);
        return 1;
    }
    fd = proxy_dial(&connection.proxy.at, &err);
    if (fd < 0) {
        log_error("connect %s: proxy %s: %s", connection.target, connection.proxy.at.host.name,
                  err.text);
        return 1;
    }
    return connection_run(&connection, fd) < 0 ? 1 : 0;
}
