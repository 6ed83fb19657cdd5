# SPDX-License-Identifier: Apache-2.0
"""What every attack is held against: an error answer, the connection closed, nothing of it at the
origin, and one record that says why.
"""
import contextlib

from conftest import Journey
from gateway import gateway_path
from h2_frames import H2Client
from program import wait_until
from raw_origin import RawOrigin
from tunnel import TlsClient, Tunnel

HOST = "raw.test"


class Arena(Journey):
    """A gateway with one worker, so that its records are in order, and a raw origin behind it."""

    def __init__(self, directory, authority, *, rules=(), hosts=None, more=None, alpn=("http/1.1",)):
        self.raw = RawOrigin(*authority.issue(HOST, label=f"raw-{directory.name}"), alpn=alpn)
        rules = [{"name": "raw-key", "hosts": [HOST], "ports": [self.raw.port],
                  "paths": ["/key", "/key/**"], "action": "allow",
                  "inject": [{"header": "DD-API-KEY", "credential": "datadog", "format": "{}"}]},
                 {"name": "raw", "hosts": [HOST], "ports": [self.raw.port], "action": "allow"},
                 *rules]
        super().__init__(directory, authority, rules=rules,
                         hosts={HOST: "127.0.0.1", **(hosts or {})},
                         more={"workers": 1, **(more or {})})
        self.target = f"{HOST}:{self.raw.port}"

    def stop(self):
        self.raw.close()
        super().stop()

    @contextlib.contextmanager
    def tls(self, session, *, target=None, name=HOST, alpn=("http/1.1",)):
        """TLS through a tunnel of this session."""
        with Tunnel(self.gateway.port).open(session) as tunnel:
            answer = tunnel.connect(target or self.target, session)
            assert answer.status == 200, answer
            yield TlsClient(tunnel, self.gateway.ca_file(), name, alpn=alpn).handshake()

    @contextlib.contextmanager
    def h2(self, session, *pairs):
        """A client of HTTP/2 through a tunnel; `pairs` are its SETTINGS."""
        with self.tls(session, alpn=("h2", "http/1.1")) as tls:
            assert tls.tls.selected_alpn_protocol() == "h2"
            yield H2Client(tls).open(*pairs)

    def records_of(self, session):
        """All records of a session: those of a request that comes last are there as well."""
        with self.tls(session, target=self.host, name="origin.test") as tls:
            assert tls.request("GET", "/fence", self.host).status == 200

        def look():
            records = [r for r in self.gateway.records() if r["session"] == session.id]
            return records if records and records[-1]["path"] == "/fence" else None

        return wait_until(look, "the record of the last request")[:-1]

    @property
    def worker(self):
        """The process id of the only worker."""
        workers = self.gateway.roles()["worker"]
        assert len(workers) == 1
        return workers[0]


# A sanitizer keeps what was freed, and holds books of its own.
IS_SANITIZED = b"__asan_init" in gateway_path().read_bytes()


def resident(pid):
    """Bytes of memory that a process has in use; 0 where that would say nothing about it."""
    if IS_SANITIZED:
        return 0
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


def sent(arena, session, payload):
    """The answer to these bytes; it is the last word on the connection."""
    with arena.tls(session) as tls:
        tls.sendall(payload)
        answer = tls.response()
        assert tls.read(1) == b"", "the connection goes on"
    return answer


def expect_refused(arena, session, payload, statuses, reasons):
    """4xx+close: an error answer, the end, no byte of it at the origin, one record."""
    arena.raw.play(lambda peer: peer.read_all())
    answer = sent(arena, session, payload)
    assert answer.status in statuses, answer
    assert answer.reason in reasons, answer
    records = arena.records_of(session)
    assert [record["reason"] for record in records] == [answer.reason], records
    assert records[0]["decision"] in ("deny", "error") and records[0]["status"] == answer.status
    assert arena.raw.received == b""
