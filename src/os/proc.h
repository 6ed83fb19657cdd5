/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_OS_PROC_H
#define EXEAT_OS_PROC_H

#include <sys/types.h>

#include "base/err.h"

/* Processes split by secret: fork and re-exec of the same binary, one role each. */

/* A descriptor that a child gets under a fixed number. */
struct proc_fd {
    int from; /* in the parent; stays the parent's */
    int to;   /* in the child, 3 or more */
};

/*
 * Start this program again (by /proc/self/exe) with `argv` (NULL-ended; argv[0] included) and
 * exactly the given descriptors besides 0, 1, 2; everything else is closed in the child, its
 * signal mask is empty, and it is killed (SIGKILL) if its parent dies when `tie` is PROC_TIED (by
 * its parent the kernel means the thread that called this).
 * At most 64 descriptors; the environment is inherited. /proc must be mounted; the binary need not
 * be readable (mode 0111). Returns the pid or -1 with ERR_SYSTEM, also if exec failed.
 */
enum proc_tie { PROC_FREE, PROC_TIED };
pid_t proc_spawn_self(char *const argv[], const struct proc_fd *fds, size_t fd_count,
                      enum proc_tie tie, struct err *err);

/*
 * Start another program found on our PATH, with `envp`, our stdio and a default signal state. It
 * inherits what was not opened close-on-exec: what our own caller gave us for it.
 * ERR_NOT_FOUND (exit status 127 to report), ERR_SYSTEM for what cannot be executed (126).
 */
pid_t proc_spawn(char *const argv[], char *const envp[], struct err *err);

/*
 * Non-dumpable: no other process of our user reads this one's memory, environment or descriptors,
 * and no core is written. Children that exec are free of it. The first statement of a process that
 * runs other people's programs, which must keep the privileges that they may gain.
 */
int proc_hide(struct err *err);

/*
 * Harden this process before a secret is in its memory: non-dumpable, RLIMIT_CORE 0,
 * no_new_privs. The first statement of every role.
 */
int proc_harden(struct err *err);

/* What ps shows for this process (15 bytes); after proc_spawn_self() it is "exe" until then. */
void proc_set_name(const char *name);

/* The pid that traces this process, 0 if none. */
pid_t proc_tracer(void);

/*
 * Drop root to this user and its groups for good; ERR_CONFIG if there is no such user. A tie to the
 * parent and being non-dumpable survive it. Nothing to do if this is the user already.
 */
int proc_drop_to(const char *user, struct err *err);

/* Raise RLIMIT_NOFILE to its hard limit; returns what it is now. */
size_t proc_raise_files(void);

/* Close every descriptor >= `first`. */
void proc_close_from(int first);

#endif
