/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our reader of requests against llhttp, the one of Node.js. What we accept llhttp must accept and
 * read as the same requests: method, target, version, fields, content, where each ends. What we
 * refuse and llhttp takes must have a reason of the table below. Any other difference fails.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <llhttp.h>

#include "base/num.h"
#include "generate.h"
#include "outcome.h"

struct reason {
    const char *text; /* how it begins */
    const char *why;
    uint64_t count;
};

/* We refuse, llhttp goes on: each is what the threat model wants, or what RFC 9112 says. */
static struct reason we_refuse[] = {
    {"no message starts with", "A5: something before the request line", 0},
    {"head: bare LF", "A5: a bare LF", 0},
    {"request target: byte", "A5: no single blank around the target, or a byte that is no URI's",
     0},
    {"HTTP version", "A5: not HTTP/ digit . digit behind one blank", 0},
    {"version ", "A11: a version that is not 1.0 or 1.1", 0},
    {"folded field", "A4: a folded field", 0},
    {"field name", "A4, A5: no token before the colon", 0},
    {"no Host field", "RFC 9112 section 3.2: no Host in HTTP/1.1", 0},
    {"2 Host fields", "C3: two Host fields", 0},
    {"3 Host fields", "C3: three Host fields", 0},
    {"Content-Length and Transfer-Encoding", "A1: both lengths", 0},
    {"Content-Length is not", "A2: not one run of 1 to 18 digits", 0},
    {"HTAB in Content-Length", "A2: HTAB beside the length", 0},
    {"a field that looks like", "A2, A3: Content_Length and Transfer_Encoding", 0},
    {"Transfer-Encoding is not", "A3: not just 'chunked'", 0},
    {"Transfer-Encoding in HTTP/1.0", "A3: chunks in HTTP/1.0", 0},
    {"HTAB in Transfer-Encoding", "A3: HTAB beside the coding", 0},
    {"HTAB in Connection", "A3: HTAB beside keep-alive or close", 0},
    {"CONNECT with content", "RFC 9110 section 9.3.6: CONNECT with content", 0},
    {"chunk size of more than", "A6: more than 16 digits", 0},
    {"too long chunk extensions", "A6: extensions over their limit", 0},
    {"trailer name", "A7: a trailer that is no field", 0},
    {"head of more than", "A10: a head over 64 KiB", 0},
    {"field line of", "A10: a field over 16 KiB", 0},
    {"more than 128 fields", "A10: too many fields", 0},
    {"request target of", "A10: a target over 16 KiB", 0},
    {"target: path", "E12: a path that readers could understand in two ways", 0},
    {"target: host", "E3, E4: no host", 0},
    {"target: port", "E10: no port", 0},
    {"target: a CONNECT target", "A9: CONNECT without a port", 0},
    {"target: target", "A9: neither a path nor an http or https URL", 0},
    {NULL, NULL, 0},
};

/*
 * We take it, llhttp does not. Only what cannot move a border between requests for whoever reads
 * what we write: methods, and what we read and drop.
 */
static struct reason they_refuse[] = {
    {"unknown method: ", "RFC 9110 section 9.1: any token is a method; llhttp has a list", 0},
    {"PRI: ", "the method PRI in HTTP/1.1 is a method like any other", 0},
    {"extension: ", "A6: we drop chunk extensions, whatever visible bytes they are made of", 0},
    {"trailer: ", "A7: we drop trailers; llhttp reads lengths and codings in them", 0},
    {NULL, NULL, 0},
};

/* --- llhttp's outcome --- */

struct theirs {
    llhttp_t parser; /* first: what callbacks get */
    struct outcome *outcome;
    size_t value_at; /* in the outcome's memory */
    bool is_body;    /* the head is complete: fields are trailers */
    const char *where;
};

static struct theirs *theirs_of(llhttp_t *parser)
{
    return (struct theirs *)(void *)parser;
}

static struct outcome_message *current(struct theirs *theirs)
{
    return &theirs->outcome->messages[theirs->outcome->count];
}

static int on_begin(llhttp_t *parser)
{
    struct theirs *theirs = theirs_of(parser);

    theirs->is_body = false;
    theirs->where = "";
    *current(theirs) = (struct outcome_message){.at = theirs->outcome->used};
    return 0;
}

static int on_head_bytes(llhttp_t *parser, const char *at, size_t len)
{
    struct theirs *theirs = theirs_of(parser);

    if (!theirs->is_body)
        outcome_add(theirs->outcome, at, len);
    return 0;
}

static int on_name_bytes(llhttp_t *parser, const char *at, size_t len)
{
    struct theirs *theirs = theirs_of(parser);

    if (theirs->is_body)
        theirs->where = "trailer: ";
    return on_head_bytes(parser, at, len);
}

/* From the first byte of an extension to the end of the line. */
static int on_extension(llhttp_t *parser, const char *at, size_t len)
{
    (void)at;
    (void)len;
    theirs_of(parser)->where = "extension: ";
    return 0;
}

static int on_chunk(llhttp_t *parser)
{
    theirs_of(parser)->where = "";
    return 0;
}

static int on_line_end(llhttp_t *parser)
{
    return on_head_bytes(parser, "\n", 1);
}

static int on_name_end(llhttp_t *parser)
{
    struct theirs *theirs = theirs_of(parser);

    (void)on_head_bytes(parser, ":", 1);
    theirs->value_at = theirs->outcome->used;
    return 0;
}

/* Blanks behind a value are left to the user of llhttp. */
static int on_value_end(llhttp_t *parser)
{
    struct theirs *theirs = theirs_of(parser);
    struct outcome *outcome = theirs->outcome;

    if (theirs->is_body)
        return 0;
    while (outcome->used > theirs->value_at && (outcome->memory[outcome->used - 1] == ' ' ||
                                                outcome->memory[outcome->used - 1] == '\t'))
        outcome->used--;
    return on_line_end(parser);
}

static int on_head_end(llhttp_t *parser)
{
    struct theirs *theirs = theirs_of(parser);
    struct outcome_message *message = current(theirs);

    theirs->is_body = true;
    message->head_len = theirs->outcome->used - message->at;
    if (parser->method != HTTP_CONNECT)
        parser->upgrade = 0; /* an upgrade is ours to refuse: the next request is one */
    theirs->outcome->count++;
    return 0;
}

static int on_body_bytes(llhttp_t *parser, const char *at, size_t len)
{
    struct theirs *theirs = theirs_of(parser);

    outcome_add(theirs->outcome, at, len);
    theirs->outcome->messages[theirs->outcome->count - 1].body_len += len;
    return 0;
}

static int on_end(llhttp_t *parser)
{
    struct theirs *theirs = theirs_of(parser);
    struct outcome_message *message = &theirs->outcome->messages[theirs->outcome->count - 1];

    message->is_complete = true;
    message->is_last = !llhttp_should_keep_alive(parser) || parser->method == HTTP_CONNECT;
    return HPE_PAUSED; /* which tells where */
}

/* method, target and version are written when the version is known. */
static int on_version_end(llhttp_t *parser)
{
    struct theirs *theirs = theirs_of(parser);
    char version[16];
    int len =
        snprintf(version, sizeof version, "\n%u.%u\n", parser->http_major, parser->http_minor);

    outcome_add(theirs->outcome, version, (size_t)len);
    return 0;
}

static void theirs_read(struct span stream, struct outcome *outcome)
{
    static llhttp_settings_t settings;
    static struct theirs theirs;
    const char *at = (const char *)stream.ptr;
    const char *end = at + stream.len;

    outcome->count = 0;
    outcome->used = 0;
    outcome->end = OUTCOME_WAITS;
    outcome->why[0] = '\0';
    llhttp_settings_init(&settings);
    settings.on_message_begin = on_begin;
    settings.on_method = on_head_bytes;
    settings.on_method_complete = on_line_end;
    settings.on_url = on_head_bytes;
    settings.on_version_complete = on_version_end;
    settings.on_header_field = on_name_bytes;
    settings.on_chunk_extension_name = on_extension;
    settings.on_chunk_extension_value = on_extension;
    settings.on_chunk_header = on_chunk;
    settings.on_header_field_complete = on_name_end;
    settings.on_header_value = on_head_bytes;
    settings.on_header_value_complete = on_value_end;
    settings.on_headers_complete = on_head_end;
    settings.on_body = on_body_bytes;
    settings.on_message_complete = on_end;
    llhttp_init(&theirs.parser, HTTP_REQUEST, &settings);
    theirs.outcome = outcome;
    theirs.is_body = false;
    theirs.where = "";
    while (at < end && outcome->count < OUTCOME_COUNT) {
        llhttp_errno_t error = llhttp_execute(&theirs.parser, at, (size_t)(end - at));
        struct outcome_message *last =
            outcome->count > 0 ? &outcome->messages[outcome->count - 1] : NULL;

        if (error == HPE_OK)
            return;
        if (error != HPE_PAUSED && error != HPE_PAUSED_UPGRADE) {
            if (strstr(llhttp_get_error_reason(&theirs.parser), "chunk extensions") != NULL)
                theirs.where = "extension: ";
            outcome->end = OUTCOME_REFUSES;
            (void)snprintf(outcome->why, sizeof outcome->why, "%s%s: %s", theirs.where,
                           llhttp_errno_name(error), llhttp_get_error_reason(&theirs.parser));
            return;
        }
        at = llhttp_get_error_pos(&theirs.parser);
        ENSURE(last != NULL);
        last->end = (size_t)((const uint8_t *)at - stream.ptr);
        if (error == HPE_PAUSED_UPGRADE || last->is_last) {
            outcome->end = OUTCOME_CLOSES;
            return;
        }
        llhttp_resume(&theirs.parser);
    }
}

/* --- comparing --- */

static struct outcome ours;
static struct outcome theirs;
static uint64_t same_messages;
static uint64_t proxy_connections;

static bool is_their_method(struct span method)
{
    for (int i = 0; i <= HTTP_SOURCE; i++) {
        if (span_equal(method, span_text(llhttp_method_name((llhttp_method_t)i))))
            return true;
    }
    return false;
}

/* What is special about our i-th request that llhttp has refused; "" if nothing is. */
static const char *method_mark(size_t i)
{
    struct span head = outcome_head(&ours, i);
    struct span method = span_first(head, (size_t)span_find(head, '\n'));

    if (span_equal(method, span_text("PRI")))
        return "PRI: ";
    return is_their_method(method) ? "" : "unknown method: ";
}

/* A field that only concerns proxies, which llhttp reads as Connection. */
static bool has_proxy_connection(size_t i)
{
    struct span head = outcome_head(&ours, i);

    for (ssize_t at = span_find(head, '\n'); at >= 0; at = span_find(head, '\n')) {
        head = span_from(head, (size_t)at + 1);
        if (head.len > 17 &&
            span_equal_nocase(span_first(head, 17), span_text("proxy-connection:")))
            return true;
    }
    return false;
}

/* NULL if there is a reason, which is counted, else what is not explained. */
static const char *explain(struct reason *reasons, const char *text, const char *what)
{
    for (struct reason *at = reasons; at->text != NULL; at++) {
        if (strncasecmp(text, at->text, strlen(at->text)) == 0) {
            at->count++;
            return NULL;
        }
    }
    return what;
}

/* One of the two has nothing more at this place: no head, or content without its end. */
static const char *missing_explain(bool is_ours, const char *waiting, const char *what)
{
    const struct outcome *who = is_ours ? &ours : &theirs;

    if (who->end == OUTCOME_REFUSES)
        return explain(is_ours ? we_refuse : they_refuse, who->why, what);
    return waiting;
}

static bool is_prefix(struct span a, struct span b)
{
    return a.len <= b.len ? span_starts(b, a) : span_starts(a, b);
}

/* The i-th message, which both have. *goes_on: both have all of it. */
static const char *message_compare(size_t i, bool *goes_on)
{
    const struct outcome_message *a = &ours.messages[i];
    const struct outcome_message *b = &theirs.messages[i];

    *goes_on = false;
    if (!span_equal(outcome_head(&ours, i), outcome_head(&theirs, i)))
        return "heads differ";
    if (!is_prefix(outcome_body(&ours, i), outcome_body(&theirs, i)))
        return "contents differ";
    if (!a->is_complete && !b->is_complete) {
        if (ours.end == OUTCOME_WAITS && theirs.end == OUTCOME_REFUSES)
            return explain(they_refuse, theirs.why, "they refuse content that we go on reading");
        return NULL;
    }
    if (!a->is_complete)
        return missing_explain(true, "they see the end of content, we wait",
                               "they see the end of content, we refuse it");
    if (!b->is_complete)
        return missing_explain(false, "we see the end of content, they wait",
                               "we see the end of content, they refuse it");
    if (a->body_len != b->body_len || a->end != b->end)
        return "ends differ";
    if (!a->is_last && b->is_last && has_proxy_connection(i)) {
        proxy_connections++;
        return NULL;
    }
    if (!a->is_last && b->is_last)
        return "we go on behind a message that is their last";
    same_messages++;
    *goes_on = !a->is_last;
    return NULL;
}

static const char *compare(void)
{
    bool goes_on = true;

    for (size_t i = 0; goes_on && i < OUTCOME_COUNT; i++) {
        const char *unexplained;

        if (i >= ours.count && i >= theirs.count)
            return NULL;
        if (i >= ours.count)
            return missing_explain(true, "they see a request, we wait",
                                   "they see a request, we refuse it");
        if (i >= theirs.count && theirs.end == OUTCOME_REFUSES && method_mark(i)[0] != '\0')
            return explain(they_refuse, method_mark(i), "a method without a reason");
        if (i >= theirs.count)
            return missing_explain(false, "we see a request, they wait",
                                   "we see a request, they refuse it");
        unexplained = message_compare(i, &goes_on);
        if (unexplained != NULL)
            return unexplained;
    }
    return NULL;
}

static void dump(const char *who, const struct outcome *outcome)
{
    static const char *const ends[] = {"waits", "refuses", "closes"};

    (void)printf("  %s: %zu requests, %s: %s\n", who, outcome->count, ends[outcome->end],
                 outcome->why);
    for (size_t i = 0; i < outcome->count; i++)
        (void)printf("    ends at %zu, %zu bytes of content%s: %.*s\n", outcome->messages[i].end,
                     outcome->messages[i].body_len,
                     outcome->messages[i].is_complete ? "" : ", not complete",
                     (int)num_min(outcome->messages[i].head_len, 300),
                     (const char *)outcome_head(outcome, i).ptr);
}

static void report(uint64_t seed, struct span stream, const char *what)
{
    (void)printf("seed %" PRIu64 ": %s\n  ", seed, what);
    for (size_t i = 0; i < stream.len && i < 700; i++) {
        uint8_t byte = stream.ptr[i];

        (void)printf(byte < 0x20 || byte > 0x7e || byte == '\\' ? "\\x%02x" : "%c", byte);
    }
    (void)printf("\n");
    dump("ours", &ours);
    dump("theirs", &theirs);
}

static void reasons_print(const char *title, const struct reason *reasons)
{
    (void)printf("%s\n", title);
    for (; reasons->text != NULL; reasons++)
        (void)printf("%10" PRIu64 "  %s (%s)\n", reasons->count, reasons->why, reasons->text);
}

int main(int argc, char **argv)
{
    static uint8_t stream[GENERATE_MAX];
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    uint64_t bytes = 0;
    uint64_t bad = 0;

    for (uint64_t seed = first; seed < first + count && bad < 50; seed++) {
        struct span in = span_of(stream, generate_requests(seed, stream));
        const char *what;

        bytes += in.len;
        outcome_read(in, seed, &ours);
        theirs_read(in, &theirs);
        what = compare();
        if (what != NULL || argc > 3) {
            report(seed, in, what == NULL ? "asked for" : what);
            bad += what != NULL;
        }
    }
    (void)printf("%" PRIu64 " streams, %" PRIu64 " bytes; %" PRIu64 " requests read alike\n", count,
                 bytes, same_messages);
    reasons_print("we refuse, llhttp takes:", we_refuse);
    reasons_print("we take, llhttp refuses:", they_refuse);
    (void)printf("%10" PRIu64 "  we go on behind Proxy-Connection: close, which means nothing "
                 "(RFC 9110 appendix B)\n",
                 proxy_connections);
    (void)printf("%" PRIu64 " differences without a reason\n", bad);
    return bad > 0 || same_messages < count / 3;
}
