/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_WIRE_WS_SHAKE_H
#define EXEAT_WIRE_WS_SHAKE_H

#include "base/buf.h"
#include "base/text.h"
#include "http/message.h"

/*
 * The WebSocket handshake (RFC 6455 section 4), and what the tunnel's has besides
 * (docs/protocol.md section 2).
 */

#define WS_SHAKE_KEY    24 /* base64 of 16 random bytes */
#define WS_SHAKE_ACCEPT 28

/* All three hold visible ASCII, and only `token` may be empty: the caller has checked. */
struct ws_shake {
    struct span host; /* Host field, with the port unless it is the scheme's default */
    struct span path;
    struct span token; /* for Authorization: Bearer; empty: a WebSocket that is no tunnel */
    char key[WS_SHAKE_KEY + 1];
};

/* Fill `key` from 16 random bytes. */
void ws_shake_key(struct ws_shake *shake, const uint8_t nonce[16]);

/* The Sec-WebSocket-Accept that answers `key` (RFC 6455 section 4.2.2), NUL behind it. */
void ws_shake_accept(struct span key, char accept[WS_SHAKE_ACCEPT + 1]);

/* The upgrade request, into memory of the caller (it holds the token: wipe it). */
void ws_shake_write(const struct ws_shake *shake, struct text *out);

/*
 * Client: was the upgrade accepted? 101, Upgrade, Connection, the right accept value, no extension
 * and no subprotocol. ERR_TOKEN_INVALID for 401, ERR_DRAINING for 503, ERR_GATEWAY otherwise; the
 * text names status and Exeat-Reason.
 */
int ws_shake_check(const struct ws_shake *shake, const struct http_response *response,
                   struct err *err);

/*
 * Server: is this a proper upgrade request? *accept is the value to answer with. GET (ERR_METHOD),
 * Upgrade/Connection/Version 13 (ERR_UPGRADE), Key (ERR_SYNTAX), no content (ERR_SYNTAX).
 */
int ws_shake_read_upgrade(const struct http_request *request, char accept[WS_SHAKE_ACCEPT + 1],
                          struct err *err);

/*
 * The same for a tunnel. *token is the Bearer token (borrowed). Besides: Content-Type:
 * application/proto (ERR_MEDIA_TYPE), exactly one Authorization: Bearer (ERR_TOKEN_MISSING) of at
 * most LIMIT_TOKEN bytes (ERR_TOKEN_INVALID).
 */
int ws_shake_read(const struct http_request *request, struct span *token,
                  char accept[WS_SHAKE_ACCEPT + 1], struct err *err);

/* The 101 answer. ERR_LIMIT, ERR_MEMORY. */
int ws_shake_answer(const char accept[WS_SHAKE_ACCEPT + 1], struct buf *out, struct err *err);

#endif
