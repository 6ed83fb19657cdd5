# SPDX-License-Identifier: Apache-2.0
"""Hostile HTTP/1 requests through a tunnel (threats A1 to A10): refused, closed, recorded, and not
one byte of them at the origin. What tests/unit says of the parser is here said of the gateway.
"""
import itertools

import pytest

from attack import Arena, expect_refused, sent
from raw_origin import END, HEAD

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TCHARS = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
VALUE_BYTES = b"\t" + bytes(range(0x20, 0x7f)) + bytes(range(0x80, 0x100))
SMUGGLED = "GET /stolen HTTP/1.1\r\nHost: {host}\r\n\r\n"


@pytest.fixture(scope="module")
def arena(place, authority):
    arena = Arena(place / "attack-request", authority)
    yield arena
    arena.stop()


@pytest.fixture
def session(arena):
    return arena.gateway.session_create()


def answering(peer):
    """Answers every request that has no content."""
    while True:
        HEAD(peer)
        peer.send(ANSWER)


def payload_of(arena, text):
    return text.replace("{host}", arena.target).encode("latin-1")


def post(*lines):
    return "POST / HTTP/1.1\r\nHost: {host}\r\n" + "".join(line + "\r\n" for line in lines) + "\r\n"


HEADS = {
    # A1: both lengths, in both orders, each followed by what the other would leave over.
    "A1 CL.TE": post("Content-Length: 6", "Transfer-Encoding: chunked") + "0\r\n\r\nG" + SMUGGLED,
    "A1 TE.CL": post("Transfer-Encoding: chunked", "Content-Length: 4") + "5c\r\n" + SMUGGLED,
    "A1 TE.CL, zero": post("Transfer-Encoding: chunked", "Content-Length: 0"),
    "A1 like TE": post("Content-Length: 6", "Transfer_Encoding: chunked") + "0\r\n\r\nG" + SMUGGLED,
    "A1 like CL": post("Content_Length: 6") + "0\r\n\r\nG" + SMUGGLED,
    # A2
    "A2 twice the same": post("Content-Length: 5", "Content-Length: 5") + "hello",
    "A2 twice": post("Content-Length: 5", "Content-Length: 6") + "hello!",
    "A2 twice, cases": post("Content-Length: 5", "cOnTeNt-LeNgTh: 5") + "hello",
    **{f"A2 '{value}'": post(f"Content-Length: {value}") + "hello" for value in (
        "+5", "-5", "0x5", "5,5", "5, 5", "", "5 5", "5;", "5.0", "1e1", "٥".encode().decode("latin-1"),
        "9223372036854775808", "18446744073709551621", "0" * 18 + "5", "5\t5", "five")},
    # A3
    **{f"A3 {value!r}": post(f"Transfer-Encoding: {value}") + "0\r\n\r\n" + SMUGGLED for value in (
        "xchunked", "chunked, identity", "identity, chunked", "gzip, chunked", "chunked, chunked",
        "chunked;q=1", "\x0bchunked", "chunked\x0b", "\"chunked\"", "identity", "", "chunke",
        "chunked,", ",chunked", "chunked\x00")},
    "A3 twice": post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "0\r\n\r\n",
    "A3 twice, one unknown": post("Transfer-Encoding: chunked", "Transfer-Encoding: x") + "0\r\n\r\n",
    "A3 HTTP/1.0": "POST / HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # A4
    "A4 folded, blank": "GET / HTTP/1.1\r\nHost: {host}\r\nX: a\r\n b\r\n\r\n",
    "A4 folded, tab": "GET / HTTP/1.1\r\nHost: {host}\r\nX: a\r\n\tb\r\n\r\n",
    "A4 folded framing": post("Transfer-Encoding:", " chunked") + "0\r\n\r\n" + SMUGGLED,
    "A4 blank before colon": "GET / HTTP/1.1\r\nHost: {host}\r\nX : a\r\n\r\n",
    "A4 tab before colon": post("Content-Length\t: 5") + "hello",
    "A4 first field blank": "GET / HTTP/1.1\r\n Host: {host}\r\n\r\n",
    "A4 no colon": "GET / HTTP/1.1\r\nHost: {host}\r\nX\r\n\r\n",
    "A4 no name": "GET / HTTP/1.1\r\nHost: {host}\r\n: x\r\n\r\n",
    # A5: what stands in place of CRLF
    "A5 bare LF in the head": "GET / HTTP/1.1\nHost: {host}\n\n",
    "A5 bare LF at the end": "GET / HTTP/1.1\r\nHost: {host}\r\n\n",
    "A5 bare CR": "GET / HTTP/1.1\r\nHost: {host}\rX: y\r\n\r\n",
    "A5 CR CR LF": "GET / HTTP/1.1\r\r\nHost: {host}\r\n\r\n",
    "A5 CRLF first": "\r\n\r\nGET / HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A5 NUL in the method": "G\0T / HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A5 NUL in the target": "GET /\0 HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A5 blank in the target": "GET / HTTP/1.1 HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A5 two blanks": "GET  / HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A5 tab for a blank": "GET\t/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A5 not ASCII": "GET /\xe9 HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A5 fragment": "GET /#x HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A5 HTTP/0.9": "GET /\r\n\r\n",
    "A5 HTTP/1.2": "GET / HTTP/1.2\r\nHost: {host}\r\n\r\n",
    "A5 HTTP/2.0": "GET / HTTP/2.0\r\nHost: {host}\r\n\r\n",
    "A5 http/1.1": "GET / http/1.1\r\nHost: {host}\r\n\r\n",
    # Names (A9, C3)
    "C3 no Host": "GET / HTTP/1.1\r\n\r\n",
    "C3 empty Host": "GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "C3 two Hosts": "GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n",
    "C3 two Hosts, one other": "GET / HTTP/1.1\r\nHost: {host}\r\nhost: other.test\r\n\r\n",
    "C3 a list": "GET / HTTP/1.1\r\nHost: {host}, other.test\r\n\r\n",
    "C3 userinfo": "GET / HTTP/1.1\r\nHost: user@{host}\r\n\r\n",
    "C3 two dots": "GET / HTTP/1.1\r\nHost: raw.test..\r\n\r\n",
    "C3 not ASCII": "GET / HTTP/1.1\r\nHost: r\xe4w.test\r\n\r\n",
    "C3 a path": "GET / HTTP/1.1\r\nHost: {host}/x\r\n\r\n",
    "A9 authority form": "GET {host} HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A9 userinfo": "GET https://user@{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A9 no path": "GET x HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A9 star": "GET * HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A9 backslash": "GET \\x HTTP/1.1\r\nHost: {host}\r\n\r\n",
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_that_could_be_read_in_two_ways_is_refused(arena, session, kind):
    expect_refused(arena, session, payload_of(arena, HEADS[kind]), (400, 501),
                   ("bad_request", "bad_target", "not_supported"))


OTHER = {
    "A9 absolute form": "GET https://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n",
    "A9 absolute form, our Host": "GET https://other.test/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A9 our target, other Host": "GET https://{host}/ HTTP/1.1\r\nHost: other.test\r\n\r\n",
    "A9 http": "GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A9 http to another": "GET http://other/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A9 other port": "GET https://raw.test:1/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A9 scheme": "GET ftp://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "C2 Host": "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n",
    "C2 Host with a suffix": "GET / HTTP/1.1\r\nHost: raw.test.evil\r\n\r\n",
    "C2 port": "GET / HTTP/1.1\r\nHost: raw.test\r\n\r\n",
    "C2 address": "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


@pytest.mark.parametrize("kind", OTHER)
def test_a_request_for_another_host_is_a_421(arena, session, kind):
    """Threats A9, C2: the name is the tunnel's, in every place where a name may stand."""
    payload = payload_of(arena, OTHER[kind])
    expect_refused(arena, session, payload + payload_of(arena, SMUGGLED), (400, 421),
                   ("name_mismatch", "bad_request", "bad_target", "not_supported"))


@pytest.mark.parametrize("host", ["raw.test", "RAW.test", "raw.test.", "Raw.Test."])
def test_spellings_of_the_same_host_are_the_same(arena, session, host):
    """Threat C3: compared in canonical form, and the origin sees only that form."""
    arena.raw.play(answering)
    with arena.tls(session) as tls:
        assert tls.request("GET", "/", f"{host}:{arena.raw.port}").status == 200
        assert tls.request("GET", f"https://{host}:{arena.raw.port}/x",
                           f"{host}:{arena.raw.port}").status == 200
    assert arena.raw.received.count(f"Host: {arena.target}\r\n".encode()) == 2
    assert b"GET /x HTTP/1.1\r\n" in arena.raw.received


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_connect_and_trace_inside_a_tunnel_are_a_405(arena, session, method):
    """Threats B10 (in HTTP/1) and D1."""
    target = "{host}" if method == "CONNECT" else "/"
    expect_refused(arena, session,
                   payload_of(arena, f"{method} {target} HTTP/1.1\r\nHost: {{host}}\r\n\r\n"),
                   (405,), ("method_not_allowed",))


def test_the_star_is_for_options(arena, session):
    """Threat A9: RFC 9110 section 7.1; it was sent on with any method that the policy allows."""
    arena.raw.play(answering)
    with arena.tls(session) as tls:
        assert tls.request("OPTIONS", "*", arena.target).status == 200
        answer = tls.request("GET", "*", arena.target)
    assert (answer.status, answer.reason) == (400, "bad_target")
    assert arena.raw.received.startswith(b"OPTIONS * HTTP/1.1\r\n")
    assert b"GET" not in arena.raw.received


LARGE = {
    "A10 request line": "GET /" + "x" * 16384 + " HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "A10 field": "GET / HTTP/1.1\r\nHost: {host}\r\nX: " + "x" * 16384 + "\r\n\r\n",
    "A10 name": "GET / HTTP/1.1\r\nHost: {host}\r\n" + "x" * 16384 + ": x\r\n\r\n",
    "A10 64 KiB": "GET / HTTP/1.1\r\nHost: {host}\r\n" + ("X: " + "x" * 8000 + "\r\n") * 9 + "\r\n",
    "A10 never ends": "GET / HTTP/1.1\r\nHost: {host}\r\n" + "X: y\r\n" * 12000,
    "A10 129 fields": "GET / HTTP/1.1\r\nHost: {host}\r\n" + "X: y\r\n" * 128 + "\r\n",
    "A10 10,001 fields": "GET / HTTP/1.1\r\nHost: {host}\r\n" + "X:\r\n" * 10000 + "\r\n",
    "A10 method": "G" * 70000 + " / HTTP/1.1\r\nHost: {host}\r\n\r\n",
}


@pytest.mark.parametrize("kind", LARGE)
def test_a_head_above_the_limits_is_a_431(arena, session, kind):
    expect_refused(arena, session, payload_of(arena, LARGE[kind]), (431,), ("head_too_large",))


@pytest.mark.parametrize("fields", [127, 1])
def test_a_head_at_the_limits_is_served(arena, session, fields):
    """The other side of A10: 128 fields, and a field of 16 KiB, arrive."""
    size = 8 if fields > 1 else 16384 - len("X-0: ")
    arena.raw.play(answering)
    with arena.tls(session) as tls:
        answer = tls.request("GET", "/", arena.target,
                             fields=[f"X-{i}: {'x' * size}" for i in range(fields)])
    assert answer.status == 200
    assert arena.raw.received.count(b"X-") == fields


@pytest.mark.parametrize("where", ["name", "value", "first of a name", "last of a value"])
def test_of_256_bytes_only_those_of_rfc_9110_arrive(arena, session, where):
    """Threat A5: each byte alone. The others are a 400 and no byte reaches the origin."""
    lines = {"name": b"X-a%cb: v", "value": b"X-a: v%cw", "first of a name": b"%cX: v",
             "last of a value": b"X-a: v%c"}
    allowed = VALUE_BYTES if "value" in where else TCHARS
    if where == "name":
        allowed += b":"  # ends the name: X-a with the value "b: v"
    bad = [byte for byte in range(256) if byte not in allowed]
    arena.raw.play(lambda peer: peer.read_all())
    for byte in bad:
        payload = payload_of(arena, "GET / HTTP/1.1\r\nHost: {host}\r\n") + lines[where] % byte
        answer = sent(arena, session, payload + b"\r\n\r\n")
        assert (answer.status, answer.reason) == (400, "bad_request"), hex(byte)
    assert arena.raw.received == b""
    records = arena.records_of(session)
    assert [record["reason"] for record in records] == ["bad_request"] * len(bad)
    arena.raw.play(answering)
    arena.raw.drop()
    with arena.tls(arena.gateway.session_create()) as tls:
        for byte in allowed:
            tls.sendall(payload_of(arena, "GET / HTTP/1.1\r\nHost: {host}\r\n")
                        + lines[where] % byte + b"\r\n\r\n")
            assert tls.response().status == 200, hex(byte)
            line = lines[where] % byte
            expected = line.rstrip(b" \t") if b":" in line[:-1] else line
            if where == "name" and byte == ord(":"):
                expected = b"X-a: b: v"
            assert b"\r\n" + expected + b"\r\n" in arena.raw.received[-400:], hex(byte)


# What follows "Transfer-Encoding: chunked": never a whole message for the origin.
CHUNKS = {
    "0x1": b"0x1\r\na\r\n0\r\n\r\n", "1_0": b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n",
    "-1": b"-1\r\na\r\n0\r\n\r\n", "+1": b"+1\r\na\r\n0\r\n\r\n", "empty size": b"\r\na\r\n0\r\n\r\n",
    "blank before": b" 1\r\na\r\n0\r\n\r\n", "blank behind": b"1 \r\na\r\n0\r\n\r\n",
    "17 digits": b"00000000000000001\r\na\r\n0\r\n\r\n", "overflow": b"1" + b"0" * 16 + b"\r\na",
    "no CRLF behind data": b"1\r\nab0\r\n\r\n", "LF behind data": b"1\r\na\n0\r\n\r\n",
    "LF behind the size": b"1\na\r\n0\r\n\r\n", "CR behind the size": b"1\ra\r\n0\r\n\r\n",
    "two CR": b"1\r\r\na\r\n0\r\n\r\n", "short data": b"5\r\nabc\r\n0\r\n\r\n",
    "extension of 257": b"1;" + b"x" * 257 + b"\r\na\r\n0\r\n\r\n",
    "extension of 16 KiB": b"1;" + b"x" * 16384 + b"\r\na\r\n0\r\n\r\n",
    "extensions of 5 KiB": (b"1;" + b"x" * 250 + b"\r\na\r\n") * 20 + b"0\r\n\r\n",
    "NUL in an extension": b"1;\0\r\na\r\n0\r\n\r\n", "LF in an extension": b"1;a\nb\r\na\r\n0\r\n\r\n",
    "LF at the end": b"1\r\na\r\n0\r\n\n", "bare LF last chunk": b"1\r\na\r\n0\n\r\n",
    "trailers of 9 KiB": b"0\r\n" + b"X: y\r\n" * 1500 + b"\r\n",
    "bad trailer": b"0\r\nX y\r\n\r\n", "folded trailer": b"0\r\nX: y\r\n z\r\n\r\n",
}


@pytest.mark.parametrize("kind", CHUNKS)
def test_a_malformed_chunk_never_becomes_a_whole_message(arena, session, kind):
    """Threat A6. Content flows while it comes, so the head and good chunks before the bad byte may
    have reached the origin ("0 bytes of it" holds for what is malformed): what arrives there is a
    request without an end on a connection that ends.
    """
    arena.raw.play(lambda peer: peer.read_all())
    answer = sent(arena, session, payload_of(arena, post("Transfer-Encoding: chunked"))
                  + CHUNKS[kind] + payload_of(arena, SMUGGLED))
    assert (answer.status, answer.reason) == (400, "bad_request")
    records = arena.records_of(session)
    assert [record["reason"] for record in records] == ["bad_request"]
    for peer in arena.raw.peers:
        assert peer.has_ended.wait(10), "the connection with half a request lives on"
    received = arena.raw.received
    assert b"0\r\n\r\n" not in received and b"stolen" not in received
    assert received.count(b"HTTP/1.1") <= 1


def test_chunks_are_made_anew(arena, session):
    """Threat A6: extensions are dropped, sizes are ours, one-byte chunks are content like any."""
    def answer(peer):
        head = peer.read_until(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked\r\n" in head
        peer.read_until(b"\r\n0\r\n\r\n")
        peer.send(ANSWER)

    arena.raw.play(answer, END)
    chunks = (b"1;x=y\r\na\r\n", b"0000000000000001\r\nb\r\n", b"A;\r\n0123456789\r\n") + (
        b"1\r\nx\r\n",) * 5000
    with arena.tls(session) as tls:
        tls.sendall(payload_of(arena, post("Transfer-Encoding: cHuNkEd"))
                    + b"".join(chunks) + b"0;last\r\n\r\n")
        assert tls.response().status == 200
    body = arena.raw.received.partition(b"\r\n\r\n")[2]
    content = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        assert b";" not in size
        if int(size, 16) == 0:
            break
        content, body = content + body[:int(size, 16)], body[int(size, 16) + 2:]
    assert content == b"ab0123456789" + b"x" * 5000 and body == b"\r\n"


@pytest.mark.parametrize("trailer", [
    "Host: other.test", "Content-Length: 5", "Transfer-Encoding: chunked", "DD-API-KEY: mine",
    "dd_api_key: mine", "Authorization: mine", "X-Fine: mine", "Connection: close"])
def test_trailers_never_become_fields(arena, session, constants, trailer):
    """Threats A7, C9: dropped, whatever they are called."""
    def answer(peer):
        peer.read_until(b"\r\n\r\n")
        peer.read_until(b"0\r\n\r\n")
        peer.send(ANSWER)

    arena.raw.play(answer, END)
    with arena.tls(session) as tls:
        tls.sendall(payload_of(arena, post(f"Trailer: {trailer.partition(':')[0]}",
                                           "Transfer-Encoding: chunked").replace("/ ", "/key ", 1))
                    + f"3\r\nabc\r\n0\r\n{trailer}\r\n\r\n".encode())
        assert tls.response().status == 200
    received = arena.raw.received.lower()
    assert b"mine" not in received and b"other.test" not in received
    assert received.count(b"content-length") == 0 and received.count(b"host:") <= 1
    assert received.endswith(b"3\r\nabc\r\n0\r\n\r\n")
    assert received.count(constants.key.encode().lower()) == 1


def test_pipelined_requests_are_each_checked_and_answered_in_order(arena, session):
    """Threat A8: 60 requests in one piece; what stands behind the bad one is dropped."""
    def numbered(peer):
        while True:
            target = peer.read_until(b"\r\n\r\n").split(b" ")[1]
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))

    arena.raw.play(numbered)
    good = [f"GET /{i} HTTP/1.1\r\nHost: {{host}}\r\n\r\n" for i in range(60)]
    with arena.tls(session) as tls:
        tls.sendall(payload_of(arena, "".join(good))
                    + b"GET /bad HTTP/1.1\r\nHost: other.test\r\n\r\n"
                    + payload_of(arena, SMUGGLED))
        bodies = [tls.response().body for _ in range(60)]
        answer = tls.response()
        assert tls.read(1) == b""
    assert bodies == [f"/{i}".encode() for i in range(60)]
    assert (answer.status, answer.reason) == (421, "name_mismatch")
    assert b"/bad" not in arena.raw.received and b"/stolen" not in arena.raw.received
    assert len(arena.records_of(session)) == 61


@pytest.mark.parametrize("before", ["100", "keep-alive", "upgrade refused"])
def test_the_host_is_checked_for_every_request(arena, session, constants, before):
    """Threat C6: a connection that was good once gets no credential for another host later."""
    def answer(peer):
        while True:
            head = peer.read_until(b"\r\n\r\n")
            if b"100-continue" in head:
                peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                peer.read(4)
            peer.send(ANSWER)

    arena.raw.play(answer)
    fields = {"100": "Expect: 100-continue\r\nContent-Length: 4\r\n", "keep-alive": "",
              "upgrade refused": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: "
              "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"}[before]
    first = f"POST /key HTTP/1.1\r\nHost: {{host}}\r\n{fields}\r\n"
    if before == "upgrade refused":
        first = first.replace("POST", "GET")
    with arena.tls(session) as tls:
        tls.sendall(payload_of(arena, first) + (b"body" if before == "100" else b""))
        assert tls.response().status == 200
        tls.sendall(b"GET /key HTTP/1.1\r\nHost: other.test\r\n\r\n")
        answer = tls.response()
        assert tls.read(1) == b""
    assert (answer.status, answer.reason) == (421, "name_mismatch")
    assert arena.raw.received.count(constants.key.encode()) == 1


OVERRIDES = ["X-HTTP-Method-Override: DELETE", "x-http-method: DELETE", "X-Method-Override: DELETE",
             "X-Original-URL: /admin", "X-Rewrite-URL: /admin"]


def test_fields_that_override_method_or_path_do_not_arrive(arena, session):
    """Threat E12."""
    arena.raw.play(answering)
    with arena.tls(session) as tls:
        assert tls.request("GET", "/", arena.target, fields=OVERRIDES).status == 200
    assert b"override" not in arena.raw.received.lower()
    assert b"DELETE" not in arena.raw.received and b"/admin" not in arena.raw.received


@pytest.mark.parametrize("target", ["/%00", "/%", "/%g0", "/%0", "/a%00b", "/%zz"])
def test_a_path_that_cannot_be_decoded_is_a_400(arena, session, target):
    """Threat E12."""
    expect_refused(arena, session,
                   payload_of(arena, f"GET {target} HTTP/1.1\r\nHost: {{host}}\r\n\r\n"),
                   (400,), ("bad_request", "bad_target"))


HOP = ["Connection: close, X-Hop, Keep-Alive", "X-Hop: dropped", "Keep-Alive: dropped",
       "TE: dropped", "Proxy-Authorization: dropped", "Proxy-Connection: dropped",
       "Upgrade: h2c", "HTTP2-Settings: dropped", "Connection: HTTP2-Settings"]


def test_what_belongs_to_one_connection_is_not_passed_on(arena, session, constants):
    """Threats B11, I5."""
    arena.raw.play(answering)
    with arena.tls(session) as tls:
        assert tls.request("GET", "/key", arena.target, fields=HOP).status == 200
    received = arena.raw.received.lower()
    for word in (b"dropped", b"h2c", b"http2-settings", b"x-hop", b"close"):
        assert word not in received
    assert received.count(constants.key.encode()) == 1


@pytest.mark.parametrize("name", ["Host", "DD-API-KEY", "Content-Length", "Transfer-Encoding"])
def test_a_connection_field_removes_neither_host_nor_credential(arena, session, constants, name):
    """Threats C9, I1: refused, or without effect on what is ours."""
    arena.raw.play(answering)
    with arena.tls(session) as tls:
        answer = tls.request("GET", "/key", arena.target, fields=[f"Connection: {name}"])
    received = arena.raw.received
    if name in ("DD-API-KEY", "Transfer-Encoding"):
        assert answer.status == 200
        assert received.count(f"Host: {arena.target}".encode()) == 1
        assert received.count(constants.key.encode()) == 1
    else:
        assert (answer.status, answer.reason) == (400, "bad_request") and received == b""


LOOKALIKES = ["DD-API-KEY", "dd-api-key", "Dd-Api-Key", "DD_API_KEY", "dd_api-key"]


@pytest.mark.parametrize("names", list(itertools.combinations(LOOKALIKES, 2)),
                         ids=lambda names: "+".join(names))
def test_only_our_copy_of_an_injected_field_arrives(arena, session, constants, names):
    """Threat C9."""
    arena.raw.play(answering)
    with arena.tls(session) as tls:
        assert tls.request("GET", "/key", arena.target,
                           fields=[f"{name}: mine" for name in names]).status == 200
    lines = [line for line in arena.raw.received.split(b"\r\n")
             if line.lower().replace(b"_", b"-").startswith(b"dd-api-key")]
    assert [line.partition(b": ")[2] for line in lines] == [constants.key.encode()]


def test_every_cut_of_a_smuggling_request_is_refused_the_same(arena, session):
    """Threats A1, H9: how the bytes are cut into TLS records makes no difference."""
    payload = payload_of(arena, HEADS["A1 CL.TE"])
    arena.raw.play(lambda peer: peer.read_all())
    for at in range(1, len(payload), 7):
        with arena.tls(session) as tls:
            tls.sendall(payload[:at])
            tls.sendall(payload[at:])
            answer = tls.response()
            assert (answer.status, answer.reason) == (400, "bad_request"), at
    assert arena.raw.received == b""
