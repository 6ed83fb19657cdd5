/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions at rest (threats G2 to G5): hashed, found by token alone, revoked at once. */
#include "test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/session_store.h"

#define HOUR_MS 3600000

static char directory[64];
static char path[96];
static struct err err;

static int directory_make(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/exeat-store-XXXXXX");
    if (mkdtemp(directory) == NULL || digest_setup(&err) < 0)
        return -1;
    (void)snprintf(path, sizeof path, "%s/sessions.db", directory);
    return 0;
}

static int directory_remove(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(directory);
}

static void add(struct session_store *store, const char *id, const char *token, int64_t expires_ms)
{
    struct stored_session session = {.created_ms = 1000, .expires_ms = expires_ms};
    uint8_t hash[DIGEST_SHA256];

    (void)snprintf(session.id, sizeof session.id, "%s", id);
    (void)snprintf(session.tenant, sizeof session.tenant, "t-%s", id);
    digest_sha256(span_text(token), hash);
    CHECK_INT(session_store_add(store, &session, hash, &err), 0);
}

static int find(struct session_store *store, const char *token, struct stored_session *session)
{
    uint8_t hash[DIGEST_SHA256];

    digest_sha256(span_text(token), hash);
    return session_store_find(store, hash, session, &err);
}

static struct session_store *open_with(enum session_store_mode mode)
{
    struct session_store *store = session_store_open(path, mode, &err);

    if (store == NULL)
        print_error("%s\n", err.text);
    CHECK(store != NULL);
    return store;
}

TEST(session_store_finds_by_token_and_by_id)
{
    struct session_store *store = open_with(SESSION_STORE_WRITE);
    struct stored_session session;

    add(store, "es_1", "exs_one", HOUR_MS);
    add(store, "es_2", "exs_two", 2 * HOUR_MS);
    CHECK_INT(find(store, "exs_two", &session), 1);
    CHECK_STR(session.id, "es_2");
    CHECK_STR(session.tenant, "t-es_2");
    CHECK_INT(session.expires_ms, 2 * HOUR_MS);
    CHECK_INT(find(store, "exs_on", &session), 0);
    CHECK_INT(session_store_get(store, span_text("es_1"), &session, &err), 1);
    CHECK_INT(session_store_get(store, span_text("es_3"), &session, &err), 0);
    session_store_close(store);
}

TEST(session_store_keeps_its_file_private)
{
    struct stat status;

    session_store_close(open_with(SESSION_STORE_WRITE));
    CHECK_INT(stat(path, &status), 0);
    CHECK_INT(status.st_mode & 0777, 0600);
}

TEST(session_store_holds_no_token)
{
    char bytes[65536];
    FILE *file;
    size_t len;

    session_store_close(open_with(SESSION_STORE_WRITE));
    file = fopen(path, "rb");
    CHECK(file != NULL);
    len = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    CHECK(len > 0);
    CHECK(memmem(bytes, len, "es_1", 4) != NULL);
    CHECK(memmem(bytes, len, "exs_", 4) == NULL);
}

TEST(session_store_refuses_an_id_twice)
{
    struct session_store *store = open_with(SESSION_STORE_WRITE);
    struct stored_session session = {.id = "es_1", .tenant = "x", .expires_ms = 1};
    uint8_t hash[DIGEST_SHA256] = {7};

    CHECK_INT(session_store_add(store, &session, hash, &err), -1);
    CHECK_INT(err.code, ERR_CONFIG);
    session_store_close(store);
}

/* G3, G2: the reader sees what another process has changed. */
TEST(session_store_shows_a_reader_what_changed)
{
    struct session_store *reader = open_with(SESSION_STORE_READ);
    struct session_store *writer = open_with(SESSION_STORE_WRITE);
    struct stored_session session;
    int64_t before;
    int64_t after;

    CHECK_INT(session_store_version(reader, &before, &err), 0);
    CHECK_INT(session_store_version(reader, &after, &err), 0);
    CHECK_INT(before, after);
    CHECK_INT(session_store_revoke(writer, span_text("es_1"), 5000, &err), 1);
    CHECK_INT(session_store_version(reader, &after, &err), 0);
    CHECK(before != after);
    CHECK_INT(find(reader, "exs_one", &session), 1);
    CHECK_INT(session.revoked_ms, 5000);
    CHECK_INT(session_store_state(&session, 6000), ERR_SESSION_REVOKED);
    CHECK_INT(session_store_revoke(writer, span_text("es_1"), 9000, &err), 0);
    CHECK_INT(session_store_revoke(writer, span_text("none"), 9000, &err), -1);
    CHECK_INT(err.code, ERR_NOT_FOUND);
    session_store_close(writer);
    session_store_close(reader);
}

TEST(session_store_reader_cannot_write)
{
    struct session_store *reader = open_with(SESSION_STORE_READ);

    CHECK_INT(session_store_revoke(reader, span_text("es_2"), 5000, &err), -1);
    CHECK_INT(err.code, ERR_SYSTEM);
    session_store_close(reader);
}

TEST(session_expires_at_its_millisecond)
{
    struct stored_session session = {.expires_ms = HOUR_MS};

    CHECK_INT(session_store_state(&session, HOUR_MS - 1), ERR_OK);
    CHECK_INT(session_store_state(&session, HOUR_MS), ERR_TOKEN_EXPIRED);
    session.revoked_ms = 1;
    CHECK_INT(session_store_state(&session, HOUR_MS), ERR_SESSION_REVOKED);
}

static void count_one(void *owner, const struct stored_session *session)
{
    (void)session;
    (*(int *)owner)++;
}

TEST(session_store_lists_all)
{
    struct session_store *store = open_with(SESSION_STORE_READ);
    int count = 0;

    CHECK_INT(session_store_list(store, count_one, &count, &err), 0);
    CHECK_INT(count, 2);
    session_store_close(store);
}

TEST(session_store_refuses_other_files)
{
    char other[96];
    FILE *file;

    (void)snprintf(other, sizeof other, "%s/other", directory);
    file = fopen(other, "wb");
    CHECK(file != NULL);
    for (int i = 0; i < 500; i++)
        (void)fputs("not a database\n", file);
    (void)fclose(file);
    CHECK(session_store_open(other, SESSION_STORE_WRITE, &err) == NULL);
    CHECK(session_store_open(other, SESSION_STORE_READ, &err) == NULL);
    (void)unlink(other);
    CHECK(session_store_open(other, SESSION_STORE_READ, &err) == NULL);
    CHECK_INT(access(other, F_OK), -1);
}

TEST(session_names_are_plain)
{
    CHECK(session_store_is_name(span_text("es_1-a.B"), 128));
    CHECK(!session_store_is_name(span_text(""), 128));
    CHECK(!session_store_is_name(span_text("a:b"), 128));
    CHECK(!session_store_is_name(span_text("a b"), 128));
    CHECK(!session_store_is_name(span_text("abc"), 2));
    CHECK(!session_store_is_name(span_of("a\0b", 3), 128));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(session_store_finds_by_token_and_by_id),
        TEST_OF(session_store_keeps_its_file_private),
        TEST_OF(session_store_holds_no_token),
        TEST_OF(session_store_refuses_an_id_twice),
        TEST_OF(session_store_shows_a_reader_what_changed),
        TEST_OF(session_store_reader_cannot_write),
        TEST_OF(session_expires_at_its_millisecond),
        TEST_OF(session_store_lists_all),
        TEST_OF(session_store_refuses_other_files),
        TEST_OF(session_names_are_plain),
    };

    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
