/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a configuration file: either errors that a person can read, or a configuration of
 * which everything holds that the rest of the gateway relies on.
 */
#include "gateway/config.h"
#include "policy/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_lines(const struct config_lines *lines)
{
    ENSURE(lines->count <= CONFIG_LINE_COUNT && lines->count <= lines->total);
    for (size_t i = 0; i < lines->count; i++) {
        const char *text = lines->items[i].text;

        ENSURE(memcmp(text, "f.yaml:", 7) == 0);
        for (size_t at = 0; text[at] != 0; at++)
            ENSURE(text[at] >= 0x20 && text[at] <= 0x7e);
        if (i > 0 && lines->items[i].line > 0)
            ENSURE(lines->items[i - 1].line <= lines->items[i].line);
    }
}

static void check_path(const char *path)
{
    ENSURE(path != NULL && path[0] != 0 && strlen(path) <= 4095);
}

static void check_rule(const struct policy *policy, const struct rule *rule)
{
    bool is_bound = true;
    struct err err;

    ENSURE(rule->name.len > 0 && rule->name.ptr[rule->name.len] == 0);
    ENSURE(rule->host_count > 0 && rule->port_count > 0);
    for (size_t i = 0; i < rule->host_count; i++)
        is_bound &= rule->hosts[i].kind != PATTERN_ANY && !match_is_literal(&rule->hosts[i]);
    for (size_t i = 0; i < rule->port_count; i++)
        ENSURE(rule->ports[i].first > 0 && rule->ports[i].first <= rule->ports[i].last);
    for (size_t i = 0; i < rule->method_count; i++)
        ENSURE(rule->methods[i].len > 0);
    for (size_t i = 0; i < rule->path_count; i++)
        ENSURE(match_check_glob(rule->paths[i], &err) == 0);
    ENSURE(rule->injection_count == 0 || (rule->action == RULE_ALLOW && is_bound));
    if (rule->action == RULE_PASS || rule->action == RULE_TCP)
        ENSURE(rule->schemes == 0 && rule->method_count == 0 && rule->path_count == 0);
    else
        ENSURE(rule->schemes > 0 && rule->schemes <= RULE_SCHEMES);
    for (size_t i = 0; rule->action == RULE_TCP && i < rule->host_count; i++)
        ENSURE(rule->hosts[i].kind != PATTERN_ANY);
    for (size_t i = 0; i < rule->injection_count; i++) {
        ENSURE(rule->injections[i].credential < policy->credential_count);
        ENSURE(rule->injections[i].header.len > 0);
        ENSURE(!rule->injections[i].over_plain_http || (rule->schemes & RULE_HTTP) != 0);
    }
}

static void check_config(const struct config *config)
{
    check_path(config->state_dir);
    check_path(config->ca.certificate);
    check_path(config->ca.key);
    check_path(config->audit.file);
    ENSURE(config->listen_count > 0 && config->root_count > 0 && config->workers <= 64);
    for (size_t i = 0; i < config->listen_count; i++) {
        ENSURE(config->listens[i].address.len > 0);
        ENSURE((config->listens[i].certificate == NULL) == (config->listens[i].key == NULL));
    }
    for (size_t i = 0; i < config->root_count; i++)
        check_path(config->roots[i]);
    ENSURE(config_memory_worst(config) <= config->limits.memory);
    ENSURE(config->timeouts.auth_ms >= 100 && config->timeouts.drain_ms >= 100);
    for (size_t i = 0; i < config->policy.credential_count; i++)
        ENSURE((config->policy.credentials[i].file.len == 0) !=
               (config->policy.credentials[i].env.len == 0));
    for (size_t i = 0; i < config->policy.rule_count; i++)
        check_rule(&config->policy, &config->policy.rules[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct config_errors errors;
    static struct config config;
    int result;

    config_errors_init(&errors);
    result = config_read(&config, span_of(bytes, len), "f.yaml", &errors);
    check_lines(&errors.errors);
    check_lines(&errors.warnings);
    ENSURE((result < 0) == (errors.errors.total > 0));
    if (result == 0)
        check_config(&config);
    config_fini(&config);
    return 0;
}
