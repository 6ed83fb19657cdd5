/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of the configuration. What stands where a secret may have been written by
 * mistake is never repeated in an error (threat D5): the place says which it is.
 */
#include "base/num.h"
#include "base/text.h"
#include "gateway/config_section.h"
#include "http/token.h"
#include "policy/match.h"

#define RULES_MAX      4096
#define HOSTS_MAX      16384 /* of one rule, as the next ones */
#define PORTS_MAX      64
#define METHODS_MAX    32
#define PATHS_MAX      256
#define INJECTIONS_MAX 16
#define METHOD_MAX     32
#define FORMAT_MAX     256

static int read_rule_name(struct config_reader *reader, const struct config_node *node,
                          const struct config_field *field, void *into)
{
    struct rule *rule = into;
    const struct policy *policy = &reader->config->policy;

    (void)field;
    if (config_expect_scalar(reader, node, "a name") < 0)
        return -1;
    if (!config_is_name(node->text))
        return config_refuse(reader, node, "%s, expected 1 to %d of A-Z a-z 0-9 - _ .",
                             config_words(node).text, LIMIT_NAME);
    for (size_t i = 0; i < policy->rule_count; i++) {
        if (&policy->rules[i] != rule && span_equal(policy->rules[i].name, node->text))
            return config_refuse(reader, node,
                                 "rule name %s again, expected it once (it is on line %u)",
                                 config_words(node).text, policy->rules[i].line);
    }
    rule->name = config_copy(reader, node, node->text);
    return rule->name.ptr == NULL ? -1 : 0;
}

static int read_rule_action(struct config_reader *reader, const struct config_node *node,
                            const struct config_field *field, void *into)
{
    struct rule *rule = into;

    (void)field;
    if (config_expect_scalar(reader, node, "allow or deny") < 0)
        return -1;
    rule->action = span_equal(node->text, span_text("deny")) ? RULE_DENY : RULE_ALLOW;
    if (rule->action == RULE_DENY || span_equal(node->text, span_text("allow")))
        return 0;
    return config_refuse(reader, node, "%s, expected allow or deny", config_words(node).text);
}

static int read_rule_hosts(struct config_reader *reader, const struct config_node *node,
                           const struct config_field *field, void *into)
{
    struct rule *rule = into;
    int result = 0;

    (void)field;
    if (config_expect_list(reader, node, HOSTS_MAX, "hosts") < 0)
        return -1;
    rule->hosts = config_take(reader, node, node->count, sizeof *rule->hosts);
    if (rule->hosts == NULL)
        return -1;
    for (const struct config_node *at = node->first; at != NULL; at = at->next) {
        struct err err;

        if (config_expect_scalar(reader, at, "a host such as api.example.com or *.example.com") < 0)
            result = -1;
        else if (match_read_host_pattern(at->text, reader->arena, &rule->hosts[rule->host_count],
                                         &err) < 0)
            result = config_refuse(reader, at,
                                   "%s, expected a host such as api.example.com, *.example.com or "
                                   "* (%s)",
                                   config_words(at).text, err.text);
        else
            rule->host_count++;
    }
    return result;
}

/* "443" or "8443-8450" */
static int read_ports(struct span text, struct port_range *range)
{
    ssize_t dash = span_find(text, '-');
    struct err err;

    if (dash < 0) {
        if (num_read_port(text, &range->first, &err) < 0)
            return -1;
        range->last = range->first;
        return 0;
    }
    if (num_read_port(span_first(text, (size_t)dash), &range->first, &err) < 0 ||
        num_read_port(span_from(text, (size_t)dash + 1), &range->last, &err) < 0)
        return -1;
    return range->first <= range->last ? 0 : -1;
}

static int read_rule_ports(struct config_reader *reader, const struct config_node *node,
                           const struct config_field *field, void *into)
{
    static const char expected[] = "a port (443) or a range of ports (8443-8450)";
    struct rule *rule = into;
    int result = 0;

    (void)field;
    if (config_expect_list(reader, node, PORTS_MAX, "ports") < 0)
        return -1;
    rule->ports = config_take(reader, node, node->count, sizeof *rule->ports);
    if (rule->ports == NULL)
        return -1;
    for (const struct config_node *at = node->first; at != NULL; at = at->next) {
        if (config_expect_scalar(reader, at, expected) < 0)
            result = -1;
        else if (read_ports(at->text, &rule->ports[rule->port_count]) < 0)
            result = config_refuse(reader, at, "%s, expected %s", config_words(at).text, expected);
        else
            rule->port_count++;
    }
    return result;
}

static bool is_method(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] >= 'a' && text.ptr[i] <= 'z')
            return false;
    }
    return token_is_token(text) && text.len <= METHOD_MAX;
}

static int read_rule_methods(struct config_reader *reader, const struct config_node *node,
                             const struct config_field *field, void *into)
{
    static const char expected[] = "a method in upper case, such as GET";
    struct rule *rule = into;
    int result = 0;

    (void)field;
    if (config_expect_list(reader, node, METHODS_MAX, "methods") < 0)
        return -1;
    rule->methods = config_take(reader, node, node->count, sizeof *rule->methods);
    if (rule->methods == NULL)
        return -1;
    for (const struct config_node *at = node->first; at != NULL; at = at->next) {
        struct span *method = &rule->methods[rule->method_count++];

        if (config_expect_scalar(reader, at, expected) < 0)
            result = -1;
        else if (!is_method(at->text))
            result = config_refuse(reader, at, "%s, expected %s", config_words(at).text, expected);
        else
            *method = config_copy(reader, at, at->text);
    }
    return result;
}

static int read_rule_paths(struct config_reader *reader, const struct config_node *node,
                           const struct config_field *field, void *into)
{
    static const char expected[] = "a path such as /v1/users or /api/**";
    struct rule *rule = into;
    int result = 0;

    (void)field;
    if (config_expect_list(reader, node, PATHS_MAX, "paths") < 0)
        return -1;
    rule->paths = config_take(reader, node, node->count, sizeof *rule->paths);
    if (rule->paths == NULL)
        return -1;
    for (const struct config_node *at = node->first; at != NULL; at = at->next) {
        struct span *path = &rule->paths[rule->path_count++];
        struct err err;

        if (config_expect_scalar(reader, at, expected) < 0)
            result = -1;
        else if (match_check_glob(at->text, &err) < 0)
            result = config_refuse(reader, at, "%s, expected %s (%s)", config_words(at).text,
                                   expected, err.text);
        else
            *path = config_copy(reader, at, at->text);
    }
    return result;
}

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

static int read_injection(struct config_reader *reader, const struct config_node *node,
                          struct rule *rule)
{
    static const struct config_field table[] = {
        {.name = "header", .read = read_header, .need = CONFIG_REQUIRED},
        {.name = "credential", .read = read_injected_credential, .need = CONFIG_REQUIRED},
        {.name = "format", .read = read_format},
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

static int read_rule_inject(struct config_reader *reader, const struct config_node *node,
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

/* Credentials are bound to names of hosts (threat C5). */
static int check_inject(struct config_reader *reader, const struct config_node *node,
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
    return 0;
}

static int read_rule(struct config_reader *reader, const struct config_node *node,
                     struct rule *rule)
{
    static const struct config_field table[] = {
        {.name = "name", .read = read_rule_name, .need = CONFIG_REQUIRED},
        {.name = "action", .read = read_rule_action},
        {.name = "hosts", .read = read_rule_hosts, .need = CONFIG_REQUIRED},
        {.name = "ports", .read = read_rule_ports},
        {.name = "methods", .read = read_rule_methods},
        {.name = "paths", .read = read_rule_paths},
        {.name = "inject", .read = read_rule_inject},
    };
    static const struct config_fields fields = CONFIG_FIELDS(table, "a rule");
    int result;

    rule->line = node->line;
    result = config_read_map(reader, node, &fields, rule);
    if (node->kind != CONFIG_MAP)
        return -1;
    if (check_inject(reader, node, rule) < 0)
        result = -1;
    if (rule->ports != NULL)
        return result;
    rule->ports = config_take(reader, node, 1, sizeof *rule->ports);
    if (rule->ports == NULL)
        return -1;
    rule->ports[rule->port_count++] = (struct port_range){443, 443};
    return result;
}

int config_read_rules(struct config_reader *reader, const struct config_node *node,
                      const struct config_field *field, void *into)
{
    struct policy *policy = &((struct config *)into)->policy;
    int result = 0;

    (void)field;
    if (node->kind == CONFIG_LIST && node->count == 0)
        return 0;
    if (config_expect_list(reader, node, RULES_MAX, "rules") < 0)
        return -1;
    policy->rules = config_take(reader, node, node->count, sizeof *policy->rules);
    if (policy->rules == NULL || config_note_nodes(reader, node, &reader->rules) < 0)
        return -1;
    for (const struct config_node *at = node->first; at != NULL; at = at->next) {
        if (read_rule(reader, at, &policy->rules[policy->rule_count++]) < 0)
            result = -1;
    }
    return result;
}
