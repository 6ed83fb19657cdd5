# SPDX-License-Identifier: Apache-2.0
"""`exeat-gateway ca rotate`: a new CA while containers run that trust the old one."""
import os
import re
import signal
import ssl
import stat

import pytest

from program import wait_until
from tunnel import TlsClient, Tunnel

PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----\n", re.S)


class Rotation:
    def __init__(self, journey):
        self.journey = journey
        self.gateway = journey.gateway
        self.old = self.published()[0]

    def published(self):
        return PEM.findall(self.gateway.ca_pem())

    def rotate(self, *words, check=0):
        done = self.gateway.command("ca", "rotate", "-c", self.gateway.config_path, *words,
                                    check=check)
        return (done.stdout + done.stderr).decode()

    def step(self, word, published):
        """One step, and SIGHUP, until `published` certificates are what containers get."""
        before = self.gateway.roles()["worker"]
        self.rotate(word)
        os.kill(self.gateway.program.pid, signal.SIGHUP)
        wait_until(lambda: not set(before) & set(self.gateway.roles().get("worker", before)),
                   "a new generation")
        found = self.published()
        assert len(found) == published
        return found

    def visit(self, *trusted):
        """Whether a client that trusts these takes what it is served."""
        path = self.journey.directory / f"trusted-{os.urandom(4).hex()}.pem"
        path.write_bytes(b"".join(trusted))
        host = self.journey.host
        with Tunnel(self.gateway.port) as tunnel:
            tunnel.open(self.journey.session)
            assert tunnel.connect(host, self.journey.session).status == 200
            tls = TlsClient(tunnel, path, "origin.test")
            try:
                tls.handshake()
            except ssl.SSLCertVerificationError:
                return False
            return tls.request("GET", "/hello", host).status == 200

    def container_is_served(self):
        container = self.journey.container_for(self.journey.session, f"c-{os.urandom(4).hex()}")
        done = container.run("curl", "-sS", "--fail", f"{self.journey.url}/hello")
        return done.returncode == 0

    def state(self):
        return sorted(path.name for path in self.gateway.state.iterdir()
                      if path.name.startswith("ca."))


@pytest.fixture
def rotation(make_journey):
    return Rotation(make_journey(more={"timeouts": {"drain": "1s"}}))


def test_clients_with_both_certificates_never_notice(rotation):
    assert rotation.visit(rotation.old)

    old, new = rotation.step("--start", 2)
    assert old == rotation.old and new != old
    assert rotation.visit(old)  # a client from before: the old one signs
    assert not rotation.visit(new)
    assert rotation.visit(old, new) and rotation.visit(new, old)
    assert rotation.container_is_served()

    first, second = rotation.step("--switch", 2)
    assert (first, second) == (new, old)
    assert rotation.visit(new)
    assert not rotation.visit(old)
    assert rotation.visit(old, new) and rotation.visit(new, old)
    assert rotation.container_is_served()

    assert rotation.step("--finish", 1) == [new]
    assert rotation.visit(new) and not rotation.visit(old)
    assert rotation.container_is_served()


def test_the_files_of_each_step(rotation):
    state = rotation.gateway.state
    key = (state / "ca.key").read_bytes()
    rotation.rotate("--start")
    assert rotation.state() == ["ca.crt", "ca.crt.next", "ca.key", "ca.key.next"]
    assert stat.S_IMODE((state / "ca.key.next").stat().st_mode) == 0o600
    assert stat.S_IMODE((state / "ca.crt.next").stat().st_mode) == 0o644
    following = (state / "ca.key.next").read_bytes()
    assert key != following and (state / "ca.key").read_bytes() == key
    said = rotation.rotate("--switch")
    assert "PRIVATE" not in said
    assert rotation.state() == ["ca.crt", "ca.crt.old", "ca.key"]
    assert (state / "ca.key").read_bytes() == following
    assert (state / "ca.crt.old").read_bytes() == rotation.old
    assert stat.S_IMODE((state / "ca.key").stat().st_mode) == 0o600
    rotation.rotate("--finish")
    assert rotation.state() == ["ca.crt", "ca.key"]


def test_steps_come_in_their_order(rotation):
    assert "no rotation is under way" in rotation.rotate("--switch", check=1)
    assert "no rotation is under way" in rotation.rotate("--finish", check=1)
    assert "--start" in rotation.rotate()
    rotation.rotate("--start")
    assert "next step is --switch" in rotation.rotate("--start", check=1)
    assert "next step is --switch" in rotation.rotate("--finish", check=1)
    assert "published too: " in rotation.rotate()
    rotation.rotate("--switch")
    assert "next step is --finish" in rotation.rotate("--start", check=1)
    assert "at a time" in rotation.rotate("--start", "--finish", check=1)
    rotation.rotate("--finish")
    rotation.rotate("--start")  # and again, with another name
    names = {line.split("sha256")[1] for line in rotation.rotate().splitlines() if "sha256" in line}
    assert len(names) == 2


def test_a_switch_that_was_interrupted_is_ended_by_another(rotation):
    """Between its two renames the files do not belong together; nothing is lost."""
    state = rotation.gateway.state
    rotation.rotate("--start")
    (state / "ca.crt.old").write_bytes((state / "ca.crt").read_bytes())
    (state / "ca.key.next").rename(state / "ca.key")
    assert "interrupted" in rotation.rotate(check=1)
    assert "interrupted" in rotation.rotate("--finish", check=1)
    rotation.step("--switch", 2)
    assert rotation.container_is_served()
    rotation.step("--finish", 1)


def test_a_pair_that_does_not_belong_together_is_not_switched_to(rotation):
    state = rotation.gateway.state
    rotation.rotate("--start")
    (state / "ca.crt.next").write_bytes((state / "ca.crt").read_bytes())
    assert "do not belong together" in rotation.rotate("--switch", check=1)
    assert rotation.state() == ["ca.crt", "ca.crt.next", "ca.key", "ca.key.next"]
