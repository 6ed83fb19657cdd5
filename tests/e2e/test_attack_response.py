# SPDX-License-Identifier: Apache-2.0
"""Hostile HTTP/1 answers (threats A11, A12, H10): a 502 or a clean truncation for the client, and a
connection that is never used again.
"""
import http.client
import os
import random
import socket
import threading

import pytest

from attack import Arena
from raw_origin import CUT, END, HEAD, RESET, REST, when
from tunnel import Tunnel, answer_read

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


@pytest.fixture(scope="module")
def arena(place, authority):
    arena = Arena(place / "attack-response", authority)
    yield arena
    arena.stop()


@pytest.fixture
def session(arena):
    return arena.gateway.session_create()


def final(tls, method="GET"):
    """The answer behind its interims."""
    answer = tls.response(method)
    while answer.status < 200:
        answer = tls.response(method)
    return answer


def head(*lines, status="200 OK"):
    return f"HTTP/1.1 {status}\r\n".encode() + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


# What no client may see any of: the answer is a 502.
REFUSED = {
    "CL and TE": head(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "TE and CL": head(b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n",
    "two lengths": head(b"Content-Length: 2", b"Content-Length: 3") + b"abc",
    "the same length twice": head(b"Content-Length: 2", b"Content-Length: 2") + b"ab",
    "a list of lengths": head(b"Content-Length: 2, 2") + b"ab",
    "length +2": head(b"Content-Length: +2") + b"ab",
    "length of 20 digits": head(b"Content-Length: 18446744073709551618") + b"ab",
    "negative length": head(b"Content-Length: -1"),
    "xchunked": head(b"Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "gzip, chunked": head(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "TE twice": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "TE in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http/1.1": b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "ICY": b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status 000": head(b"Content-Length: 0", status="000 No"),
    "status 099": head(b"Content-Length: 0", status="099 No"),
    "status 600": head(b"Content-Length: 0", status="600 No"),
    "status 999": head(b"Content-Length: 0", status="999 No"),
    "status 20": head(b"Content-Length: 0", status="20 No"),
    "status 2000": head(b"Content-Length: 0", status="2000 No"),
    "status +20": head(b"Content-Length: 0", status="+20 No"),
    "status 2x0": head(b"Content-Length: 0", status="2x0 No"),
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "bare CR": b"HTTP/1.1 200 OK\r\nX: a\rContent-Length: 9\r\nContent-Length: 2\r\n\r\nok",
    "folded": head(b"X: a", b" b", b"Content-Length: 2") + b"ok",
    "blank before colon": head(b"Content-Length : 2") + b"ok",
    "NUL in a value": head(b"X: a\0b", b"Content-Length: 2") + b"ok",
    "no colon": head(b"X", b"Content-Length: 2") + b"ok",
    "empty name": head(b": x", b"Content-Length: 2") + b"ok",
    "CRLF first": b"\r\n" + OK,
    "129 fields": head(*[b"X: y"] * 129),
    "field of 16 KiB": head(b"X: " + b"y" * 16384, b"Content-Length: 0"),
    "head of 64 KiB": head(*[b"X: " + b"y" * 8000] * 9),
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000,
    "17 interims": head(status="103 Early Hints") * 17 + OK,
    "a storm of interims": head(b"Link: <x>", status="103 Early Hints") * 5000,
    "101 unasked": head(b"Upgrade: websocket", b"Connection: Upgrade", status="101 Switching"),
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_an_answer_that_could_be_read_in_two_ways_is_a_502(arena, session, kind):
    """Threat A11. The record names it, and the connection is closed."""
    arena.raw.play(HEAD, REFUSED[kind], CUT)
    with arena.tls(session) as tls:
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {arena.target}\r\n\r\n".encode())
        answer = final(tls)
    assert answer.status == 502, answer
    assert answer.reason in ("origin_bad_response", "origin_closed")
    assert arena.raw.peers[0].has_ended.wait(10), "the origin's connection lives on"
    records = arena.records_of(session)
    assert [(r["status"], r["reason"], r["decision"]) for r in records] == [
        (502, answer.reason, "error")]


# (method, answer): whole for the client, and behind it something that is nobody's.
LEFT_OVER = {
    "bytes behind the length": ("GET", OK + b"x"),
    "an answer behind the length": ("GET", OK + EVIL),
    "an answer behind the last chunk": (
        "GET", head(b"Transfer-Encoding: chunked") + b"2\r\nok\r\n0\r\n\r\n" + EVIL),
    "204 with content": ("GET", head(b"Content-Length: 4", status="204 No") + EVIL),
    "204 with chunks": ("GET", head(b"Transfer-Encoding: chunked", status="204 No")
                        + b"4\r\nevil\r\n0\r\n\r\n"),
    "304 with content": ("GET", head(b"Content-Length: 4", status="304 No") + EVIL),
    "HEAD with content": ("HEAD", head(b"Content-Length: 4") + EVIL),
    "HEAD with chunks": ("HEAD", head(b"Transfer-Encoding: chunked") + b"4\r\nevil\r\n0\r\n\r\n"),
    "an interim behind the end": ("GET", OK + head(status="100 Continue")),
}


@pytest.mark.parametrize("kind", LEFT_OVER)
def test_what_stands_behind_an_answer_is_delivered_to_nobody(arena, session, kind):
    """Threats A11, A12: the connection is not used again, though both messages were complete."""
    method, answer = LEFT_OVER[kind]
    go = threading.Event()
    arena.raw.play(HEAD, answer, REST)
    with arena.tls(session) as tls:
        first = tls.request(method, "/", arena.target)
        assert first.status in (200, 204, 304) and first.body in (b"ok", b"")
        assert arena.raw.peers[0].has_ended.wait(10), "the connection waits for another request"
        arena.raw.play(HEAD, OK, when(go))
        second = tls.request("GET", "/second", arena.target)
        go.set()
    assert (second.status, second.body) == (200, b"ok")
    assert len(arena.raw.peers) == 1


def test_bytes_on_an_idle_connection_close_it(arena, session):
    """Threat A12: an answer that was sent before its question."""
    idle = threading.Event()
    arena.raw.play(HEAD, OK, when(idle), EVIL, REST)
    with arena.tls(session) as tls:
        assert tls.request("GET", "/", arena.target).body == b"ok"
        first = arena.raw.peers[0]
        idle.set()
        assert first.has_ended.wait(10), "the poisoned connection is kept"
        arena.raw.play(HEAD, OK, END)
        assert tls.request("GET", "/", arena.target).body == b"ok"
    assert first.received.count(b"GET") == 1


@pytest.mark.parametrize("cut", [CUT, RESET], ids=["cut", "reset"])
@pytest.mark.parametrize("answer", [
    head(b"Content-Length: 10") + b"half", head(b"Transfer-Encoding: chunked") + b"a\r\nhalf",
    head(b"Transfer-Encoding: chunked") + b"4\r\nhalf\r\n", head() + b"half",
    head(b"Transfer-Encoding: chunked") + b"4\r\nhalf\r\n0\r\n",
    head(b"Transfer-Encoding: chunked") + b"4\r\nhalf\r\nzz\r\n",
], ids=["length", "in a chunk", "between chunks", "until close", "last line", "bad chunk"])
def test_a_truncated_answer_never_looks_whole(arena, session, answer, cut):
    """Threats A11, H10: the client's connection ends without close_notify or last chunk."""
    arena.raw.play(HEAD, answer, cut)
    with arena.tls(session) as tls:
        with pytest.raises((http.client.IncompleteRead, ConnectionError, OSError)):
            got = tls.request("GET", "/", arena.target)
            assert got.status == 502, got  # the reset overtook the head: told in words
            raise ConnectionError
    reasons = [record["reason"] for record in arena.records_of(session)]
    assert reasons in (["origin_closed"], ["origin_bad_response"])


def test_an_answer_until_close_is_whole_with_close_notify(arena, session):
    """The other side of H10."""
    arena.raw.play(HEAD, head() + b"whole", END)
    with arena.tls(session) as tls:
        assert tls.request("GET", "/", arena.target).body == b"whole"
    assert [record["reason"] for record in arena.records_of(session)] == [""]


def test_sixteen_interims_pass(arena, session):
    """The other side of A11's limit."""
    arena.raw.play(HEAD, head(status="103 Early Hints") * 16 + OK, END)
    with arena.tls(session) as tls:
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {arena.target}\r\n\r\n".encode())
        rest, statuses = [b""], []

        def more():
            data, rest[0] = rest[0], b""
            return data or tls.read(65536)

        while not statuses or statuses[-1] == 103:
            answer, rest[0] = answer_read(more)
            statuses.append(answer.status)
    assert statuses == [103] * 16 + [200]


def test_an_early_answer_counts_and_the_connection_does_not_stay(arena, session):
    """Threat A11: answered before the content was there; what is left of it goes nowhere."""
    arena.raw.play(HEAD, head(b"Content-Length: 2", status="403 No") + b"no", REST)
    with arena.tls(session) as tls:
        tls.sendall(f"POST / HTTP/1.1\r\nHost: {arena.target}\r\nContent-Length: 1000000\r\n\r\n"
                    .encode() + b"x" * 1000)
        answer = tls.response("POST")
        assert (answer.status, answer.body) == (403, b"no")
        assert tls.read(1) == b""
    assert arena.raw.peers[0].has_ended.wait(10)
    assert arena.raw.received.count(b"x") <= 1000


def test_redirects_are_passed_on_and_not_followed(arena, session):
    """Threat C8."""
    for status in (301, 302, 303, 307, 308):
        arena.raw.play(HEAD, head(b"Location: https://origin.test:%d/stolen" % arena.origin.port,
                                  b"Alt-Svc: h3=\":443\"", b"Refresh: 0; url=https://x/",
                                  b"Content-Length: 0", status=f"{status} Elsewhere"), END)
        with arena.tls(session) as tls:
            answer = tls.request("GET", "/key", arena.target)
        assert answer.status == status and answer.fields["location"].endswith("/stolen")
        assert "alt-svc" not in answer.fields
    assert not any(request.target == "/stolen" for request in arena.origin.requests)


class Liar:
    """An origin that answers with the target it was asked for, and misbehaves by chance."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.lock = threading.Lock()

    def __call__(self, peer):
        while True:
            words = peer.read_until(b"\r\n\r\n").split(b" ", 2)
            if b"Content-Length: 5" in words[2]:
                peer.read(5)
            with self.lock:
                way = self.chance.random()
            self.answer(peer, words[1], way)

    @staticmethod
    def answer(peer, target, way):
        def whole(text):
            return head(b"Content-Length: %d" % len(text)) + text

        answer = whole(target)
        if way < 0.03:
            answer += EVIL
        elif way < 0.05:
            answer += b"HTTP/1.1 100 Continue\r\n\r\n"
        elif way < 0.07:
            peer.send(answer[:-3])
            peer.cut()
        elif way < 0.08:
            peer.reset()
        elif way < 0.10:
            answer = head(b"Content-Length: 4", status="204 No") + EVIL
        elif way < 0.30:
            answer = head(b"Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (
                len(target), target)
        peer.send(answer)
        if 0.30 < way < 0.33:
            # Not at once: the connection may be idle by now, or have its next request already.
            peer.send(whole(b"late" + target))
            peer.close_notify()
        elif 0.33 < way < 0.35:
            peer.close_notify()


def judge(answer, method, target):
    """What an answer is; "stolen" must never be."""
    if answer.status == 204 or (method == "HEAD" and answer.body == b""):
        return answer.status
    if answer.status != 200 or answer.body == target.encode():
        return answer.status
    # An answer that came before its question can be seen for what it is on an idle connection
    # only. Behind the next request it is an answer to that, of the same origin, and the origin can
    # say what it likes. To another session's request it must not come, and does not.
    mine = b"late/" + target.split("/")[1].encode() + b"/"
    return "late" if answer.body.startswith(mine) else "stolen"


def ask(arena, session, seed, count, seen):
    """`count` mixed requests, each with a target of its own: /SESSION/SEED/NUMBER/..."""
    chance = random.Random(seed)
    done = 0
    while done < count:
        with arena.tls(session) as tls:
            while done < count:
                done += 1
                target = f"/{session.id}/{seed}/{done}/" + "x" * chance.randrange(200)
                method = chance.choice(["GET", "GET", "POST", "HEAD"])
                try:
                    answer = tls.request(method, target, arena.target,
                                         body=b"12345" if method == "POST" else b"")
                    word = judge(answer, method, target)
                except (http.client.HTTPException, OSError):
                    word = "cut"
                seen[word] = seen.get(word, 0) + 1
                if word not in (200, 204, "late"):
                    break


def test_no_answer_is_delivered_to_another_request(arena):
    """Threat A12: 10^6 mixed requests in the table; 2,000 here, or what
    EXEAT_ATTACK_REQUESTS says (20,000 take about 20 s). Four clients of two sessions on one worker,
    against an origin that sends answers too many, too early, cut, and on idle connections.
    """
    total = int(os.environ.get("EXEAT_ATTACK_REQUESTS", "2000"))
    sessions = [arena.gateway.session_create() for _ in range(2)]
    arena.raw.play(Liar(12))
    seen = [{} for _ in range(4)]
    threads = [threading.Thread(target=ask, args=(arena, sessions[i % 2], i, total // 4, seen[i]))
               for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sums = {key: sum(one.get(key, 0) for one in seen) for one in seen for key in one}
    assert "stolen" not in sums and sum(sums.values()) == total // 4 * 4, sums
    assert sums[200] > total // 2 and sums["cut"] and sums[204]


# ---- Threat H10: the handshake itself ----

def connect(arena, session, seconds=20):
    with Tunnel(arena.gateway.port).open(session) as tunnel:
        tunnel.channel.sock.settimeout(seconds)
        return tunnel.connect(arena.target, session)


def hello_with_version(peer):
    """A ServerHello of TLS 1.1."""
    peer.sock.recv(65536)
    body = b"\x03\x02" + bytes(32) + b"\x00" + b"\xc0\x09" + b"\x00"
    message = b"\x02" + len(body).to_bytes(3, "big") + body
    peer.sock.sendall(b"\x16\x03\x02" + len(message).to_bytes(2, "big") + message)
    peer.sock.recv(65536)


def alerts_without_end(peer):
    """Warnings, where a ServerHello is due."""
    peer.sock.recv(65536)
    while True:
        peer.sock.sendall(b"\x15\x03\x03\x00\x02\x01\x5a" * 1000)


def no_tls(peer):
    peer.sock.recv(65536)
    peer.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    peer.sock.recv(65536)


def message_without_end(peer):
    """A Certificate of 16 MiB less one byte is announced, and comes."""
    peer.sock.recv(65536)
    body = b"\x03\x03" + bytes(range(32)) + b"\x00" + b"\xc0\x2b" + b"\x00"
    hello = b"\x02" + len(body).to_bytes(3, "big") + body
    peer.sock.sendall(b"\x16\x03\x03" + len(hello).to_bytes(2, "big") + hello)
    peer.sock.sendall(b"\x16\x03\x03\x40\x00" + b"\x0b\xff\xff\xff" + bytes(16380))
    for _ in range(1000):
        peer.sock.sendall(b"\x16\x03\x03\x40\x00" + bytes(16384))


def reset(peer):
    peer.sock.recv(65536)
    peer.reset()


def fin(peer):
    peer.sock.recv(65536)
    peer.sock.shutdown(socket.SHUT_WR)
    peer.sock.recv(65536)


BROKEN = {"reset": reset, "FIN": fin, "TLS 1.1": hello_with_version, "alerts without end": alerts_without_end,
          "no TLS": no_tls, "a message without end": message_without_end}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_handshake_that_is_none_is_a_502_at_once(arena, session, kind):
    """Threat H10: an error of TLS, long before the 10 s that a handshake may take."""
    arena.raw.play(REST, before=BROKEN[kind])
    answer = connect(arena, session, seconds=5)
    reason = "origin_closed" if kind == "reset" else "tls_failed"
    assert (answer.status, answer.reason) == (502, reason), answer
    assert arena.raw.peers[0].has_ended.wait(5)
    records = arena.records_of(session)
    assert [(r["method"], r["reason"]) for r in records] == [("CONNECT", reason)]


def test_a_chain_of_4_mib_is_refused(authority, arena, session):
    """Threat H10: 100 KiB are enough for everybody."""
    certificate, key = authority.issue("raw.test", label="raw-chain")
    ca = authority.certificate.read_bytes()
    long = certificate.with_name("chain-4MiB.pem")
    long.write_bytes(certificate.read_bytes() + ca * (4 << 20 >> 9))
    ordinary = arena.raw.context
    arena.raw.context = type(ordinary)(ordinary.protocol)
    try:
        arena.raw.context.load_cert_chain(long, key)
        arena.raw.play(REST)
        answer = connect(arena, session)
    finally:
        arena.raw.context = ordinary
    assert answer.status == 502
    assert answer.reason in ("tls_failed", "origin_cert_invalid"), answer
    assert not arena.raw.peers[0].is_open
