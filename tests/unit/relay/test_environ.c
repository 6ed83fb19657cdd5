/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/environ.h"

#include "test.h"

static char memory[32768];

static const char *block_text(enum profile_id profile, enum environ_format format,
                              const char *bundle)
{
    struct environ_block block = {
        .profile = profile, .port = 3128, .no_proxy = "localhost,::1", .bundle = bundle};
    struct text text;

    text_init(&text, memory, sizeof memory - 1);
    environ_write(&block, format, &text);
    assert_false(text.overflow);
    return text_str(&text);
}

/* docs/protocol.md section 8: exactly these. */
TEST(environ_of_ccr_is_the_block_of_the_protocol)
{
    CHECK_STR(block_text(PROFILE_CCR, ENVIRON_SHELL, "/b.crt"),
              "export HTTPS_PROXY='http://127.0.0.1:3128'\n"
              "export https_proxy='http://127.0.0.1:3128'\n"
              "export NO_PROXY='localhost,::1'\n"
              "export no_proxy='localhost,::1'\n"
              "export SSL_CERT_FILE='/b.crt'\n"
              "export NODE_EXTRA_CA_CERTS='/b.crt'\n"
              "export REQUESTS_CA_BUNDLE='/b.crt'\n"
              "export CURL_CA_BUNDLE='/b.crt'\n");
}

TEST(environ_quotes_for_the_shell)
{
    CHECK(strstr(block_text(PROFILE_CCR, ENVIRON_SHELL, "/it's $HOME"),
                 "SSL_CERT_FILE='/it'\\''s $HOME'\n") != NULL);
}

TEST(environ_quotes_for_dotenv)
{
    CHECK(strstr(block_text(PROFILE_CCR, ENVIRON_DOTENV, "/a\"b$c\\"),
                 "SSL_CERT_FILE=\"/a\\\"b\\$c\\\\\"\n") != NULL);
}

TEST(environ_writes_json)
{
    CHECK_STR(block_text(PROFILE_CCR, ENVIRON_JSON, "/b\"c"),
              "{\n"
              "  \"HTTPS_PROXY\": \"http://127.0.0.1:3128\",\n"
              "  \"https_proxy\": \"http://127.0.0.1:3128\",\n"
              "  \"NO_PROXY\": \"localhost,::1\",\n"
              "  \"no_proxy\": \"localhost,::1\",\n"
              "  \"SSL_CERT_FILE\": \"/b\\\"c\",\n"
              "  \"NODE_EXTRA_CA_CERTS\": \"/b\\\"c\",\n"
              "  \"REQUESTS_CA_BUNDLE\": \"/b\\\"c\",\n"
              "  \"CURL_CA_BUNDLE\": \"/b\\\"c\"\n"
              "}\n");
}

TEST(environ_of_exeat_has_every_spelling_and_never_a_directory)
{
    const char *const wanted[] = {"https_proxy=", "HTTPS_PROXY=",
                                  "grpc_proxy=",  "export http_proxy='http://127.0.0.1:3128'",
                                  "NO_PROXY=",    "GIT_SSL_CAINFO=",
                                  "PIP_CERT=",    "AWS_CA_BUNDLE=",
                                  "DENO_CERT=",   "NODE_USE_ENV_PROXY='1'"};
    const char *const unwanted[] = {
        "HTTP_PROXY=",     "all_proxy=",       "ALL_PROXY=",   "SSL_CERT_DIR",     "CLOUDSDK_PROXY",
        "YARN_HTTP_PROXY", "YARN_HTTPS_PROXY", "NODE_OPTIONS", "JAVA_TOOL_OPTIONS"};
    const char *text = block_text(PROFILE_EXEAT, ENVIRON_SHELL, "/b.crt");

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (strstr(text, wanted[i]) == NULL)
            fail_msg("%s is missing", wanted[i]);
    }
    for (size_t i = 0; i < sizeof unwanted / sizeof unwanted[0]; i++) {
        if (strstr(text, unwanted[i]) != NULL)
            fail_msg("%s is exported", unwanted[i]);
    }
}

/* Threat F5: the number of the token's descriptor is for the relay only. */
TEST(environ_merge_replaces_and_hides)
{
    char path[] = "PATH=/bin";
    char old[] = "HTTPS_PROXY=http://old:1";
    char fd[] = ENVIRON_TOKEN_FD "=7";
    char *envp[] = {path, old, fd, NULL};
    struct environ_block block = {
        .profile = PROFILE_CCR, .port = 80, .no_proxy = "x", .bundle = "/b"};
    struct pool pool;
    struct arena arena;
    char **merged;

    pool_init(&pool, 4096, 64, 0);
    arena_init(&arena, &pool, 1 << 16);
    merged = environ_merge(&block, envp, &arena);
    assert_non_null(merged);
    CHECK_STR(environ_find(merged, "PATH"), "/bin");
    CHECK_STR(environ_find(merged, "HTTPS_PROXY"), "http://127.0.0.1:80");
    CHECK(environ_find(merged, ENVIRON_TOKEN_FD) == NULL);
    merged = environ_merge(NULL, envp, &arena);
    assert_non_null(merged);
    CHECK_STR(environ_find(merged, "HTTPS_PROXY"), "http://old:1");
    CHECK(environ_find(merged, ENVIRON_TOKEN_FD) == NULL);
    arena_reset(&arena);
    pool_fini(&pool);
}

TEST_MAIN(TEST_OF(environ_of_ccr_is_the_block_of_the_protocol),
          TEST_OF(environ_quotes_for_the_shell), TEST_OF(environ_quotes_for_dotenv),
          TEST_OF(environ_writes_json),
          TEST_OF(environ_of_exeat_has_every_spelling_and_never_a_directory),
          TEST_OF(environ_merge_replaces_and_hides))
