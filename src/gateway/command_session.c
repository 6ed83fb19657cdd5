/* SPDX-License-Identifier: Apache-2.0 */
/* `session create`, `session list`, `session revoke`: who may use the gateway. */
#include <stdio.h>

#include "base/text.h"
#include "gateway/command.h"
#include "gateway/session_store.h"
#include "os/clock.h"
#include "os/file.h"

#define TTL_DEFAULT_MS (8LL * 3600 * 1000)
#define TOKEN_BYTES    32
#define TOKEN_MAX      64

static const char default_tenant[] = "default";

/* The store of a configuration, or NULL and said why. */
static struct session_store *store_open(struct config *config, const struct options *options)
{
    struct session_store *store;
    char path[4096];
    struct err err;

    if (command_config(config, options->config, COMMAND_FILES_LATER) != 0)
        return NULL;
    if (digest_setup(&err) < 0 || file_make_dirs(config->state_dir, 0700, &err) < 0) {
        (void)command_failed("state_dir: %s", err.text);
        return NULL;
    }
    if (snprintf(path, sizeof path, "%s/%s", config->state_dir, SESSION_STORE_FILE) >=
        (int)sizeof path) {
        (void)command_failed("state_dir: the path is too long");
        return NULL;
    }
    store = session_store_open(path, SESSION_STORE_WRITE, &err);
    if (store == NULL)
        (void)command_failed("%s", err.text);
    return store;
}

static int name_check(const char *option, const char *name, size_t max)
{
    if (session_store_is_name(span_text(name), max))
        return 0;
    return command_failed("%s: '%s' is not 1 to %zu of A-Z a-z 0-9 . _ -", option, name, max);
}

static int random_word(const char *prefix, size_t count, struct text *out)
{
    uint8_t bytes[TOKEN_BYTES];
    struct err err;
    int result;

    ENSURE(count <= sizeof bytes);
    result = digest_random((struct room){.ptr = bytes, .len = count}, &err);
    if (result < 0)
        return command_failed("no random bytes: %s", err.text);
    text_add_str(out, prefix);
    if (count == TOKEN_BYTES)
        text_add_base64url(out, span_of(bytes, count));
    else
        text_add_hex(out, span_of(bytes, count));
    explicit_bzero(bytes, sizeof bytes);
    (void)text_str(out);
    return 0;
}

static int session_fill(const struct options *options, struct stored_session *session)
{
    const char *tenant = options->tenant == NULL ? default_tenant : options->tenant;
    struct text id;

    text_init(&id, session->id, sizeof session->id);
    if (options->id == NULL && random_word("es_", 8, &id) != 0)
        return 1;
    if ((options->id != NULL && name_check("--id", options->id, LIMIT_SESSION_ID) != 0) ||
        name_check("--tenant", tenant, LIMIT_NAME) != 0)
        return 1;
    if (options->id != NULL)
        (void)snprintf(session->id, sizeof session->id, "%s", options->id);
    (void)snprintf(session->tenant, sizeof session->tenant, "%s", tenant);
    session->created_ms = clock_wall_ms();
    session->expires_ms =
        session->created_ms + (options->ttl_ms > 0 ? options->ttl_ms : TTL_DEFAULT_MS);
    return 0;
}

static void time_write(char memory[40], int64_t wall_ms)
{
    struct text out;

    text_init(&out, memory, 40);
    clock_write(&out, wall_ms);
    (void)text_str(&out);
}

static void created_print(const struct options *options, const struct stored_session *session,
                          const char *token)
{
    char expires[40];

    time_write(expires, session->expires_ms);
    if ((options->given & OPTION_JSON) != 0) {
        (void)printf("{\"id\":\"%s\",\"tenant\":\"%s\",\"expires\":\"%s\"", session->id,
                     session->tenant, expires);
        if (token != NULL)
            (void)printf(",\"token\":\"%s\"", token);
        (void)puts("}");
    } else if (token == NULL) {
        (void)puts(session->id);
    } else {
        (void)printf("session: %s\ntoken: %s\nexpires: %s\n", session->id, token, expires);
        (void)fputs("The token is shown this once; only its hash is kept.\n", stderr);
    }
}

/* 0, or 1 and said why; nothing is in the store then. */
static int token_file_write(const char *path, const struct text *token)
{
    struct room there;
    struct err err;

    if (file_read(path, TOKEN_MAX * 64, &there, &err) == 0) {
        file_free(&there);
        return command_failed("--token-file: %s exists already; remove it or name another", path);
    }
    if (err.sys != 2 /* ENOENT */)
        return command_failed("--token-file: %s", err.text);
    if (file_write_atomic(path, text_span(token), 0600, &err) < 0)
        return command_failed("--token-file: %s", err.text);
    return 0;
}

static int session_add(struct session_store *store, const struct options *options,
                       const struct stored_session *session, struct text *token)
{
    uint8_t hash[DIGEST_SHA256];
    struct stored_session other;
    struct err err;

    digest_sha256(text_span(token), hash);
    if (session_store_get(store, span_text(session->id), &other, &err) > 0)
        return command_failed("session %s exists already; choose another --id", session->id);
    if (options->token_file != NULL && token_file_write(options->token_file, token) != 0)
        return 1;
    if (session_store_add(store, session, hash, &err) < 0)
        return command_failed("%s", err.text);
    created_print(options, session, options->token_file == NULL ? text_str(token) : NULL);
    return 0;
}

int command_session_create(const struct options *options)
{
    static struct config config;
    struct stored_session session = {.created_ms = 0};
    struct session_store *store;
    char memory[TOKEN_MAX];
    struct text token;
    int status = 1;

    if (session_fill(options, &session) != 0)
        return 1;
    store = store_open(&config, options);
    if (store == NULL)
        return 1;
    text_init(&token, memory, sizeof memory);
    if (random_word("exs_", TOKEN_BYTES, &token) == 0)
        status = session_add(store, options, &session, &token);
    explicit_bzero(memory, sizeof memory);
    session_store_close(store);
    config_fini(&config);
    return status;
}

struct listing {
    int is_json;
    int count;
    int64_t now_ms;
};

static const char *state_word(enum err_code state)
{
    if (state == ERR_OK)
        return "live";
    return state == ERR_SESSION_REVOKED ? "revoked" : "expired";
}

static void session_print(void *owner, const struct stored_session *session)
{
    struct listing *listing = owner;
    const char *state = state_word(session_store_state(session, listing->now_ms));
    char created[40];
    char expires[40];

    time_write(created, session->created_ms);
    time_write(expires, session->expires_ms);
    if (listing->is_json)
        (void)printf("%s\n{\"id\":\"%s\",\"tenant\":\"%s\",\"created\":\"%s\",\"expires\":\"%s\","
                     "\"state\":\"%s\"}",
                     listing->count == 0 ? "" : ",", session->id, session->tenant, created, expires,
                     state);
    else
        (void)printf("%-24s %-16s %-26s %-26s %s\n", session->id, session->tenant, created, expires,
                     state);
    listing->count++;
}

int command_session_list(const struct options *options)
{
    static struct config config;
    struct listing listing = {.is_json = (options->given & OPTION_JSON) != 0,
                              .now_ms = clock_wall_ms()};
    struct session_store *store = store_open(&config, options);
    struct err err;
    int status = 0;

    if (store == NULL)
        return 1;
    if (listing.is_json)
        (void)fputs("[", stdout);
    else
        (void)printf("%-24s %-16s %-26s %-26s %s\n", "ID", "TENANT", "CREATED", "EXPIRES", "STATE");
    if (session_store_list(store, session_print, &listing, &err) < 0)
        status = command_failed("%s", err.text);
    if (listing.is_json)
        (void)fputs("]\n", stdout);
    session_store_close(store);
    config_fini(&config);
    return status;
}

int command_session_revoke(const struct options *options)
{
    static struct config config;
    struct session_store *store;
    struct err err;
    int result;
    int status = 0;

    if (!session_store_is_name(span_text(options->words[0]), LIMIT_SESSION_ID))
        return command_failed("'%s' is no id of a session", options->words[0]);
    store = store_open(&config, options);
    if (store == NULL)
        return 1;
    result = session_store_revoke(store, span_text(options->words[0]), clock_wall_ms(), &err);
    if (result < 0 && err.code == ERR_NOT_FOUND)
        status = command_failed("there is no session %s; see: exeat-gateway session list -c %s",
                                options->words[0], options->config);
    else if (result < 0)
        status = command_failed("%s", err.text);
    else
        (void)printf("session %s: %s\n", options->words[0],
                     result > 0 ? "revoked; its tunnels end within seconds" : "was revoked before");
    session_store_close(store);
    config_fini(&config);
    return status;
}
