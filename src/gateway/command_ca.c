/* SPDX-License-Identifier: Apache-2.0 */
/* `ca init` makes the certificate authority, `ca show` tells what containers will trust. */
#include <stdio.h>

#include "crypto/digest.h"
#include "gateway/ca_files.h"
#include "gateway/certificate.h"
#include "gateway/command.h"
#include "os/file.h"

#define CA_PEM_MAX 8192

static const char ca_name[] = "exeat gateway CA";

/* 1 it is there, 0 it is not, -1 said why. */
static int file_is_there(const char *path)
{
    struct room content;
    struct err err;

    if (file_read(path, CA_PEM_MAX * 16, &content, &err) == 0) {
        file_free(&content);
        return 1;
    }
    return err.sys == 2 /* ENOENT */ ? 0 : -command_failed("%s", err.text);
}

static int directory_make(const struct config *config)
{
    struct err err;

    if (file_make_dirs(config->state_dir, 0700, &err) < 0)
        return command_failed("state_dir: %s", err.text);
    return 0;
}

static int ca_make(const struct config *config)
{
    struct certificate certificate;
    struct room pem;
    struct err err;
    int result;

    if (digest_setup(&err) < 0 ||
        ca_files_make(&config->ca, CA_FILE_ACTIVE, span_text(ca_name), &err) < 0 ||
        file_read(config->ca.certificate, CA_PEM_MAX, &pem, &err) < 0)
        return command_failed("cannot make a CA: %s", err.text);
    result = certificate_read(span_of_room(pem), &certificate, &err);
    file_free(&pem);
    if (result < 0)
        return command_failed("the new CA cannot be used: %s", err.text);
    (void)printf("certificate: %s\nkey: %s (mode 0600, keep it here)\nsha256: %s\n",
                 config->ca.certificate, config->ca.key, certificate.fingerprint);
    return 0;
}

int command_ca_init(const struct options *options)
{
    static struct config config;
    int key_is_there;
    int certificate_is_there;
    int status = 1;

    if (command_config(&config, options->config, COMMAND_FILES_LATER) != 0)
        return 1;
    if (directory_make(&config) == 0) {
        key_is_there = file_is_there(config.ca.key);
        certificate_is_there = file_is_there(config.ca.certificate);
        if (key_is_there > 0 || certificate_is_there > 0)
            (void)command_failed("%s exists already; to replace a CA that containers trust there "
                                 "is ca rotate",
                                 key_is_there > 0 ? config.ca.key : config.ca.certificate);
        else if (key_is_there == 0 && certificate_is_there == 0)
            status = ca_make(&config);
    }
    config_fini(&config);
    return status;
}

/* A JSON string of a path or a name. */
static void json_print(const char *name, const char *value, const char *behind)
{
    static char memory[8 * 4096];
    struct text out;

    text_init(&out, memory, sizeof memory - 1);
    text_add_json(&out, span_text(value));
    (void)printf("\"%s\":%s%s", name, text_str(&out), behind);
}

static int certificate_print(const struct options *options, const struct config_ca *ca,
                             struct span pem)
{
    struct certificate certificate;
    struct err err;

    if (digest_setup(&err) < 0 || certificate_read(pem, &certificate, &err) < 0)
        return command_failed("%s: %s", ca->certificate, err.text);
    if ((options->given & OPTION_JSON) != 0) {
        (void)fputs("{", stdout);
        json_print("certificate", ca->certificate, ",");
        json_print("subject", certificate.subject, ",");
        json_print("sha256", certificate.fingerprint, ",");
        json_print("not_before", certificate.not_before, ",");
        json_print("not_after", certificate.not_after, "}\n");
        return 0;
    }
    (void)printf("certificate: %s\nsubject: %s\nsha256: %s\nvalid: %s to %s\n", ca->certificate,
                 certificate.subject, certificate.fingerprint, certificate.not_before,
                 certificate.not_after);
    return 0;
}

int command_ca_show(const struct options *options)
{
    static struct config config;
    struct room pem;
    struct err err;
    int status = 0;

    if (command_config(&config, options->config, COMMAND_FILES_LATER) != 0)
        return 1;
    if (file_read(config.ca.certificate, CA_PEM_MAX * 16, &pem, &err) < 0) {
        status = command_failed("%s; make a CA with: exeat-gateway ca init -c %s", err.text,
                                options->config);
    } else {
        if ((options->given & OPTION_PEM) != 0)
            (void)fwrite(pem.ptr, 1, pem.len, stdout);
        else
            status = certificate_print(options, &config.ca, span_of_room(pem));
        file_free(&pem);
    }
    config_fini(&config);
    return status;
}
