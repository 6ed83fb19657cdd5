# SPDX-License-Identifier: Apache-2.0
"""Tunnels that go through unread: TLS by its name (pass) and any bytes (tcp)."""
import concurrent.futures
import contextlib
import hashlib
import pathlib
import socket
import ssl
import struct
import threading
import time

import pytest

from gateway import free_port
from origin import Origin
from peer import Peer, Sender, pattern, read_exactly, read_to_end, reset
from program import Program, clean_environment, run, wait_until
from tunnel import CLOSE, RelayChannel, TlsClient, Tunnel

NORMAL = struct.pack(">H", 1000)


class Own:
    """A journey with a pinned TLS origin and a bare TCP one."""

    def __init__(self, make_journey_, authority, more=None, rules=(), wss=False):
        self.pinned = Origin(*authority.issue("pinned.test", label="pinned"))
        self.peer = Peer()
        ports = [self.pinned.port, self.peer.port]
        self.journey = make_journey_(
            rules=[{"name": "pinned", "action": "pass", "hosts": ["pinned.test", "127.0.0.1"],
                    "ports": ports},
                   {"name": "database", "action": "tcp",
                    "hosts": ["db.test", "private.test", "metadata.test"],
                    "ports": [self.peer.port]}, *rules],
            hosts={"pinned.test": "127.0.0.1", "db.test": "127.0.0.1", "private.test": "10.1.2.3",
                   "metadata.test": "169.254.169.254"}, more=more, wss=wss)
        self.gateway = self.journey.gateway
        self.session = self.journey.session
        self.db = f"db.test:{self.peer.port}"

    def tunnel(self, session=None):
        return Tunnel(self.gateway.port).open(session or self.session)

    @contextlib.contextmanager
    def open(self, host="db.test", session=None):
        """(tunnel, the origin's socket), connected."""
        with self.tunnel(session) as tunnel:
            assert tunnel.connect(f"{host}:{self.peer.port}",
                                  session or self.session).status == 200
            with self.peer.accept() as sock:
                yield tunnel, sock

    def close(self):
        self.pinned.close()
        self.peer.close()


@pytest.fixture(scope="module")
def own(tmp_path_factory, authority):
    from conftest import Journey

    made = []

    def make(**options):
        made.append(Journey(tmp_path_factory.mktemp("pass"), authority, **options))
        return made[0]

    it = Own(make, authority)
    yield it
    made[0].stop()
    it.close()


@pytest.fixture
def make_own(make_journey, authority):
    made = []

    def make(**options):
        made.append(Own(make_journey, authority, **options))
        return made[-1]

    yield make
    for it in made:
        it.close()


def client_hello(name):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def record_of(own, count, **fields):
    """The record with these fields, behind the first `count`; those of tunnels of the test before
    may come late."""
    def look():
        return [record for record in own.gateway.records()[count:] if record["method"] == "CONNECT"
                and all(record[name] == value for name, value in fields.items())]

    try:
        found = wait_until(look, "the record of the tunnel")
    except AssertionError:
        raise AssertionError((fields, own.gateway.records()[count:])) from None
    assert len(found) == 1, found
    return found[0]


@pytest.fixture
def count(own):
    return len(own.gateway.records())


# ---- pass ----

def test_a_pinned_client_sees_the_origins_own_certificate(own, authority, count, tmp_path):
    url = f"https://pinned.test:{own.pinned.port}/bytes/100000"
    with own.journey.container.relay() as relay:
        def curl(ca, check):
            return run(["curl", "-sS", "-x", f"http://127.0.0.1:{relay.port}", "--cacert", ca, url],
                       env=clean_environment(tmp_path), cwd=tmp_path, check=check)

        assert len(curl(authority.certificate, 0).stdout) == 100000
        record = record_of(own, count, kind="pass", decision="allow", host="pinned.test",
                           rule="pinned", status=200, reason="",
                           address=f"127.0.0.1:{own.pinned.port}")
        assert record["bytes_out"] > 100000 > record["bytes_in"] > 300
        assert b"certificate" in curl(own.gateway.ca_file(), 60).stderr


def test_an_inspected_tunnel_has_another_kind(own):
    own.journey.container.run("curl", "-sS", own.journey.url + "/bytes/5")
    record = own.gateway.record_where(path="/bytes/5")
    assert (record["kind"], record["method"]) == ("inspect", "GET")


@pytest.mark.parametrize("cut", [None, 1])
def test_the_client_hello_arrives_byte_for_byte(own, cut):
    hello = client_hello("pinned.test")
    with own.open("pinned.test") as (tunnel, sock):
        for at in range(0, len(hello), cut or len(hello)):
            tunnel.send(hello[at:at + (cut or len(hello))])
        assert read_exactly(lambda: sock.recv(65536), len(hello)) == hello
        tunnel.send(b"and what follows")
        assert sock.recv(100) == b"and what follows"
        sock.sendall(b"an answer")
        assert tunnel.recv() == b"an answer"


def test_another_spelling_of_the_name_is_the_same_name(own):
    """Threat C3."""
    hello = client_hello("PINNED.test")
    with own.open("pinned.test") as (tunnel, sock):
        tunnel.send(hello)
        assert read_exactly(lambda: sock.recv(65536), len(hello)) == hello


@pytest.mark.parametrize("name", ["other.test", "x.pinned.test", "127.0.0.1", None])
def test_another_server_name_gets_an_alert_and_the_origin_nothing(own, name, count):
    """Threats C1 and C4: no name is no proof either."""
    with own.open("pinned.test") as (tunnel, sock):
        tunnel.send(client_hello(name))
        assert read_exactly(tunnel.recv, 7) == bytes([21, 3, 3, 0, 2, 2, 112])
        assert tunnel.drain() == 1000
        with pytest.raises(ConnectionResetError):
            assert sock.recv(1) == b"", "a byte of the client"
    record_of(own, count, kind="pass", decision="deny", reason="name_mismatch", bytes_in=0,
              bytes_out=0, rule="pinned", host="pinned.test")


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: pinned.test\r\n\r\n", b"SSH-2.0-x\r\n",
                                  b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", b"\0"])
def test_bytes_that_are_no_client_hello_never_reach_the_origin(own, data, count):
    with own.open("pinned.test") as (tunnel, sock):
        tunnel.send(data)
        assert read_exactly(tunnel.recv, 7)[0] == 21
        assert tunnel.drain() == 1000
        with pytest.raises(ConnectionResetError):
            assert sock.recv(1) == b"", "a byte of the client"
    record_of(own, count, kind="pass", decision="deny", reason="tls_failed", bytes_in=0)


@pytest.mark.parametrize("name", [None, "127.0.0.1"])
def test_a_tunnel_to_an_address_needs_no_server_name(own, name):
    """RFC 6066 section 3: an address cannot stand in one."""
    hello = client_hello(name)
    with own.open("127.0.0.1") as (tunnel, sock):
        tunnel.send(hello)
        assert read_exactly(lambda: sock.recv(65536), len(hello)) == hello


def test_a_tunnel_to_an_address_takes_no_other_name(own, count):
    with own.open("127.0.0.1") as (tunnel, _):
        tunnel.send(client_hello("pinned.test"))
        assert tunnel.drain() == 1000
    record_of(own, count, reason="name_mismatch", decision="deny", bytes_in=0)


def test_a_client_that_leaves_inside_its_client_hello_reaches_nobody(own, count):
    with own.open("pinned.test") as (tunnel, sock):
        tunnel.send(client_hello("pinned.test")[:40])
        tunnel.send_frame(CLOSE, NORMAL)
        tunnel.drain()
        with pytest.raises(ConnectionResetError):
            assert sock.recv(1) == b"", "a byte of the client"
    record_of(own, count, decision="error", reason="client_closed", bytes_in=0)


def test_the_first_rule_says_whether_a_host_is_inspected(make_own, authority):
    own = make_own(more={"workers": 1}, rules=[
        {"name": "first", "hosts": ["both.test"], "ports": ["1-65535"], "paths": ["/bytes/*"]},
        {"name": "second", "action": "pass", "hosts": ["*.test"], "ports": ["1-65535"]}])
    own.gateway.stop()
    own.gateway.config["resolver"]["hosts"]["both.test"] = "127.0.0.1"
    own.gateway.config["resolver"]["hosts"]["late.test"] = "127.0.0.1"
    own.gateway.write_config()
    own.gateway.start()
    for name, kind, ca in (("both", "inspect", own.gateway.ca_file()),
                           ("late", "pass", authority.certificate)):
        origin = Origin(*authority.issue(f"{name}.test", label=name))
        with own.tunnel() as tunnel:
            host = f"{name}.test:{origin.port}"
            assert tunnel.connect(host, own.session).status == 200
            tls = TlsClient(tunnel, ca, f"{name}.test").handshake()
            assert tls.request("GET", "/bytes/3", host).status == 200
            if kind == "inspect":  # no pass rule lets through what is seen
                assert tls.request("GET", "/headers", host).reason == "policy_denied"
            tunnel.send_frame(CLOSE, NORMAL)
            tunnel.drain()
        origin.close()
        own.gateway.record_where(kind=kind, host=f"{name}.test")


# ---- tcp ----

def test_the_client_may_speak_first(own):
    with own.open() as (tunnel, sock):
        tunnel.send(b"hello")
        assert sock.recv(100) == b"hello"
        sock.sendall(b"world")
        assert tunnel.recv() == b"world"


def test_the_origin_may_speak_first(own):
    """ssh and most databases do: nothing of the client is waited for."""
    with own.open() as (tunnel, sock):
        sock.sendall(b"SSH-2.0-first\r\n")
        assert tunnel.recv() == b"SSH-2.0-first\r\n"
        tunnel.send(b"SSH-2.0-second\r\n")
        assert sock.recv(100) == b"SSH-2.0-second\r\n"


def test_what_came_with_the_connect_is_not_lost(own):
    with own.journey.container.relay() as relay, RelayChannel(relay.port) as channel:
        assert channel.connect(own.db, coalesced=b"early").status == 200
        with own.peer.accept() as sock:
            assert read_exactly(lambda: sock.recv(100), 5) == b"early"


@pytest.mark.heavy
def test_64_mib_each_way_at_once_and_the_record_counts_every_byte(own, count):
    up, down = pattern(64 << 20, 1), pattern((64 << 20) + 7, 2)
    with own.journey.container.relay() as relay, RelayChannel(relay.port) as channel:
        assert channel.connect(own.db).status == 200
        with own.peer.accept() as sock:
            senders = [Sender(channel.send, up), Sender(sock.sendall, down)]
            got = {}

            def read(name, recv, length):
                got[name] = hashlib.sha256(read_exactly(recv, length)).digest()

            readers = [threading.Thread(target=read, args=("up", lambda: sock.recv(1 << 18),
                                                           len(up))),
                       threading.Thread(target=read, args=("down", channel.recv, len(down)))]
            for reader in readers:
                reader.start()
            for thread in readers:
                thread.join(60)
            for sender in senders:
                sender.finish()
            sock.shutdown(socket.SHUT_WR)
            assert channel.recv() == b""
            channel.sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1) == b""
    assert got == {"up": hashlib.sha256(up).digest(), "down": hashlib.sha256(down).digest()}
    record_of(own, count, kind="tcp", decision="allow", reason="", rule="database",
              bytes_in=len(up), bytes_out=len(down), address=f"127.0.0.1:{own.peer.port}")


def test_messages_of_one_byte_arrive_in_order(own):
    data = pattern(3000)
    with own.open() as (tunnel, sock):
        sender = Sender(tunnel.send, data, step=1)
        assert read_exactly(lambda: sock.recv(65536), len(data)) == data
        sender.finish()


def test_the_origin_ends_first_and_what_is_under_way_still_arrives(own, count):
    """docs/protocol.md section 6."""
    with own.open() as (tunnel, sock):
        tunnel.send(b"before")
        assert read_exactly(lambda: sock.recv(100), 6) == b"before"
        sock.sendall(b"last words")
        sock.shutdown(socket.SHUT_WR)
        assert read_exactly(tunnel.recv, 10) == b"last words"
        assert tunnel.drain() == 1000
        tunnel.send(b"under way")  # as from a relay that has not read the close frame yet
        assert read_exactly(lambda: sock.recv(100), 9) == b"under way"
        tunnel.send_frame(CLOSE, NORMAL)
        assert sock.recv(1) == b""
    record_of(own, count, decision="allow", reason="", bytes_in=15, bytes_out=10)


def test_the_client_ends_first_and_the_origin_may_answer(own, count):
    with own.open() as (tunnel, sock):
        tunnel.send(b"a question")
        tunnel.send_frame(CLOSE, NORMAL)
        assert read_to_end(sock) == b"a question"
        answer = pattern(1 << 20)
        sender = Sender(sock.sendall, answer)
        assert read_exactly(tunnel.recv, len(answer)) == answer
        sender.finish()
        sock.close()
        assert tunnel.drain() == 1000
    record_of(own, count, decision="allow", reason="", bytes_in=10, bytes_out=1 << 20)


def test_an_origin_that_resets_does_not_look_complete(own, count):
    """Threat H10: what came before is delivered, and the close frame says that more is missing."""
    with own.open() as (tunnel, sock):
        sock.sendall(b"half of it")
        assert read_exactly(tunnel.recv, 10) == b"half of it"
        reset(sock)
        assert tunnel.drain() == 1011
    record_of(own, count, decision="error", reason="origin_closed", bytes_out=10)


def test_a_relay_that_is_cut_off_does_not_look_complete_to_the_origin(own, count):
    with own.open() as (tunnel, sock):
        tunnel.send(b"half of it")
        assert read_exactly(lambda: sock.recv(100), 10) == b"half of it"
        tunnel.channel.sock.shutdown(socket.SHUT_WR)  # no close frame
        with pytest.raises(ConnectionResetError):
            assert sock.recv(1) != b"", "a FIN"
    record_of(own, count, decision="error", reason="client_closed", bytes_in=10)


def test_a_relay_that_goes_away_does_not_look_complete_to_the_origin(own, count):
    """Only a close frame with 1000 is an end in order."""
    with own.open() as (tunnel, sock):
        tunnel.send(b"half of it")
        tunnel.send_frame(CLOSE, struct.pack(">H", 1001))
        with pytest.raises(ConnectionResetError):
            while sock.recv(100):
                pass
            raise AssertionError("a FIN")
    record_of(own, count, decision="error", reason="client_closed", bytes_in=10)


def test_the_same_through_a_tls_listener(make_own, authority):
    own = make_own(wss=True)
    up, down = pattern(3 << 20, 6), pattern((3 << 20) + 1, 7)
    for orderly in (True, False):
        with Tunnel(own.gateway.tls_port, authority.certificate).open(own.session) as tunnel:
            assert tunnel.connect(own.db, own.session).status == 200
            with own.peer.accept() as sock:
                sender = Sender(sock.sendall, down)
                assert read_exactly(tunnel.recv, len(down)) == down
                sender.finish()
                sender = Sender(tunnel.send, up)
                assert read_exactly(lambda: sock.recv(1 << 18), len(up)) == up
                sender.finish()
                if orderly:
                    tunnel.send_frame(CLOSE, NORMAL)
                    assert sock.recv(1) == b""
                    sock.close()
                    assert tunnel.drain() == 1000
                    own.gateway.record_where(kind="tcp", decision="allow", bytes_in=len(up),
                                             bytes_out=len(down))
                else:
                    with contextlib.suppress(OSError):
                        tunnel.channel.sock.unwrap()  # close_notify, but no close frame
                    with pytest.raises(ConnectionResetError):
                        assert sock.recv(1) != b"", "a FIN"
                    own.gateway.record_where(kind="tcp", decision="error",
                                             reason="client_closed", bytes_in=len(up))


def test_a_broken_message_ends_both_sides(own, count):
    with own.open() as (tunnel, sock):
        tunnel.send_frame(2, b"\x12\x01x")
        assert tunnel.drain() == 1002
        with pytest.raises(ConnectionResetError):
            assert sock.recv(1) != b"", "a FIN"
    record_of(own, count, decision="error", reason="bad_chunk")


@pytest.mark.parametrize("name", ["private.test", "metadata.test"])
def test_special_addresses_are_refused(own, name, count):
    """Threat E5, for what is not inspected as for what is."""
    with own.tunnel() as tunnel:
        answer = tunnel.connect(f"{name}:{own.peer.port}", own.session)
    assert (answer.status, answer.reason) == (403, "address_denied")
    record_of(own, count, kind="tcp", decision="deny", reason="address_denied", status=403)


def test_a_port_that_the_rule_does_not_name_is_denied(own, count):
    with own.tunnel() as tunnel:
        assert tunnel.connect(f"db.test:{own.peer.port ^ 1}", own.session).status == 403
    record_of(own, count, kind="", decision="deny", reason="policy_denied")


def test_a_refused_connection_is_a_502_and_no_200_comes_before(make_own):
    own = make_own()
    own.peer.close()
    with own.tunnel() as tunnel:
        answer = tunnel.connect(own.db, own.session)
    assert (answer.status, answer.reason) == (502, "connect_failed")


def test_only_names_that_a_rule_lets_through_are_resolved(make_own):
    """A name that policy denies is not even asked for."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dns:
        dns.bind(("127.0.0.1", 0))
        dns.settimeout(10)
        own = make_own(rules=[
            {"name": "no", "action": "deny", "hosts": ["secret.dns.test"], "ports": [5432]},
            {"name": "yes", "action": "tcp", "hosts": ["*.dns.test"], "ports": [5432]}],
                       more={"timeouts": {"resolve": "1s"}, "resolver":
                             {"servers": [f"127.0.0.1:{dns.getsockname()[1]}"]}})
        with own.tunnel() as tunnel:
            assert tunnel.connect("secret.dns.test:5432", own.session).status == 403
        with own.tunnel() as tunnel:
            tunnel.send(Tunnel.hello("CONNECT open.dns.test:5432 HTTP/1.1", own.session))
            asked = [dns.recv(512)]
            assert tunnel.answer().status in (502, 504)
        dns.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                asked.append(dns.recv(512))
        assert all(b"\4open\3dns\4test" in packet for packet in asked)


# ---- time ----

def wait_for(seconds):
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > end, "time to pass", seconds + 5)


def test_nothing_that_moves_is_a_tunnel_that_ends(make_own):
    """Keepalive chunks do not count."""
    own = make_own(more={"timeouts": {"forward_idle": "1s"}})
    begin = time.monotonic()
    with own.open() as (tunnel, sock):
        ended = threading.Event()

        def keep():
            with contextlib.suppress(OSError):
                while not ended.wait(0.2):
                    tunnel.send_frame(2, b"\x0a\x00")

        keeper = threading.Thread(target=keep)
        keeper.start()
        try:
            assert tunnel.drain() == 1011
        finally:
            ended.set()
            keeper.join()
        assert 0.9 < time.monotonic() - begin < 5
        with pytest.raises(ConnectionResetError):
            assert sock.recv(1) != b"", "a FIN"
    own.gateway.record_where(kind="tcp", decision="error", reason="timeout")


@pytest.mark.parametrize("who", ["client", "origin"])
def test_a_tunnel_in_which_one_side_moves_is_not_cut(make_own, who):
    own = make_own(more={"timeouts": {"forward_idle": "1s"}})
    with own.open() as (tunnel, sock):
        for _ in range(6):
            wait_for(0.4)
            if who == "client":
                tunnel.send(b"x")
                assert sock.recv(1) == b"x"
            else:
                sock.sendall(b"y")
                assert tunnel.recv() == b"y"


def test_a_client_that_never_says_hello_is_ended(make_own):
    own = make_own(more={"timeouts": {"peek": "500ms"}})
    with own.open("pinned.test") as (tunnel, sock):
        tunnel.send(client_hello("pinned.test")[:20])
        assert tunnel.drain() == 1000
        with pytest.raises(ConnectionResetError):
            assert sock.recv(1) == b"", "a byte of the client"
    own.gateway.record_where(kind="pass", decision="error", reason="request_timeout", bytes_in=0)


@pytest.mark.parametrize("host", ["pinned.test", "db.test"])
def test_a_revoked_sessions_tunnels_close(own, host, count):
    """Threat G3."""
    session = own.gateway.session_create()
    with own.open(host, session) as (tunnel, sock):
        tunnel.send(client_hello("pinned.test"))
        assert sock.recv(10)
        own.gateway.command("session", "revoke", session.id, "-c", own.gateway.config_path)
        begin = time.monotonic()
        tunnel.channel.sock.settimeout(6)
        assert tunnel.drain() is None
        assert time.monotonic() - begin < 5
        with pytest.raises(ConnectionResetError):
            while sock.recv(65536):
                pass
            raise AssertionError("a FIN")
    record_of(own, count, session=session.id, decision="error", reason="session_revoked")


def test_tunnels_outlive_a_new_configuration_and_end_with_the_drain(make_own):
    own = make_own(more={"timeouts": {"drain": "2s"}})
    with own.open() as (tunnel, sock):
        tunnel.send(b"before")
        assert sock.recv(10) == b"before"
        old = set(own.gateway.roles()["worker"])
        own.gateway.program.child.send_signal(1)
        wait_until(lambda: set(own.gateway.roles().get("worker", [])) - old, "new workers")
        tunnel.send(b"after")
        assert sock.recv(10) == b"after"
        begin = time.monotonic()
        assert tunnel.drain() is None
        assert time.monotonic() - begin < 8
    own.gateway.record_where(kind="tcp", decision="error", reason="draining", bytes_in=11)


# ---- pressure ----

def memory_of(own):
    """Resident bytes of the workers."""
    pages = [int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
             for pid in own.gateway.roles()["worker"]]
    return sum(pages) * 4096


def wait_blocked(sender):
    """Until the sender has got no further for a while; how far it got."""
    def look():
        at, end = sender.sent, time.monotonic() + 1
        while time.monotonic() < end:
            if sender.sent != at:
                return None
            time.sleep(0.05)
        return at

    at = wait_until(look, "the sender to be blocked")
    assert 0 < at < len(sender.data), "it was never blocked"
    return at


@pytest.mark.heavy
@pytest.mark.parametrize("stalled", ["origin", "client"])
def test_who_does_not_read_stops_the_sender_and_nothing_is_lost(own, stalled):
    """Threat K4, both directions: memory stays, and all of it arrives in the end."""
    data = pattern(48 << 20, 3)
    with own.open() as (tunnel, sock):
        before = memory_of(own)
        if stalled == "origin":
            sender = Sender(tunnel.send, data)
        else:
            sender = Sender(sock.sendall, data)
        wait_blocked(sender)
        assert memory_of(own) - before < 2 << 20
        recv = tunnel.recv if stalled == "client" else lambda: sock.recv(1 << 18)
        got = read_exactly(recv, len(data))
        sender.finish()
        assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()


def ticks_of(own):
    """Processor time of the workers, in hundredths of a second."""
    fields = [pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
              for pid in own.gateway.roles()["worker"]]
    return sum(int(stat[11]) + int(stat[12]) for stat in fields)


def test_tunnels_that_wait_cost_no_processor_time(own):
    """Whatever they wait for; a level that stays up would make the loop spin."""
    big = pattern(24 << 20)
    with contextlib.ExitStack() as stack:
        def opened(host="db.test"):
            return stack.enter_context(own.open(host))

        opened()
        tunnel, sock = opened("pinned.test")  # half a ClientHello, and the origin has left
        tunnel.send(client_hello("pinned.test")[:50])
        reset(sock)
        _, sock = opened()  # the origin has ended
        sock.shutdown(socket.SHUT_WR)
        tunnel, sock = opened()  # the client has ended
        tunnel.send_frame(CLOSE, NORMAL)
        assert sock.recv(1) == b""
        tunnel, sock = opened()  # neither side reads
        senders = [Sender(tunnel.send, big), Sender(sock.sendall, big)]
        for sender in senders:
            wait_blocked(sender)
        before = ticks_of(own)
        wait_for(1.5)
        assert ticks_of(own) - before < 30
        for end in (tunnel.channel.sock, sock):
            end.shutdown(socket.SHUT_RDWR)
        for sender in senders:
            sender.join()


@pytest.mark.heavy
def test_without_buffers_reading_pauses_and_everything_arrives_in_the_end(make_own):
    """More stalled tunnels than buffers (threats K2, K4). The kernel holds megabytes of each, and
    more of them the slower the programs are: so not under the sanitizers."""
    own = make_own(more={"workers": 1, "limits": {"buffers": 16}})
    data = pattern(24 << 20, 5)
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(own.open()) for _ in range(20)]
        senders = [Sender(sock.sendall, data) for _, sock in pairs]
        wait_until(lambda: "reading pauses" in own.gateway.program.errors(), "the pause")
        with concurrent.futures.ThreadPoolExecutor(len(pairs)) as pool:
            for got in pool.map(lambda pair: read_exactly(pair[0].recv, len(data)), pairs):
                assert got == data
        for sender in senders:
            sender.finish()


# ---- the gateway itself ----

def outside_address():
    """An address of this machine that is none of loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = sock.getsockname()[0]
        return None if address.startswith("127.") else address


@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0"])
def test_the_gateway_never_dials_its_own_listeners(make_journey, authority, listen):
    """Threat E9: whatever rules and networks say, by name and by address, unread and inspected."""
    port = free_port()
    here = outside_address() or "127.0.0.1"
    addresses = ["127.0.0.1", "0.0.0.0", *(["127.0.0.9", here] if listen == "0.0.0.0" else [])]
    hosts = {f"self{at}.test": address for at, address in enumerate(addresses)}
    journey = make_journey(
        hosts=hosts,
        rules=[{"name": "self", "action": "tcp", "hosts": [*hosts, *dict.fromkeys(addresses)],
                "ports": [port]},
               {"name": "inspected", "hosts": ["web.test"], "ports": [port]}],
        more={"listen": [{"address": f"{listen}:{port}"}], "origins":
              {"roots": str(authority.certificate),
               "networks": ["127.0.0.0/8", "0.0.0.0/8", f"{here}/32"]},
              "resolver": {"hosts": {**hosts, "web.test": "127.0.0.1"}}})
    for host in [*hosts, *addresses, "web.test"]:
        with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
            answer = tunnel.connect(f"{host}:{port}", journey.session)
        assert (host, answer.status, answer.reason) == (host, 403, "address_denied")
        assert b"listener of this gateway" in answer.body


# ---- real programs ----

class Doorway:
    """A local port whose connections go to one target by the relay, for programs without proxies."""

    def __init__(self, relay_port, target):
        self.relay_port, self.target = relay_port, target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock, contextlib.suppress(OSError), RelayChannel(self.relay_port) as channel:
            assert channel.connect(self.target).status == 200

            def down():
                with contextlib.suppress(OSError):
                    while data := channel.recv():
                        sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)

            thread = threading.Thread(target=down, daemon=True)
            thread.start()
            while data := sock.recv(65536):
                channel.send(data)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


def test_a_real_database_is_reached(own, tmp_path, make_own):
    port = free_port()
    environment = clean_environment(tmp_path)
    redis = Program("redis", ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
                              "--appendonly", "no", "--dir", tmp_path], env=environment,
                    directory=tmp_path)
    try:
        redis.expect("Ready to accept connections")
        mine = make_own(rules=[{"name": "redis", "action": "tcp", "hosts": ["redis.test"],
                                "ports": [port]}], more={"resolver": {
                                    "hosts": {"redis.test": "127.0.0.1"}}})
        with mine.journey.container.relay() as relay:
            door = Doorway(relay.port, f"redis.test:{port}")

            def cli(*words, stdin=b""):
                return run(["redis-cli", "-p", door.port, *words], env=environment, cwd=tmp_path,
                           check=0, stdin=stdin).stdout

            value = pattern(1 << 20, 4).hex().encode()
            assert cli("ping") == b"PONG\n"
            assert cli("-x", "set", "key", stdin=value) == b"OK\n"
            assert cli("get", "key").strip() == value
            many = b"".join(b"incr counter\r\n" for _ in range(2000))
            assert cli(stdin=many).split()[-1] == b"2000"
            door.close()
    finally:
        redis.stop()
