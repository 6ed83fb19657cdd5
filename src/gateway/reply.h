/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_REPLY_H
#define EXEAT_GATEWAY_REPLY_H

#include "base/err.h"
#include "base/text.h"
#include "http/message.h"

/* The gateway's own answers: status line, Exeat-Reason, problem+json (docs/protocol.md section 5).
 */

#define REPLY_MAX 4096

enum reply_content { REPLY_WITH_CONTENT, REPLY_HEAD_ONLY /* answer to HEAD */ };

struct reply {
    struct err err;
    struct span rule;    /* name of the rule that decided, or empty */
    uint64_t generation; /* of the policy */
    enum reply_content content;
};

/* An answer in parts, for whichever codec sends it. Everything it points to lies in it. */
#define REPLY_FIELDS 4
struct reply_parts {
    struct http_response response; /* with its length; closes a connection of HTTP/1 */
    struct span content;           /* problem+json */
    struct http_field fields[REPLY_FIELDS];
    char words[256];
    char json[2048];
};

void reply_make(const struct reply *reply, struct reply_parts *parts);

/*
 * A complete HTTP/1.1 response that closes the connection. The reason phrase carries err.text,
 * for many clients show nothing else.
 */
void reply_write(const struct reply *reply, struct text *out);

/* 200 with `content` for the gateway's own resources. */
void reply_write_content(struct text *out, const char *type, struct span content);

/* The answer to a CONNECT whose origin was reached (39 bytes). Static storage. */
struct span reply_established(void);

#endif
