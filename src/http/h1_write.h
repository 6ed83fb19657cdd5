/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_HTTP_H1_WRITE_H
#define EXEAT_HTTP_H1_WRITE_H

#include "base/buf.h"
#include "http/message.h"

/*
 * Messages rebuilt from their parts: the start line, the fields in their order, then what follows
 * from `framing`: Content-Length or Transfer-Encoding, and Connection. The fields must not hold
 * those any more (but for "Connection: Upgrade"). Without content, "Content-Length: 0" is written
 * where a reader would wait for content: after POST, PUT, PATCH and in responses that may have
 * some. HTTP_1_0 is written as 1.0, with "Connection: keep-alive" for HTTP_KEEP; everything else
 * as 1.1.
 *
 * ERR_INTERNAL, and nothing is written: a method or name that is no token, a target that is not
 * visible ASCII, a value or reason with CR, LF, NUL or another control byte, a framing that the
 * message cannot have (chunked in 1.0 or where there is no content). ERR_LIMIT or ERR_MEMORY when
 * `out` has no room: then nothing was written either.
 */
int h1_write_request(const struct http_request *request, struct buf *out, struct err *err);

/* `method` of the request: a response to HEAD keeps its Content-Length but has no content. */
int h1_write_response(const struct http_response *response, struct span method, struct buf *out,
                      struct err *err);

/*
 * Content goes out as head + bytes + tail. Both are empty unless the framing is chunked.
 * The head needs at most H1_CHUNK_HEAD bytes, the tail is CRLF. `len` > 0: an empty chunk would
 * be the last one.
 */
#define H1_CHUNK_HEAD 18
size_t h1_write_chunk_head(const struct http_framing *framing, size_t len,
                           uint8_t head[H1_CHUNK_HEAD]);
struct span h1_write_chunk_tail(const struct http_framing *framing);

/* What ends the content: "0" CRLF CRLF for chunked, else empty. Static storage. */
struct span h1_write_end(const struct http_framing *framing);

#endif
