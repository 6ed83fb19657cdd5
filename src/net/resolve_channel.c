/* SPDX-License-Identifier: Apache-2.0 */
/*
 * c-ares on our loop: it says which of its sockets it waits for, we say when they are ready and
 * when time has passed. It closes its sockets itself, so their watches are released, not closed;
 * their memory, and so the channel's, lives until the reap step after that.
 */
#include "net/resolve_channel.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/num.h"
#include "base/pool.h"

#define SOCKET_LIMIT 256
#define SEND_PIECES  16
#define TRY_COUNT    3
#define TRY_SHARE    7 /* 1 + 2 + 4: each try waits twice as long as the one before */
#define TRY_MIN_MS   100

struct channel_socket {
    struct loop_watch watch;
    struct resolve_channel *channel;
    struct list_node node; /* in channel->sockets, while c-ares has it open */
};

struct resolve_channel {
    struct loop *loop;
    ares_channel ares;
    struct loop_deadline deadline;
    struct pool pool;    /* of struct channel_socket */
    struct list sockets; /* open */
    int is_closing;
};

/* The channel goes when the last watch has been reaped. */
static void channel_drop(struct resolve_channel *channel)
{
    if (!channel->is_closing || channel->pool.used > 0)
        return;
    pool_fini(&channel->pool);
    pool_block_free(channel);
}

static void on_socket_closed(struct loop_watch *watch)
{
    struct channel_socket *socket = watch->owner;
    struct resolve_channel *channel = socket->channel;

    pool_give(&channel->pool, socket);
    channel_drop(channel);
}

/* After every call into c-ares: when does it want to be called for time alone? */
static void deadline_arm(struct resolve_channel *channel)
{
    struct timeval limit = {.tv_sec = 60};
    struct timeval memory;
    struct timeval *in;

    if (channel->sockets.count == 0) {
        loop_deadline_clear(&channel->deadline); /* no socket, no question */
        return;
    }
    in = ares_timeout(channel->ares, &limit, &memory);
    loop_deadline_set(&channel->deadline, (int64_t)in->tv_sec * 1000 + in->tv_usec / 1000 + 1);
}

static void on_deadline(struct loop_deadline *deadline)
{
    struct resolve_channel *channel = deadline->owner;

    ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    deadline_arm(channel);
}

static void on_socket_ready(struct loop_watch *watch, unsigned ready)
{
    struct channel_socket *socket = watch->owner;
    struct resolve_channel *channel = socket->channel;
    int fd = watch->fd;

    ares_process_fd(channel->ares, ready & LOOP_READ ? fd : ARES_SOCKET_BAD,
                    ready & LOOP_WRITE ? fd : ARES_SOCKET_BAD);
    deadline_arm(channel);
}

static struct channel_socket *socket_find(struct resolve_channel *channel, int fd)
{
    for (struct list_node *node = channel->sockets.first; node != NULL; node = node->next) {
        struct channel_socket *socket = node->item;

        if (socket->watch.fd == fd)
            return socket;
    }
    return NULL;
}

/* NULL when it cannot be watched: c-ares will then see a timeout. */
static struct channel_socket *socket_add(struct resolve_channel *channel, int fd)
{
    struct channel_socket *socket = pool_take(&channel->pool);
    struct err err;

    if (socket == NULL)
        return NULL;
    if (loop_watch_open(&socket->watch, channel->loop, fd, on_socket_ready, socket, &err) < 0) {
        pool_give(&channel->pool, socket);
        return NULL;
    }
    socket->channel = channel;
    list_add_last(&channel->sockets, &socket->node, socket);
    return socket;
}

/* Neither readable nor writable: c-ares is about to close it. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolve_channel *channel = arg;
    struct channel_socket *socket = socket_find(channel, fd);

    if (readable || writable) {
        if (socket == NULL)
            socket = socket_add(channel, fd);
        if (socket != NULL)
            loop_watch_set(&socket->watch,
                           (readable ? LOOP_READ : 0u) | (writable ? LOOP_WRITE : 0u));
        return;
    }
    if (socket == NULL)
        return;
    list_remove(&channel->sockets, &socket->node);
    (void)loop_watch_release(&socket->watch, on_socket_closed);
}

/* --- sockets for c-ares: its own would raise SIGPIPE when a server hangs up --- */

static ares_socket_t on_socket(int family, int type, int protocol, void *arg)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    int one = 1;

    (void)arg;
    if (fd >= 0 && type == SOCK_STREAM)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static int on_close(ares_socket_t fd, void *arg)
{
    (void)arg;
    return close(fd);
}

static int on_connect(ares_socket_t fd, const struct sockaddr *address, ares_socklen_t len,
                      void *arg)
{
    (void)arg;
    return connect(fd, address, len);
}

static ares_ssize_t on_recv(ares_socket_t fd, void *bytes, size_t len, int flags,
                            struct sockaddr *from, ares_socklen_t *from_len, void *arg)
{
    (void)arg;
    return recvfrom(fd, bytes, len, flags, from, from_len);
}

/* More pieces than fit go with the next call: sending less than all is what TCP does as well. */
static ares_ssize_t on_send(ares_socket_t fd, const struct iovec *pieces, int count, void *arg)
{
    struct iovec copy[SEND_PIECES];
    struct msghdr head = {.msg_iov = copy, .msg_iovlen = num_min((size_t)count, SEND_PIECES)};

    (void)arg;
    memcpy(copy, pieces, head.msg_iovlen * sizeof *copy);
    return sendmsg(fd, &head, MSG_NOSIGNAL);
}

static const struct ares_socket_functions socket_functions = {on_socket, on_close, on_connect,
                                                              on_recv, on_send};

/* --- the channel --- */

static int ares_fail(int status, const char *what, struct err *err)
{
    return err_set(err, status == ARES_ENOMEM ? ERR_MEMORY : ERR_CONFIG, "%s: %s", what,
                   ares_strerror(status));
}

/*
 * No search list and no aliases: the name that policy allowed is the name that is asked for (I1),
 * whatever resolv.conf and the environment say (F9). "b": DNS only, for files cannot be opened.
 */
static int channel_open(struct resolve_channel *channel, const char *servers, int64_t timeout_ms,
                        struct err *err)
{
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
        .timeout = (int)(timeout_ms / TRY_SHARE > TRY_MIN_MS ? timeout_ms / TRY_SHARE : TRY_MIN_MS),
        .tries = TRY_COUNT,
        .ndots = 0,
        .ndomains = 0,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = channel,
    };
    char lookups[] = "b";
    int status;

    options.lookups = lookups;
    status =
        ares_init_options(&channel->ares, &options,
                          ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
                              ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS)
        return ares_fail(status, "cannot start DNS", err);
    ares_set_socket_functions(channel->ares, &socket_functions, channel);
    if (servers == NULL)
        return 0;
    status = ares_set_servers_ports_csv(channel->ares, servers);
    if (status == ARES_SUCCESS)
        return 0;
    ares_destroy(channel->ares);
    return ares_fail(status, "DNS servers", err);
}

struct resolve_channel *resolve_channel_new(struct loop *loop, const char *servers,
                                            int64_t timeout_ms, struct err *err)
{
    struct resolve_channel *channel = pool_block_new(sizeof *channel);
    int status = ares_library_init(ARES_LIB_INIT_ALL);

    if (channel == NULL || status != ARES_SUCCESS) {
        (void)err_set(err, ERR_MEMORY, "no memory for DNS");
        pool_block_free(channel);
        return NULL;
    }
    channel->loop = loop;
    loop_deadline_init(&channel->deadline, loop, on_deadline, channel);
    pool_init(&channel->pool, sizeof(struct channel_socket), SOCKET_LIMIT, 8);
    if (channel_open(channel, servers, timeout_ms, err) < 0) {
        ares_library_cleanup();
        pool_fini(&channel->pool);
        pool_block_free(channel);
        return NULL;
    }
    return channel;
}

void resolve_channel_free(struct resolve_channel *channel)
{
    if (channel == NULL)
        return;
    ares_destroy(channel->ares);
    ares_library_cleanup();
    loop_deadline_clear(&channel->deadline);
    channel->is_closing = 1;
    channel_drop(channel);
}

void resolve_channel_ask(struct resolve_channel *channel, const char *name, int family,
                         ares_addrinfo_callback on_answer, void *arg)
{
    /* Not sorted: c-ares would connect a socket to every address of a hostile answer. */
    const struct ares_addrinfo_hints hints = {.ai_family = family, .ai_flags = ARES_AI_NOSORT};

    ares_getaddrinfo(channel->ares, name, NULL, &hints, on_answer, arg);
    deadline_arm(channel);
}
