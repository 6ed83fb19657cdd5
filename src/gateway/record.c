/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit record in its binary form (host byte order: it never leaves the machine) and as one
 * line of JSON. Numbers come first, then every string behind its 16-bit length.
 */
#include "gateway/record.h"

#include "base/limits.h"
#include "crypto/digest.h"
#include "os/clock.h"

#define RECORD_VERSION   1
#define RECORD_WORDS     10
#define RECORD_SPANS     10
#define RECORD_SHORT_MAX 64
#define RECORD_LIST_MAX  512 /* several names of credentials */

/* What every JSON reader takes (RFC 7493 section 2.2), and the end of year 9999 (RFC 3339). */
#define RECORD_NUMBER_MAX 9007199254740991ULL
#define RECORD_TIME_MAX   253402300799999LL

static const char *const verdict_words[] = {
    [RECORD_ALLOW] = "allow", [RECORD_DENY] = "deny", [RECORD_ERROR] = "error"};

static const char *const kind_words[] = {[RECORD_REFUSED] = "",
                                         [RECORD_INSPECT] = "inspect",
                                         [RECORD_PASS] = "pass",
                                         [RECORD_TCP] = "tcp"};

/* The strings of a record in the order of its binary form, each with its bound. */
struct record_spans {
    const struct span *at[RECORD_SPANS];
    size_t max[RECORD_SPANS];
};

static struct record_spans record_spans_of(const struct record *record)
{
    return (struct record_spans){
        .at = {&record->session, &record->tenant, &record->host, &record->method, &record->path,
               &record->rule, &record->credential, &record->reason, &record->detail,
               &record->address},
        .max = {LIMIT_SESSION_ID, LIMIT_NAME, LIMIT_HOST + 3, RECORD_METHOD, RECORD_PATH,
                LIMIT_NAME, RECORD_LIST_MAX, RECORD_SHORT_MAX, RECORD_DETAIL, RECORD_SHORT_MAX},
    };
}

static void word_add(struct text *out, uint64_t word)
{
    text_add(out, span_of(&word, sizeof word));
}

static uint64_t record_flags(const struct record *record)
{
    return (uint64_t)record->port | (uint64_t)record->verdict << 16 |
           (uint64_t)(uint16_t)record->status << 24 | (uint64_t)(record->cut != 0) << 40 |
           (uint64_t)record->kind << 41;
}

void record_write(const struct record *record, struct text *out)
{
    struct record_spans spans = record_spans_of(record);
    struct record marked = *record;

    for (size_t i = 0; i < RECORD_SPANS; i++)
        marked.cut |= spans.at[i]->len > spans.max[i];
    word_add(out, RECORD_VERSION);
    word_add(out, (uint64_t)record->time_ms);
    word_add(out, (uint64_t)record->mono_ms);
    word_add(out, record->tunnel);
    word_add(out, record->generation);
    word_add(out, record->bytes_in);
    word_add(out, record->bytes_out);
    word_add(out, record->ms);
    word_add(out, record_flags(&marked));
    word_add(out, 0); /* room for one more number */
    for (size_t i = 0; i < RECORD_SPANS; i++) {
        struct span part = span_first(
            *spans.at[i], spans.at[i]->len < spans.max[i] ? spans.at[i]->len : spans.max[i]);
        uint16_t len = (uint16_t)part.len;

        text_add(out, span_of(&len, sizeof len));
        text_add(out, part);
    }
}

static int part_read(struct span *in, size_t max, struct span *part, struct err *err)
{
    uint16_t len;

    if (in->len < sizeof len)
        return err_set(err, ERR_INTERNAL, "record ends early");
    memcpy(&len, in->ptr, sizeof len);
    *in = span_from(*in, sizeof len);
    if (len > max || len > in->len)
        return err_set(err, ERR_INTERNAL, "record with a string of %u bytes", len);
    *part = span_first(*in, len);
    *in = span_from(*in, len);
    return 0;
}

static int flags_read(uint64_t flags, struct record *record, struct err *err)
{
    unsigned verdict = (unsigned)(flags >> 16 & 0xff);

    if (verdict > RECORD_ERROR)
        return err_set(err, ERR_INTERNAL, "record with verdict %u", verdict);
    record->port = (uint16_t)(flags & 0xffff);
    record->verdict = (enum record_verdict)verdict;
    record->status = (int)(flags >> 24 & 0xffff);
    record->cut = (int)(flags >> 40 & 1);
    record->kind = (enum record_kind)(flags >> 41 & 3);
    return 0;
}

int record_read(struct span in, struct record *record, struct err *err)
{
    uint64_t words[RECORD_WORDS];
    struct span parts[RECORD_SPANS];
    struct record_spans spans = record_spans_of(record);

    if (in.len < sizeof words)
        return err_set(err, ERR_INTERNAL, "record of %zu bytes", in.len);
    memcpy(words, in.ptr, sizeof words);
    if (words[0] != RECORD_VERSION)
        return err_set(err, ERR_INTERNAL, "record of unknown version");
    in = span_from(in, sizeof words);
    for (size_t i = 0; i < RECORD_SPANS; i++) {
        if (part_read(&in, spans.max[i], &parts[i], err) < 0)
            return -1;
    }
    if (in.len != 0)
        return err_set(err, ERR_INTERNAL, "record with %zu bytes too many", in.len);
    *record = (struct record){
        .time_ms = (int64_t)words[1],
        .mono_ms = (int64_t)words[2],
        .tunnel = words[3],
        .generation = words[4],
        .bytes_in = words[5],
        .bytes_out = words[6],
        .ms = words[7],
        .session = parts[0],
        .tenant = parts[1],
        .host = parts[2],
        .method = parts[3],
        .path = parts[4],
        .rule = parts[5],
        .credential = parts[6],
        .reason = parts[7],
        .detail = parts[8],
        .address = parts[9],
    };
    return flags_read(words[8], record, err);
}

static void json_string(struct text *out, const char *name, struct span value)
{
    text_addf(out, ",\"%s\":", name);
    text_add_json(out, value);
}

static void json_number(struct text *out, const char *name, uint64_t value)
{
    if (value > RECORD_NUMBER_MAX)
        value = RECORD_NUMBER_MAX;
    text_addf(out, ",\"%s\":%llu", name, (unsigned long long)value);
}

static void json_who_and_what(struct text *out, const struct record *record, uint64_t seq)
{
    int64_t time_ms = record->time_ms < 0 ? 0 : record->time_ms;

    if (time_ms > RECORD_TIME_MAX)
        time_ms = RECORD_TIME_MAX;
    text_addf(out, "{\"seq\":%llu,\"time\":\"", (unsigned long long)seq);
    clock_write(out, time_ms);
    text_add_char(out, '"');
    json_number(out, "mono_ms", record->mono_ms < 0 ? 0 : (uint64_t)record->mono_ms);
    json_string(out, "session", record->session);
    json_string(out, "tenant", record->tenant);
    json_string(out, "host", record->host);
    json_number(out, "port", record->port);
    json_string(out, "kind", span_text(kind_words[record->kind]));
    json_string(out, "method", record->method);
    json_string(out, "path", record->path);
}

static void json_outcome(struct text *out, const struct record *record, unsigned worker)
{
    json_string(out, "decision", span_text(verdict_words[record->verdict]));
    json_string(out, "rule", record->rule);
    json_string(out, "credential", record->credential);
    json_number(out, "status", (uint64_t)record->status);
    json_string(out, "reason", record->reason);
    json_string(out, "detail", record->detail);
    json_string(out, "address", record->address);
    json_number(out, "bytes_in", record->bytes_in);
    json_number(out, "bytes_out", record->bytes_out);
    json_number(out, "ms", record->ms);
    json_number(out, "worker", worker);
    json_number(out, "tunnel", record->tunnel);
    text_addf(out, ",\"policy\":\"%016llx\"", (unsigned long long)record->generation);
    if (record->cut)
        text_add_str(out, ",\"cut\":true");
}

int record_json(const struct record *record, uint64_t seq, unsigned worker, const char prev[65],
                char hash[65], struct text *out, struct err *err)
{
    uint8_t digest[DIGEST_SHA256];
    struct text hex;
    size_t start = out->len;

    ENSURE(record->verdict <= RECORD_ERROR && record->kind <= RECORD_TCP && record->status >= 0);
    json_who_and_what(out, record, seq);
    json_outcome(out, record, worker);
    text_addf(out, ",\"prev\":\"%.64s\"", prev);
    if (text_check(out, "audit record", err) < 0)
        return -1;
    digest_sha256(span_from(text_span(out), start), digest);
    text_init(&hex, hash, 65);
    text_add_hex(&hex, span_of(digest, sizeof digest));
    (void)text_str(&hex);
    text_addf(out, ",\"hash\":\"%s\"}\n", hash);
    return text_check(out, "audit record", err);
}
