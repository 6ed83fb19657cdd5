/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_HTTP_H1_WRITE_H
#define EXEAT_HTTP_H1_WRITE_H

#include "base/buf.h"
#include "http/message.h"

/*
 * Messages rebuilt from their parts. The writer itself adds Content-Length or Transfer-Encoding
 * and Connection from `framing`; the fields must not hold them any more. A name that is no token
 * or a value with CR, LF or NUL is ERR_INTERNAL: nothing like that is ever sent. ERR_LIMIT or
 * ERR_MEMORY when `out` has no room: then nothing was written.
 */
int h1_write_request(const struct http_request *request, struct buf *out, struct err *err);

/* `method` of the request: a response to HEAD keeps its Content-Length but has no content. */
int h1_write_response(const struct http_response *response, struct span method, struct buf *out,
                      struct err *err);

/*
 * Content goes out as head + bytes + tail. Both are empty unless the framing is chunked.
 * The head needs at most H1_CHUNK_HEAD bytes, the tail is CRLF.
 */
#define H1_CHUNK_HEAD 18
size_t h1_write_chunk_head(const struct http_framing *framing, size_t len,
                           uint8_t head[H1_CHUNK_HEAD]);
struct span h1_write_chunk_tail(const struct http_framing *framing);

/* What ends the content: "0" CRLF CRLF for chunked, else empty. Static storage. */
struct span h1_write_end(const struct http_framing *framing);

#endif
