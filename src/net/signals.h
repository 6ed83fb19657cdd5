/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_NET_SIGNALS_H
#define EXEAT_NET_SIGNALS_H

#include "net/loop.h"

/*
 * The keeper's signals, with where they come from: one that the terminal made has reached the
 * program in our process group already and must not be passed on a second time.
 */
enum signals_origin { SIGNALS_SENT, SIGNALS_TERMINAL };

struct signals {
    struct loop_watch watch;
    void (*on_signal)(struct signals *signals, int number, enum signals_origin origin);
    void *owner; /* borrowed */
};

/* TERM INT HUP QUIT USR1 USR2 WINCH CHLD from here on come through the loop. ERR_SYSTEM. */
int signals_open(struct signals *signals, struct loop *loop,
                 void (*on_signal)(struct signals *, int, enum signals_origin), void *owner,
                 struct err *err);
void signals_close(struct signals *signals);

#endif
