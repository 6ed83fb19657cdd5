/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ca rotate` replaces the certificate authority without a container that trusts neither: first
 * both are published, then the new one signs, then the old one is no longer published.
 */
#include <stdio.h>

#include "base/pool.h"
#include "crypto/digest.h"
#include "gateway/ca_files.h"
#include "gateway/certificate.h"
#include "gateway/command.h"
#include "os/file.h"

#define STEPS (OPTION_START | OPTION_SWITCH | OPTION_FINISH)

/* Two authorities never have one name: some clients look for the issuer by nothing else. */
static const char ca_name[] = "exeat gateway CA ";

static int next_make(const struct config_ca *ca, struct err *err)
{
    char memory[64];
    uint8_t random[4];
    struct text name;

    if (digest_random((struct room){.ptr = random, .len = sizeof random}, err) < 0)
        return -1;
    text_init(&name, memory, sizeof memory);
    text_add_str(&name, ca_name);
    text_add_hex(&name, span_of(random, sizeof random));
    return ca_files_make(ca, CA_FILE_NEXT, text_span(&name), err);
}

static int line_print(const struct config_ca *ca, enum ca_file which, const char *what)
{
    char path[CA_FILE_PATH];
    struct certificate certificate;
    struct room pem;
    struct err err;
    int result;

    if (ca_files_certificate(ca, which, path, &err) < 0 ||
        file_read(path, LIMIT_CHAIN, &pem, &err) < 0)
        return command_failed("%s", err.text);
    result = certificate_read(span_of_room(pem), &certificate, &err);
    file_free(&pem);
    if (result < 0)
        return command_failed("%s: %s", path, err.text);
    (void)printf("%s: %s, sha256 %s, valid to %s\n", what, path, certificate.fingerprint,
                 certificate.not_after);
    return 0;
}

/* Where it stands, and what to do next. */
static int phase_print(const struct config_ca *ca, const char *config)
{
    enum ca_phase phase;
    struct err err;
    int status = 0;

    if (ca_files_phase(ca, &phase, &err) < 0)
        return command_failed("%s", err.text);
    if (phase == CA_PHASE_BROKEN)
        return command_failed("a switch was interrupted; end it with: exeat-gateway ca rotate -c "
                              "%s --switch",
                              config);
    status = line_print(ca, CA_FILE_ACTIVE, "signs");
    if (phase == CA_PHASE_ONE) {
        (void)printf("next: ca rotate -c %s --start, to replace it\n", config);
    } else if (phase == CA_PHASE_STARTED) {
        status |= line_print(ca, CA_FILE_NEXT, "published too");
        (void)printf("next: reload every gateway that has this CA (SIGHUP); when no container "
                     "runs that was started before: ca rotate -c %s --switch\n",
                     config);
    } else {
        status |= line_print(ca, CA_FILE_OLD, "published too");
        (void)printf("next: reload every gateway that has this CA (SIGHUP), then: ca rotate -c %s "
                     "--finish, and reload again\n",
                     config);
    }
    return status;
}

static int step_refused(enum ca_phase phase)
{
    static const char *const where[] = {
        [CA_PHASE_ONE] = "no rotation is under way; begin one with --start",
        [CA_PHASE_STARTED] = "a rotation has been started; the next step is --switch",
        [CA_PHASE_BROKEN] = "a switch was interrupted; end it with --switch",
        [CA_PHASE_SWITCHED] = "the new CA signs already; the next step is --finish",
    };

    return command_failed("%s", where[phase]);
}

static int step_do(const struct config_ca *ca, unsigned step)
{
    enum ca_phase phase;
    struct err err;
    int result;

    if (ca_files_phase(ca, &phase, &err) < 0)
        return command_failed("%s", err.text);
    if (step == OPTION_START && phase == CA_PHASE_ONE)
        result = next_make(ca, &err);
    else if (step == OPTION_SWITCH && (phase == CA_PHASE_STARTED || phase == CA_PHASE_BROKEN))
        result = ca_files_switch(ca, &err);
    else if (step == OPTION_FINISH && phase == CA_PHASE_SWITCHED)
        result = ca_files_finish(ca, &err);
    else
        return step_refused(phase);
    return result < 0 ? command_failed("%s", err.text) : 0;
}

int command_ca_rotate(const struct options *options)
{
    static struct config config;
    unsigned step = options->given & STEPS;
    struct err err;
    int status = 0;

    if ((step & (step - 1)) != 0)
        return command_failed("one of --start, --switch and --finish at a time");
    if (digest_setup(&err) < 0)
        return command_failed("%s", err.text);
    if (command_config(&config, options->config, COMMAND_FILES_LATER) != 0)
        return 1;
    if (file_exists(config.ca.certificate, &err) <= 0)
        status = command_failed("there is no CA to replace; make one with: exeat-gateway ca init "
                                "-c %s",
                                options->config);
    if (status == 0 && step != 0)
        status = step_do(&config.ca, step);
    if (status == 0)
        status = phase_print(&config.ca, options->config);
    config_fini(&config);
    return status;
}
