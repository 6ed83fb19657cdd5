/* SPDX-License-Identifier: Apache-2.0 */
/* Options and environment become one value, checked before anything is done with it. */
#include "relay/settings.h"

#include "relay/bypass.h"

static int path_copy(char path[SETTINGS_PATH], const char *value, const char *what, struct err *err)
{
    size_t len = value == NULL ? 0 : strlen(value);

    if (len >= SETTINGS_PATH)
        return err_set(err, ERR_CONFIG, "%s: path of %zu bytes", what, len);
    if (len > 0)
        memcpy(path, value, len);
    path[len] = '\0';
    return 0;
}

int settings_read_state_dir(const struct options *options, const struct profile *profile,
                            char *const *envp, struct text *out, struct err *err)
{
    const char *value = options->state_dir;
    const char *home = environ_find(envp, "HOME");

    if (profile == NULL)
        profile = profile_at(PROFILE_EXEAT);
    if (value == NULL && profile->state_var != NULL)
        value = environ_find(envp, profile->state_var);
    if (value != NULL && value[0] != '\0') {
        text_add_str(out, value);
    } else if (home != NULL && home[0] == '/') {
        text_add_str(out, home);
        text_add_char(out, '/');
        text_add_str(out, profile->state_name);
    } else {
        return err_set(err, ERR_CONFIG, "HOME is not set: say --state-dir DIR");
    }
    return text_check(out, "path of the state directory", err);
}

static int gateway_read(struct settings *settings, const struct options *options,
                        const struct profile *profile, char *const *envp, struct err *err)
{
    const char *url = options->gateway;
    const char *where = "--gateway";
    struct err inner;

    if (url == NULL) {
        url = environ_find(envp, profile->url_var);
        where = profile->url_var;
    }
    if (url == NULL || url[0] == '\0')
        url = profile->url_default;
    if (url == NULL)
        return err_set(err, ERR_CONFIG, "no gateway: set %s or say --gateway URL",
                       profile->url_var);
    if (endpoint_read(&settings->gateway, span_trim(span_text(url)), &inner) < 0)
        return err_set(err, ERR_CONFIG, "%s: %s", where, inner.text);
    return parent_proxy_read(&settings->proxy, envp, &settings->gateway, err);
}

static int paths_read(struct settings *settings, const struct options *options,
                      const struct profile *profile, char *const *envp, struct err *err)
{
    struct text text;

    text_init(&text, settings->state_dir, sizeof settings->state_dir - 1);
    if (settings_read_state_dir(options, profile, envp, &text, err) < 0)
        return -1;
    (void)text_str(&text);
    text_init(&text, settings->bundle, sizeof settings->bundle - 1);
    text_add_str(&text, settings->state_dir);
    text_add_str(&text, "/ca-bundle.crt");
    if (text_check(&text, "path of the bundle", err) < 0)
        return -1;
    (void)text_str(&text);
    if (path_copy(settings->gateway_ca, options->gateway_ca, "--gateway-ca", err) < 0 ||
        path_copy(settings->system_roots, options->system_roots, "--system-roots", err) < 0)
        return -1;
    if (path_copy(settings->user_roots[0], environ_find(envp, "SSL_CERT_FILE"), "SSL_CERT_FILE",
                  err) < 0)
        return -1;
    return path_copy(settings->user_roots[1], environ_find(envp, "NODE_EXTRA_CA_CERTS"),
                     "NODE_EXTRA_CA_CERTS", err);
}

int settings_read(struct settings *settings, const struct options *options,
                  const struct profile *profile, char *const *envp, struct err *err)
{
    struct text text;

    *settings =
        (struct settings){.profile = profile->id, .log = options->log, .port = options->port};
    if (gateway_read(settings, options, profile, envp, err) < 0 ||
        paths_read(settings, options, profile, envp, err) < 0)
        return -1;
    text_init(&text, settings->no_proxy, sizeof settings->no_proxy - 1);
    if (bypass_write(options->no_proxy, &settings->gateway, &text, err) < 0)
        return -1;
    (void)text_str(&text);
    return 0;
}
