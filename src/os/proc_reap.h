/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_OS_PROC_REAP_H
#define EXEAT_OS_PROC_REAP_H

#include <sys/types.h>

/* How a child of ours has ended. */
struct proc_end {
    pid_t pid;
    int signal; /* that killed it, or 0 */
    int status; /* its exit status if no signal did */
};

/* A child that has ended and was not reaped yet: 1, or 0 if there is none now. Never waits. */
int proc_reap(struct proc_end *end);

/* Wait until this child has ended. */
void proc_reap_child(pid_t pid);

/* As a shell says it: the exit status, or 128 + signal. */
int proc_end_status(const struct proc_end *end);

#endif
