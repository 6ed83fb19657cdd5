# SPDX-License-Identifier: Apache-2.0
"""Memory and descriptors of the processes under test, while nothing is under way.

Descriptors must come back exactly. Resident memory may stand above the base line by SHARE of it
plus SPARE: an allocator keeps pages that a burst has touched, so that the highest number of
connections at once, which chance decides, moves it; and the kernel counts a process's pages in
batches of up to 64 per core. A leak has no such bound: it grows with every round.
"""
import os
import pathlib

from program import command_line, process_stat

SHARE = 0.15
SPARE = 2 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")


class Process:
    def __init__(self, name, pid):
        self.name = name
        self.pid = pid
        self.samples = []  # resident bytes
        self.base = self.descriptors()  # before any traffic
        self.cpu = 0.0

    def is_alive(self):
        stat = process_stat(self.pid)
        return stat is not None and stat[0] not in "ZX"

    def descriptors(self):
        """How many; None when nobody may see: it is not dumpable, and we are not root."""
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        except (PermissionError, FileNotFoundError):
            return None

    def names(self):
        found = []
        for descriptor in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                found.append(os.readlink(f"/proc/{self.pid}/fd/{descriptor}"))
            except OSError:
                pass
        return sorted(found)

    def sample(self):
        """Its memory now, and its CPU time so far."""
        if not self.is_alive():
            return
        statm = pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()
        self.samples.append(int(statm[1]) * PAGE)
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        self.cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processes_of(gateway, relays):
    """Every process of the two programs, with a name that says which it is."""
    found = [Process("gateway main", gateway.program.pid)]
    for role, pids in sorted(gateway.roles().items()):
        found += [Process(f"gateway {role} {number}", pid) for number, pid in enumerate(pids)]
    for number, relay in enumerate(relays):
        for pid in relay.program.members():
            kind = "keeper" if pid == relay.program.pid else "worker"
            found.append(Process(f"relay {number} {kind}", pid))
    return found


def judge_memory(processes):
    """Complaints about memory that did not come back to the base line, the end of the warm-up."""
    return [f"{process.name}: resident memory {process.samples[0] >> 10} KiB at the base line, "
            f"{process.samples[-1] >> 10} KiB at the end: "
            f"{[size >> 10 for size in process.samples]}"
            for process in processes
            if process.samples[-1] > process.samples[0] * (1 + SHARE) + SPARE]


def judge_descriptors(processes):
    return [f"{process.name}: {process.base} descriptors at the start, "
            f"{process.descriptors()} now: {process.names()}"
            for process in processes
            if process.base is not None and process.descriptors() != process.base]


def judge_life(processes, pids_now):
    """Complaints about processes that died, or came."""
    complaints = [f"{process.name} (process {process.pid}) died"
                  for process in processes if not process.is_alive()]
    known = {process.pid for process in processes}
    complaints += [f"process {pid} is new: {' '.join(command_line(pid))}"
                   for pid in pids_now if pid not in known]
    return complaints
