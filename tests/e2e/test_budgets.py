# SPDX-License-Identifier: Apache-2.0
"""Budgets of sessions, tenants and the worker: who is at a limit is told which one, and nobody else
notices (threats B7, G6, I6, K2, K4).
"""
import contextlib
import json
import threading
import time

import pytest

from attack import Arena, resident
from h2_frames import H2Client
from nginx import Nginx
from program import cpu_seconds, wait_until
from raw_origin import HEAD, REST, when
from tunnel import Answer, SocketChannel, TlsClient, Tunnel

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def make_arena(tmp_path, authority):
    made = []

    def make(**limits):
        timeouts = limits.pop("timeouts", None)
        options = {name: limits.pop(name) for name in ("rules", "hosts") if name in limits}
        more = {"limits": limits, **({"timeouts": timeouts} if timeouts else {})}
        made.append(Arena(tmp_path / f"arena{len(made)}", authority, more=more, **options))
        return made[-1]

    yield make
    for arena in made:
        arena.stop()


def answering(peer):
    while True:
        HEAD(peer)
        peer.send(OK)


def endless(peer):
    HEAD(peer)
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
    while True:
        peer.send(bytes(65536))


def reads_nothing(stack, arena, session):
    """A tunnel whose client asks for more than anybody holds and takes none of it."""
    tls = stack.enter_context(arena.tls(session))
    tls.sendall(f"GET / HTTP/1.1\r\nHost: {arena.target}\r\n\r\n".encode())


# ---- tunnels ----

@pytest.mark.parametrize("whose", ["tenant", "session"])
def test_a_tunnel_too_many_of_one_is_a_429_and_others_go_on(make_arena, whose):
    """Threat K2: at the cap 429 for that one only, which names it; a tunnel less is a place more."""
    arena = make_arena(tunnels=20, **{f"tunnels_per_{whose}": 3})
    first, second = (arena.gateway.session_create(tenant="greedy") for _ in range(2))
    other = arena.gateway.session_create(tenant="modest")
    mine = [first] * 3 if whose == "session" else [first, second, first]
    with contextlib.ExitStack() as stack:
        tunnels = [stack.enter_context(Tunnel(arena.gateway.port).open(one)) for one in mine]
        with Tunnel(arena.gateway.port) as another:
            answer = another.upgrade((first if whose == "session" else second).token)
        assert (answer.status, answer.reason) == (429, f"{whose}_limit")
        assert answer.fields["retry-after"] == "1"
        assert f"limits.tunnels_per_{whose}" in json.loads(answer.body)["detail"]
        for session in [other] + ([second] if whose == "session" else []):
            with arena.tls(session, target=arena.host, name="origin.test") as tls:
                assert tls.request("GET", "/", arena.host).status == 200
        tunnels[0].close()

        def again():
            with Tunnel(arena.gateway.port) as tunnel:
                return tunnel.upgrade(first.token).status == 101

        wait_until(again, "a place for one more")
    said = arena.gateway.program.errors()
    assert said.count("limits.tunnels_per_") == 1, "once, however often it is refused"


# ---- exchanges ----

def test_a_stream_too_many_is_a_429_and_the_others_are_answered(make_arena):
    """Threat K2: requests under way, of one session."""
    arena = make_arena(exchanges_per_session=5)
    go = threading.Event()
    arena.raw.play(HEAD, when(go), OK, REST)
    session = arena.gateway.session_create()
    with arena.h2(session) as h2:
        held = [h2.ask(arena.target) for _ in range(5)]
        wait_until(lambda: len(arena.raw.peers) == 5, "five requests at the origin")
        answer = h2.request(arena.target)
        assert (answer.status, answer.reason) == (429, "session_limit"), answer
        assert "limits.exchanges_per_session" in json.loads(answer.body)["detail"]
        with arena.tls(arena.gateway.session_create(), target=arena.host, name="origin.test") as tls:
            assert tls.request("GET", "/", arena.host).status == 200
        go.set()
        left = set(held)
        while left:
            got = h2.next()
            assert got is not None
            if got.flags & 1 and got.kind in (0, 1):
                left.discard(got.stream)
        assert h2.request(arena.host, "/").status in (200, 421), "places are free again"


# ---- connections to origins ----

def test_a_hundred_streams_share_eight_connections_of_http1(make_arena):
    """Requests wait for a connection in their order; all are answered, never more than 8 are open."""
    arena = make_arena(origins_per_host=8)
    lock, now, most = threading.Lock(), [0], [0]

    def counted(peer):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        try:
            while True:
                HEAD(peer)
                threading.Event().wait(0.01)
                peer.send(OK)
        finally:
            with lock:
                now[0] -= 1

    arena.raw.play(counted)
    session = arena.gateway.session_create()
    with arena.h2(session) as h2:
        left = {h2.ask(arena.target, f"/{number}") for number in range(100)}
        while left:
            got = h2.next()
            assert got is not None and got.kind not in (3, 7), got
            if got.flags & 1 and got.kind in (0, 1):
                left.discard(got.stream)
    assert most[0] == 8
    records = [r for r in arena.records_of(session)]
    assert sorted(r["path"] for r in records) == sorted(f"/{number}" for number in range(100))
    assert {r["status"] for r in records} == {200}


def test_tunnels_of_http1_wait_for_a_connection_too(make_arena):
    """30 tunnels at once over 4 connections; a request that waits too long is a 429 that says why."""
    arena = make_arena(origins_per_host=4,
                       timeouts={"resolve": "1s", "connect": "1s", "origin_handshake": "3s"})
    arena.raw.play(answering)
    session = arena.gateway.session_create()
    answers = []
    arena.gateway.ca_file()  # written once, before the threads

    def one():
        with arena.tls(session) as tls:
            answers.append(tls.request("GET", "/", arena.target).status)

    threads = [threading.Thread(target=one) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 30
    assert len(arena.raw.peers) <= 4
    arena.raw.drop()
    go = threading.Event()
    arena.raw.play(HEAD, when(go), OK, REST)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(arena.tls(session)) for _ in range(4)]
        for tls in held:
            tls.sendall(f"GET / HTTP/1.1\r\nHost: {arena.target}\r\n\r\n".encode())
        wait_until(lambda: sum(b"\r\n\r\n" in peer.received for peer in arena.raw.peers) == 4,
                   "four requests at the origin")
        with arena.tls(session) as tls:
            answer = tls.request("GET", "/", arena.target)
        assert (answer.status, answer.reason) == (429, "session_limit")
        assert b"limits.origins_per_host" in answer.body
        go.set()
        assert [tls.response().status for tls in held] == [200] * 4


def test_a_connection_that_is_of_no_use_makes_room_for_one_that_is(make_arena, authority, tmp_path):
    """A request for WebSocket needs HTTP/1.1; the only connection there may be is an idle one of
    HTTP/2, whose place it gets.
    """
    nginx = Nginx(tmp_path / "nginx", *authority.issue("h2.test"), http2=True)
    target = f"h2.test:{nginx.port}"
    arena = make_arena(origins_per_host=1,
                       hosts={"h2.test": "127.0.0.1"},
                       rules=[{"name": "h2", "hosts": ["h2.test"], "ports": [nginx.port],
                               "action": "allow"}])
    session = arena.gateway.session_create()
    try:
        with arena.tls(session, target=target, name="h2.test") as tls:
            assert tls.request("GET", "/", target).status == 200
            answer = tls.request("GET", "/", target, fields=(
                "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
            assert answer.status == 200, "nginx has no WebSocket here, and answers in HTTP/1.1"
    finally:
        nginx.stop()


# ---- buffers ----

@pytest.mark.heavy
@pytest.mark.parametrize("whose", ["tenant", "session"])
def test_one_that_reads_nothing_takes_only_its_own_buffers(make_arena, whose):
    """Threats K2, K4: as many stopped readers as they like; another one has no error and is served
    in time; memory stays below the worst case that was computed, and the log says who it was.
    """
    arena = make_arena(buffers=512, tunnels=200, exchanges=400, origins=400, h2_memory="16MiB",
                       **{f"buffers_per_{whose}": 64})
    arena.raw.play(endless)
    greedy = [arena.gateway.session_create(tenant="greedy") for _ in range(2)]
    other = arena.gateway.session_create(tenant="modest")
    checked = json.loads(arena.gateway.command("check", "--json", "-c",
                                               arena.gateway.config_path).stdout)
    with contextlib.ExitStack() as stack:
        number = 0
        while "reading pauses" not in arena.gateway.program.errors():
            reads_nothing(stack, arena, greedy[number % 2 if whose == "tenant" else 0])
            number += 1
            assert number < 60
        with arena.tls(other, target=arena.host, name="origin.test") as tls:
            for _ in range(100):
                assert tls.request("GET", "/bytes/200000", arena.host).status == 200
        # buffers of 82 KiB each: 64 for the greedy one
        assert resident(arena.worker) < 96 << 20
        assert resident(arena.worker) < checked["worker_memory_max"]
    said = arena.gateway.program.errors()
    assert f"this {whose}: " in said and "this worker: " not in said, said


@pytest.mark.heavy
def test_a_full_worker_stays_below_its_worst_case(make_arena):
    """Threat I6: every buffer in use, over both versions of HTTP; memory is below the sum."""
    arena = make_arena(buffers=512, buffers_per_session=512, buffers_per_tenant=512, tunnels=150,
                       tunnels_per_tenant=150, exchanges=600, exchanges_per_tenant=600, origins=600,
                       origins_per_tenant=600, origins_per_host=600, h2_memory="16MiB")
    arena.raw.play(endless)
    worst = json.loads(arena.gateway.command("check", "--json", "-c", arena.gateway.config_path)
                       .stdout)["worker_memory_max"]
    session = arena.gateway.session_create()
    before = resident(arena.worker)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            h2 = stack.enter_context(arena.h2(session))
            for _ in range(40):
                h2.ask(arena.target)
        number = 0
        while "reading pauses" not in arena.gateway.program.errors():
            reads_nothing(stack, arena, session)
            number += 1
            assert number < 150
        wait_until(lambda: resident(arena.worker) - before > 20 << 20, "memory to be in use")
        assert resident(arena.worker) < worst
        # nobody spins for a buffer, not even a handshake with an origin
        worker, start, used = arena.worker, time.monotonic(), cpu_seconds(arena.worker)
        threading.Event().wait(1)
        share = (cpu_seconds(worker) - used) / (time.monotonic() - start)
        assert share < 0.3, share


def test_check_prints_the_worst_case_and_its_parts(make_arena):
    """Threat I6."""
    arena = make_arena(buffers=512)
    text = arena.gateway.command("check", "-c", arena.gateway.config_path).stdout.decode()
    assert "worst-case memory: " in text
    assert "  buffers: 512 x 82 KiB = 41 MiB" in text
    assert "  h2_memory: 1 x 131072 KiB = 128 MiB" in text


# ---- memory of HTTP/2 ----

def test_where_http2_has_no_memory_left_http1_is_offered(make_arena):
    """Threat I6: each connection of HTTP/2 takes of one budget; at its end nobody is refused."""
    arena = make_arena(h2_memory="1MiB")
    arena.raw.play(answering)
    session = arena.gateway.session_create()
    with contextlib.ExitStack() as stack:
        chosen = []
        while "http/1.1" not in chosen:
            assert len(chosen) < 100, "HTTP/2 without end"
            tls = stack.enter_context(arena.tls(session, alpn=("h2", "http/1.1")))
            chosen.append(tls.tls.selected_alpn_protocol())
            if chosen[-1] == "h2":
                assert H2Client(tls).open().request(arena.target).status == 200
            else:
                assert tls.request("GET", "/", arena.target).status == 200
        assert chosen[0] == "h2"


# ---- before authentication ----

def test_slow_connections_keep_nobody_from_joining(make_arena):
    """Threat G6: connections that do not authenticate are bounded, the oldest goes first."""
    arena = make_arena(joining=8)
    session = arena.gateway.session_create()
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(SocketChannel(arena.gateway.port)) for _ in range(40)]
        for channel in slow:
            with contextlib.suppress(ConnectionError):
                channel.send(b"GET /v1/tunnel HTTP/1.1\r\nX: ")
        with Tunnel(arena.gateway.port).open(session) as tunnel:
            assert tunnel.connect(arena.host, session).status == 200
        assert slow[0].recv() == b"", "the oldest is closed"
        assert "limits.joining" in arena.gateway.program.errors()


def test_nobody_holds_more_than_64_kib_before_authenticating(make_arena):
    """Threat G6: a head without an end is refused at 64 KiB, before its deadline."""
    arena = make_arena()
    with SocketChannel(arena.gateway.port) as channel:
        channel.send(b"GET /v1/tunnel HTTP/1.1\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError):
            for number in range(40):
                channel.send(b"X-%d: " % number + b"x" * 4000 + b"\r\n")
                sent += 4000
        answer = channel.recv()
    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b"", answer[:80]
    assert Answer(answer.split(b"\r\n\r\n")[0]).reason == "head_too_large" if answer else True


def test_five_seconds_to_authenticate(make_arena):
    """Threat G6: the default."""
    arena = make_arena()
    text = arena.gateway.command("check", "--json", "-c", arena.gateway.config_path).stdout
    assert json.loads(text)["ok"]
    with SocketChannel(arena.gateway.port) as channel:
        channel.sock.settimeout(8)
        assert channel.recv().startswith(b"HTTP/1.1 408 ")
