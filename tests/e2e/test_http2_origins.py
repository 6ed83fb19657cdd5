# SPDX-License-Identifier: Apache-2.0
"""Origins of HTTP/2 that end, refuse and drain as the standard lets them, and a gateway that drains."""
import os
import signal
import threading

import pytest

from attack import Arena
from h2_fields import Decoder, block
from h2_frames import (ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, RST_STREAM,
                       SETTINGS, FrameReader, data, goaway, headers, reset, settings)
from program import wait_until

REFUSED_STREAM = 7


class H2Peer:
    """The origin's end of one connection: frames instead of bytes."""

    def __init__(self, peer):
        self.peer = peer
        self.decoder = Decoder()
        assert peer.read(len(PREFACE)) == PREFACE
        self.reader = FrameReader(lambda: self.peer.read(1))
        peer.send(settings())

    def request(self):
        """(stream, fields) of the next request."""
        while True:
            got = self.reader.next()
            assert got is not None
            if got.kind == SETTINGS and not got.flags & ACK:
                self.peer.send(settings(flags=ACK))
            if got.kind == HEADERS:
                return got.stream, dict(self.decoder.decode(got.content()))

    def answer(self, stream, content=b"ok"):
        self.peer.send(headers(stream, block([(":status", "200")]), END_HEADERS)
                       + data(stream, content, END_STREAM))


@pytest.fixture(scope="module")
def arena(place, authority):
    arena = Arena(place / "h2-origins", authority, alpn=("h2",))
    yield arena
    arena.stop()


@pytest.fixture
def session(arena):
    return arena.gateway.session_create()


def numbered(*scripts):
    """The n-th connection plays the n-th script, later ones the last."""
    def play(peer):
        connection = H2Peer(peer)
        scripts[min(peer.number, len(scripts) - 1)](connection)
        peer.read_all()
    return play


def serve(connection):
    while True:
        stream, fields = connection.request()
        connection.answer(stream, fields[":path"].encode())


def refuse(connection):
    stream, _ = connection.request()
    connection.peer.send(reset(stream, REFUSED_STREAM))


def leave(connection):
    """GOAWAY that says: nothing of this was looked at."""
    connection.request()
    connection.peer.send(goaway(0))


def vanish(connection):
    connection.request()
    connection.peer.reset()


@pytest.mark.parametrize("first", [refuse, leave, vanish], ids=["refused", "goaway", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_that_was_not_looked_at_is_sent_again(arena, session, first, method):
    """RFC 9113 section 8.7: also a POST, unless nobody knows what has become of it."""
    arena.raw.play(numbered(first, serve))
    with arena.h2(session) as h2:
        answer = h2.request(arena.target, "/again", method=method)
    if first is vanish and method == "POST":
        assert (answer.status, answer.reason) == (502, "origin_closed")
    else:
        assert (answer.status, answer.body) == (200, b"/again")


def test_a_request_is_sent_again_only_once(arena, session):
    arena.raw.play(numbered(refuse))
    with arena.h2(session) as h2:
        answer = h2.request(arena.target, "/again")
    assert (answer.status, answer.reason) == (502, "origin_closed")
    assert len(arena.raw.peers) == 2


def test_streams_below_a_goaway_are_finished(arena, session):
    """A graceful end of the origin: what it has begun it answers, what is new goes elsewhere."""
    gone = threading.Event()

    def drain(connection):
        stream, _ = connection.request()
        connection.peer.send(goaway(stream))
        assert gone.wait(30)
        connection.answer(stream, b"first")

    arena.raw.play(numbered(drain, serve))
    with arena.h2(session) as h2:
        first = h2.ask(arena.target, "/first")
        wait_until(lambda: arena.raw.peers and len(arena.raw.peers[0].received) > 60, "the request")
        second = h2.ask(arena.target, "/second")
        assert h2.answer(second).body == b"/second"
        gone.set()
        assert h2.answer(first).body == b"first"


def test_tunnels_of_a_session_share_a_connection_to_the_origin(arena, session):
    arena.raw.play(numbered(serve))
    with arena.h2(session) as one, arena.h2(session) as two:
        assert one.request(arena.target, "/1").body == b"/1"
        assert two.request(arena.target, "/2").body == b"/2"
        assert one.request(arena.target, "/3").body == b"/3"
    assert len(arena.raw.peers) == 1
    other = arena.gateway.session_create()
    with arena.h2(other) as three:
        assert three.request(arena.target, "/4").body == b"/4"
    assert len(arena.raw.peers) == 2, "sessions never share one"


def test_a_client_of_http1_gets_what_an_origin_of_http2_says(arena, session):
    arena.raw.play(numbered(serve))
    with arena.tls(session) as tls:
        for i in range(3):
            assert tls.request("GET", f"/{i}", arena.target).body == f"/{i}".encode()


def drain_begin(gateway):
    """Another configuration: the old workers drain."""
    gateway.config["log"] = "debug"
    gateway.write_config()
    os.kill(gateway.program.pid, signal.SIGHUP)


def test_a_draining_gateway_says_goaway_and_finishes_its_streams(authority, tmp_path):
    """Threat L1: a new configuration takes over; old streams end well, then the connection does."""
    arena = Arena(tmp_path / "drain", authority, alpn=("h2",))
    gone = threading.Event()

    def wait(connection):
        stream, _ = connection.request()
        assert gone.wait(30)
        connection.answer(stream, b"whole")

    try:
        arena.raw.play(numbered(wait))
        session = arena.gateway.session_create()
        with arena.h2(session) as h2:
            stream = h2.ask(arena.target, "/first")
            wait_until(lambda: arena.raw.peers and len(arena.raw.peers[0].received) > 60,
                       "the request")
            drain_begin(arena.gateway)
            assert h2.until(GOAWAY).code == 0
            gone.set()
            assert h2.answer(stream).body == b"whole"
            assert h2.until(RST_STREAM, DATA, HEADERS) is None, "the connection ends"
    finally:
        arena.stop()
