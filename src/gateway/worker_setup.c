/* SPDX-License-Identifier: Apache-2.0 */
/* Making a worker: everything it will ever read from files is read here. */
#include "gateway/worker_setup.h"

#include <unistd.h>

#include "crypto/digest.h"
#include "gateway/ca_files.h"
#include "gateway/inspect.h"
#include "gateway/origin.h"
#include "gateway/origin_dial.h"
#include "gateway/pass.h"
#include "gateway/tunnel.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/ipc.h"
#include "os/log.h"
#include "os/proc.h"

/* How long a listener's handshake may wait for the vault's signature. */
#define SIGN_WAIT_MS 1000

/* Items kept for reuse. */
#define KEEP_ITEMS 256

static int roots_read(struct worker *worker, struct err *err)
{
    const struct config *config = &worker->role.config;
    uint8_t *memory = pool_block_new(LIMIT_BUNDLE);
    struct bundle_roots *roots;
    struct text pem;

    if (memory == NULL)
        return err_set(err, ERR_MEMORY, "no memory for the roots");
    text_init(&pem, memory, LIMIT_BUNDLE);
    for (size_t i = 0; i < config->root_count; i++) {
        struct room content;

        if (file_read(config->roots[i], LIMIT_BUNDLE, &content, err) < 0)
            goto fail;
        text_add(&pem, span_of_room(content));
        text_add_char(&pem, '\n');
        file_free(&content);
    }
    if (text_check(&pem, "origins.roots", err) < 0)
        goto fail;
    roots = bundle_roots_new(text_span(&pem), err);
    if (roots == NULL)
        goto fail;
    worker->origin_context = tls_context_new_client(roots, "http/1.1", err);
    bundle_roots_free(roots);
    pool_block_free(memory);
    if (worker->origin_context == NULL)
        return -1;
    tls_context_allow_resumption(worker->origin_context);
    return origin_resume_init(&worker->resume, err);

fail:
    pool_block_free(memory);
    return -1;
}

/*
 * A signature for a listener's handshake. The key is the vault's; the handshake waits, and with it
 * this worker, for the time of one packet there and back.
 */
static ssize_t vault_sign(void *owner, struct span digest, struct room signature, struct err *err)
{
    struct listener *listener = owner;
    int fd = listener->worker->sign_fd;
    const struct message ask = {
        .type = MESSAGE_SIGN,
        .index = listener->index,
        .handle = ++listener->worker->sign_count,
        .a = digest,
    };
    uint8_t memory[MESSAGE_MAX];
    struct room room = {.ptr = memory, .len = sizeof memory};
    struct message reply;

    if (message_send(fd, &ask, -1, err) <= 0)
        return err_set(err, ERR_TLS, "the vault takes no question for the listener");
    do { /* an answer that came too late for its question is not this one's */
        if (ipc_wait(fd, SIGN_WAIT_MS, err) <= 0 ||
            message_recv(fd, SENDER_VAULT, room, &reply, NULL, err) <= 0)
            return err_set(err, ERR_TLS, "the vault gives no signature for the listener");
    } while (reply.handle != ask.handle);
    if (reply.type != MESSAGE_SIGN_REPLY || reply.code != ERR_OK || reply.a.len > signature.len)
        return err_set(err, ERR_TLS, "the vault refuses a signature for the listener");
    memcpy(signature.ptr, reply.a.ptr, reply.a.len);
    return (ssize_t)reply.a.len;
}

static int listeners_setup(struct worker *worker, struct err *err)
{
    const struct config *config = &worker->role.config;
    int fds[WORKER_LISTENERS];

    if (config->listen_count > WORKER_LISTENERS)
        return err_set(err, ERR_CONFIG, "more than %d listeners", WORKER_LISTENERS);
    worker->listener_count = config->listen_count;
    for (size_t i = 0; i < config->listen_count; i++)
        fds[i] = FD_LISTEN + (int)i;
    if (own_address_init(&worker->own, fds, config->listen_count, err) < 0)
        return -1;
    for (size_t i = 0; i < config->listen_count; i++) {
        struct listener *listener = &worker->listeners[i];
        struct room chain;

        listener->worker = worker;
        listener->index = (unsigned)i;
        if (config->listens[i].certificate == NULL)
            continue;
        if (file_read(config->listens[i].certificate, LIMIT_CHAIN, &chain, err) < 0)
            return -1;
        listener->sign = (struct tls_sign){.sign = vault_sign, .owner = listener};
        listener->tls_context =
            tls_context_new_listener(span_of_room(chain), span_of(NULL, 0), &listener->sign, err);
        file_free(&chain);
        if (listener->tls_context == NULL)
            return -1;
    }
    return 0;
}

/* What the configuration counts with (config_memory.c): each is more than its structs. */
_Static_assert(sizeof(struct tunnel) + sizeof(struct inspect) <= CONFIG_TUNNEL_STRUCTS, "");
_Static_assert(sizeof(struct tunnel) + sizeof(struct pass) <= CONFIG_TUNNEL_STRUCTS, "");
_Static_assert(sizeof(struct origin) <= CONFIG_ORIGIN_STRUCTS, "");
_Static_assert(sizeof(struct exchange) + CONFIG_STREAMS_EACH * sizeof(struct h2_stream) <=
                   CONFIG_EXCHANGE_STRUCTS,
               "");
_Static_assert(sizeof(struct session) + sizeof(struct tenant) <= CONFIG_SESSION_STRUCTS, "");

static int pools_setup(struct worker *worker, struct err *err)
{
    static const size_t item_sizes[SHARE_COUNT] = {
        [SHARE_TUNNELS] = sizeof(struct tunnel),     [SHARE_ORIGINS] = sizeof(struct origin),
        [SHARE_EXCHANGES] = sizeof(struct exchange), [SHARE_HEADS] = LIMIT_ARENA_BLOCK,
        [SHARE_STREAMS] = sizeof(struct h2_stream),  [SHARE_BLOCKS] = LIMIT_BLOCK,
        [SHARE_CONTENTS] = LIMIT_STREAM_WINDOW,
    };
    const struct config_limits *limits = &worker->role.config.limits;
    uint8_t seed[16];

    ENSURE(origin_dial_size() <= CONFIG_DIAL_STRUCTS);
    share_init_worker(&worker->share, limits, item_sizes);
    share_init(&worker->joining, SHARE_JOINING, &worker->share, limits, span_of(NULL, 0));
    pool_init(&worker->inspect_pool, sizeof(struct inspect), limits->tunnels, KEEP_ITEMS);
    pool_init(&worker->pass_pool, sizeof(struct pass), limits->tunnels, KEEP_ITEMS);
    pool_init(&worker->dial_pool, origin_dial_size(), limits->tunnels + limits->origins, 16);
    pool_init(&worker->tenant_pool, sizeof(struct tenant), limits->sessions, 16);
    pool_init(&worker->session_pool, sizeof(struct session), limits->sessions, 16);
    if (digest_random((struct room){.ptr = seed, .len = sizeof seed}, err) < 0 ||
        map_init(&worker->tenants, limits->sessions, seed, err) < 0)
        return -1;
    return map_init(&worker->sessions, limits->sessions, seed, err);
}

static int resolver_setup(struct worker *worker, struct err *err)
{
    const struct config_resolver *config = &worker->role.config.resolver;

    worker->resolver =
        resolver_new(&worker->loop, config->servers, worker->role.config.timeouts.resolve_ms, err);
    if (worker->resolver == NULL)
        return -1;
    for (size_t i = 0; i < config->host_count; i++) {
        if (resolver_add_static(worker->resolver, config->hosts[i].name, &config->hosts[i].address,
                                err) < 0)
            return -1;
    }
    return 0;
}

/* Twice what one certificate's file may be: while the CA is replaced there are two. */
#define CA_PEM_MAX (2 * LIMIT_CHAIN)

static int ca_pem_read(struct worker *worker, struct err *err)
{
    struct text pem;

    worker->ca_pem = (struct room){.ptr = pool_block_new(CA_PEM_MAX), .len = 0};
    if (worker->ca_pem.ptr == NULL)
        return err_set(err, ERR_MEMORY, "no memory for the CA's certificate");
    text_init(&pem, worker->ca_pem.ptr, CA_PEM_MAX);
    if (ca_files_published(&worker->role.config.ca, clock_wall_ms() / 1000, &pem, err) < 0)
        return -1;
    worker->ca_pem.len = pem.len;
    return 0;
}

static int crypto_setup(struct worker *worker, struct err *err)
{
    if (ca_pem_read(worker, err) < 0 || roots_read(worker, err) < 0)
        return -1;
    worker->leaf_key = leaf_key_new(err);
    if (worker->leaf_key == NULL)
        return -1;
    worker->inspect_context = tls_context_new_inspect(err);
    if (worker->inspect_context == NULL ||
        (worker->role.config.tls.tickets > 0 &&
         tls_context_add_tickets(worker->inspect_context, err) < 0))
        return -1;
    return listeners_setup(worker, err);
}

int worker_setup(struct worker *worker, int argc, char **argv, struct err *err)
{
    worker->sign_fd = FD_SIGN;
    if (role_start(&worker->role, "worker", argc, argv, err) < 0 || digest_setup(err) < 0 ||
        loop_init(&worker->loop, err) < 0 || pools_setup(worker, err) < 0 ||
        crypto_setup(worker, err) < 0 || resolver_setup(worker, err) < 0)
        return -1;
    (void)proc_raise_files();
    if (worker->role.config.user != NULL && proc_drop_to(worker->role.config.user, err) < 0)
        return -1;
    return 0;
}

int worker_introduce(struct worker *worker, struct err *err)
{
    uint8_t memory[256];
    struct text spki;

    text_init(&spki, memory, sizeof memory);
    if (leaf_key_public(worker->leaf_key, &spki, err) < 0)
        return -1;

    const struct message hello = {.type = MESSAGE_WORKER, .a = text_span(&spki)};

    return vault_link_tell(&worker->vault, &hello, err);
}

void worker_take_peer(struct worker *worker, enum message_peer peer, int fd)
{
    struct err err;

    switch (peer) {
    case PEER_VAULT:
        if (vault_link_replace(&worker->vault, fd, &err) < 0)
            log_error("channel to the new vault: %s", err.text);
        break;
    case PEER_VAULT_SIGN:
        (void)close(worker->sign_fd);
        worker->sign_fd = fd;
        break;
    case PEER_WORKER:
    case PEER_WORKER_SIGN:
        (void)close(fd);
        break;
    }
}
