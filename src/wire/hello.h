/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_WIRE_HELLO_H
#define EXEAT_WIRE_HELLO_H

#include "base/text.h"
#include "http/target.h"

/* The first chunk of a tunnel (docs/protocol.md section 4). */

/*
 * Payload: the CONNECT line as the client wrote it, Proxy-Authorization, empty line. The line
 * holds no CR and LF and the session id no colon: the caller has checked. `out` holds the token
 * afterwards: wipe it.
 */
void hello_write(struct text *out, struct span connect_line, struct span session_id,
                 struct span token);

struct hello {
    struct host host;
    uint16_t port;
    struct span connect_line; /* borrows from the payload */
    size_t basic_len;
    uint8_t basic[LIMIT_SESSION_ID + 1 + LIMIT_TOKEN]; /* "session:token"; hello_fini() wipes it */
};

/*
 * Read the payload of the first chunk, whole. ERR_HELLO: over 8 KiB, not ended by an empty line,
 * no CONNECT, not HTTP/1.0 or 1.1, anything but exactly one Proxy-Authorization: Basic with a
 * session and a token; ERR_TARGET for the target. Other fields are ignored if well-formed. After
 * an error nothing of the credentials is left in *hello.
 */
int hello_read(struct span payload, struct hello *hello, struct err *err);

/* User and password of the Basic credentials, split at the first colon. Borrowed. */
struct span hello_session(const struct hello *hello);
struct span hello_token(const struct hello *hello);

void hello_fini(struct hello *hello);

#endif
