/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts and their ports: one spelling each, everything else refused. */
#include <arpa/inet.h>

#include "http/target.h"

#include "fixture.h"

static void check_host(const char *text, enum host_kind kind, const char *canonical)
{
    struct host host;

    CHECK_INT(target_read_host(span_text(text), &host, &fixture_err), 0);
    CHECK_INT(host.kind, kind);
    CHECK_STR(host.name, canonical);
    CHECK_INT(host.len, strlen(canonical));
}

static void check_refused_span(struct span text)
{
    struct host host;

    err_clear(&fixture_err);
    CHECK_INT(target_read_host(text, &host, &fixture_err), -1);
    CHECK_INT(fixture_err.code, ERR_TARGET);
    CHECK_INT(host.len, 0);
}

static void check_refused(const char *text)
{
    check_refused_span(span_text(text));
}

/* E1, C3: all spellings of a name give the same bytes. */
TEST(target_host_has_one_spelling_of_a_name_E1)
{
    check_host("example.com", HOST_NAME, "example.com");
    check_host("EXAMPLE.com.", HOST_NAME, "example.com");
    check_host("a", HOST_NAME, "a");
    check_host("_dmarc.a-b.Example", HOST_NAME, "_dmarc.a-b.example");
    check_host("xn--bcher-kva.example", HOST_NAME, "xn--bcher-kva.example");
    check_host("1.2.3.4.example", HOST_NAME, "1.2.3.4.example");
    check_host("0x7f.com", HOST_NAME, "0x7f.com");
    check_host("a.1b", HOST_NAME, "a.1b");
}

TEST(target_host_refuses_empty_labels_E1)
{
    static const char *const bad[] = {"", ".", "..", "a..", "a..b", ".a", "a.com..", "a. .b"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_refused(bad[i]);
}

TEST(target_host_refuses_what_is_not_ascii_E2)
{
    static const char *const bad[] = {
        "b\xc3\xbc"
        "cher.example", /* not mapped: no IDNA here */
        "a\xe3\x80\x82"
        "com",              /* U+3002 */
        "\xef\xbd\x81.com", /* full-width a */
        "a\xc2\xad.com",    /* soft hyphen */
        "xn--",
        "a.xn--.com", /* A-labels without a body */
        "xn--a-",
        "XN--example-.com", /* or with an ASCII one */
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_refused(bad[i]);
}

TEST(target_host_knows_no_byte_but_those_of_names_E3)
{
    for (int byte = 0; byte < 256; byte++) {
        char text[] = "a@b.com";
        bool is_good = byte != 0 && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789-_.",
                                           byte) != NULL;
        struct host host;

        text[1] = (char)byte;
        CHECK_INT(target_read_host(span_of(text, 7), &host, &fixture_err), is_good ? 0 : -1);
    }
    check_refused("user@host");
    check_refused("host#");
    check_refused("host/");
    check_refused("host?");
    check_refused("%2e");
    check_refused("a%2ecom");
    check_refused("[name]");
    check_refused("a\\b");
    check_refused(" a");
    check_refused("a\t");
    check_refused_span(span_of("a\0b", 3));
}

TEST(target_host_bounds_names_and_labels)
{
    char name[256];

    memset(name, 'a', sizeof name);
    for (size_t i = 63; i < sizeof name; i += 64)
        name[i] = '.';
    name[253] = '\0';
    check_host(name, HOST_NAME, name);
    name[253] = '.';
    name[254] = '\0';
    CHECK_INT(target_read_host(span_text(name), &(struct host){0}, &fixture_err), 0);
    name[253] = 'a';
    check_refused(name);
    memset(name, 'a', 64);
    name[63] = '\0';
    check_host(name, HOST_NAME, name);
    name[63] = 'a';
    name[64] = '\0';
    check_refused(name);
}

TEST(target_host_takes_dotted_quads_only_E4)
{
    static const char *const bad[] = {
        "0177.1",
        "0x7f000001",
        "2130706433",
        "127.1",
        "127.0.1",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.04",
        "0177.0.0.1",
        "0x7f.1",
        "1.2.3.0x4",
        "1.2.3.4.",
        "0",
        "0x",
        "a.0x1",
        "127.0.0x1",
        "1.2.3",
        "example.0xff",
        "example.1",
        "a.00",
        "4294967296",
        "1.2.3.4..",
        "00.0.0.0",
        "1.2.3.1000",
        "example.0Xff",
        "\xd9\xa1.2.3.4",
        "1.2..3.4",
        "1e3.0.0.1",
    };

    check_host("127.0.0.1", HOST_IPV4, "127.0.0.1");
    check_host("0.0.0.0", HOST_IPV4, "0.0.0.0");
    check_host("255.255.255.255", HOST_IPV4, "255.255.255.255");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_refused(bad[i]);
}

TEST(target_host_writes_ipv6_as_rfc_5952)
{
    static const char *const rows[][2] = {
        {"[::]", "::"},
        {"[::1]", "::1"},
        {"[1::]", "1::"},
        {"[2001:DB8::0001]", "2001:db8::1"},
        {"[2001:db8:0:0:0:0:0:1]", "2001:db8::1"},
        {"[2001:db8:0:1:1:1:1:1]", "2001:db8:0:1:1:1:1:1"},
        {"[2001:0:0:1:0:0:0:1]", "2001:0:0:1::1"},
        {"[2001:db8:0:0:1:0:0:1]", "2001:db8::1:0:0:1"},
        {"[0:0:1:0:0:0:0:0]", "0:0:1::"},
        {"[1:2:3:4:5:6:7:8]", "1:2:3:4:5:6:7:8"},
        {"[1:2:3:4:5:6:7::]", "1:2:3:4:5:6:7:0"},
        {"[::2:3:4:5:6:7:8]", "0:2:3:4:5:6:7:8"},
        {"[::ffff:127.0.0.1]", "::ffff:127.0.0.1"},
        {"[0:0:0:0:0:FFFF:7f00:1]", "::ffff:127.0.0.1"},
        {"[::127.0.0.1]", "::7f00:1"},
        {"[64:ff9b::10.0.0.1]", "64:ff9b::a00:1"},
        {"[1:2:3:4:5:6:1.2.3.4]", "1:2:3:4:5:6:102:304"},
        {"[abcd:ef01:2345:6789:abcd:ef01:2345:6789]", "abcd:ef01:2345:6789:abcd:ef01:2345:6789"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_host(rows[i][0], HOST_IPV6, rows[i][1]);
}

TEST(target_host_refuses_other_ipv6)
{
    static const char *const bad[] = {
        "[",
        "[]",
        "[:]",
        "[:::]",
        "[::",
        "::1",
        "[::1]x",
        "[::1",
        "[1::2::3]",
        "[1:2:3:4:5:6:7]",
        "[1:2:3:4:5:6:7:8:9]",
        "[1:2:3:4:5:6:7:8::]",
        "[::1:2:3:4:5:6:7:8]",
        "[12345::]",
        "[g::]",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "[1:]",
        "[:1]",
        "[1:2:3:4:5:6:7:]",
        "[::1.2.3]",
        "[::1.2.3.256]",
        "[::01.2.3.4]",
        "[1.2.3.4::]",
        "[1.2.3.4]",
        "[1:2:3:4:5:6:7:1.2.3.4]",
        "[::1.2.3.4:5]",
        "[[::1]]",
        "[::1 ]",
        "[v1.x]",
        "[::ffff:0x7f.1]",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_refused(bad[i]);
}

/* A random text of the bytes that addresses are made of. */
static size_t address_random(uint64_t *seed, char *text, size_t cap)
{
    static const char alphabet[] = "0123456789abcdefABCDEF::::::::....";
    size_t len;

    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    len = 2 + (*seed >> 33) % (cap - 3);
    for (size_t i = 0; i < len; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        text[i] = alphabet[(*seed >> 33) % (sizeof alphabet - 1)];
    }
    text[len] = '\0';
    return len;
}

/* The parser of libc is the judge, for whole addresses and for many that are nearly ones. */
TEST(target_host_agrees_with_inet_pton)
{
    uint64_t seed = 1;
    int good = 0;

    for (int i = 0; i < 400000; i++) {
        char bracketed[32];
        uint8_t expected[16];
        uint8_t actual[16];
        struct host host;
        size_t len = address_random(&seed, bracketed + 1, i % 2 == 0 ? 8 : 20);
        int is_address = inet_pton(AF_INET6, bracketed + 1, expected);

        bracketed[0] = '[';
        bracketed[len + 1] = ']';
        CHECK_INT(target_read_host(span_of(bracketed, len + 2), &host, &fixture_err) == 0,
                  is_address);
        if (!is_address)
            continue;
        good++;
        CHECK_INT(inet_pton(AF_INET6, host.name, actual), 1);
        assert_memory_equal(actual, expected, sizeof actual);
    }
    CHECK(good > 1000);
}

static void check_connect(const char *text, const char *name, uint16_t expected)
{
    struct host host;
    uint16_t port = 0;

    CHECK_INT(target_read_connect(span_text(text), &host, &port, &fixture_err), 0);
    CHECK_STR(host.name, name);
    CHECK_INT(port, expected);
}

TEST(target_connect_is_host_and_port_and_nothing_else_E3)
{
    static const char *const bad[] = {
        "",           "a",           ":443",       "a:",          "a:443:443",  "::1:443",
        "[::1]",      "[::1]443",    "user@a:443", "a:443/",      "a:443#",     "a:443?",
        "http://a:1", "a%2e:443",    "a :443",     "a: 443",      "a:443 ",     "a\t:443",
        "[name]:443", "[::1]:443:1", "a\\b:443",   "user:pw@a:1", "0177.1:443", "[::1]x:443",
        "a..:443",    "\"a\":443",   "a,b:443",    "a:443,a:443", "*:443",      "*.a.com:443",
    };

    check_connect("example.com:443", "example.com", 443);
    check_connect("EXAMPLE.com.:443", "example.com", 443);
    check_connect("127.0.0.1:80", "127.0.0.1", 80);
    check_connect("[::1]:65535", "::1", 65535);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct host host;
        uint16_t port;

        CHECK_INT(target_read_connect(span_text(bad[i]), &host, &port, &fixture_err), -1);
        CHECK_INT(fixture_err.code, ERR_TARGET);
    }
}

TEST(target_connect_takes_ports_of_1_to_5_digits_E10)
{
    static const char *const bad[] = {"a:0",     "a:65536",  "a:00443",          "a:+443",
                                      "a:-1",    "a:007",    "a:4 43",           "a:0x1bb",
                                      "a:443.0", "a:100000", "a:44\xef\xbc\x93", "a:443a"};

    check_connect("a:1", "a", 1);
    check_connect("a:65535", "a", 65535);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct host host;
        uint16_t port;

        CHECK_INT(target_read_connect(span_text(bad[i]), &host, &port, &fixture_err), -1);
        CHECK_INT(fixture_err.code, ERR_TARGET);
    }
}

TEST(target_authority_may_leave_the_port_out_C3)
{
    static const char *const bad[] = {"", ":443", "a:", "a, a", "user@a", "a/", "a b", "a:b"};
    struct host host;
    struct host other;
    uint16_t port;

    CHECK_INT(target_read_authority(span_text("A.com"), 443, &host, &port, &fixture_err), 0);
    CHECK_INT(port, 443);
    CHECK_INT(target_read_authority(span_text("a.COM.:443"), 1, &other, &port, &fixture_err), 0);
    CHECK_INT(port, 443);
    CHECK(target_is_same_host(&host, &other));
    CHECK_INT(target_read_authority(span_text("[::1]"), 443, &other, &port, &fixture_err), 0);
    CHECK_INT(port, 443);
    CHECK(!target_is_same_host(&host, &other));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(target_read_authority(span_text(bad[i]), 443, &host, &port, &fixture_err), -1);
        CHECK_INT(fixture_err.code, ERR_TARGET);
    }
}

TEST_MAIN(TEST_OF(target_host_has_one_spelling_of_a_name_E1),
          TEST_OF(target_host_refuses_empty_labels_E1),
          TEST_OF(target_host_refuses_what_is_not_ascii_E2),
          TEST_OF(target_host_knows_no_byte_but_those_of_names_E3),
          TEST_OF(target_host_bounds_names_and_labels),
          TEST_OF(target_host_takes_dotted_quads_only_E4),
          TEST_OF(target_host_writes_ipv6_as_rfc_5952), TEST_OF(target_host_refuses_other_ipv6),
          TEST_OF(target_host_agrees_with_inet_pton),
          TEST_OF(target_connect_is_host_and_port_and_nothing_else_E3),
          TEST_OF(target_connect_takes_ports_of_1_to_5_digits_E10),
          TEST_OF(target_authority_may_leave_the_port_out_C3))
