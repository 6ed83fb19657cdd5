# SPDX-License-Identifier: Apache-2.0
"""What stays open: server-sent events and watches are passed on as they come, switches of protocols
that kubectl makes, interim responses, trailers, cancellation, one side slower than the other."""
import threading

import pytest

from attack import Arena
from h2_fields import block
from h2_frames import (CANCEL, DATA, END_STREAM, GOAWAY, HEADERS, RST_STREAM, H2Client, data, headers,
                       request_fields, reset, window_update)
from program import wait_until
from raw_origin import HEAD, REST, when
from tunnel import TlsClient, Tunnel


@pytest.fixture(scope="module")
def arena(place, authority):
    arena = Arena(place / "streams", authority)
    yield arena
    arena.stop()


@pytest.fixture
def session(arena):
    return arena.gateway.session_create()


EVENTS = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
          b"Transfer-Encoding: chunked\r\n\r\n")


def chunk(content):
    return b"%x\r\n%b\r\n" % (len(content), content)


@pytest.mark.parametrize("version", ["h1", "h2"])
def test_each_event_is_passed_on_before_the_next_one_is_made(arena, session, version):
    """SSE and kubectl's watch: nothing is accumulated, whatever the client speaks."""
    seen = [threading.Event() for _ in range(50)]
    steps = [HEAD, EVENTS]
    for i, event in enumerate(seen):
        steps += [chunk(b"data: %d\n\n" % i), when(event)]
    arena.raw.play(*steps, b"0\r\n\r\n", REST)
    if version == "h2":
        with arena.h2(session) as h2:
            stream = h2.ask(arena.target, "/events")
            assert h2.until(HEADERS, stream=stream)
            for i, event in enumerate(seen):
                assert h2.until(DATA, stream=stream).content() == b"data: %d\n\n" % i
                event.set()
            assert h2.until(DATA, stream=stream).flags & END_STREAM
        return
    with arena.tls(session) as tls:
        tls.sendall(f"GET /events HTTP/1.1\r\nHost: {arena.target}\r\n\r\n".encode())
        got = b""
        for i, event in enumerate(seen):
            while not got.endswith(chunk(b"data: %d\n\n" % i)):
                got += tls.read(65536)
            event.set()


SPDY = "SPDY/3.1"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_kubectl_switches_to_spdy(arena, session, method):
    """kubectl exec and port-forward: POST with Upgrade: SPDY/3.1, then bytes both ways."""
    def echo(peer):
        peer.send(peer.read(7)[::-1])

    arena.raw.play(HEAD, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                   b"Upgrade: SPDY/3.1\r\n\r\n\x80\x03\x00\x04", echo, REST)
    with arena.tls(session) as tls:
        tls.sendall(f"{method} /key/exec HTTP/1.1\r\nHost: {arena.target}\r\nContent-Length: 0\r\n"
                    f"Connection: Upgrade\r\nUpgrade: {SPDY}\r\n\r\n".encode())
        got = b""
        while not got.endswith(b"\x80\x03\x00\x04"):
            got += tls.read(65536)
        assert got.startswith(b"HTTP/1.1 101 ") and b"Upgrade: SPDY/3.1" in got
        tls.sendall(b"forward")
        assert tls.read(7) == b"drawrof"
    assert b"Upgrade: SPDY/3.1\r\n" in arena.raw.received
    assert b"dd-api-key: " in arena.raw.received.lower()


def test_a_protocol_that_is_not_known_is_no_switch(arena, session):
    arena.raw.play(HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", REST)
    with arena.tls(session) as tls:
        answer = tls.request("GET", "/", arena.target,
                             fields=["Connection: Upgrade", "Upgrade: h2c"])
    assert answer.status == 200 and b"pgrade" not in arena.raw.received


def test_a_client_that_cancels_ends_the_work_at_an_origin_of_http1(arena, session):
    """Threat B2: the stream's connection to the origin is closed, others go on."""
    arena.raw.play(HEAD, EVENTS, chunk(b"one"), REST)
    with arena.h2(session) as h2:
        stream = h2.ask(arena.target, "/events")
        assert h2.until(DATA, stream=stream).content() == b"one"
        peer = arena.raw.peers[-1]
        h2.send(reset(stream, CANCEL))
        assert peer.has_ended.wait(10)
        arena.raw.play(HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", REST)
        assert h2.request(arena.target, "/").body == b"ok"
    reasons = [record["reason"] for record in arena.records_of(session)]
    assert reasons == ["client_closed", ""]


def test_an_early_answer_stops_an_upload_over_http2(arena, session):
    """RFC 9113 section 8.1: the answer is whole, then the rest of the request is declined."""
    arena.raw.play(HEAD, b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig",
                   REST)
    with arena.h2(session) as h2:
        stream, h2.next_stream = h2.next_stream, h2.next_stream + 2
        h2.send(headers(stream, block(request_fields(arena.target, "/up", "POST"))),
                data(stream, b"x" * 1000))
        answer = h2.answer(stream)
        assert (answer.status, answer.body) == (413, b"big")
        end = h2.until(RST_STREAM, stream=stream)
        assert end is not None and end.code == 0


@pytest.mark.parametrize("version", ["h1", "h2"])
def test_interim_responses_reach_the_client(arena, session, version):
    arena.raw.play(HEAD, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
                   b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", REST)
    if version == "h2":
        with arena.h2(session) as h2:
            stream = h2.ask(arena.target, "/")
            first = dict(h2.decoder.decode(h2.until(HEADERS, stream=stream).content()))
            assert (first[":status"], first["link"]) == ("103", "</a>")
            assert h2.answer(stream).body == b"ok"
        return
    with arena.tls(session) as tls:
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {arena.target}\r\n\r\n".encode())
        got = b""
        while not got.endswith(b"ok"):
            got += tls.read(65536)
    assert got.startswith(b"HTTP/1.1 103 ") and b"Link: </a>\r\n" in got


def test_streams_that_wait_for_windows_go_on_when_buffers_are_short(make_journey):
    """Threat B7: what waits in queues leaves them only by windows that must be read; 60 streams of
    one connection take most of 128 buffers and are all delivered in the end."""
    journey = make_journey(more={"workers": 1, "limits": {"buffers": 128}})
    count, size = 60, 300_000
    with (Tunnel(journey.gateway.port).open(journey.session) as tunnel):
        assert tunnel.connect(journey.host, journey.session).status == 200
        tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test", alpn=("h2",))
        h2 = H2Client(tls.handshake()).open()
        h2.updates = False
        streams = [h2.ask(journey.host, f"/bytes/{size}") for _ in range(count)]
        got = dict.fromkeys(streams, 0)
        ended = set()

        def take(frame):
            if frame.kind == DATA:
                got[frame.stream] += len(frame.content())
            if frame.kind in (DATA, HEADERS) and frame.flags & END_STREAM:
                ended.add(frame.stream)

        while sum(got.values()) < 65535:
            take(h2.next())
        wait_until(lambda: journey.gateway.program.errors().count("buffers are in use"),
                   "the buffers to be short")
        h2.updates = True
        h2.send(*(window_update(stream, 65535) for stream in (0, *streams)))
        while len(ended) < count:
            frame = h2.next()
            assert frame is not None and frame.kind not in (RST_STREAM, GOAWAY), frame
            take(frame)
    assert set(got.values()) == {size}


@pytest.mark.parametrize("accept", ["", "Sec-WebSocket-Accept: c3BvaWxlZCBhbnN3ZXIgb2YgYSBwZWVy\r\n"])
def test_a_101_without_the_right_accept_opens_no_websocket(arena, session, accept):
    """Threat I6: whoever answers so has not read the handshake."""
    arena.raw.play(HEAD, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                   b"Upgrade: websocket\r\n" + accept.encode() + b"\r\n", REST)
    with arena.tls(session) as tls:
        answer = tls.request("GET", "/", arena.target,
                             fields=["Connection: Upgrade", "Upgrade: websocket",
                                     "Sec-WebSocket-Version: 13",
                                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="])
    assert (answer.status, answer.reason) == (502, "origin_bad_response")
