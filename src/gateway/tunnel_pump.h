/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_TUNNEL_PUMP_H
#define EXEAT_GATEWAY_TUNNEL_PUMP_H

#include "gateway/tunnel.h"

/* Bytes between the relay's socket and the payload of a tunnel. All return 1 if something moved,
 * 0, or -1 with *err. */

/* Socket -> input queue. */
int tunnel_pull(struct tunnel *tunnel, struct err *err);

/*
 * Input queue -> tunnel->payload. 1 if there is payload now. Control frames are answered here;
 * `hello_complete` is set at the end of the first message that has any payload, and nothing is
 * decoded behind it until the state has changed.
 */
int tunnel_decode(struct tunnel *tunnel, struct err *err);

/* `used` bytes of tunnel->payload were consumed. */
void tunnel_payload_used(struct tunnel *tunnel, size_t used);

/* Output queue -> socket. */
int tunnel_push(struct tunnel *tunnel, struct err *err);

/*
 * Whether there are buffers for more bytes of this tunnel or its origin. While they are short, only
 * tunnels that hold none may read: those whose peer does not take what it was sent wait.
 */
bool tunnel_may_read(struct tunnel *tunnel);

/* Say what to wait for. */
void tunnel_want(struct tunnel *tunnel);

/* A close frame, once. */
void tunnel_send_close(struct tunnel *tunnel, uint16_t code, const char *reason);

#endif
