/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_RELAY_ORDER_H
#define EXEAT_RELAY_ORDER_H

#include "base/secret.h"
#include "relay/settings.h"

/* Messages between the keeper and its children: this same program, so plain structs. */

/* Descriptors of a child. */
#define ORDER_FD  3 /* socket pair to the keeper */
#define LISTEN_FD 4 /* the worker's listening socket */

/* Child: hardened, the order may be sent (nothing secret before that: threat F2). */
int order_send_ready(int fd, struct err *err);

/* Keeper: 1 a ready message came, 0 nothing yet, -1 anything else. */
int order_recv_ready(int fd, struct err *err);

/* Keeper to child; `token` may be NULL. */
int order_send(int fd, const struct settings *settings, const struct secret *token,
               struct err *err);

/* Child: waits up to `timeout_ms`. *token is empty if none came. */
int order_recv(int fd, int timeout_ms, struct settings *settings, struct secret *token,
               struct err *err);

/* Setup child to keeper: how it went. The keeper trusts no more than the shape. */
int order_send_report(int fd, int result, const struct err *why, struct err *err);

/* 0 with the child's verdict in *result (and its words in *why when that is -1). */
int order_recv_report(int fd, int timeout_ms, int *result, struct err *why, struct err *err);

#endif
