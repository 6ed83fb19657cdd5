/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration means when it is right. Its errors are in test_config_errors.c. */
#include "gateway/config.h"

#include "base/text.h"
#include "os/file.h"
#include "policy/decide.h"

#include "test.h"

#define LEAST "listen: [{address: 127.0.0.1:8443}]\nstate_dir: /var/lib/exeat\n"

static struct config config;
static struct config_errors errors;

static int read_text(const char *yaml)
{
    config_fini(&config);
    config_errors_init(&errors);
    return config_read(&config, span_text(yaml), "/etc/exeat/gateway.yaml", &errors);
}

static void check_read(const char *yaml)
{
    int result = read_text(yaml);

    for (size_t i = 0; i < errors.errors.count; i++)
        print_error("%s\n", errors.errors.items[i].text);
    CHECK_INT(result, 0);
    CHECK_INT(errors.errors.total, 0);
}

static void check_address(const struct address *address, const char *expected)
{
    char memory[80];
    struct text out;

    text_init(&out, memory, sizeof memory);
    socket_write_address(&out, address);
    CHECK_STR(text_str(&out), expected);
}

static const char full[] =
    "listen:\n"
    "  - address: 127.0.0.1:8443\n"
    "    tls: {certificate: gateway.crt, key: /keys/gateway.key}\n"
    "  - address: \"[::1]:80\"\n"
    "state_dir: state\n"
    "workers: 3\n"
    "user: exeat\n"
    "ca: {certificate: my.crt, key: my.key, leaf_lifetime: 2h}\n"
    "tls: {tickets: 0}\n"
    "audit: {file: /log/audit.log, sync: 250ms}\n"
    "origins:\n"
    "  roots: [one.pem, /two.pem]\n"
    "  networks: [127.0.0.0/8, \"fd00::/8\"]\n"
    "resolver:\n"
    "  servers: [9.9.9.9, \"127.0.0.1:5353\", \"::1\"]\n"
    "  hosts: {Origin.test.: 127.0.0.1, two.test: [127.0.0.2, \"::1\"]}\n"
    "limits: {tunnels: 100, tunnels_per_tenant: 60, tunnels_per_session: 50, joining: 20,\n"
    "         sessions: 10, exchanges: 200, exchanges_per_tenant: 150,\n"
    "         exchanges_per_session: 70, origins: 110, origins_per_tenant: 90,\n"
    "         origins_per_session: 80, origins_per_host: 7, origins_idle: 0, buffers: 64, "
    "buffers_per_tenant: 40,\n"
    "         buffers_per_session: 30, leaves_per_second: 9, h2_memory: 2MiB, memory: 128MiB}\n"
    "timeouts: {handshake: 1s, auth: 2s, hello: 3s, peek: 4s, mint: 5s, inspect_handshake: 6s,\n"
    "           idle: 7m, head: 8s, resolve: 9s, connect: 10s, origin_handshake: 11s,\n"
    "           origin_idle: 12s, forward_idle: 1h, body_window: 3m, body_rate: 2KiB, stall: 9s, "
    "drain: 500ms}\n"
    "log: debug\n"
    "rules:\n"
    "  - name: datadog\n"
    "    hosts: [api.datadoghq.com, \"*.datadoghq.eu\"]\n"
    "    ports: [443, 8443-8450]\n"
    "    methods: [GET, POST]\n"
    "    paths: [\"/api/**\"]\n"
    "    inject:\n"
    "      - header: DD-API-KEY\n"
    "        credential: datadog\n"
    "      - header: Authorization\n"
    "        credential: github\n"
    "        format: \"Bearer {}!\"\n"
    "  - name: no-admin\n"
    "    action: deny\n"
    "    hosts: [\"*\"]\n"
    "    paths: [\"/admin/**\"]\n"
    "credentials:\n"
    "  datadog: {file: secrets/datadog}\n"
    "  github: {env: GITHUB_TOKEN}\n";

TEST(every_key_lands_in_its_place)
{
    check_read(full);
    CHECK_INT(errors.warnings.total, 0);
    CHECK_STR(config.path, "/etc/exeat/gateway.yaml");
    CHECK_INT(config.listen_count, 2);
    check_address(&config.listens[0].address, "127.0.0.1:8443");
    check_address(&config.listens[1].address, "[::1]:80");
    CHECK_INT(config.listens[1].line, 4);
    CHECK_INT(config.workers, 3);
    CHECK_STR(config.user, "exeat");
    CHECK_INT(config.ca.leaf_lifetime_ms, 7200000);
    CHECK_INT(config.audit.sync_ms, 250);
    CHECK_INT(config.log, LOG_DEBUG);
    CHECK_STR(config.resolver.servers, "9.9.9.9:53,127.0.0.1:5353,[::1]:53");
    CHECK_INT(config.resolver.host_count, 3);
    CHECK_SPAN(config.resolver.hosts[0].name, "origin.test");
    CHECK_SPAN(config.resolver.hosts[2].name, "two.test");
    CHECK_INT(config.policy.network_count, 2);
    CHECK_INT(config.policy.networks[0].prefix, 104);
    CHECK_INT(config.policy.networks[1].prefix, 8);
}

TEST(paths_are_relative_to_the_file_and_end_with_a_nul)
{
    check_read(full);
    CHECK_STR(config.state_dir, "/etc/exeat/state");
    CHECK_STR(config.listens[0].certificate, "/etc/exeat/gateway.crt");
    CHECK_STR(config.listens[0].key, "/keys/gateway.key");
    CHECK(config.listens[1].certificate == NULL);
    CHECK(config.listens[1].key == NULL);
    CHECK_STR(config.ca.certificate, "/etc/exeat/my.crt");
    CHECK_STR(config.ca.key, "/etc/exeat/my.key");
    CHECK_STR(config.audit.file, "/log/audit.log");
    CHECK_INT(config.root_count, 2);
    CHECK_STR(config.roots[0], "/etc/exeat/one.pem");
    CHECK_STR(config.roots[1], "/two.pem");
    CHECK_STR((const char *)config.policy.credentials[0].file.ptr, "/etc/exeat/secrets/datadog");
    CHECK_INT(config.policy.credentials[0].env.len, 0);
    CHECK_STR((const char *)config.policy.credentials[1].env.ptr, "GITHUB_TOKEN");
    CHECK_INT(config.policy.credentials[1].file.len, 0);
}

TEST(a_file_without_a_directory_leaves_paths_as_they_are)
{
    config_fini(&config);
    config_errors_init(&errors);
    CHECK_INT(config_read(&config, span_text("listen: [{address: 127.0.0.1:1}]\nstate_dir: s\n"),
                          "gateway.yaml", &errors),
              0);
    CHECK_STR(config.state_dir, "s");
    CHECK_STR(config.ca.key, "s/ca.key");
}

TEST(limits_and_timeouts_are_typed)
{
    const struct config_timeouts *t = &config.timeouts;

    check_read(full);
    CHECK_INT(config.tls.tickets, 0);
    CHECK_INT(config.limits.tunnels, 100);
    CHECK(config.limits.tunnels_per_tenant == 60 && config.limits.tunnels_per_session == 50);
    CHECK_INT(config.limits.joining, 20);
    CHECK(config.limits.exchanges == 200 && config.limits.exchanges_per_tenant == 150 &&
          config.limits.exchanges_per_session == 70);
    CHECK(config.limits.origins == 110 && config.limits.origins_per_tenant == 90 &&
          config.limits.origins_per_session == 80 && config.limits.origins_per_host == 7);
    CHECK(config.limits.buffers_per_tenant == 40 && config.limits.buffers_per_session == 30);
    CHECK(config.limits.h2_memory == 2 << 20 && config.limits.leaves_per_second == 9);
    CHECK(config.limits.sessions == 10 && config.limits.origins_idle == 0);
    CHECK_INT(config.limits.buffers, 64);
    CHECK_INT(config.limits.memory, 128 << 20);
    CHECK_INT(t->handshake_ms, 1000);
    CHECK_INT(t->auth_ms, 2000);
    CHECK_INT(t->hello_ms, 3000);
    CHECK(t->peek_ms == 4000 && t->mint_ms == 5000 && t->inspect_handshake_ms == 6000);
    CHECK_INT(t->idle_ms, 420000);
    CHECK_INT(t->head_ms, 8000);
    CHECK_INT(t->resolve_ms, 9000);
    CHECK_INT(t->connect_ms, 10000);
    CHECK_INT(t->origin_handshake_ms, 11000);
    CHECK_INT(t->origin_idle_ms, 12000);
    CHECK_INT(t->forward_ms, 3600000);
    CHECK(t->body_window_ms == 180000 && t->body_rate == 2048 && t->stall_ms == 9000);
    CHECK_INT(t->drain_ms, 500);
}

TEST(rules_become_a_policy)
{
    const struct rule *rule;

    check_read(full);
    CHECK_INT(config.policy.rule_count, 2);
    CHECK_INT(config.policy.generation, config.generation);
    rule = &config.policy.rules[0];
    CHECK_SPAN(rule->name, "datadog");
    CHECK_INT(rule->line, 27);
    CHECK_INT(rule->action, RULE_ALLOW);
    CHECK_INT(rule->host_count, 2);
    CHECK_INT(rule->hosts[1].kind, PATTERN_BELOW);
    CHECK_SPAN(rule->hosts[1].name, "datadoghq.eu");
    CHECK_INT(rule->port_count, 2);
    CHECK_INT(rule->ports[1].first, 8443);
    CHECK_INT(rule->ports[1].last, 8450);
    CHECK_SPAN(rule->methods[1], "POST");
    CHECK_SPAN(rule->paths[0], "/api/**");
    CHECK_INT(rule->injection_count, 2);
    CHECK_SPAN(rule->injections[0].header, "dd-api-key");
    CHECK_INT(rule->injections[0].before.len, 0);
    CHECK_INT(rule->injections[0].after.len, 0);
    CHECK_INT(rule->injections[0].credential, 0);
    CHECK_SPAN(rule->injections[1].before, "Bearer ");
    CHECK_SPAN(rule->injections[1].after, "!");
    CHECK_INT(rule->injections[1].credential, 1);
    CHECK_INT(config.policy.rules[1].action, RULE_DENY);
}

#define RULES "rules:\n  - {name: a, hosts: [a.com]"

static void check_rule(const char *yaml, unsigned schemes, uint16_t port, uint16_t other_port)
{
    const struct rule *rule;

    check_read(yaml);
    rule = &config.policy.rules[0];
    CHECK_INT(rule->schemes, schemes);
    CHECK_INT(rule->port_count, other_port == 0 ? 1 : 2);
    CHECK_INT(rule->ports[0].first, port);
    CHECK_INT(rule->ports[0].last, port);
    if (other_port != 0) {
        CHECK_INT(rule->ports[1].first, other_port);
        CHECK_INT(rule->ports[1].last, other_port);
    }
}

TEST(schemes_say_which_ports_are_meant)
{
    check_rule(LEAST RULES "}\n", RULE_HTTPS, 443, 0);
    check_rule(LEAST RULES ", schemes: [https]}\n", RULE_HTTPS, 443, 0);
    check_rule(LEAST RULES ", schemes: [http]}\n", RULE_HTTP, 80, 0);
    check_rule(LEAST RULES ", schemes: [http, https]}\n", RULE_SCHEMES, 443, 80);
    check_rule(LEAST RULES ", schemes: [http], ports: [8080]}\n", RULE_HTTP, 8080, 0);
    check_rule(LEAST RULES ", action: deny}\n", RULE_SCHEMES, 443, 80);
    check_rule(LEAST RULES ", action: deny, schemes: [http]}\n", RULE_HTTP, 80, 0);
    check_rule(LEAST RULES ", action: pass}\n", 0, 443, 0);
    check_rule(LEAST RULES ", action: tcp, ports: [22]}\n", 0, 22, 0);
}

TEST(a_rule_has_one_of_four_actions)
{
    check_read(LEAST "rules:\n"
                     "  - {name: a, hosts: [a.com], action: allow}\n"
                     "  - {name: b, hosts: [b.com], action: deny}\n"
                     "  - {name: c, hosts: [c.com, \"*\"], action: pass}\n"
                     "  - {name: d, hosts: [d.com, 10.0.0.1], action: tcp, ports: [22, 5432]}\n");
    CHECK_INT(config.policy.rules[0].action, RULE_ALLOW);
    CHECK_INT(config.policy.rules[1].action, RULE_DENY);
    CHECK_INT(config.policy.rules[2].action, RULE_PASS);
    CHECK_INT(config.policy.rules[3].action, RULE_TCP);
}

TEST(the_policy_of_the_file_decides)
{
    struct host host;
    struct decide_query query = {&host, 443, RULE_HTTPS, span_text("GET"), span_text("/api/v1")};
    struct decision decision;
    struct err err;

    check_read(full);
    CHECK_INT(target_read_host(span_text("api.datadoghq.com"), &host, &err), 0);
    decide_request(&config.policy, &query, &decision);
    CHECK_INT(decision.verdict, VERDICT_ALLOW);
    CHECK(decide_credential(&config.policy, 0, &query, 1));
    query.path = span_text("/admin/x");
    decide_request(&config.policy, &query, &decision);
    CHECK_INT(decision.verdict, VERDICT_DENY);
    CHECK_SPAN(decision.rule->name, "no-admin");
}

TEST(what_the_file_does_not_say_has_a_default)
{
    check_read(LEAST "rules: []\n");
    CHECK_INT(config.workers, 0);
    CHECK(config.user == NULL);
    CHECK_STR(config.ca.certificate, "/var/lib/exeat/ca.crt");
    CHECK_STR(config.ca.key, "/var/lib/exeat/ca.key");
    CHECK_INT(config.ca.leaf_lifetime_ms, 86400000);
    CHECK_STR(config.audit.file, "/var/lib/exeat/audit.log");
    CHECK_INT(config.audit.sync_ms, 1000);
    CHECK_INT(config.root_count, 1);
    CHECK_STR(config.roots[0], "/etc/ssl/certs/ca-certificates.crt");
    CHECK(config.resolver.servers == NULL);
    CHECK_INT(config.log, LOG_INFO);
    CHECK_INT(config.tls.tickets, 1);
    CHECK_INT(config.limits.tunnels, 10000);
    CHECK_INT(config.limits.tunnels_per_session, 512);
    CHECK_INT(config.limits.sessions, 1000);
    CHECK_INT(config.limits.origins_idle, 1024);
    CHECK_INT(config.limits.buffers, 4096);
    CHECK_INT(config.limits.memory, UINT64_C(2) << 30);
    CHECK_INT(config.timeouts.handshake_ms, 5000);
    CHECK_INT(config.timeouts.auth_ms, 5000);
    CHECK_INT(config.timeouts.idle_ms, 120000);
    CHECK_INT(config.timeouts.forward_ms, 300000);
    CHECK_INT(config.timeouts.drain_ms, 30000);
    CHECK_INT(config.policy.rule_count, 0);
}

TEST(one_root_needs_no_list)
{
    check_read(LEAST "origins: {roots: /etc/roots.pem}\n");
    CHECK_INT(config.root_count, 1);
    CHECK_STR(config.roots[0], "/etc/roots.pem");
}

TEST(the_default_limits_fit_into_the_default_memory)
{
    check_read(LEAST);
    CHECK(config_memory_worst(&config) <= config.limits.memory);
}

TEST(the_worst_memory_is_the_sum_of_its_parts_I6)
{
    struct config_memory_part parts[CONFIG_MEMORY_COUNT];
    uint64_t sum = 0;
    uint64_t worst;

    check_read(LEAST "limits: {buffers: 400, h2_memory: 3MiB}\n");
    config_memory_parts(&config, parts);
    for (size_t i = 0; i < CONFIG_MEMORY_COUNT; i++) {
        CHECK(parts[i].words != NULL && parts[i].count > 0 && parts[i].each > 0);
        sum += parts[i].count * parts[i].each;
    }
    worst = config_memory_worst(&config);
    CHECK_INT(worst, sum);
    CHECK_INT(parts[CONFIG_MEMORY_BUFFERS].count * parts[CONFIG_MEMORY_BUFFERS].each,
              400 * LIMIT_BLOCK);
    CHECK_INT(parts[CONFIG_MEMORY_CONTENTS].count * parts[CONFIG_MEMORY_CONTENTS].each,
              100 * LIMIT_STREAM_WINDOW);
    config_fini(&config);
    check_read(LEAST "limits: {buffers: 400, h2_memory: 4MiB}\n");
    CHECK_INT(config_memory_worst(&config), worst + (1 << 20));
}

TEST(a_tenant_gets_half_and_a_session_an_eighth_K2)
{
    check_read(LEAST "limits: {tunnels: 31, exchanges: 1, origins: 20, buffers: 2000}\n");
    CHECK_INT(config.limits.tunnels_per_tenant, 15);
    CHECK_INT(config.limits.exchanges_per_tenant, 1);
    CHECK_INT(config.limits.origins_per_tenant, 10);
    CHECK_INT(config.limits.buffers_per_tenant, 1000);
    CHECK_INT(config.limits.buffers_per_session, 250);
    config_fini(&config);
    check_read(LEAST "limits: {buffers: 200}\n");
    CHECK(config.limits.buffers_per_tenant == 128 && config.limits.buffers_per_session == 128);
}

/* sha256sum: the same bytes are the same generation in every process, other bytes another. */
TEST(the_generation_is_of_the_bytes)
{
    uint64_t first;

    check_read(LEAST);
    first = config.generation;
    check_read(LEAST);
    CHECK(config.generation == first);
    check_read(LEAST "\n");
    CHECK(config.generation != first);
}

static void check_warning(const char *yaml, const char *expected)
{
    CHECK_INT(read_text(yaml), 0);
    CHECK_INT(errors.warnings.total, 1);
    CHECK_STR(errors.warnings.items[0].text, expected);
}

#define RULE(name, rest) "  - {name: " name ", hosts: [a.com, \"*.b.com\"]" rest "}\n"

TEST(warnings_say_what_is_surely_not_meant)
{
    check_warning(LEAST, "/etc/exeat/gateway.yaml: warning: no rules: everything is denied");
    check_warning(LEAST "credentials: {unused: {env: X}}\nrules:\n" RULE("one", ""),
                  "/etc/exeat/gateway.yaml:3:15: warning: credential 'unused' is used by no rule");
    check_warning(LEAST "rules:\n" RULE("one", "") RULE("two", ", action: deny"),
                  "/etc/exeat/gateway.yaml:4:5: warning: rule 'one' never decides: deny rule "
                  "'two' on line 5 matches all of it");
    check_warning(LEAST "rules:\n" RULE("one", "") RULE("two", ", methods: [GET]"),
                  "/etc/exeat/gateway.yaml:5:5: warning: rule 'two' never decides: allow rule "
                  "'one' on line 4 matches all of it");
    check_warning(LEAST "rules:\n"
                        "  - {name: one, hosts: [x.com], paths: [/a, /b], methods: [GET]}\n"
                        "  - {name: two, hosts: [\"*\"], paths: [/b, /c, /a], action: deny}\n",
                  "/etc/exeat/gateway.yaml:4:5: warning: rule 'one' never decides: deny rule "
                  "'two' on line 5 matches all of it");
}

#define SHADOW(line, name, action, other, other_line)                                              \
    "/etc/exeat/gateway.yaml:" line ":5: warning: rule '" name "' never decides: " action          \
    " rule '" other "' on line " other_line " matches all of it"

TEST(a_tunnel_is_carried_as_the_first_rule_says_and_others_are_warned_about)
{
    check_warning(LEAST "rules:\n" RULE("one", ", action: pass") RULE("two", ""),
                  SHADOW("5", "two", "pass", "one", "4"));
    check_warning(LEAST "rules:\n" RULE("one", ", methods: [GET]") RULE("two", ", action: pass"),
                  SHADOW("5", "two", "allow", "one", "4"));
    check_warning(LEAST "rules:\n" RULE("one", ", action: tcp, ports: [443]")
                      RULE("two", ", action: pass"),
                  SHADOW("5", "two", "tcp", "one", "4"));
    check_warning(LEAST "rules:\n" RULE("one", ", action: pass")
                      RULE("two", ", action: deny, schemes: [https]"),
                  SHADOW("4", "one", "deny", "two", "5"));
}

TEST(a_credential_over_plain_http_is_always_warned_about)
{
    check_warning(LEAST "credentials: {k: {env: K}, l: {env: L}}\n"
                        "rules:\n"
                        "  - name: a\n"
                        "    hosts: [a.com]\n"
                        "    schemes: [http, https]\n"
                        "    inject:\n"
                        "      - {header: l, credential: l, over_plain_http: false}\n"
                        "      - {header: k, credential: k, over_plain_http: true}\n",
                  "/etc/exeat/gateway.yaml:10:9: warning: rule 'a' sends a credential over plain "
                  "http, where anybody on the way can read it");
    CHECK_INT(config.policy.rules[0].injections[0].over_plain_http, 0);
    CHECK_INT(config.policy.rules[0].injections[1].over_plain_http, 1);
}

TEST(rules_that_decide_something_have_no_warning)
{
    check_read(LEAST "rules:\n" RULE("one", ", schemes: [http]") RULE("two", ", ports: [80]"));
    CHECK_INT(errors.warnings.total, 0);
    check_read(LEAST "rules:\n" RULE("one", "") RULE("two", ", action: deny, schemes: [http]"));
    CHECK_INT(errors.warnings.total, 0);
    check_read(LEAST "rules:\n" RULE("one", ", action: pass")
                   RULE("two", ", action: deny, paths: [\"**\"]"));
    CHECK_INT(errors.warnings.total, 0);
    check_read(LEAST "rules:\n" RULE("one", ", action: pass") RULE("two", ", ports: [443, 444]"));
    CHECK_INT(errors.warnings.total, 0);
    check_read(LEAST "rules:\n" RULE("one", ", methods: [GET]") RULE("two", ""));
    CHECK_INT(errors.warnings.total, 0);
    check_read(LEAST "rules:\n" RULE("one", "") RULE("two", ", action: deny, paths: [/x]"));
    CHECK_INT(errors.warnings.total, 0);
    check_read(LEAST "rules:\n" RULE("one", "") RULE("two", ", ports: [443, 8443]"));
    CHECK_INT(errors.warnings.total, 0);
    check_read(LEAST "rules:\n"
                     "  - {name: one, hosts: [10.0.0.1]}\n"
                     "  - {name: two, hosts: [\"*\"], action: deny}\n");
    CHECK_INT(errors.warnings.total, 0);
}

TEST(the_example_is_right)
{
    struct room yaml;
    struct err err;

    CHECK_INT(file_read(EXAMPLE, CONFIG_FILE_MAX, &yaml, &err), 0);
    config_fini(&config);
    config_errors_init(&errors);
    CHECK_INT(config_read(&config, span_of_room(yaml), EXAMPLE, &errors), 0);
    CHECK_INT(errors.warnings.total, 0);
    CHECK_INT(config.policy.rule_count, 6);
    file_free(&yaml);
}

TEST(nothing_is_left_after_the_end)
{
    check_read(full);
    config_fini(&config);
    CHECK(config.policy.rules == NULL);
    config_fini(&config);
}

static int teardown(void **state)
{
    (void)state;
    config_fini(&config);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(every_key_lands_in_its_place),
        TEST_OF(paths_are_relative_to_the_file_and_end_with_a_nul),
        TEST_OF(a_file_without_a_directory_leaves_paths_as_they_are),
        TEST_OF(limits_and_timeouts_are_typed),
        TEST_OF(rules_become_a_policy),
        TEST_OF(schemes_say_which_ports_are_meant),
        TEST_OF(a_rule_has_one_of_four_actions),
        TEST_OF(the_policy_of_the_file_decides),
        TEST_OF(what_the_file_does_not_say_has_a_default),
        TEST_OF(one_root_needs_no_list),
        TEST_OF(the_default_limits_fit_into_the_default_memory),
        TEST_OF(the_worst_memory_is_the_sum_of_its_parts_I6),
        TEST_OF(a_tenant_gets_half_and_a_session_an_eighth_K2),
        TEST_OF(the_generation_is_of_the_bytes),
        TEST_OF(warnings_say_what_is_surely_not_meant),
        TEST_OF(a_tunnel_is_carried_as_the_first_rule_says_and_others_are_warned_about),
        TEST_OF(a_credential_over_plain_http_is_always_warned_about),
        TEST_OF(rules_that_decide_something_have_no_warning),
        TEST_OF(the_example_is_right),
        TEST_OF(nothing_is_left_after_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
