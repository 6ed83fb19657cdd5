/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_BASE_ERR_H
#define EXEAT_BASE_ERR_H

#include <stdbool.h>

/*
 * Every way to fail, once. The HTTP status is what a client is told, the reason is the stable
 * word of `Exeat-Reason`, of the audit record and of the relay's log. "retry" says whether the
 * same request may succeed later without anybody changing anything.
 */
#define ERR_TABLE(X) /* code, HTTP status, reason, retry */                                        \
    X(OK, 200, "ok", false)                                                                        \
    X(SYNTAX, 400, "bad_request", false)                                                           \
    X(TARGET, 400, "bad_target", false)                                                            \
    X(HELLO, 400, "bad_hello", false)                                                              \
    X(CHUNK, 400, "bad_chunk", false)                                                              \
    X(TOO_LARGE, 431, "head_too_large", false)                                                     \
    X(METHOD, 405, "method_not_allowed", false)                                                    \
    X(UNSUPPORTED, 501, "not_supported", false)                                                    \
    X(NOT_FOUND, 404, "not_found", false)                                                          \
    X(UPGRADE, 426, "upgrade_required", false)                                                     \
    X(MEDIA_TYPE, 415, "wrong_content_type", false)                                                \
    X(TOKEN_MISSING, 401, "token_missing", false)                                                  \
    X(TOKEN_INVALID, 401, "token_invalid", false)                                                  \
    X(TOKEN_EXPIRED, 401, "token_expired", false)                                                  \
    X(SESSION_REVOKED, 401, "session_revoked", false)                                              \
    X(SESSION_MISMATCH, 407, "session_mismatch", false)                                            \
    X(POLICY, 403, "policy_denied", false)                                                         \
    X(ADDRESS, 403, "address_denied", false)                                                       \
    X(MISDIRECTED, 421, "name_mismatch", false)                                                    \
    X(DNS, 502, "dns_failed", true)                                                                \
    X(CONNECT, 502, "connect_failed", true)                                                        \
    X(CERT_UNTRUSTED, 502, "origin_cert_untrusted", false)                                         \
    X(CERT_EXPIRED, 502, "origin_cert_expired", false)                                             \
    X(CERT_NAME, 502, "origin_cert_wrong_name", false)                                             \
    X(CERT_INVALID, 502, "origin_cert_invalid", false)                                             \
    X(TLS, 502, "tls_failed", false)                                                               \
    X(ORIGIN_SYNTAX, 502, "origin_bad_response", false)                                            \
    X(ORIGIN_CLOSED, 502, "origin_closed", true)                                                   \
    X(GATEWAY, 502, "gateway_unreachable", true)                                                   \
    X(TIMEOUT, 504, "timeout", true)                                                               \
    X(REQUEST_TIMEOUT, 408, "request_timeout", true)                                               \
    X(CREDENTIAL, 503, "credential_unavailable", true)                                             \
    X(AUDIT, 503, "audit_unavailable", true)                                                       \
    X(LIMIT, 503, "limit_reached", true)                                                           \
    X(TENANT_LIMIT, 429, "tenant_limit", true)                                                     \
    X(SESSION_LIMIT, 429, "session_limit", true)                                                   \
    X(DRAINING, 503, "draining", true)                                                             \
    X(CLOSED, 499, "client_closed", true)                                                          \
    X(CONFIG, 500, "bad_configuration", false)                                                     \
    X(MEMORY, 503, "out_of_memory", true)                                                          \
    X(SYSTEM, 500, "system_error", true)                                                           \
    X(INTERNAL, 500, "internal_error", true)

enum err_code {
#define ERR_ENUM(code, status, reason, retry) ERR_##code,
    ERR_TABLE(ERR_ENUM)
#undef ERR_ENUM
        ERR_COUNT
};

/*
 * What went wrong and where. Lives on the stack or in the connection; setting it is returning it.
 * `text` is printable ASCII, bounded, and never holds a secret.
 */
struct err {
    enum err_code code;
    int sys; /* errno, or 0 */
    char text[112];
};

/* Fill *err and return -1. Bytes that are not printable ASCII become '?'. */
int err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a failed system call: `sys` is its errno, whose words are added. */
int err_set_sys(struct err *err, enum err_code code, int sys, const char *what);

#ifdef __clang_analyzer__ /* which does not see the function's body, and that it returns -1 */
#define err_set(...)     ((err_set)(__VA_ARGS__), -1)
#define err_set_sys(...) ((err_set_sys)(__VA_ARGS__), -1)
#endif

void err_clear(struct err *err);

/* HTTP status for a code, 200 to 599. */
int err_status(enum err_code code);

/* Stable lower-case word for a code. Static storage. */
const char *err_reason(enum err_code code);

bool err_can_retry(enum err_code code);

/* The code for a number from another process; ERR_INTERNAL if it is none. */
enum err_code err_from_number(unsigned number);

#endif
