/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_SESSION_STORE_H
#define EXEAT_GATEWAY_SESSION_STORE_H

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"
#include "crypto/digest.h"

/*
 * Who may use the gateway: sessions in one SQLite file. The commands write it, the vault only
 * reads it. A token is never in it, only its SHA-256.
 */
struct stored_session {
    char id[LIMIT_SESSION_ID + 1];
    char tenant[LIMIT_NAME + 1];
    int64_t created_ms; /* all wall clock */
    int64_t expires_ms;
    int64_t revoked_ms; /* 0: not revoked */
};

struct session_store;

/* Its name in state_dir. */
#define SESSION_STORE_FILE "sessions.db"

enum session_store_mode {
    SESSION_STORE_READ,  /* the file must be there; nothing can be changed */
    SESSION_STORE_WRITE, /* made with mode 0600 if it is not there */
};

/* NULL: ERR_CONFIG for a file that is not ours or from a later version, ERR_SYSTEM. */
struct session_store *session_store_open(const char *path, enum session_store_mode mode,
                                         struct err *err);
void session_store_close(struct session_store *store); /* NULL is ignored */

/* ERR_CONFIG if the id exists already, ERR_SYSTEM. */
int session_store_add(struct session_store *store, const struct stored_session *session,
                      const uint8_t token_hash[DIGEST_SHA256], struct err *err);

/* By the SHA-256 of its token or by its id. 1 found, 0 not, -1 ERR_SYSTEM. */
int session_store_find(struct session_store *store, const uint8_t token_hash[DIGEST_SHA256],
                       struct stored_session *session, struct err *err);
int session_store_get(struct session_store *store, struct span id, struct stored_session *session,
                      struct err *err);

/* 1 revoked now, 0 it was already, -1: ERR_NOT_FOUND, ERR_SYSTEM. */
int session_store_revoke(struct session_store *store, struct span id, int64_t now_ms,
                         struct err *err);

/* Call `each` for every session, oldest first. */
int session_store_list(struct session_store *store,
                       void (*each)(void *owner, const struct stored_session *session), void *owner,
                       struct err *err);

/* A number that changes when another process has changed the file. */
int session_store_version(struct session_store *store, int64_t *version, struct err *err);

/* May it be used now? ERR_OK, ERR_SESSION_REVOKED or ERR_TOKEN_EXPIRED. */
enum err_code session_store_state(const struct stored_session *session, int64_t now_ms);

/* 1 to `max` of A-Z a-z 0-9 . _ - : what an id or a tenant may be. */
bool session_store_is_name(struct span text, size_t max);

#endif
