/* SPDX-License-Identifier: Apache-2.0 */
/* A DNS server for tests (RFC 1035 section 4): answers by the first label of the name. */
#include "dns_server.h"

#include <errno.h>
#include <unistd.h>

#include "base/num.h"

#define HEADER_LEN 12
#define TYPE_A     1
#define TYPE_CNAME 5
#define TYPE_AAAA  28
#define RCODE_FAIL 2
#define RCODE_NONE 3

struct question {
    const uint8_t *message;
    size_t len; /* header and question, without what follows */
    uint16_t type;
    char name[256]; /* dotted */
};

/* What is written, big-endian. */
struct answer {
    uint8_t bytes[8192];
    size_t len;
    uint16_t count;
};

static void put8(struct answer *answer, unsigned value)
{
    ENSURE(answer->len < sizeof answer->bytes);
    answer->bytes[answer->len++] = (uint8_t)value;
}

static void put16(struct answer *answer, unsigned value)
{
    put8(answer, value >> 8);
    put8(answer, value & 255);
}

static void put_record(struct answer *answer, uint16_t type, const void *data, size_t len)
{
    put16(answer, 0xc000 | HEADER_LEN); /* the name of the question */
    put16(answer, type);
    put16(answer, 1);
    put16(answer, 0);
    put16(answer, 60); /* time to live */
    put16(answer, (unsigned)len);
    for (size_t i = 0; i < len; i++)
        put8(answer, ((const uint8_t *)data)[i]);
    answer->count++;
}

/* 192.0.2.N and 2001:db8::N, of the blocks for documentation. */
static void put_address(struct answer *answer, uint16_t type, uint8_t n)
{
    const uint8_t four[4] = {192, 0, 2, n};
    const uint8_t six[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = n};

    if (type == TYPE_A)
        put_record(answer, type, four, sizeof four);
    else
        put_record(answer, type, six, sizeof six);
}

static int question_read(struct span message, struct question *question)
{
    struct text name;
    size_t at = HEADER_LEN;

    text_init(&name, question->name, sizeof question->name);
    while (at < message.len && message.ptr[at] != 0) {
        size_t len = message.ptr[at];

        if (len > 63 || at + 1 + len > message.len)
            return -1;
        if (name.len > 0)
            text_add_char(&name, '.');
        text_add(&name, span_of(message.ptr + at + 1, len));
        at += 1 + len;
    }
    if (at + 5 > message.len)
        return -1;
    (void)text_str(&name);
    question->message = message.ptr;
    question->type = (uint16_t)(message.ptr[at + 1] << 8 | message.ptr[at + 2]);
    question->len = at + 5;
    return 0;
}

static void answer_begin(struct answer *answer, const struct question *question)
{
    *answer = (struct answer){.len = question->len};
    memcpy(answer->bytes, question->message, question->len);
    answer->bytes[2] = 0x84; /* an answer, authoritative */
    answer->bytes[3] = 0x80;
    memset(answer->bytes + 6, 0, 6);
}

static int is_asked(const struct question *question, const char *label)
{
    size_t len = strlen(label);

    return strncmp(question->name, label, len) == 0 &&
           (question->name[len] == '.' || question->name[len] == '\0');
}

static void answer_alias(struct answer *answer, uint16_t type)
{
    static const uint8_t target[] = "\6target\7example";

    put_record(answer, TYPE_CNAME, target, sizeof target);
    if (type != TYPE_A)
        return;
    /* The record of the target: its name is the data of the one before. */
    size_t at = answer->len - sizeof target;

    put_address(answer, TYPE_A, 7);
    size_t name_at = answer->len - 16;

    answer->bytes[name_at] = (uint8_t)(0xc0 | at >> 8);
    answer->bytes[name_at + 1] = (uint8_t)at;
}

/* 0: nothing is to be sent. */
static int answer_make(struct answer *answer, const struct question *question, int is_tcp)
{
    answer_begin(answer, question);
    if (is_asked(question, "silent") || (is_asked(question, "lame") && question->type == TYPE_AAAA))
        return 0;
    if (is_asked(question, "both"))
        put_address(answer, question->type, 1);
    else if (is_asked(question, "four") || is_asked(question, "lame")) {
        if (question->type == TYPE_A)
            put_address(answer, TYPE_A, 4);
    } else if (is_asked(question, "alias"))
        answer_alias(answer, question->type);
    else if (is_asked(question, "none"))
        answer->bytes[3] |= RCODE_NONE;
    else if (is_asked(question, "fail"))
        answer->bytes[3] |= RCODE_FAIL;
    else if ((is_asked(question, "many") || is_asked(question, "hangup")) && !is_tcp)
        answer->bytes[2] |= 2; /* truncated */
    else if (is_asked(question, "other")) {
        put_address(answer, question->type, 9);
        answer->bytes[HEADER_LEN + 1] ^= 1; /* first letter of the name */
    }
    for (uint8_t n = 0; is_asked(question, "many") && is_tcp && n < 100; n++)
        put_address(answer, question->type, n);
    answer->bytes[7] = (uint8_t)answer->count;
    if (is_asked(question, "junk"))
        answer->len = HEADER_LEN - 3;
    return 1;
}

static void note_name(struct dns_server *server, const struct question *question)
{
    size_t len = strlen(server->names);

    (void)snprintf(server->names + len, sizeof server->names - len, "%s ", question->name);
}

static void on_udp(struct loop_watch *watch, unsigned ready)
{
    struct dns_server *server = watch->owner;
    struct answer answer;
    struct question question;
    uint8_t bytes[1024];
    struct address from = {.len = sizeof from.v6};
    ssize_t len;

    (void)ready;
    while ((len = recvfrom(watch->fd, bytes, sizeof bytes, 0, &from.any, &from.len)) >= 0) {
        if (len < HEADER_LEN || question_read(span_of(bytes, (size_t)len), &question) < 0)
            continue;
        server->udp_count++;
        note_name(server, &question);
        if (answer_make(&answer, &question, 0))
            (void)sendto(watch->fd, answer.bytes, answer.len, 0, &from.any, from.len);
        from.len = sizeof from.v6;
    }
}

/* A question is short and comes whole on loopback; several may come one behind the other. */
static void on_connection(struct loop_watch *watch, unsigned ready)
{
    struct dns_server *server = watch->owner;
    struct question question;
    uint8_t bytes[2048];
    ssize_t got = recv(watch->fd, bytes, sizeof bytes, 0);
    size_t at = 0;

    (void)ready;
    if (got <= 0) {
        loop_watch_close(watch, NULL);
        return;
    }
    while (at + 2 < (size_t)got) {
        size_t len = (size_t)bytes[at] << 8 | bytes[at + 1];
        struct answer answer;
        uint8_t head[2];

        if (at + 2 + len > (size_t)got ||
            question_read(span_of(bytes + at + 2, len), &question) < 0)
            break;
        server->tcp_count++;
        if (is_asked(&question, "hangup")) {
            loop_watch_close(watch, NULL);
            return;
        }
        if (answer_make(&answer, &question, 1)) {
            head[0] = (uint8_t)(answer.len >> 8);
            head[1] = (uint8_t)answer.len;
            (void)send(watch->fd, head, 2, MSG_NOSIGNAL);
            (void)send(watch->fd, answer.bytes, answer.len, MSG_NOSIGNAL);
        }
        at += 2 + len;
    }
}

static void on_listener(struct loop_watch *watch, unsigned ready)
{
    struct dns_server *server = watch->owner;
    struct address from;
    struct err err;
    int fd;

    (void)ready;
    if (server->connection.is_open)
        return; /* the next one waits */
    fd = socket_accept(watch->fd, &from, &err);
    if (fd < 0)
        return;
    ENSURE(loop_watch_open(&server->connection, watch->loop, fd, on_connection, server, &err) == 0);
    loop_watch_set(&server->connection, LOOP_READ);
}

int dns_server_open(struct dns_server *server, struct err *err)
{
    struct address address;

    *server = (struct dns_server){0};
    if (socket_read_address(span_text("127.0.0.1:0"), &address, err) < 0)
        return -1;
    server->listener_fd = socket_listen(&address, 16, err);
    if (server->listener_fd < 0 || socket_local(server->listener_fd, &address, err) < 0)
        return -1;
    server->port = socket_port(&address);
    server->udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->udp_fd < 0 || bind(server->udp_fd, &address.any, address.len) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "bind");
    return 0;
}

int dns_server_start(struct dns_server *server, struct loop *loop, struct err *err)
{
    if (loop_watch_open(&server->udp, loop, server->udp_fd, on_udp, server, err) < 0 ||
        loop_watch_open(&server->listener, loop, server->listener_fd, on_listener, server, err) < 0)
        return -1;
    loop_watch_set(&server->udp, LOOP_READ);
    loop_watch_set(&server->listener, LOOP_READ);
    return 0;
}

void dns_server_close(struct dns_server *server)
{
    loop_watch_close(&server->udp, NULL);
    loop_watch_close(&server->listener, NULL);
    if (server->connection.is_open)
        loop_watch_close(&server->connection, NULL);
}
