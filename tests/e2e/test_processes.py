# SPDX-License-Identifier: Apache-2.0
"""Processes are split by secret: who holds what, and what the death of one costs."""
import base64
import concurrent.futures
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from program import process_stat, wait_until
from tunnel import RelayChannel, TlsClient, Tunnel

root_only = pytest.mark.skipif(os.getuid() != 0, reason="reads the memory of other processes")


def memory_holds(pid, needles):
    """The names of the needles that are in any readable mapping of a process."""
    found = set()
    longest = max(len(needle) for needle in needles.values())
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            area, rights, *_ = line.split()
            if not rights.startswith("r") or "[v" in line:
                continue
            at, end = (int(part, 16) for part in area.split("-"))
            tail = b""
            while at < end:
                try:
                    block = os.pread(memory.fileno(), min(end - at, 1 << 24), at)
                except OSError:
                    break
                if not block:
                    break
                at += len(block)
                window = tail + block
                found |= {name for name, needle in needles.items() if needle in window}
                tail = window[-longest:]
    return found


def ca_needles(gateway):
    """The CA's private key: its number, and each line of its PEM file."""
    path = next(path for path in gateway.directory.rglob("*")
                if path.is_file() and b"PRIVATE KEY" in path.read_bytes())
    text = subprocess.run(["openssl", "pkey", "-in", path, "-noout", "-text"], check=True,
                          capture_output=True).stdout.decode()
    digits = re.sub(r"[^0-9a-f]", "", re.search(r"priv:\n(.*?)pub:", text, re.S).group(1))
    scalar = bytes.fromhex(digits)[-32:]
    assert len(scalar) == 32
    needles = {"scalar": scalar, "scalar backwards": scalar[::-1]}
    for number, line in enumerate(path.read_text().splitlines()):
        if not line.startswith("-----") and len(line) >= 32:
            # What is before the private number is the same in every key of this kind.
            if any(byte in base64.b64decode(line + "=" * (-len(line) % 4))
                   for byte in (scalar[:8], scalar[8:16], scalar[16:24], scalar[24:])):
                needles[f"line {number}"] = line.encode()
    assert len(needles) > 2
    return needles


@root_only
@pytest.mark.heavy
def test_the_ca_key_is_in_the_vault_and_nowhere_else(make_journey):
    journey = make_journey()
    needles = ca_needles(journey.gateway)
    ca = journey.gateway.ca_file()
    stop = threading.Event()

    def load():
        count = 0
        while not stop.is_set():
            with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
                assert tunnel.connect(journey.host, journey.session).status == 200
                tls = TlsClient(tunnel, ca, "origin.test").handshake()
                assert tls.request("GET", "/key", journey.host).status == 200
                count += 1
        return count

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        loads = [threads.submit(load) for _ in range(4)]
        try:
            for _ in range(3):
                roles = journey.gateway.roles()
                assert len(roles["worker"]) == 2
                for role, pids in roles.items():
                    for pid in pids:
                        found = memory_holds(pid, needles)
                        assert role == "vault" or not found, (role, found)
                assert not memory_holds(journey.gateway.program.pid, needles)
        finally:
            stop.set()
        assert sum(load.result(30) for load in loads) > 4
    # The scan finds what is there: the vault signs with it.
    assert memory_holds(journey.gateway.roles()["vault"][0], needles)


@root_only
@pytest.mark.heavy
def test_a_credential_is_in_a_worker_only_while_its_session_is(make_journey, constants):
    """A session stays on its worker as long as its idle connections to origins: here 1 s."""
    journey = make_journey(more={"timeouts": {"origin_idle": "1s"}})
    needles = {"credential": constants.key.encode()}
    ca = journey.gateway.ca_file()

    def holders():
        return {pid for pid in journey.gateway.roles()["worker"] if memory_holds(pid, needles)}

    assert holders() == set()
    # A session without a rule for the credential on its way: it never asks for it.
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        tls = TlsClient(tunnel, ca, "origin.test").handshake()
        assert tls.request("GET", "/", journey.host).status == 200
        assert holders() == set()
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        tls = TlsClient(tunnel, ca, "origin.test").handshake()
        assert tls.request("GET", "/key", journey.host).status == 200
        held = holders()
        assert len(held) == 1, "one worker has the session, the other has never seen it"
        # An idle connection of the same session on whatever worker changes nothing.
        assert tls.request("GET", "/key", journey.host).status == 200
        assert holders() == held
    # Threat D8: gone when its session has left.
    wait_until(lambda: holders() == set(), "the credential to be wiped", 5)
    for pid in [journey.gateway.program.pid, *journey.gateway.roles()["auditor"]]:
        assert not memory_holds(pid, needles)


@root_only
@pytest.mark.heavy
def test_a_credential_is_wiped_when_the_session_is_revoked(make_journey, constants):
    journey = make_journey()
    needles = {"credential": constants.key.encode(), "token": journey.session.token.encode()}
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
        assert tls.request("GET", "/key", journey.host).status == 200
        journey.gateway.command("session", "revoke", journey.session.id, "-c",
                                journey.gateway.config_path)
        wait_until(lambda: not any(memory_holds(pid, needles)
                                   for pid in journey.gateway.roles()["worker"]),
                   "the credential and the token to be wiped", 10)


@root_only
@pytest.mark.heavy
def test_the_relay_keeps_the_key_out_and_the_token_in(journey, constants):
    """The relay has no credential to lose, and CMD never has the token."""
    with journey.container.relay() as relay:
        with RelayChannel(relay.port) as channel:
            assert channel.connect(journey.host).status == 200
            tls = TlsClient(channel, journey.gateway.ca_file(), "origin.test").handshake()
            assert tls.request("GET", "/key", journey.host).status == 200
            for pid in relay.program.members():
                assert not memory_holds(pid, {"key": constants.key.encode()})


def test_each_role_is_a_process_of_its_own(journey):
    roles = journey.gateway.roles()
    assert len(roles["vault"]) == 1 and len(roles["auditor"]) == 1 and len(roles["worker"]) == 2
    main = journey.gateway.program.pid
    pids = [pid for several in roles.values() for pid in several]
    assert len(set(pids)) == len(pids) and main not in pids
    for pid in pids:
        assert process_stat(pid)[1] == main


@pytest.mark.parametrize("role", ["worker", "vault", "auditor"])
def test_a_role_that_dies_is_started_again(make_journey, role):
    journey = make_journey()

    def good():
        with Tunnel(journey.gateway.port) as tunnel:
            if tunnel.upgrade(journey.session.token).status != 101:
                return False
            if tunnel.connect(journey.host, journey.session).status != 200:
                return False
            tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
            return tls.request("GET", "/key", journey.host).status == 200

    assert good()
    before = journey.gateway.roles()
    for pid in before[role]:
        os.kill(pid, signal.SIGKILL)

    def replaced():
        now = journey.gateway.roles().get(role, [])
        return len(now) == len(before[role]) and not set(now) & set(before[role])

    wait_until(replaced, f"a new {role}")

    def good_again():
        try:
            return good()
        except (OSError, AssertionError):
            return False

    wait_until(good_again, "requests to work again")
    journey.gateway.command("audit", "verify", "-c", journey.gateway.config_path)


def test_nothing_stays_when_the_gateways_main_is_killed(make_journey):
    journey = make_journey()
    journey.gateway.program.stop(signal.SIGKILL)
    journey.gateway.program = None


def test_nothing_stays_when_the_relays_keeper_is_killed(journey):
    relay = journey.container.relay(name="killed")
    relay.program.stop(signal.SIGKILL)


@pytest.mark.heavy
def test_100_deaths_of_the_relays_worker_refuse_no_connect(journey):
    """The keeper holds the port: whoever connects is served, at most a little later (threat L4)."""
    journey.gateway.ca_file()
    stop = threading.Event()
    counts = {"good": 0, "cut": 0, "refused": 0}
    lock = threading.Lock()

    def load(port):
        while not stop.is_set():
            try:
                with RelayChannel(port) as channel:
                    word = "good" if channel.connect(journey.host).status == 200 else "cut"
            except ConnectionRefusedError:
                word = "refused"
            except OSError:
                word = "cut"
            with lock:
                counts[word] += 1

    with journey.container.relay() as relay, \
            concurrent.futures.ThreadPoolExecutor(8) as threads:
        loads = [threads.submit(load, relay.port) for _ in range(8)]
        keeper = relay.program.pid
        killed = set()
        try:
            for _ in range(100):
                def fresh():
                    return [pid for pid in relay.program.children() if pid not in killed]

                worker = wait_until(fresh, "a new worker", every=0.002)[0]
                good = counts["good"]
                wait_until(lambda good=good: counts["good"] > good, "it to serve", every=0.002)
                os.kill(worker, signal.SIGKILL)
                killed.add(worker)
        finally:
            stop.set()
        for done in loads:
            done.result(30)
        assert relay.program.pid == keeper and process_stat(keeper)
        with RelayChannel(relay.port) as channel:
            assert channel.connect(journey.host).status == 200
    assert len(killed) == 100
    assert counts["refused"] == 0, counts
    assert counts["good"] >= 100, counts


def test_a_new_relay_worker_is_there_at_once(journey, relay):
    with RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200
    os.kill(relay.program.children()[0], signal.SIGKILL)
    begin = time.monotonic()
    with RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200
    assert time.monotonic() - begin < 2


def test_idle_processes_sleep(journey, relay):
    """Nobody spins: two seconds of idleness cost next to no processor time."""
    pids = [journey.gateway.program.pid, *relay.program.members(),
            *(pid for several in journey.gateway.roles().values() for pid in several)]

    def ticks():
        total = 0
        for pid in pids:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total

    before = ticks()
    threading.Event().wait(2)
    assert ticks() - before < 20
