/* SPDX-License-Identifier: Apache-2.0 */
/* What the vault gives to whom: the boundary between parsers and secrets (B5, D, G, H5). */
#include "test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/pool.h"
#include "gateway/vault_answer.h"

#define NOW_MS 1795460711000LL
#define HOUR   3600000LL
#define VALUE  "the-value-of-datadog"

static const char yaml[] = "listen:\n"
                           "  - address: 127.0.0.1:0\n"
                           "state_dir: /nowhere\n"
                           "origins:\n"
                           "  roots: /nowhere/roots.pem\n"
                           "credentials:\n"
                           "  datadog: {file: /nowhere/dd}\n"
                           "  github: {file: /nowhere/gh}\n"
                           "rules:\n"
                           "  - name: metrics\n"
                           "    hosts: [api.example.com]\n"
                           "    inject:\n"
                           "      - {header: dd-api-key, credential: datadog, format: '{}'}\n"
                           "    action: allow\n"
                           "  - name: code\n"
                           "    hosts: ['*.github.test']\n"
                           "    inject:\n"
                           "      - {header: authorization, credential: github, format: '{}'}\n"
                           "    action: allow\n"
                           "  - name: plain\n"
                           "    hosts: [plain.test]\n"
                           "    ports: [8080]\n"
                           "    schemes: [http, https]\n"
                           "    inject:\n"
                           "      - {header: k, credential: datadog, over_plain_http: true}\n"
                           "      - {header: l, credential: github}\n";

static char directory[64];
static char store_path[96];
static struct config config;
static struct vault_keys keys;
static struct vault_table table;
static struct room table_memory;
static struct session_store *store;
static struct session_store *writer;
static struct mint_budget mints;
static struct vault_answers answers;
static struct vault_room room;
static struct message answer;
static struct err err;

static void session_make_of(const char *tenant, const char *id, const char *token,
                            int64_t expires_ms)
{
    struct stored_session session = {.created_ms = 1, .expires_ms = expires_ms};
    uint8_t hash[DIGEST_SHA256];

    (void)snprintf(session.id, sizeof session.id, "%s", id);
    (void)snprintf(session.tenant, sizeof session.tenant, "%s", tenant);
    digest_sha256(span_text(token), hash);
    CHECK_INT(session_store_add(writer, &session, hash, &err), 0);
}

static void session_make(const char *id, const char *token, int64_t expires_ms)
{
    session_make_of("t", id, token, expires_ms);
}

static int authority_make(void)
{
    static char pem_memory[4096];
    struct secret key = {.len = 0};
    struct text pem;

    text_init(&pem, pem_memory, sizeof pem_memory);
    if (leaf_ca_generate(span_text("test"), NOW_MS / 1000, 30, &pem, &key, &err) < 0)
        return -1;
    keys.ca = leaf_ca_new(text_span(&pem), secret_span(&key), &err);
    secret_fini(&key);
    return keys.ca == NULL ? -1 : 0;
}

static int credentials_make(void)
{
    keys.config = &config;
    keys.credentials = pool_block_new(config.policy.credential_count * sizeof(struct secret));
    keys.listeners = pool_block_new(sizeof(void *));
    keys.changed_ns = pool_block_new(config.policy.credential_count * sizeof *keys.changed_ns);
    return secret_init(&keys.credentials[0], span_text(VALUE), &err) < 0 ||
           secret_init(&keys.credentials[1], span_text("the-other"), &err) < 0;
}

static int vault_make(void **state)
{
    static struct config_errors errors;

    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/exeat-vault-XXXXXX");
    if (mkdtemp(directory) == NULL || digest_setup(&err) < 0)
        return -1;
    (void)snprintf(store_path, sizeof store_path, "%s/sessions.db", directory);
    writer = session_store_open(store_path, SESSION_STORE_WRITE, &err);
    store = session_store_open(store_path, SESSION_STORE_READ, &err);
    config_errors_init(&errors);
    if (config_read(&config, span_text(yaml), "/nowhere/gateway.yaml", &errors) < 0)
        print_error("%s\n", errors.errors.items[0].text);
    table_memory =
        (struct room){.ptr = pool_block_new(VAULT_TABLE_BYTES), .len = VAULT_TABLE_BYTES};
    if (writer == NULL || store == NULL || config.policy.rule_count != 3 ||
        credentials_make() != 0 || authority_make() < 0 ||
        vault_table_init(&table, table_memory, &err) < 0)
        return -1;
    if (mint_budget_init(&mints, config.limits.leaves_per_second, &err) < 0)
        return -1;
    answers = (struct vault_answers){
        .config = &config, .keys = &keys, .table = &table, .store = store, .mints = &mints};
    session_make("es_1", "exs_one", NOW_MS + HOUR);
    session_make("es_2", "exs_two", NOW_MS + HOUR);
    return 0;
}

static int vault_end(void **state)
{
    (void)state;
    mint_budget_fini(&mints);
    vault_table_fini(&table);
    pool_block_free(table_memory.ptr);
    vault_keys_fini(&keys);
    config_fini(&config);
    session_store_close(store);
    session_store_close(writer);
    (void)unlink(store_path);
    return rmdir(directory);
}

static struct vault_asker asker_of(unsigned worker)
{
    return (struct vault_asker){.worker = worker, .now_wall_ms = NOW_MS, .now_mono_ms = 1000};
}

static enum err_code ask(unsigned worker, const struct message *question)
{
    struct vault_asker asker = asker_of(worker);

    CHECK_INT(vault_answer(&answers, &asker, question, &room, &answer, &err), 1);
    CHECK(answer.handle == question->handle);
    return answer.code;
}

static enum err_code authenticate(unsigned worker, const char *token)
{
    const struct message question = {.type = MESSAGE_AUTH, .handle = 9, .a = span_text(token)};

    return ask(worker, &question);
}

#define BY_HTTPS ((uint32_t)RULE_HTTPS << 16)
#define BY_HTTP  ((uint32_t)RULE_HTTP << 16)

static enum err_code credential_by(uint32_t index, unsigned worker, const char *session,
                                   uint64_t rule, uint64_t which, const char *host)
{
    const struct message question = {.type = MESSAGE_CREDENTIAL,
                                     .number = rule << 32 | which,
                                     .index = index,
                                     .a = span_text(session),
                                     .b = span_text(host)};

    return ask(worker, &question);
}

static enum err_code credential(unsigned worker, const char *session, uint64_t rule, uint64_t which,
                                const char *host)
{
    return credential_by(BY_HTTPS | 443, worker, session, rule, which, host);
}

static void leave(unsigned worker, const char *session, uint64_t count)
{
    const struct message question = {
        .type = MESSAGE_LEFT, .a = span_text(session), .number = count};
    struct vault_asker asker = asker_of(worker);

    CHECK_INT(vault_answer(&answers, &asker, &question, &room, &answer, &err), 0);
}

TEST(vault_knows_a_session_by_its_token)
{
    CHECK_INT(authenticate(1, "exs_one"), ERR_OK);
    CHECK_INT(answer.type, MESSAGE_AUTH_REPLY);
    CHECK_SPAN(answer.a, "es_1");
    CHECK_SPAN(answer.b, "t");
    CHECK(answer.number == (uint64_t)(NOW_MS + HOUR));
    CHECK_INT(authenticate(1, "exs_on"), ERR_TOKEN_INVALID);
    CHECK_INT(authenticate(1, ""), ERR_TOKEN_INVALID);
    CHECK_INT(authenticate(1, "es_1"), ERR_TOKEN_INVALID);
    CHECK_INT(answer.a.len, 0);
}

/* G2: no leeway; G3: revoked is revoked at once. */
TEST(vault_refuses_expired_and_revoked_tokens)
{
    session_make("es_3", "exs_three", NOW_MS);
    CHECK_INT(authenticate(1, "exs_three"), ERR_TOKEN_EXPIRED);
    CHECK_INT(session_store_revoke(writer, span_text("es_2"), NOW_MS, &err), 1);
    CHECK_INT(authenticate(1, "exs_two"), ERR_SESSION_REVOKED);
}

TEST(vault_gives_a_credential_to_a_live_session_for_its_host_by_its_rule)
{
    CHECK_INT(authenticate(1, "exs_one"), ERR_OK);
    CHECK_INT(credential(1, "es_1", 0, 0, "api.example.com"), ERR_OK);
    CHECK_INT(answer.type, MESSAGE_CREDENTIAL_REPLY);
    CHECK_SPAN(answer.a, VALUE);
    CHECK_INT(credential(1, "es_1", 1, 1, "x.github.test"), ERR_OK);
}

/* What a worker that was taken over may try. */
TEST(vault_refuses_every_other_credential)
{
    CHECK_INT(authenticate(1, "exs_one"), ERR_OK);
    CHECK_INT(credential(2, "es_1", 0, 0, "api.example.com"), ERR_CREDENTIAL);
    CHECK_INT(credential(1, "es_2", 0, 0, "api.example.com"), ERR_CREDENTIAL);
    CHECK_INT(credential(1, "", 0, 0, "api.example.com"), ERR_CREDENTIAL);
    CHECK_INT(credential(1, "es_1", 0, 0, "evil.example.com"), ERR_CREDENTIAL);
    CHECK_INT(credential(1, "es_1", 0, 0, "API.example.com"), ERR_CREDENTIAL);
    CHECK_INT(credential(1, "es_1", 0, 0, "api.example.com."), ERR_CREDENTIAL);
    CHECK_INT(credential(1, "es_1", 0, 0, "api.example.com:443"), ERR_CREDENTIAL);
    CHECK_INT(credential(1, "es_1", 0, 0, "93.184.216.34"), ERR_CREDENTIAL);
    CHECK_INT(credential(1, "es_1", 0, 1, "api.example.com"), ERR_CREDENTIAL);
    CHECK_INT(credential(1, "es_1", 1, 0, "api.example.com"), ERR_CREDENTIAL);
    CHECK_INT(credential(1, "es_1", 2, 0, "api.example.com"), ERR_CREDENTIAL);
    CHECK_INT(credential(1, "es_1", 0, 2, "api.example.com"), ERR_CREDENTIAL);
    CHECK_INT(credential(1, "es_1", UINT32_MAX, UINT32_MAX, "api.example.com"), ERR_CREDENTIAL);
    CHECK_INT(answer.a.len, 0);
}

TEST(vault_asks_by_which_scheme_a_credential_would_go)
{
    CHECK_INT(authenticate(1, "exs_one"), ERR_OK);
    CHECK_INT(credential_by(BY_HTTPS | 443, 1, "es_1", 0, 0, "api.example.com"), ERR_OK);
    CHECK_INT(credential_by(443, 1, "es_1", 0, 0, "api.example.com"), ERR_CREDENTIAL);
    CHECK_INT(credential_by(BY_HTTP | 443, 1, "es_1", 0, 0, "api.example.com"), ERR_CREDENTIAL);
    CHECK_INT(credential_by(BY_HTTP | BY_HTTPS | 443, 1, "es_1", 0, 0, "api.example.com"),
              ERR_CREDENTIAL);
    CHECK_INT(credential_by(4u << 16 | 443, 1, "es_1", 0, 0, "api.example.com"), ERR_CREDENTIAL);
    CHECK_INT(credential_by(BY_HTTPS, 1, "es_1", 0, 0, "api.example.com"), ERR_CREDENTIAL);
    CHECK_INT(credential_by(BY_HTTP | 8080, 1, "es_1", 2, 0, "plain.test"), ERR_OK);
    CHECK_INT(credential_by(BY_HTTP | 8080, 1, "es_1", 2, 1, "plain.test"), ERR_CREDENTIAL);
    CHECK_INT(credential_by(BY_HTTPS | 8080, 1, "es_1", 2, 1, "plain.test"), ERR_OK);
}

TEST(vault_forgets_a_session_that_left)
{
    CHECK_INT(authenticate(1, "exs_one"), ERR_OK);
    leave(1, "es_1", 0);
    CHECK_INT(credential(1, "es_1", 0, 0, "api.example.com"), ERR_CREDENTIAL);
}

/* The worker says that it left while a new authentication is on its way to it. */
TEST(vault_keeps_a_session_that_came_again_before_it_left)
{
    CHECK_INT(authenticate(1, "exs_one"), ERR_OK);
    CHECK_INT(authenticate(1, "exs_one"), ERR_OK);
    leave(1, "es_1", 1);
    CHECK_INT(credential(1, "es_1", 0, 0, "api.example.com"), ERR_OK);
    leave(1, "es_1", 1);
    CHECK_INT(credential(1, "es_1", 0, 0, "api.example.com"), ERR_CREDENTIAL);
    leave(1, "es_1", 1);
}

TEST(vault_gives_nothing_after_the_session_is_over)
{
    struct vault_asker late = asker_of(1);
    const struct message question = {.type = MESSAGE_CREDENTIAL,
                                     .index = BY_HTTPS | 443,
                                     .a = span_text("es_1"),
                                     .b = span_text("api.example.com")};

    CHECK_INT(authenticate(1, "exs_one"), ERR_OK);
    late.now_wall_ms = NOW_MS + HOUR;
    CHECK_INT(vault_answer(&answers, &late, &question, &room, &answer, &err), 1);
    CHECK_INT(answer.code, ERR_CREDENTIAL);
    CHECK_INT(session_store_revoke(writer, span_text("es_1"), NOW_MS, &err), 1);
    CHECK_INT(vault_table_check(&table, store, NOW_MS, &err), 0);
    CHECK_INT(((struct vault_entry *)list_first(&table.used))->end, ERR_SESSION_REVOKED);
    CHECK_INT(credential(1, "es_1", 0, 0, "api.example.com"), ERR_CREDENTIAL);
}

TEST(vault_takes_one_public_key_from_a_worker_and_mints_by_strict_names)
{
    const struct message key = {.type = MESSAGE_WORKER, .a = span_text("a key")};
    const struct message no_key = {.type = MESSAGE_WORKER};
    const struct message leaf = {
        .type = MESSAGE_LEAF, .a = span_text("a.example"), .number = HOST_NAME};
    static const char *const bad[] = {"",    "*.example", "A.example",   "a.example.",     "a..b",
                                      "a b", "127.1",     "a.example/x", "exa\xc3\xa4mple"};
    struct vault_asker asker = asker_of(1);

    CHECK_INT(ask(1, &leaf), ERR_TARGET); /* no key yet */
    CHECK_INT(vault_answer(&answers, &asker, &no_key, &room, &answer, &err), -1);
    CHECK_INT(vault_answer(&answers, &asker, &key, &room, &answer, &err), 0);
    CHECK_INT(vault_answer(&answers, &asker, &key, &room, &answer, &err), -1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct message question = leaf;

        question.a = span_text(bad[i]);
        CHECK_INT(vault_answer(&answers, &asker, &question, &room, &answer, &err), 1);
        CHECK_INT(answer.code, ERR_TARGET);
    }
}

/* A worker with a key, that can ask for leaves. */
static struct vault_asker asker_with_key(unsigned worker)
{
    static uint8_t spki_memory[256];
    struct vault_asker asker = asker_of(worker);
    struct leaf_key *key = leaf_key_new(&err);
    struct message question = {.type = MESSAGE_WORKER};
    struct text spki;

    text_init(&spki, spki_memory, sizeof spki_memory);
    CHECK(key != NULL);
    CHECK_INT(leaf_key_public(key, &spki, &err), 0);
    question.a = text_span(&spki);
    CHECK_INT(vault_answer(&answers, &asker, &question, &room, &answer, &err), 0);
    leaf_key_free(key);
    return asker;
}

static enum err_code leaf(struct vault_asker *asker, const char *session, const char *host)
{
    const struct message question = {
        .type = MESSAGE_LEAF, .number = HOST_NAME, .a = span_text(host), .b = span_text(session)};

    CHECK_INT(vault_answer(&answers, asker, &question, &room, &answer, &err), 1);
    CHECK_INT(answer.type, MESSAGE_LEAF_REPLY);
    return answer.code;
}

TEST(vault_mints_only_for_a_session_that_lives_on_the_worker_h4)
{
    struct vault_asker asker = asker_with_key(1);
    struct vault_asker other = asker_with_key(2);

    CHECK_INT(authenticate(1, "exs_one"), ERR_OK);
    CHECK_INT(leaf(&asker, "es_1", "a.example"), ERR_OK);
    CHECK(answer.a.len > 0);
    CHECK_INT(leaf(&other, "es_1", "a.example"), ERR_SESSION_REVOKED);
    CHECK_INT(answer.a.len, 0);
    CHECK_INT(leaf(&asker, "es_2", "a.example"), ERR_SESSION_REVOKED);
    CHECK_INT(leaf(&asker, "", "a.example"), ERR_SESSION_REVOKED);
    leave(1, "es_1", 0);
    CHECK_INT(leaf(&asker, "es_1", "a.example"), ERR_SESSION_REVOKED);
}

/* Whatever worker and session it comes from, and whatever vault it was told to before. */
TEST(vault_mints_50_leaves_a_second_for_a_tenant_h4)
{
    struct vault_asker askers[2] = {asker_with_key(1), asker_with_key(2)};
    static const char *const sessions[] = {"es_1", "es_2"};
    int minted = 0;

    session_make_of("u", "es_u", "exs_u", NOW_MS + HOUR);
    CHECK_INT(authenticate(1, "exs_one"), ERR_OK);
    CHECK_INT(authenticate(2, "exs_two"), ERR_OK);
    CHECK_INT(authenticate(1, "exs_u"), ERR_OK);
    vault_table_fini(&table);
    CHECK_INT(vault_table_init(&table, table_memory, &err), 0);
    for (int i = 0; i < 300; i++)
        minted += leaf(&askers[i % 2], sessions[i % 2], "a.example") == ERR_OK;
    CHECK_INT(minted, 100); /* what two seconds bring, at once */
    CHECK_INT(leaf(&askers[0], "es_1", "a.example"), ERR_TENANT_LIMIT);
    CHECK_INT(answer.a.len, 0);
    CHECK_INT(leaf(&askers[0], "es_u", "a.example"), ERR_OK);
    askers[1].now_mono_ms += 1000;
    for (int i = 0; i < 300; i++)
        minted += leaf(&askers[1], "es_2", "a.example") == ERR_OK;
    CHECK_INT(minted, 150);
}

TEST(vault_ends_a_worker_that_says_what_no_worker_says)
{
    struct vault_asker asker = asker_of(1);

    for (int type = MESSAGE_NONE + 1; type < MESSAGE_COUNT; type++) {
        const struct message question = {.type = (enum message_type)type};

        if (type == MESSAGE_AUTH || type == MESSAGE_LEAF || type == MESSAGE_CREDENTIAL ||
            type == MESSAGE_LEFT)
            continue;
        CHECK_INT(vault_answer(&answers, &asker, &question, &room, &answer, &err), -1);
        if (type != MESSAGE_SIGN)
            CHECK_INT(vault_answer_sign(&answers, &question, &room, &answer, &err), -1);
    }
}

TEST(vault_signs_only_for_listeners_that_have_a_key)
{
    struct message question = {.type = MESSAGE_SIGN, .a = span_text("digest")};

    CHECK_INT(vault_answer_sign(&answers, &question, &room, &answer, &err), 1);
    CHECK_INT(answer.code, ERR_NOT_FOUND);
    question.index = 1;
    CHECK_INT(vault_answer_sign(&answers, &question, &room, &answer, &err), 1);
    CHECK_INT(answer.code, ERR_NOT_FOUND);
}

/* A vault that dies is replaced; who lives where is in the memory that both have mapped. */
TEST(vault_table_goes_on_in_the_next_process)
{
    CHECK_INT(authenticate(1, "exs_one"), ERR_OK);
    CHECK_INT(authenticate(2, "exs_two"), ERR_OK);
    leave(2, "es_2", 0);
    vault_table_fini(&table);
    CHECK_INT(vault_table_init(&table, table_memory, &err), 0);
    CHECK_INT(credential(1, "es_1", 0, 0, "api.example.com"), ERR_OK);
    CHECK_INT(credential(2, "es_2", 0, 0, "api.example.com"), ERR_CREDENTIAL);
    vault_table_remove_worker(&table, 1);
    CHECK_INT(credential(1, "es_1", 0, 0, "api.example.com"), ERR_CREDENTIAL);
    CHECK_INT(table.used.count, 0);
}

TEST(vault_table_has_a_limit)
{
    struct stored_session session = {.expires_ms = NOW_MS + HOUR};

    for (int i = 0; i < VAULT_TABLE_ROWS; i++) {
        (void)snprintf(session.id, sizeof session.id, "es_%d", i);
        CHECK_INT(vault_table_join(&table, 1, &session, &err), 0);
    }
    (void)snprintf(session.id, sizeof session.id, "one-more");
    CHECK_INT(vault_table_join(&table, 1, &session, &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
    vault_table_leave(&table, 1, span_text("es_7"), 0);
    CHECK_INT(vault_table_join(&table, 1, &session, &err), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, vault_make, vault_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(vault_knows_a_session_by_its_token),
        CASE(vault_refuses_expired_and_revoked_tokens),
        CASE(vault_gives_a_credential_to_a_live_session_for_its_host_by_its_rule),
        CASE(vault_refuses_every_other_credential),
        CASE(vault_asks_by_which_scheme_a_credential_would_go),
        CASE(vault_forgets_a_session_that_left),
        CASE(vault_keeps_a_session_that_came_again_before_it_left),
        CASE(vault_gives_nothing_after_the_session_is_over),
        CASE(vault_takes_one_public_key_from_a_worker_and_mints_by_strict_names),
        CASE(vault_mints_only_for_a_session_that_lives_on_the_worker_h4),
        CASE(vault_mints_50_leaves_a_second_for_a_tenant_h4),
        CASE(vault_ends_a_worker_that_says_what_no_worker_says),
        CASE(vault_signs_only_for_listeners_that_have_a_key),
        CASE(vault_table_goes_on_in_the_next_process),
        CASE(vault_table_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
