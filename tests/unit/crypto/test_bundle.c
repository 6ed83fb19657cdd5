/* SPDX-License-Identifier: Apache-2.0 */
/* PEM bundles. Threats H2, H11. */
#include "crypto/bundle.h"

#include <time.h>

#include "crypto/digest.h"
#include "pki.h"
#include "test.h"

static struct pki ca;
static struct pki second;
static struct pki plain;
static char memory[65536];
static struct text in;
static char out_memory[65536];
static struct text out;
static struct err err;

static int setup(void **state)
{
    (void)state;
    if (digest_setup(&err) < 0)
        return -1;
    pki_make(&ca, &(struct pki_ask){.cn = "ca", .is_ca = 1}, NULL);
    pki_make(&second, &(struct pki_ask){.cn = "second", .is_ca = 1}, NULL);
    pki_make(&plain, &(struct pki_ask){.cn = "plain", .san = "DNS:a.test"}, &ca);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pki_fini(&ca);
    pki_fini(&second);
    pki_fini(&plain);
    return 0;
}

/* Both texts empty. */
static void begin(void)
{
    text_init(&in, memory, sizeof memory);
    text_init(&out, out_memory, sizeof out_memory);
    err = (struct err){0};
}

static int check(void)
{
    return bundle_check_ca(text_span(&in), time(NULL), &err);
}

TEST(bundle_check_ca_takes_cas_with_comments)
{
    begin();
    text_add_str(&in, "# the gateway's CA\n\n");
    text_add(&in, pki_certificate(&ca));
    CHECK_INT(check(), 1);
    text_add_str(&in, "\r\n# and the next one\r\n");
    text_add(&in, pki_certificate(&second));
    text_add_str(&in, "\n");
    CHECK_INT(check(), 2);
}

TEST(bundle_check_ca_refuses_a_web_page)
{
    begin();
    text_add_str(&in, "<!doctype html><title>Sign in</title>\n");
    CHECK_INT(check(), -1);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    text_add(&in, pki_certificate(&ca));
    CHECK_INT(check(), -1);
    begin();
    text_add(&in, pki_certificate(&ca));
    text_add_str(&in, "</html>\n");
    CHECK_INT(check(), -1);
    CHECK_INT(err.code, ERR_CERT_INVALID);
}

TEST(bundle_check_ca_refuses_nothing_and_keys)
{
    begin();
    CHECK_INT(check(), -1);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    text_add(&in, pki_certificate(&ca));
    text_add(&in, pki_key(&ca));
    CHECK_INT(check(), -1);
    CHECK_INT(err.code, ERR_CERT_INVALID);
}

TEST(bundle_check_ca_refuses_what_is_no_ca)
{
    begin();
    text_add(&in, pki_certificate(&ca));
    text_add(&in, pki_certificate(&plain));
    CHECK_INT(check(), -1);
    CHECK_INT(err.code, ERR_CERT_INVALID);
}

TEST(bundle_check_ca_refuses_expired_cas)
{
    begin();
    text_add(&in, pki_certificate(&ca));
    CHECK_INT(bundle_check_ca(text_span(&in), time(NULL) + 9 * 86400, &err), 1);
    CHECK_INT(bundle_check_ca(text_span(&in), time(NULL) + 11 * 86400, &err), -1);
    CHECK_INT(err.code, ERR_CERT_INVALID);
}

TEST(bundle_check_ca_refuses_cut_and_broken_pem)
{
    struct span pem = pki_certificate(&ca);

    for (size_t len = 1; len < pem.len - 1; len += 7) {
        begin();
        text_add(&in, span_first(pem, len));
        CHECK_INT(check(), -1);
        CHECK_INT(err.code, ERR_CERT_INVALID);
    }
    begin();
    text_add(&in, pem);
    memory[100] = '!';
    CHECK_INT(check(), -1);
    CHECK_INT(err.code, ERR_CERT_INVALID);
}

TEST(bundle_add_copies_certificates_and_nothing_else)
{
    begin();
    text_add_str(&in, "Subject: CN=ca\n");
    text_add(&in, pki_certificate(&ca));
    text_add(&in, pki_key(&ca));
    text_add_str(&in, "more words\n");
    text_add(&in, pki_certificate(&second));
    CHECK_INT(bundle_add(&out, text_span(&in), &err), 2);
    begin();
    text_add(&in, pki_certificate(&ca));
    text_add(&in, pki_certificate(&second));
    out.len = in.len;
    CHECK(span_equal(text_span(&out), text_span(&in)));
}

TEST(bundle_add_drops_duplicates)
{
    begin();
    text_add(&in, pki_certificate(&ca));
    text_add(&in, pki_certificate(&second));
    text_add(&in, pki_certificate(&ca));
    CHECK_INT(bundle_add(&out, text_span(&in), &err), 2);
    CHECK_INT(out.len, pki_certificate(&ca).len + pki_certificate(&second).len);
}

TEST(bundle_add_renames_older_labels)
{
    struct span pem = pki_certificate(&ca);
    static const char begin_mark[] = "-----BEGIN CERTIFICATE-----\n";
    static const char end_mark[] = "-----END CERTIFICATE-----\n";
    struct span body = span_from(pem, strlen(begin_mark));

    begin();
    text_add_str(&in, "-----BEGIN X509 CERTIFICATE-----\r\n");
    text_add(&in, span_first(body, body.len - strlen(end_mark)));
    text_add_str(&in, "-----END X509 CERTIFICATE-----\r\n");
    CHECK_INT(bundle_add(&out, text_span(&in), &err), 1);
    CHECK(span_equal(text_span(&out), pem));
}

/* cat of two files of which the first has no line end */
TEST(bundle_add_reads_blocks_without_line_end_between_them)
{
    struct span pem = pki_certificate(&ca);

    begin();
    text_add(&in, span_first(pem, pem.len - 1));
    text_add(&in, pki_certificate(&second));
    CHECK_INT(bundle_add(&out, text_span(&in), &err), 2);
}

TEST(bundle_add_of_nothing_is_no_error)
{
    begin();
    CHECK_INT(bundle_add(&out, span_of(NULL, 0), &err), 0);
    text_add_str(&in, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
    CHECK_INT(bundle_add(&out, text_span(&in), &err), 0);
    CHECK_INT(out.len, 0);
}

TEST(bundle_add_says_when_it_does_not_fit)
{
    begin();
    text_add(&in, pki_certificate(&ca));
    text_init(&out, out_memory, 100);
    CHECK_INT(bundle_add(&out, text_span(&in), &err), -1);
    CHECK_INT(err.code, ERR_LIMIT);
}

TEST(bundle_roots_take_what_can_be_read)
{
    struct bundle_roots *roots;

    begin();
    text_add_str(&in, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
    CHECK(bundle_roots_new(text_span(&in), &err) == NULL);
    CHECK_INT(err.code, ERR_CERT_INVALID);
    text_add(&in, pki_certificate(&ca));
    roots = bundle_roots_new(text_span(&in), &err);
    CHECK(roots != NULL);
    bundle_roots_free(roots);
}

/* The relay does this at its start. */
TEST(bundle_add_speed)
{
    static char system_pem[1 << 20];
    static char copy[1 << 20];
    FILE *file = fopen("/etc/ssl/certs/ca-certificates.crt", "r");
    struct timespec from;
    struct timespec to;
    size_t len;
    int count;

    if (file == NULL)
        skip();
    len = fread(system_pem, 1, sizeof system_pem, file);
    fclose(file);
    text_init(&out, copy, sizeof copy);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    count = bundle_add(&out, span_of(system_pem, len), &err);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    CHECK(count > 0);
    print_message("%d certificates of %zu bytes in %.2f ms\n", count, len,
                  (double)(to.tv_sec - from.tv_sec) * 1e3 +
                      (double)(to.tv_nsec - from.tv_nsec) / 1e6);
    CHECK(span_equal(text_span(&out), span_of(system_pem, len)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(bundle_check_ca_takes_cas_with_comments),
        TEST_OF(bundle_check_ca_refuses_a_web_page),
        TEST_OF(bundle_check_ca_refuses_nothing_and_keys),
        TEST_OF(bundle_check_ca_refuses_what_is_no_ca),
        TEST_OF(bundle_check_ca_refuses_expired_cas),
        TEST_OF(bundle_check_ca_refuses_cut_and_broken_pem),
        TEST_OF(bundle_add_copies_certificates_and_nothing_else),
        TEST_OF(bundle_add_drops_duplicates),
        TEST_OF(bundle_add_renames_older_labels),
        TEST_OF(bundle_add_reads_blocks_without_line_end_between_them),
        TEST_OF(bundle_add_of_nothing_is_no_error),
        TEST_OF(bundle_add_says_when_it_does_not_fit),
        TEST_OF(bundle_roots_take_what_can_be_read),
        TEST_OF(bundle_add_speed),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
