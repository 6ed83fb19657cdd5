# SPDX-License-Identifier: Apache-2.0
"""Names, addresses and ports in CONNECT (threats C4, C5, E1 to E10): what is not in canonical form is
refused or made so, and nothing is asked or dialled before policy has allowed it.
"""
import contextlib
import socket
import ssl
import struct
import threading

import pytest

from attack import Arena
from program import wait_until
from tunnel import TlsClient, Tunnel

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Resolver:
    """A DNS server that counts what it is asked; answers are {name: addresses}, TTL 0."""

    def __init__(self):
        self.asked = []
        self.answers = {}
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self.sock.close()

    def _serve(self):
        while True:
            try:
                query, peer = self.sock.recvfrom(4096)
                self.sock.sendto(self._answer(query), peer)
            except OSError:
                return

    def _answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]])
            at += 1 + query[at]
        name, kind = b".".join(labels).decode(), struct.unpack(">H", query[at + 1:at + 3])[0]
        self.asked.append((name, kind))
        addresses = self.answers.get(name.lower(), [])
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        records = b"".join(
            b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(packed)) + packed
            for packed in (socket.inet_pton(family, text) for text in addresses
                           if family and (":" in text) == (kind == 28)))
        count = sum((":" in text) == (kind == 28) for text in addresses) if family else 0
        flags = 0x8180 if name.lower() in self.answers else 0x8183
        return (query[:2] + struct.pack(">HHHHH", flags, 1, count, 0, 0) + query[12:at + 5]
                + records)


HOSTS = {"private.test": "10.1.2.3", "metadata.test": "169.254.169.254", "zero.test": "0.0.0.0",
         "mapped.test": "::ffff:10.1.2.3", "compat.test": "::10.1.2.3", "nat.test": "64:ff9b::10.1.2.3",
         "six.test": "2002:a01:203::1", "teredo.test": "2001:0:a01:203::1", "ula.test": "fd00::1",
         "link.test": "fe80::1", "ec2.test": "fd00:ec2::254", "alibaba.test": "100.100.100.200",
         "azure.test": "168.63.129.16", "oracle.test": "192.0.0.192", "ecs.test": "169.254.170.2",
         "multicast.test": "224.0.0.1", "broadcast.test": "255.255.255.255", "doc.test": "192.0.2.1",
         "loop.test": "::1", "shared.test": "100.64.0.1"}


@pytest.fixture(scope="module")
def resolver():
    resolver = Resolver()
    yield resolver
    resolver.close()


@pytest.fixture(scope="module")
def arena(place, authority, resolver):
    """Everything may be dialled that is called *.test, and loopback; names come from `resolver`."""
    arena = Arena(place / "attack-names", authority, rules=[
        {"name": "not-this", "hosts": ["denied.test"], "action": "deny"},
        {"name": "any", "hosts": ["*.test"], "ports": ["1-65535"], "action": "allow"},
        {"name": "literal", "hosts": ["127.0.0.1", "169.254.169.254", "0.0.0.0", "[::1]"],
         "ports": ["1-65535"], "action": "allow"}],
        more={"resolver": {"servers": [f"127.0.0.1:{resolver.port}"],
                           "hosts": {**HOSTS, "origin.test": "127.0.0.1", "raw.test": "127.0.0.1"}},
              "origins": {"roots": str(authority.certificate),
                          "networks": ["127.0.0.0/8", "169.254.0.0/16", "fd00:ec2::/32"]}})
    yield arena
    arena.stop()


@pytest.fixture
def session(arena):
    return arena.gateway.session_create()


def connect(arena, session, target):
    with Tunnel(arena.gateway.port).open(session) as tunnel:
        tunnel.send(b"CONNECT " + (target if isinstance(target, bytes) else target.encode())
                    + b" HTTP/1.1\r\n"
                    + Tunnel.hello("x", session)[3:])
        return tunnel.answer()


BAD = ["raw.test..:443", ".raw.test:443", "raw..test:443",
       "raw.test。:443", "raw．test:443", "ｒａｗ.test:443", "raw\u00ad.test:443", "räw.test:443",
       "user@raw.test:443", "raw.test#:443", "raw.test/:443", "raw.test?:443", "raw%2etest:443",
       "[raw.test]:443", "raw.test\\:443", "raw.test\t:443", "raw test:443", "raw.test:443:443",
       "https://raw.test:443", "//raw.test:443", "raw.test,other.test:443", "raw.test\0:443",
       "0177.1:443", "0x7f000001:443", "2130706433:443", "127.1:443", "127.0.0.1.:443",
       "127.0.0.256:443", "127.0.0.01:443", "0x7f.0.0.1:443", "127.0.0.0x1:443", "1.2.3.4.5:443",
       "::1:443", "[::1%lo]:443", "[::1:443", "[:::1]:443", "[1::2::3]:443", "[::1]443",
       "[::127.0.0.256]:443", "[]:443", "raw.test", "raw.test:", "raw.test:0", "raw.test:65536",
       "raw.test:00443", "raw.test:+443", "raw.test:-1", "raw.test: 443", "raw.test:44a",
       "raw.test:443 ", "raw.test:99999999999999999999", "raw.test:https", ":443", "*:443",
       "*.test:443", "a" * 64 + ".test:443", ("a" * 60 + ".") * 5 + "test:443", "xn--.test:443"]


@pytest.mark.parametrize("target", BAD, ids=lambda target: ascii(target)[:40])
def test_a_target_that_is_not_canonical_is_a_400(arena, session, resolver, target):
    """Threats E1 to E4, E10: nothing is asked of DNS, nothing dialled, one record says why."""
    arena.raw.play()
    before = len(resolver.asked)
    answer = connect(arena, session, target)
    assert (answer.status, answer.reason) in ((400, "bad_target"), (400, "bad_hello")), answer
    assert len(resolver.asked) == before and not arena.raw.peers
    records = arena.records_of(session)
    assert [record["reason"] for record in records] == [answer.reason]


@pytest.mark.parametrize("name", ["raw.test", "RAW.TEST", "raw.test.", "Raw.Test."])
def test_spellings_of_a_name_are_one_name(arena, session, name):
    """Threat E1: the same decision, the same leaf, the same record."""
    arena.raw.play(lambda peer: (peer.read_until(b"\r\n\r\n"), peer.send(OK), peer.read_all()))
    with arena.tls(session, target=f"{name}:{arena.raw.port}") as tls:
        assert tls.request("GET", "/", arena.target).status == 200
    assert f"Host: {arena.target}\r\n".encode() in arena.raw.received
    assert [record["host"] for record in arena.records_of(session)] == ["raw.test"]


@pytest.mark.parametrize("name", ["denied.test", "DENIED.test", "denied.test.", "secret-data.evil",
                                  "127.0.0.2", "[::2]", "metadata.google.internal"])
def test_a_denied_name_is_not_asked_for(arena, session, resolver, name):
    """Threat E8: no packet, for a name is a message to whoever serves it."""
    before = len(resolver.asked)
    answer = connect(arena, session, f"{name}:443")
    assert (answer.status, answer.reason) == (403, "policy_denied")
    resolver.answers["allowed.test"] = ["10.9.9.9"]
    assert connect(arena, session, "allowed.test:443").reason == "address_denied"
    asked = [name for name, _ in resolver.asked[before:]]
    assert set(asked) == {"allowed.test"}, "the denied name was asked for"


@pytest.mark.parametrize("name", HOSTS)
def test_special_addresses_are_not_dialled_whatever_their_name(arena, session, name):
    """Threats E5, E6, E9: also inside IPv6, and metadata also where its network is listed."""
    answer = connect(arena, session, f"{name}:{arena.raw.port}")
    assert (answer.status, answer.reason) == (403, "address_denied"), answer
    assert [record["reason"] for record in arena.records_of(session)] == ["address_denied"]


@pytest.mark.parametrize("target", ["169.254.169.254", "0.0.0.0", "[::1]"])
def test_a_literal_that_a_rule_names_is_checked_as_well(arena, session, target):
    """Threats E5, E6, E9."""
    answer = connect(arena, session, f"{target}:{arena.raw.port}")
    assert (answer.status, answer.reason) == (403, "address_denied")


MIXED = {"private": ["127.0.0.1", "10.0.0.1"], "private first": ["10.0.0.1", "127.0.0.1"],
         "IPv6": ["127.0.0.1", "fd12::1"], "metadata": ["127.0.0.1", "169.254.169.254"],
         "mapped": ["127.0.0.1", "::ffff:10.0.0.1"]}


@pytest.mark.parametrize("kind", MIXED)
def test_one_refused_address_refuses_the_name(arena, session, resolver, kind):
    """Threat E7: a mixed answer is an attempt, not an accident."""
    arena.raw.play()
    resolver.answers["mixed.test"] = MIXED[kind]
    answer = connect(arena, session, f"mixed.test:{arena.raw.port}")
    assert (answer.status, answer.reason) == (403, "address_denied")
    assert not arena.raw.peers


def test_an_answer_of_65_addresses_is_too_many(arena, session, resolver):
    """Threat E7."""
    arena.raw.play()
    resolver.answers["many.test"] = [f"127.0.0.{i}" for i in range(1, 66)]
    answer = connect(arena, session, f"many.test:{arena.raw.port}")
    assert answer.status in (403, 502, 503), answer
    assert not arena.raw.peers


def test_a_name_that_changes_its_address_is_checked_again(arena, session, resolver):
    """Threat E7, rebinding: TTL 0, first an address that is allowed, then one that is not. Each
    connection is to an address that was checked for it, and each dial asks once.
    """
    arena.raw.play()
    resolver.answers["rebind.test"] = ["127.0.0.1"]
    first = connect(arena, session, f"rebind.test:{arena.raw.port}")
    assert (first.status, first.reason) == (502, "origin_cert_wrong_name")  # dialled, and verified
    assert len(arena.raw.peers) == 1
    resolver.answers["rebind.test"] = ["10.0.0.1"]
    second = connect(arena, session, f"rebind.test:{arena.raw.port}")
    assert (second.status, second.reason) == (403, "address_denied")
    assert len(arena.raw.peers) == 1
    asked = [question for question in resolver.asked if question[0] == "rebind.test"]
    assert sorted(asked) == [("rebind.test", 1)] * 2 + [("rebind.test", 28)] * 2


def test_an_address_gets_no_credential_whatever_its_host_field_says(arena, session, constants):
    """Threat C5: the tunnel is to 127.0.0.1, the Host to the one that has a credential."""
    arena.raw.context.load_cert_chain(*arena.authority.issue("raw.test", "127.0.0.1", label="both"))
    arena.raw.play(lambda peer: (peer.read_until(b"\r\n\r\n"), peer.send(OK), peer.read_all()))
    target = f"127.0.0.1:{arena.raw.port}"
    with Tunnel(arena.gateway.port).open(session) as tunnel:
        assert tunnel.connect(target, session).status == 200
        tls = TlsClient(tunnel, arena.gateway.ca_file(), "127.0.0.1").handshake()
        answer = tls.request("GET", "/key", arena.target)
    assert (answer.status, answer.reason) == (421, "name_mismatch")
    with Tunnel(arena.gateway.port).open(session) as tunnel:
        assert tunnel.connect(target, session).status == 200
        tls = TlsClient(tunnel, arena.gateway.ca_file(), "127.0.0.1").handshake()
        assert tls.request("GET", "/key", target).status == 200
    assert constants.key.encode() not in arena.raw.received


@contextlib.contextmanager
def hello_of(arena, session, name):
    """A tunnel and a ClientHello for `name`, not yet sent."""
    with Tunnel(arena.gateway.port).open(session) as tunnel:
        assert tunnel.connect(arena.target, session).status == 200
        yield tunnel, TlsClient(tunnel, arena.gateway.ca_file(), name).client_hello()


@pytest.mark.parametrize("name", [b"ra\0.test", b"*.w.test", b"raw\xe4test", b"raw..est", b"-aw.test",
                                  b"raw test", b"other.te", b"10.0.0.1"])
def test_a_server_name_that_is_not_the_tunnels_gets_an_alert(arena, session, name):
    """Threats C1, C4: whatever stands in it, no leaf is made for it."""
    arena.raw.play()
    with hello_of(arena, session, "raw.test") as (tunnel, hello):
        assert hello.count(b"raw.test") == 1
        tunnel.send(hello.replace(b"raw.test", name))
        alert = tunnel.recv()
        assert alert[:1] == b"\x15" and alert[5:6] == b"\x02", alert  # fatal
        assert tunnel.recv() == b""
    assert len(arena.records_of(session)) == 1
    assert arena.raw.received == b""


def test_without_a_server_name_the_leaf_is_the_tunnels(arena, session):
    """Threat C4."""
    with Tunnel(arena.gateway.port).open(session) as tunnel:
        assert tunnel.connect(arena.target, session).status == 200
        tls = TlsClient(tunnel, arena.gateway.ca_file(), "raw.test")
        context = ssl.create_default_context(cafile=arena.gateway.ca_file())
        context.check_hostname = False
        tls.tls = context.wrap_bio(tls._in, tls._out, server_hostname=None)
        tls.handshake()
        names = tls.tls.getpeercert()["subjectAltName"]
    assert names == (("DNS", "raw.test"),)


def test_the_resolver_was_used_at_all(arena, resolver):
    """A count of nothing would prove nothing."""
    wait_until(lambda: resolver.asked, "any question")
    assert arena.gateway.program.errors().count("has ended") == 0
