/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_OS_SANDBOX_H
#define EXEAT_OS_SANDBOX_H

#include "base/err.h"

/*
 * The last step of a role's start: a seccomp filter that lets through the system calls the role
 * needs and no others. What it does not let through fails with EPERM (and the kernel logs it where
 * auditd listens) instead of killing the process, so that a call we did not foresee costs one
 * operation, not a worker in a crash loop.
 *
 * For no role: exec, new processes and threads, ptrace and process_vm_*, signals to others,
 * mounts, namespaces, modules, bpf, io_uring, keyrings, executable memory. Sockets are IPv4 and
 * IPv6 only, and never bound.
 *
 * What a library loads late (configuration, certificates, resolv.conf, zone files) must be loaded
 * before. In builds with a sanitizer, which needs calls of its own, this does nothing.
 */
enum sandbox_role {
    SANDBOX_WORKER,  /* network, no files, no exec */
    SANDBOX_VAULT,   /* files of its own (the session store), no network, no exec */
    SANDBOX_AUDITOR, /* files (the log), no network, no exec */
    SANDBOX_RELAY,   /* network, no files, no exec */
};

/*
 * For good, and for every thread. 0; -1 with ERR_SYSTEM where the kernel refuses: the caller
 * decides whether to go on.
 */
int sandbox_enter(enum sandbox_role role, struct err *err);

/* Whether sandbox_enter() of this build installs anything. */
enum sandbox_build { SANDBOX_NONE, SANDBOX_FILTER };
enum sandbox_build sandbox_built(void);

#endif
