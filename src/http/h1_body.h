/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_HTTP_H1_BODY_H
#define EXEAT_HTTP_H1_BODY_H

#include "http/message.h"

/* Content of one message: by length, in chunks, or until the connection ends. */
struct h1_body {
    enum http_body kind;
    int phase;           /* private */
    uint64_t left;       /* private: of the length or of the chunk */
    size_t line_len;     /* private: of the chunk line so far */
    size_t extensions;   /* private: bytes of chunk extensions in all */
    size_t trailers;     /* private: bytes of trailers */
    enum err_code error; /* the code of a syntax error in it */
};

/* `syntax_error` is what a malformed chunk is called: ERR_SYNTAX or ERR_ORIGIN_SYNTAX. */
void h1_body_init(struct h1_body *body, const struct http_framing *framing,
                  enum err_code syntax_error);

/*
 * Take bytes until some content, the end, or nothing more is understood. *data is content and
 * borrows from `in`. Returns 1 when the content is complete, 0 if not yet, -1 on error.
 */
int h1_body_feed(struct h1_body *body, struct span in, size_t *used, struct span *data,
                 struct err *err);

#endif
