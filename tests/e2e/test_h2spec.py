# SPDX-License-Identifier: Apache-2.0
"""h2spec, strict, against what a client in the container speaks HTTP/2 with: the gateway (threat B6).

It is built from the versions that tests/tools/h2spec/go.mod pins, and speaks to a port of ours that
carries its bytes through the relay. Its authority is "localhost:PORT", so the origin has that name
and, on another address, that port: its requests go all the way.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import xml.etree.ElementTree

import pytest

from conftest import Journey
from program import run
from raw_origin import RawOrigin
from tunnel import RelayChannel

SOURCE = pathlib.Path(__file__).parents[1] / "tools/h2spec"
GO = next((path for path in ("/usr/lib/go-1.19/bin/go", shutil.which("go")) if path
           and os.path.exists(path)), None)
TESTS = 146  # of version 2.2.1
# What is otherwise, by intent: the priorities of RFC 7540, which RFC 9113 has taken back, are not read.
OTHERWISE = {("http2/5.3.1", "Sends PRIORITY frame that depend on itself")}


@pytest.fixture(scope="session")
def h2spec(place):
    """The program, from the module cache or the proxy; the network may be needed once."""
    assert GO, "no Go: tools/bootstrap check"
    program = place / "h2spec"
    environment = {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", str(place)),
                   "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local",
                   **{name: os.environ[name] for name in os.environ
                      if name.startswith(("GOPROXY", "GOMODCACHE", "GOCACHE", "GOPATH"))
                      or name.lower().endswith("_proxy")
                      or name in ("SSL_CERT_FILE", "SSL_CERT_DIR")}}
    subprocess.run([GO, "build", "-o", program, "github.com/summerwind/h2spec/cmd/h2spec"],
                   cwd=SOURCE, env=environment, check=True, timeout=300)
    return program


class Adapter:
    """A port whose connections go through the relay to one target."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.refused = []

    def start(self, relay_port, target):
        threading.Thread(target=self._accept, args=(relay_port, target), daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self, relay_port, target):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock, relay_port, target),
                             daemon=True).start()

    def _serve(self, sock, relay_port, target):
        channel = RelayChannel(relay_port)
        channel.sock.settimeout(None)
        answer = channel.connect(target)
        if answer.status != 200:
            self.refused.append(answer)
        else:
            up = threading.Thread(target=self._copy, args=(sock.recv, channel.sock, sock),
                                  daemon=True)
            up.start()
            self._copy(lambda size: channel.recv(), sock, channel.sock)
            up.join()
        sock.close()
        channel.close()

    @staticmethod
    def _copy(recv, to, source):
        """The end of one side is the end of both: h2spec waits for closed connections."""
        try:
            while data := recv(65536):
                to.sendall(data)
        except OSError:
            pass
        for sock in (to, source):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def serving(peer):
    """Answers with content, as several of the tests want it."""
    while True:
        lines = peer.read_until(b"\r\n\r\n").lower().split(b"\r\n")
        if b"transfer-encoding: chunked" in lines:
            peer.read_until(b"0\r\n\r\n")
        for line in lines:
            if line.startswith(b"content-length: "):
                peer.read(int(line[16:]))
        body = b"" if lines[0].startswith(b"head ") else b"hello from the raw origin\n"
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n" + body)


@pytest.fixture
def target(place, authority):
    adapter = Adapter()
    certificate = authority.issue("localhost", label="h2spec")
    raw = RawOrigin(*certificate, address=("127.0.0.2", adapter.port))
    raw.play(serving)
    journey = Journey(place / "h2spec-journey", authority, hosts={"localhost": "127.0.0.2"}, rules=[
        {"name": "h2spec", "hosts": ["localhost"], "ports": [raw.port], "action": "allow"}])
    with journey.container.relay(name="relay-h2spec") as relay:
        adapter.start(relay.port, f"localhost:{raw.port}")
        yield adapter
    adapter.close()
    journey.stop()
    raw.close()


@pytest.mark.heavy
def test_h2spec_strict_has_nothing_new_to_say(h2spec, target, tmp_path):
    """Threat B6 wants all of it; what is missing is listed above, exactly."""
    report = tmp_path / "h2spec.xml"
    options = ["-h", "localhost", "-p", target.port, "-t", "-k", "-S", "-o", "3", "-j", report]
    done = run([h2spec, *options], env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
               cwd=tmp_path, seconds=300)
    assert not target.refused
    cases = list(xml.etree.ElementTree.parse(report).getroot().iter("testcase"))
    failed = {(case.get("package"), case.get("classname")) for case in cases
              if case.find("failure") is not None or case.find("error") is not None}
    skipped = [case.get("classname") for case in cases if case.find("skipped") is not None]
    text = done.stdout.decode(errors="replace")
    assert failed == OTHERWISE and not skipped, (failed ^ OTHERWISE, skipped, text[-3000:])
    assert len(cases) == TESTS, re.findall(r".*tests.*", text)
