/* SPDX-License-Identifier: Apache-2.0 */
/* Peeking at a ClientHello. Threats C1, C4, H9, B11. */
#include "crypto/sni.h"

#include "base/limits.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "ends.h"
#include "pki.h"
#include "test.h"

/* A literal with bytes of any value. */
#define BYTES(literal) span_of((literal), sizeof(literal) - 1)

static uint8_t hello_memory[LIMIT_CLIENT_HELLO + 4096];
static uint8_t wire_memory[8 * LIMIT_CLIENT_HELLO];

static void put16(struct text *out, size_t value)
{
    text_add_char(out, (char)(value >> 8));
    text_add_char(out, (char)value);
}

/* A ClientHello with these extensions, as a handshake message without record. */
static struct span hello_of(struct span extensions)
{
    static const char random[32] = {1};
    struct text out;
    size_t len = 2 + 32 + 1 + 6 + 2 + 2 + extensions.len;

    text_init(&out, hello_memory, sizeof hello_memory);
    text_add_char(&out, 1);
    text_add_char(&out, (char)(len >> 16));
    put16(&out, len & 0xffff);
    text_add(&out, BYTES("\x03\x03"));
    text_add(&out, span_of(random, sizeof random));
    text_add(&out, BYTES("\0"));
    text_add(&out, BYTES("\0\x04\x13\x01\x5a\x5a")); /* a cipher and a GREASE value */
    text_add(&out, BYTES("\x01\0"));
    put16(&out, extensions.len);
    text_add(&out, extensions);
    CHECK(!out.overflow);
    return text_span(&out);
}

/* The message in records of at most `size` bytes. */
static struct span records_of(struct span hello, size_t size)
{
    struct text out;

    text_init(&out, wire_memory, sizeof wire_memory);
    while (hello.len > 0) {
        size_t len = hello.len < size ? hello.len : size;

        text_add(&out, BYTES("\x16\x03\x01"));
        put16(&out, len);
        text_add(&out, span_first(hello, len));
        hello = span_from(hello, len);
    }
    CHECK(!out.overflow);
    return text_span(&out);
}

static int peek_extensions(struct span extensions, struct sni *sni, struct err *err)
{
    return sni_peek(records_of(hello_of(extensions), 16384), sni, err);
}

/* The same for a server_name extension with these bytes. */
static int peek_name(struct span data, struct sni *sni)
{
    char memory[1024];
    struct text out;
    struct err err = {0};
    int result;

    text_init(&out, memory, sizeof memory);
    put16(&out, 0);
    put16(&out, data.len);
    text_add(&out, data);
    result = peek_extensions(text_span(&out), sni, &err);
    if (result < 0)
        CHECK_INT(err.code, ERR_TLS);
    return result;
}

#define NAME_A_TEST                                                                                \
    "\0\0\0\x0b\0\x09\0\0\x06"                                                                     \
    "a.test"

TEST(sni_peek_finds_the_name)
{
    struct sni sni;
    struct err err;

    CHECK_INT(peek_extensions(BYTES(NAME_A_TEST), &sni, &err), 1);
    CHECK_STR(sni.name, "a.test");
    CHECK_INT(sni.name_len, 6);
    CHECK_INT(sni.has_alpn, 0);
}

TEST(sni_peek_finds_no_name_where_there_is_none)
{
    struct sni sni;
    struct err err;

    CHECK_INT(peek_extensions(BYTES(""), &sni, &err), 1);
    CHECK_INT(sni.name_len, 0);
    CHECK_STR(sni.name, "");
}

/* A TLS 1.2 client may send no extensions at all: not even their length. */
TEST(sni_peek_takes_a_hello_that_ends_before_extensions)
{
    struct span hello = hello_of(BYTES(""));
    struct sni sni;
    struct err err;

    hello_memory[3] = (uint8_t)(hello_memory[3] - 2);
    CHECK_INT(sni_peek(records_of(span_first(hello, hello.len - 2), 16384), &sni, &err), 1);
    CHECK_INT(sni.name_len, 0);
}

TEST(sni_peek_reads_alpn)
{
    struct sni sni;
    struct err err;

    CHECK_INT(peek_extensions(BYTES("\0\x10\0\x0e\0\x0c\x02h2\x08http/1.1"), &sni, &err), 1);
    CHECK_INT(sni.has_alpn, 1);
    CHECK_INT(sni.offers_h2, 1);
    CHECK_INT(sni.offers_http11, 1);
    CHECK_INT(peek_extensions(BYTES("\0\x10\0\x05\0\x03\x02h2"), &sni, &err), 1);
    CHECK_INT(sni.offers_http11, 0);
    CHECK_INT(peek_extensions(BYTES("\0\x10\0\x06\0\x04\x03h2c"), &sni, &err), 1);
    CHECK_INT(sni.offers_h2, 0);
    CHECK_INT(sni.has_alpn, 1);
}

TEST(sni_peek_refuses_malformed_alpn)
{
    struct sni sni;
    struct err err;

    CHECK_INT(peek_extensions(BYTES("\0\x10\0\x02\0\0"), &sni, &err), -1);
    CHECK_INT(peek_extensions(BYTES("\0\x10\0\x03\0\x01\0"), &sni, &err), -1);
    CHECK_INT(peek_extensions(BYTES("\0\x10\0\x05\0\x03\x03h2"), &sni, &err), -1);
    CHECK_INT(peek_extensions(BYTES("\0\x10\0\x06\0\x03\x02h2x"), &sni, &err), -1);
    CHECK_INT(
        peek_extensions(BYTES("\0\x10\0\x05\0\x03\x02h2\0\x10\0\x05\0\x03\x02h2"), &sni, &err), -1);
}

TEST(sni_peek_passes_over_grease_and_encrypted_client_hello)
{
    struct sni sni;
    struct err err;

    CHECK_INT(peek_extensions(BYTES("\x1a\x1a\0\0\xfe\x0d\0\x03zzz" NAME_A_TEST "\x3a\x3a\0\x01\0"),
                              &sni, &err),
              1);
    CHECK_STR(sni.name, "a.test");
}

/* C4 */
TEST(sni_peek_refuses_bad_names)
{
    static uint8_t data[5 + 256] = {1, 3, 0, 1, 0};
    struct sni sni;

    CHECK_INT(peek_name(BYTES("\0\x09\0\0\x06"
                              "a\0test"),
                        &sni),
              -1);
    CHECK_INT(peek_name(BYTES("\0\x09\0\0\x06"
                              "a\xe4test"),
                        &sni),
              -1);
    CHECK_INT(peek_name(BYTES("\0\x09\0\0\x06"
                              "a test"),
                        &sni),
              -1);
    CHECK_INT(peek_name(BYTES("\0\x03\0\0\0"), &sni), -1);
    memset(data + 5, 'a', 256);
    CHECK_INT(peek_name(span_of(data, sizeof data), &sni), -1); /* 256 bytes */
    data[1] = 2;
    data[3] = 0;
    data[4] = 255;
    CHECK_INT(peek_name(span_of(data, sizeof data - 1), &sni), 1);
    CHECK_INT(sni.name_len, 255);
}

TEST(sni_peek_leaves_wildcards_and_addresses_to_its_caller)
{
    struct sni sni;

    CHECK_INT(peek_name(BYTES("\0\x09\0\0\x06"
                              "*.test"),
                        &sni),
              1);
    CHECK_STR(sni.name, "*.test");
    CHECK_INT(peek_name(BYTES("\0\x0a\0\0\x07"
                              "1.2.3.4"),
                        &sni),
              1);
    CHECK_STR(sni.name, "1.2.3.4");
}

TEST(sni_peek_refuses_malformed_server_name)
{
    struct sni sni;

    CHECK_INT(peek_name(BYTES(""), &sni), -1);
    CHECK_INT(peek_name(BYTES("\0\0"), &sni), -1);
    CHECK_INT(peek_name(BYTES("\0\x09\x01\0\x06"
                              "a.test"),
                        &sni),
              -1); /* no host_name */
    CHECK_INT(peek_name(BYTES("\0\x09\0\0\x07"
                              "a.test"),
                        &sni),
              -1);
    CHECK_INT(peek_name(BYTES("\0\x0a\0\0\x06"
                              "a.test"),
                        &sni),
              -1);
    CHECK_INT(peek_name(BYTES("\0\x09\0\0\x06"
                              "a.test"
                              "x"),
                        &sni),
              -1);
}

TEST(sni_peek_refuses_two_names)
{
    struct sni sni;
    struct err err;

    CHECK_INT(peek_name(BYTES("\0\x12\0\0\x06"
                              "a.test"
                              "\0\0\x06"
                              "b.test"),
                        &sni),
              -1);
    CHECK_INT(peek_extensions(BYTES(NAME_A_TEST NAME_A_TEST), &sni, &err), -1);
    CHECK_INT(err.code, ERR_TLS);
}

TEST(sni_peek_refuses_malformed_extensions)
{
    struct sni sni;
    struct err err;

    CHECK_INT(peek_extensions(BYTES("\0"), &sni, &err), -1);
    CHECK_INT(peek_extensions(BYTES("\0\0\0"), &sni, &err), -1);
    CHECK_INT(peek_extensions(BYTES("\0\x17\0\x01"), &sni, &err), -1);
}

static int peek_bytes(struct span bytes)
{
    struct sni sni;
    struct err err = {0};
    int result = sni_peek(bytes, &sni, &err);

    if (result < 0)
        CHECK_INT(err.code, ERR_TLS);
    return result;
}

/* What is no TLS is known at its first wrong byte. */
TEST(sni_peek_refuses_what_is_no_client_hello)
{
    CHECK_INT(peek_bytes(BYTES("")), 0);
    CHECK_INT(peek_bytes(BYTES("G")), -1);
    CHECK_INT(peek_bytes(BYTES("\x15")), -1);     /* an alert */
    CHECK_INT(peek_bytes(BYTES("\x80\x2e")), -1); /* SSLv2 */
    CHECK_INT(peek_bytes(BYTES("\x16\x02")), -1);
    CHECK_INT(peek_bytes(BYTES("\x16\x03\x04")), -1);
    CHECK_INT(peek_bytes(BYTES("\x16\x03\x03")), 0);
    CHECK_INT(peek_bytes(BYTES("\x16\x03\x01\0\0")), -1);
    CHECK_INT(peek_bytes(BYTES("\x16\x03\x01\x40\x01")), -1);
    CHECK_INT(peek_bytes(BYTES("\x16\x03\x01\x40\0")), 0);
    CHECK_INT(peek_bytes(BYTES("\x16\x03\x01\0\x50\x02")), -1);
    CHECK_INT(peek_bytes(BYTES("\x16\x03\x01\0\x50\x01\x01\0\0")), -1); /* 65540 bytes */
    CHECK_INT(peek_bytes(BYTES("\x16\x03\x01\0\x50\x01\0\0\x10")), 0);
    CHECK_INT(peek_bytes(BYTES("\x16\x03\x01\0\x01\x01\x17\x03\x03")), -1);
}

TEST(sni_peek_accepts_record_versions_3_0_to_3_3)
{
    struct span wire = records_of(hello_of(BYTES(NAME_A_TEST)), 16384);

    for (uint8_t minor = 0; minor <= 4; minor++) {
        wire_memory[2] = minor;
        CHECK_INT(peek_bytes(wire), minor == 4 ? -1 : 1);
    }
}

/* H9: a ClientHello over records of any size, in pieces of any size. */
TEST(sni_peek_sees_the_same_in_any_pieces)
{
    static const size_t sizes[] = {1, 2, 3, 4, 5, 7, 50, 16384};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct span wire = records_of(hello_of(BYTES("\x1a\x1a\0\0" NAME_A_TEST)), sizes[i]);
        struct sni sni;
        struct err err;

        for (size_t len = 0; len < wire.len; len++)
            CHECK_INT(sni_peek(span_first(wire, len), &sni, &err), 0);
        CHECK_INT(sni_peek(wire, &sni, &err), 1);
        CHECK_STR(sni.name, "a.test");
    }
}

TEST(sni_peek_does_not_look_behind_the_message)
{
    struct span wire = records_of(hello_of(BYTES(NAME_A_TEST)), 16384);

    memcpy(wire_memory + wire.len, "\x17\x03\x03junk", 7);
    CHECK_INT(peek_bytes(span_of(wire_memory, wire.len + 7)), 1);
}

/* H9: 64 KiB and no more. */
TEST(sni_peek_takes_a_hello_of_64_kib_and_refuses_a_longer_one)
{
    static uint8_t extensions[LIMIT_CLIENT_HELLO];
    size_t len = LIMIT_CLIENT_HELLO - 49;
    struct span hello;
    struct sni sni;
    struct err err;

    extensions[0] = 0x1a;
    extensions[1] = 0x1a;
    extensions[2] = (uint8_t)((len - 4) >> 8);
    extensions[3] = (uint8_t)(len - 4);
    hello = hello_of(span_of(extensions, len));
    CHECK_INT(hello.len, LIMIT_CLIENT_HELLO);
    CHECK_INT(sni_peek(records_of(hello, 16384), &sni, &err), 1);
    extensions[2] = (uint8_t)((len - 3) >> 8);
    extensions[3] = (uint8_t)(len - 3);
    CHECK_INT(sni_peek(records_of(hello_of(span_of(extensions, len + 1)), 16384), &sni, &err), -1);
    CHECK_INT(err.code, ERR_TLS);
}

/* Records of one byte each: more wire than the limit, never a ClientHello. */
TEST(sni_peek_gives_up_on_an_endless_hello)
{
    static uint8_t extensions[16000];
    struct span wire;
    struct sni sni;
    struct err err;

    extensions[0] = 0x1a;
    extensions[1] = 0x1a;
    extensions[2] = (uint8_t)((sizeof extensions - 4) >> 8);
    extensions[3] = (uint8_t)((sizeof extensions - 4) & 0xff);
    wire = records_of(hello_of(span_of(extensions, sizeof extensions)), 1);
    CHECK_INT(sni_peek(span_first(wire, LIMIT_CLIENT_HELLO), &sni, &err), 0);
    CHECK_INT(sni_peek(span_first(wire, LIMIT_CLIENT_HELLO + 1), &sni, &err), -1);
}

TEST(sni_peek_reads_what_our_own_client_sends)
{
    struct pki root;
    struct bundle_roots *roots;
    struct tls_context *context;
    struct host host = ends_host("api.example.com", HOST_NAME);
    struct end client;
    struct sni sni;
    struct err err;

    pki_make(&root, &(struct pki_ask){.cn = "root", .is_ca = 1}, NULL);
    roots = bundle_roots_new(pki_certificate(&root), &err);
    context = tls_context_new_client(roots, "http/1.1", &err);
    end_init(&client, 66560, 66560);
    CHECK_INT(tls_init_client(&client.tls, context, &host, &err), 0);
    end_step(&client);
    CHECK_INT(sni_peek(buf_span(&client.sealed), &sni, &err), 1);
    CHECK_STR(sni.name, "api.example.com");
    CHECK_INT(sni.offers_http11, 1);
    CHECK_INT(sni.offers_h2, 0);
    end_fini(&client);
    host = ends_host("192.0.2.1", HOST_IPV4);
    end_init(&client, 66560, 66560);
    CHECK_INT(tls_init_client(&client.tls, context, &host, &err), 0);
    end_step(&client);
    CHECK_INT(sni_peek(buf_span(&client.sealed), &sni, &err), 1);
    CHECK_INT(sni.name_len, 0);
    end_fini(&client);
    tls_context_free(context);
    bundle_roots_free(roots);
    pki_fini(&root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(sni_peek_finds_the_name),
        TEST_OF(sni_peek_finds_no_name_where_there_is_none),
        TEST_OF(sni_peek_takes_a_hello_that_ends_before_extensions),
        TEST_OF(sni_peek_reads_alpn),
        TEST_OF(sni_peek_refuses_malformed_alpn),
        TEST_OF(sni_peek_passes_over_grease_and_encrypted_client_hello),
        TEST_OF(sni_peek_refuses_bad_names),
        TEST_OF(sni_peek_leaves_wildcards_and_addresses_to_its_caller),
        TEST_OF(sni_peek_refuses_malformed_server_name),
        TEST_OF(sni_peek_refuses_two_names),
        TEST_OF(sni_peek_refuses_malformed_extensions),
        TEST_OF(sni_peek_refuses_what_is_no_client_hello),
        TEST_OF(sni_peek_accepts_record_versions_3_0_to_3_3),
        TEST_OF(sni_peek_sees_the_same_in_any_pieces),
        TEST_OF(sni_peek_does_not_look_behind_the_message),
        TEST_OF(sni_peek_takes_a_hello_of_64_kib_and_refuses_a_longer_one),
        TEST_OF(sni_peek_gives_up_on_an_endless_hello),
        TEST_OF(sni_peek_reads_what_our_own_client_sends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
