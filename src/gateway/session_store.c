/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session store over SQLite, with a rollback journal (no shared memory, no WAL: two processes
 * of different lifetimes use one file). Statements are prepared once.
 */
#include "gateway/session_store.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include "base/pool.h"

#define STORE_SCHEMA          1
#define STORE_APPLICATION_ID  0x65786561 /* "exea" */
#define STORE_BUSY_TIMEOUT_MS 2000

#define STORE_STATEMENTS(X)                                                                        \
    X(ADD, "INSERT INTO sessions (id, token_sha256, tenant, created_ms, expires_ms, revoked_ms) "  \
           "VALUES (?1, ?2, ?3, ?4, ?5, 0)")                                                       \
    X(FIND, "SELECT id, tenant, created_ms, expires_ms, revoked_ms FROM sessions "                 \
            "WHERE token_sha256 = ?1")                                                             \
    X(GET, "SELECT id, tenant, created_ms, expires_ms, revoked_ms FROM sessions WHERE id = ?1")    \
    X(REVOKE, "UPDATE sessions SET revoked_ms = ?2 WHERE id = ?1 AND revoked_ms = 0")              \
    X(LIST, "SELECT id, tenant, created_ms, expires_ms, revoked_ms FROM sessions "                 \
            "ORDER BY created_ms, id")                                                             \
    X(VERSION, "PRAGMA data_version")

enum store_statement {
#define STATEMENT_ENUM(name, sql) STORE_##name,
    STORE_STATEMENTS(STATEMENT_ENUM)
#undef STATEMENT_ENUM
        STORE_STATEMENT_COUNT
};

static const char *const statement_sql[STORE_STATEMENT_COUNT] = {
#define STATEMENT_SQL(name, sql) [STORE_##name] = (sql),
    STORE_STATEMENTS(STATEMENT_SQL)
#undef STATEMENT_SQL
};

static const char schema_sql[] = "BEGIN IMMEDIATE;"
                                 "CREATE TABLE IF NOT EXISTS sessions ("
                                 " id TEXT PRIMARY KEY NOT NULL,"
                                 " token_sha256 BLOB UNIQUE NOT NULL,"
                                 " tenant TEXT NOT NULL,"
                                 " created_ms INTEGER NOT NULL,"
                                 " expires_ms INTEGER NOT NULL,"
                                 " revoked_ms INTEGER NOT NULL"
                                 ") WITHOUT ROWID, STRICT;"
                                 "PRAGMA application_id = 1702389089;"
                                 "PRAGMA user_version = 1;"
                                 "COMMIT;";

struct session_store {
    sqlite3 *db;                                     /* owned */
    sqlite3_stmt *statements[STORE_STATEMENT_COUNT]; /* owned */
};

static int store_failed(struct session_store *store, const char *what, struct err *err)
{
    return err_set(err, ERR_SYSTEM, "session store: %s: %s", what, sqlite3_errmsg(store->db));
}

static int store_run(struct session_store *store, const char *sql, struct err *err)
{
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    (void)store_failed(store, "cannot be set up", err);
    if (sqlite3_get_autocommit(store->db) == 0)
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

/* The number that a PRAGMA answers. */
static int store_pragma(struct session_store *store, const char *sql, int64_t *value,
                        struct err *err)
{
    sqlite3_stmt *statement = NULL;
    int result = -1;

    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        (void)store_failed(store, sql, err);
    } else {
        *value = sqlite3_column_int64(statement, 0);
        result = 0;
    }
    (void)sqlite3_finalize(statement);
    return result;
}

static int store_schema(struct session_store *store, enum session_store_mode mode, const char *path,
                        struct err *err)
{
    int64_t version = 0;
    int64_t application = 0;

    if (store_pragma(store, "PRAGMA user_version", &version, err) < 0 ||
        store_pragma(store, "PRAGMA application_id", &application, err) < 0)
        return -1;
    if (version == STORE_SCHEMA && application == STORE_APPLICATION_ID)
        return 0;
    if (version > STORE_SCHEMA && application == STORE_APPLICATION_ID)
        return err_set(err, ERR_CONFIG, "%s was made by a later version of exeat-gateway", path);
    if (version != 0 || application != 0 || mode != SESSION_STORE_WRITE)
        return err_set(err, ERR_CONFIG, "%s is not a session store", path);
    return store_run(store, schema_sql, err);
}

static int store_prepare(struct session_store *store, struct err *err)
{
    for (int i = 0; i < STORE_STATEMENT_COUNT; i++) {
        if (sqlite3_prepare_v3(store->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &store->statements[i], NULL) != SQLITE_OK)
            return store_failed(store, "cannot be read", err);
    }
    return 0;
}

static int store_set_up(struct session_store *store, const char *path, enum session_store_mode mode,
                        struct err *err)
{
    (void)sqlite3_extended_result_codes(store->db, 1);
    (void)sqlite3_busy_timeout(store->db, STORE_BUSY_TIMEOUT_MS);
    if (store_run(store,
                  "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;"
                  "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;"
                  "PRAGMA mmap_size = 0; PRAGMA secure_delete = ON;",
                  err) < 0 ||
        store_schema(store, mode, path, err) < 0)
        return -1;
    if (mode == SESSION_STORE_READ && store_run(store, "PRAGMA query_only = ON;", err) < 0)
        return -1;
    return store_prepare(store, err);
}

struct session_store *session_store_open(const char *path, enum session_store_mode mode,
                                         struct err *err)
{
    struct session_store *store = pool_block_new(sizeof *store);
    /* A reader opens for writing too: it may have to roll back what a killed writer left. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    mode_t mask;
    int code;

    if (store == NULL) {
        err_set(err, ERR_MEMORY, "no memory for the session store");
        return NULL;
    }
    if (mode == SESSION_STORE_WRITE)
        flags |= SQLITE_OPEN_CREATE;
    mask = umask(0077); /* SQLite has no other way to be told the mode */
    code = sqlite3_open_v2(path, &store->db, flags, "unix");
    (void)umask(mask);
    if (code != SQLITE_OK) {
        err_set(err, ERR_SYSTEM, "session store %s: %s", path,
                store->db == NULL ? "out of memory" : sqlite3_errmsg(store->db));
        goto fail_store;
    }
    if (store_set_up(store, path, mode, err) < 0)
        goto fail_store;
    return store;

fail_store:
    session_store_close(store);
    return NULL;
}

void session_store_close(struct session_store *store)
{
    if (store == NULL)
        return;
    for (int i = 0; i < STORE_STATEMENT_COUNT; i++)
        (void)sqlite3_finalize(store->statements[i]);
    ENSURE(sqlite3_close(store->db) == SQLITE_OK);
    pool_block_free(store);
}

static sqlite3_stmt *statement_take(struct session_store *store, enum store_statement which)
{
    sqlite3_stmt *statement = store->statements[which];

    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return statement;
}

static void bind_text(sqlite3_stmt *statement, int at, struct span text)
{
    ENSURE(text.len <= LIMIT_SECRET);
    ENSURE(sqlite3_bind_text(statement, at, text.len == 0 ? "" : (const char *)text.ptr,
                             (int)text.len, SQLITE_STATIC) == SQLITE_OK);
}

int session_store_add(struct session_store *store, const struct stored_session *session,
                      const uint8_t token_hash[DIGEST_SHA256], struct err *err)
{
    sqlite3_stmt *statement = statement_take(store, STORE_ADD);
    int code;

    bind_text(statement, 1, span_text(session->id));
    ENSURE(sqlite3_bind_blob(statement, 2, token_hash, DIGEST_SHA256, SQLITE_STATIC) == SQLITE_OK);
    bind_text(statement, 3, span_text(session->tenant));
    (void)sqlite3_bind_int64(statement, 4, session->created_ms);
    (void)sqlite3_bind_int64(statement, 5, session->expires_ms);
    code = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    if (code == SQLITE_CONSTRAINT_PRIMARYKEY)
        return err_set(err, ERR_CONFIG, "session %s exists already", session->id);
    if (code != SQLITE_DONE)
        return store_failed(store, "cannot add a session", err);
    return 0;
}

static void column_copy(sqlite3_stmt *statement, int column, char *to, size_t cap)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    int bytes = sqlite3_column_bytes(statement, column);
    size_t len = text == NULL || bytes < 0 ? 0 : (size_t)bytes;

    if (len >= cap)
        len = cap - 1;
    if (len > 0)
        memcpy(to, text, len);
    to[len] = '\0';
}

static void session_read(sqlite3_stmt *statement, struct stored_session *session)
{
    column_copy(statement, 0, session->id, sizeof session->id);
    column_copy(statement, 1, session->tenant, sizeof session->tenant);
    session->created_ms = sqlite3_column_int64(statement, 2);
    session->expires_ms = sqlite3_column_int64(statement, 3);
    session->revoked_ms = sqlite3_column_int64(statement, 4);
}

static int session_step(struct session_store *store, sqlite3_stmt *statement,
                        struct stored_session *session, struct err *err)
{
    int code = sqlite3_step(statement);

    if (code == SQLITE_ROW)
        session_read(statement, session);
    else if (code != SQLITE_DONE)
        (void)store_failed(store, "cannot look up a session", err);
    (void)sqlite3_reset(statement);
    if (code == SQLITE_ROW)
        return 1;
    return code == SQLITE_DONE ? 0 : -1;
}

int session_store_find(struct session_store *store, const uint8_t token_hash[DIGEST_SHA256],
                       struct stored_session *session, struct err *err)
{
    sqlite3_stmt *statement = statement_take(store, STORE_FIND);

    ENSURE(sqlite3_bind_blob(statement, 1, token_hash, DIGEST_SHA256, SQLITE_STATIC) == SQLITE_OK);
    return session_step(store, statement, session, err);
}

int session_store_get(struct session_store *store, struct span id, struct stored_session *session,
                      struct err *err)
{
    sqlite3_stmt *statement = statement_take(store, STORE_GET);

    bind_text(statement, 1, id);
    return session_step(store, statement, session, err);
}

int session_store_revoke(struct session_store *store, struct span id, int64_t now_ms,
                         struct err *err)
{
    struct stored_session session;
    sqlite3_stmt *statement;
    int found = session_store_get(store, id, &session, err);
    int code;

    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no such session");
    statement = statement_take(store, STORE_REVOKE);
    bind_text(statement, 1, id);
    (void)sqlite3_bind_int64(statement, 2, now_ms);
    code = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    if (code != SQLITE_DONE)
        return store_failed(store, "cannot revoke", err);
    return sqlite3_changes(store->db) > 0 ? 1 : 0;
}

int session_store_list(struct session_store *store,
                       void (*each)(void *owner, const struct stored_session *session), void *owner,
                       struct err *err)
{
    sqlite3_stmt *statement = statement_take(store, STORE_LIST);
    struct stored_session session;
    int code;

    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        session_read(statement, &session);
        each(owner, &session);
    }
    if (code != SQLITE_DONE)
        (void)store_failed(store, "cannot list sessions", err);
    (void)sqlite3_reset(statement);
    return code == SQLITE_DONE ? 0 : -1;
}

int session_store_version(struct session_store *store, int64_t *version, struct err *err)
{
    sqlite3_stmt *statement = statement_take(store, STORE_VERSION);
    int code = sqlite3_step(statement);

    if (code == SQLITE_ROW)
        *version = sqlite3_column_int64(statement, 0);
    else
        (void)store_failed(store, "cannot be read", err);
    (void)sqlite3_reset(statement);
    return code == SQLITE_ROW ? 0 : -1;
}

enum err_code session_store_state(const struct stored_session *session, int64_t now_ms)
{
    if (session->revoked_ms != 0)
        return ERR_SESSION_REVOKED;
    return now_ms >= session->expires_ms ? ERR_TOKEN_EXPIRED : ERR_OK;
}

bool session_store_is_name(struct span text, size_t max)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!is_letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return text.len > 0 && text.len <= max;
}
