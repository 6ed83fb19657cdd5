# SPDX-License-Identifier: Apache-2.0
"""How slow a client may be, and how silent an origin (threats K1, B7)."""
import pathlib
import socket
import threading
import time

import pytest

from attack import Arena
from h2_frames import HEADERS, RST_STREAM, H2Client, window_update
from program import wait_until
from raw_origin import HEAD, REST, when
from tunnel import TlsClient, Tunnel, answer_read

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PACE = {"timeouts": {"body_window": "700ms", "stall": "700ms", "forward_idle": "20s"}}


@pytest.fixture(scope="module")
def arena(place, authority):
    """Body and response are measured over 700 ms; what nothing moves in may wait for 20 s."""
    arena = Arena(place / "pace", authority, more=PACE)
    yield arena
    arena.stop()


@pytest.fixture
def session(arena):
    return arena.gateway.session_create()


def post(arena, length, more=""):
    return (f"POST / HTTP/1.1\r\nHost: {arena.target}\r\nContent-Length: {length}\r\n{more}\r\n"
            .encode())


def trickle(send, seconds, step):
    """A piece every 50 ms until the time is over or nobody listens."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            send(step)
        except OSError:
            return
        threading.Event().wait(0.05)


def test_content_that_trickles_is_a_408(arena, session):
    """Threat K1, slow body: bytes that move do not help, their rate counts."""
    arena.raw.play(HEAD, REST)
    with arena.tls(session) as tls:
        tls.sendall(post(arena, 100000))
        begin = time.monotonic()
        thread = threading.Thread(target=trickle, args=(tls.sendall, 5, b"x"))
        thread.start()
        answer, _ = answer_read(lambda: tls.read(65536))
        assert time.monotonic() - begin < 4
        thread.join()
    assert (answer.status, answer.reason) == (408, "request_timeout")
    assert b"timeouts.body_rate" in answer.body
    assert [r["reason"] for r in arena.records_of(session)] == ["request_timeout"]


def test_content_at_its_rate_is_never_too_slow(arena, session):
    """Threat K1: twice the rate, for three windows."""
    size = 45 * 110
    arena.raw.play(HEAD, lambda peer: peer.read(size), OK)
    with arena.tls(session) as tls:
        tls.sendall(post(arena, size))
        for _ in range(45):
            tls.sendall(b"x" * 110)
            threading.Event().wait(0.05)
        assert tls.response("POST").status == 200


def test_content_that_the_origin_does_not_take_is_not_the_clients_fault(arena, session):
    """Threats K1, K4: the sender is blocked for longer than the window."""
    go = threading.Event()
    size = 24 << 20
    arena.raw.play(HEAD, when(go), lambda peer: peer.read(size), OK)
    with arena.tls(session) as tls:
        threading.Timer(2.5, go.set).start()
        tls.channel.channel.sock.settimeout(20)
        tls.sendall(post(arena, size))
        tls.sendall(b"x" * size)
        assert tls.response("POST").status == 200


@pytest.mark.parametrize("more", ["Expect: 100-continue\r\n", "Content-Type: application/grpc\r\n"])
def test_who_waits_for_the_origin_is_not_slow(arena, session, more):
    """Threat K1: a request that stays open on purpose."""
    arena.raw.play(HEAD, lambda peer: threading.Event().wait(2),
                   b"HTTP/1.1 100 Continue\r\n\r\n", lambda peer: peer.read(2000), OK)
    with arena.tls(session) as tls:
        tls.sendall(post(arena, 2000, more))
        if "Expect" in more:
            assert tls.read(65536).startswith(b"HTTP/1.1 100 ")
        else:
            threading.Event().wait(2)
        tls.sendall(b"x" * 2000)
        came = b""
        while b"\r\n\r\nok" not in came:
            more_came = tls.read(65536)
            assert more_came, came
            came += more_came
        assert b"HTTP/1.1 200 " in came


@pytest.mark.parametrize("version", ["h1", "h2"])
def test_an_origin_that_is_silent_is_not_cut(arena, session, version):
    """Threats K1, B7: event streams, long polls and watches wait for longer than `stall`."""
    arena.raw.play(HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\ndata: 1\n\n",
                   lambda peer: threading.Event().wait(2.5), b"data: 2\n\n")
    if version == "h1":
        with arena.tls(session) as tls:
            assert tls.request("GET", "/", arena.target).body == b"data: 1\n\ndata: 2\n\n"
        return
    with arena.h2(session) as h2:
        assert h2.request(arena.target).body == b"data: 1\n\ndata: 2\n\n"


def endless(peer):
    HEAD(peer)
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    while True:
        peer.send(bytes(65536))


def test_a_client_that_does_not_read_is_ended(arena, session):
    """Threats K1, B7, slow read: long before `forward_idle`."""
    arena.raw.play(endless)
    with arena.tls(session) as tls:
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {arena.target}\r\n\r\n".encode())
        wait_until(lambda: arena.raw.peers, "the request at the origin")
        assert arena.raw.peers[0].has_ended.wait(10)
    records = arena.records_of(session)
    assert [r["reason"] for r in records] == ["timeout"] and "timeouts.stall" in records[0]["detail"]


def test_a_stream_without_window_is_ended_and_no_other(arena, session):
    """Threat B7: zero window: the stream is reset after `stall`, the connection goes on."""
    arena.raw.play(endless)
    with arena.h2(session) as h2:
        h2.updates = False
        stream = h2.ask(arena.target)
        got = h2.until(RST_STREAM, stream=stream)
        assert got is not None
        arena.raw.play(HEAD, OK)
        other = h2.ask(arena.target, "/other", method="HEAD")
        assert h2.until(HEADERS, stream=other) is not None
    assert sorted(r["reason"] for r in arena.records_of(session)) in (["", "timeout"],
                                                                        ["timeout", ""])


@pytest.mark.heavy
def test_a_connection_whose_client_reads_nothing_any_more_ends(place, authority):
    """Threat B7: every response is complete on our side, nothing of them is read, and neither is
    the GOAWAY that ends an idle connection: it is given back all the same.
    """
    arena = Arena(place / "unread", authority, more={
        "timeouts": {"idle": "600ms", "stall": "60s"},
        "limits": {"buffers": 1024, "buffers_per_session": 1024, "buffers_per_tenant": 1024}})
    session = arena.gateway.session_create()
    try:
        with Tunnel(arena.gateway.port).open(session) as tunnel:
            assert tunnel.connect(arena.host, session).status == 200
            tls = TlsClient(tunnel, arena.gateway.ca_file(), "origin.test", alpn=("h2",)).handshake()
            tunnel.channel.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            h2 = H2Client(tls).open()
            h2.send(window_update(0, 1 << 24))
            for _ in range(90):
                h2.ask(arena.host, "/bytes/65000")
            wait_until(lambda: len(arena.gateway.records()) == 90, "every response to be complete")
            mine = tunnel.channel.sock.getsockname()[1]

            def is_gone():
                lines = pathlib.Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
                ends = [line.split()[2:4] for line in lines]  # the other side's port, the state
                return not any(int(end.split(":")[1], 16) == mine and state == "01"
                               for end, state in ends)

            wait_until(is_gone, "the tunnel's end", 30)
    finally:
        arena.stop()
