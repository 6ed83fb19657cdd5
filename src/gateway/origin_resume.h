/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_ORIGIN_RESUME_H
#define EXEAT_GATEWAY_ORIGIN_RESUME_H

#include "base/list.h"
#include "base/map.h"
#include "base/pool.h"
#include "crypto/tls_session.h"

/*
 * What origins have given to resume TLS with. Sessions never share any of it, as they share no
 * connection. Bounded for each session and in all; the least recently kept goes first.
 */
#define ORIGIN_RESUME_MAX   256
#define ORIGIN_RESUME_SHARE 32 /* of one session */

struct origin_resume {
    struct map map;
    struct list kept; /* of entries, last kept first */
    struct pool entries;
};

/* Two connections with the same of all this may resume one another. */
struct origin_resume_key {
    struct span session;
    const struct host *host;
    uint16_t port;
    unsigned alpn; /* what is offered, a set of enum tls_alpn */
};

/* ERR_MEMORY, ERR_SYSTEM. */
int origin_resume_init(struct origin_resume *resume, struct err *err);
void origin_resume_fini(struct origin_resume *resume);

/*
 * Let `tls`, a client before its handshake, try to resume with what is kept: 1 if there is
 * something. It is used up by that; origin_resume_keep() is where the next comes from.
 */
int origin_resume_give(struct origin_resume *resume, const struct origin_resume_key *key,
                       struct tls *tls, int64_t now_s);

/*
 * Keep what the server of `tls` has given, if it has: after an exchange, or when the connection
 * ends well, before tls_fini(). Replaces what was kept under this key.
 */
void origin_resume_keep(struct origin_resume *resume, const struct origin_resume_key *key,
                        struct tls *tls);

/* The session has ended: everything of it is wiped. */
void origin_resume_forget(struct origin_resume *resume, struct span session);

#endif
