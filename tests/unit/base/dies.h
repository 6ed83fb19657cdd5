/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_TESTS_BASE_DIES_H
#define EXEAT_TESTS_BASE_DIES_H

/* Whether a call ends the process by ENSURE: it is made in a child. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static inline void check_dies(void (*call)(void))
{
    int status = 0;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);

        (void)dup2(quiet, STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        call();
        _exit(0);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGABRT);
}

#endif
