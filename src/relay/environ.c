/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table: a row is a variable, where its value comes from, and the profiles that export it.
 * Both spellings of the proxy variables are needed: wget, apt and gRPC read only lower case, some
 * only upper case. Of http_proxy only one is: every client that reads HTTP_PROXY reads it too, and
 * in a CGI program HTTP_PROXY is what a request's Proxy field says. all_proxy stays unset: it would
 * only add schemes that the relay does not carry. SSL_CERT_DIR stays unset on purpose: several
 * clients let it replace the bundle.
 */
#include "relay/environ.h"

enum source { SOURCE_PROXY, SOURCE_NO_PROXY, SOURCE_BUNDLE, SOURCE_LITERAL };

#define IN_CCR   (1u << PROFILE_CCR)
#define IN_EXEAT (1u << PROFILE_EXEAT)
#define IN_BOTH  (IN_CCR | IN_EXEAT)

static const struct variable {
    const char *name;
    enum source source;
    unsigned profiles;
    const char *literal;
} variables[] = {
    {"HTTPS_PROXY", SOURCE_PROXY, IN_BOTH, NULL},
    {"https_proxy", SOURCE_PROXY, IN_BOTH, NULL},
    {"http_proxy", SOURCE_PROXY, IN_EXEAT, NULL},
    {"GRPC_PROXY", SOURCE_PROXY, IN_EXEAT, NULL},
    {"grpc_proxy", SOURCE_PROXY, IN_EXEAT, NULL},
    {"wss_proxy", SOURCE_PROXY, IN_EXEAT, NULL},
    {"NO_PROXY", SOURCE_NO_PROXY, IN_BOTH, NULL},
    {"no_proxy", SOURCE_NO_PROXY, IN_BOTH, NULL},
    {"no_grpc_proxy", SOURCE_NO_PROXY, IN_EXEAT, NULL},
    {"NODE_USE_ENV_PROXY", SOURCE_LITERAL, IN_EXEAT, "1"},
    {"PERL_LWP_ENV_PROXY", SOURCE_LITERAL, IN_EXEAT, "1"},
    {"MOJO_PROXY", SOURCE_LITERAL, IN_EXEAT, "1"},
    {"SSL_CERT_FILE", SOURCE_BUNDLE, IN_BOTH, NULL},
    {"NODE_EXTRA_CA_CERTS", SOURCE_BUNDLE, IN_BOTH, NULL},
    {"REQUESTS_CA_BUNDLE", SOURCE_BUNDLE, IN_BOTH, NULL},
    {"CURL_CA_BUNDLE", SOURCE_BUNDLE, IN_BOTH, NULL},
    {"GIT_SSL_CAINFO", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"PIP_CERT", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"CARGO_HTTP_CAINFO", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"AWS_CA_BUNDLE", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"NIX_SSL_CERT_FILE", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"HTTPLIB2_CA_CERTS", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"WEBSOCKET_CLIENT_CA_BUNDLE", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"npm_config_cafile", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"BUNDLE_SSL_CA_CERT", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"COMPOSER_CAFILE", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"PERL_LWP_SSL_CA_FILE", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"HTTPS_CA_FILE", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"HEX_CACERTS_PATH", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"YARN_HTTPS_CA_FILE_PATH", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"JULIA_SSL_CA_ROOTS_PATH", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"SYSTEM_CERTIFICATE_PATH", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"CODEX_CA_CERTIFICATE", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"NODE_USE_SYSTEM_CA", SOURCE_LITERAL, IN_EXEAT, "1"},
    {"DENO_CERT", SOURCE_BUNDLE, IN_EXEAT, NULL},
    {"DENO_TLS_CA_STORE", SOURCE_LITERAL, IN_EXEAT, "system,mozilla"},
    {"UV_SYSTEM_CERTS", SOURCE_LITERAL, IN_EXEAT, "true"},
    {"UV_NATIVE_TLS", SOURCE_LITERAL, IN_EXEAT, "true"},
};

#define VARIABLE_COUNT (sizeof variables / sizeof variables[0])

static int is_exported(const struct variable *variable, const struct environ_block *block)
{
    return (variable->profiles & 1u << block->profile) != 0;
}

static void value_write(const struct variable *variable, const struct environ_block *block,
                        struct text *out)
{
    switch (variable->source) {
    case SOURCE_PROXY:
        text_addf(out, "http://127.0.0.1:%u", block->port);
        return;
    case SOURCE_NO_PROXY:
        text_add_str(out, block->no_proxy);
        return;
    case SOURCE_BUNDLE:
        text_add_str(out, block->bundle);
        return;
    case SOURCE_LITERAL:
        text_add_str(out, variable->literal);
        return;
    }
}

int environ_format_read(const char *word, enum environ_format *format)
{
    static const char *const words[] = {
        [ENVIRON_SHELL] = "shell", [ENVIRON_JSON] = "json", [ENVIRON_DOTENV] = "dotenv"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i]) == 0) {
            *format = (enum environ_format)i;
            return 0;
        }
    }
    return -1;
}

/* POSIX shell: within single quotes nothing is special but the quote itself. */
static void shell_write(struct span value, struct text *out)
{
    text_add_char(out, '\'');
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\'')
            text_add_str(out, "'\\''");
        else
            text_add_char(out, (char)value.ptr[i]);
    }
    text_add_char(out, '\'');
}

static void dotenv_write(struct span value, struct text *out)
{
    text_add_char(out, '"');
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\n') {
            text_add_str(out, "\\n");
            continue;
        }
        if (strchr("\"\\$`", value.ptr[i]) != NULL)
            text_add_char(out, '\\');
        text_add_char(out, (char)value.ptr[i]);
    }
    text_add_char(out, '"');
}

static void line_write(const char *name, struct span value, enum environ_format format,
                       struct text *out)
{
    switch (format) {
    case ENVIRON_SHELL:
        text_add_str(out, "export ");
        text_add_str(out, name);
        text_add_char(out, '=');
        shell_write(value, out);
        return;
    case ENVIRON_JSON:
        text_add_str(out, "  ");
        text_add_json(out, span_text(name));
        text_add_str(out, ": ");
        text_add_json(out, value);
        return;
    case ENVIRON_DOTENV:
        text_add_str(out, name);
        text_add_char(out, '=');
        dotenv_write(value, out);
        return;
    }
}

void environ_write(const struct environ_block *block, enum environ_format format, struct text *out)
{
    char memory[4096];
    struct text value;
    size_t written = 0;

    if (format == ENVIRON_JSON)
        text_add_str(out, "{\n");
    for (size_t i = 0; i < VARIABLE_COUNT; i++) {
        if (!is_exported(&variables[i], block))
            continue;
        text_init(&value, memory, sizeof memory);
        value_write(&variables[i], block, &value);
        out->overflow = out->overflow || value.overflow;
        if (written++ > 0)
            text_add_str(out, format == ENVIRON_JSON ? ",\n" : "\n");
        line_write(variables[i].name, text_span(&value), format, out);
    }
    text_add_str(out, format == ENVIRON_JSON ? "\n}\n" : "\n");
}

/* Whether the block sets this variable anew, or children must not see it. */
static int is_replaced(const char *item, const struct environ_block *block)
{
    const char *equals = strchr(item, '=');
    struct span name;

    if (equals == NULL)
        return 0;
    name = span_of(item, (size_t)(equals - item));
    if (span_equal(name, span_text(ENVIRON_TOKEN_FD)))
        return 1;
    for (size_t i = 0; block != NULL && i < VARIABLE_COUNT; i++) {
        if (is_exported(&variables[i], block) && span_equal(name, span_text(variables[i].name)))
            return 1;
    }
    return 0;
}

static char *item_new(const struct variable *variable, const struct environ_block *block,
                      struct arena *arena)
{
    char memory[4096 + 64];
    struct text text;
    char *item;

    text_init(&text, memory, sizeof memory - 1);
    text_add_str(&text, variable->name);
    text_add_char(&text, '=');
    value_write(variable, block, &text);
    item = text.overflow ? NULL : arena_take(arena, text.len + 1);
    if (item != NULL)
        memcpy(item, text.ptr, text.len); /* taken zeroed: the NUL is there */
    return item;
}

char **environ_merge(const struct environ_block *block, char *const *envp, struct arena *arena)
{
    size_t count = 0;
    size_t at = 0;
    char **merged;

    while (envp[count] != NULL)
        count++;
    merged = arena_take(arena, (count + VARIABLE_COUNT + 1) * sizeof *merged);
    if (merged == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (!is_replaced(envp[i], block))
            merged[at++] = envp[i];
    }
    for (size_t i = 0; block != NULL && i < VARIABLE_COUNT; i++) {
        if (!is_exported(&variables[i], block))
            continue;
        merged[at] = item_new(&variables[i], block, arena);
        if (merged[at++] == NULL)
            return NULL;
    }
    merged[at] = NULL;
    return merged;
}

const char *environ_find(char *const *envp, const char *name)
{
    size_t len = strlen(name);

    for (; *envp != NULL; envp++) {
        if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
            return *envp + len + 1;
    }
    return NULL;
}
