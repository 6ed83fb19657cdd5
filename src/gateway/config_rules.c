/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of the configuration: whom they are for and what they let through. Credentials are read by
 * config_inject.
 */
#include "base/num.h"
#include "base/text.h"
#include "gateway/config_section.h"
#include "http/token.h"
#include "policy/match.h"

#define RULES_MAX   4096
#define HOSTS_MAX   16384 /* of one rule, as the next ones */
#define PORTS_MAX   64
#define METHODS_MAX 32
#define PATHS_MAX   256
#define METHOD_MAX  32
#define SCHEMES_MAX 2

const char *const config_actions[RULE_TCP + 1] = {
    [RULE_ALLOW] = "allow", [RULE_DENY] = "deny", [RULE_PASS] = "pass", [RULE_TCP] = "tcp"};

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
    static const char expected[] = "allow, deny, pass or tcp";
    struct rule *rule = into;

    (void)field;
    if (config_expect_scalar(reader, node, expected) < 0)
        return -1;
    for (size_t i = 0; i < sizeof config_actions / sizeof config_actions[0]; i++) {
        if (span_equal(node->text, span_text(config_actions[i]))) {
            rule->action = (enum rule_action)i;
            return 0;
        }
    }
    return config_refuse(reader, node, "%s, expected %s", config_words(node).text, expected);
}

static int read_scheme(struct config_reader *reader, const struct config_node *node,
                       struct rule *rule)
{
    unsigned scheme;

    if (config_expect_scalar(reader, node, "https or http") < 0)
        return -1;
    if (span_equal(node->text, span_text("https")))
        scheme = RULE_HTTPS;
    else if (span_equal(node->text, span_text("http")))
        scheme = RULE_HTTP;
    else
        return config_refuse(reader, node, "%s, expected https or http", config_words(node).text);
    if ((rule->schemes & scheme) != 0)
        return config_refuse(reader, node, "%s again, expected it once", config_words(node).text);
    rule->schemes |= scheme;
    return 0;
}

static int read_rule_schemes(struct config_reader *reader, const struct config_node *node,
                             const struct config_field *field, void *into)
{
    struct rule *rule = into;
    int result = 0;

    (void)field;
    if (config_expect_list(reader, node, SCHEMES_MAX, "https and http") < 0)
        return -1;
    for (const struct config_node *at = node->first; at != NULL; at = at->next) {
        if (read_scheme(reader, at, rule) < 0)
            result = -1;
    }
    return result;
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

static bool is_unread(const struct rule *rule)
{
    return rule->action == RULE_PASS || rule->action == RULE_TCP;
}

/* What is not read cannot be restricted by what only a reader sees. */
static int check_unread(struct config_reader *reader, const struct config_node *node,
                        const struct rule *rule)
{
    static const char *const keys[] = {"schemes", "methods", "paths", "inject"};
    int result = 0;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct config_node *key = config_tree_find(node, span_text(keys[i]));

        if (key != NULL)
            result = config_refuse(reader, key,
                                   "%s in a %s rule, expected it with allow only: what goes "
                                   "through unread has no requests that the gateway sees",
                                   keys[i], config_actions[rule->action]);
    }
    return result;
}

/* Any bytes: only to places that somebody has named. */
static int check_tcp(struct config_reader *reader, const struct config_node *node,
                     const struct rule *rule)
{
    const struct config_node *hosts = config_tree_find(node, span_text("hosts"));
    int result = 0;

    if (config_tree_find(node, span_text("ports")) == NULL)
        result = config_refuse(reader, node,
                               "a tcp rule without 'ports', expected them: there is "
                               "no usual port for any bytes");
    for (size_t i = 0; i < rule->host_count; i++) {
        if (rule->hosts[i].kind == PATTERN_ANY)
            return config_refuse(reader, hosts,
                                 "tcp with host '*', expected named hosts: any bytes go through");
    }
    return result;
}

/* What the rule does not say itself. */
static int set_defaults(struct config_reader *reader, const struct config_node *node,
                        struct rule *rule)
{
    if (rule->schemes == 0 && rule->action == RULE_ALLOW)
        rule->schemes = RULE_HTTPS;
    if (rule->schemes == 0 && rule->action == RULE_DENY)
        rule->schemes = RULE_SCHEMES;
    if (rule->ports != NULL)
        return 0;
    rule->ports = config_take(reader, node, 2, sizeof *rule->ports);
    if (rule->ports == NULL)
        return -1;
    if (rule->schemes != RULE_HTTP)
        rule->ports[rule->port_count++] = (struct port_range){443, 443};
    if ((rule->schemes & RULE_HTTP) != 0)
        rule->ports[rule->port_count++] = (struct port_range){80, 80};
    return 0;
}

static int check_rule(struct config_reader *reader, const struct config_node *node,
                      const struct rule *rule)
{
    int result = 0;

    if (is_unread(rule))
        result = check_unread(reader, node, rule);
    else
        result = config_check_inject(reader, node, rule);
    if (rule->action == RULE_TCP && check_tcp(reader, node, rule) < 0)
        result = -1;
    return result;
}

static int read_rule(struct config_reader *reader, const struct config_node *node,
                     struct rule *rule)
{
    static const struct config_field table[] = {
        {.name = "name", .read = read_rule_name, .need = CONFIG_REQUIRED},
        {.name = "action", .read = read_rule_action},
        {.name = "hosts", .read = read_rule_hosts, .need = CONFIG_REQUIRED},
        {.name = "ports", .read = read_rule_ports},
        {.name = "schemes", .read = read_rule_schemes},
        {.name = "methods", .read = read_rule_methods},
        {.name = "paths", .read = read_rule_paths},
        {.name = "inject", .read = config_read_inject},
    };
    static const struct config_fields fields = CONFIG_FIELDS(table, "a rule");
    int result;

    rule->line = node->line;
    result = config_read_map(reader, node, &fields, rule);
    if (node->kind != CONFIG_MAP)
        return -1;
    if (set_defaults(reader, node, rule) < 0 || check_rule(reader, node, rule) < 0)
        result = -1;
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
