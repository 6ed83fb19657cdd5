/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the secrets, once at the start and again when a credential's file has changed. */
#include "gateway/vault_keys.h"

#include "base/pool.h"
#include "os/disk.h"
#include "os/file.h"
#include "os/log.h"
#include "policy/inject.h"

#define PEM_MAX (256 * 1024)

/* The words of `why` behind the name of what it is about. */
static int explain(const char *what, const char *name, const struct err *why, struct err *err)
{
    struct err copy = *why;

    return err_set(err, copy.code, "%s %.48s: %s", what, name, copy.text);
}

static int ca_read(struct vault_keys *keys, struct err *err)
{
    const struct config_ca *ca = &keys->config->ca;
    struct secret key = {0};
    struct room certificate = {0};

    if (file_read(ca->certificate, PEM_MAX, &certificate, err) < 0)
        return -1;
    if (file_read_secret(ca->key, LIMIT_SECRET, &key, err) == 0) {
        keys->ca = leaf_ca_new(span_of_room(certificate), secret_span(&key), err);
        if (keys->ca == NULL)
            (void)explain("CA", ca->key, err, err);
    }
    secret_fini(&key);
    file_free(&certificate);
    return keys->ca == NULL ? -1 : 0;
}

static int listener_read(struct vault_keys *keys, size_t index, struct err *err)
{
    const char *path = keys->config->listens[index].key;
    struct room pem = {0};

    if (path == NULL)
        return 0;
    if (file_read(path, PEM_MAX, &pem, err) < 0)
        return -1;
    keys->listeners[index] = sign_key_new(span_of_room(pem), err);
    file_free(&pem);
    return keys->listeners[index] == NULL ? explain("key", path, err, err) : 0;
}

static int variable_read(const char *name, struct secret *value, struct err *err)
{
    const char *text = getenv(name);

    if (text == NULL)
        return err_set(err, ERR_CONFIG, "variable %s is not set", name);
    return secret_init(value, span_text(text), err);
}

static int value_read(const struct credential_source *source, struct secret *value, struct err *err)
{
    int result = source->file.len > 0
                     ? file_read_secret((const char *)source->file.ptr, LIMIT_SECRET, value, err)
                     : variable_read((const char *)source->env.ptr, value, err);

    if (result == 0)
        result = inject_check_value(secret_span(value), err);
    return result < 0 ? explain("credential", (const char *)source->name.ptr, err, err) : 0;
}

/* The environment of this process, with one variable for maybe several credentials. */
static void variables_wipe(const struct policy *policy)
{
    for (size_t i = 0; i < policy->credential_count; i++) {
        const struct credential_source *source = &policy->credentials[i];
        char *text = source->env.len > 0 ? getenv((const char *)source->env.ptr) : NULL;

        if (text == NULL)
            continue;
        explicit_bzero(text, strlen(text));
        (void)unsetenv((const char *)source->env.ptr);
    }
}

static int credentials_read(struct vault_keys *keys, struct err *err)
{
    const struct policy *policy = &keys->config->policy;
    int result = 0;

    for (size_t i = 0; i < policy->credential_count && result == 0; i++) {
        const struct credential_source *source = &policy->credentials[i];

        if (source->file.len > 0)
            keys->changed_ns[i] = disk_changed_ns((const char *)source->file.ptr);
        result = value_read(source, &keys->credentials[i], err);
    }
    variables_wipe(policy);
    return result;
}

int vault_keys_init(struct vault_keys *keys, const struct config *config, struct err *err)
{
    size_t count = config->policy.credential_count;

    *keys = (struct vault_keys){.config = config};
    keys->listeners = pool_block_new((config->listen_count + 1) * sizeof(struct sign_key *));
    keys->credentials = pool_block_new((count + 1) * sizeof *keys->credentials);
    keys->changed_ns = pool_block_new((count + 1) * sizeof *keys->changed_ns);
    if (keys->listeners == NULL || keys->credentials == NULL || keys->changed_ns == NULL) {
        err_set(err, ERR_MEMORY, "no memory for keys");
        goto fail_keys;
    }
    if (credentials_read(keys, err) < 0 || ca_read(keys, err) < 0)
        goto fail_keys;
    for (size_t i = 0; i < config->listen_count; i++) {
        if (listener_read(keys, i, err) < 0)
            goto fail_keys;
    }
    return 0;

fail_keys:
    vault_keys_fini(keys);
    return -1;
}

void vault_keys_fini(struct vault_keys *keys)
{
    if (keys->config == NULL)
        return;
    for (size_t i = 0; keys->credentials != NULL && i < keys->config->policy.credential_count; i++)
        secret_fini(&keys->credentials[i]);
    for (size_t i = 0; keys->listeners != NULL && i < keys->config->listen_count; i++) {
        if (keys->listeners[i] != NULL)
            sign_key_free(keys->listeners[i]);
    }
    if (keys->ca != NULL)
        leaf_ca_free(keys->ca);
    pool_block_free(keys->listeners);
    pool_block_free(keys->credentials);
    pool_block_free(keys->changed_ns);
    *keys = (struct vault_keys){.config = NULL};
}

static int credential_refresh(struct vault_keys *keys, size_t index)
{
    const struct credential_source *source = &keys->config->policy.credentials[index];
    struct secret value = {0};
    struct err err;
    int64_t changed_ns;
    int is_new = 0;

    if (source->file.len == 0)
        return 0;
    changed_ns = disk_changed_ns((const char *)source->file.ptr);
    if (changed_ns == 0 || changed_ns == keys->changed_ns[index])
        return 0;
    keys->changed_ns[index] = changed_ns;
    if (value_read(source, &value, &err) < 0)
        log_error("the file has changed, but the old value stays: %s", err.text);
    else
        is_new = !secret_equal(secret_span(&value), secret_span(&keys->credentials[index]));
    if (is_new) {
        secret_move(&keys->credentials[index], &value);
        log_info("credential %s: the file has changed, the new value is used from now on",
                 (const char *)source->name.ptr);
    }
    secret_fini(&value);
    return is_new;
}

int vault_keys_refresh(struct vault_keys *keys)
{
    int count = 0;

    for (size_t i = 0; i < keys->config->policy.credential_count; i++)
        count += credential_refresh(keys, i);
    return count;
}
