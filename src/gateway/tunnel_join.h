/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_GATEWAY_TUNNEL_JOIN_H
#define EXEAT_GATEWAY_TUNNEL_JOIN_H

#include "gateway/tunnel.h"

/* The steps of a tunnel before there are bytes to carry. 1 moved, 0, -1 the relay broke the
 * protocol. */
int tunnel_join_step(struct tunnel *tunnel, struct err *err);
int tunnel_auth_step(struct tunnel *tunnel);
int tunnel_hello_step(struct tunnel *tunnel, struct err *err);
int tunnel_reach_step(struct tunnel *tunnel, struct err *err);

/* An HTTP answer instead of 101; then the connection ends. */
void tunnel_join_refuse(struct tunnel *tunnel, const struct err *err);

/* The only function that assigns the state. */
void tunnel_enter(struct tunnel *tunnel, enum tunnel_state next);

#endif
