/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_OS_SANDBOX_H
#define EXEAT_OS_SANDBOX_H

#include "base/err.h"

/*
 * The last step of a role's start: a seccomp filter that kills the process on what the role never
 * does (exec, ptrace, mount, module, bpf, keyring, process_vm ...; opening files for roles without
 * files; sockets for roles without a network).
 */
enum sandbox_role {
    SANDBOX_WORKER,  /* network, no files, no exec */
    SANDBOX_VAULT,   /* files of its own (the session store), no network, no exec */
    SANDBOX_AUDITOR, /* files (the log), no network, no exec */
    SANDBOX_RELAY,   /* network, no files, no exec */
};

/* 0; -1 with ERR_SYSTEM where the kernel refuses: the caller decides whether to go on. */
int sandbox_enter(enum sandbox_role role, struct err *err);

#endif
