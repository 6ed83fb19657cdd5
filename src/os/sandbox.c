/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filters: tables of system calls by what a role does (compute and wait, network, files), and
 * a few calls that are let through only with certain arguments.
 */
#include "os/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/ensure.h"

#if defined(__has_feature)
#define SANDBOX_HAS(feature) __has_feature(feature)
#else
#define SANDBOX_HAS(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    SANDBOX_HAS(address_sanitizer) || SANDBOX_HAS(thread_sanitizer) ||                             \
    SANDBOX_HAS(memory_sanitizer)
#define SANDBOX_BUILD SANDBOX_NONE
#else
#define SANDBOX_BUILD SANDBOX_FILTER
#endif

/* Memory, time, signals to itself, waiting, and bytes over descriptors it already has. */
static const int calls_of_all[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(fcntl),
    SCMP_SYS(fstat),
    SCMP_SYS(lseek),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(epoll_create),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock),
    SCMP_SYS(mlock2),
    SCMP_SYS(munlock),
    SCMP_SYS(futex),
    SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getrlimit),
    SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(set_robust_list),
};

static const int calls_of_network[] = {
    SCMP_SYS(connect),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
};

static const int calls_of_files[] = {
    SCMP_SYS(open),      SCMP_SYS(openat),     SCMP_SYS(creat),      SCMP_SYS(stat),
    SCMP_SYS(lstat),     SCMP_SYS(newfstatat), SCMP_SYS(statx),      SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),   SCMP_SYS(access),     SCMP_SYS(faccessat),  SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),  SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd),
    SCMP_SYS(pread64),   SCMP_SYS(pwrite64),   SCMP_SYS(preadv),     SCMP_SYS(pwritev),
    SCMP_SYS(fsync),     SCMP_SYS(fdatasync),  SCMP_SYS(ftruncate),  SCMP_SYS(truncate),
    SCMP_SYS(fallocate), SCMP_SYS(fadvise64),  SCMP_SYS(flock),      SCMP_SYS(rename),
    SCMP_SYS(renameat),  SCMP_SYS(renameat2),  SCMP_SYS(unlink),     SCMP_SYS(unlinkat),
    SCMP_SYS(link),      SCMP_SYS(linkat),     SCMP_SYS(mkdir),      SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),     SCMP_SYS(fchmod),     SCMP_SYS(fchown),     SCMP_SYS(umask),
    SCMP_SYS(utimensat), SCMP_SYS(msync),
};

/* Newer calls that libraries try first: they go on with an older one after ENOSYS, not EPERM. */
static const int calls_absent[] = {SCMP_SYS(clone3), SCMP_SYS(openat2), SCMP_SYS(rseq)};

/* A call that is let through only if (argument & mask) == value. */
struct call_rule {
    int call;
    unsigned argument;
    uint64_t mask;
    uint64_t value;
};

static const struct call_rule rules_of_all[] = {
    /* no executable memory */
    {SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    {SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
    /* fstat() of newer C libraries */
    {SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH, AT_EMPTY_PATH},
    {SCMP_SYS(ioctl), 1, UINT32_MAX, FIONBIO},
    {SCMP_SYS(ioctl), 1, UINT32_MAX, FIONREAD},
    {SCMP_SYS(ioctl), 1, UINT32_MAX, FIOCLEX},
    {SCMP_SYS(ioctl), 1, UINT32_MAX, FIONCLEX},
    {SCMP_SYS(ioctl), 1, UINT32_MAX, TCGETS},
    {SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_NAME},
    {SCMP_SYS(prctl), 0, UINT32_MAX, PR_GET_DUMPABLE},
    /* reading limits, not setting them */
    {SCMP_SYS(prlimit64), 2, UINT64_MAX, 0},
};

static const struct call_rule rules_of_network[] = {
    /* not AF_UNIX: other daemons of the host listen there; not AF_NETLINK, AF_PACKET, AF_VSOCK */
    {SCMP_SYS(socket), 0, UINT32_MAX, AF_INET},
    {SCMP_SYS(socket), 0, UINT32_MAX, AF_INET6},
};

static int calls_add(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int status = seccomp_rule_add(filter, action, calls[i], 0);

        if (status < 0)
            return status;
    }
    return 0;
}

static int rules_add(scmp_filter_ctx filter, const struct call_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct scmp_arg_cmp compare = {.arg = rules[i].argument,
                                       .op = SCMP_CMP_MASKED_EQ,
                                       .datum_a = rules[i].mask,
                                       .datum_b = rules[i].value};
        int status = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rules[i].call, 1, &compare);

        if (status < 0)
            return status;
    }
    return 0;
}

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* abort() and raise() signal this very process; no other may be signalled. */
static int add_own_signals(scmp_filter_ctx filter)
{
    struct call_rule rule = {SCMP_SYS(tgkill), 0, UINT32_MAX, (uint64_t)getpid()};

    return rules_add(filter, &rule, 1);
}

static int filter_fill(scmp_filter_ctx filter, enum sandbox_role role)
{
    int has_network = role == SANDBOX_WORKER || role == SANDBOX_RELAY;
    int status = calls_add(filter, SCMP_ACT_ALLOW, calls_of_all, COUNT(calls_of_all));

    if (status == 0)
        status = calls_add(filter, SCMP_ACT_ERRNO(ENOSYS), calls_absent, COUNT(calls_absent));
    if (status == 0 && has_network)
        status = calls_add(filter, SCMP_ACT_ALLOW, calls_of_network, COUNT(calls_of_network));
    if (status == 0 && has_network)
        status = rules_add(filter, rules_of_network, COUNT(rules_of_network));
    if (status == 0 && !has_network)
        status = calls_add(filter, SCMP_ACT_ALLOW, calls_of_files, COUNT(calls_of_files));
    if (status == 0)
        status = rules_add(filter, rules_of_all, COUNT(rules_of_all));
    return status == 0 ? add_own_signals(filter) : status;
}

static int filter_load(enum sandbox_role role)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int status;

    if (filter == NULL)
        return -ENOMEM;
    /* Logging and a faster order are welcome, not needed. */
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    status = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (status == 0)
        status = filter_fill(filter, role);
    if (status == 0)
        status = seccomp_load(filter);
    seccomp_release(filter);
    return status;
}

enum sandbox_build sandbox_built(void)
{
    return SANDBOX_BUILD;
}

int sandbox_enter(enum sandbox_role role, struct err *err)
{
    int status;

    if (sandbox_built() == SANDBOX_NONE)
        return 0;
    tzset(); /* else gmtime_r() looks for the zone file when a time is first written */
    status = filter_load(role);
    if (status < 0)
        return err_set_sys(err, ERR_SYSTEM, -status, "seccomp");
    return 0;
}
