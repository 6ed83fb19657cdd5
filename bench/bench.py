#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the gateway costs, beside HAProxy and nginx doing the nearest thing they can, in one run.

Everything is pinned to one core: it is always busy, nothing waits for another core to wake up, and
a subject's CPU time divided by the origin's in the same seconds does not depend on the machine's
mood. Rounds are interleaved; figures are medians of rounds, ratios medians of each round's ratio.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "e2e"))

import table
from authority import Authority
from gateway import BUILD, Gateway, free_port
from program import Program, clean_environment, wait_until

SECRET = "bench-0123456789"
MIB = 1 << 20

# name: (what the generator does, seconds are added; unit; HTTP/2?)
LOADS = {
    "keep": ["--connections", "32"],
    "keep-h2": ["--connections", "4", "--streams", "8"],
    "new": ["--connections", "16", "--close"],
    "down": ["--connections", "1", "--path", "/large"],
    "down-8": ["--connections", "8", "--path", "/large"],
    "up": ["--connections", "1", "--path", "/sink", "--upload", str(64 * MIB)],
}
BY_BYTES = {"down", "down-8", "up"}


class Subject:
    """Something between generator and origin."""

    def __init__(self, name, program, way):
        self.name = name
        self.program = program
        self.way = way  # what the generator must know to get through

    def pids(self):
        return self.program.members()

    def busiest(self):
        return max(self.pids(), key=lambda pid: cpu_s([pid]))


def cpu_s(pids):
    """CPU seconds of processes with all their threads, exact to the nanosecond."""
    total = 0
    for pid in pids:
        try:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total / 1e9


def resident(pids):
    """Resident bytes of their own: what processes share through fork or files is not counted twice."""
    total = 0
    for pid in pids:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        for name in ("Private_Clean", "Private_Dirty"):
            total += int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1)) << 10
    return total


class Bench:
    def __init__(self, directory, options):
        self.directory = directory
        self.options = options
        self.environment = clean_environment(directory)
        self.programs = []
        self.subjects = []
        self.notes = []
        self.rows = []
        self.ports = {name: free_port()
                      for name in ("ORIGIN", "SINK", "HAPROXY", "NGINX")}
        self.authority = f"origin.test:{self.ports['ORIGIN']}"

    # ---- the programs ----

    def start(self):
        self.make_files()
        self.program("sink", BUILD / "bench" / "sink", self.ports["SINK"])
        self.origin = self.program("origin", "nginx", "-c", self.configuration("origin.conf"),
                                   port="ORIGIN")
        self.start_gateway()
        if shutil.which("haproxy", path=self.environment["PATH"]):
            program = self.program("haproxy", "haproxy", "-db", "-f",
                                   self.configuration("haproxy.cfg"), port="HAPROXY")
            self.subjects.append(Subject("HAProxy", program, self.direct("HAPROXY")))
        else:
            self.notes.append("HAProxy is not there")
        program = self.program("nginx", "nginx", "-c", self.configuration("nginx.conf"),
                               port="NGINX")
        self.subjects.append(Subject("nginx", program, self.direct("NGINX")))
        wanted = set(self.options.only.split(",")) if self.options.only else None
        self.subjects = [subject for subject in self.subjects
                         if wanted is None or subject.name in wanted]
        return self

    def make_files(self):
        authority = Authority(self.directory / "authority")
        self.roots = authority.certificate
        leaf = authority.issue("origin.test", "*.origin.test", label="leaf")
        (self.directory / "leaf-both.pem").write_text("".join(part.read_text() for part in leaf))
        for name in ("www", "temp"):
            (self.directory / name).mkdir()
        (self.directory / "www" / "small").write_bytes(b"x" * 1024)
        with (self.directory / "www" / "large").open("wb") as large:
            large.truncate(64 * MIB)

    def configuration(self, name):
        text = (HERE / "conf" / name).read_text()
        for word, value in {**self.ports, "W": self.directory, "SECRET": SECRET}.items():
            text = text.replace(f"@{word}@", str(value))
        path = self.directory / name
        path.write_text(text)
        return path

    def program(self, name, *argv, port=None):
        program = Program(name, argv, env=self.environment, directory=self.directory)
        self.programs.append(program)
        if port is not None:
            wait_until(lambda: self.is_listening(program, self.ports[port]), f"{name} to listen")
        return program

    @staticmethod
    def is_listening(program, port):
        if program.child.poll() is not None:
            raise AssertionError(f"{program.name} ended: {program.errors()}")
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
                   for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:])

    def start_gateway(self):
        count = self.options.hosts * (self.options.rounds + 1)
        hosts = {f"h{number}.origin.test": "127.0.0.1" for number in range(count)}
        self.gateway = Gateway(
            self.directory / "gateway", roots=self.roots,
            hosts={"origin.test": "127.0.0.1", **hosts},
            rules=[{"name": "origin", "hosts": ["origin.test", "*.origin.test"],
                    "ports": [self.ports["ORIGIN"]], "action": "allow",
                    "inject": [{"header": "Authorization", "credential": "key",
                                "format": "Bearer {}"}]}],
            credentials={"key": SECRET},
            more={"workers": 1, "log": "warning", "timeouts": {"origin_idle": "2s"},
                  "limits": {"tunnels_per_session": 10000}})
        self.gateway.ca_init().start()
        session = self.gateway.session_create()
        token = session.write(self.directory / "token")
        self.subjects.append(Subject("exeat-gateway", self.gateway.program, [
            "--way", "tunnel", "--port", self.gateway.port, "--session", session.id,
            "--token-file", token]))

    def direct(self, port):
        return ["--way", "direct", "--port", self.ports[port]]

    def stop(self):
        self.gateway.stop()
        for program in reversed(self.programs):
            program.stop()

    # ---- one measurement ----

    def load_start(self, way, *words):
        argv = [BUILD / "bench" / "load", *way, "--authority", self.authority, *words]
        return subprocess.Popen([str(word) for word in argv], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, start_new_session=True)

    def load(self, way, *words):
        """The generator's sum; None when the subject does not serve this."""
        child = self.load_start(way, *words)
        out, err = child.communicate(timeout=300)
        if "HTTP/2 is not served here" in err or "alert no application protocol" in err:
            return None
        if child.returncode != 0:
            raise AssertionError(f"load {words}: {err}")
        done = json.loads(out.splitlines()[-1])
        if done["errors"] or done["not_200"] or not done["bytes"]:
            raise AssertionError(f"load {way} {words}: {done} {err}")
        return done

    def measure(self, subject, name, way, *words):
        """A row with the CPU times of these seconds."""
        before = cpu_s(subject.pids()), cpu_s(self.origin.members())
        done = self.load(way, *words)
        if done is None:
            return None
        return {**done, "subject": subject.name, "load": name,
                "cpu": cpu_s(subject.pids()) - before[0],
                "origin": cpu_s(self.origin.members()) - before[1]}

    # ---- the figures ----

    def run_loads(self):
        seconds = ["--seconds", str(self.options.seconds)]
        for round_number in range(-1, self.options.rounds):
            for name, words in LOADS.items():
                if self.options.loads and name not in self.options.loads.split(","):
                    continue
                for subject in self.subjects:
                    # The first round fills caches and pools, and is not counted.
                    length = seconds if round_number >= 0 else ["--seconds", "0.3"]
                    row = self.measure(subject, name, subject.way, *words, *length)
                    if row is None or round_number < 0:
                        continue
                    row["round"] = round_number
                    row["units"] = row["bytes"] / (1 << 30) if name in BY_BYTES else row["requests"]
                    self.add(row)

    def run_hosts(self):
        """
        New tunnels to names never seen, then to the same names again. nginx makes no certificates,
        and HAProxy 2.6 with OpenSSL 3 fails the handshake for which it made one.
        """
        count = self.options.hosts
        subject = self.subjects[0]
        for round_number in range(self.options.rounds):
            words = ["--connections", "1", "--close", "--requests", count, "--hosts", count,
                     "--first-host", round_number * count]
            new = self.measure(subject, "host", subject.way, *words)
            # A connection to the origin that is still there would be one difference more.
            wait_until(lambda: not self.has_idle_origins(), "origin connections to end", 20)
            known = self.measure(subject, "host", subject.way, *words)
            self.add({"subject": subject.name, "load": "host", "round": round_number,
                      "units": count, "cpu": new["cpu"] - known["cpu"],
                      "origin": known["origin"]})

    def run_idle(self):
        count = self.options.idle
        for subject in self.subjects:
            before = resident(subject.pids())
            child = self.load_start(subject.way, "--connections", count, "--idle")
            try:
                line = child.stdout.readline()
                if line != "idle\n":
                    raise AssertionError(f"idle: {line} {child.stderr.read()}")
                wait_until(lambda: not self.has_idle_origins(), "origin connections to end", 20)
                time.sleep(1)
                start = cpu_s(subject.pids())
                bytes_each = (resident(subject.pids()) - before) / count
                time.sleep(5)
                self.add({"subject": subject.name, "load": "idle", "round": 0, "units": 1,
                          "cpu": (cpu_s(subject.pids()) - start) / 5, "origin": 0,
                          "bytes_each": bytes_each})
            finally:
                child.send_signal(signal.SIGTERM)
                child.communicate(timeout=20)

    def has_idle_origins(self):
        """Whether the gateway still holds connections that wait for a next request."""
        port = f":{self.ports['ORIGIN']:04X}"
        inodes = {line.split()[9] for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()
                  if line.split()[2].endswith(port)}
        for pid in self.gateway.program.members():
            for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                try:
                    if os.readlink(entry)[8:-1] in inodes:
                        return True
                except OSError:
                    pass
        return False

    def run_calls(self):
        """System calls for each request, by strace; it slows what it watches."""
        if not shutil.which("strace", path=self.environment["PATH"]):
            self.notes.append("strace is not there: system calls were not counted")
            return
        for subject in self.subjects:
            path = self.directory / f"calls-{subject.name}"
            tracer = subprocess.Popen(
                ["strace", "-f", "-c", "-U", "name,calls", "-o", path,
                 *(word for pid in subject.pids() for word in ("-p", str(pid)))],
                stderr=subprocess.PIPE, start_new_session=True)
            tracer.stderr.readline()
            time.sleep(0.5)
            done = self.load(subject.way, *LOADS["keep"], "--seconds", self.options.seconds)
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=20)
            counts = dict(re.findall(r"^(\w+)\s+(\d+)$", path.read_text(), re.M))
            counts.pop("total", None)
            each = {name: int(count) / done["requests"] for name, count in counts.items()}
            self.add({"subject": subject.name, "load": "calls", "round": 0, "units": 1,
                      "cpu": 0, "origin": 0, "calls": sum(each.values()),
                      "by_name": {name: round(count, 3) for name, count in
                                  sorted(each.items(), key=lambda item: -item[1])[:8]}})

    def add(self, row):
        self.rows.append(row)
        if sys.stderr.isatty() or self.options.verbose:
            print(json.dumps(row), file=sys.stderr, flush=True)

    def run(self):
        steps = {"loads": self.run_loads, "hosts": self.run_hosts, "calls": self.run_calls,
                 "idle": self.run_idle}
        for name in self.options.steps.split(","):
            steps[name]()


def options_parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--idle", type=int, default=1000, help="idle tunnels")
    parser.add_argument("--hosts", type=int, default=100, help="new names in a round")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--steps", default="loads,hosts,calls,idle")
    parser.add_argument("--loads", help="only these of " + ",".join(LOADS))
    parser.add_argument("--only", help="only these subjects: exeat-gateway,HAProxy,nginx")
    parser.add_argument("--smoke", action="store_true", help="seconds: does every tool run?")
    parser.add_argument("--out", default="bench.md", help="the tables; the rows go beside it")
    parser.add_argument("--document", help="put the tables between its markers, too")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.seconds, options.idle, options.hosts = 1, 0.5, 20, 5
    if options.hosts * (options.rounds + 1) > 1000:
        parser.error("--hosts times rounds: at most 1000 names")
    return options


def main():
    options = options_parse()
    os.sched_setaffinity(0, {options.core})  # every program inherits it
    directory = pathlib.Path(tempfile.mkdtemp(prefix="exeat-bench-"))
    bench = Bench(directory, options)
    try:
        bench.start().run()
    finally:
        bench.stop()
    out = pathlib.Path(options.out)
    out.with_suffix(".json").write_text(json.dumps(bench.rows, indent=0) + "\n")
    text = table.document(bench.rows, bench.subjects, options, bench.notes)
    out.write_text(text)
    print(text)
    if options.document:
        table.insert(pathlib.Path(options.document), text)
    missing = [name for name in table.wanted(options) if not any(
        row["load"] == name and row["subject"] == "exeat-gateway" for row in bench.rows)]
    shutil.rmtree(directory)
    print(f"bench: {out}" + (f"; nothing measured for {', '.join(missing)}" if missing else ""))
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
