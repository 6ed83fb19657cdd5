/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gates.h"

#include "test.h"

#define REMOTE_CCR  "CLAUDE_CODE_REMOTE"
#define ENABLED_CCR "CCR_UPSTREAM_PROXY_ENABLED"
#define SESSION_CCR "CLAUDE_CODE_REMOTE_SESSION_ID"

static char lines[3][96];
static char *envp[4];

/* An environment of up to three variables; NULL value: not set. */
static char *const *env_of(const struct profile *profile, const char *remote, const char *enabled,
                           const char *session)
{
    const char *names[] = {profile->remote_var, profile->enabled_var, profile->session_var};
    const char *values[] = {remote, enabled, session};
    size_t count = 0;

    for (size_t i = 0; i < 3; i++) {
        if (values[i] == NULL)
            continue;
        (void)snprintf(lines[i], sizeof lines[i], "%s=%s", names[i], values[i]);
        envp[count++] = lines[i];
    }
    envp[count] = NULL;
    return envp;
}

static enum gate failed_gate(const struct profile *profile, const char *remote, const char *enabled,
                             const char *session)
{
    struct gates gates;
    struct err err;
    int result =
        gates_check(&gates, profile, env_of(profile, remote, enabled, session), NULL, &err);

    CHECK_INT(result == 0, gates.failed == GATE_OPEN);
    return gates.failed;
}

TEST(gates_fail_in_order_in_both_profiles)
{
    for (size_t i = 0; i < PROFILE_COUNT; i++) {
        const struct profile *profile = profile_at((enum profile_id)i);

        CHECK_INT(failed_gate(profile, NULL, NULL, NULL), GATE_REMOTE);
        CHECK_INT(failed_gate(profile, "0", "1", "s"), GATE_REMOTE);
        CHECK_INT(failed_gate(profile, "1", NULL, NULL), GATE_ENABLED);
        CHECK_INT(failed_gate(profile, "1", "no", "s"), GATE_ENABLED);
        CHECK_INT(failed_gate(profile, "1", "1", NULL), GATE_SESSION);
        CHECK_INT(failed_gate(profile, "1", "1", ""), GATE_SESSION);
        CHECK_INT(failed_gate(profile, "1", "1", "a:b"), GATE_SESSION);
        CHECK_INT(failed_gate(profile, "1", "1", "a b"), GATE_SESSION);
        CHECK_INT(failed_gate(profile, "1", "1", "cse_1"), GATE_OPEN);
    }
}

TEST(gates_know_four_truthy_words_trimmed_in_any_case)
{
    const char *const yes[] = {"1", "true", "yes", "on", "TRUE", "Yes", " on ", "\t1\n"};
    const char *const no[] = {"", "0", "false", "no", "off", "2", "11", "t", "y", "enabled"};

    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        CHECK_INT(gates_is_truthy(yes[i]), 1);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        CHECK_INT(gates_is_truthy(no[i]), 0);
    CHECK_INT(gates_is_truthy(NULL), 0);
}

TEST(gates_one_and_two_are_silent_and_three_warns)
{
    const struct profile *profile = profile_at(PROFILE_CCR);
    struct gates gates;
    struct err err;

    CHECK_INT(gates_check(&gates, profile, env_of(profile, NULL, NULL, NULL), NULL, &err), -1);
    CHECK_INT(gates.level, LOG_DEBUG);
    CHECK(strstr(err.text, REMOTE_CCR) != NULL);
    CHECK_INT(gates_check(&gates, profile, env_of(profile, "1", NULL, NULL), NULL, &err), -1);
    CHECK_INT(gates.level, LOG_DEBUG);
    CHECK(strstr(err.text, ENABLED_CCR) != NULL);
    CHECK_INT(gates_check(&gates, profile, env_of(profile, "1", "1", NULL), NULL, &err), -1);
    CHECK_INT(gates.level, LOG_WARNING);
    CHECK(strstr(err.text, SESSION_CCR) != NULL);
}

TEST(gates_take_the_session_option_before_the_variable)
{
    const struct profile *profile = profile_at(PROFILE_EXEAT);
    struct gates gates;
    struct err err;

    CHECK_INT(gates_check(&gates, profile, env_of(profile, "1", "1", "old"), "new", &err), 0);
    CHECK_STR(gates.session_id, "new");
}

TEST(profile_is_the_first_whose_gate_1_variable_is_set_to_anything)
{
    char ccr[] = REMOTE_CCR "=0";
    char own[] = "EXEAT_REMOTE=1";
    char *both[] = {own, ccr, NULL};
    char *second[] = {own, NULL};
    char *none[] = {NULL};

    CHECK_INT(profile_detect(both)->id, PROFILE_CCR);
    CHECK_INT(profile_detect(second)->id, PROFILE_EXEAT);
    CHECK(profile_detect(none) == NULL);
}

TEST(gates_without_a_profile_are_closed_silently)
{
    char *none[] = {NULL};
    struct gates gates;
    struct err err;

    CHECK_INT(gates_check(&gates, NULL, none, NULL, &err), -1);
    CHECK_INT(gates.failed, GATE_PROFILE);
    CHECK_INT(gates.level, LOG_DEBUG);
}

TEST_MAIN(TEST_OF(gates_fail_in_order_in_both_profiles),
          TEST_OF(gates_know_four_truthy_words_trimmed_in_any_case),
          TEST_OF(gates_one_and_two_are_silent_and_three_warns),
          TEST_OF(gates_take_the_session_option_before_the_variable),
          TEST_OF(profile_is_the_first_whose_gate_1_variable_is_set_to_anything),
          TEST_OF(gates_without_a_profile_are_closed_silently))
