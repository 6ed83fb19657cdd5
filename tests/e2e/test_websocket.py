# SPDX-License-Identifier: Apache-2.0
"""WebSocket through interception: the handshake is inspected, what follows is carried."""
import os

import pytest

from h2_fields import block
from h2_frames import DATA, END_STREAM, HEADERS, RST_STREAM, SETTINGS, H2Client, data, headers
from tunnel import TlsClient, Tunnel, answer_read

FIELDS = ["Upgrade: websocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Version: 13",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Extensions: x-test"]


@pytest.fixture
def tls(journey):
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        yield TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()


def upgrade(tls, journey, path="/key/socket", fields=FIELDS):
    """(answer, a function that reads bytes behind it)."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {journey.host}", *fields]
    tls.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
    rest = b""

    def read(count):
        nonlocal rest
        while len(rest) < count:
            more = tls.read(65536)
            if not more:
                break
            rest += more
        data, rest = rest[:count], rest[count:]
        return data

    answer, rest = answer_read(lambda: tls.read(65536), body=False)
    return answer, read


def test_the_handshake_gets_its_credential_and_bytes_go_both_ways(journey, tls):
    answer, read = upgrade(tls, journey)
    assert answer.status == 101
    assert answer.fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer.fields["upgrade"] == "websocket"
    assert read(5) == b"hello"
    for size in (1, 125, 70000, 1 << 20):
        data = os.urandom(size - 1) + b"."
        tls.sendall(data)
        assert read(size) == data
    request = journey.origin.requests[-1]
    assert request.values("connection") == ["Upgrade"]
    assert request.values("sec-websocket-extensions") == ["x-test"]


def test_the_origin_ends_and_the_record_says_what_went_through(journey, tls):
    answer, read = upgrade(tls, journey)
    assert answer.status == 101
    tls.sendall(b"x" * 1000)
    assert read(1005) == b"hello" + b"x" * 1000
    tls.sendall(b"bye")
    assert read(1) == b""
    record = journey.gateway.record_where(path="/key/socket", status=101, bytes_in=1003)
    assert record["bytes_out"] == 1005 and record["reason"] == ""


def test_an_origin_that_says_no_is_heard_and_the_connection_goes_on(journey, tls):
    assert tls.request("GET", "/", journey.host, fields=FIELDS).status == 200
    assert tls.request("GET", "/bytes/5", journey.host).body == b"\0\1\2\3\4"


@pytest.mark.parametrize("fields", [
    [], ["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"],
    ["Upgrade: websocket"], ["Upgrade: websocket, h2c", "Connection: Upgrade"]])
def test_what_is_no_websocket_request_is_never_an_upgrade(journey, tls, fields):
    """Threat B11 and A11: h2c is dropped; a 101 that nobody asked for is an error."""
    answer = tls.request("GET", "/switch", journey.host, fields=fields)
    assert (answer.status, answer.reason) == (502, "origin_bad_response")
    assert not journey.origin.requests[-1].values("upgrade")


@pytest.fixture
def h2(journey):
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test", alpn=("h2", "http/1.1"))
        yield H2Client(tls.handshake()).open()


def extended_connect(h2, journey, path="/key/socket", protocol="websocket"):
    """RFC 8441 section 4: the stream of a WebSocket."""
    stream, h2.next_stream = h2.next_stream, h2.next_stream + 2
    h2.send(headers(stream, block([(":method", "CONNECT"), (":protocol", protocol),
                                   (":scheme", "https"), (":path", path),
                                   (":authority", journey.host),
                                   ("sec-websocket-version", "13"),
                                   ("sec-websocket-extensions", "x-test")])))
    return stream


def test_a_websocket_over_http2_is_an_upgrade_at_the_origin(journey, h2):
    """RFC 8441: with the credential, and bytes in both directions until one side ends."""
    assert b"\x00\x08\x00\x00\x00\x01" in h2.until(SETTINGS).payload, "ENABLE_CONNECT_PROTOCOL"
    stream = extended_connect(h2, journey)
    answer = h2.until(HEADERS, RST_STREAM, stream=stream)
    assert dict(h2.decoder.decode(answer.content()))[":status"] == "200"
    sent = [os.urandom(size - 1) + b"." for size in (1, 125, 16384, 10000)]
    h2.send(*(data(stream, piece) for piece in sent))
    expected, got = b"hello" + b"".join(sent), b""
    while len(got) < len(expected):
        got += h2.until(DATA, stream=stream).content()
    assert got == expected
    request = journey.origin.requests[-1]
    assert (request.method, request.values("connection")) == ("GET", ["Upgrade"])
    assert request.values("sec-websocket-extensions") == ["x-test"]
    h2.send(data(stream, b"bye"))
    end = h2.until(DATA, RST_STREAM, stream=stream)
    assert (end.kind, end.flags & END_STREAM) == (DATA, END_STREAM), "the origin has ended"
    assert h2.request(journey.host, "/after").status == 200


def test_an_origin_without_websocket_does_not_seem_to_open_one(journey, h2):
    """Every 2xx to an extended CONNECT would say that it is open; other answers are passed on."""
    answer = h2.answer(extended_connect(h2, journey, path="/plain"))
    assert (answer.status, answer.reason) == (502, "origin_bad_response")
    answer = h2.answer(extended_connect(h2, journey, path="/keyless"))
    assert (answer.status, answer.reason) == (403, None)


def test_an_extended_connect_for_another_protocol_is_refused(journey, h2):
    """Threat B10."""
    answer = h2.answer(extended_connect(h2, journey, protocol="connect-udp"))
    assert (answer.status, answer.reason) == (405, "method_not_allowed")
    assert journey.origin.requests == []


def test_a_websocket_over_http2_obeys_the_rules_of_get(journey, h2):
    answer = h2.answer(extended_connect(h2, journey, path="/secret/socket"))
    assert (answer.status, answer.reason) == (403, "policy_denied")
