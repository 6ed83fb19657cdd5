# SPDX-License-Identifier: Apache-2.0
"""A hostile origin that speaks HTTP/2 (threat B12): the client gets a 502 or sees that its answer is
cut, the origin's connection is closed, and the same budgets hold as against a client.
"""
import http.client
import struct

import pytest

import h2_fields
import h2_frames as h2
from attack import Arena, resident
from h2_frames import END_HEADERS, END_STREAM, FrameReader
from tunnel import Answer

MIB = 1 << 20
STATUS_200 = h2_fields.indexed(8)


@pytest.fixture(scope="module")
def arena(place, authority):
    arena = Arena(place / "attack-h2-origin", authority, alpn=("h2",))
    yield arena
    arena.stop()


@pytest.fixture
def session(arena):
    return arena.gateway.session_create()


class Server:
    """The server's end of one connection: what a script does before it turns hostile."""

    def __init__(self, peer, *pairs):
        self.peer = peer
        self.seen = []
        assert peer.read(len(h2.PREFACE)) == h2.PREFACE
        self.reader = FrameReader(self._recv)
        self.send(h2.settings(*pairs))

    def _recv(self):
        held = self.peer.received[self.peer.taken:]
        self.peer.taken += len(held)
        if held:
            return held
        self.peer._more()
        return self._recv()

    def send(self, *frames):
        self.peer.send(b"".join(frames))

    def until(self, *kinds):
        while True:
            got = self.reader.next()
            self.seen.append(got)
            if got.kind == h2.SETTINGS and not got.flags & h2.ACK:
                self.send(h2.settings(flags=h2.ACK))
            if got.kind in kinds:
                return got

    def request(self):
        """The stream of the next request."""
        return self.until(h2.HEADERS).stream

    def answer(self, stream, body=b"ok", fields=()):
        self.send(h2.headers(stream, STATUS_200 + h2_fields.block(fields)),
                  h2.data(stream, body, END_STREAM))


def hostile(*frames, after=b""):
    """A script: these frames where an answer is due; `s` stands for the stream."""
    def play(peer):
        server = Server(peer)
        stream = server.request()
        server.send(*(part(stream) if callable(part) else part for part in frames), after)
        peer.read_all()
    return play


def ask(arena, session, client="http/1.1"):
    """The answer, or None when it was cut."""
    try:
        if client == "h2":
            with arena.h2(session) as two:
                answer = two.request(arena.target)
                return answer if isinstance(answer, Answer) else None
        with arena.tls(session) as tls:
            answer = tls.request("GET", "/", arena.target)
            while answer.status < 200:
                answer = tls.response()
            return answer
    except (http.client.HTTPException, OSError):
        return None


def test_a_good_origin_is_served_and_its_connection_shared(arena, session):
    """What the rest of the file is held against."""
    def good(peer):
        server = Server(peer)
        while True:
            server.answer(server.request(), fields=[("alt-svc", "h3=\":443\""), ("x-fine", "yes")])

    arena.raw.play(good)
    with arena.tls(session) as tls:
        for _ in range(3):
            answer = tls.request("GET", "/", arena.target)
            assert (answer.status, answer.body) == (200, b"ok")
            assert answer.fields["x-fine"] == "yes" and "alt-svc" not in answer.fields
    assert len(arena.raw.peers) == 1


def response(*fields, flags=END_HEADERS | END_STREAM):
    return lambda stream: h2.headers(stream, h2_fields.block(fields), flags)


GOOD = response((":status", "200"), flags=END_HEADERS)
INSTEAD = {
    "PUSH_PROMISE": [lambda s: h2.frame(h2.PUSH_PROMISE, END_HEADERS, s, struct.pack(">I", 2)
                                        + h2_fields.block(h2.request_fields("raw.test")))],
    "GOAWAY and a close": [h2.goaway(0, h2.NO_ERROR)],
    "GOAWAY growing": [h2.goaway(1), h2.goaway(3), h2.goaway(0x7fffffff)],
    "RST_STREAM": [lambda s: h2.reset(s, h2.INTERNAL_ERROR)],
    "RST_STREAM NO_ERROR": [lambda s: h2.reset(s, h2.NO_ERROR)],
    "no status": [response(("x", "y"))],
    "two statuses": [response((":status", "200"), (":status", "404"))],
    "status 000": [response((":status", "000"))],
    "status 99": [response((":status", "99"))],
    "status 999": [response((":status", "999"))],
    "status +20": [response((":status", "+20"))],
    "status 101": [response((":status", "101"))],
    "status behind a field": [response(("x", "y"), (":status", "200"))],
    "pseudo-fields of a request": [response((":status", "200"), (":path", "/"))],
    "upper case": [response((":status", "200"), ("X-Upper", "y"))],
    "connection": [response((":status", "200"), ("connection", "close"))],
    "transfer-encoding": [response((":status", "200"), ("transfer-encoding", "chunked"))],
    "CRLF in a value": [response((":status", "200"), ("x", "y\r\nSet-Cookie: evil"))],
    "LF in a name": [response((":status", "200"), ("x\nset-cookie", "evil"))],
    "NUL in a value": [response((":status", "200"), ("x", "a\0b"))],
    "two lengths": [response((":status", "200"), ("content-length", "0"), ("content-length", "1"))],
    "an interim that ends": [response((":status", "103"))],
    "17 interims": [response((":status", "103"), flags=END_HEADERS)] * 17
                   + [response((":status", "200"))],
    "interims without end": [response((":status", "103"), flags=END_HEADERS)] * 5000,
    "DATA before HEADERS": [lambda s: h2.data(s, b"evil", END_STREAM)],
    "DATA of an idle stream": [lambda s: h2.data(s + 2, b"evil")],
    "HEADERS of an idle stream": [lambda s: h2.headers(s + 2, STATUS_200,
                                                       END_HEADERS | END_STREAM)],
    "HEADERS of an even stream": [h2.headers(2, STATUS_200, END_HEADERS | END_STREAM)],
    "a frame too large": [lambda s: h2.headers(s, bytes(16385))],
    "129 fields": [lambda s: h2.headers(s, STATUS_200 + h2_fields.indexed(19) * 129,
                                        END_HEADERS | END_STREAM)],
    "a list of 80 KiB": [lambda s: h2.headers(s, STATUS_200 + h2_fields.inserted("x", "y" * 4000)
                                              + h2_fields.indexed(62) * 20,
                                              END_HEADERS | END_STREAM)],
    "a bomb": [lambda s: h2.headers(s, STATUS_200 + h2_fields.inserted("x", "y" * 4000)
                                    + h2_fields.indexed(62) * 10000, END_HEADERS | END_STREAM)],
    "a bad index": [lambda s: h2.headers(s, h2_fields.indexed(99), END_HEADERS | END_STREAM)],
    "CONTINUATION flood": [lambda s: h2.headers(s, STATUS_200, END_STREAM)]
                          + [lambda s: h2.continuation(s, b"")] * 10000,
    "CONTINUATION of 9": [lambda s: h2.headers(s, STATUS_200, END_STREAM)]
                         + [lambda s: h2.continuation(s, b"")] * 9
                         + [lambda s: h2.continuation(s, b"", END_HEADERS)],
    "window 0": [lambda s: h2.window_update(s, 0)],
    "window 0 of the connection": [h2.window_update(0, 0)],
    "window overflow": [h2.window_update(0, 0x7fffffff)],
    "SETTINGS window 2^31": [h2.settings((h2.WINDOW, 1 << 31))],
    "SETTINGS push 1": [h2.settings((h2.ENABLE_PUSH, 1))],
    "PING of 7 bytes": [h2.ping(b"1234567")],
    "HTTP/1": [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    "PING flood": [h2.ping() * 10000], "SETTINGS flood": [h2.settings() * 10000],
    "PING ACK flood": [h2.ping(flags=h2.ACK) * 10000],
    "PRIORITY flood": [lambda s: h2.priority(s) * 10000],
    "WINDOW_UPDATE flood": [h2.window_update(0, 1) * 10000],
    "unknown frames": [h2.frame(0xbe) * 10000],
    "GOAWAY flood": [h2.goaway(1) * 10000],
    "RST_STREAM flood": [lambda s: h2.reset(s) + h2.reset(s) * 10000],
}
# The connection may live on after these: the fault is one stream's, and told in words.
OF_A_STREAM = {
    "RST_STREAM", "RST_STREAM NO_ERROR", "129 fields", "a list of 80 KiB", "17 interims",
    "CRLF in a value", "LF in a name", "NUL in a value", "an interim that ends", "connection",
    "no status", "pseudo-fields of a request", "status +20", "status 000", "status 101",
    "status 99", "status 999", "status behind a field", "transfer-encoding", "two lengths",
    "two statuses", "upper case", "HEADERS without an end", "a second status"}


@pytest.mark.parametrize("client", ["http/1.1", "h2"])
@pytest.mark.parametrize("kind", INSTEAD)
def test_what_is_no_answer_is_a_502(arena, session, kind, client):
    """Threat B12."""
    arena.raw.play(hostile(*INSTEAD[kind]))
    before = resident(arena.worker)
    answer = ask(arena, session, client)
    assert answer is not None and answer.status == 502, answer
    assert answer.reason in ("origin_bad_response", "origin_closed", "limit_reached"), answer
    assert kind in OF_A_STREAM or arena.raw.peers[0].has_ended.wait(5)
    assert b"evil" not in answer.head + answer.body
    assert resident(arena.worker) - before < MIB
    records = arena.records_of(session)
    assert [(r["status"], r["reason"]) for r in records] == [(502, answer.reason)]


BEHIND = {
    "nothing": [], "RST_STREAM": [lambda s: h2.reset(s, h2.INTERNAL_ERROR)],
    "GOAWAY": [h2.goaway(0, h2.INTERNAL_ERROR)],
    "HEADERS without an end": [response(("x", "y"), flags=END_HEADERS)],
    "a second status": [response((":status", "200"))],
    "PING flood": [h2.ping() * 10000], "empty DATA flood": [lambda s: h2.data(s, b"") * 10000],
    "padding only": [lambda s: h2.frame(h2.DATA, h2.PADDED, s, b"\xff" + bytes(255)) * 10000],
    "PUSH_PROMISE": [lambda s: h2.frame(h2.PUSH_PROMISE, END_HEADERS, s, struct.pack(">I", 2)
                                        + h2_fields.block(h2.request_fields("raw.test")))],
}


@pytest.mark.parametrize("client", ["http/1.1", "h2"])
@pytest.mark.parametrize("kind", BEHIND)
def test_an_answer_that_breaks_off_never_looks_whole(arena, session, kind, client):
    """Threats B12, H10: half of the content is there when the origin turns. A fault in one stream
    resets that stream, and its connection may stay: unlike in HTTP/1, nobody can take what is left
    of it for another's answer. A flood, or a fault in the connection, ends it.
    """
    def play(peer):
        server = Server(peer)
        stream = server.request()
        server.send(h2.headers(stream, STATUS_200), h2.data(stream, b"half"))
        try:
            server.send(*(part(stream) if callable(part) else part for part in BEHIND[kind]))
            if kind == "nothing":
                peer.cut()
            peer.read_all()
        finally:
            peer.cut()

    arena.raw.play(play)
    answer = ask(arena, session, client)
    # What comes together with the head may be told in words.
    assert answer is None or (answer.status == 502 and b"half" not in answer.body), answer
    assert kind in OF_A_STREAM or arena.raw.peers[0].has_ended.wait(5)


def test_content_beyond_the_window_ends_its_stream(arena, session):
    """Threats B7, B12: the client takes nothing, so no window is given back; 1.6 MiB come."""
    arena.raw.play(hostile(GOOD, lambda s: h2.data(s, bytes(16384)) * 100))
    before = resident(arena.worker)
    with arena.h2(session, (h2.WINDOW, 0)) as client:
        answer = client.answer(client.ask(arena.target))
        assert isinstance(answer, h2.Frame) and answer.kind == h2.RST_STREAM, answer
        assert resident(arena.worker) - before < MIB


@pytest.mark.parametrize("kind", ["length too small", "length too large"])
def test_a_length_that_lies_never_looks_whole(arena, session, kind):
    """Threats A11, B12."""
    length = "2" if kind == "length too small" else "9"
    arena.raw.play(hostile(response((":status", "200"), ("content-length", length),
                                    flags=END_HEADERS),
                           lambda s: h2.data(s, b"evil", END_STREAM)))
    answer = ask(arena, session)
    assert answer is None or answer.status == 502


def test_frames_of_a_stream_that_has_ended_are_delivered_to_nobody(arena, session):
    """Threats A12, B12: a second answer on the first stream, before and after the second asks."""
    def play(peer):
        server = Server(peer)
        first = server.request()
        server.answer(first, b"first")
        try:
            server.answer(first, b"evil")
            second = server.request()
            server.answer(first, b"evil")
            server.answer(second, b"second")
        finally:
            peer.read_all()

    arena.raw.play(play)
    with arena.tls(session) as tls:
        assert tls.request("GET", "/1", arena.target).body == b"first"
        answer = tls.request("GET", "/2", arena.target)
        assert (answer.status, answer.body) == (200, b"second") or answer.status == 502
        assert b"evil" not in answer.body


def test_a_request_that_the_origin_has_not_looked_at_is_sent_again(arena, session):
    """GOAWAY games, the good one: REFUSED_STREAM on a first connection, an answer on the second."""
    def play(peer):
        server = Server(peer)
        stream = server.request()
        if peer.number == 0:
            server.send(h2.goaway(0), h2.reset(stream, h2.REFUSED_STREAM))
            peer.read_all()
        server.answer(stream, b"again")
        peer.read_all()

    arena.raw.play(play)
    answer = ask(arena, session)
    assert (answer.status, answer.body) == (200, b"again")
    assert len(arena.raw.peers) == 2


def test_the_preface_of_another_protocol_where_h2_was_agreed(arena, session):
    """Threat B11, at the origin: bytes must match the protocol that was agreed."""
    def play(peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        peer.read_all()

    arena.raw.play(play)
    answer = ask(arena, session)
    assert answer is not None and answer.status == 502
    assert arena.raw.peers[0].has_ended.wait(5)


def test_an_origin_that_chooses_what_was_not_offered(arena, session):
    """Threat H8: no protocol at all is HTTP/1.1, which this origin does not speak."""
    ordinary = arena.raw.context
    arena.raw.context = type(ordinary)(ordinary.protocol)
    try:
        arena.raw.context.load_cert_chain(*arena.authority.issue("raw.test", label="raw-alpn"))
        arena.raw.play(lambda peer: (peer.send(h2.settings()), peer.read_all()))
        answer = ask(arena, session)
    finally:
        arena.raw.context = ordinary
    assert answer is not None and answer.status == 502
    assert not arena.raw.received.startswith(h2.PREFACE)


@pytest.mark.heavy
def test_an_answer_of_one_byte_frames_is_bounded_and_whole(arena, session):
    """Threat B12: 20,000 DATA frames of one byte are content, not a flood."""
    def play(peer):
        server = Server(peer)
        stream = server.request()
        server.send(h2.headers(stream, STATUS_200))
        for _ in range(20):
            server.send(h2.data(stream, b"x") * 1000)
        server.send(h2.data(stream, b"", END_STREAM))
        peer.read_all()

    arena.raw.play(play)
    answer = ask(arena, session)
    assert answer is not None and answer.body == b"x" * 20000
