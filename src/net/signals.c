/* SPDX-License-Identifier: Apache-2.0 */
/* A signalfd, because it tells the origin of a signal and libuv's handler does not. */
#include "net/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int numbers[] = {SIGTERM, SIGINT,  SIGHUP,   SIGQUIT,
                              SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD};

static void on_ready(struct loop_watch *watch, unsigned ready)
{
    struct signals *signals = watch->owner;
    struct signalfd_siginfo info;

    (void)ready;
    while (watch->is_open && read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info)
        signals->on_signal(signals, (int)info.ssi_signo,
                           info.ssi_code == SI_KERNEL ? SIGNALS_TERMINAL : SIGNALS_SENT);
}

int signals_open(struct signals *signals, struct loop *loop,
                 void (*on_signal)(struct signals *, int, enum signals_origin), void *owner,
                 struct err *err)
{
    sigset_t set;
    int fd;

    *signals = (struct signals){.on_signal = on_signal, .owner = owner};
    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        (void)sigaddset(&set, numbers[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "sigprocmask");
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "signalfd");
    if (loop_watch_open(&signals->watch, loop, fd, on_ready, signals, err) < 0) {
        (void)close(fd);
        return -1;
    }
    loop_watch_set(&signals->watch, LOOP_READ);
    return 0;
}

void signals_close(struct signals *signals)
{
    if (signals->watch.is_open)
        loop_watch_close(&signals->watch, NULL);
}
