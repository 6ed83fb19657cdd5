/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials of the configuration: where each value comes from. What stands where a secret may
 * have been written by mistake is never repeated in an error (threat D5): the place says which.
 */
#include "gateway/config_section.h"

static bool is_env_name(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];

        if (!((c >= 'A' && c <= 'Z') || c == '_' || (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return text.len > 0 && text.len <= LIMIT_NAME;
}

static const char credential_advice[] =
    "expected {file: PATH} (mode 0600) or {env: NAME}; values do not belong into this file";

static int read_source_file(struct config_reader *reader, const struct config_node *node,
                            struct credential_source *source)
{
    const char *path = NULL;

    if (node->kind != CONFIG_SCALAR || node->text.len == 0)
        return config_refuse(reader, node, "no path, %s", credential_advice);
    if (config_read_path(reader, node, NULL, &path) < 0)
        return -1;
    source->file = span_text(path);
    return 0;
}

static int read_source_env(struct config_reader *reader, const struct config_node *node,
                           struct credential_source *source)
{
    if (node->kind != CONFIG_SCALAR || !is_env_name(node->text))
        return config_refuse(reader, node,
                             "no name of a variable (A-Z, 0-9, '_'; at most %d bytes), %s",
                             LIMIT_NAME, credential_advice);
    source->env = config_copy(reader, node, node->text);
    return source->env.ptr == NULL ? -1 : 0;
}

static int read_source(struct config_reader *reader, const struct config_node *node,
                       struct credential_source *source)
{
    const struct config_node *value = node->first;

    if (node->kind == CONFIG_SCALAR)
        return config_refuse(reader, node, "a literal value, %s", credential_advice);
    if (node->kind != CONFIG_MAP || node->count != 1)
        return config_refuse(reader, node, "neither one file nor one variable, %s",
                             credential_advice);
    if (span_equal(value->key->text, span_text("file")))
        return read_source_file(reader, value, source);
    if (span_equal(value->key->text, span_text("env")))
        return read_source_env(reader, value, source);
    return config_refuse(reader, value->key, "an unknown key of a credential, %s",
                         credential_advice);
}

int config_read_credentials(struct config_reader *reader, const struct config_node *node,
                            const struct config_field *field, void *into)
{
    struct policy *policy = &((struct config *)into)->policy;
    int result = 0;

    (void)field;
    if (config_expect_map(reader, node, "credentials by name") < 0)
        return -1;
    policy->credentials = config_take(reader, node, node->count + 1, sizeof *policy->credentials);
    reader->is_used = arena_take(reader->scratch, node->count + 1);
    if (policy->credentials == NULL)
        return -1;
    if (reader->is_used == NULL)
        return config_refuse(reader, node, "too large: out of memory");
    if (config_note_nodes(reader, node, &reader->credentials) < 0)
        return -1;
    for (const struct config_node *at = node->first; at != NULL; at = at->next) {
        struct credential_source *source = &policy->credentials[policy->credential_count++];

        source->line = at->key->line;
        if (!config_is_name(at->key->text))
            result = config_refuse(reader, at->key,
                                   "no name of a credential, expected 1 to %d of A-Z a-z 0-9 - _ .",
                                   LIMIT_NAME);
        source->name = config_copy(reader, at, at->key->text);
        if (source->name.ptr == NULL || read_source(reader, at, source) < 0)
            result = -1;
    }
    return result;
}
