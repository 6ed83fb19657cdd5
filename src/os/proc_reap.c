/* SPDX-License-Identifier: Apache-2.0 */
/* Taking note of children that have ended. */
#include "os/proc_reap.h"

#include <errno.h>
#include <sys/wait.h>

int proc_reap(struct proc_end *end)
{
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);

    if (pid <= 0)
        return 0;
    *end = (struct proc_end){.pid = pid};
    if (WIFSIGNALED(status))
        end->signal = WTERMSIG(status);
    else
        end->status = WEXITSTATUS(status);
    return 1;
}

void proc_reap_child(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

int proc_end_status(const struct proc_end *end)
{
    return end->signal != 0 ? 128 + end->signal : end->status;
}
