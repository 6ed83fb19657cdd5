/* SPDX-License-Identifier: Apache-2.0 */
/* L8: every error of the configuration, with its place and what was expected there. */
#include "gateway/config.h"

#include "base/limits.h"

#include "test.h"

/* Three lines; what follows starts on line 4. */
#define LEAST "listen:\n  - address: 127.0.0.1:8443\nstate_dir: /s\n"
#define DD    LEAST "credentials: {dd: {env: DD}}\n"

static struct config config;
static struct config_errors errors;

static int read_bytes(struct span yaml)
{
    config_fini(&config);
    config_errors_init(&errors);
    return config_read(&config, yaml, "c.yaml", &errors);
}

struct wrong {
    const char *yaml;
    const char *error; /* the first */
};

static void check_wrong(const struct wrong *wrong)
{
    int result = read_bytes(span_text(wrong->yaml));
    const char *text = result < 0 ? errors.errors.items[0].text : "none";

    if (strcmp(text, wrong->error) != 0)
        print_error("in\n%s\n", wrong->yaml);
    CHECK_STR(text, wrong->error);
    CHECK_INT(result, -1);
    CHECK_INT(errors.errors.total, 1);
    CHECK(config.policy.rules == NULL && config.listens == NULL);
}

#define CHECK_ALL(cases)                                                                           \
    do {                                                                                           \
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases)[0]; i++)                              \
            check_wrong(&(cases)[i]);                                                              \
    } while (0)

TEST(what_is_not_our_yaml_is_refused)
{
    static const struct wrong cases[] = {
        {"", "c.yaml:1:1: an empty file, expected a configuration"},
        {"# nothing\n", "c.yaml:1:1: an empty file, expected a configuration"},
        {"listen: [", "c.yaml:2:1: not YAML (did not find expected node content), expected a "
                      "YAML document in UTF-8"},
        {LEAST "log: a: b\n", "c.yaml:4:7: not YAML (mapping values are not allowed in this "
                              "context), expected a YAML document in UTF-8"},
        {LEAST "log: \"\xff\"\n", "c.yaml:4:7: not YAML (invalid leading UTF-8 octet), expected a "
                                  "YAML document in UTF-8"},
        {LEAST "log: \x01\n", "c.yaml:4:6: not YAML (control characters are not allowed), "
                              "expected a YAML document in UTF-8"},
        {LEAST "---\nlog: info\n", "c.yaml:4:1: a second document (---), expected one"},
        {LEAST "log: \"a\\0b\"\n", "c.yaml:4:6: a NUL byte, expected text"},
        {LEAST "[a]: b\n", "c.yaml:4:1: a list as a key, expected a name"},
        {LEAST "{a: 1}: b\n", "c.yaml:4:1: a map as a key, expected a name"},
        {LEAST "log: info\nlog: debug\n",
         "c.yaml:5:1: key 'log' again, expected it once (it is on line 4)"},
        {"- a\n", "c.yaml:1:1: a list, expected the configuration (a map)"},
        {"hello\n", "c.yaml:1:1: 'hello', expected the configuration (a map)"},
    };

    CHECK_ALL(cases);
}

TEST(anchors_aliases_and_tags_are_refused)
{
    static const struct wrong cases[] = {
        {LEAST "log: &level info\n",
         "c.yaml:4:6: an anchor (&), expected a value: anchors are not supported"},
        {LEAST "log: *level\n",
         "c.yaml:4:6: an alias (*), expected a value: aliases are not supported"},
        {LEAST "log: !!str info\n",
         "c.yaml:4:6: a tag (!), expected a value: tags are not supported"},
        {LEAST "audit: !x {sync: 1s}\n",
         "c.yaml:4:8: a tag (!), expected a value: tags are not supported"},
        {LEAST "rules: &all []\n",
         "c.yaml:4:8: an anchor (&), expected a value: anchors are not supported"},
        {"*a\n", "c.yaml:1:1: an alias (*), expected a value: aliases are not supported"},
    };

    CHECK_ALL(cases);
}

TEST(keys_are_known_and_complete)
{
    static const struct wrong cases[] = {
        {LEAST "rule: []\n",
         "c.yaml:4:1: unknown key 'rule' in the configuration, did you mean 'rules'?"},
        {LEAST "audit: {fsync: 1s}\n",
         "c.yaml:4:9: unknown key 'fsync' in audit, did you mean 'sync'?"},
        {LEAST "audit: {colour: red}\n",
         "c.yaml:4:9: unknown key 'colour' in audit, expected one of file, sync"},
        {LEAST "<<: {log: info}\n",
         "c.yaml:4:1: unknown key '<<' in the configuration, expected one of listen, state_dir, "
         "workers, user, ca, tls, audit, origins, resolver, limits, timeouts, log, credentials, "
         "rules"},
        {LEAST "~: 1\n", "c.yaml:4:1: nothing as a key, expected a name"},
        {"state_dir: /s\n", "c.yaml:1:1: the configuration without 'listen', expected one"},
        {"listen: [{address: 127.0.0.1:1}]\n",
         "c.yaml:1:1: the configuration without 'state_dir', expected one"},
        {LEAST "rules:\n  - hosts: [a.com]\n", "c.yaml:5:5: a rule without 'name', expected one"},
        {LEAST "rules:\n  - name: a\n", "c.yaml:5:5: a rule without 'hosts', expected one"},
        {LEAST "ca: 7\n", "c.yaml:4:5: '7', expected ca (a map)"},
        {LEAST "timeouts:\n", "c.yaml:4:10: nothing, expected timeouts (a map)"},
    };

    CHECK_ALL(cases);
}

TEST(listeners_are_checked)
{
    static const struct wrong cases[] = {
        {"listen: 127.0.0.1:1\nstate_dir: /s\n",
         "c.yaml:1:9: '127.0.0.1:1', expected a list of listeners"},
        {"listen: []\nstate_dir: /s\n",
         "c.yaml:1:9: an empty list, expected at least one of listeners"},
        {"listen: [{address: localhost:1}]\nstate_dir: /s\n",
         "c.yaml:1:20: 'localhost:1', expected an address such as 127.0.0.1:8443"},
        {"listen: [{address: 127.0.0.1}]\nstate_dir: /s\n",
         "c.yaml:1:20: '127.0.0.1', expected an address such as 127.0.0.1:8443"},
        {"listen: [{}]\nstate_dir: /s\n",
         "c.yaml:1:10: a listener without 'address', expected one"},
        {"listen:\n  - address: 127.0.0.1:1\n    tls: {key: k}\nstate_dir: /s\n",
         "c.yaml:3:10: tls without 'certificate', expected one"},
        {"listen:\n  - address: 127.0.0.1:1\n    tls: {certificate: c}\nstate_dir: /s\n",
         "c.yaml:3:10: tls without 'key', expected one"},
        {"listen:\n  - address: 127.0.0.1:1\n  - address: 127.0.0.1:1\nstate_dir: /s\n",
         "c.yaml:3:14: an address again, expected it once (it is on line 2)"},
    };

    CHECK_ALL(cases);
}

TEST(numbers_durations_and_sizes_have_units_and_bounds)
{
    static const struct wrong cases[] = {
        {LEAST "workers: 0\n", "c.yaml:4:10: '0', expected a number from 1 to 64"},
        {LEAST "workers: many\n", "c.yaml:4:10: 'many', expected a number from 1 to 64"},
        {LEAST "workers: 0x4\n", "c.yaml:4:10: '0x4', expected a number from 1 to 64"},
        {LEAST "workers: [1]\n", "c.yaml:4:10: a list, expected a number"},
        {LEAST "timeouts: {auth: 5}\n",
         "c.yaml:4:18: '5', expected a duration such as 500ms, 5s, 2m or 24h"},
        {LEAST "timeouts: {auth: 1.5s}\n",
         "c.yaml:4:18: '1.5s', expected a duration such as 500ms, 5s, 2m or 24h"},
        {LEAST "timeouts: {auth: -1s}\n",
         "c.yaml:4:18: '-1s', expected a duration such as 500ms, 5s, 2m or 24h"},
        {LEAST "timeouts: {auth: 99ms}\n", "c.yaml:4:18: '99ms', expected 100ms to 24h"},
        {LEAST "timeouts: {auth: 25h}\n", "c.yaml:4:18: '25h', expected 100ms to 24h"},
        {LEAST "timeouts: {auth: 999999999999999999h}\n",
         "c.yaml:4:18: '999999999999999999h', expected a duration such as 500ms, 5s, 2m or 24h"},
        {LEAST "ca: {leaf_lifetime: 1m}\n", "c.yaml:4:21: '1m', expected 1h to 168h"},
        {LEAST "tls: {tickets: 2}\n", "c.yaml:4:16: '2', expected a number from 0 to 1"},
        {LEAST "limits: {memory: 1GB}\n",
         "c.yaml:4:18: '1GB', expected a size such as 64KiB, 16MiB or 1GiB"},
        {LEAST "limits: {memory: 64KiB}\n", "c.yaml:4:18: '64KiB', expected 1MiB to 1024GiB"},
        {LEAST "limits: {leaves_per_second: 201}\n",
         "c.yaml:4:29: '201', expected a number from 1 to 200"},
        {LEAST "limits: {tunnels: 0}\n", "c.yaml:4:19: '0', expected a number from 1 to 1000000"},
    };

    CHECK_ALL(cases);
}

TEST(limits_above_the_memory_are_refused_I6)
{
    static const struct wrong cases[] = {
        {LEAST "limits: {memory: 512MiB}\n",
         "c.yaml:4:18: a worker can take 1873 MiB (tunnels 394, origins 313, exchanges 352, "
         "buffers 328, buffers of HTTP/2 streams 256, h2_memory 128, sessions 8, leaf "
         "certificates 32, the program 64), expected at most limits.memory, which is 512 MiB"},
        {LEAST "limits: {tunnels: 20000}\n",
         "c.yaml:4:9: a worker can take 2264 MiB (tunnels 784, origins 313, exchanges 352, "
         "buffers 328, buffers of HTTP/2 streams 256, h2_memory 128, sessions 8, leaf certificates "
         "32, the program 64), expected at most limits.memory, which is 2048 MiB"},
    };

    CHECK_ALL(cases);
}

TEST(texts_are_checked)
{
    static const struct wrong cases[] = {
        {LEAST "user: Root\n", "c.yaml:4:7: 'Root', expected a user's name (a-z, 0-9, '_', '-')"},
        {LEAST "user: \"\"\n", "c.yaml:4:7: '', expected a user's name"},
        {LEAST "log: loud\n", "c.yaml:4:6: 'loud', expected error, warning, info or debug"},
        {LEAST "audit: {file: \"a\\tb\"}\n", "c.yaml:4:15: byte 0x09, expected a path"},
        {LEAST "audit: {file: }\n", "c.yaml:4:15: nothing, expected a path"},
        {LEAST "origins: {roots: []}\n",
         "c.yaml:4:18: an empty list, expected at least one of paths"},
        {LEAST "origins: {networks: [10.0.0.1/8]}\n",
         "c.yaml:4:22: '10.0.0.1/8', expected a network such as 10.0.0.0/8 (bits behind the "
         "prefix of 8)"},
        {LEAST "origins: {networks: [[]]}\n",
         "c.yaml:4:22: a list, expected a network such as 10.0.0.0/8"},
        {LEAST "resolver: {servers: [dns.test]}\n",
         "c.yaml:4:22: 'dns.test', expected a DNS server such as 9.9.9.9 or \"127.0.0.1:5353\""},
        {LEAST "resolver: {hosts: {10.0.0.1: 127.0.0.1}}\n",
         "c.yaml:4:20: '10.0.0.1', expected a host's name"},
        {LEAST "resolver: {hosts: {a.test: b.test}}\n",
         "c.yaml:4:28: 'b.test', expected an IPv4 or IPv6 address"},
        {LEAST "resolver: {hosts: [a.test]}\n",
         "c.yaml:4:19: a list, expected names and their addresses (a map)"},
    };

    CHECK_ALL(cases);
}

TEST(rules_are_checked)
{
    static const struct wrong cases[] = {
        {LEAST "rules: {name: a}\n", "c.yaml:4:8: a map, expected a list of rules"},
        {LEAST "rules: [{name: \"a b\", hosts: [a.com]}]\n",
         "c.yaml:4:16: 'a b', expected 1 to 64 of A-Z a-z 0-9 - _ ."},
        {LEAST "rules:\n  - {name: a, hosts: [a.com]}\n  - {name: a, hosts: [b.com]}\n",
         "c.yaml:6:12: rule name 'a' again, expected it once (it is on line 5)"},
        {LEAST "rules: [{name: a, action: block, hosts: [a.com]}]\n",
         "c.yaml:4:27: 'block', expected allow, deny, pass or tcp"},
        {LEAST "rules: [{name: a, hosts: [a.com], schemes: https}]\n",
         "c.yaml:4:44: 'https', expected a list of https and http"},
        {LEAST "rules: [{name: a, hosts: [a.com], schemes: [ftp]}]\n",
         "c.yaml:4:45: 'ftp', expected https or http"},
        {LEAST "rules: [{name: a, hosts: [a.com], schemes: [http, http]}]\n",
         "c.yaml:4:51: 'http' again, expected it once"},
        {LEAST "rules: [{name: a, hosts: [a.com], schemes: []}]\n",
         "c.yaml:4:44: an empty list, expected at least one of https and http"},
        {LEAST "rules: [{name: a, hosts: []}]\n",
         "c.yaml:4:26: an empty list, expected at least one of hosts"},
        {LEAST "rules: [{name: a, hosts: a.com}]\n",
         "c.yaml:4:26: 'a.com', expected a list of hosts"},
        {LEAST "rules: [{name: a, hosts: [a.*.com]}]\n",
         "c.yaml:4:27: 'a.*.com', expected a host such as api.example.com, *.example.com or * (a "
         "'*' that is neither alone nor the first label)"},
        {LEAST "rules: [{name: a, hosts: [a.com], ports: [0]}]\n",
         "c.yaml:4:43: '0', expected a port (443) or a range of ports (8443-8450)"},
        {LEAST "rules: [{name: a, hosts: [a.com], ports: [9-8]}]\n",
         "c.yaml:4:43: '9-8', expected a port (443) or a range of ports (8443-8450)"},
        {LEAST "rules: [{name: a, hosts: [a.com], ports: [\"00443\"]}]\n",
         "c.yaml:4:43: '00443', expected a port (443) or a range of ports (8443-8450)"},
        {LEAST "rules: [{name: a, hosts: [a.com], methods: [get]}]\n",
         "c.yaml:4:45: 'get', expected a method in upper case, such as GET"},
        {LEAST "rules: [{name: a, hosts: [a.com], methods: []}]\n",
         "c.yaml:4:44: an empty list, expected at least one of methods"},
        {LEAST "rules: [{name: a, hosts: [a.com], paths: [api]}]\n",
         "c.yaml:4:43: 'api', expected a path such as /v1/users or /api/** (a path that starts "
         "with neither '/' nor '**')"},
        {LEAST "rules: [{name: a, hosts: [a.com], paths: [/%7e]}]\n",
         "c.yaml:4:43: '/%7e', expected a path such as /v1/users or /api/** ('%' at 1 without two "
         "digits 0-9A-F (upper case, as paths are matched))"},
    };

    CHECK_ALL(cases);
}

TEST(what_goes_through_unread_is_not_restricted_by_what_only_a_reader_sees)
{
    static const struct wrong cases[] = {
        {LEAST "rules: [{name: a, action: pass, hosts: [a.com], methods: [GET]}]\n",
         "c.yaml:4:58: methods in a pass rule, expected it with allow only: what goes through "
         "unread has no requests that the gateway sees"},
        {LEAST "rules: [{name: a, action: pass, hosts: [a.com], paths: [/a]}]\n",
         "c.yaml:4:56: paths in a pass rule, expected it with allow only: what goes through "
         "unread has no requests that the gateway sees"},
        {LEAST "rules: [{name: a, action: pass, hosts: [a.com], schemes: [https]}]\n",
         "c.yaml:4:58: schemes in a pass rule, expected it with allow only: what goes through "
         "unread has no requests that the gateway sees"},
        {DD "rules: [{name: a, action: tcp, hosts: [a.com], ports: [1], inject: [{header: K, "
            "credential: dd}]}]\n",
         "c.yaml:5:68: inject in a tcp rule, expected it with allow only: what goes through "
         "unread has no requests that the gateway sees"},
        {LEAST "rules: [{name: a, action: tcp, hosts: [a.com]}]\n",
         "c.yaml:4:9: a tcp rule without 'ports', expected them: there is no usual port for any "
         "bytes"},
        {LEAST "rules: [{name: a, action: tcp, hosts: [\"*\"], ports: [22]}]\n",
         "c.yaml:4:39: tcp with host '*', expected named hosts: any bytes go through"},
    };

    CHECK_ALL(cases);
}

TEST(each_key_that_an_unread_rule_cannot_have_is_an_error_with_its_line)
{
    CHECK_INT(read_bytes(span_text(DD "rules:\n"
                                      "  - name: a\n"
                                      "    action: tcp\n"
                                      "    hosts: [a.com, \"*\"]\n"
                                      "    schemes: [http]\n"
                                      "    methods: [GET]\n"
                                      "    paths: [/]\n"
                                      "    inject: [{header: K, credential: dd}]\n")),
              -1);
    CHECK_INT(errors.errors.total, 6);
    CHECK(strstr(errors.errors.items[0].text, "c.yaml:6:5: a tcp rule without 'ports'") != NULL);
    CHECK(strstr(errors.errors.items[1].text, "c.yaml:8:12: tcp with host '*'") != NULL);
    CHECK(strstr(errors.errors.items[2].text, "c.yaml:9:14: schemes in a tcp rule") != NULL);
    CHECK(strstr(errors.errors.items[3].text, "c.yaml:10:14: methods in a tcp rule") != NULL);
    CHECK(strstr(errors.errors.items[4].text, "c.yaml:11:12: paths in a tcp rule") != NULL);
    CHECK(strstr(errors.errors.items[5].text, "c.yaml:12:13: inject in a tcp rule") != NULL);
}

#define INJECT(hosts, rest)                                                                        \
    DD "rules:\n  - name: a\n    hosts: [" hosts "]\n    inject:\n      - {" rest "}\n"

TEST(injections_are_checked_C5_C9)
{
    static const struct wrong cases[] = {
        {INJECT("\"*\"", "header: K, credential: dd"),
         "c.yaml:9:7: inject with host '*', expected named hosts: a credential is bound to its "
         "hosts"},
        {INJECT("10.0.0.1", "header: K, credential: dd"),
         "c.yaml:9:7: inject with the address 10.0.0.1, expected names: an address gets no "
         "credential"},
        {INJECT("a.com", "header: Content-Length, credential: dd"),
         "c.yaml:9:18: 'Content-Length', which the gateway itself sets, expected another header "
         "field"},
        {INJECT("a.com", "header: transfer_encoding, credential: dd"),
         "c.yaml:9:18: 'transfer_encoding', which the gateway itself sets, expected another "
         "header field"},
        {INJECT("a.com", "header: HOST, credential: dd"),
         "c.yaml:9:18: 'HOST', which the gateway itself sets, expected another header field"},
        {INJECT("a.com", "header: \"K: v\", credential: dd"),
         "c.yaml:9:18: no token, expected the name of a header field"},
        {INJECT("a.com", "credential: dd"),
         "c.yaml:9:9: an injection without 'header', expected one"},
        {INJECT("a.com", "header: K"),
         "c.yaml:9:9: an injection without 'credential', expected one"},
        {INJECT("a.com", "header: K, credential: ddd"),
         "c.yaml:9:33: unknown credential, did you mean 'dd'?"},
        {INJECT("a.com", "header: K, credential: other"),
         "c.yaml:9:33: unknown credential, expected a name of `credentials`"},
        {INJECT("a.com", "header: K, credential: dd, format: Bearer"),
         "c.yaml:9:45: a format with no {}, expected exactly one, such as \"Bearer {}\""},
        {INJECT("a.com", "header: K, credential: dd, format: \"{} {}\""),
         "c.yaml:9:45: a format with more than one {}, expected exactly one, such as \"Bearer "
         "{}\""},
        {INJECT("a.com", "header: K, credential: dd, format: \"a\\r\\n{}\""),
         "c.yaml:9:45: no format, expected 1 to 256 bytes of ASCII such as \"Bearer {}\""},
        {INJECT("a.com", "header: K, credential: dd, format: \" {}\""),
         "c.yaml:9:45: no format, expected 1 to 256 bytes of ASCII such as \"Bearer {}\""},
        {INJECT("a.com", "header: X-K, credential: dd}\n      - {header: x_k, credential: dd"),
         "c.yaml:10:18: header field 'x_k' again, expected it once in a rule"},
        {INJECT("a.com", "header: K, credential: dd, over_plain_http: true"),
         "c.yaml:9:54: over_plain_http in a rule without http, expected it with `schemes: [http]` "
         "or [http, https] only"},
        {INJECT("a.com", "header: K, credential: dd, over_plain_http: yes"),
         "c.yaml:9:54: neither true nor false, expected one of them"},
        {DD "rules:\n  - {name: a, action: deny, hosts: [a.com], inject: [{header: K, "
            "credential: dd}]}\n",
         "c.yaml:6:53: inject in a deny rule, expected it with allow only"},
    };

    CHECK_ALL(cases);
}

#define ADVICE                                                                                     \
    "expected {file: PATH} (mode 0600) or {env: NAME}; values do not belong into this file"

TEST(a_secret_in_the_file_is_refused_and_not_shown_D5)
{
    static const struct wrong cases[] = {
        {LEAST "credentials: {dd: s3cret}\n", "c.yaml:4:19: a literal value, " ADVICE},
        {LEAST "credentials: {dd: {value: s3cret}}\n",
         "c.yaml:4:20: an unknown key of a credential, " ADVICE},
        {LEAST "credentials: {dd: {env: s3cret}}\n",
         "c.yaml:4:25: no name of a variable (A-Z, 0-9, '_'; at most 64 bytes), " ADVICE},
        {LEAST "credentials: {dd: {file: [s3cret]}}\n", "c.yaml:4:26: no path, " ADVICE},
        {LEAST "credentials: {dd: {env: A, file: b}}\n",
         "c.yaml:4:19: neither one file nor one variable, " ADVICE},
        {LEAST "credentials: {dd: [s3cret]}\n",
         "c.yaml:4:19: neither one file nor one variable, " ADVICE},
        {LEAST "credentials: {\"s 3cret\": {env: A}}\n",
         "c.yaml:4:15: no name of a credential, expected 1 to 64 of A-Z a-z 0-9 - _ ."},
        {INJECT("a.com", "header: K, credential: dd, format: \"Bearer s3cret\""),
         "c.yaml:9:45: a format with no {}, expected exactly one, such as \"Bearer {}\""},
        {INJECT("a.com", "header: K, credential: s3cret"),
         "c.yaml:9:33: unknown credential, expected a name of `credentials`"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_wrong(&cases[i]);
        CHECK(strstr(errors.errors.items[0].text, "3cret") == NULL);
    }
}

TEST(all_errors_come_in_one_run_in_the_order_of_the_file)
{
    CHECK_INT(read_bytes(span_text("rules:\n"
                                   "  - {name: a, hosts: [..], ports: [0], colour: red}\n"
                                   "log: loud\n"
                                   "listen: [{address: nowhere}]\n"
                                   "user: Root\n")),
              -1);
    CHECK_INT(errors.errors.total, 7);
    CHECK_INT(errors.errors.count, 7);
    CHECK(strstr(errors.errors.items[0].text, "c.yaml:1:1: ") != NULL); /* no state_dir */
    CHECK(strstr(errors.errors.items[1].text, "c.yaml:2:23: '..'") != NULL);
    CHECK(strstr(errors.errors.items[2].text, "c.yaml:2:36: '0'") != NULL);
    CHECK(strstr(errors.errors.items[3].text, "c.yaml:2:40: unknown key 'colour'") != NULL);
    CHECK(strstr(errors.errors.items[4].text, "c.yaml:3:6: 'loud'") != NULL);
    CHECK(strstr(errors.errors.items[5].text, "c.yaml:4:20: 'nowhere'") != NULL);
    CHECK(strstr(errors.errors.items[6].text, "c.yaml:5:7: 'Root'") != NULL);
}

TEST(twenty_errors_are_kept_and_all_are_counted)
{
    char yaml[4096] = LEAST "workers:\nrules:\n";

    for (int i = 0; i < 40; i++)
        (void)snprintf(yaml + strlen(yaml), sizeof yaml - strlen(yaml),
                       "  - {name: r%d, hosts: [..]}\n", i);
    CHECK_INT(read_bytes(span_text(yaml)), -1);
    CHECK_INT(errors.errors.total, 41);
    CHECK_INT(errors.errors.count, CONFIG_LINE_COUNT);
    CHECK(strstr(errors.errors.items[0].text, "c.yaml:4:9: nothing, expected a number") != NULL);
    CHECK(strstr(errors.errors.items[19].text, "c.yaml:24:") != NULL);
}

TEST(bytes_of_the_file_cannot_spoil_the_terminal)
{
    CHECK_INT(read_bytes(span_text(LEAST "log: \"\\e[31m\xc3\xa9 \"\n")), -1);
    CHECK_STR(errors.errors.items[0].text,
              "c.yaml:4:6: '?[31m\?\? ', expected error, warning, info or debug");
}

TEST(depth_keys_and_size_are_bounded)
{
    static uint8_t yaml[CONFIG_FILE_MAX + 1];
    size_t len = 0;

    CHECK_INT(read_bytes(span_text(LEAST "log: [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\n")), -1);
    CHECK_STR(errors.errors.items[0].text, "c.yaml:4:21: more than 16 levels, expected fewer");

    memset(yaml, ' ', sizeof yaml);
    CHECK_INT(read_bytes(span_of(yaml, sizeof yaml)), -1);
    CHECK_STR(errors.errors.items[0].text, "c.yaml: 1048577 bytes, expected at most 1048576");

    for (int i = 0; i < 1025; i++)
        len += (size_t)snprintf((char *)yaml + len, sizeof yaml - len, "k%d: 1\n", i);
    CHECK_INT(read_bytes(span_of(yaml, len)), -1);
    CHECK_STR(errors.errors.items[0].text, "c.yaml:1025:1: more than 1024 keys, expected fewer");

    yaml[0] = '[';
    for (len = 1; len < 300000; len += 2)
        memcpy(yaml + len, "a,", 2);
    CHECK_INT(read_bytes(span_of(yaml, len)), -1);
    CHECK(strstr(errors.errors.items[0].text, "more than 100000 values") != NULL);
}

TEST(a_long_path_of_the_file_is_cut_at_its_front)
{
    char path[600];

    memset(path, 'd', sizeof path);
    memcpy(path + sizeof path - 7, "/c.yaml", 7);
    path[sizeof path - 1] = 0;
    config_fini(&config);
    config_errors_init(&errors);
    CHECK_INT(config_read(&config, span_text("a"), path, &errors), -1);
    CHECK(memcmp(errors.errors.items[0].text, "...ddd", 6) == 0);
    CHECK(strstr(errors.errors.items[0].text, "/c.yam:1:1: 'a', expected") != NULL);
}

TEST_MAIN(TEST_OF(what_is_not_our_yaml_is_refused), TEST_OF(anchors_aliases_and_tags_are_refused),
          TEST_OF(keys_are_known_and_complete), TEST_OF(listeners_are_checked),
          TEST_OF(numbers_durations_and_sizes_have_units_and_bounds),
          TEST_OF(limits_above_the_memory_are_refused_I6), TEST_OF(texts_are_checked),
          TEST_OF(rules_are_checked),
          TEST_OF(what_goes_through_unread_is_not_restricted_by_what_only_a_reader_sees),
          TEST_OF(each_key_that_an_unread_rule_cannot_have_is_an_error_with_its_line),
          TEST_OF(injections_are_checked_C5_C9),
          TEST_OF(a_secret_in_the_file_is_refused_and_not_shown_D5),
          TEST_OF(all_errors_come_in_one_run_in_the_order_of_the_file),
          TEST_OF(twenty_errors_are_kept_and_all_are_counted),
          TEST_OF(bytes_of_the_file_cannot_spoil_the_terminal),
          TEST_OF(depth_keys_and_size_are_bounded),
          TEST_OF(a_long_path_of_the_file_is_cut_at_its_front))
