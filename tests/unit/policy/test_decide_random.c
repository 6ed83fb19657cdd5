/* SPDX-License-Identifier: Apache-2.0 */
/*
 * E11: a million random (rule, host) pairs, decided as a slow reference does that is written from
 * the words of docs/configuration.md: labels compared one by one from the right, globs by trying
 * everything.
 */
#include "policy/decide.h"
#include "policy/match.h"

#include "test.h"

#define PAIRS     1000000
#define RULES_MAX 4
#define LIST_MAX  3

static uint64_t seed = 0x9e3779b97f4a7c15u;

static size_t pick(size_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)((seed >> 11) % below);
}

static const char *const labels[] = {"a", "b", "xa", "aa", "com", "a-b", "evil"};
static const char *const methods[] = {"GET", "POST", "get", "PUT"};
static const uint16_t ports[] = {22, 443, 444, 8443, 65535};
static const char *const literals[] = {"10.0.0.1", "10.0.0.11", "[::1]", "[::1:1]"};
static const char path_bytes[] = "/aab//";
static const char glob_bytes[] = "/a**b*a";

/* A policy whose texts live in the case: nothing is allocated. */
struct sample {
    char texts[RULES_MAX][LIST_MAX][2][64];
    struct host_pattern hosts[RULES_MAX][LIST_MAX];
    struct port_range ports[RULES_MAX][LIST_MAX];
    struct span methods[RULES_MAX][LIST_MAX];
    struct span paths[RULES_MAX][LIST_MAX];
    struct rule rules[RULES_MAX];
    struct policy policy;
};

static void random_name(char out[64])
{
    size_t count = 1 + pick(4);
    size_t len = 0;

    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(out + len, 64 - len, "%s%s", i == 0 ? "" : ".",
                                labels[pick(sizeof labels / sizeof labels[0])]);
}

static void random_bytes(char *out, const char *alphabet, size_t most)
{
    size_t len = pick(most);

    out[0] = '/';
    for (size_t i = 0; i < len; i++)
        out[1 + i] = alphabet[pick(strlen(alphabet))];
    out[1 + len] = 0;
}

static void random_pattern(struct host_pattern *pattern, char text[64])
{
    size_t kind = pick(10);

    if (kind == 0) {
        *pattern = (struct host_pattern){.kind = PATTERN_ANY};
        return;
    }
    if (kind == 1) {
        static const char *const canonical[] = {"10.0.0.1", "::1"};

        *pattern = (struct host_pattern){PATTERN_EXACT, span_text(canonical[pick(2)])};
        return;
    }
    random_name(text);
    *pattern = (struct host_pattern){kind < 6 ? PATTERN_BELOW : PATTERN_EXACT, span_text(text)};
}

static void random_rule(struct sample *sample, size_t r)
{
    struct rule *rule = &sample->rules[r];

    static const enum rule_action actions[] = {RULE_DENY,  RULE_DENY,  RULE_ALLOW, RULE_ALLOW,
                                               RULE_ALLOW, RULE_ALLOW, RULE_PASS,  RULE_TCP};

    *rule = (struct rule){.action = actions[pick(8)],
                          .schemes = 1 + (unsigned)pick(3),
                          .hosts = sample->hosts[r],
                          .host_count = 1 + pick(LIST_MAX),
                          .ports = sample->ports[r],
                          .port_count = 1 + pick(LIST_MAX),
                          .methods = sample->methods[r],
                          .method_count = pick(2) * pick(LIST_MAX + 1),
                          .paths = sample->paths[r],
                          .path_count = pick(2) * pick(LIST_MAX + 1)};
    for (size_t i = 0; i < LIST_MAX; i++) {
        uint16_t first = ports[pick(5)];
        uint16_t last = ports[pick(5)];

        random_pattern(&rule->hosts[i], sample->texts[r][i][0]);
        rule->ports[i] =
            first < last ? (struct port_range){first, last} : (struct port_range){last, first};
        rule->methods[i] = span_text(methods[pick(2)]);
        random_bytes(sample->texts[r][i][1], glob_bytes, 7);
        rule->paths[i] = span_text(sample->texts[r][i][1]);
    }
}

/* --- the reference --- */

static struct span last_label(struct span *name)
{
    struct span label = *name;

    for (size_t i = name->len; i > 0; i--) {
        if (name->ptr[i - 1] == '.') {
            label = span_from(*name, i);
            *name = span_first(*name, i - 1);
            return label;
        }
    }
    *name = span_first(*name, 0);
    return label;
}

static bool slow_host(const struct host_pattern *pattern, const struct host *host)
{
    struct span name = target_host_span(host);
    struct span wanted = pattern->name;

    if (pattern->kind == PATTERN_ANY)
        return host->kind == HOST_NAME;
    if (host->kind != HOST_NAME)
        return pattern->kind == PATTERN_EXACT && span_equal(name, wanted);
    while (wanted.len > 0) {
        if (name.len == 0 || !span_equal(last_label(&name), last_label(&wanted)))
            return false;
    }
    return (pattern->kind == PATTERN_EXACT) == (name.len == 0);
}

static bool slow_path(const char *glob, const char *path)
{
    if (glob[0] == 0)
        return path[0] == 0;
    if (glob[0] != '*')
        return path[0] == glob[0] && slow_path(glob + 1, path + 1);

    bool is_double = glob[1] == '*';
    const char *rest = glob;

    while (*rest == '*')
        rest++;
    for (;; path++) {
        if (slow_path(rest, path))
            return true;
        if (path[0] == 0 || (path[0] == '/' && !is_double))
            return false;
    }
}

static bool slow_method(const struct rule *rule, const char *method)
{
    for (size_t i = 0; i < rule->method_count; i++) {
        if (rule->action == RULE_DENY ? span_equal_nocase(rule->methods[i], span_text(method))
                                      : span_equal(rule->methods[i], span_text(method)))
            return true;
    }
    return rule->method_count == 0;
}

/* Is the rule about what goes to this host and port at all? */
static bool slow_place(const struct rule *rule, const struct host *host, uint16_t port)
{
    bool has_host = false;
    bool has_port = false;

    for (size_t i = 0; i < rule->host_count; i++)
        has_host |= slow_host(&rule->hosts[i], host);
    for (size_t i = 0; i < rule->port_count; i++)
        has_port |= rule->ports[i].first <= port && port <= rule->ports[i].last;
    return has_host && has_port;
}

static bool slow_rule(const struct rule *rule, const struct decide_query *query)
{
    const char *method = (const char *)query->method.ptr;
    bool has_path = rule->path_count == 0;
    bool has_scheme = query->scheme == RULE_HTTPS ? rule->schemes == 1 || rule->schemes == 3
                                                  : rule->schemes == 2 || rule->schemes == 3;

    for (size_t i = 0; i < rule->path_count; i++)
        has_path |= slow_path((const char *)rule->paths[i].ptr, (const char *)query->path.ptr);
    return slow_place(rule, query->host, query->port) && has_scheme && has_path &&
           slow_method(rule, method);
}

static struct decision slow_decide(const struct policy *policy, const struct decide_query *query)
{
    static const enum rule_action order[] = {RULE_DENY, RULE_ALLOW};

    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < policy->rule_count; i++) {
            const struct rule *rule = &policy->rules[i];

            if (rule->action == order[k] && slow_rule(rule, query))
                return (struct decision){order[k] == RULE_DENY ? VERDICT_DENY : VERDICT_ALLOW, rule,
                                         i};
        }
    }
    return (struct decision){VERDICT_DENY, NULL, SIZE_MAX};
}

/* Of a tunnel: the first that is no deny rule, but any deny rule that leaves nothing of it. */
static struct decision slow_connect(const struct policy *policy, const struct decide_query *query)
{
    const struct rule *opened = NULL;

    for (size_t i = policy->rule_count; i-- > 0;) {
        if (policy->rules[i].action != RULE_DENY &&
            slow_place(&policy->rules[i], query->host, query->port))
            opened = &policy->rules[i];
    }
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct rule *rule = &policy->rules[i];
        bool is_read = opened == NULL || opened->action == RULE_ALLOW;

        if (rule->action == RULE_DENY && rule->method_count + rule->path_count == 0 &&
            (rule->schemes == 3 || !is_read) && slow_place(rule, query->host, query->port))
            return (struct decision){VERDICT_DENY, rule, i};
    }
    if (opened == NULL)
        return (struct decision){VERDICT_DENY, NULL, SIZE_MAX};
    return (struct decision){VERDICT_ALLOW, opened, (size_t)(opened - policy->rules)};
}

/* --- */

static void check_same(const struct decision *fast, const struct decision *slow)
{
    CHECK_INT(fast->verdict, slow->verdict);
    CHECK(fast->rule == slow->rule);
    CHECK(fast->rule_index == slow->rule_index);
}

static struct host random_host(void)
{
    struct host host;
    struct err err;
    char name[64];

    random_name(name);
    if (pick(8) == 0)
        (void)snprintf(name, sizeof name, "%s", literals[pick(4)]);
    CHECK_INT(target_read_host(span_text(name), &host, &err), 0);
    return host;
}

/* Kinds of answers: three to requests, five to tunnels. */
#define KINDS 8

static void one_host(const struct sample *sample, size_t seen[KINDS])
{
    struct host host = random_host();
    char path[16];
    struct decide_query query = {.host = &host,
                                 .port = ports[pick(5)],
                                 .scheme = pick(2) == 0 ? RULE_HTTPS : RULE_HTTP,
                                 .method = span_text(methods[pick(4)])};
    struct decision fast;
    struct decision slow;

    random_bytes(path, path_bytes, 10);
    query.path = span_text(path);
    decide_request(&sample->policy, &query, &fast);
    slow = slow_decide(&sample->policy, &query);
    check_same(&fast, &slow);
    seen[fast.rule == NULL ? 0 : 1 + (size_t)fast.verdict]++;
    decide_connect(&sample->policy, &host, query.port, &fast);
    slow = slow_connect(&sample->policy, &query);
    check_same(&fast, &slow);
    seen[fast.rule == NULL ? 3 : 4 + (size_t)fast.rule->action]++;

    for (size_t r = 0; r < sample->policy.rule_count; r++) {
        for (size_t i = 0; i < sample->rules[r].host_count; i++)
            CHECK(match_host(&sample->rules[r].hosts[i], &host) ==
                  slow_host(&sample->rules[r].hosts[i], &host));
    }
}

TEST(a_million_random_rules_and_hosts_equal_the_reference_E11)
{
    struct sample sample;
    size_t pairs = 0;
    size_t seen[KINDS] = {0};

    while (pairs < PAIRS) {
        size_t count = 1 + pick(RULES_MAX);

        for (size_t r = 0; r < count; r++)
            random_rule(&sample, r);
        sample.policy = (struct policy){.rules = sample.rules, .rule_count = count};
        for (size_t i = 0; i < 10; i++)
            one_host(&sample, seen);
        pairs += 10 * count;
    }
    /* The samples reach every kind of answer often, or the test says little. */
    for (size_t i = 0; i < KINDS; i++)
        CHECK(seen[i] > PAIRS / 1000);
}

TEST(a_million_random_globs_and_paths_equal_the_reference)
{
    size_t hits = 0;

    for (size_t i = 0; i < PAIRS; i++) {
        char glob[16];
        char path[16];

        random_bytes(glob, glob_bytes, 10);
        random_bytes(path, path_bytes, 12);
        if (match_path(span_text(glob), span_text(path)) != slow_path(glob, path))
            print_error("glob '%s', path '%s'\n", glob, path);
        CHECK(match_path(span_text(glob), span_text(path)) == slow_path(glob, path));
        hits += slow_path(glob, path);
    }
    CHECK(hits > PAIRS / 100);
}

TEST_MAIN(TEST_OF(a_million_random_rules_and_hosts_equal_the_reference_E11),
          TEST_OF(a_million_random_globs_and_paths_equal_the_reference))
