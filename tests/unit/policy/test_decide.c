/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions: what is allowed, what is denied, who gets a credential. */
#include "policy/decide.h"

#include "test.h"

static struct port_range https[] = {{443, 443}};
static struct host_pattern example[] = {{PATTERN_EXACT, {(const uint8_t *)"a.com", 5}}};
static struct host_pattern below[] = {{PATTERN_BELOW, {(const uint8_t *)"a.com", 5}}};
static struct host_pattern any[] = {{PATTERN_ANY, {NULL, 0}}};
static struct host_pattern literal[] = {{PATTERN_EXACT, {(const uint8_t *)"10.0.0.1", 8}}};
static struct span get[] = {{(const uint8_t *)"GET", 3}};
static struct span post[] = {{(const uint8_t *)"POST", 4}};
static struct span api[] = {{(const uint8_t *)"/api/**", 7}};
static struct span admin[] = {{(const uint8_t *)"/api/admin/**", 13}};
static struct injection injections[] = {{.credential = 1}};
static struct credential_source credentials[2];

/* With the schemes that a configuration gives by default. */
#define RULE(verb, where)                                                                          \
    .action = (verb), .hosts = (where), .host_count = 1,                                           \
    .schemes = (verb) == RULE_DENY    ? RULE_SCHEMES                                               \
               : (verb) == RULE_ALLOW ? RULE_HTTPS                                                 \
                                      : 0
#define ON_HTTPS .ports = https, .port_count = 1

static struct host host_of(const char *text)
{
    struct host host;
    struct err err;

    CHECK_INT(target_read_host(span_text(text), &host, &err), 0);
    return host;
}

static struct policy policy_of(struct rule *rules, size_t count)
{
    return (struct policy){
        .rules = rules, .rule_count = count, .credentials = credentials, .credential_count = 2};
}

/* Index of the allow rule, -1 - index of the deny rule, -1000 if no rule matched. */
static int connect_answer(const struct policy *policy, const char *name, uint16_t port)
{
    struct host host = host_of(name);
    struct decision decision;

    decide_connect(policy, &host, port, &decision);
    if (decision.rule == NULL)
        return decision.verdict == VERDICT_DENY ? -1000 : 1000;
    CHECK(decision.rule == &policy->rules[decision.rule_index]);
    return decision.verdict == VERDICT_ALLOW ? (int)decision.rule_index
                                             : -1 - (int)decision.rule_index;
}

static int scheme_answer(const struct policy *policy, enum rule_scheme scheme, const char *name,
                         const char *method, const char *path)
{
    struct host host = host_of(name);
    const struct decide_query query = {&host, 443, scheme, span_text(method), span_text(path)};
    struct decision decision;

    decide_request(policy, &query, &decision);
    if (decision.rule == NULL)
        return decision.verdict == VERDICT_DENY ? -1000 : 1000;
    CHECK(decision.rule == &policy->rules[decision.rule_index]);
    return decision.verdict == VERDICT_ALLOW ? (int)decision.rule_index
                                             : -1 - (int)decision.rule_index;
}

static int request_answer(const struct policy *policy, const char *name, const char *method,
                          const char *path)
{
    return scheme_answer(policy, RULE_HTTPS, name, method, path);
}

TEST(an_empty_policy_denies_everything_E11)
{
    struct policy policy = policy_of(NULL, 0);

    CHECK_INT(connect_answer(&policy, "a.com", 443), -1000);
    CHECK_INT(request_answer(&policy, "a.com", "GET", "/"), -1000);
}

TEST(the_first_allow_rule_that_matches_decides)
{
    struct rule rules[] = {{RULE(RULE_ALLOW, below), ON_HTTPS},
                           {RULE(RULE_ALLOW, example), ON_HTTPS},
                           {RULE(RULE_ALLOW, any), ON_HTTPS}};
    struct policy policy = policy_of(rules, 3);

    CHECK_INT(connect_answer(&policy, "a.com", 443), 1);
    CHECK_INT(connect_answer(&policy, "x.a.com", 443), 0);
    CHECK_INT(connect_answer(&policy, "b.com", 443), 2);
    CHECK_INT(request_answer(&policy, "a.com", "GET", "/"), 1);
}

TEST(a_deny_rule_wins_wherever_it_stands_E11)
{
    struct rule rules[] = {{RULE(RULE_ALLOW, any), ON_HTTPS},
                           {RULE(RULE_ALLOW, example), ON_HTTPS},
                           {RULE(RULE_DENY, example), ON_HTTPS}};
    struct policy policy = policy_of(rules, 3);

    CHECK_INT(connect_answer(&policy, "a.com", 443), -3);
    CHECK_INT(request_answer(&policy, "a.com", "GET", "/"), -3);
    CHECK_INT(connect_answer(&policy, "b.com", 443), 0);
}

TEST(only_listed_ports_are_allowed_E10)
{
    struct port_range ports[] = {{443, 443}, {8443, 8450}};
    struct rule rules[] = {{RULE(RULE_ALLOW, any), .ports = ports, .port_count = 2}};
    struct policy policy = policy_of(rules, 1);

    CHECK_INT(connect_answer(&policy, "a.com", 443), 0);
    CHECK_INT(connect_answer(&policy, "a.com", 8443), 0);
    CHECK_INT(connect_answer(&policy, "a.com", 8450), 0);
    CHECK_INT(connect_answer(&policy, "a.com", 8451), -1000);
    CHECK_INT(connect_answer(&policy, "a.com", 8442), -1000);
    CHECK_INT(connect_answer(&policy, "a.com", 22), -1000);
}

TEST(a_tunnel_opens_where_some_request_may_go)
{
    struct rule rules[] = {{RULE(RULE_ALLOW, example), ON_HTTPS, .methods = get, .method_count = 1,
                            .paths = api, .path_count = 1},
                           {RULE(RULE_DENY, any), ON_HTTPS, .paths = admin, .path_count = 1},
                           {RULE(RULE_DENY, any), ON_HTTPS, .methods = post, .method_count = 1}};
    struct policy policy = policy_of(rules, 3);

    CHECK_INT(connect_answer(&policy, "a.com", 443), 0);
    CHECK_INT(request_answer(&policy, "a.com", "GET", "/api/x"), 0);
    CHECK_INT(request_answer(&policy, "a.com", "GET", "/api/admin/x"), -2);
    CHECK_INT(request_answer(&policy, "a.com", "GET", "/other"), -1000);
    CHECK_INT(request_answer(&policy, "a.com", "PUT", "/api/x"), -1000);
    CHECK_INT(request_answer(&policy, "a.com", "POST", "/api/x"), -3);
}

TEST(methods_are_exact_to_allow_and_of_any_case_to_deny)
{
    struct rule rules[] = {{RULE(RULE_ALLOW, any), ON_HTTPS, .methods = get, .method_count = 1},
                           {RULE(RULE_ALLOW, below), ON_HTTPS},
                           {RULE(RULE_DENY, below), ON_HTTPS, .methods = post, .method_count = 1}};
    struct policy policy = policy_of(rules, 3);

    CHECK_INT(request_answer(&policy, "b.com", "GET", "/"), 0);
    CHECK_INT(request_answer(&policy, "b.com", "get", "/"), -1000);
    CHECK_INT(request_answer(&policy, "b.com", "GETT", "/"), -1000);
    CHECK_INT(request_answer(&policy, "x.a.com", "PUT", "/"), 1);
    CHECK_INT(request_answer(&policy, "x.a.com", "pOSt", "/"), -3);
}

static bool has_credential(const struct policy *policy, size_t rule, const char *name,
                           uint16_t port, size_t credential)
{
    struct host host = host_of(name);
    const struct decide_query query = {.host = &host, .port = port, .scheme = RULE_HTTPS};

    return decide_credential(policy, rule, &query, credential);
}

TEST(a_credential_goes_to_the_hosts_of_its_rule_only_D3)
{
    struct rule rules[] = {
        {RULE(RULE_ALLOW, below), ON_HTTPS, .injections = injections, .injection_count = 1},
        {RULE(RULE_ALLOW, any), ON_HTTPS}};
    struct policy policy = policy_of(rules, 2);

    CHECK(has_credential(&policy, 0, "x.a.com", 443, 1));
    CHECK(!has_credential(&policy, 0, "a.com", 443, 1));
    CHECK(!has_credential(&policy, 0, "x.a.com", 8443, 1));
    CHECK(!has_credential(&policy, 0, "x.a.com", 443, 0));
    CHECK(!has_credential(&policy, 0, "x.a.com", 443, 2));
    CHECK(!has_credential(&policy, 1, "x.a.com", 443, 1));
    CHECK(!has_credential(&policy, 2, "x.a.com", 443, 1));
    CHECK(!has_credential(&policy, SIZE_MAX, "x.a.com", 443, 1));
}

TEST(an_address_never_gets_a_credential_C5)
{
    struct rule rules[] = {
        {RULE(RULE_ALLOW, literal), ON_HTTPS, .injections = injections, .injection_count = 1}};
    struct policy policy = policy_of(rules, 1);

    CHECK_INT(connect_answer(&policy, "10.0.0.1", 443), 0);
    CHECK(!has_credential(&policy, 0, "10.0.0.1", 443, 1));
}

TEST(a_rule_for_any_host_gives_no_credential)
{
    struct rule rules[] = {
        {RULE(RULE_ALLOW, any), ON_HTTPS, .injections = injections, .injection_count = 1}};
    struct policy policy = policy_of(rules, 1);

    CHECK_INT(connect_answer(&policy, "a.com", 443), 0);
    CHECK(!has_credential(&policy, 0, "a.com", 443, 1));
}

TEST(a_denied_host_gets_no_credential)
{
    struct rule rules[] = {
        {RULE(RULE_ALLOW, below), ON_HTTPS, .injections = injections, .injection_count = 1},
        {RULE(RULE_DENY, any), ON_HTTPS},
        {RULE(RULE_DENY, below), ON_HTTPS, .injections = injections, .injection_count = 1}};
    struct policy policy = policy_of(rules, 3);

    CHECK(!has_credential(&policy, 0, "x.a.com", 443, 1));
    CHECK(!has_credential(&policy, 2, "x.a.com", 443, 1));
}

TEST(the_first_rule_says_how_a_tunnel_is_carried)
{
    struct rule rules[] = {{RULE(RULE_PASS, example), ON_HTTPS},
                           {RULE(RULE_ALLOW, example), ON_HTTPS},
                           {RULE(RULE_ALLOW, below), ON_HTTPS},
                           {RULE(RULE_TCP, below), ON_HTTPS}};
    struct policy policy = policy_of(rules, 4);

    CHECK_INT(connect_answer(&policy, "a.com", 443), 0);
    CHECK_INT(connect_answer(&policy, "x.a.com", 443), 2);
}

TEST(a_request_in_an_inspected_tunnel_does_not_go_by_a_pass_or_tcp_rule)
{
    struct rule rules[] = {{RULE(RULE_ALLOW, example), ON_HTTPS, .methods = get, .method_count = 1},
                           {RULE(RULE_PASS, example), ON_HTTPS},
                           {RULE(RULE_TCP, example), ON_HTTPS}};
    struct policy policy = policy_of(rules, 3);

    CHECK_INT(connect_answer(&policy, "a.com", 443), 0);
    CHECK_INT(request_answer(&policy, "a.com", "GET", "/"), 0);
    CHECK_INT(request_answer(&policy, "a.com", "POST", "/"), -1000);
}

TEST(a_deny_rule_wins_over_pass_and_tcp_E11)
{
    struct rule rules[] = {{RULE(RULE_PASS, example), ON_HTTPS},
                           {RULE(RULE_TCP, below), ON_HTTPS},
                           {RULE(RULE_DENY, any), ON_HTTPS}};
    struct policy policy = policy_of(rules, 3);

    CHECK_INT(connect_answer(&policy, "a.com", 443), -3);
    CHECK_INT(connect_answer(&policy, "x.a.com", 443), -3);
    rules[2].schemes = RULE_HTTP; /* a request to deny later is never seen in these tunnels */
    CHECK_INT(connect_answer(&policy, "a.com", 443), -3);
    CHECK_INT(connect_answer(&policy, "x.a.com", 443), -3);
    rules[2].paths = admin;
    rules[2].path_count = 1;
    CHECK_INT(connect_answer(&policy, "a.com", 443), 0);
}

TEST(a_rule_is_for_its_schemes)
{
    struct rule rules[] = {{RULE(RULE_ALLOW, example), ON_HTTPS},
                           {RULE(RULE_ALLOW, any), ON_HTTPS},
                           {RULE(RULE_DENY, below), ON_HTTPS}};
    struct policy policy = policy_of(rules, 3);

    CHECK_INT(scheme_answer(&policy, RULE_HTTPS, "a.com", "GET", "/"), 0);
    CHECK_INT(scheme_answer(&policy, RULE_HTTP, "a.com", "GET", "/"), -1000);
    rules[1].schemes = RULE_HTTP;
    CHECK_INT(scheme_answer(&policy, RULE_HTTP, "a.com", "GET", "/"), 1);
    CHECK_INT(scheme_answer(&policy, RULE_HTTPS, "b.com", "GET", "/"), -1000);
    rules[1].schemes = RULE_SCHEMES;
    CHECK_INT(scheme_answer(&policy, RULE_HTTPS, "b.com", "GET", "/"), 1);
    CHECK_INT(scheme_answer(&policy, RULE_HTTP, "b.com", "GET", "/"), 1);
    CHECK_INT(scheme_answer(&policy, RULE_HTTP, "x.a.com", "GET", "/"), -3);
    CHECK_INT(connect_answer(&policy, "x.a.com", 443), -3);
    rules[2].schemes = RULE_HTTP;
    CHECK_INT(scheme_answer(&policy, RULE_HTTP, "x.a.com", "GET", "/"), -3);
    CHECK_INT(scheme_answer(&policy, RULE_HTTPS, "x.a.com", "GET", "/"), 1);
    CHECK_INT(connect_answer(&policy, "x.a.com", 443), 1); /* https may go in it */
}

TEST(a_credential_goes_over_plain_http_only_where_the_rule_says_so_twice)
{
    struct injection twice[] = {{.credential = 1}, {.credential = 0, .over_plain_http = 1}};
    struct rule rules[] = {
        {RULE(RULE_ALLOW, below), ON_HTTPS, .injections = twice, .injection_count = 2}};
    struct policy policy = policy_of(rules, 1);
    struct host host = host_of("x.a.com");
    struct decide_query query = {.host = &host, .port = 443, .scheme = RULE_HTTP};

    CHECK(!decide_credential(&policy, 0, &query, 0));
    CHECK(!decide_credential(&policy, 0, &query, 1));
    rules[0].schemes = RULE_SCHEMES;
    CHECK(decide_credential(&policy, 0, &query, 0));
    CHECK(!decide_credential(&policy, 0, &query, 1));
    query.scheme = RULE_HTTPS;
    CHECK(decide_credential(&policy, 0, &query, 0));
    CHECK(decide_credential(&policy, 0, &query, 1));
    rules[0].schemes = RULE_HTTP;
    CHECK(!decide_credential(&policy, 0, &query, 0));
}

TEST(a_host_whose_tunnels_are_not_inspected_gets_no_credential)
{
    struct rule rules[] = {
        {RULE(RULE_PASS, below), ON_HTTPS, .injections = injections, .injection_count = 1},
        {RULE(RULE_ALLOW, below), ON_HTTPS, .injections = injections, .injection_count = 1}};
    struct policy policy = policy_of(rules, 2);

    CHECK(!has_credential(&policy, 0, "x.a.com", 443, 1));
    CHECK(!has_credential(&policy, 1, "x.a.com", 443, 1));
}

TEST_MAIN(TEST_OF(an_empty_policy_denies_everything_E11),
          TEST_OF(the_first_allow_rule_that_matches_decides),
          TEST_OF(a_deny_rule_wins_wherever_it_stands_E11),
          TEST_OF(only_listed_ports_are_allowed_E10),
          TEST_OF(a_tunnel_opens_where_some_request_may_go),
          TEST_OF(methods_are_exact_to_allow_and_of_any_case_to_deny),
          TEST_OF(a_credential_goes_to_the_hosts_of_its_rule_only_D3),
          TEST_OF(an_address_never_gets_a_credential_C5),
          TEST_OF(a_rule_for_any_host_gives_no_credential),
          TEST_OF(a_denied_host_gets_no_credential),
          TEST_OF(the_first_rule_says_how_a_tunnel_is_carried),
          TEST_OF(a_request_in_an_inspected_tunnel_does_not_go_by_a_pass_or_tcp_rule),
          TEST_OF(a_deny_rule_wins_over_pass_and_tcp_E11), TEST_OF(a_rule_is_for_its_schemes),
          TEST_OF(a_credential_goes_over_plain_http_only_where_the_rule_says_so_twice),
          TEST_OF(a_host_whose_tunnels_are_not_inspected_gets_no_credential))
