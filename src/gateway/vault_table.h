/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_VAULT_TABLE_H
#define EXEAT_GATEWAY_VAULT_TABLE_H

#include "base/list.h"
#include "base/map.h"
#include "gateway/session_store.h"

/*
 * Which session lives on which worker: it has authenticated there and has not left. Only such a
 * worker gets a credential of the session. The rows lie in memory that a vault's successor can
 * map, so that a vault that dies does not end the sessions; nothing in them is secret.
 */
#define VAULT_TABLE_ROWS 65536

/* The vault's descriptor of that memory, besides those of enum message_fd. */
#define FD_VAULT_TABLE 5

struct vault_row {
    uint32_t is_used;
    uint32_t worker;
    uint32_t count; /* times it has authenticated here since it came */
    uint32_t id_len;
    uint32_t tenant_len;
    int64_t expires_ms; /* wall clock */
    char id[LIMIT_SESSION_ID];
    char tenant[LIMIT_NAME];
};

struct vault_entry {
    struct map_node map_node;
    struct list_node list_node;
    struct vault_row *row; /* borrowed: the table's memory */
    enum err_code end;     /* not ERR_OK: over, and its worker is to be told why */
    size_t key_len;
    uint8_t key[sizeof(uint32_t) + LIMIT_SESSION_ID];
};

struct vault_table {
    struct vault_row *rows;      /* borrowed */
    struct vault_entry *entries; /* owned: one for each row */
    struct list used;
    struct list idle;
    struct map map;
};

#define VAULT_TABLE_BYTES (VAULT_TABLE_ROWS * sizeof(struct vault_row))

/* `memory` has VAULT_TABLE_BYTES, all zero or of a table before; it outlives the table. */
int vault_table_init(struct vault_table *table, struct room memory, struct err *err);
void vault_table_fini(struct vault_table *table);

/* Authenticated once more. ERR_LIMIT. */
int vault_table_join(struct vault_table *table, unsigned worker,
                     const struct stored_session *session, struct err *err);

/*
 * Gone from this worker. `count` is how many of its authentications the worker knew of when it
 * said so, 0: all; one that it did not know of yet keeps the session there.
 */
void vault_table_leave(struct vault_table *table, unsigned worker, struct span id, uint64_t count);
void vault_table_remove(struct vault_table *table, struct vault_entry *entry);
void vault_table_remove_worker(struct vault_table *table, unsigned worker);

/* Does it live there, and is it not over? */
bool vault_table_has(const struct vault_table *table, unsigned worker, struct span id,
                     int64_t now_ms);

/* The same, with its tenant (borrowed from the table). */
bool vault_table_tenant(const struct vault_table *table, unsigned worker, struct span id,
                        int64_t now_ms, struct span *tenant);

/* Mark those whose time is over, and, if `store` is not NULL, those it says are. ERR_SYSTEM. */
int vault_table_check(struct vault_table *table, struct session_store *store, int64_t now_ms,
                      struct err *err);

static inline struct span vault_entry_id(const struct vault_entry *entry)
{
    return span_of(entry->row->id, entry->row->id_len);
}

#endif
