/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of the configuration file -> struct config. Three steps: YAML to a tree that knows its
 * places (config_tree), tree to values by tables of keys (config_value, config_section,
 * config_rules), warnings (config_lint). Every error is added before the verdict, so that one run
 * shows them all.
 */
#include "gateway/config.h"

#include "base/text.h"
#include "crypto/digest.h"
#include "gateway/config_section.h"

#define BLOCK         (64 * 1024)
#define CONFIG_MEMORY (64 * 1024 * 1024) /* of the typed form, and of the tree */

static const char system_roots[] = "/etc/ssl/certs/ca-certificates.crt";

static int read_root(struct config_reader *reader, const struct config_node *tree)
{
#define KEY(key, reader_, member, how)                                                             \
    {                                                                                              \
        .name = (key), .read = (reader_), .offset = offsetof(struct config, member), .need = (how) \
    }
    static const struct config_field table[] = {
        {.name = "listen", .read = config_read_listen, .need = CONFIG_REQUIRED},
        KEY("state_dir", config_read_path, state_dir, CONFIG_REQUIRED),
        KEY("workers", config_read_workers, workers, CONFIG_OPTIONAL),
        KEY("user", config_read_user, user, CONFIG_OPTIONAL),
        KEY("ca", config_read_ca, ca, CONFIG_OPTIONAL),
        KEY("tls", config_read_tls, tls, CONFIG_OPTIONAL),
        KEY("audit", config_read_audit, audit, CONFIG_OPTIONAL),
        {.name = "origins", .read = config_read_origins},
        {.name = "resolver", .read = config_read_resolver},
        KEY("limits", config_read_limits, limits, CONFIG_OPTIONAL),
        KEY("timeouts", config_read_timeouts, timeouts, CONFIG_OPTIONAL),
        KEY("log", config_read_log, log, CONFIG_OPTIONAL),
        {.name = "credentials", .read = config_read_credentials},
        {.name = "rules", .read = config_read_rules},
    };
#undef KEY
    static const struct config_fields fields = {
        .items = table, .count = sizeof table / sizeof table[0], .what = "the configuration"};

    return config_read_map(reader, tree, &fields, reader->config);
}

/* Files that the configuration does not name are in the state directory. */
static int set_files(struct config_reader *reader, const struct config_node *tree)
{
    struct config *config = reader->config;
    const struct config_node *state_dir = config_tree_find(tree, span_text("state_dir"));
    const struct {
        const char **path;
        const char *name;
    } files[] = {
        {&config->ca.certificate, "ca.crt"},
        {&config->ca.key, "ca.key"},
        {&config->audit.file, "audit.log"},
    };

    if (config->ca.line == 0 && state_dir != NULL)
        config->ca.line = state_dir->line;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (*files[i].path == NULL)
            *files[i].path =
                config_join_path(reader, tree, config->state_dir, span_text(files[i].name));
        if (*files[i].path == NULL)
            return -1;
    }
    if (config->root_count > 0)
        return 0;
    config->roots = config_take(reader, tree, 1, sizeof *config->roots);
    if (config->roots == NULL)
        return -1;
    config->roots[config->root_count++] = system_roots;
    return 0;
}

static int set_generation(struct config_reader *reader, struct span yaml)
{
    uint8_t digest[DIGEST_SHA256];
    struct err err;
    uint64_t generation = 0;

    if (digest_setup(&err) < 0) {
        config_error_add(reader->errors, reader->path, 0, 0, "%s", err.text);
        return -1;
    }
    digest_sha256(yaml, digest);
    for (size_t i = 0; i < 8; i++)
        generation = generation << 8 | digest[i];
    reader->config->generation = generation;
    reader->config->policy.generation = generation;
    return 0;
}

static int read_all(struct config_reader *reader, struct span yaml)
{
    struct config_node *tree;
    struct span path;

    if (set_generation(reader, yaml) < 0)
        return -1;
    if (yaml.len > CONFIG_FILE_MAX) {
        config_error_add(reader->errors, reader->path, 0, 0, "%zu bytes, expected at most %d",
                         yaml.len, CONFIG_FILE_MAX);
        return -1;
    }
    if (config_tree_read(yaml, reader->path, reader->scratch, reader->errors, &tree) < 0)
        return -1;
    path = config_copy(reader, tree, span_text(reader->path));
    if (path.ptr == NULL)
        return -1;
    reader->config->path = (const char *)path.ptr;
    config_set_defaults(reader->config);
    if (read_root(reader, tree) < 0 || set_files(reader, tree) < 0)
        return -1;
    config_set_shares(&reader->config->limits);
    if (config_check_memory(reader, tree) < 0)
        return -1;
    config_lint(reader);
    return 0;
}

int config_read(struct config *config, struct span yaml, const char *path,
                struct config_errors *errors)
{
    struct pool pool;
    struct arena scratch;
    struct config_reader reader = {
        .config = config,
        .path = path,
        .errors = errors,
        .arena = &config->arena,
        .scratch = &scratch,
    };
    size_t before = errors->errors.total;
    int result;

    *config = (struct config){0};
    pool_init(&config->pool, BLOCK, CONFIG_MEMORY / BLOCK, 0);
    arena_init(&config->arena, &config->pool, CONFIG_MEMORY);
    pool_init(&pool, BLOCK, CONFIG_MEMORY / BLOCK, 0);
    arena_init(&scratch, &pool, CONFIG_MEMORY);

    result = read_all(&reader, yaml);
    arena_reset(&scratch);
    pool_fini(&pool);
    if (result < 0 || errors->errors.total > before) {
        ENSURE(errors->errors.total > before);
        config_fini(config);
        return -1;
    }
    return 0;
}

void config_fini(struct config *config)
{
    if (config->arena.pool != NULL) {
        arena_reset(&config->arena);
        pool_fini(&config->pool);
    }
    *config = (struct config){0};
}
