/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is guarded: each role can do its work under its filter, and nothing of what a taken-over
 * one would try next. Every role runs in a child; what it tries answers with an errno.
 */
#include "os/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/ipc.h"
#include "test.h"

/* Each returns what the system call said: 0 or an errno. */
#define TRY(name, expression)                                                                      \
    static int name(void)                                                                          \
    {                                                                                              \
        errno = 0;                                                                                 \
        return (long)(expression) < 0 ? errno : 0;                                                 \
    }

static int spare[2];
static char *const no_words[] = {NULL};

TRY(try_open, open("/etc/passwd", O_RDONLY))
TRY(try_openat2, syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", NULL, 0))
TRY(try_create, open("/tmp/exeat-sandbox-escape", O_WRONLY | O_CREAT, 0600))
TRY(try_stat, syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", NULL, 0))
TRY(try_unlink, unlink("/tmp/exeat-sandbox-none"))
TRY(try_chmod, chmod("/tmp/exeat-sandbox-none", 0777))
TRY(try_execve, execve("/bin/true", no_words, no_words))
TRY(try_execveat, syscall(SYS_execveat, AT_FDCWD, "/bin/true", no_words, no_words, 0))
TRY(try_fork, syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))
TRY(try_ptrace, ptrace(PTRACE_ATTACH, getppid(), NULL, NULL))
TRY(try_process_vm_readv, process_vm_readv(getppid(), NULL, 0, NULL, 0, 0))
TRY(try_process_vm_writev, process_vm_writev(getppid(), NULL, 0, NULL, 0, 0))
TRY(try_pidfd, syscall(SYS_pidfd_open, getppid(), 0))
TRY(try_kill, kill(getppid(), 0))
TRY(try_tgkill, syscall(SYS_tgkill, getppid(), getppid(), 0))
TRY(try_mount, syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL))
TRY(try_unshare, unshare(CLONE_NEWUSER))
TRY(try_chroot, chroot("/tmp"))
TRY(try_bpf, syscall(SYS_bpf, 0, NULL, 0))
TRY(try_io_uring, syscall(SYS_io_uring_setup, 1, NULL))
TRY(try_keyring, syscall(SYS_add_key, "user", "x", "x", 1, -2))
TRY(try_module, syscall(SYS_init_module, NULL, 0, ""))
TRY(try_perf, syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0))
TRY(try_userfaultfd, syscall(SYS_userfaultfd, 0))
TRY(try_setuid, syscall(SYS_setuid, 0))
TRY(try_dumpable, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
TRY(try_executable,
    mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1
                                                                                              : 0)
TRY(try_raise_limit, setrlimit(RLIMIT_CORE, &(struct rlimit){0}))
TRY(try_tiocsti, syscall(SYS_ioctl, 0, 0x5412, "x"))
TRY(try_socket_unix, socket(AF_UNIX, SOCK_STREAM, 0))
TRY(try_socket_netlink, socket(AF_NETLINK, SOCK_RAW, 0))
TRY(try_socket_packet, socket(AF_PACKET, SOCK_RAW, 0))
TRY(try_socket_inet, socket(AF_INET, SOCK_STREAM, 0))
TRY(try_socketpair, socketpair(AF_UNIX, SOCK_STREAM, 0, spare))
TRY(try_bind, syscall(SYS_bind, 0, NULL, 0))
TRY(try_listen, syscall(SYS_listen, 0, 1))

struct trial {
    const char *what;
    int (*run)(void);
};

#define TRIAL(name)                                                                                \
    {                                                                                              \
#name, name                                                                                \
    }

static const struct trial denied_to_all[] = {
    TRIAL(try_execve),
    TRIAL(try_execveat),
    TRIAL(try_fork),
    TRIAL(try_ptrace),
    TRIAL(try_process_vm_readv),
    TRIAL(try_process_vm_writev),
    TRIAL(try_pidfd),
    TRIAL(try_kill),
    TRIAL(try_tgkill),
    TRIAL(try_mount),
    TRIAL(try_unshare),
    TRIAL(try_chroot),
    TRIAL(try_bpf),
    TRIAL(try_io_uring),
    TRIAL(try_keyring),
    TRIAL(try_module),
    TRIAL(try_perf),
    TRIAL(try_userfaultfd),
    TRIAL(try_setuid),
    TRIAL(try_dumpable),
    TRIAL(try_executable),
    TRIAL(try_raise_limit),
    TRIAL(try_tiocsti),
    TRIAL(try_socket_unix),
    TRIAL(try_socket_netlink),
    TRIAL(try_socket_packet),
    TRIAL(try_bind),
    TRIAL(try_listen),
    TRIAL(try_chmod),
    TRIAL(try_socketpair),
};

static const struct trial denied_without_files[] = {
    TRIAL(try_open),
    TRIAL(try_create),
    TRIAL(try_stat),
    TRIAL(try_unlink),
};

static const struct trial denied_without_network[] = {TRIAL(try_socket_inet)};

static int trials_denied(const struct trial *trials, size_t count)
{
    int failed = 0;

    for (size_t i = 0; i < count; i++) {
        int sys = trials[i].run();

        if (sys == EPERM)
            continue;
        print_error("%s answered %d (%s)\n", trials[i].what, sys, strerror(sys));
        failed = 1;
    }
    return failed;
}

#define DENIED(trials) trials_denied(trials, sizeof(trials) / sizeof(trials)[0])

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("line %d: %s is false (%s)\n", __LINE__, #condition, strerror(errno));     \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

/* --- what every role needs --- */

static int pair[2]; /* made before the filter, as main does */

static int passing_works(void)
{
    uint8_t bytes[8];
    struct room room = {.ptr = bytes, .len = sizeof bytes};
    int passed = -1;
    struct err err;

    REQUIRE(ipc_send(pair[0], span_text("fd"), pair[1], &err) == 1);
    REQUIRE(ipc_wait(pair[1], -1, &err) == 1);
    REQUIRE(ipc_recv(pair[1], room, &passed, &err) == 2);
    REQUIRE(passed >= 0 && close(passed) == 0);
    return 0;
}

static int waiting_works(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct epoll_event got;
    uint64_t one = 1;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    REQUIRE(epoll >= 0 && wake >= 0);
    REQUIRE(epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event) == 0);
    REQUIRE(write(wake, &one, sizeof one) == (ssize_t)sizeof one);
    REQUIRE(epoll_wait(epoll, &got, 1, -1) == 1);
    REQUIRE(close(wake) == 0 && close(epoll) == 0);
    return 0;
}

static volatile sig_atomic_t signal_seen;

static void on_signal(int number)
{
    signal_seen = number;
}

static int memory_works(void)
{
    struct timespec none = {0};
    struct stat st;
    uint8_t random[16];
    void *page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    REQUIRE(page != MAP_FAILED);
    REQUIRE(mlock(page, 4096) == 0 || errno == ENOMEM);
    REQUIRE(mprotect(page, 4096, PROT_NONE) == 0);
    REQUIRE(munmap(page, 1 << 20) == 0);
    REQUIRE(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random);
    REQUIRE(clock_mono_ms() > 0 && clock_wall_ms() > 0);
    REQUIRE(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &none) == 0); /* where there is no vDSO */
    REQUIRE(nanosleep(&(struct timespec){0}, NULL) == 0);
    REQUIRE(fstat(0, &st) == 0);
    REQUIRE(fcntl(0, F_GETFL) >= 0);
    REQUIRE(signal(SIGUSR1, on_signal) != SIG_ERR);
    REQUIRE(raise(SIGUSR1) == 0 && signal_seen == SIGUSR1);
    REQUIRE(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) >= 0);
    REQUIRE(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
    return 0;
}

static int common_works(void)
{
    return passing_works() || waiting_works() || memory_works();
}

/* --- the network of worker and relay --- */

static int listener; /* made before the filter */

static int network_works(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    char bytes[8];
    int one = 1;
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int server;

    REQUIRE(client >= 0);
    REQUIRE(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    REQUIRE(setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one) == 0);
    REQUIRE(connect(client, (struct sockaddr *)&address, len) == 0);
    server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    REQUIRE(server >= 0);
    REQUIRE(send(client, "hello", 5, MSG_NOSIGNAL) == 5);
    REQUIRE(recv(server, bytes, sizeof bytes, 0) == 5);
    REQUIRE(shutdown(client, SHUT_WR) == 0);
    REQUIRE(recv(server, bytes, sizeof bytes, 0) == 0);
    REQUIRE(close(client) == 0 && close(server) == 0);
    REQUIRE(close(socket(AF_INET6, SOCK_DGRAM, 0)) == 0 || errno == EAFNOSUPPORT);
    return 0;
}

/* --- the files of vault and auditor --- */

static char directory[] = "/tmp/exeat-sandbox-XXXXXX";

static int files_work(void)
{
    char path[64];
    struct room content;
    struct stat st;
    struct err err;
    int fd;

    (void)snprintf(path, sizeof path, "%s/a/b", directory);
    REQUIRE(file_make_dirs(path, 0700, &err) == 0);
    (void)snprintf(path, sizeof path, "%s/a/b/log", directory);
    REQUIRE(file_write_atomic(path, span_text("line\n"), 0600, &err) == 0);
    REQUIRE(file_read(path, 100, &content, &err) == 0);
    file_free(&content);
    REQUIRE(stat(path, &st) == 0 && st.st_size == 5);
    fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE(fdatasync(fd) == 0 && ftruncate(fd, 0) == 0 && pwrite(fd, "x", 1, 0) == 1);
    REQUIRE(close(fd) == 0 && unlink(path) == 0);
    (void)snprintf(path, sizeof path, "%s/a/b", directory);
    REQUIRE(rmdir(path) == 0);
    (void)snprintf(path, sizeof path, "%s/a", directory);
    REQUIRE(rmdir(path) == 0);
    return 0;
}

/* --- the roles --- */

static int role_run(enum sandbox_role role)
{
    int has_network = role == SANDBOX_WORKER || role == SANDBOX_RELAY;
    struct err err;
    int failed = 0;

    if (sandbox_enter(role, &err) < 0) {
        print_error("%s\n", err.text);
        return 2;
    }
    failed |= common_works();
    failed |= has_network ? network_works() : files_work();
    failed |= DENIED(denied_to_all);
    failed |= has_network ? DENIED(denied_without_files) : DENIED(denied_without_network);
    if (has_network)
        failed |= try_openat2() != ENOSYS;
    return failed;
}

static int in_child(enum sandbox_role role)
{
    pid_t pid = fork();
    int status;

    CHECK(pid >= 0);
    if (pid == 0)
        _exit(role_run(role));
    CHECK_INT(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static int set_up(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct err err;

    (void)state;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 8) < 0)
        return -1;
    return ipc_pair(pair, &err) < 0 || mkdtemp(directory) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(listener);
    (void)close(pair[0]);
    (void)close(pair[1]);
    return rmdir(directory);
}

TEST(sandbox_worker_has_the_network_and_no_files)
{
    if (sandbox_built() == SANDBOX_NONE)
        skip();
    CHECK_INT(in_child(SANDBOX_WORKER), 0);
}

TEST(sandbox_relay_has_the_network_and_no_files)
{
    if (sandbox_built() == SANDBOX_NONE)
        skip();
    CHECK_INT(in_child(SANDBOX_RELAY), 0);
}

TEST(sandbox_vault_has_files_and_no_network)
{
    if (sandbox_built() == SANDBOX_NONE)
        skip();
    CHECK_INT(in_child(SANDBOX_VAULT), 0);
}

TEST(sandbox_auditor_has_files_and_no_network)
{
    if (sandbox_built() == SANDBOX_NONE)
        skip();
    CHECK_INT(in_child(SANDBOX_AUDITOR), 0);
}

/* The trials themselves can tell: without a filter they answer something else than EPERM. */
TEST(sandbox_trials_answer_otherwise_without_a_filter)
{
    CHECK_INT(try_open(), 0);
    CHECK_INT(try_socket_unix(), 0);
    CHECK_INT(try_socket_inet(), 0);
    CHECK_INT(try_kill(), 0);
    CHECK_INT(try_executable(), 0);
    CHECK(try_bind() != EPERM);
    CHECK(try_io_uring() != EPERM);
    CHECK(try_chmod() == ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(sandbox_worker_has_the_network_and_no_files),
        TEST_OF(sandbox_relay_has_the_network_and_no_files),
        TEST_OF(sandbox_vault_has_files_and_no_network),
        TEST_OF(sandbox_auditor_has_files_and_no_network),
        TEST_OF(sandbox_trials_answer_otherwise_without_a_filter),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
