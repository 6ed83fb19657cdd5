/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of (worker, session) in shared memory, found by a map of this process alone. */
#include "gateway/vault_table.h"

#include "base/pool.h"

static size_t key_write(uint8_t *key, unsigned worker, struct span id)
{
    uint32_t number = worker;

    ENSURE(id.len <= LIMIT_SESSION_ID);
    memcpy(key, &number, sizeof number);
    if (id.len > 0)
        memcpy(key + sizeof number, id.ptr, id.len);
    return sizeof number + id.len;
}

static struct vault_entry *entry_find(const struct vault_table *table, unsigned worker,
                                      struct span id)
{
    uint8_t key[sizeof(uint32_t) + LIMIT_SESSION_ID];

    if (id.len > LIMIT_SESSION_ID)
        return NULL;
    return map_find(&table->map, span_of(key, key_write(key, worker, id)));
}

static int entry_use(struct vault_table *table, struct vault_entry *entry, struct err *err)
{
    entry->key_len = key_write(entry->key, entry->row->worker, vault_entry_id(entry));
    entry->end = ERR_OK;
    if (map_add(&table->map, &entry->map_node, span_of(entry->key, entry->key_len), entry, err) < 0)
        return -1;
    list_add_last(&table->used, &entry->list_node, entry);
    return 0;
}

static bool row_is_sound(const struct vault_row *row)
{
    return row->is_used == 1 && row->id_len > 0 && row->id_len <= LIMIT_SESSION_ID &&
           row->tenant_len <= LIMIT_NAME;
}

static int rows_index(struct vault_table *table, struct err *err)
{
    for (size_t i = 0; i < VAULT_TABLE_ROWS; i++) {
        struct vault_entry *entry = &table->entries[i];

        entry->row = &table->rows[i];
        if (row_is_sound(entry->row) &&
            entry_find(table, entry->row->worker, vault_entry_id(entry)) == NULL) {
            if (entry_use(table, entry, err) < 0)
                return -1;
            continue;
        }
        if (entry->row->is_used != 0)
            entry->row->is_used = 0;
        list_add_last(&table->idle, &entry->list_node, entry);
    }
    return 0;
}

int vault_table_init(struct vault_table *table, struct room memory, struct err *err)
{
    uint8_t seed[16];

    ENSURE(memory.len >= VAULT_TABLE_BYTES);
    *table = (struct vault_table){.rows = (struct vault_row *)(void *)memory.ptr};
    if (digest_random((struct room){.ptr = seed, .len = sizeof seed}, err) < 0 ||
        map_init(&table->map, VAULT_TABLE_ROWS, seed, err) < 0)
        return -1;
    table->entries = pool_block_new(VAULT_TABLE_ROWS * sizeof *table->entries);
    if (table->entries == NULL)
        err_set(err, ERR_MEMORY, "no memory for the table of sessions");
    else if (rows_index(table, err) == 0)
        return 0;
    vault_table_fini(table);
    return -1;
}

void vault_table_fini(struct vault_table *table)
{
    map_fini(&table->map);
    pool_block_free(table->entries);
    *table = (struct vault_table){.rows = NULL};
}

int vault_table_join(struct vault_table *table, unsigned worker,
                     const struct stored_session *session, struct err *err)
{
    struct span id = span_text(session->id);
    struct span tenant = span_text(session->tenant);
    struct vault_entry *entry = entry_find(table, worker, id);

    if (entry != NULL) {
        entry->row->count++;
        entry->row->expires_ms = session->expires_ms;
        return 0;
    }
    entry = list_first(&table->idle);
    if (entry == NULL)
        return err_set(err, ERR_LIMIT, "%d sessions are in use", VAULT_TABLE_ROWS);
    entry->row->worker = worker;
    entry->row->count = 1;
    entry->row->expires_ms = session->expires_ms;
    entry->row->id_len = (uint32_t)id.len;
    memcpy(entry->row->id, id.ptr, id.len);
    entry->row->tenant_len = (uint32_t)tenant.len;
    memcpy(entry->row->tenant, tenant.ptr, tenant.len);
    list_remove(&table->idle, &entry->list_node);
    if (entry_use(table, entry, err) < 0) {
        list_add_first(&table->idle, &entry->list_node, entry);
        return -1;
    }
    entry->row->is_used = 1;
    return 0;
}

void vault_table_remove(struct vault_table *table, struct vault_entry *entry)
{
    entry->row->is_used = 0;
    map_remove(&table->map, &entry->map_node);
    list_remove(&table->used, &entry->list_node);
    list_add_first(&table->idle, &entry->list_node, entry);
}

void vault_table_leave(struct vault_table *table, unsigned worker, struct span id, uint64_t count)
{
    struct vault_entry *entry = entry_find(table, worker, id);

    if (entry == NULL)
        return;
    if (count == 0 || count >= entry->row->count)
        vault_table_remove(table, entry);
    else
        entry->row->count -= (uint32_t)count;
}

void vault_table_remove_worker(struct vault_table *table, unsigned worker)
{
    struct list_node *next;

    for (struct list_node *node = table->used.first; node != NULL; node = next) {
        struct vault_entry *entry = node->item;

        next = node->next;
        if (entry->row->worker == worker)
            vault_table_remove(table, entry);
    }
}

bool vault_table_tenant(const struct vault_table *table, unsigned worker, struct span id,
                        int64_t now_ms, struct span *tenant)
{
    const struct vault_entry *entry = entry_find(table, worker, id);

    if (entry == NULL || entry->end != ERR_OK || now_ms >= entry->row->expires_ms)
        return false;
    *tenant = span_of(entry->row->tenant, entry->row->tenant_len);
    return true;
}

bool vault_table_has(const struct vault_table *table, unsigned worker, struct span id,
                     int64_t now_ms)
{
    struct span tenant;

    return vault_table_tenant(table, worker, id, now_ms, &tenant);
}

static int entry_check(struct vault_entry *entry, struct session_store *store, int64_t now_ms,
                       struct err *err)
{
    struct stored_session session;
    int found;

    if (now_ms >= entry->row->expires_ms)
        entry->end = ERR_TOKEN_EXPIRED;
    if (store == NULL)
        return 0;
    found = session_store_get(store, vault_entry_id(entry), &session, err);
    if (found < 0)
        return -1;
    entry->end = found > 0 ? session_store_state(&session, now_ms) : ERR_SESSION_REVOKED;
    if (found > 0)
        entry->row->expires_ms = session.expires_ms;
    return 0;
}

int vault_table_check(struct vault_table *table, struct session_store *store, int64_t now_ms,
                      struct err *err)
{
    for (struct list_node *node = table->used.first; node != NULL; node = node->next) {
        if (entry_check(node->item, store, now_ms, err) < 0)
            return -1;
    }
    return 0;
}
