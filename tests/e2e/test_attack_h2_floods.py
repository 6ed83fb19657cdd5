# SPDX-License-Identifier: Apache-2.0
"""Floods of frames without use (threats B1 to B7): the connection is closed in time, with the code
that says why, and what was begun for it is cancelled.
"""
import struct
import threading

import pytest

import h2_fields
import h2_frames as h2
from attack import Arena, resident
from h2_frames import END_HEADERS, END_STREAM, Frame
from program import wait_until
from raw_origin import HEAD, REST
from tunnel import Answer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MIB = 1 << 20


@pytest.fixture(scope="module")
def arena(place, authority):
    arena = Arena(place / "attack-h2-floods", authority)
    yield arena
    arena.stop()


@pytest.fixture
def session(arena):
    return arena.gateway.session_create()


def answering(peer):
    while True:
        HEAD(peer)
        peer.send(OK)


def get(arena, stream, flags=END_HEADERS | END_STREAM, method="GET"):
    return h2.headers(stream, h2_fields.block(h2.request_fields(arena.target, method=method)),
                      flags)


def expect_undisturbed(arena):
    """Another session is served, by the worker that was there before."""
    arena.raw.play(answering)
    with arena.h2(arena.gateway.session_create()) as client:
        assert client.request(arena.target).status == 200


def expect_origins_to_end(arena):
    """Those that have a request; the one of CONNECT may wait for the session's next."""
    for peer in arena.raw.peers:
        assert not peer.received or peer.has_ended.wait(5), "work for a reset stream goes on at the origin"


# ---- B1, B2: resets ----

@pytest.mark.parametrize("origin", ["slow", "fast"])
def test_1000_resets_are_too_many(arena, session, origin):
    """Threat B1 (CVE-2023-44487): GOAWAY with ENHANCE_YOUR_CALM within 1,000."""
    worker = arena.worker
    arena.raw.play(REST if origin == "slow" else answering)
    with arena.h2(session) as client:
        client.send(*(get(arena, stream) + h2.reset(stream) for stream in range(1, 2001, 2)))
        assert client.drain() == h2.ENHANCE_YOUR_CALM
        last = [got for got in client.seen if got.kind == h2.GOAWAY][-1]
        assert struct.unpack(">I", last.payload[:4])[0] < 2001
    if origin == "slow":
        expect_origins_to_end(arena)
    assert arena.worker == worker
    expect_undisturbed(arena)


def test_resets_after_the_request_has_reached_the_origin_count_as_well(arena, session):
    """Threat B1, slowly: each stream is reset only when its origin connection has its request."""
    arena.raw.play(REST)
    with arena.h2(session) as client:
        for stream in range(1, 41, 2):
            client.send(get(arena, stream))
            peers = len(arena.raw.peers)
            client.send(h2.ping())
            client.until(h2.PING)
            client.send(h2.reset(stream))
            assert peers <= stream
        client.send(h2.ping(b"the last"))
        assert client.until(h2.PING, h2.GOAWAY).kind == h2.PING
    expect_origins_to_end(arena)


MADE = {
    "zero window": lambda s: h2.window_update(s, 0),
    "overflow": lambda s: h2.window_update(s, 0x7fffffff) * 2,
    "data after the end": lambda s: h2.data(s, b"x"),
    "headers after the end": lambda s: h2.headers(s, h2_fields.block([("x", "y")]),
                                                  END_HEADERS | END_STREAM),
    "itself as parent": lambda s: h2.priority(s, s),
    "short priority": lambda s: h2.frame(h2.PRIORITY, 0, s, b"abc"),
    "upper case": None,
}


@pytest.mark.parametrize("kind", MADE)
def test_resets_that_we_are_made_to_send_count(arena, session, kind):
    """Threat B2 (CVE-2025-8671): the same budget of 1,000, whoever sends the frame."""
    arena.raw.play(REST)

    def attack(stream):
        if kind == "upper case":
            return h2.headers(stream, h2_fields.block(
                h2.request_fields(arena.target, more=[("X", "y")])), END_HEADERS | END_STREAM)
        return get(arena, stream) + MADE[kind](stream)

    with arena.h2(session) as client:
        client.updates = False
        client.send(*(attack(stream) for stream in range(1, 2001, 2)))
        code = client.drain()
        assert client.has_ended and code is not None
    expect_origins_to_end(arena)
    expect_undisturbed(arena)


@pytest.mark.parametrize("kind", ["reset", "zero window", "overflow"])
def test_upstream_work_is_cancelled_with_its_stream(arena, session, kind):
    """Threat B2: at once; the origin's connection of that stream ends (a second is for slow
    machines, the table says 100 ms)."""
    arrived = threading.Event()

    def hold(peer):
        HEAD(peer)
        arrived.set()
        peer.read_all()

    arena.raw.play(hold)
    with arena.h2(session) as client:
        client.send(get(arena, 1))
        assert arrived.wait(10)
        client.send(h2.reset(1) if kind == "reset" else MADE[kind](1))
        assert arena.raw.peers[0].has_ended.wait(1)


# ---- B3, B4: header blocks ----

def test_eight_continuations_are_enough(arena, session):
    """Threat B3: the last that is good."""
    arena.raw.play(answering)
    block = h2_fields.block(h2.request_fields(arena.target))
    with arena.h2(session) as client:
        client.send(h2.headers(1, block[:4], END_STREAM),
                    *(h2.continuation(1, block[4 + i:5 + i]) for i in range(7)),
                    h2.continuation(1, block[11:], END_HEADERS))
        assert client.answer(1).status == 200


CONTINUATIONS = {"empty": (b"", 10000), "one byte": (b"\x00", 1000), "full": (bytes(16384), 9),
                 "nine": (b"", 9)}


@pytest.mark.parametrize("kind", CONTINUATIONS)
def test_a_ninth_continuation_ends_the_connection(arena, session, kind):
    """Threat B3: empty ones too; no memory is kept for them."""
    piece, count = CONTINUATIONS[kind]
    block = h2_fields.block(h2.request_fields(arena.target))
    arena.raw.play(answering)
    before = resident(arena.worker)
    with arena.h2(session) as client:
        client.send(h2.headers(1, block, END_STREAM), *[h2.continuation(1, piece)] * count,
                    h2.continuation(1, b"", END_HEADERS))
        code = client.drain()
        assert client.has_ended and code not in (None, h2.NO_ERROR)
    assert arena.raw.received == b"" and resident(arena.worker) - before < MIB
    expect_undisturbed(arena)


BOMB = h2_fields.inserted("x" * 10, "y" * 4000)  # fills the table of 4,096


def test_a_bomb_of_references_is_closed_within_ten_frames(arena, session):
    """Threat B4: one entry of 4 KiB, 14,000 references to it: 56 MiB from 14 KiB. The limit holds
    while decoding: neither memory nor time is spent on the rest.
    """
    arena.raw.play(answering)
    before = resident(arena.worker)
    good = h2_fields.block(h2.request_fields(arena.target))
    with arena.h2(session) as client:
        client.send(h2.headers(1, good + BOMB))
        for stream in range(3, 23, 2):
            client.send(h2.headers(stream, good + h2_fields.indexed(62) * 14000,
                                   END_HEADERS | END_STREAM))
        client.drain()
        assert client.has_ended
        answers = [got for got in client.seen if got.kind == h2.HEADERS]
        assert len(answers) <= 10
    assert b"yyyy" not in arena.raw.received.replace(b"y" * 4000, b"", 1)
    assert resident(arena.worker) - before < MIB
    expect_undisturbed(arena)


@pytest.mark.parametrize("count", [129, 10001])
def test_fields_above_their_number_are_a_431_of_their_stream(arena, session, count):
    """Threats A10, B4: told, or the connection ends; never sent on."""
    arena.raw.play(answering)
    block = h2_fields.block(h2.request_fields(arena.target)) + h2_fields.indexed(19) * count
    with arena.h2(session) as client:
        client.send(h2.headers(1, block, END_HEADERS | END_STREAM))
        answer = client.answer(1)
        if isinstance(answer, Answer):
            assert answer.status == 431 and answer.reason == "head_too_large"
        else:
            assert answer is None or answer.kind in (h2.GOAWAY, h2.RST_STREAM)
    assert arena.raw.received == b""


CORRUPT = {"index 0": h2_fields.indexed(0), "index beyond": h2_fields.indexed(70),
           "endless integer": b"\xff" * 20, "text beyond": None,
           "table above its limit": h2_fields.table_size(4097),
           "padding of 8 ones": b"\x00\x81\xff\x00", "size at the end": None}


@pytest.mark.parametrize("kind", CORRUPT)
def test_a_block_that_cannot_be_decoded_ends_the_connection(arena, session, kind):
    """RFC 9113 section 4.3: COMPRESSION_ERROR of the connection, or it would decode wrongly on."""
    arena.raw.play(answering)
    good = h2_fields.block(h2.request_fields(arena.target))
    behind = {"size at the end": h2_fields.table_size(0), "text beyond": b"\x00\x05abc"}
    bad = good + behind[kind] if kind in behind else CORRUPT[kind] + good
    with arena.h2(session) as client:
        client.send(h2.headers(1, bad, END_HEADERS | END_STREAM))
        assert client.drain() == h2.COMPRESSION_ERROR
    assert arena.raw.received == b""


# ---- B5: frames without use ----

USELESS = {
    "PING": h2.ping(), "PING ACK": h2.ping(flags=h2.ACK), "SETTINGS": h2.settings(),
    "SETTINGS, changing": h2.settings((h2.WINDOW, 65535), (h2.TABLE_SIZE, 0)),
    "empty DATA": h2.data(1, b""), "padded DATA": h2.frame(h2.DATA, h2.PADDED, 1, b"\x03\0\0\0"),
    "PRIORITY": h2.priority(1), "PRIORITY of others": h2.priority(99),
    "WINDOW_UPDATE": h2.window_update(0, 1), "WINDOW_UPDATE of a stream": h2.window_update(1, 1),
    "RST_STREAM of a closed stream": h2.reset(1), "unknown": h2.frame(0xbe, 0, 0, b""),
    "GOAWAY": h2.goaway(),
}


@pytest.mark.parametrize("kind", USELESS)
def test_frames_without_use_end_the_connection_before_10000(arena, session, kind):
    """Threat B5: after 9,999 of them the connection has gone, and the memory has not grown."""
    arena.raw.play(REST)
    with arena.h2(session) as client:
        client.send(get(arena, 1, END_HEADERS, method="POST"))
        client.send(h2.ping(b"are here"))
        assert client.until(h2.PING)
        before = resident(arena.worker)
        for _ in range(9):
            client.send(USELESS[kind] * 1111)
        client.send(h2.ping(b"survived"))
        code = client.drain()
        assert client.has_ended
        assert not any(got.kind == h2.PING and got.payload == b"survived" for got in client.seen)
        assert code is not None and code != h2.NO_ERROR
    assert resident(arena.worker) - before < MIB
    expect_origins_to_end(arena)
    expect_undisturbed(arena)


def test_frames_of_a_good_client_are_no_flood(arena, session):
    """The other side of B5: 2,000 requests with their window updates, and a PING between them."""
    arena.raw.play(answering)
    with arena.h2(session) as client:
        for number in range(2000):
            assert client.request(arena.target).status == 200, number
            if number % 20 == 0:
                client.send(h2.ping())


# ---- B6: SETTINGS and frames against the RFC ----

WRONG = {
    "window 2^31": (h2.settings((h2.WINDOW, 1 << 31)), h2.FLOW_CONTROL_ERROR),
    "frame size 16383": (h2.settings((h2.FRAME_SIZE, 16383)), h2.PROTOCOL_ERROR),
    "frame size 2^24": (h2.settings((h2.FRAME_SIZE, 1 << 24)), h2.PROTOCOL_ERROR),
    "push 2": (h2.settings((h2.ENABLE_PUSH, 2)), h2.PROTOCOL_ERROR),
    "extended CONNECT 2": (h2.settings((h2.EXTENDED_CONNECT, 2)), h2.PROTOCOL_ERROR),
    "ACK with payload": (h2.settings((h2.WINDOW, 1), flags=h2.ACK), h2.FRAME_SIZE_ERROR),
    "SETTINGS of 5 bytes": (h2.frame(h2.SETTINGS, 0, 0, b"12345"), h2.FRAME_SIZE_ERROR),
    "SETTINGS of a stream": (h2.frame(h2.SETTINGS, 0, 1, b""), h2.PROTOCOL_ERROR),
    "PING of 7 bytes": (h2.ping(b"1234567"), h2.FRAME_SIZE_ERROR),
    "PING of a stream": (h2.frame(h2.PING, 0, 1, bytes(8)), h2.PROTOCOL_ERROR),
    "frame of 16385 bytes": (h2.data(0, bytes(16385)), h2.FRAME_SIZE_ERROR),
    "frame of 16 MiB, declared": (h2.frame(h2.DATA, 0, 1, b"", declared=0xffffff),
                                  h2.FRAME_SIZE_ERROR),
    "DATA of stream 0": (h2.data(0, b"x"), h2.PROTOCOL_ERROR),
    "DATA of an idle stream": (h2.data(1, b"x"), None),
    "HEADERS of an even stream": (h2.headers(2, b"\x82"), h2.PROTOCOL_ERROR),
    "PUSH_PROMISE": (h2.frame(h2.PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2\x82"),
                     h2.PROTOCOL_ERROR),
    "CONTINUATION of nothing": (h2.continuation(1, b"\x82", END_HEADERS), h2.PROTOCOL_ERROR),
    "padding beyond": (h2.frame(h2.HEADERS, h2.PADDED | END_HEADERS, 1, b"\xff\x82"),
                       h2.PROTOCOL_ERROR),
    "window 0 of the connection": (h2.window_update(0, 0), h2.PROTOCOL_ERROR),
    "window overflow": (h2.window_update(0, 0x7fffffff) * 2, h2.FLOW_CONTROL_ERROR),
    "RST_STREAM of an idle stream": (h2.reset(1), h2.PROTOCOL_ERROR),
    "RST_STREAM of 3 bytes": (h2.frame(h2.RST_STREAM, 0, 1, b"abc"), h2.FRAME_SIZE_ERROR),
    "PRIORITY of stream 0": (h2.priority(0), h2.PROTOCOL_ERROR),
    "GOAWAY of a stream": (h2.frame(h2.GOAWAY, 0, 1, bytes(8)), h2.PROTOCOL_ERROR),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_frame_against_the_rfc_ends_the_connection(arena, session, kind):
    """Threat B6; all of h2spec is run elsewhere."""
    raw, code = WRONG[kind]
    arena.raw.play(answering)
    with arena.h2(session) as client:
        client.send(raw)
        assert client.drain() in ((code,) if code is not None else (h2.PROTOCOL_ERROR,
                                                                    h2.STREAM_CLOSED))


def test_a_huge_table_and_list_of_ours_are_ignored(arena, session):
    """Threat B6: what the client offers to hold is no reason for us to hold it."""
    arena.raw.play(answering)
    before = resident(arena.worker)
    with arena.h2(session, (h2.TABLE_SIZE, 0xffffffff), (h2.LIST_SIZE, 0xffffffff),
                  (h2.STREAM_COUNT, 0xffffffff), (h2.FRAME_SIZE, 0xffffff)) as client:
        assert client.request(arena.target).status == 200
    assert resident(arena.worker) - before < MIB


# ---- B7: never read ----

@pytest.mark.heavy
@pytest.mark.parametrize("window", [0, 1, 0x7fffffff], ids=["zero", "one", "huge"])
def test_answers_that_nobody_reads_are_held_at_the_origin(arena, session, window):
    """Threat B7: 64 streams of endless answers, and a client that reads nothing. Each holds the three
    blocks of its origin connection at most (246 KiB, the table's 256), and the TLS state beside
    them. The table's 1 MiB for a whole connection is not kept where every stream has an origin
    connection of HTTP/1 of its own; `limits.buffers` bounds their sum.
    """
    def endless(peer):
        HEAD(peer)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        while True:
            peer.send(bytes(65536))

    arena.raw.play(answering)
    with arena.h2(arena.gateway.session_create()) as client:
        assert client.request(arena.target).status == 200
    arena.raw.play(endless)
    before = resident(arena.worker)
    with arena.h2(session, (h2.WINDOW, window)) as client:
        client.send(h2.window_update(0, 0x7fff0000 - 65535))
        client.send(*(get(arena, stream) for stream in range(1, 129, 2)))
        wait_until(lambda: len(arena.raw.peers) == 64, "64 connections to the origin")
        highest = 0
        for _ in range(20):
            threading.Event().wait(0.05)
            highest = max(highest, resident(arena.worker) - before)
        assert highest < 64 * 320 * 1024 + MIB, highest
    expect_origins_to_end(arena)
    expect_undisturbed(arena)


def test_streams_above_the_announced_number_are_refused(arena, session):
    """Threat B7: REFUSED_STREAM or PROTOCOL_ERROR for the first above what SETTINGS allows."""
    arena.raw.play(REST)
    with arena.h2(session) as client:
        got = client.until(h2.SETTINGS)
        values = dict(struct.unpack(">HI", got.payload[at:at + 6])
                      for at in range(0, len(got.payload), 6))
        count = values[h2.STREAM_COUNT]
        assert 1 <= count <= 1000
        client.send(*(get(arena, 2 * i + 1) for i in range(count + 1)))
        answer = client.answer(2 * count + 1)
        assert isinstance(answer, Frame) and answer.code in (h2.REFUSED_STREAM, h2.PROTOCOL_ERROR)
    assert arena.raw.received.count(b" HTTP/1.1\r\n") <= count
    expect_origins_to_end(arena)
