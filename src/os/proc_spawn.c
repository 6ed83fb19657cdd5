/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork and exec. The child calls only what is async-signal-safe, for the parent may have threads
 * (libexeat in a host). A pipe that closes on exec tells the parent whether exec worked: nothing
 * comes through it if so, else the errno. Signals are blocked around fork, so that no handler of
 * the parent runs in the child.
 */
#include "os/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/span.h"

#define SPAWN_FD_MAX 64

struct spawn {
    const char *path; /* NULL: argv[0] on PATH */
    char *const *argv;
    char *const *envp;
    const struct proc_fd *fds;
    size_t fd_count;
    enum proc_tie tie;
    int keeps_others; /* descriptors that are not close-on-exec stay */
    pid_t parent;
};

static int fd_set_cloexec_from(int first)
{
    long limit = sysconf(_SC_OPEN_MAX);

    if (syscall(SYS_close_range, (unsigned)first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return 0;
    /* Linux before 5.11 */
    for (int fd = first; fd < (limit < 0 || limit > INT_MAX ? INT_MAX : (int)limit); fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return 0;
}

/*
 * First every source is copied above all targets, so that no target overwrites a source that is
 * still needed; then all close on exec; then the copies go to their targets, which do not.
 */
static int child_place(const struct spawn *spawn, int *report_fd)
{
    int copies[SPAWN_FD_MAX];
    int base = 3;

    for (size_t i = 0; i < spawn->fd_count; i++) {
        if (spawn->fds[i].to >= base)
            base = spawn->fds[i].to + 1;
    }
    *report_fd = fcntl(*report_fd, F_DUPFD_CLOEXEC, base);
    if (*report_fd < 0)
        return -1;
    for (size_t i = 0; i < spawn->fd_count; i++) {
        copies[i] = fcntl(spawn->fds[i].from, F_DUPFD_CLOEXEC, base);
        if (copies[i] < 0)
            return -1;
    }
    if (fd_set_cloexec_from(3) < 0)
        return -1;
    for (size_t i = 0; i < spawn->fd_count; i++) {
        if (dup2(copies[i], spawn->fds[i].to) < 0)
            return -1;
    }
    return 0;
}

static int child_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int number = 1; number < NSIG; number++) {
        if (number != SIGKILL && number != SIGSTOP)
            (void)sigaction(number, &action, NULL); /* EINVAL for those of the C library */
    }
    (void)sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

static int child_prepare(const struct spawn *spawn, int *report_fd)
{
    if (spawn->tie == PROC_TIED) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
            return -1;
        if (getppid() != spawn->parent)
            _exit(127); /* it died before we were tied */
    }
    if (!spawn->keeps_others && child_place(spawn, report_fd) < 0)
        return -1;
    return child_signals();
}

static _Noreturn void child_run(const struct spawn *spawn, int report_fd)
{
    int sys;

    if (child_prepare(spawn, &report_fd) == 0) {
        if (spawn->path == NULL)
            (void)execvpe(spawn->argv[0], spawn->argv, spawn->envp);
        else
            (void)execve(spawn->path, spawn->argv, spawn->envp);
    }
    sys = errno;
    (void)!write(report_fd, &sys, sizeof sys);
    _exit(sys == ENOENT ? 127 : 126);
}

/* 0 when exec has closed the pipe, else the errno that came through it. */
static int report_read(int report_fd)
{
    int sys = 0;
    ssize_t len;

    do {
        len = read(report_fd, &sys, sizeof sys);
    } while (len < 0 && errno == EINTR);
    return len == (ssize_t)sizeof sys ? sys : 0;
}

static pid_t spawn_run(struct spawn *spawn, struct err *err)
{
    int report[2];
    sigset_t all, old;
    pid_t pid;
    int sys;

    if (pipe2(report, O_CLOEXEC) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "pipe2");
    spawn->parent = getpid();
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    pid = fork();
    if (pid == 0)
        child_run(spawn, report[1]);
    sys = errno;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)close(report[1]);
    if (pid < 0) {
        (void)close(report[0]);
        return err_set_sys(err, ERR_SYSTEM, sys, "fork");
    }
    sys = report_read(report[0]);
    (void)close(report[0]);
    if (sys == 0)
        return pid;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return err_set_sys(err, sys == ENOENT && spawn->path == NULL ? ERR_NOT_FOUND : ERR_SYSTEM, sys,
                       spawn->path == NULL ? spawn->argv[0] : spawn->path);
}

pid_t proc_spawn_self(char *const argv[], const struct proc_fd *fds, size_t fd_count,
                      enum proc_tie tie, struct err *err)
{
    struct spawn spawn = {.path = "/proc/self/exe",
                          .argv = argv,
                          .envp = environ,
                          .fds = fds,
                          .fd_count = fd_count,
                          .tie = tie};

    ENSURE(fd_count <= SPAWN_FD_MAX);
    for (size_t i = 0; i < fd_count; i++)
        ENSURE(fds[i].to >= 3 && fds[i].from >= 0);
    return spawn_run(&spawn, err);
}

pid_t proc_spawn(char *const argv[], char *const envp[], struct err *err)
{
    struct spawn spawn = {.argv = argv, .envp = envp, .tie = PROC_FREE, .keeps_others = 1};

    return spawn_run(&spawn, err);
}
