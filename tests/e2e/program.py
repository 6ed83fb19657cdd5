# SPDX-License-Identifier: Apache-2.0
"""Programs that tests start: their output, their end, and that nothing of them stays behind."""
import os
import pathlib
import re
import signal
import subprocess
import time

DEADLINE = float(os.environ.get("EXEAT_TEST_DEADLINE", "20"))


# What our programs say when something in them is wrong; a test may kill with 9, nobody else does.
TROUBLE = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|exeat: bug:"
                     r"|killed by signal (?!9\b)|has ended \((?!signal 9\b)")


class Timeout(AssertionError):
    pass


def expect_no_trouble(name, errors):
    trouble = TROUBLE.search(errors)
    if trouble:
        raise AssertionError(f"{name}: {errors[max(0, trouble.start() - 300):][:4000]}")


def wait_until(condition, what, seconds=None, every=0.02):
    """The first true value of condition(); fails after the deadline."""
    end = time.monotonic() + (seconds or DEADLINE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Timeout(f"waited {seconds or DEADLINE} s for {what}")
        time.sleep(every)


def clean_environment(home, **more):
    """What a program gets: nothing of the machine's own proxies and certificates."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home),
                   "LANG": "C.UTF-8", "TMPDIR": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
        if name in os.environ:
            environment[name] = os.environ[name]
    environment.update({name: str(value) for name, value in more.items()})
    return environment


def process_stat(pid):
    """(state, parent, session) of a process, or None when it has gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1]), int(fields[3])


def cpu_seconds(pid):
    """Processor time that a process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def session_members(leader):
    """Living processes of the session that `leader` began."""
    members = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        stat = process_stat(name)
        if stat and stat[2] == leader and stat[0] not in "ZX":
            members.append(int(name))
    return members


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def kill_session(leader):
    for pid in session_members(leader):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def expect_no_member(leader, name):
    """Everything a program started ends with it."""
    try:
        wait_until(lambda: not session_members(leader), f"{name}'s processes to end", 5)
    except Timeout:
        left = [f"{pid} {' '.join(command_line(pid))}" for pid in session_members(leader)]
        kill_session(leader)
        raise AssertionError(f"{name} left processes behind: {left}") from None


def run(argv, *, env, cwd, seconds=60, stdin=b"", check=None,
        descriptors=()):
    """Run to the end. `check` is the exit status expected; None: any."""
    with subprocess.Popen([str(word) for word in argv], env=env, cwd=cwd, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          start_new_session=True, pass_fds=descriptors) as child:
        try:
            out, err = child.communicate(stdin, timeout=seconds)
        except subprocess.TimeoutExpired:
            kill_session(child.pid)
            out, err = child.communicate()
            raise Timeout(f"{argv} did not end in {seconds} s\n{out[-4000:]!r}\n"
                          f"{err[-4000:].decode(errors='replace')}") from None
    expect_no_member(child.pid, str(argv[0]))
    expect_no_trouble(str(argv[0]), err.decode(errors="replace"))
    done = subprocess.CompletedProcess(argv, child.returncode, out, err)
    if check is not None and done.returncode != check:
        raise AssertionError(f"{' '.join(str(word) for word in argv)}\nended with "
                             f"{done.returncode}, not {check}\n{out[-4000:]!r}\n"
                             f"{err[-8000:].decode(errors='replace')}")
    return done


class Program:
    """One that stays; its output goes to files in `directory`, where a failed test shows it."""

    def __init__(self, name, argv, *, env, directory):
        self.name = name
        self.out_path = pathlib.Path(directory) / f"{name}.out"
        self.err_path = pathlib.Path(directory) / f"{name}.err"
        self.out_start = self._size(self.out_path)
        self.err_start = self._size(self.err_path)
        with self.out_path.open("ab") as out, self.err_path.open("ab") as err:
            self.child = subprocess.Popen([str(word) for word in argv], env=env, cwd=directory,
                                          stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                          start_new_session=True)

    @staticmethod
    def _size(path):
        return path.stat().st_size if path.exists() else 0

    @property
    def pid(self):
        return self.child.pid

    def output(self):
        return self.out_path.read_bytes()[self.out_start:].decode(errors="replace")

    def errors(self):
        return self.err_path.read_bytes()[self.err_start:].decode(errors="replace")

    def expect(self, pattern, count=1):
        """The matches of a pattern in the output, once there are `count` of them."""
        def look():
            found = re.findall(pattern, self.output(), re.M)
            if len(found) >= count:
                return found
            if self.child.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.child.returncode} before it "
                                     f"said {pattern!r}\n{self.output()}\n{self.errors()}")
            return None

        try:
            return wait_until(look, f"{self.name} to say {pattern!r}")
        except Timeout as error:
            raise Timeout(f"{error}\n{self.output()}\n{self.errors()}") from None

    def members(self):
        return session_members(self.pid)

    def children(self):
        return [pid for pid in self.members() if (process_stat(pid) or ("", 0))[1] == self.pid]

    def stop(self, sig=signal.SIGTERM, status=None):
        """End it and see that nothing stays. `status`: the exit status expected, if any."""
        if self.child.poll() is None:
            self.child.send_signal(sig)
            try:
                self.child.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                kill_session(self.pid)
                self.child.wait()
                raise Timeout(f"{self.name} did not end on signal {sig}\n{self.errors()}") from None
        expect_no_member(self.pid, self.name)
        expect_no_trouble(self.name, self.errors())
        if status is not None:
            assert self.child.returncode == status, (self.name, self.child.returncode,
                                                     self.errors()[-4000:])
