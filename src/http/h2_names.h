/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_HTTP_H2_NAMES_H
#define EXEAT_HTTP_H2_NAMES_H

#include "http/h2_session.h"

/* The fields of a head, its pseudo-fields, content-length, and places that its reader had spare. */
#define H2_NAMES_MAX (2 * LIMIT_FIELD_COUNT)

/* A head for nghttp2; on the stack while it is handed over. Borrows from the message. */
struct h2_names {
    nghttp2_nv items[H2_NAMES_MAX];
    size_t count; /* start with 0 */
    size_t bytes; /* of names and values */
    char status[4];
    char length[24]; /* the value of content-length */
};

/* ERR_INTERNAL for what may not be sent: see h2_open(), h2_send_response() and so on. */
int h2_names_request(struct h2_names *names, const struct h2_request *request, enum h2_end end,
                     struct err *err);
int h2_names_interim(struct h2_names *names, const struct http_response *response, struct err *err);
int h2_names_response(struct h2_names *names, const struct http_response *response,
                      struct span method, enum h2_end end, struct err *err);
int h2_names_trailers(struct h2_names *names, const struct http_fields *trailers, struct err *err);

/* Whether the connection has memory to send them. ERR_LIMIT, ERR_MEMORY. */
int h2_names_check(const struct h2_names *names, const struct h2_memory *memory, struct err *err);

#endif
