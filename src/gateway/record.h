/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_RECORD_H
#define EXEAT_GATEWAY_RECORD_H

#include "base/err.h"
#include "base/span.h"
#include "base/text.h"

/*
 * The audit record of one exchange, or (method CONNECT) of a tunnel: one that is carried unread, or
 * that ended before there was an exchange. A worker sends it in binary; only the auditor makes text
 * of it, so that one record is always one valid JSON line (threat J1). Byte strings are bounded:
 * what is longer is cut, and `cut` says so.
 */
#define RECORD_PATH   16384
#define RECORD_METHOD 64
#define RECORD_DETAIL 112

enum record_verdict { RECORD_ALLOW, RECORD_DENY, RECORD_ERROR };

/* How the tunnel is carried, by the rule that opens it; RECORD_REFUSED: none does. */
enum record_kind { RECORD_REFUSED, RECORD_INSPECT, RECORD_PASS, RECORD_TCP };

struct record {
    int64_t time_ms; /* wall clock at the start */
    int64_t mono_ms; /* monotonic clock at the start */
    uint64_t tunnel; /* number of the tunnel in its worker */
    uint64_t generation;
    struct span session;
    struct span tenant;
    struct span host; /* canonical name of the tunnel */
    uint16_t port;
    enum record_kind kind;
    struct span method;
    struct span path; /* with the query */
    enum record_verdict verdict;
    struct span rule;       /* name, or empty */
    struct span credential; /* name, or empty; several with ',' */
    int status;             /* sent to the client; 0: none */
    struct span reason;     /* Exeat-Reason word, or empty */
    struct span detail;     /* err.text, or empty */
    struct span address;    /* dialled, or empty */
    uint64_t bytes_in;      /* content of the request; unread: what the origin was sent */
    uint64_t bytes_out;     /* content of the response; unread: what came from the origin */
    uint64_t ms;            /* duration */
    int cut;                /* a field was longer than its bound */
};

/* Binary form for BEGIN and END; at most 40960 bytes. */
void record_write(const struct record *record, struct text *out);

/* Spans borrow from `in`. ERR_INTERNAL. */
int record_read(struct span in, struct record *record, struct err *err);

/*
 * One JSON line with its newline: seq, time (RFC 3339), mono_ms, session, tenant, host, port, kind
 * ("inspect", "pass", "tcp" or ""), method, path, decision ("allow", "deny", "error"), rule,
 * credential, status, reason, detail, address, bytes_in, bytes_out, ms, worker, tunnel, policy
 * (generation, hex), cut (if so), prev, hash. `hash` is SHA-256 over the line's bytes up to
 * `,"hash"`; `prev` is the hash of the line before (64 zeros for the first). `hash` is filled for
 * the next line. ERR_LIMIT.
 */
int record_json(const struct record *record, uint64_t seq, unsigned worker, const char prev[65],
                char hash[65], struct text *out, struct err *err);

/* Room for any line. */
#define RECORD_JSON_MAX 131072

#endif
