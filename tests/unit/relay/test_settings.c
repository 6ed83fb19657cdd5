/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/settings.h"

#include "relay/bypass.h"
#include "test.h"

static struct settings settings;

static struct endpoint endpoint_of(const char *url)
{
    struct endpoint endpoint;
    struct err err;

    CHECK_INT(endpoint_read(&endpoint, span_text(url), &err), 0);
    return endpoint;
}

static const char *bypass_of(const char *choice, const char *url)
{
    static char memory[2048];
    struct endpoint gateway = endpoint_of(url);
    struct text text;
    struct err err;

    text_init(&text, memory, sizeof memory - 1);
    if (bypass_write(choice, &gateway, &text, &err) < 0)
        return "refused";
    return text_str(&text);
}

#define BASE                                                                                       \
    "localhost,127.0.0.1,::1,[::1],169.254.169.254,metadata.google.internal,127.0.0.0/8,"          \
    "169.254.0.0/16,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"

TEST(bypass_default_is_private_networks_and_the_gateway_in_two_spellings)
{
    CHECK_STR(bypass_of(NULL, "https://gw.example"), BASE ",gw.example,.gw.example");
    CHECK_STR(bypass_of(NULL, "http://127.0.0.1:80"), BASE);
    CHECK_STR(bypass_of(NULL, "http://192.0.2.1"), BASE ",192.0.2.1");
    CHECK_STR(bypass_of(NULL, "http://[2001:db8::1]"), BASE ",2001:db8::1,[2001:db8::1]");
}

TEST(bypass_preset_ccr_adds_the_originals_list)
{
    CHECK_STR(bypass_of("ccr", "https://gw.example"),
              BASE ",gw.example,.gw.example,anthropic.com,.anthropic.com,*.anthropic.com,"
                   "github.com,api.github.com,*.github.com,*.githubusercontent.com,"
                   "registry.npmjs.org,pypi.org,files.pythonhosted.org,index.crates.io,"
                   "proxy.golang.org");
}

TEST(bypass_list_of_the_user_replaces_and_is_lower_case)
{
    CHECK_STR(bypass_of("", "https://gw.example"), "");
    CHECK_STR(bypass_of("A.Example,.b", "https://gw.example"), "a.example,.b");
    CHECK_STR(bypass_of("a, b", "https://gw.example"), "refused");
}

TEST(endpoint_reads_scheme_host_port_and_path)
{
    struct endpoint endpoint = endpoint_of("https://GW.example:8443/base//");

    CHECK_INT(endpoint.scheme, ENDPOINT_HTTPS);
    CHECK_STR(endpoint.host.name, "gw.example");
    CHECK_INT(endpoint.port, 8443);
    CHECK_STR(endpoint.path, "/base");
    CHECK_INT(endpoint_of("http://a").port, 80);
    CHECK_STR(endpoint_of("http://a/").path, "");
}

TEST(endpoint_refuses_what_is_no_base_url)
{
    const char *const bad[] = {
        "",           "gw.example",     "ftp://a",     "http://",     "http://u@a",
        "http://a:0", "http://a:65536", "http://a/?q", "http://a/#f", "http://a/ b",
        "HTTP://a"};
    struct endpoint endpoint;
    struct err err;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (endpoint_read(&endpoint, span_text(bad[i]), &err) == 0)
            fail_msg("'%s' was taken", bad[i]);
        CHECK_INT(err.code, ERR_CONFIG);
    }
}

static struct parent_proxy proxy_of(const char *url, const char *no_proxy, const char *gateway)
{
    static char lines[2][256];
    char *envp[] = {lines[0], lines[1], NULL};
    struct endpoint at = endpoint_of(gateway);
    struct parent_proxy proxy;
    struct err err;

    (void)snprintf(lines[0], sizeof lines[0], "HTTPS_PROXY=%s", url);
    (void)snprintf(lines[1], sizeof lines[1], "NO_PROXY=%s", no_proxy);
    CHECK_INT(parent_proxy_read(&proxy, envp, &at, &err), 0);
    return proxy;
}

TEST(parent_proxy_is_read_with_basic_credentials)
{
    struct parent_proxy proxy = proxy_of("http://us%40er:pw@p.example:3128", "", "https://gw");

    CHECK_INT(proxy.is_set, 1);
    CHECK_STR(proxy.at.host.name, "p.example");
    CHECK_INT(proxy.at.port, 3128);
    CHECK_STR(proxy.basic, "Basic dXNAZXI6cHc="); /* us@er:pw */
    CHECK_INT(proxy_of("p.example:3128", "", "https://gw").at.port, 3128);
}

TEST(parent_proxy_is_not_used_for_loopback_or_no_proxy)
{
    CHECK_INT(proxy_of("http://p:1", "", "https://127.0.0.2").is_set, 0);
    CHECK_INT(proxy_of("http://p:1", "", "https://localhost").is_set, 0);
    CHECK_INT(proxy_of("http://p:1", "x, gw.example", "https://gw.example").is_set, 0);
    CHECK_INT(proxy_of("http://p:1", ".example", "https://gw.example").is_set, 0);
    CHECK_INT(proxy_of("http://p:1", "*", "https://gw.example").is_set, 0);
    CHECK_INT(proxy_of("http://p:1", "10.0.0.0/8", "https://10.1.2.3").is_set, 0);
    CHECK_INT(proxy_of("http://p:1", "gw.example", "https://evilgw.example").is_set, 1);
    CHECK_INT(proxy_of("http://p:1", "10.0.0.0/8", "https://11.1.2.3").is_set, 1);
}

TEST(parent_proxy_error_tells_no_password)
{
    char line[] = "https_proxy=https://user:hunter2@p:1";
    char *envp[] = {line, NULL};
    struct endpoint gateway = endpoint_of("https://gw");
    struct parent_proxy proxy;
    struct err err;

    CHECK_INT(parent_proxy_read(&proxy, envp, &gateway, &err), -1);
    CHECK(strstr(err.text, "hunter2") == NULL);
}

TEST(settings_take_options_before_the_environment)
{
    char url[] = "EXEAT_GATEWAY_URL=https://env.example/";
    char home[] = "HOME=/home/a";
    char cert[] = "SSL_CERT_FILE=/mine.pem";
    char *envp[] = {url, home, cert, NULL};
    struct options options = {0};
    struct err err;

    CHECK_INT(settings_read(&settings, &options, profile_at(PROFILE_EXEAT), envp, &err), 0);
    CHECK_STR(settings.gateway.host.name, "env.example");
    CHECK_STR(settings.bundle, "/home/a/.exeat/ca-bundle.crt");
    CHECK_STR(settings.user_roots[0], "/mine.pem");
    options.gateway = "http://option.example";
    options.state_dir = "/s";
    CHECK_INT(settings_read(&settings, &options, profile_at(PROFILE_EXEAT), envp, &err), 0);
    CHECK_STR(settings.gateway.host.name, "option.example");
    CHECK_STR(settings.bundle, "/s/ca-bundle.crt");
}

TEST(settings_default_gateway_is_of_the_profile)
{
    char home[] = "HOME=/home/a";
    char *envp[] = {home, NULL};
    struct options options = {0};
    struct err err;

    CHECK_INT(settings_read(&settings, &options, profile_at(PROFILE_CCR), envp, &err), 0);
    CHECK_STR(settings.gateway.host.name, "api.anthropic.com");
    CHECK_STR(settings.bundle, "/home/a/.ccr/ca-bundle.crt");
    CHECK_INT(settings_read(&settings, &options, profile_at(PROFILE_EXEAT), envp, &err), -1);
    CHECK_INT(err.code, ERR_CONFIG);
}

static const char *options_error(char *const *argv)
{
    static struct err err;
    struct options options;

    return options_read(&options, argv, &err) < 0 ? err.text : "";
}

#define ARGV(...)  ((char *const[]){(char[]){"exeat"}, __VA_ARGS__, NULL})
#define WORD(text) ((char[]){text})

TEST(options_tell_what_they_expected)
{
    CHECK_STR(options_error(ARGV(WORD("frob"))),
              "unknown command frob; expected run, relay, env or connect");
    CHECK_STR(options_error(ARGV(WORD("run"))), "run: expected a command to run");
    CHECK_STR(options_error(ARGV(WORD("run"), WORD("--port"))), "--port needs a value");
    CHECK_STR(options_error(ARGV(WORD("run"), WORD("--port=0"), WORD("x"))),
              "--port 0: expected 1 to 65535");
    CHECK_STR(options_error(ARGV(WORD("run"), WORD("--profile"), WORD("x"))),
              "--profile x: expected ccr or exeat");
    CHECK_STR(options_error(ARGV(WORD("env"), WORD("--format"), WORD("x"))),
              "--format x: expected shell, json or dotenv");
    CHECK_STR(options_error(ARGV(WORD("relay"), WORD("--log"), WORD("x"))),
              "--log x: expected error, warning, info or debug");
    CHECK_STR(options_error(ARGV(WORD("env"), WORD("--port"), WORD("1"))),
              "unknown option --port; see exeat --help");
    CHECK_STR(options_error(ARGV(WORD("relay"), WORD("x"))), "unexpected argument x");
}

TEST(options_of_run_end_at_the_command)
{
    char *const *argv = ARGV(WORD("run"), WORD("--required"), WORD("--port=80"), WORD("--"),
                             WORD("--port"), WORD("x"));
    struct options options;
    struct err err;

    CHECK_INT(options_read(&options, argv, &err), 0);
    CHECK_INT(options.is_required, 1);
    CHECK_INT(options.port, 80);
    CHECK_STR(options.program[0], "--port");
    CHECK_INT(options_read(&options, ARGV(WORD("run"), WORD("ls"), WORD("--help")), &err), 0);
    CHECK_INT(options.command, OPTIONS_RUN);
    CHECK_INT(options_read(&options, ARGV(WORD("run"), WORD("--help")), &err), 0);
    CHECK_INT(options.command, OPTIONS_HELP);
    CHECK_INT(options.help_for, OPTIONS_RUN);
}

TEST_MAIN(TEST_OF(bypass_default_is_private_networks_and_the_gateway_in_two_spellings),
          TEST_OF(bypass_preset_ccr_adds_the_originals_list),
          TEST_OF(bypass_list_of_the_user_replaces_and_is_lower_case),
          TEST_OF(endpoint_reads_scheme_host_port_and_path),
          TEST_OF(endpoint_refuses_what_is_no_base_url),
          TEST_OF(parent_proxy_is_read_with_basic_credentials),
          TEST_OF(parent_proxy_is_not_used_for_loopback_or_no_proxy),
          TEST_OF(parent_proxy_error_tells_no_password),
          TEST_OF(settings_take_options_before_the_environment),
          TEST_OF(settings_default_gateway_is_of_the_profile),
          TEST_OF(options_tell_what_they_expected), TEST_OF(options_of_run_end_at_the_command))
