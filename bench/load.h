/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BENCH_LOAD_H
#define EXEAT_BENCH_LOAD_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A load generator for interceptors of TLS: one thread, epoll. An instrument: it trusts its peer's
 * syntax and ends with a message where a product would recover.
 */

#define LOAD_STREAMS 128
#define LOAD_HEAD    16384
#define LOAD_PIECE   65536

enum load_way {
    LOAD_DIRECT,  /* TLS on the socket: the origin, reverse bridges */
    LOAD_CONNECT, /* CONNECT first: forward proxies, the relay */
    LOAD_TUNNEL,  /* the tunnel protocol (docs/protocol.md), as the relay speaks it */
};

struct load_options {
    enum load_way way;
    uint16_t port;
    const char *authority; /* host:port of the origin */
    const char *path;
    const char *session; /* LOAD_TUNNEL */
    const char *token;
    unsigned connections;
    unsigned streams; /* HTTP/2 when not 0 */
    unsigned hosts;   /* hFIRST.HOST and so on, one for each new connection */
    unsigned first_host;
    uint64_t requests; /* 0: no limit */
    double seconds;
    uint64_t upload; /* bytes of each POST; 0: GET */
    bool closes;     /* a connection for each request */
    bool stays_idle; /* one request on each connection, then nothing until SIGTERM */
};

struct load_stats {
    uint64_t started;
    uint64_t done;
    uint64_t errors;
    uint64_t not_200;
    uint64_t handshakes;
    uint64_t bytes; /* inside TLS, both directions */
    double *latency_us;
    size_t latency_count;
    size_t latency_room;
};

/* A byte queue that grows. */
struct queue {
    uint8_t *ptr;
    size_t start;
    size_t end;
    size_t room;
};

void queue_add(struct queue *queue, const void *bytes, size_t len);
void queue_take(struct queue *queue, size_t len);
size_t queue_len(const struct queue *queue);
uint8_t *queue_ptr(const struct queue *queue);

/* The response that is being read. */
struct load_h1 {
    char head[LOAD_HEAD];
    size_t head_len;
    bool is_in_body;
    bool is_chunked;
    uint64_t left; /* of the content, or of the chunk */
    enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_TAIL, CHUNK_LAST } chunk;
};

struct load_h2 {
    uint8_t head[9];
    size_t head_len;
    uint8_t begin[64]; /* of the frame's payload */
    uint32_t got;
    uint32_t next_stream;
    uint32_t stream[LOAD_STREAMS];
    uint64_t unacknowledged; /* bytes of the connection's window */
};

struct load_connection {
    enum {
        LOAD_DIALS,
        LOAD_ASKS,
        LOAD_JOINS,
        LOAD_HELLOS,
        LOAD_SHAKES,
        LOAD_OPEN,
        LOAD_GONE
    } state;
    int fd;
    unsigned host;
    SSL *ssl;
    struct queue wire_in;  /* LOAD_TUNNEL: frames from the socket */
    struct queue wire_out; /* and for it */
    struct queue payload;  /* what the frames carried */
    struct queue out;      /* requests that are not encrypted yet */
    uint64_t upload_left;
    unsigned under_way;
    bool must_close;
    bool is_done; /* stays_idle */
    double begun_us[LOAD_STREAMS];
    char answer[LOAD_HEAD]; /* to CONNECT or the upgrade */
    size_t answer_len;
    struct load_h1 h1;
    struct load_h2 h2;
};

extern struct load_options load_options;
extern struct load_stats load_stats;
extern SSL_CTX *load_context;
extern int load_epoll;

double load_now_us(void);
_Noreturn void load_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool load_has_more(void);
void load_done(struct load_connection *connection, unsigned slot);

/* "h3.origin.test:443" of a connection, or without the port. */
void load_host(const struct load_connection *connection, bool with_port, char *out, size_t room);

void load_dial(struct load_connection *connection);
void load_drive(struct load_connection *connection);

/* Ask once more. */
void load_h1_ask(struct load_connection *connection);
void load_h2_ask(struct load_connection *connection);

/* Bytes of responses. 1: HTTP/1.1, a response is complete. 0, or -1: not HTTP. */
int load_h1_feed(struct load_connection *connection, const uint8_t *bytes, size_t len);
int load_h2_feed(struct load_connection *connection, const uint8_t *bytes, size_t len);

/* LOAD_TUNNEL: TLS goes through this. */
BIO *load_tunnel_bio(struct load_connection *connection);
void load_tunnel_send(struct load_connection *connection, const uint8_t *bytes, size_t len);
/* 0, or -1 when the socket has ended. */
int load_tunnel_flush(struct load_connection *connection);
int load_tunnel_pull(struct load_connection *connection);

#endif
