/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_HTTP_H1_READ_H
#define EXEAT_HTTP_H1_READ_H

#include "http/message.h"

/* Places in the field array beyond those read, for fields that are added. */
#define H1_FIELDS_SPARE 16

/*
 * Parse one head from `in`, strictly (threats A1-A5, A9-A11): CRLF only, no obs-fold, no blank
 * before the colon, no control bytes, one or no Content-Length of 1 to 18 digits, Transfer-Encoding
 * only "chunked" and only in 1.1, never both; no HTAB in these two and in Connection;
 * HTTP/1.1 requests have exactly one Host.
 * Fills the framing too. Returns bytes consumed, 0 if `in` ends too early, -1 with *err filled
 * (ERR_SYNTAX, ERR_TOO_LARGE, ERR_UNSUPPORTED; responses: ERR_ORIGIN_SYNTAX; ERR_MEMORY).
 * *scanned remembers between calls how much of `in` holds no end; start with 0.
 * Spans borrow from `in`; the field array lives in `arena`.
 */
ssize_t h1_read_request(struct span in, size_t *scanned, struct arena *arena,
                        struct http_request *request, struct err *err);

/* `method`: of the request that is answered; HEAD and CONNECT change the framing. */
ssize_t h1_read_response(struct span in, size_t *scanned, struct span method, struct arena *arena,
                         struct http_response *response, struct err *err);

/*
 * Only find where a head ends: its length with the empty line, 0 if `in` ends too early, -1 with
 * the codes above. What can be no head (a bare LF, a byte that starts no message) is told at once.
 */
enum h1_read_kind { H1_READ_REQUEST, H1_READ_RESPONSE };

ssize_t h1_read_end(struct span in, size_t *scanned, enum h1_read_kind kind, struct err *err);

#endif
