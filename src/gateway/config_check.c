/* SPDX-License-Identifier: Apache-2.0 */
/* The files and variables that a configuration names: there, readable, fit to be sent. */
#include "base/secret.h"
#include "gateway/config.h"
#include "os/file.h"
#include "policy/inject.h"

#define KEY_FILE_MAX (256 * 1024)

struct check {
    const struct config *config;
    struct config_errors *errors;
};

static void check_file(const struct check *check, unsigned line, const char *what, const char *path,
                       size_t limit)
{
    struct room content;
    struct err err;

    if (file_read(path, limit, &content, &err) < 0) {
        config_error_add(check->errors, check->config->path, line, 0, "%s: %s", what, err.text);
        return;
    }
    if (content.len == 0)
        config_error_add(check->errors, check->config->path, line, 0, "%s: %s is empty", what,
                         path);
    file_free(&content);
}

static void check_listens(const struct check *check)
{
    for (size_t i = 0; i < check->config->listen_count; i++) {
        const struct config_listen *listen = &check->config->listens[i];

        if (listen->certificate == NULL)
            continue;
        check_file(check, listen->line, "certificate of the listener", listen->certificate,
                   KEY_FILE_MAX);
        check_file(check, listen->line, "key of the listener", listen->key, KEY_FILE_MAX);
    }
}

static int read_value(const struct credential_source *source, struct secret *value, struct err *err)
{
    const char *text;

    if (source->file.len > 0)
        return file_read_secret((const char *)source->file.ptr, LIMIT_SECRET, value, err);
    text = getenv((const char *)source->env.ptr);
    if (text == NULL)
        return err_set(err, ERR_CONFIG, "variable %s is not set", (const char *)source->env.ptr);
    return secret_init(value, span_text(text), err);
}

/* The name of the credential and what is wrong with its value, never the value (threat D5). */
static void check_credential(const struct check *check, const struct credential_source *source)
{
    struct secret value = {0};
    struct err err;

    if (read_value(source, &value, &err) < 0 || inject_check_value(secret_span(&value), &err) < 0)
        config_error_add(check->errors, check->config->path, source->line, 0, "credential '%s': %s",
                         (const char *)source->name.ptr, err.text);
    secret_fini(&value);
}

int config_check_files(const struct config *config, struct config_errors *errors)
{
    struct check check = {.config = config, .errors = errors};
    size_t before = errors->errors.total;

    check_listens(&check);
    check_file(&check, config->ca.line, "certificate of the CA (exeat-gateway ca init makes one)",
               config->ca.certificate, KEY_FILE_MAX);
    check_file(&check, config->ca.line, "key of the CA", config->ca.key, KEY_FILE_MAX);
    for (size_t i = 0; i < config->root_count; i++)
        check_file(&check, config->root_line, "roots for origins", config->roots[i], LIMIT_BUNDLE);
    for (size_t i = 0; i < config->policy.credential_count; i++)
        check_credential(&check, &config->policy.credentials[i]);
    return errors->errors.total > before ? -1 : 0;
}
