/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_WORKER_H
#define EXEAT_GATEWAY_WORKER_H

#include "crypto/tls_context.h"
#include "gateway/audit_link.h"
#include "gateway/leaf_cache.h"
#include "gateway/origin_resume.h"
#include "gateway/own_address.h"
#include "gateway/role.h"
#include "gateway/session.h"
#include "gateway/tenant.h"
#include "gateway/vault_link.h"
#include "http/h2.h"
#include "net/resolve.h"

/*
 * A worker: the process that meets both hostile sides. It holds sockets and its own short-lived
 * key, no file, and only those credentials that sessions on it may use.
 */

#define WORKER_LISTENERS 16

struct listener {
    struct loop_watch watch;
    struct worker *worker;           /* borrowed */
    struct tls_context *tls_context; /* owned; NULL: plain ws */
    struct tls_sign sign;
    unsigned index;
    struct loop_deadline pause; /* out of descriptors: accept again later */
};

struct worker {
    struct role role; /* holds the configuration */
    struct loop loop;
    struct vault_link vault;
    struct audit_link audit;
    int sign_fd; /* channel to the vault for signatures, waited for */
    uint64_t sign_count;
    struct loop_watch control;
    struct listener listeners[WORKER_LISTENERS];
    size_t listener_count;
    struct own_addresses own; /* of them */

    struct leaf_key *leaf_key;
    struct leaf_cache leaves;
    struct tls_context *inspect_context;
    struct tls_context *origin_context;
    struct origin_resume resume;
    struct resolver *resolver;
    struct room ca_pem; /* the CA's certificate, for those who ask */

    struct share share;   /* all there is */
    struct share joining; /* of tunnels without a session */
    struct pool inspect_pool;
    struct pool pass_pool;
    struct pool dial_pool;
    struct pool tenant_pool;
    struct pool session_pool;
    struct map tenants;
    struct map sessions;
    struct list tunnels;       /* of struct tunnel */
    struct list tunnels_alone; /* those of them without a session, the oldest first */
    size_t idle_origins;
    uint64_t next_tunnel;

    struct loop_deadline drain;
    struct loop_deadline keepalive;
    struct loop_deadline tickets; /* new keys for them */
    struct loop_deadline starved; /* no buffer was left for tunnels_alone: look again soon */
    int is_draining;
};

/* The role `worker`: returns the exit status. */
int worker_main(int argc, char **argv);

/*
 * Whether too few buffers are left for tunnels without a session to read on. Who waits is woken
 * again in a while; waiting for a socket instead would only spin.
 */
bool worker_is_starved(struct worker *worker);

/* Called by a tunnel that is gone, and after each record: ends a draining worker when it is idle.
 */
void worker_check_drained(struct worker *worker);

#endif
