/* SPDX-License-Identifier: Apache-2.0 */
/* What a process does to itself: harden, drop root, close descriptors. */
#include "os/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/num.h"
#include "base/pool.h"
#include "base/span.h"

#define PASSWD_ROOM 16384

int proc_hide(struct err *err)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "prctl(PR_SET_DUMPABLE)");
    return 0;
}

int proc_harden(struct err *err)
{
    const struct rlimit none = {0};

    /* First: until here any process of our uid may read this one's memory (threat F2). */
    if (proc_hide(err) < 0)
        return -1;
    if (setrlimit(RLIMIT_CORE, &none) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "setrlimit(RLIMIT_CORE)");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "prctl(PR_SET_NO_NEW_PRIVS)");
    return 0;
}

void proc_set_name(const char *name)
{
    (void)prctl(PR_SET_NAME, name, 0, 0, 0);
}

pid_t proc_tracer(void)
{
    char memory[4096];
    struct span word = span_text("TracerPid:");
    struct err err;
    uint64_t pid;
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    ssize_t len = read(fd, memory, sizeof memory);

    (void)close(fd);
    if (len <= 0)
        return 0;
    struct span status = span_of(memory, (size_t)len);
    ssize_t at = span_find_span(status, word);

    if (at < 0)
        return 0;
    status = span_from(status, (size_t)at + word.len);
    at = span_find(status, '\n');
    if (at < 0 || num_read_u64(span_trim(span_first(status, (size_t)at)), &pid, &err) < 0)
        return 0;
    return (pid_t)pid;
}

static int drop_ids(const struct passwd *user, struct err *err)
{
    if (initgroups(user->pw_name, user->pw_gid) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "initgroups");
    if (setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "setresgid");
    if (setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "setresuid");
    if (user->pw_uid != 0 && setresuid(0, 0, 0) == 0)
        return err_set(err, ERR_SYSTEM, "root came back after it was dropped");
    return 0;
}

/* A change of ids clears the parent's death signal and may make the process dumpable again. */
static int drop_keeping(const struct passwd *user, struct err *err)
{
    int death_signal = 0;
    int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);

    if (prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "prctl(PR_GET_PDEATHSIG)");
    if (drop_ids(user, err) < 0)
        return -1;
    if (prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "prctl(PR_SET_PDEATHSIG)");
    if (dumpable == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_set_sys(err, ERR_SYSTEM, errno, "prctl(PR_SET_DUMPABLE)");
    return 0;
}

int proc_drop_to(const char *user, struct err *err)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char *room = pool_block_new(PASSWD_ROOM);
    int result, sys;

    if (room == NULL)
        return err_set(err, ERR_MEMORY, "no memory to look for user %s", user);
    sys = getpwnam_r(user, &entry, room, PASSWD_ROOM, &found);
    if (found == NULL && sys == 0)
        result = err_set(err, ERR_CONFIG, "no user %s", user);
    else if (found == NULL)
        result = err_set_sys(err, ERR_SYSTEM, sys, "getpwnam_r");
    else if (geteuid() == entry.pw_uid && getuid() == entry.pw_uid && entry.pw_uid != 0)
        result = 0;
    else
        result = drop_keeping(&entry, err);
    pool_block_free(room);
    return result;
}

size_t proc_raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t old = limit.rlim_cur;

        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            limit.rlim_cur = old;
    }
    return (size_t)limit.rlim_cur;
}

void proc_close_from(int first)
{
    long limit = sysconf(_SC_OPEN_MAX);

    ENSURE(first >= 0);
    if (syscall(SYS_close_range, (unsigned)first, ~0U, 0U) == 0)
        return;
    /* Linux before 5.9 */
    for (int fd = first; fd < (limit < 0 || limit > INT_MAX ? INT_MAX : (int)limit); fd++)
        (void)close(fd);
}
