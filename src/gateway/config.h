/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_CONFIG_H
#define EXEAT_GATEWAY_CONFIG_H

#include "base/arena.h"
#include "base/limits.h"
#include "base/span.h"
#include "gateway/config_error.h"
#include "net/socket.h"
#include "os/log.h"
#include "policy/rule.h"

/*
 * The configuration of the gateway, typed. Immutable once read; every process reads the same bytes
 * and gets the same. Paths are absolute if the path of the configuration file is; text and spans
 * lie in the arena and have a NUL behind them. docs/configuration.md says what each key means.
 */

#define CONFIG_FILE_MAX (1024 * 1024)

struct config_listen {
    struct address address;
    const char *certificate; /* path, or NULL: without TLS */
    const char *key;         /* path, NULL if `certificate` is */
    unsigned line;
};

struct config_ca {
    const char *certificate; /* path */
    const char *key;         /* path */
    int64_t leaf_lifetime_ms;
    unsigned line; /* of `ca`, else of what names the directory of the defaults */
};

struct config_tls {
    uint64_t tickets; /* given to each client in a tunnel: 0 or 1 */
};

struct config_audit {
    const char *file; /* path */
    int64_t sync_ms;  /* longest time a line waits for fdatasync */
};

struct config_host {
    struct span name;       /* canonical */
    struct address address; /* port 0 */
};

struct config_resolver {
    const char *servers; /* "9.9.9.9,127.0.0.1:5353" for resolver_new(), or NULL: the system's */
    struct config_host *hosts; /* one for each address; a name may come again */
    size_t host_count;
};

/* Of one worker. */
struct config_limits {
    uint64_t tunnels;
    uint64_t tunnels_per_tenant;
    uint64_t tunnels_per_session;
    uint64_t joining; /* tunnels that are not authenticated yet */
    uint64_t sessions;
    uint64_t exchanges;
    uint64_t exchanges_per_tenant;
    uint64_t exchanges_per_session;
    uint64_t origins;
    uint64_t origins_per_tenant;
    uint64_t origins_per_session;
    uint64_t origins_per_host; /* of one session, to one host and port */
    uint64_t origins_idle;
    uint64_t buffers; /* blocks of LIMIT_BLOCK bytes */
    uint64_t buffers_per_tenant;
    uint64_t buffers_per_session;
    uint64_t leaves_per_second; /* of a tenant, in the vault: for all workers */
    uint64_t h2_memory;         /* bytes that the engines of HTTP/2 take beside buffers */
    uint64_t memory;            /* bytes; config_memory_worst() is not above it */
};

/* Tunnels above limits.tunnels that are accepted only to be told 503. */
#define CONFIG_TUNNELS_EXCESS 64

/* An exchange has at most so many streams, and on average at most so many blocks for heads. */
#define CONFIG_STREAMS_EACH 2
#define CONFIG_HEADS_EACH   8

/* The fewest buffers with which a share is of use. */
#define CONFIG_BUFFERS_LEAST 16

/* Of `buffers`: those that streams of HTTP/2 have besides, and those for `joining`. */
uint64_t config_contents_of(uint64_t buffers);
uint64_t config_buffers_of_joining(const struct config_limits *limits);

struct config_timeouts {
    int64_t handshake_ms;         /* tunnel JOIN */
    int64_t auth_ms;              /* tunnel AUTH */
    int64_t hello_ms;             /* tunnel HELLO */
    int64_t peek_ms;              /* inspect PEEK */
    int64_t mint_ms;              /* inspect MINT */
    int64_t inspect_handshake_ms; /* inspect SHAKE */
    int64_t idle_ms;              /* inspect HTTP, between requests */
    int64_t head_ms;              /* exchange HEAD */
    int64_t resolve_ms;           /* origin RESOLVE */
    int64_t connect_ms;           /* origin CONNECT */
    int64_t origin_handshake_ms;  /* origin SHAKE */
    int64_t origin_idle_ms;       /* origin IDLE */
    int64_t forward_ms;           /* exchange FORWARD and PASS, while nothing moves */
    int64_t body_window_ms;       /* in which a request's content is measured */
    uint64_t body_rate;           /* bytes of it that have to come each second; 0: any */
    int64_t stall_ms;             /* exchange FORWARD, while the client takes nothing */
    int64_t drain_ms;             /* after SIGTERM or a new configuration */
};

struct config {
    uint64_t generation; /* the first 8 bytes of the SHA-256 of the file, big endian */
    const char *path;    /* of the configuration file, as given */
    struct config_listen *listens;
    size_t listen_count; /* at least 1 */
    const char *state_dir;
    unsigned workers; /* 0: as many as there are cores */
    const char *user; /* or NULL */
    struct config_ca ca;
    struct config_tls tls;
    struct config_audit audit;
    const char **roots; /* paths of PEM files */
    size_t root_count;  /* at least 1 */
    unsigned root_line;
    struct config_resolver resolver;
    struct config_limits limits;
    struct config_timeouts timeouts;
    enum log_level log;
    struct policy policy;

    struct pool pool;   /* private */
    struct arena arena; /* private */
};

/*
 * Read the bytes of a configuration file. `path` is the file's, for messages and for relative
 * paths; no file is opened. 0, or -1 with at least one error in *errors; then *config is empty.
 * Warnings are added in both cases. *config must stay where it is until config_fini().
 */
int config_read(struct config *config, struct span yaml, const char *path,
                struct config_errors *errors);

/* Safe on a zeroed config and twice. */
void config_fini(struct config *config);

/*
 * Are the files there and readable, are the credentials' values fit to be sent? Reads files and
 * the environment. 0, or -1 with at least one error added.
 */
int config_check_files(const struct config *config, struct config_errors *errors);

/*
 * The most memory that one worker can take, in bytes, and of what it is the sum.
 * docs/configuration.md says what is in it and what is not.
 */
enum config_memory_kind {
    CONFIG_MEMORY_TUNNELS,
    CONFIG_MEMORY_ORIGINS,
    CONFIG_MEMORY_EXCHANGES,
    CONFIG_MEMORY_BUFFERS,
    CONFIG_MEMORY_CONTENTS,
    CONFIG_MEMORY_H2,
    CONFIG_MEMORY_SESSIONS,
    CONFIG_MEMORY_LEAVES,
    CONFIG_MEMORY_BASE,
    CONFIG_MEMORY_COUNT
};

struct config_memory_part {
    const char *words; /* "tunnels" */
    uint64_t count;
    uint64_t each; /* bytes */
};

void config_memory_parts(const struct config *config,
                         struct config_memory_part parts[CONFIG_MEMORY_COUNT]);
uint64_t config_memory_worst(const struct config *config);

/* What the parts count with; gateway/worker_setup.c holds the structs to it. */
#define CONFIG_TUNNEL_STRUCTS   4096
#define CONFIG_ORIGIN_STRUCTS   2048
#define CONFIG_DIAL_STRUCTS     4096
#define CONFIG_EXCHANGE_STRUCTS 4096
#define CONFIG_SESSION_STRUCTS  8192

#endif
