/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_NET_RESOLVE_CHANNEL_H
#define EXEAT_NET_RESOLVE_CHANNEL_H

#include <ares.h>

#include "net/loop.h"

/* c-ares on our loop. Opens no file after resolve_channel_new(). */
struct resolve_channel;

/* `servers` as for resolver_new(); `timeout_ms` is for all attempts together. */
struct resolve_channel *resolve_channel_new(struct loop *loop, const char *servers,
                                            int64_t timeout_ms, struct err *err);

/* Every open question is called back with ARES_EDESTRUCTION in here. NULL is ignored. */
void resolve_channel_free(struct resolve_channel *channel);

/* One question for AF_INET or AF_INET6. `on_answer` may be called from within. */
void resolve_channel_ask(struct resolve_channel *channel, const char *name, int family,
                         ares_addrinfo_callback on_answer, void *arg);

#endif
