/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_SEAL_H
#define EXEAT_GATEWAY_SEAL_H

#include "base/buf.h"
#include "crypto/tls.h"
#include "wire/envelope_mark.h"

/*
 * Plaintext on its way into a TLS connection: heads and small pieces are gathered so that they
 * share a record, large pieces are encrypted straight from where they lie. Without TLS (plain HTTP)
 * the bytes go out as they are.
 */
enum seal_wrap {
    SEAL_BARE,     /* the records are what the socket gets */
    SEAL_ENVELOPE, /* the records travel in chunks of a tunnel */
};

struct seal {
    struct tls *tls;    /* borrowed; NULL: plain */
    struct buf *sealed; /* borrowed */
    struct buf gather;  /* secret: may hold an injected credential */
    enum seal_wrap wrap;
};

void seal_init(struct seal *seal, struct tls *tls, struct buf *sealed, struct pool *blocks,
               enum seal_wrap wrap);
void seal_fini(struct seal *seal);

/* How many bytes seal_send() takes now, whatever pieces they come in (at most 8 of them). */
size_t seal_room(const struct seal *seal);

/* `bytes.len` <= seal_room(). ERR_TLS, ERR_MEMORY. */
int seal_send(struct seal *seal, struct span bytes, struct err *err);

/*
 * Encrypt what was gathered, as far as there is room. Call at the end of every pump. 1 if bytes
 * moved, 0, or -1.
 */
int seal_flush(struct seal *seal, struct err *err);

/* Hand ciphertext to the TLS connection; its answers go out wrapped as well. See tls_feed(). */
int seal_feed(struct seal *seal, struct span in, size_t *used, struct buf *plain, struct err *err);

/* close_notify. */
void seal_close(struct seal *seal);

#endif
