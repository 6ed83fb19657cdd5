/* SPDX-License-Identifier: Apache-2.0 */
/* Which files there are of the CA, and the steps from one to the next. */
#include "gateway/ca_files.h"

#include "base/secret.h"
#include "crypto/bundle.h"
#include "crypto/leaf.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

#define CA_DAYS    3650
#define CA_PEM_MAX 8192

static const char *const suffixes[] = {"", ".next", ".old"};

static int path_write(const char *base, enum ca_file which, char *path, struct err *err)
{
    struct text text;

    text_init(&text, path, CA_FILE_PATH - 1);
    text_add_str(&text, base);
    text_add_str(&text, suffixes[which]);
    if (text.overflow)
        return err_set(err, ERR_CONFIG, "ca: the path is too long");
    (void)text_str(&text);
    return 0;
}

int ca_files_certificate(const struct config_ca *ca, enum ca_file which, char path[CA_FILE_PATH],
                         struct err *err)
{
    return path_write(ca->certificate, which, path, err);
}

int ca_files_key(const struct config_ca *ca, enum ca_file which, char path[CA_FILE_PATH],
                 struct err *err)
{
    return path_write(ca->key, which, path, err);
}

int ca_files_phase(const struct config_ca *ca, enum ca_phase *phase, struct err *err)
{
    char path[CA_FILE_PATH];
    int next_certificate;
    int next_key;
    int old;

    if (ca_files_certificate(ca, CA_FILE_NEXT, path, err) < 0)
        return -1;
    next_certificate = file_exists(path, err);
    if (next_certificate < 0 || ca_files_key(ca, CA_FILE_NEXT, path, err) < 0)
        return -1;
    next_key = file_exists(path, err);
    if (next_key < 0 || ca_files_certificate(ca, CA_FILE_OLD, path, err) < 0)
        return -1;
    old = file_exists(path, err);
    if (old < 0)
        return -1;
    if (next_certificate)
        *phase = next_key ? CA_PHASE_STARTED : CA_PHASE_BROKEN;
    else
        *phase = old ? CA_PHASE_SWITCHED : CA_PHASE_ONE;
    return 0;
}

/* The key first: who sees the certificate finds its key. */
static int pair_write(const struct config_ca *ca, enum ca_file which, struct span certificate,
                      struct span key, struct err *err)
{
    char path[CA_FILE_PATH];

    if (ca_files_key(ca, which, path, err) < 0 || file_write_atomic(path, key, 0600, err) < 0 ||
        ca_files_certificate(ca, which, path, err) < 0)
        return -1;
    return file_write_atomic(path, certificate, 0644, err);
}

int ca_files_make(const struct config_ca *ca, enum ca_file which, struct span name, struct err *err)
{
    char pem[CA_PEM_MAX];
    struct secret key = {0};
    struct text certificate;
    int result;

    text_init(&certificate, pem, sizeof pem);
    result = leaf_ca_generate(name, clock_wall_ms() / 1000, CA_DAYS, &certificate, &key, err);
    if (result == 0)
        result = pair_write(ca, which, text_span(&certificate), secret_span(&key), err);
    secret_fini(&key);
    return result;
}

/* Do the certificate beside and this key belong together? */
static int pair_check(const char *certificate_path, const char *key_path, struct err *err)
{
    struct secret key = {0};
    struct room certificate;
    struct leaf_ca *read = NULL;

    if (file_read(certificate_path, LIMIT_CHAIN, &certificate, err) < 0)
        return -1;
    if (file_read_secret(key_path, LIMIT_SECRET, &key, err) == 0)
        read = leaf_ca_new(span_of_room(certificate), secret_span(&key), err);
    file_free(&certificate);
    secret_fini(&key);
    if (read == NULL)
        return -1;
    leaf_ca_free(read);
    return 0;
}

/* The certificate in use is kept as the old one, before anything is replaced. */
static int old_keep(const struct config_ca *ca, struct err *err)
{
    char old[CA_FILE_PATH];
    struct room certificate;
    int result;

    if (ca_files_certificate(ca, CA_FILE_OLD, old, err) < 0 ||
        file_read(ca->certificate, LIMIT_CHAIN, &certificate, err) < 0)
        return -1;
    result = file_write_atomic(old, span_of_room(certificate), 0644, err);
    file_free(&certificate);
    return result;
}

int ca_files_switch(const struct config_ca *ca, struct err *err)
{
    char certificate[CA_FILE_PATH];
    char key[CA_FILE_PATH];
    enum ca_phase phase;

    if (ca_files_phase(ca, &phase, err) < 0 ||
        ca_files_certificate(ca, CA_FILE_NEXT, certificate, err) < 0 ||
        ca_files_key(ca, CA_FILE_NEXT, key, err) < 0)
        return -1;
    if (phase == CA_PHASE_BROKEN) {
        if (pair_check(certificate, ca->key, err) < 0)
            return -1;
        return file_rename(certificate, ca->certificate, err);
    }
    if (pair_check(certificate, key, err) < 0 || old_keep(ca, err) < 0 ||
        file_rename(key, ca->key, err) < 0)
        return -1;
    return file_rename(certificate, ca->certificate, err);
}

int ca_files_finish(const struct config_ca *ca, struct err *err)
{
    char path[CA_FILE_PATH];

    if (ca_files_certificate(ca, CA_FILE_OLD, path, err) < 0)
        return -1;
    return file_remove(path, err);
}

static int published_add(const char *path, int64_t now_s, struct text *out, struct err *err)
{
    struct room certificate;
    struct err why;

    if (file_read(path, LIMIT_CHAIN, &certificate, err) < 0)
        return -1;
    if (bundle_check_ca(span_of_room(certificate), now_s, &why) < 0) {
        log_warning("%s is not published: %s", path, why.text);
    } else {
        text_add_char(out, '\n');
        text_add(out, span_of_room(certificate));
    }
    file_free(&certificate);
    return text_check(out, "the CA's certificates", err);
}

int ca_files_published(const struct config_ca *ca, int64_t now_s, struct text *out, struct err *err)
{
    char path[CA_FILE_PATH];
    struct room certificate;
    enum ca_phase phase;

    if (file_read(ca->certificate, LIMIT_CHAIN, &certificate, err) < 0)
        return -1;
    text_add(out, span_of_room(certificate));
    file_free(&certificate);
    if (text_check(out, "the CA's certificate", err) < 0 || ca_files_phase(ca, &phase, err) < 0)
        return -1;
    if (phase != CA_PHASE_STARTED && phase != CA_PHASE_SWITCHED)
        return 0;
    if (ca_files_certificate(ca, phase == CA_PHASE_STARTED ? CA_FILE_NEXT : CA_FILE_OLD, path,
                             err) < 0)
        return -1;
    return published_add(path, now_s, out, err);
}
