/* SPDX-License-Identifier: Apache-2.0 */
/* Options, the loop, and the sum as one line of JSON. */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#define DIALS_AT_ONCE 64
#define EVENTS        256

struct load_options load_options = {.connections = 1, .path = "/small"};
struct load_stats load_stats;
SSL_CTX *load_context;
int load_epoll;

static volatile sig_atomic_t is_stopped;

void load_die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fputs("load: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

double load_now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

void queue_add(struct queue *queue, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    if (queue->end + len > queue->room && queue->start > 0) {
        memmove(queue->ptr, queue->ptr + queue->start, queue->end - queue->start);
        queue->end -= queue->start;
        queue->start = 0;
    }
    if (queue->end + len > queue->room) {
        queue->room = 2 * (queue->end + len);
        queue->ptr = realloc(queue->ptr, queue->room);
        if (queue->ptr == NULL)
            load_die("no memory");
    }
    memcpy(queue->ptr + queue->end, bytes, len);
    queue->end += len;
}

void queue_take(struct queue *queue, size_t len)
{
    queue->start += len;
    if (queue->start == queue->end)
        queue->start = queue->end = 0;
}

size_t queue_len(const struct queue *queue)
{
    return queue->end - queue->start;
}

uint8_t *queue_ptr(const struct queue *queue)
{
    return queue->ptr + queue->start;
}

bool load_has_more(void)
{
    return !is_stopped &&
           (load_options.requests == 0 || load_stats.started < load_options.requests);
}

void load_done(struct load_connection *connection, unsigned slot)
{
    load_stats.done++;
    connection->under_way--;
    connection->is_done = load_options.stays_idle;
    if (load_stats.latency_count == load_stats.latency_room) {
        load_stats.latency_room = load_stats.latency_room * 2 + 4096;
        load_stats.latency_us =
            realloc(load_stats.latency_us, load_stats.latency_room * sizeof(double));
        if (load_stats.latency_us == NULL)
            load_die("no memory");
    }
    load_stats.latency_us[load_stats.latency_count++] = load_now_us() - connection->begun_us[slot];
}

static void on_signal(int number)
{
    (void)number;
    is_stopped = 1;
}

static int doubles_compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

static double latency_at(double share)
{
    if (load_stats.latency_count == 0)
        return 0;
    return load_stats.latency_us[(size_t)(share * (double)(load_stats.latency_count - 1))];
}

static void sum_print(double seconds)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    if (load_stats.latency_count > 0)
        qsort(load_stats.latency_us, load_stats.latency_count, sizeof(double), doubles_compare);
    (void)printf(
        "{\"requests\":%llu,\"seconds\":%.3f,\"bytes\":%llu,\"errors\":%llu,\"not_200\":%llu,"
        "\"handshakes\":%llu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"cpu_s\":%.4f}\n",
        (unsigned long long)load_stats.done, seconds, (unsigned long long)load_stats.bytes,
        (unsigned long long)load_stats.errors, (unsigned long long)load_stats.not_200,
        (unsigned long long)load_stats.handshakes, latency_at(0.5), latency_at(0.99),
        (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
            (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

static void context_make(void)
{
    static const unsigned char h1[] = "\10http/1.1";
    static const unsigned char h2[] = "\2h2";

    load_context = SSL_CTX_new(TLS_client_method());
    if (load_context == NULL ||
        SSL_CTX_set_ciphersuites(load_context, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set1_groups_list(load_context, "X25519") != 1)
        load_die("TLS cannot be set up");
    /* The generator measures; whether certificates are right is for the tests to say. */
    SSL_CTX_set_verify(load_context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(load_context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(load_context, 1);
    (void)SSL_CTX_set_mode(load_context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                             SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                             SSL_MODE_RELEASE_BUFFERS);
    if (load_options.streams > 0)
        (void)SSL_CTX_set_alpn_protos(load_context, h2, sizeof h2 - 1);
    else
        (void)SSL_CTX_set_alpn_protos(load_context, h1, sizeof h1 - 1);
}

static enum load_way way_of(const char *name)
{
    static const char *const names[] = {"direct", "connect", "tunnel"};

    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0)
            return (enum load_way)i;
    }
    load_die("--way direct, connect or tunnel");
}

static void options_read(int argc, char **argv)
{
    static const struct option names[] = {{"way", required_argument, NULL, 'w'},
                                          {"port", required_argument, NULL, 'p'},
                                          {"authority", required_argument, NULL, 'a'},
                                          {"path", required_argument, NULL, 'u'},
                                          {"session", required_argument, NULL, 's'},
                                          {"token-file", required_argument, NULL, 't'},
                                          {"connections", required_argument, NULL, 'c'},
                                          {"streams", required_argument, NULL, 'm'},
                                          {"hosts", required_argument, NULL, 'h'},
                                          {"first-host", required_argument, NULL, 'f'},
                                          {"requests", required_argument, NULL, 'n'},
                                          {"seconds", required_argument, NULL, 'd'},
                                          {"upload", required_argument, NULL, 'P'},
                                          {"close", no_argument, NULL, 'k'},
                                          {"idle", no_argument, NULL, 'i'},
                                          {NULL, 0, NULL, 0}};
    static char token[2048];
    struct load_options *o = &load_options;
    FILE *file;
    int name;

    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (name) {
        case 'w':
            o->way = way_of(optarg);
            break;
        case 'p':
            o->port = (uint16_t)strtoul(optarg, NULL, 10);
            break;
        case 'a':
            o->authority = optarg;
            break;
        case 'u':
            o->path = optarg;
            break;
        case 's':
            o->session = optarg;
            break;
        case 't':
            file = fopen(optarg, "r");
            if (file == NULL || fscanf(file, "%2047s", token) != 1)
                load_die("%s: %s", optarg, strerror(errno));
            (void)fclose(file);
            o->token = token;
            break;
        case 'c':
            o->connections = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'm':
            o->streams = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'h':
            o->hosts = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'f':
            o->first_host = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            o->requests = strtoull(optarg, NULL, 10);
            break;
        case 'd':
            o->seconds = strtod(optarg, NULL);
            break;
        case 'P':
            o->upload = strtoull(optarg, NULL, 10);
            break;
        case 'k':
            o->closes = true;
            break;
        case 'i':
            o->stays_idle = true;
            break;
        default:
            exit(2);
        }
    }
    if (o->authority == NULL || o->port == 0 || o->streams > LOAD_STREAMS ||
        (o->way == LOAD_TUNNEL && (o->session == NULL || o->token == NULL)))
        load_die("--authority, --port and, for tunnels, --session and --token-file are wanted");
}

/* Until the time is over or every request has its response. */
static void loop_run(double end_us)
{
    struct epoll_event events[EVENTS];
    unsigned dialled = 0;
    bool is_told = false;

    while (!is_stopped && load_now_us() < end_us) {
        for (int i = 0; i < DIALS_AT_ONCE && dialled < load_options.connections; i++) {
            struct load_connection *connection = calloc(1, sizeof *connection);

            if (connection == NULL)
                load_die("no memory");
            load_dial(connection);
            dialled++;
        }
        int count = epoll_wait(load_epoll, events, EVENTS, 10);

        for (int i = 0; i < count; i++) {
            struct load_connection *connection = events[i].data.ptr;

            if (connection->state != LOAD_GONE)
                load_drive(connection);
        }
        if (load_options.requests > 0 &&
            load_stats.done + load_stats.errors >= load_options.requests)
            return;
        if (load_options.stays_idle && !is_told && load_stats.done >= load_options.connections) {
            is_told = true;
            (void)printf("idle\n");
            (void)fflush(stdout);
        }
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;
    double begin_us;

    options_read(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    context_make();
    load_epoll = epoll_create1(0);
    begin_us = load_now_us();
    loop_run(load_options.seconds > 0 ? begin_us + load_options.seconds * 1e6 : 1e300);
    sum_print((load_now_us() - begin_us) / 1e6);
    return load_stats.errors > 0 && load_stats.done == 0;
}
