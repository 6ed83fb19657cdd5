/* SPDX-License-Identifier: Apache-2.0 */
/* The audit record: binary form, JSON line, and what hostile bytes make of it (threat J1). */
#include "test.h"

#include <jansson.h>

#include "base/limits.h"
#include "crypto/digest.h"
#include "gateway/record.h"

#define RECORD_BINARY_MAX 40960

static const char zeros[65] = "0000000000000000000000000000000000000000000000000000000000000000";
static char line_memory[RECORD_JSON_MAX + 1];
static uint8_t binary_memory[RECORD_BINARY_MAX];

static struct record record_usual(void)
{
    return (struct record){
        .time_ms = 1795460711123,
        .mono_ms = 5000,
        .tunnel = 17,
        .generation = 0x0123456789abcdefULL,
        .session = span_text("es_1"),
        .tenant = span_text("default"),
        .host = span_text("api.example.com"),
        .port = 443,
        .kind = RECORD_INSPECT,
        .method = span_text("POST"),
        .path = span_text("/v1/series?a=b"),
        .verdict = RECORD_ALLOW,
        .rule = span_text("metrics"),
        .credential = span_text("dd-api-key"),
        .status = 202,
        .reason = span_text(""),
        .detail = span_text(""),
        .address = span_text("93.184.216.34:443"),
        .bytes_in = 12,
        .bytes_out = 34,
        .ms = 56,
    };
}

static size_t line_write(const struct record *record, uint64_t seq, const char *prev, char *hash)
{
    struct text out;
    struct err err;

    text_init(&out, line_memory, RECORD_JSON_MAX);
    CHECK_INT(record_json(record, seq, 3, prev, hash, &out, &err), 0);
    (void)text_str(&out);
    line_memory[out.len] = '\0';
    return out.len;
}

static json_t *line_parse(size_t len)
{
    json_error_t why;
    json_t *root;

    CHECK(len > 1);
    CHECK_INT(line_memory[len - 1], '\n');
    CHECK(memchr(line_memory, '\n', len - 1) == NULL);
    root = json_loadb(line_memory, len - 1, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (root == NULL)
        print_error("%s at %d: %.200s\n", why.text, why.position, line_memory);
    CHECK(root != NULL);
    return root;
}

TEST(record_line_is_this_byte_for_byte)
{
    struct record record = record_usual();
    char hash[65];
    uint8_t digest[DIGEST_SHA256];
    char expected[1024];
    size_t len = line_write(&record, 7, zeros, hash);
    int head = snprintf(
        expected, sizeof expected,
        "{\"seq\":7,\"time\":\"2026-11-23T19:05:11.123Z\",\"mono_ms\":5000,\"session\":\"es_1\","
        "\"tenant\":\"default\",\"host\":\"api.example.com\",\"port\":443,\"kind\":\"inspect\","
        "\"method\":\"POST\","
        "\"path\":\"/v1/series?a=b\",\"decision\":\"allow\",\"rule\":\"metrics\","
        "\"credential\":\"dd-api-key\",\"status\":202,\"reason\":\"\",\"detail\":\"\","
        "\"address\":\"93.184.216.34:443\",\"bytes_in\":12,\"bytes_out\":34,\"ms\":56,"
        "\"worker\":3,\"tunnel\":17,\"policy\":\"0123456789abcdef\",\"prev\":\"%s\"",
        zeros);
    int end =
        snprintf(expected + head, sizeof expected - (size_t)head, ",\"hash\":\"%s\"}\n", hash);

    CHECK_STR(line_memory, expected);
    CHECK_INT(len, head + end);
    digest_sha256(span_of(line_memory, (size_t)head), digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        char pair[3];

        (void)snprintf(pair, sizeof pair, "%02x", digest[i]);
        CHECK(memcmp(pair, hash + 2 * i, 2) == 0);
    }
}

TEST(record_line_parses_with_every_field)
{
    static const char *const keys[] = {"seq",    "time",     "mono_ms",    "session",   "tenant",
                                       "host",   "port",     "method",     "kind",      "path",
                                       "rule",   "decision", "credential", "status",    "reason",
                                       "detail", "address",  "bytes_in",   "bytes_out", "ms",
                                       "worker", "tunnel",   "policy",     "prev",      "hash"};
    struct record record = record_usual();
    char hash[65];
    json_t *root = line_parse(line_write(&record, 1, zeros, hash));

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        CHECK(json_object_get(root, keys[i]) != NULL);
    CHECK_INT(json_object_size(root), sizeof keys / sizeof *keys);
    json_decref(root);
}

TEST(record_comes_back_as_it_was_written)
{
    struct record record = record_usual();
    struct record back;
    struct text out;
    struct err err;

    record.verdict = RECORD_DENY;
    record.reason = span_text("policy_denied");
    record.detail = span_text("no rule matches");
    text_init(&out, binary_memory, sizeof binary_memory);
    record_write(&record, &out);
    CHECK(!out.overflow);
    CHECK_INT(record_read(text_span(&out), &back, &err), 0);
    CHECK_INT(back.time_ms, record.time_ms);
    CHECK_INT(back.mono_ms, record.mono_ms);
    CHECK_INT(back.tunnel, 17);
    CHECK(back.generation == record.generation);
    CHECK_INT(back.port, 443);
    CHECK_INT(back.verdict, RECORD_DENY);
    CHECK_INT(back.status, 202);
    CHECK_INT(back.bytes_in, 12);
    CHECK_INT(back.bytes_out, 34);
    CHECK_INT(back.ms, 56);
    CHECK_INT(back.cut, 0);
    CHECK_INT(back.kind, RECORD_INSPECT);
    CHECK_SPAN(back.session, "es_1");
    CHECK_SPAN(back.tenant, "default");
    CHECK_SPAN(back.host, "api.example.com");
    CHECK_SPAN(back.method, "POST");
    CHECK_SPAN(back.path, "/v1/series?a=b");
    CHECK_SPAN(back.rule, "metrics");
    CHECK_SPAN(back.credential, "dd-api-key");
    CHECK_SPAN(back.reason, "policy_denied");
    CHECK_SPAN(back.detail, "no rule matches");
    CHECK_SPAN(back.address, "93.184.216.34:443");
}

TEST(record_tells_what_was_inspected_from_what_was_not)
{
    static const char *const words[] = {"", "inspect", "pass", "tcp"};

    for (int kind = RECORD_REFUSED; kind <= RECORD_TCP; kind++) {
        struct record record = record_usual();
        struct record back;
        struct text out;
        struct err err;
        char hash[65];
        json_t *root;

        record.kind = (enum record_kind)kind;
        record.cut = kind & 1;
        text_init(&out, binary_memory, sizeof binary_memory);
        record_write(&record, &out);
        CHECK_INT(record_read(text_span(&out), &back, &err), 0);
        CHECK_INT(back.kind, kind);
        CHECK_INT(back.cut, kind & 1);
        root = line_parse(line_write(&back, 1, zeros, hash));
        CHECK_STR(json_string_value(json_object_get(root, "kind")), words[kind]);
        json_decref(root);
    }
}

/* The longest of everything, each byte six in JSON: still one line, and it says that it is cut. */
TEST(record_cuts_what_is_too_long_and_says_so)
{
    static uint8_t long_bytes[1024 * 1024];
    struct span all = span_of(long_bytes, sizeof long_bytes);
    struct record record = record_usual();
    struct record back;
    struct text out;
    struct err err;
    char hash[65];
    json_t *root;

    memset(long_bytes, 1, sizeof long_bytes);
    record.session = record.tenant = record.host = record.method = record.path = all;
    record.rule = record.credential = record.reason = record.detail = record.address = all;
    text_init(&out, binary_memory, sizeof binary_memory);
    record_write(&record, &out);
    CHECK(!out.overflow);
    CHECK_INT(record_read(text_span(&out), &back, &err), 0);
    CHECK_INT(back.cut, 1);
    CHECK_INT(back.path.len, RECORD_PATH);
    root = line_parse(line_write(&back, UINT64_MAX / 100, zeros, hash));
    CHECK(json_is_true(json_object_get(root, "cut")));
    json_decref(root);
}

static uint64_t random_state = 88172645463325252ULL;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* What hostile requests are made of: quotes, line ends, escapes, NUL, RTL marks, broken UTF-8. */
static struct span random_bytes(uint8_t *memory, size_t max)
{
    static const char nasty[] =
        "\"\\\r\n\0\x1b[2J\xe2\x80\xae\xff\xc0\xaf\xed\xa0\x80}{,:\x7f\xf4\x90";
    size_t len = random_next() % (max + 1);

    for (size_t i = 0; i < len; i++) {
        uint64_t r = random_next();

        memory[i] = (uint8_t)(r >> 16);
        if ((r & 1) != 0)
            memory[i] = (uint8_t)nasty[(r >> 8) % (sizeof nasty - 1)];
    }
    return span_of(memory, len);
}

/* J1: 10^5 records of random bytes; as many lines, each of them JSON, none with a raw line end. */
TEST(record_lines_of_hostile_bytes_all_parse)
{
    static uint8_t memory[10][256];
    char prev[65];
    char hash[65];

    memcpy(prev, zeros, sizeof prev);
    for (unsigned n = 1; n <= 100000; n++) {
        struct record record = record_usual();
        struct record back;
        struct text out;
        struct err err;
        json_t *root;

        record.session = random_bytes(memory[0], 40);
        record.host = random_bytes(memory[1], 40);
        record.method = random_bytes(memory[2], 70);
        record.path = random_bytes(memory[3], 200);
        record.detail = random_bytes(memory[4], 120);
        record.reason = random_bytes(memory[5], 70);
        text_init(&out, binary_memory, sizeof binary_memory);
        record_write(&record, &out);
        CHECK_INT(record_read(text_span(&out), &back, &err), 0);
        root = line_parse(line_write(&back, n, prev, hash));
        CHECK_INT(json_integer_value(json_object_get(root, "seq")), n);
        json_decref(root);
        memcpy(prev, hash, sizeof prev);
    }
}

TEST(record_refuses_what_is_not_one)
{
    struct record record = record_usual();
    struct record back;
    struct text out;
    struct err err;

    text_init(&out, binary_memory, sizeof binary_memory);
    record_write(&record, &out);
    for (size_t len = 0; len < out.len; len++)
        CHECK_INT(record_read(span_of(binary_memory, len), &back, &err), -1);
    binary_memory[out.len] = 0;
    CHECK_INT(record_read(span_of(binary_memory, out.len + 1), &back, &err), -1);
    binary_memory[64 + 2] = 9; /* a verdict that does not exist */
    CHECK_INT(record_read(text_span(&out), &back, &err), -1);
    CHECK_INT(err.code, ERR_INTERNAL);
}

/* Any bytes from a worker that was taken over: an error or a record, never a read behind the end.
 */
TEST(record_reads_random_changes_safely)
{
    for (unsigned n = 0; n < 100000; n++) {
        struct record record = record_usual();
        struct record back;
        struct text out;
        struct err err;
        char hash[65];

        text_init(&out, binary_memory, sizeof binary_memory);
        record_write(&record, &out);
        for (unsigned i = 0; i < 3; i++)
            binary_memory[random_next() % out.len] = (uint8_t)random_next();
        if (record_read(text_span(&out), &back, &err) == 0)
            json_decref(line_parse(line_write(&back, 1, zeros, hash)));
    }
}

static int digest_ready(void **state)
{
    struct err err;

    (void)state;
    return digest_setup(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(record_line_is_this_byte_for_byte),
        TEST_OF(record_line_parses_with_every_field),
        TEST_OF(record_comes_back_as_it_was_written),
        TEST_OF(record_tells_what_was_inspected_from_what_was_not),
        TEST_OF(record_cuts_what_is_too_long_and_says_so),
        TEST_OF(record_lines_of_hostile_bytes_all_parse),
        TEST_OF(record_refuses_what_is_not_one),
        TEST_OF(record_reads_random_changes_safely),
    };

    return cmocka_run_group_tests(tests, digest_ready, NULL);
}
