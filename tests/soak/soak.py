#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Minutes of mixed traffic through relay and gateway, with faults on both sides of the gateway.

    clients ─▶ relay ─▶ fault proxy ─▶ gateway ─▶ fault proxy ─▶ origin

An exchange that a fault hit may fail, but it must not deliver wrong bytes, nor look complete when
it is not; one that was not hit must succeed. In the end memory and descriptors are where they were,
the audit log verifies and has one record for each exchange, and no process has died.
"""
import argparse
import asyncio
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import ssl
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import clients
import ledger
import watch
from authority import Authority
from gateway import Gateway, free_port
from program import Program, clean_environment, expect_no_trouble, wait_until
from relay import Container

SECRET = "soak-0123456789-canary"
ORIGIN_IDLE_S = 2
TIMEOUTS = {"forward_idle": "8s", "origin_idle": f"{ORIGIN_IDLE_S}s", "idle": "20s"}
SETTLE_S = 40  # the longest fault, and the longest that a relay or the gateway waits for its peer
SEALED_SLOTS = 3  # the last slots: their relay speaks TLS to the gateway


class Journey:
    """The programs of the soak."""

    def __init__(self, directory, options):
        self.directory = directory
        self.options = options
        self.slots = options.tunnels
        self.relays = []
        self.programs = []
        self.fault_log = directory / "faults.jsonl"
        self.origin_log = directory / "origin.jsonl"
        self.environment = clean_environment(directory, PYTHONDONTWRITEBYTECODE=1)

    def start(self):
        authority = Authority(self.directory / "authority")
        self.roots = authority.certificate
        hosts = [f"s{slot}.soak.test" for slot in range(self.slots)]
        certificate, key = authority.issue(*hosts, label="origin")
        origin = self.program("origin", "server.py", "--certificate", certificate, "--key", key,
                              "--secret", SECRET, "--log", self.origin_log)
        targets = dict(origin.expect(r"^(\w+) listening on 127\.0\.0\.1:(\d+)", 2))
        self.ports = {way: free_port() for way in ("h1", "plain", "pass", "tcp")}
        self.gateway = Gateway(
            self.directory / "gateway", roots=authority.certificate,
            hosts={host: f"127.0.2.{slot + 1}" for slot, host in enumerate(hosts)},
            rules=self.rules(),
            credentials={"soak": SECRET}, more={"timeouts": TIMEOUTS, **self.limits()},
            tls=authority.issue("localhost", "127.0.0.1", label="gateway"))
        self.gateway.ca_init().start()
        proxy = self.program(
            "faults", "faults.py", "--seed", self.options.seed, "--log", self.fault_log, "--slots",
            self.slots, f"ws={self.gateway.port}", f"wstls={self.gateway.tls_port}",
            *(f"{way}:{port}={targets['plain' if way == 'plain' else 'origin']}"
              for way, port in self.ports.items()))
        proxy.expect(r"^ready")
        ports = dict(proxy.expect(r"^(\w+) listening on 127\.0\.0\.1:(\d+)", 2))
        session = self.gateway.session_create()
        for name, scheme in (("ws", "http"), ("wstls", "https")):
            container = Container(self.directory / name, self.gateway, session,
                                  roots=authority.certificate)
            container.environment["EXEAT_GATEWAY_URL"] = f"{scheme}://127.0.0.1:{ports[name]}"
            self.relays.append(container.relay())
        self.proxy = proxy
        return self

    def rules(self):
        def rule(name, way, **more):
            return {"name": name, "hosts": ["*.soak.test"], "ports": [self.ports[way]], **more}

        key = {"header": "X-Soak-Key", "credential": "soak"}
        return [rule("pass", "pass", action="pass"), rule("tcp", "tcp", action="tcp"),
                rule("denied", "h1", action="deny", paths=["/denied/**"]),
                rule("denied-plain", "plain", action="deny", paths=["/denied/**"]),
                rule("soak", "h1", action="allow", inject=[key]),
                rule("plain", "plain", action="allow", schemes=["http"],
                     inject=[{**key, "over_plain_http": True}])]

    def contexts(self):
        """What a client trusts and offers, by the way its tunnel goes."""
        contexts = {}
        for way, roots, protocols in (
                ("h1", self.gateway.ca_file(), ["http/1.1"]), ("h2", self.gateway.ca_file(), ["h2"]),
                ("pass", self.roots, ["h2", "http/1.1"]), ("tcp", self.roots, ["http/1.1", "h2"])):
            contexts[way] = ssl.create_default_context(cafile=roots)
            contexts[way].set_alpn_protocols(protocols)
        return contexts

    def limits(self):
        return {"limits": {"buffers": self.options.buffers}} if self.options.buffers else {}

    def program(self, name, script, *words):
        program = Program(name, [sys.executable, HERE / script, *words], env=self.environment,
                          directory=self.directory)
        self.programs.append(program)
        return program

    def relay_ports(self):
        """Of each slot; the last ones go by TLS."""
        sealed = self.sealed_slots()
        return [self.relays[slot in sealed].port for slot in range(self.slots)]

    def sealed_slots(self):
        return set(range(self.slots - SEALED_SLOTS, self.slots))

    def pids(self):
        return [*self.gateway.program.members(),
                *(pid for relay in self.relays for pid in relay.program.members())]

    def trouble(self):
        """What our programs said that they must not say."""
        complaints = []
        for program in (self.gateway.program, *(relay.program for relay in self.relays)):
            try:
                expect_no_trouble(program.name, program.errors())
            except AssertionError as error:
                complaints.append(str(error))
        return complaints

    def stop(self):
        """Complaints about how they ended."""
        complaints = []
        steps = [*(relay.stop for relay in self.relays), self.gateway.stop,
                 *(program.stop for program in reversed(self.programs))]
        for step in steps:
            try:
                step()
            except (AssertionError, AttributeError) as error:
                complaints.append(f"at the end: {error}")
        return complaints


class Soak:
    def __init__(self, journey, options):
        self.journey = journey
        self.options = options
        self.books = ledger.Ledger(self.say)
        self.begin = time.monotonic()
        self.complaints = []
        self.is_tty = sys.stderr.isatty()

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def progress(self, round_name, left_s):
        books = self.books
        line = (f"{time.monotonic() - self.begin:6.0f} s  {round_name}, {left_s:3.0f} s left  "
                f"{books.total(ledger.OK)} ok, {books.total(ledger.FAILED)} failed, "
                f"{books.total(ledger.WRONG)} wrong, {books.total(ledger.HUNG)} hung, "
                f"{books.running} under way, "
                f"{sum(books.bytes.values()) >> 20} MiB")
        if self.is_tty:
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        else:
            self.say(line)

    async def round(self, name, seconds, contexts):
        """Traffic for some seconds; returns when the last exchange has ended."""
        journey = self.journey
        plan = clients.Plan(f"{self.options.seed}/{name}", contexts, journey.ports,
                            journey.relay_ports(), SECRET, self.books)
        tasks = [asyncio.ensure_future(clients.Slot(plan, slot).run())
                 for slot in range(journey.slots)]
        end = time.monotonic() + seconds
        every = 3 if self.is_tty else 15
        while time.monotonic() < end:
            left = end - time.monotonic()
            done, _ = await asyncio.wait(tasks, timeout=min(every, left),
                                         return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()  # a slot ends only by a bug of the soak
            self.progress(name, max(0, end - time.monotonic()))
        plan.is_going = False
        await asyncio.gather(*tasks)
        if self.is_tty:
            self.say("")

    async def settle(self, processes):
        """Wait until no process holds more descriptors than at the start, then sample."""
        end = time.monotonic() + SETTLE_S
        await asyncio.sleep(ORIGIN_IDLE_S)
        while time.monotonic() < end:
            await asyncio.sleep(0.5)
            if not watch.judge_descriptors(processes):
                break
        for process in processes:
            process.sample()

    async def run(self):
        options, journey = self.options, self.journey
        contexts = journey.contexts()
        processes = watch.processes_of(journey.gateway, journey.relays)
        count = max(3, round(options.minutes * 60 / 120))
        seconds = options.minutes * 60 / count
        os.kill(journey.proxy.pid, signal.SIGUSR1)
        for number in range(count):
            await self.round("warm-up" if number == 0 else f"round {number} of {count - 1}",
                             seconds, contexts)
            await self.settle(processes)
            self.complaints += watch.judge_life(processes, journey.pids())
            self.complaints += watch.judge_descriptors(processes)
            if self.complaints:
                break
        self.complaints += journey.trouble()
        if not self.complaints:
            self.complaints += watch.judge_memory(processes)
        return processes

    def judge(self):
        """After the programs have ended: the logs are complete."""
        journey = self.journey
        faults = ledger.read_lines(journey.fault_log)
        lines = ledger.read_lines(journey.origin_log)
        explained, more = ledger.judge_failures(self.books, faults, journey.sealed_slots())
        self.complaints += more
        self.complaints += [f"no {kind} went well" for kind in expected_kinds()
                            if not self.books.counts[kind, ledger.OK]]
        self.complaints += ledger.judge_origin(lines)
        self.complaints += ledger.judge_audit(self.books, lines, journey.gateway.records())
        verified = journey.gateway.command("audit", "verify", "-c", journey.gateway.config_path,
                                           check=None)
        if verified.returncode != 0:
            self.complaints.append(f"audit verify: {verified.stdout!r} {verified.stderr!r}")
        return faults, explained, verified.stdout.decode().strip()


def expected_kinds():
    """What a run of any length must have done, or it has shown nothing."""
    return [*(f"tunnel {way}" for way in clients.WAYS if way != "burst"),
            *(f"{kind} h1" for kind in ("refs", *clients.KINDS, "close", "socket", "leave")),
            *(f"{kind} h2" for kind in (*clients.H2_KINDS, "grpc"))]


def report_make(soak, processes, faults, explained, verified):
    counts = collections.defaultdict(dict)
    for (kind, outcome), count in sorted(soak.books.counts.items()):
        counts[kind][outcome] = count
    by_fault = collections.Counter((fault["place"], fault["kind"]) for fault in faults)
    return {
        "seed": soak.options.seed, "minutes": soak.options.minutes,
        "tunnels": soak.options.tunnels, "seconds": round(time.monotonic() - soak.begin, 1),
        "protocols": counts, "bytes": dict(soak.books.bytes),
        "failures_explained_by_faults": explained,
        "faults": {f"{place} {kind}": count for (place, kind), count in sorted(by_fault.items())},
        "processes": {process.name: {"resident_kib": [size >> 10 for size in process.samples],
                                     "descriptors": process.base,
                                     "cpu_s": process.cpu}
                      for process in processes},
        "audit": verified, "complaints": soak.complaints,
    }


def report_print(report):
    print(f"\n{'protocol':16}{'ok':>8}{'failed':>8}{'wrong':>7}{'hung':>6}")
    for kind, row in report["protocols"].items():
        print(f"{kind:16}{row.get('ok', 0):8}{row.get('failed', 0):8}{row.get('wrong', 0):7}"
              f"{row.get('hung', 0):6}")
    print(f"\n{'fault':24}{'times':>6}")
    for name, count in report["faults"].items():
        print(f"{name:24}{count:6}")
    print(f"\n{'process':24}{'base KiB':>10}{'end KiB':>10}{'files':>7}{'CPU s':>8}")
    for name, row in report["processes"].items():
        print(f"{name:24}{row['resident_kib'][0]:10}{row['resident_kib'][-1]:10}"
              f"{'?' if row['descriptors'] is None else row['descriptors']:>7}{row['cpu_s']:8.1f}")
    print(f"\naudit: {report['audit']}")
    print(f"failures that a fault explains: {report['failures_explained_by_faults']}")
    complaints = report["complaints"]
    for complaint in complaints[:40]:
        print(f"soak: {complaint}")
    if len(complaints) > 40:
        print(f"soak: and {len(complaints) - 40} more")


def options_parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--tunnels", type=int, default=48, help="at least; bursts open more")
    parser.add_argument("--seed", type=int, default=None, help="of faults and traffic")
    parser.add_argument("--buffers", type=int, default=0, help="the gateway's limits.buffers")
    parser.add_argument("--report", default="soak.json", help="file for the report")
    parser.add_argument("--keep", action="store_true", help="keep the directory of the run")
    options = parser.parse_args()
    if not SEALED_SLOTS < options.tunnels <= 250:
        parser.error(f"--tunnels: {SEALED_SLOTS + 1} to 250")
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    return options


def main():
    options = options_parse()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="exeat-soak-"))
    print(f"soak: seed {options.seed}, {options.tunnels} tunnels, {options.minutes:g} minutes, "
          f"{directory}", flush=True)
    journey = Journey(directory, options)
    try:
        soak = Soak(journey.start(), options)
        processes = asyncio.run(soak.run())
    finally:
        complaints = journey.stop()
    soak.complaints += complaints
    report = report_make(soak, processes, *soak.judge())
    pathlib.Path(options.report).write_text(json.dumps(report, indent=1) + "\n")
    report_print(report)
    is_well = not soak.complaints
    if is_well and not options.keep:
        shutil.rmtree(directory)
    print(f"soak: {'passed' if is_well else 'FAILED'}; seed {options.seed}; {options.report}"
          + ("" if is_well else f"; {directory}"))
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
