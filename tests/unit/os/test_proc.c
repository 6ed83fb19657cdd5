/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is guarded: a child gets exactly what it was given, and dies with its parent if tied.
 * Children are this program again, told apart by argv[1]; they answer by their exit status.
 */
#include "os/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file.h"
#include "test.h"

static const char *own_path;

static int exit_status(pid_t pid)
{
    int status;

    CHECK_INT(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* Run `check` in a process of its own; it returns 0 or the line it failed at. */
static int in_child(int (*check)(void))
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0)
        _exit(check());
    return exit_status(pid);
}

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("line %d: %s is false (%s)\n", __LINE__, #condition, strerror(errno));     \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static pid_t spawn_child(const char *what, const struct proc_fd *fds, size_t count,
                         enum proc_tie tie)
{
    char name[] = "child";
    char role[64];
    char *argv[] = {name, role, NULL};
    struct err err;
    pid_t pid;

    (void)snprintf(role, sizeof role, "--child=%s", what);
    pid = proc_spawn_self(argv, fds, count, tie, &err);
    if (pid < 0)
        print_error("%s\n", err.text);
    return pid;
}

/* --- what children do --- */

static int holds(int fd, const char *content)
{
    char bytes[16];
    ssize_t len = pread(fd, bytes, sizeof bytes, 0);

    return len >= 0 && span_equal(span_of(bytes, (size_t)len), span_text(content));
}

static size_t descriptor_count(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;

    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count - 3; /* ".", "..", and the directory itself */
}

static int child_descriptors(void)
{
    REQUIRE(holds(10, "eleven"));
    REQUIRE(holds(11, "ten"));
    REQUIRE(holds(3, "ten"));
    REQUIRE(descriptor_count() == 6);
    return 0;
}

static int child_signals(void)
{
    struct sigaction action;
    sigset_t mask;

    REQUIRE(sigprocmask(SIG_SETMASK, NULL, &mask) == 0);
    REQUIRE(sigisemptyset(&mask));
    REQUIRE(sigaction(SIGPIPE, NULL, &action) == 0);
    REQUIRE(action.sa_handler == SIG_DFL);
    REQUIRE(sigaction(SIGUSR2, NULL, &action) == 0);
    REQUIRE(action.sa_handler == SIG_DFL);
    return 0;
}

/* Say a byte on 3, and one more for each byte that comes on 4. */
static int child_echo(void)
{
    char byte;

    REQUIRE(write(3, "!", 1) == 1);
    while (read(4, &byte, 1) == 1)
        REQUIRE(write(3, &byte, 1) == 1);
    return 0;
}

static int child_environment(void)
{
    const char *value = getenv("EXEAT_TEST");

    REQUIRE(value != NULL && strcmp(value, "inherited") == 0);
    return 0;
}

static int child_again(void)
{
    pid_t pid = spawn_child("nothing", NULL, 0, PROC_TIED);
    int status;

    REQUIRE(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0); /* the file could not be read */
    REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return 0;
}

static int child_nothing(void)
{
    return 0;
}

static const struct {
    const char *what;
    int (*run)(void);
} children[] = {
    {"--child=descriptors", child_descriptors},
    {"--child=signals", child_signals},
    {"--child=echo", child_echo},
    {"--child=environment", child_environment},
    {"--child=again", child_again},
    {"--child=nothing", child_nothing},
};

/* --- spawning ourselves --- */

TEST(proc_spawn_self_gives_exactly_the_descriptors_even_if_they_overlap)
{
    struct err err;
    int ten = file_sealed("ten", span_text("ten"), &err);
    int eleven = file_sealed("eleven", span_text("eleven"), &err);
    const struct proc_fd fds[] = {{10, 11}, {11, 10}, {10, 3}};
    pid_t pid;

    CHECK_INT(dup2(ten, 10), 10); /* these two have no close-on-exec, nor has the third */
    CHECK_INT(dup2(eleven, 11), 11);
    CHECK_INT(dup2(eleven, 200), 200);
    pid = spawn_child("descriptors", fds, 3, PROC_FREE);
    CHECK(pid > 0);
    CHECK_INT(exit_status(pid), 0);
    CHECK(holds(10, "ten")); /* ours are as they were */
    CHECK(holds(11, "eleven"));
    const int open_fds[] = {ten, eleven, 10, 11, 200};

    for (size_t i = 0; i < 5; i++)
        (void)close(open_fds[i]);
}

static void on_signal(int number)
{
    (void)number;
}

TEST(proc_spawn_self_gives_a_clean_signal_state)
{
    sigset_t mask, now;
    pid_t pid;

    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGUSR1);
    CHECK_INT(sigprocmask(SIG_BLOCK, &mask, NULL), 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGUSR2, on_signal);
    pid = spawn_child("signals", NULL, 0, PROC_FREE);
    CHECK_INT(exit_status(pid), 0);
    CHECK_INT(sigprocmask(SIG_UNBLOCK, &mask, &now), 0); /* ours is as it was */
    CHECK(sigismember(&now, SIGUSR1) && !sigismember(&now, SIGUSR2));
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGUSR2, SIG_DFL);
}

TEST(proc_spawn_self_inherits_the_environment)
{
    CHECK_INT(setenv("EXEAT_TEST", "inherited", 1), 0);
    CHECK_INT(exit_status(spawn_child("environment", NULL, 0, PROC_FREE)), 0);
    CHECK_INT(unsetenv("EXEAT_TEST"), 0);
}

/* A parent that starts a child and ends. Returns our ends: [0] to read from, [1] to write to. */
static void orphan_start(enum proc_tie tie, int ours[2])
{
    int up[2];
    int down[2];
    pid_t parent;

    CHECK_INT(pipe2(up, O_CLOEXEC), 0);
    CHECK_INT(pipe2(down, O_CLOEXEC), 0);
    parent = fork();
    CHECK(parent >= 0);
    if (parent == 0) {
        const struct proc_fd fds[] = {{up[1], 3}, {down[0], 4}};
        char byte;

        if (spawn_child("echo", fds, 2, tie) < 0)
            _exit(1);
        (void)close(up[1]);
        _exit(read(up[0], &byte, 1) == 1 ? 0 : 2);
    }
    (void)close(up[1]);
    (void)close(down[0]);
    CHECK_INT(exit_status(parent), 0);
    ours[0] = up[0];
    ours[1] = down[1];
}

TEST(proc_spawn_self_tied_dies_with_its_parent)
{
    int ours[2];
    char byte;

    orphan_start(PROC_TIED, ours);
    CHECK_INT(read(ours[0], &byte, 1), 0); /* its end was closed though we still hold ours */
    (void)close(ours[0]);
    (void)close(ours[1]);
}

TEST(proc_spawn_self_free_outlives_its_parent)
{
    int ours[2];
    char byte = 0;

    orphan_start(PROC_FREE, ours);
    CHECK_INT(write(ours[1], "y", 1), 1);
    CHECK_INT(read(ours[0], &byte, 1), 1);
    CHECK_INT(byte, 'y');
    (void)close(ours[1]);
    CHECK_INT(read(ours[0], &byte, 1), 0);
    (void)close(ours[0]);
}

static char copy_path[128];

static int run_unreadable(void)
{
    char name[] = "exeat";
    char role[] = "--child=again";
    char *argv[] = {name, role, NULL};
    struct err err;

    REQUIRE(proc_drop_to("nobody", &err) == 0);
    REQUIRE(access(copy_path, R_OK) < 0);
    (void)execv(copy_path, argv);
    REQUIRE(errno == 0);
    return 1;
}

/* F1, F2: a binary that may be run but not read is never dumpable, not even before main(). */
TEST(proc_spawn_self_works_from_a_binary_that_cannot_be_read)
{
    char directory[] = "/tmp/exeat-proc-XXXXXX";
    struct room binary;
    struct err err;

    if (geteuid() != 0)
        skip();
    CHECK(mkdtemp(directory) != NULL);
    CHECK_INT(chmod(directory, 0711), 0);
    (void)snprintf(copy_path, sizeof copy_path, "%s/exeat", directory);
    CHECK_INT(file_read(own_path, 1 << 28, &binary, &err), 0);
    CHECK_INT(file_write_atomic(copy_path, span_of_room(binary), 0111, &err), 0);
    file_free(&binary);
    CHECK_INT(in_child(run_unreadable), 0);
    CHECK_INT(unlink(copy_path), 0);
    CHECK_INT(rmdir(directory), 0);
}

TEST(proc_spawn_self_reports_a_descriptor_that_is_not_open)
{
    const struct proc_fd fds[] = {{250, 3}};
    char name[] = "child";
    char *argv[] = {name, NULL};
    struct err err;

    CHECK_INT(proc_spawn_self(argv, fds, 1, PROC_FREE, &err), -1);
    CHECK_INT(err.code, ERR_SYSTEM);
    CHECK_INT(err.sys, EBADF);
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left to reap */
}

/* --- spawning others --- */

static char word_sh[] = "sh";
static char word_c[] = "-c";

TEST(proc_spawn_finds_a_program_and_gives_it_our_environment)
{
    char script[] = "test \"$ONLY\" = this && test -z \"$HOME\"";
    char variable[] = "ONLY=this";
    char *argv[] = {word_sh, word_c, script, NULL};
    char *envp[] = {variable, NULL};
    struct err err;
    pid_t pid = proc_spawn(argv, envp, &err);

    CHECK(pid > 0);
    CHECK_INT(exit_status(pid), 0);
}

TEST(proc_spawn_says_not_found_and_cannot_execute)
{
    char none[] = "exeat-no-such-program";
    char directory[] = "/tmp";
    char *argv[] = {none, NULL};
    char *envp[] = {NULL};
    struct err err;

    CHECK_INT(proc_spawn(argv, envp, &err), -1);
    CHECK_INT(err.code, ERR_NOT_FOUND);
    CHECK(strstr(err.text, none) != NULL);
    argv[0] = directory;
    CHECK_INT(proc_spawn(argv, envp, &err), -1);
    CHECK_INT(err.code, ERR_SYSTEM);
    CHECK_INT(err.sys, EACCES);
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
}

TEST(proc_spawn_leaves_no_signal_ignored)
{
    char script[] = "kill -PIPE $$; exit 0";
    char *argv[] = {word_sh, word_c, script, NULL};
    char *envp[] = {NULL};
    struct err err;

    (void)signal(SIGPIPE, SIG_IGN);
    CHECK_INT(exit_status(proc_spawn(argv, envp, &err)), 256 + SIGPIPE);
    (void)signal(SIGPIPE, SIG_DFL);
}

/* --- ourselves --- */

static int harden_check(void)
{
    struct rlimit limit;
    struct err err;

    REQUIRE(proc_harden(&err) == 0);
    REQUIRE(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    REQUIRE(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    REQUIRE(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
    return 0;
}

TEST(proc_harden_leaves_no_core_and_no_way_up)
{
    CHECK_INT(in_child(harden_check), 0);
}

static int drop_check(void)
{
    struct err err;
    int death_signal = 0;
    gid_t groups[8];

    REQUIRE(proc_harden(&err) == 0);
    REQUIRE(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0);
    REQUIRE(proc_drop_to("nobody", &err) == 0);
    REQUIRE(getuid() != 0 && geteuid() != 0 && getgid() != 0 && getegid() != 0);
    REQUIRE(setuid(0) < 0 && setgid(0) < 0);
    for (int i = getgroups(8, groups); i > 0; i--)
        REQUIRE(groups[i - 1] != 0);
    /* What a change of ids undoes is as it was. */
    REQUIRE(prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0) == 0 && death_signal == SIGKILL);
    REQUIRE(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    REQUIRE(proc_drop_to("nobody", &err) == 0);
    REQUIRE(proc_drop_to("root", &err) < 0);
    return 0;
}

TEST(proc_drop_to_gives_up_root_for_good)
{
    struct err err;

    CHECK_INT(proc_drop_to("exeat-no-such-user", &err), -1);
    CHECK_INT(err.code, ERR_CONFIG);
    if (geteuid() != 0)
        skip();
    CHECK_INT(in_child(drop_check), 0);
}

static int name_check(void)
{
    char name[16];

    proc_set_name("exeat worker 12 and more");
    REQUIRE(prctl(PR_GET_NAME, name, 0, 0, 0) == 0 && strcmp(name, "exeat worker 12") == 0);
    return 0;
}

TEST(proc_set_name_keeps_what_fits)
{
    CHECK_INT(in_child(name_check), 0);
}

static int tracer_check(void)
{
    REQUIRE(proc_tracer() == 0);
    REQUIRE(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
    REQUIRE(proc_tracer() == getppid());
    return 0;
}

TEST(proc_tracer_is_who_reads_our_memory)
{
    CHECK_INT(in_child(tracer_check), 0);
}

static int close_check(void)
{
    proc_close_from(3);
    REQUIRE(descriptor_count() == 3);
    return 0;
}

TEST(proc_close_from_leaves_what_is_below)
{
    CHECK_INT(dup2(0, 77), 77);
    CHECK_INT(in_child(close_check), 0);
    (void)close(77);
}

static int raise_check(void)
{
    struct rlimit limit;

    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = 64;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    REQUIRE(proc_raise_files() == limit.rlim_max);
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == limit.rlim_max);
    return 0;
}

TEST(proc_raise_files_goes_to_the_hard_limit)
{
    CHECK_INT(in_child(raise_check), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(proc_spawn_self_gives_exactly_the_descriptors_even_if_they_overlap),
        TEST_OF(proc_spawn_self_gives_a_clean_signal_state),
        TEST_OF(proc_spawn_self_inherits_the_environment),
        TEST_OF(proc_spawn_self_tied_dies_with_its_parent),
        TEST_OF(proc_spawn_self_free_outlives_its_parent),
        TEST_OF(proc_spawn_self_works_from_a_binary_that_cannot_be_read),
        TEST_OF(proc_spawn_self_reports_a_descriptor_that_is_not_open),
        TEST_OF(proc_spawn_finds_a_program_and_gives_it_our_environment),
        TEST_OF(proc_spawn_says_not_found_and_cannot_execute),
        TEST_OF(proc_spawn_leaves_no_signal_ignored),
        TEST_OF(proc_harden_leaves_no_core_and_no_way_up),
        TEST_OF(proc_drop_to_gives_up_root_for_good),
        TEST_OF(proc_set_name_keeps_what_fits),
        TEST_OF(proc_tracer_is_who_reads_our_memory),
        TEST_OF(proc_close_from_leaves_what_is_below),
        TEST_OF(proc_raise_files_goes_to_the_hard_limit),
    };

    own_path = argv[0];
    for (size_t i = 0; argc > 1 && i < sizeof children / sizeof children[0]; i++) {
        if (strcmp(argv[1], children[i].what) == 0)
            _exit(children[i].run());
    }
    proc_close_from(3); /* what a test runner left open */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
