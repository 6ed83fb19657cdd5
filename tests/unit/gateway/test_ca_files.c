/* SPDX-License-Identifier: Apache-2.0 */
/* What is published in each phase, and what of it is left out. */
#include "gateway/ca_files.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "crypto/bundle.h"
#include "crypto/digest.h"
#include "crypto/leaf.h"
#include "os/file.h"
#include "test.h"

static char directory[64];
static char certificate[128];
static char key[128];
static struct config_ca ca = {.certificate = certificate, .key = key};

static int set_up(void **state)
{
    struct err err;

    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/exeat-ca-XXXXXX");
    if (mkdtemp(directory) == NULL || digest_setup(&err) < 0)
        return -1;
    (void)snprintf(certificate, sizeof certificate, "%s/ca.crt", directory);
    (void)snprintf(key, sizeof key, "%s/ca.key", directory);
    return ca_files_make(&ca, CA_FILE_ACTIVE, span_text("one"), &err);
}

static int tear_down(void **state)
{
    char path[CA_FILE_PATH];
    struct err err;

    (void)state;
    for (enum ca_file which = CA_FILE_ACTIVE; which <= CA_FILE_OLD; which++) {
        CHECK_INT(ca_files_certificate(&ca, which, path, &err), 0);
        CHECK_INT(file_remove(path, &err), 0);
        CHECK_INT(ca_files_key(&ca, which, path, &err), 0);
        CHECK_INT(file_remove(path, &err), 0);
    }
    return rmdir(directory);
}

static enum ca_phase phase(void)
{
    enum ca_phase phase;
    struct err err;

    CHECK_INT(ca_files_phase(&ca, &phase, &err), 0);
    return phase;
}

/* How many certificates are published. */
static int published(void)
{
    static char memory[32768];
    struct text pem;
    struct err err;

    text_init(&pem, memory, sizeof memory);
    CHECK_INT(ca_files_published(&ca, time(NULL), &pem, &err), 0);
    return bundle_check_ca(text_span(&pem), time(NULL), &err);
}

TEST(ca_files_go_through_their_phases)
{
    struct err err;

    CHECK_INT(phase(), CA_PHASE_ONE);
    CHECK_INT(published(), 1);
    CHECK_INT(ca_files_make(&ca, CA_FILE_NEXT, span_text("two"), &err), 0);
    CHECK_INT(phase(), CA_PHASE_STARTED);
    CHECK_INT(published(), 2);
    CHECK_INT(ca_files_switch(&ca, &err), 0);
    CHECK_INT(phase(), CA_PHASE_SWITCHED);
    CHECK_INT(published(), 2);
    CHECK_INT(ca_files_finish(&ca, &err), 0);
    CHECK_INT(phase(), CA_PHASE_ONE);
    CHECK_INT(published(), 1);
}

/* A key without its certificate, from a start that was interrupted, is nothing yet. */
TEST(ca_files_of_an_interrupted_start_are_nothing)
{
    char path[CA_FILE_PATH];
    struct err err;

    CHECK_INT(ca_files_key(&ca, CA_FILE_NEXT, path, &err), 0);
    CHECK_INT(file_write_atomic(path, span_text("key"), 0600, &err), 0);
    CHECK_INT(phase(), CA_PHASE_ONE);
    CHECK_INT(published(), 1);
    CHECK_INT(ca_files_make(&ca, CA_FILE_NEXT, span_text("two"), &err), 0);
    CHECK_INT(ca_files_switch(&ca, &err), 0);
}

/* A relay refuses a document with one bad certificate in it, and would not start. */
TEST(ca_files_leave_out_what_has_expired_or_is_no_certificate)
{
    char memory[8192];
    char path[CA_FILE_PATH];
    struct text pem;
    struct secret secret = {0};
    struct err err;

    CHECK_INT(ca_files_certificate(&ca, CA_FILE_OLD, path, &err), 0);
    text_init(&pem, memory, sizeof memory);
    CHECK_INT(leaf_ca_generate(span_text("old"), time(NULL) - 10 * 86400, 9, &pem, &secret, &err),
              0);
    secret_fini(&secret);
    CHECK_INT(file_write_atomic(path, text_span(&pem), 0644, &err), 0);
    CHECK_INT(phase(), CA_PHASE_SWITCHED);
    CHECK_INT(published(), 1);
    CHECK_INT(file_write_atomic(path, span_text("<html>"), 0644, &err), 0);
    CHECK_INT(published(), 1);
}

#define FILES_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TEST_MAIN(FILES_TEST(ca_files_go_through_their_phases),
          FILES_TEST(ca_files_of_an_interrupted_start_are_nothing),
          FILES_TEST(ca_files_leave_out_what_has_expired_or_is_no_certificate))
