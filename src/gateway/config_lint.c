/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration may say and surely does not mean. */
#include "gateway/config_section.h"
#include "policy/match.h"

/* Comparisons of patterns for the whole file: a huge policy is not looked at to its end. */
#define WORK_MAX 4000000

struct lint {
    struct config_reader *reader;
    size_t work;
};

static bool covers_hosts(struct lint *lint, const struct rule *wide, const struct rule *narrow)
{
    for (size_t i = 0; i < narrow->host_count; i++) {
        bool is_covered = false;

        for (size_t j = 0; j < wide->host_count && !is_covered && lint->work > 0; j++) {
            is_covered = match_covers(&wide->hosts[j], &narrow->hosts[i]);
            lint->work--;
        }
        if (!is_covered)
            return false;
    }
    return true;
}

static bool covers_ports(const struct rule *wide, const struct rule *narrow)
{
    for (size_t i = 0; i < narrow->port_count; i++) {
        bool is_covered = false;

        for (size_t j = 0; j < wide->port_count; j++)
            is_covered |= wide->ports[j].first <= narrow->ports[i].first &&
                          wide->ports[j].last >= narrow->ports[i].last;
        if (!is_covered)
            return false;
    }
    return true;
}

static bool has_text(const struct span *texts, size_t count, struct span text)
{
    for (size_t i = 0; i < count; i++) {
        if (span_equal(texts[i], text))
            return true;
    }
    return false;
}

/* Whether `texts` has all that the rule restricts itself to; no restriction is all there is. */
static bool covers_texts(const struct span *wide, size_t wide_count, const struct span *narrow,
                         size_t narrow_count)
{
    if (wide_count == 0)
        return true;
    for (size_t i = 0; i < narrow_count; i++) {
        if (!has_text(wide, wide_count, narrow[i]))
            return false;
    }
    return narrow_count > 0;
}

static bool covers_paths(const struct rule *wide, const struct rule *narrow)
{
    if (has_text(wide->paths, wide->path_count, span_text("**")))
        return true;
    return covers_texts(wide->paths, wide->path_count, narrow->paths, narrow->path_count);
}

static bool is_unread(const struct rule *rule)
{
    return rule->action == RULE_PASS || rule->action == RULE_TCP;
}

static bool covers(struct lint *lint, const struct rule *wide, const struct rule *narrow)
{
    /* The tunnel is opened or not: no request is asked for later. */
    if (is_unread(narrow) && wide->action == RULE_DENY &&
        (wide->method_count > 0 || wide->path_count > 0))
        return false;
    if (is_unread(wide) || is_unread(narrow))
        return covers_ports(wide, narrow) && covers_hosts(lint, wide, narrow);
    return (narrow->schemes & ~wide->schemes) == 0 && covers_ports(wide, narrow) &&
           covers_texts(wide->methods, wide->method_count, narrow->methods, narrow->method_count) &&
           covers_paths(wide, narrow) && covers_hosts(lint, wide, narrow);
}

/* Does `first` decide whatever `rule` matches? Deny rules do so wherever they stand. */
static bool is_shadow(struct lint *lint, const struct rule *first, const struct rule *rule)
{
    if (first == rule || (first->action != RULE_DENY && rule->action == RULE_DENY))
        return false;
    if ((first->action != RULE_DENY || rule->action == RULE_DENY) && first > rule)
        return false;
    return covers(lint, first, rule);
}

static void check_rule(struct lint *lint, size_t index)
{
    struct config_reader *reader = lint->reader;
    const struct policy *policy = &reader->config->policy;
    const struct rule *rule = &policy->rules[index];

    for (size_t i = 0; i < policy->rule_count && lint->work > 0; i++) {
        const struct rule *first = &policy->rules[i];

        if (lint->work > 0)
            lint->work--;
        if (!is_shadow(lint, first, rule))
            continue;
        config_warning_add(reader->errors, reader->path, reader->rules[index]->line,
                           reader->rules[index]->column,
                           "rule '%s' never decides: %s rule '%s' on line %u matches all of it",
                           (const char *)rule->name.ptr, config_actions[first->action],
                           (const char *)first->name.ptr, first->line);
        return;
    }
}

/* A credential that anybody on the way can read: never unsaid. */
static void check_plain(struct lint *lint, size_t index)
{
    struct config_reader *reader = lint->reader;
    const struct rule *rule = &reader->config->policy.rules[index];
    const struct config_node *inject = config_tree_find(reader->rules[index], span_text("inject"));
    const struct config_node *at = inject == NULL ? NULL : inject->first;

    for (size_t i = 0; i < rule->injection_count && at != NULL; i++, at = at->next) {
        if (rule->injections[i].over_plain_http)
            config_warning_add(reader->errors, reader->path, at->line, at->column,
                               "rule '%s' sends a credential over plain http, where anybody on "
                               "the way can read it",
                               (const char *)rule->name.ptr);
    }
}

void config_lint(struct config_reader *reader)
{
    const struct policy *policy = &reader->config->policy;
    struct lint lint = {.reader = reader, .work = WORK_MAX};

    if (policy->rule_count == 0)
        config_warning_add(reader->errors, reader->path, 0, 0, "no rules: everything is denied");
    for (size_t i = 0; i < policy->credential_count; i++) {
        const struct config_node *key = reader->credentials[i]->key;

        if (!reader->is_used[i])
            config_warning_add(reader->errors, reader->path, key->line, key->column,
                               "credential '%s' is used by no rule",
                               (const char *)policy->credentials[i].name.ptr);
    }
    for (size_t i = 0; i < policy->rule_count; i++) {
        check_rule(&lint, i);
        check_plain(&lint, i);
    }
}
