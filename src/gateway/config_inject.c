/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a rule puts into requests. What stands where a secret may have been written by mistake is
 * never repeated in an error (threat D5): the place says which it is.
 */
#include "base/text.h"
#include "gateway/config_section.h"
#include "http/token.h"
#include "policy/match.h"

#define INJECTIONS_MAX 16
#define FORMAT_MAX     256

static uint8_t alike(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint8_t)(c - 'A' + 'a');
    return c == '_' ? '-' : c;
}

/* As http_fields_remove() compares: what a lenient server may take for the same name. */
static bool is_alike(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (alike(a.ptr[i]) != alike(b.ptr[i]))
            return false;
    }
    return true;
}

/* Fields that say where a message goes and where it ends belong to the gateway. */
static bool is_reserved(struct span name)
{
    static const char *const names[] = {"connection",
                                        "content-length",
                                        "expect",
                                        "host",
                                        "http2-settings",
                                        "keep-alive",
                                        "max-forwards",
                                        "te",
                                        "trailer",
                                        "proxy-authenticate",
                                        "proxy-authorization",
                                        "proxy-connection",
                                        "transfer-encoding",
                                        "upgrade",
                                        "via"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (is_alike(name, span_text(names[i])))
            return true;
    }
    return false;
}

static int read_header(struct config_reader *reader, const struct config_node *node,
                       const struct config_field *field, void *into)
{
    struct injection *injection = into;
    struct text lower;
    char *memory;

    (void)field;
    if (config_expect_scalar(reader, node, "the name of a header field") < 0)
        return -1;
    if (!token_is_token(node->text) || node->text.len > LIMIT_NAME)
        return config_refuse(reader, node, "no token, expected the name of a header field");
    if (is_reserved(node->text))
        return config_refuse(reader, node,
                             "%s, which the gateway itself sets, expected another header field",
                             config_words(node).text);
    memory = config_take(reader, node, node->text.len + 1, 1);
    if (memory == NULL)
        return -1;
    text_init(&lower, memory, node->text.len + 1);
    text_add_lower(&lower, node->text);
    (void)text_str(&lower);
    injection->header = text_span(&lower);
    return 0;
}

static int read_injected_credential(struct config_reader *reader, const struct config_node *node,
                                    const struct config_field *field, void *into)
{
    struct injection *injection = into;
    const struct policy *policy = &reader->config->policy;
    struct config_guess guess;

    (void)field;
    if (config_expect_scalar(reader, node, "the name of a credential") < 0)
        return -1;
    config_guess_init(&guess, node->text);
    for (size_t i = 0; i < policy->credential_count; i++) {
        if (span_equal(policy->credentials[i].name, node->text)) {
            injection->credential = i;
            reader->is_used[i] = 1;
            return 0;
        }
        config_guess_try(&guess, policy->credentials[i].name);
    }
    if (guess.best.len > 0)
        return config_refuse(reader, node, "unknown credential, did you mean '%.64s'?",
                             (const char *)guess.best.ptr);
    return config_refuse(reader, node, "unknown credential, expected a name of `credentials`");
}

static bool is_format(struct span text)
{
    if (text.len > FORMAT_MAX || text.ptr[0] == ' ' || text.ptr[text.len - 1] == ' ')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
            return false;
    }
    return true;
}

static int read_format(struct config_reader *reader, const struct config_node *node,
                       const struct config_field *field, void *into)
{
    struct injection *injection = into;
    struct span hole = span_text("{}");
    struct span copy;
    ssize_t at;

    (void)field;
    if (node->kind != CONFIG_SCALAR || node->text.len == 0 || !is_format(node->text))
        return config_refuse(reader, node,
                             "no format, expected 1 to %d bytes of ASCII such as \"Bearer {}\"",
                             FORMAT_MAX);
    at = span_find_span(node->text, hole);
    if (at < 0 || span_find_span(span_from(node->text, (size_t)at + hole.len), hole) >= 0)
        return config_refuse(reader, node,
                             "a format with %s {}, expected exactly one, such as \"Bearer {}\"",
                             at < 0 ? "no" : "more than one");
    copy = config_copy(reader, node, node->text);
    if (copy.ptr == NULL)
        return -1;
    injection->before = span_first(copy, (size_t)at);
    injection->after = span_from(copy, (size_t)at + hole.len);
    return 0;
}

static int read_over_plain_http(struct config_reader *reader, const struct config_node *node,
                                const struct config_field *field, void *into)
{
    struct injection *injection = into;

    (void)field;
    if (config_expect_scalar(reader, node, "true or false") < 0)
        return -1;
    injection->over_plain_http = span_equal(node->text, span_text("true"));
    if (injection->over_plain_http || span_equal(node->text, span_text("false")))
        return 0;
    return config_refuse(reader, node, "neither true nor false, expected one of them");
}

static int read_injection(struct config_reader *reader, const struct config_node *node,
                          struct rule *rule)
{
    static const struct config_field table[] = {
        {.name = "header", .read = read_header, .need = CONFIG_REQUIRED},
        {.name = "credential", .read = read_injected_credential, .need = CONFIG_REQUIRED},
        {.name = "format", .read = read_format},
        {.name = "over_plain_http", .read = read_over_plain_http},
    };
    static const struct config_fields fields = CONFIG_FIELDS(table, "an injection");
    struct injection *injection = &rule->injections[rule->injection_count];

    if (config_read_map(reader, node, &fields, injection) < 0)
        return -1;
    for (size_t i = 0; i < rule->injection_count; i++) {
        if (is_alike(rule->injections[i].header, injection->header))
            return config_refuse(reader, config_tree_find(node, span_text("header")),
                                 "header field '%s' again, expected it once in a rule",
                                 (const char *)injection->header.ptr);
    }
    rule->injection_count++;
    return 0;
}

int config_read_inject(struct config_reader *reader, const struct config_node *node,
                       const struct config_field *field, void *into)
{
    struct rule *rule = into;
    int result = 0;

    (void)field;
    if (config_expect_list(reader, node, INJECTIONS_MAX, "injections") < 0)
        return -1;
    rule->injections = config_take(reader, node, node->count, sizeof *rule->injections);
    if (rule->injections == NULL)
        return -1;
    for (const struct config_node *at = node->first; at != NULL; at = at->next) {
        if (read_injection(reader, at, rule) < 0)
            result = -1;
    }
    return result;
}

/* A credential in the clear: said twice, or not at all. */
static int check_plain(struct config_reader *reader, const struct config_node *inject,
                       const struct rule *rule)
{
    if ((rule->schemes & RULE_HTTP) != 0)
        return 0;
    for (const struct config_node *at = inject->first; at != NULL; at = at->next) {
        const struct config_node *plain = config_tree_find(at, span_text("over_plain_http"));

        if (plain != NULL && span_equal(plain->text, span_text("true")))
            return config_refuse(reader, plain,
                                 "over_plain_http in a rule without http, expected it with "
                                 "`schemes: [http]` or [http, https] only");
    }
    return 0;
}

/* Credentials are bound to names of hosts (threat C5). */
int config_check_inject(struct config_reader *reader, const struct config_node *node,
                        const struct rule *rule)
{
    const struct config_node *inject = config_tree_find(node, span_text("inject"));

    if (inject == NULL)
        return 0;
    if (rule->action == RULE_DENY)
        return config_refuse(reader, inject, "inject in a deny rule, expected it with allow only");
    for (size_t i = 0; i < rule->host_count; i++) {
        if (rule->hosts[i].kind == PATTERN_ANY)
            return config_refuse(reader, inject,
                                 "inject with host '*', expected named hosts: a credential is "
                                 "bound to its hosts");
        if (match_is_literal(&rule->hosts[i]))
            return config_refuse(reader, inject,
                                 "inject with the address %.*s, expected names: an address gets "
                                 "no credential",
                                 (int)rule->hosts[i].name.len,
                                 (const char *)rule->hosts[i].name.ptr);
    }
    return check_plain(reader, inject, rule);
}
