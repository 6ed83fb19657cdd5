/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_HTTP_MESSAGE_H
#define EXEAT_HTTP_MESSAGE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

/* The one message type that every codec reads into and writes from (RFC 9110). */

enum http_version { HTTP_1_0, HTTP_1_1, HTTP_2 };

/* A field line. `name` is a token as the peer wrote it, `value` has no blanks around it. */
struct http_field {
    struct span name;
    struct span value;
};

/* Room for LIMIT_FIELD_COUNT fields or fewer, in the order of the wire. */
struct http_fields {
    struct http_field *items; /* borrowed: lives in the message's arena */
    size_t count;
    size_t cap;
};

/* How the content is delimited (RFC 9112 section 6). */
enum http_body {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,
    HTTP_BODY_CHUNKED,
    HTTP_BODY_UNTIL_CLOSE, /* responses only */
};

enum http_persistence { HTTP_KEEP, HTTP_CLOSE };

struct http_framing {
    enum http_body body;
    uint64_t length; /* of HTTP_BODY_LENGTH */
    enum http_persistence persistence;
};

struct http_request {
    enum http_version version;
    struct span method;
    struct span target; /* as on the request line */
    struct http_fields fields;
    struct http_framing framing;
};

struct http_response {
    enum http_version version;
    int status; /* 100 to 599 */
    struct span reason;
    struct http_fields fields;
    struct http_framing framing;
};

/* Storage for `cap` fields from the arena. ERR_MEMORY. */
int http_fields_init(struct http_fields *fields, struct arena *arena, size_t cap, struct err *err);

/* ERR_TOO_LARGE when all places are taken. */
int http_fields_add(struct http_fields *fields, struct span name, struct span value,
                    struct err *err);

/* The first field called `name` (ASCII case ignored) behind `after`, or from the start if NULL. */
const struct http_field *http_fields_find(const struct http_fields *fields, struct span name,
                                          const struct http_field *after);

/* How many fields are called `name`. */
size_t http_fields_count(const struct http_fields *fields, struct span name);

/* Whether a lenient server could read both as one name: ASCII case ignored, '_' and '-' equal. */
bool http_name_is_like(struct span a, struct span b);

/* Remove every field with a name like `name` (threat C9). Returns how many there were. */
size_t http_fields_remove(struct http_fields *fields, struct span name);

/*
 * Remove what concerns one connection only (RFC 9110 section 7.6.1): Connection and every field
 * it names, Keep-Alive, Proxy-Connection, Proxy-Authorization, Proxy-Authenticate, TE, Trailer,
 * Transfer-Encoding, Upgrade. A Connection option that names a field which must not be removed
 * (Host, Content-Length, Authorization ...) is ERR_SYNTAX, as is one that is no token, and more
 * than LIMIT_FIELD_COUNT of them. Credentials are added after this, never before.
 */
int http_fields_remove_hop(struct http_fields *fields, struct err *err);

/*
 * Whether a field may stand behind the content (RFC 9110 section 6.5.1): nothing that says where
 * the message ends or goes, who sends it, how it is to be read, or that concerns one connection.
 */
bool http_name_can_trail(struct span name);

/* Whether the comma-separated list in `value` has `token` (ASCII case ignored). */
bool http_list_has(struct span value, struct span token);

#endif
