# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 requests that could mean two things (threats B8 to B11, B13): an error of their stream, no
byte of them at the origin, which here speaks HTTP/1.1 and keeps every byte.
"""
import random

import pytest

import h2_fields
import h2_frames as h2
from attack import Arena, expect_refused
from h2_frames import END_HEADERS, END_STREAM, Frame
from tunnel import Answer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def arena(place, authority):
    arena = Arena(place / "attack-h2", authority)
    yield arena
    arena.stop()


@pytest.fixture
def session(arena):
    return arena.gateway.session_create()


def serving(peer):
    """Answers every request; reads its content by length or by chunks."""
    while True:
        lines = peer.read_until(b"\r\n\r\n").lower().split(b"\r\n")
        if b"transfer-encoding: chunked" in lines:
            peer.read_until(b"0\r\n\r\n")
        for line in lines:
            if line.startswith(b"content-length: "):
                peer.read(int(line[16:]))
        peer.send(OK)


def fields(arena, *, drop=(), first=(), more=(), **changes):
    """A good request's fields, spoiled: path="x" replaces, drop leaves out, first stands in front."""
    good = [(name, changes.get(name[1:], value))
            for name, value in h2.request_fields(arena.target, "/stolen") if name not in drop]
    return [*first, *good, *more]


MALFORMED = {
    "two :authority": lambda a: fields(a, first=[(":authority", a.target)]),
    "two :authority, one other": lambda a: fields(a, first=[(":authority", "other.test")]),
    "two :method": lambda a: fields(a, first=[(":method", "GET")]),
    "two :path": lambda a: fields(a, first=[(":path", "/")]),
    "two :scheme": lambda a: fields(a, first=[(":scheme", "https")]),
    "no :method": lambda a: fields(a, drop=[":method"]),
    "no :path": lambda a: fields(a, drop=[":path"]),
    "no :scheme": lambda a: fields(a, drop=[":scheme"]),
    "no pseudo-field": lambda a: [("host", a.target)],
    "empty :path": lambda a: fields(a, path=""),
    ":path without slash": lambda a: fields(a, path="stolen"),
    ":path is a URL": lambda a: fields(a, path=f"https://{a.target}/"),
    ":path is * in GET": lambda a: fields(a, path="*"),
    ":path with a fragment": lambda a: fields(a, path="/#x"),
    ":path with a blank": lambda a: fields(a, path="/ HTTP/1.1"),
    ":path with CRLF": lambda a: fields(a, path="/ HTTP/1.1\r\nX: y\r\n\r\nGET /stolen"),
    ":path with LF": lambda a: fields(a, path="/\nX: y"),
    ":path with NUL": lambda a: fields(a, path="/\0"),
    ":path with a tab": lambda a: fields(a, path="/\t"),
    ":path not ASCII": lambda a: fields(a, path="/\xe9"),
    ":method with a blank": lambda a: fields(a, method="GET /stolen HTTP/1.1\r\nX:"),
    ":method with CRLF": lambda a: fields(a, method="GET\r\nX: y"),
    "empty :method": lambda a: fields(a, method=""),
    ":scheme with CRLF": lambda a: fields(a, scheme="https\r\nX: y"),
    ":scheme ftp": lambda a: fields(a, scheme="ftp"),
    ":authority with CRLF": lambda a: fields(a, authority=f"{a.target}\r\nX: y"),
    ":authority with userinfo": lambda a: fields(a, authority=f"user@{a.target}"),
    ":authority with a path": lambda a: fields(a, authority=f"{a.target}/x"),
    "empty :authority": lambda a: fields(a, authority=""),
    "pseudo-field behind a field": lambda a: fields(a, drop=[":path"],
                                                    more=[("x", "y"), (":path", "/")]),
    "unknown pseudo-field": lambda a: fields(a, first=[(":x", "y")]),
    ":status in a request": lambda a: fields(a, first=[(":status", "200")]),
    ":protocol in GET": lambda a: fields(a, first=[(":protocol", "websocket")]),
    "upper case": lambda a: fields(a, more=[("X-Upper", "y")]),
    "connection": lambda a: fields(a, more=[("connection", "close")]),
    "keep-alive": lambda a: fields(a, more=[("keep-alive", "5")]),
    "proxy-connection": lambda a: fields(a, more=[("proxy-connection", "close")]),
    "transfer-encoding": lambda a: fields(a, more=[("transfer-encoding", "chunked")]),
    "upgrade": lambda a: fields(a, more=[("upgrade", "h2c")]),
    "te: gzip": lambda a: fields(a, more=[("te", "gzip")]),
    "Host is another": lambda a: fields(a, more=[("host", "other.test")]),
    "two Hosts": lambda a: fields(a, more=[("host", a.target), ("host", "other.test")]),
    "Host with CRLF": lambda a: fields(a, drop=[":authority"],
                                       more=[("host", f"{a.target}\r\nX: y")]),
    "neither Host nor :authority": lambda a: fields(a, drop=[":authority"]),
    "empty name": lambda a: fields(a, more=[("", "y")]),
    "name with a blank": lambda a: fields(a, more=[("x y", "z")]),
    "name with a colon": lambda a: fields(a, more=[("x: y", "z")]),
    "name with CRLF": lambda a: fields(a, more=[("x: y\r\nz", "z")]),
    "name with LF": lambda a: fields(a, more=[("x\ny", "z")]),
    "name with NUL": lambda a: fields(a, more=[("x\0", "z")]),
    "name is a request": lambda a: fields(a, more=[("\r\n\r\nGET /stolen HTTP/1.1\r\nhost", "x")]),
    "value with CRLF": lambda a: fields(a, more=[("x", "y\r\nz: z")]),
    "value with LF": lambda a: fields(a, more=[("x", "y\nz: z")]),
    "value with CR": lambda a: fields(a, more=[("x", "y\rz")]),
    "value with NUL": lambda a: fields(a, more=[("x", "y\0z")]),
    "value with DEL": lambda a: fields(a, more=[("x", "y\x7fz")]),
    "value is a request": lambda a: fields(
        a, more=[("x", f"y\r\n\r\nGET /stolen HTTP/1.1\r\nHost: {a.target}")]),
    "two lengths": lambda a: fields(a, more=[("content-length", "0"), ("content-length", "1")]),
    "length +0": lambda a: fields(a, more=[("content-length", "+0")]),
    "length of 20 digits": lambda a: fields(a, more=[("content-length", "18446744073709551616")]),
    "length without content": lambda a: fields(a, more=[("content-length", "5")]),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_request_that_could_be_read_in_two_ways_is_an_error_of_its_stream(arena, session, kind):
    """Threats B8, B9: reset or told 4xx, nothing at the origin, and the other streams go on.

    A malformed request has no record: it never became an exchange, and what it asked for cannot be
    said. One that is told 4xx has.
    """
    arena.raw.play(serving)
    with arena.h2(session) as client:
        client.next_stream = 3
        client.send(h2.headers(1, h2_fields.block(MALFORMED[kind](arena)),
                               END_HEADERS | END_STREAM))
        answer = client.answer(1)
        assert arena.raw.received == b""
        if isinstance(answer, Frame):
            assert answer.kind == h2.RST_STREAM and answer.code == h2.PROTOCOL_ERROR, answer
        else:
            assert 400 <= answer.status < 500, answer
        assert client.request(arena.target, "/fine").status == 200
    assert arena.raw.received.count(b" HTTP/1.1\r\n") == 1


LENGTHS = {"too little": [b"abc"], "too much": [b"abcdefgh"], "too much, in two": [b"abcde", b"f"],
           "nothing": [b""]}


@pytest.mark.parametrize("kind", LENGTHS)
def test_content_that_is_not_as_long_as_it_says_ends_its_stream(arena, session, kind):
    """Threat B9: CL against DATA. The head is on its way when the lie comes out: the origin's
    connection ends with the stream. Content may have come up to the length that was said, and be a
    whole message by that; what is too much goes nowhere.
    """
    arena.raw.play(serving)
    pieces = LENGTHS[kind]
    with arena.h2(session) as client:
        client.send(h2.headers(1, h2_fields.block(fields(
            arena, method="POST", more=[("content-length", "5")]))))
        client.send(*(h2.data(1, piece, END_STREAM if i == len(pieces) - 1 else 0)
                      for i, piece in enumerate(pieces)))
        answer = client.answer(1)
        assert isinstance(answer, Frame) and answer.kind == h2.RST_STREAM, answer
        assert answer.code == h2.PROTOCOL_ERROR
        for peer in arena.raw.peers:
            assert peer.has_ended.wait(10)
        client.next_stream = 3
        assert client.request(arena.target, "/fine").status == 200
    before = arena.raw.received.partition(b"/fine")[0]
    assert before.count(b" HTTP/1.1\r\n") <= 1 and b"abcdef" not in before
    assert kind == "too much, in two" or b"abcde" not in before


TRAILERS = {"pseudo-field": ([(":path", "/")], END_STREAM),
            "upper case": ([("X-Upper", "y")], END_STREAM),
            "CRLF": ([("x", "y\r\nz: z")], END_STREAM),
            "no end": ([("x", "y")], 0),
            "transfer-encoding": ([("transfer-encoding", "chunked")], END_STREAM)}


@pytest.mark.parametrize("kind", TRAILERS)
def test_malformed_trailers_are_an_error_of_the_stream(arena, session, kind):
    """Threat B8."""
    trailers, flags = TRAILERS[kind]
    arena.raw.play(serving)
    with arena.h2(session) as client:
        client.send(h2.headers(1, h2_fields.block(fields(arena, method="POST"))),
                    h2.data(1, b"abc"),
                    h2.headers(1, h2_fields.block(trailers), END_HEADERS | flags))
        answer = client.answer(1)
        assert isinstance(answer, Frame) and answer.code == h2.PROTOCOL_ERROR, answer
    assert b"0\r\n\r\n" not in arena.raw.received


def test_trailers_never_become_fields_over_http2(arena, session, constants):
    """Threats A7, C9."""
    arena.raw.play(serving)
    with arena.h2(session) as client:
        client.send(h2.headers(1, h2_fields.block(fields(arena, method="POST", path="/key"))),
                    h2.data(1, b"abc"),
                    h2.headers(1, h2_fields.block([("dd-api-key", "mine"), ("host", "other.test"),
                                                   ("content-length", "5"),
                                                   ("authorization", "mine")]),
                               END_HEADERS | END_STREAM))
        answer = client.answer(1)
    received = arena.raw.received.lower()
    assert b"mine" not in received and b"other.test" not in received
    if isinstance(answer, Answer) and answer.status == 200:
        assert received.count(constants.key.encode().lower()) == 1


@pytest.mark.parametrize("name", ["other.test", "raw.test", "raw.test:1", "127.0.0.1"])
def test_another_authority_is_a_421_and_the_connection_goes_on(arena, session, name):
    """Threats B13, C2: no coalescing, as the leaf has one name."""
    arena.raw.play(serving)
    with arena.h2(session) as client:
        answer = client.request(name, "/key")
        assert (answer.status, answer.reason) == (421, "name_mismatch"), answer
        assert arena.raw.received == b""
        assert client.request(arena.target.upper(), "/fine").status == 200
    assert [r["reason"] for r in arena.records_of(session)] == ["name_mismatch", ""]
    assert f"Host: {arena.target}\r\n".lower().encode() in arena.raw.received.lower()


CONNECTS = {
    "CONNECT": [(":method", "CONNECT"), (":authority", "{host}")],
    "CONNECT to another": [(":method", "CONNECT"), (":authority", "other.test:443")],
    "CONNECT with a path": [(":method", "CONNECT"), (":authority", "{host}"), (":scheme", "https"),
                            (":path", "/")],
    "extended, unknown": [(":method", "CONNECT"), (":protocol", "connect-udp"),
                          (":scheme", "https"), (":path", "/"), (":authority", "{host}")],
    "extended, no path": [(":method", "CONNECT"), (":protocol", "websocket"),
                          (":authority", "{host}")],
    "TRACE": [(":method", "TRACE"), (":scheme", "https"), (":path", "/"),
              (":authority", "{host}")],
}


@pytest.mark.parametrize("kind", CONNECTS)
def test_connect_inside_a_tunnel_is_refused(arena, session, kind):
    """Threat B10: 405 or an error of the stream."""
    arena.raw.play(serving)
    with arena.h2(session) as client:
        client.send(h2.headers(1, h2_fields.block(
            [(name, value.replace("{host}", arena.target)) for name, value in CONNECTS[kind]]),
            END_HEADERS | (END_STREAM if kind == "TRACE" else 0)))
        answer = client.answer(1)
        if isinstance(answer, Frame):
            assert answer.kind == h2.RST_STREAM, answer
        else:
            assert answer.status in (405, 421, 501), answer
        client.next_stream = 3
        assert client.request(arena.target, "/fine").status == 200
    assert arena.raw.received.count(b" HTTP/1.1\r\n") == 1


@pytest.mark.parametrize("alpn", [("http/1.1",), ()], ids=["http/1.1", "none"])
def test_prior_knowledge_where_http_1_was_agreed_is_refused(arena, session, alpn):
    """Threat B11."""
    if alpn:
        expect_refused(arena, session, h2.PREFACE + h2.settings(), (400, 501, 505),
                       ("bad_request", "not_supported"))
        return
    arena.raw.play(serving)
    with arena.tls(session, alpn=("http/1.0",)) as tls:
        tls.sendall(h2.PREFACE + h2.settings())
        answer = tls.response()
        assert answer.status in (400, 501, 505) and tls.read(1) == b""
    assert arena.raw.received == b""


def test_http_1_where_http_2_was_agreed_ends_the_connection(arena, session):
    """Threat B11, the other way round."""
    arena.raw.play(serving)
    with arena.tls(session, alpn=("h2", "http/1.1")) as tls:
        assert tls.tls.selected_alpn_protocol() == "h2"
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {arena.target}\r\n\r\n".encode())
        client = h2.H2Client(tls)
        client.drain()
        assert client.has_ended
        assert all(got.kind in (h2.SETTINGS, h2.GOAWAY, h2.WINDOW_UPDATE) for got in client.seen)
    assert arena.raw.received == b""


@pytest.mark.parametrize("own", [
    [("dd-api-key", "mine")], [("dd_api_key", "mine"), ("dd-api_key", "mine")],
    [("dd-api-key", "mine"), ("dd-api-key", "mine too")]])
def test_only_our_copy_of_an_injected_field_arrives_over_http2(arena, session, constants, own):
    """Threat C9."""
    arena.raw.play(serving)
    with arena.h2(session) as client:
        assert client.request(arena.target, "/key", more=own).status == 200
    lines = [line for line in arena.raw.received.split(b"\r\n")
             if line.lower().replace(b"_", b"-").startswith(b"dd-api-key")]
    assert [line.partition(b": ")[2] for line in lines] == [constants.key.encode()]


def spoiled(chance, arena):
    """A request with something in it that no request should have, most of the time."""
    poison = ["\r\n", "\n", "\r", "\0", ":", " ", "\t", "\r\n\r\nGET /stolen HTTP/1.1\r\n",
              "0\r\n\r\n", "\x0b", "\xff", "transfer-encoding", ","]
    listed = fields(arena, path=f"/{chance.randrange(1000)}",
                    method=chance.choice(["GET", "POST", "PUT", "HEAD"]),
                    more=[("x-a", "b"), ("cookie", "a=b"), ("te", "trailers")])
    for _ in range(chance.randrange(3)):
        i = chance.randrange(len(listed))
        name, value = listed[i]
        text = chance.choice(poison)
        if chance.random() < 0.5:
            at = chance.randrange(len(value) + 1)
            listed[i] = (name, value[:at] + text + value[at:])
        else:
            at = chance.randrange(len(name) + 1)
            listed[i] = (name[:at] + text + name[at:], value)
    if chance.random() < 0.2:
        listed.append((chance.choice(["content-length", "transfer-encoding", "host", "connection",
                                      "upgrade", ":path", "expect"]),
                       chance.choice(["0", "5", "chunked", "x", arena.target, "/x"])))
    if chance.random() < 0.2:
        chance.shuffle(listed)
    return listed


@pytest.mark.heavy
def test_no_input_over_http2_makes_more_than_one_request_of_http1(arena, session):
    """Threat B9, as a property: 3,000 streams of seed 9, spoiled by chance. What the raw origin got
    is as many request lines as answers of 200, or requests that were cut, never more than streams.
    """
    chance = random.Random(9)
    arena.raw.play(serving)
    good = 0
    for _ in range(60):
        before = len(arena.raw.received)
        streams, answers = 0, []
        with arena.h2(session) as client:
            for number in range(50):
                stream = 2 * number + 1
                body = chance.choice([None, b"", b"abc", b"GET /stolen HTTP/1.1\r\n\r\n", b"x" * 9])
                block = h2_fields.block(spoiled(chance, arena))
                client.send(h2.headers(stream, block,
                                       END_HEADERS | (END_STREAM if body is None else 0)))
                if body is not None:
                    client.send(h2.data(stream, body, END_STREAM))
                streams += 1
                answers.append(client.answer(stream))
                if answers[-1] is None or (isinstance(answers[-1], Frame)
                                           and answers[-1].kind == h2.GOAWAY):
                    break
        good += sum(isinstance(answer, Answer) and answer.status == 200 for answer in answers)
        received = arena.raw.received[before:]
        assert received.count(b"HTTP/1.1\r\nHost: ") <= streams
        for answer in answers:
            assert not isinstance(answer, Answer) or answer.status in (200, 400, 403, 405, 421, 501)
    received = arena.raw.received
    content = received.count(b"GET /stolen HTTP/1.1\r\n\r\n")  # as content, which it may be
    assert received.count(b"/stolen") == content
    assert good > 500
    assert received.count(b"HTTP/1.1\r\nHost: ") >= good


def test_answers_after_it_all_are_still_good(arena, session):
    """The worker that went through all of this is the one that began."""
    with arena.tls(session, target=arena.host, name="origin.test") as tls:
        assert tls.request("GET", "/", arena.host).status == 200
    assert arena.gateway.program.errors().count("has ended") == 0
