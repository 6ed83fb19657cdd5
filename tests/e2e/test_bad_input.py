# SPDX-License-Identifier: Apache-2.0
"""Nonsense gets a clear answer, and a good request beside it does not notice (protocol.md 3 to 5)."""
import contextlib
import socket

import pytest

from program import wait_until
from tunnel import (BINARY, CONTINUATION, PING, PONG, TEXT, RelayChannel, TlsClient, Tunnel, chunk,
                    frame)


@contextlib.contextmanager
def undisturbed(journey):
    """A tunnel of another client, in the middle of a response while the block runs."""
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
        workers = sorted(journey.gateway.roles()["worker"])
        yield
        assert tls.request("GET", "/bytes/100000", journey.host).status == 200
        assert sorted(journey.gateway.roles()["worker"]) == workers, "a worker has died"


# kind: (request line, status)
NONSENSE = {
    "userinfo": ("CONNECT user@origin.test:443 HTTP/1.1", 400),
    "no port": ("CONNECT origin.test HTTP/1.1", 400),
    "empty port": ("CONNECT origin.test: HTTP/1.1", 400),
    "port 0": ("CONNECT origin.test:0 HTTP/1.1", 400),
    "port 65536": ("CONNECT origin.test:65536 HTTP/1.1", 400),
    "port with zero": ("CONNECT origin.test:0443 HTTP/1.1", 400),
    "octal": ("CONNECT 0177.0.0.1:443 HTTP/1.1", 400),
    "hex": ("CONNECT 0x7f000001:443 HTTP/1.1", 400),
    "decimal": ("CONNECT 2130706433:443 HTTP/1.1", 400),
    "short": ("CONNECT 127.1:443 HTTP/1.1", 400),
    "zone": ("CONNECT [fe80::1%eth0]:443 HTTP/1.1", 400),
    "path": ("CONNECT origin.test:443/x HTTP/1.1", 400),
    "escape": ("CONNECT origin%2etest:443 HTTP/1.1", 400),
    "two dots": ("CONNECT origin..test:443 HTTP/1.1", 400),
    "not ascii": ("CONNECT or\xefgin.test:443 HTTP/1.1", 400),
    "no target": ("CONNECT  HTTP/1.1", 400),
    "no version": ("CONNECT origin.test:443", 400),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_to_the_gateway(journey, kind):
    line, status = NONSENSE[kind]
    basic = Tunnel.hello("x", journey.session)[3:]
    with undisturbed(journey):
        with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
            tunnel.send(line.encode("latin-1") + b"\r\n" + basic)
            answer = tunnel.answer()
    assert answer.status == status and answer.reason in ("bad_target", "bad_hello", "bad_request")
    assert answer.fields["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_to_the_relay(journey, relay, kind):
    line, status = NONSENSE[kind]
    with RelayChannel(relay.port) as channel:
        channel.send(line.encode("latin-1") + b"\r\nHost: x\r\n\r\n")
        answer = channel.answer()
    assert answer.status == status and answer.reason
    with RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200


def test_a_head_of_10_kb(journey, relay):
    with RelayChannel(relay.port) as channel:
        channel.send(b"CONNECT " + b"a" * 10240)
        assert channel.answer().status == 400
    with RelayChannel(relay.port) as channel:
        answer = channel.connect(journey.host, fields=["X: " + "x" * 10240])
        assert answer.status == 400 and b"8192" in answer.body
    with undisturbed(journey), Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        tunnel.send(b"CONNECT " + b"a" * 10240 + b":443 HTTP/1.1\r\n\r\n")
        assert tunnel.answer().status == 400


@pytest.mark.parametrize("head", ["GET / HTTP/1.1", "POST /x HTTP/1.1", "OPTIONS * HTTP/1.1"])
def test_a_request_that_names_no_host_is_a_405_that_says_what_to_do(relay, head):
    with RelayChannel(relay.port) as channel:
        channel.send(f"{head}\r\nHost: origin.test\r\n\r\n".encode())
        answer = channel.answer()
    assert answer.status == 405 and answer.reason == "method_not_allowed"
    assert b"CONNECT" in answer.body and answer.fields.get("allow") == "CONNECT"


def test_a_first_message_that_is_no_connect(journey):
    for payload in (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                    b"CONNECT origin.test:443 HTTP/1.1\r\n"):
        with undisturbed(journey), Tunnel(journey.gateway.port).open(journey.session) as tunnel:
            tunnel.send(payload)
            assert tunnel.answer().status in (400, 405)


def test_two_proxy_authorizations_are_refused(journey):
    hello = Tunnel.hello(f"CONNECT {journey.host} HTTP/1.1", journey.session,
                         more="Proxy-Authorization: Basic eDp5\r\n")
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        tunnel.send(hello)
        assert tunnel.answer().status == 400


# What is payload in them begins as a ClientHello does: the tunnel itself has nothing to complain of.
BAD_CHUNKS = {
    "wrong tag": b"\x12\x01x",
    "wire type": b"\x08\x01",
    "cut varint": b"\x0a\x80",
    "long varint": b"\x0a\x80\x80\x80\x80\x80\x01x",
    "overlong varint": b"\x0a\x81\x00x",
    "length beyond": b"\x0a\x05\x16\x03\x01",
    "bytes after": b"\x0a\x01\x16\x03",
    "not protobuf": b"hello",
}


@pytest.mark.parametrize("kind", BAD_CHUNKS)
def test_a_malformed_chunk_closes_with_1002(journey, kind):
    with undisturbed(journey), Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        tunnel.send_frame(BINARY, BAD_CHUNKS[kind])
        assert tunnel.drain() == 1002


@pytest.mark.parametrize("kind", BAD_CHUNKS)
def test_a_malformed_chunk_as_the_hello_is_a_400(journey, kind):
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        tunnel.send_frame(BINARY, BAD_CHUNKS[kind])
        answer = tunnel.answer()
    assert answer.status == 400 and answer.reason in ("bad_chunk", "bad_hello")


def test_text_empty_and_keepalive_messages_are_ignored(journey):
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        tunnel.send_frame(TEXT, b"hello")
        tunnel.send_frame(BINARY, b"\x0a\x00")
        assert tunnel.connect(journey.host, journey.session).status == 200
        tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test")
        for byte in tls.client_hello():
            tunnel.send_frame(TEXT, b"x")
            tunnel.send_frame(BINARY, b"")
            tunnel.send_frame(BINARY, b"\x0a\x00")
            tunnel.send_frame(BINARY, chunk(bytes([byte])))
        assert tls.handshake().request("GET", "/", journey.host).status == 200


def test_a_ping_is_answered(journey):
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        tunnel.send_frame(PING, b"are you there")
        assert tunnel.read_frame() == (PONG, b"are you there")


def test_a_message_in_fragments(journey):
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        message = chunk(Tunnel.hello(f"CONNECT {journey.host} HTTP/1.1", journey.session))
        tunnel.send_frame(BINARY, message[:3], fin=False)
        tunnel.send_frame(PING, b"")
        for byte in message[3:-1]:
            tunnel.send_frame(CONTINUATION, bytes([byte]), fin=False)
        tunnel.send_frame(CONTINUATION, message[-1:])
        assert tunnel.read_frame() == (PONG, b"")
        assert tunnel.answer().status == 200


def test_the_largest_chunk_passes_and_a_larger_frame_is_a_1009(journey):
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
        assert tls.request("POST", "/upload", journey.host, body=b"x" * 524288).status == 200
    with undisturbed(journey), Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        # Only the head is sent: what it declares is enough.
        tunnel.channel.send(frame(BINARY, b"", declared=524305))
        assert tunnel.drain() == 1009


BAD_FRAMES = {
    "not masked": frame(BINARY, chunk(b"x"), mask=False),
    "reserved bit": b"\xc2" + frame(BINARY, chunk(b"x"))[1:],
    "reserved opcode": frame(3, b""),
    "long ping": frame(PING, b"x" * 126),
    "ping in fragments": frame(PING, b"x", fin=False),
    "continuation of nothing": frame(CONTINUATION, b"x"),
    "length with the high bit": b"\x82\xff" + b"\xff" * 8,
}


@pytest.mark.parametrize("kind", BAD_FRAMES)
def test_a_frame_against_the_rfc_is_a_1002(journey, kind):
    """Threat I1: refused within the frame's head."""
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        tunnel.channel.send(BAD_FRAMES[kind])
        assert tunnel.drain() == 1002


def test_bytes_that_are_no_http_to_the_gateway(journey):
    with undisturbed(journey):
        for raw in (b"\x16\x03\x01\x00\x05hello\r\n\r\n", b"GET /\r\n\r\n", b"\0" * 100):
            with socket.create_connection(("127.0.0.1", journey.gateway.port), 10) as sock:
                sock.sendall(raw)
                sock.shutdown(socket.SHUT_WR)
                sock.settimeout(10)
                answer = sock.recv(65536)
                assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer


def test_clients_that_vanish_leave_nothing(journey, relay):
    """Connections that are cut at any step: the descriptors come back."""
    import os

    def descriptors():
        return {pid: len(os.listdir(f"/proc/{pid}/fd"))
                for pid in journey.gateway.roles()["worker"] + relay.program.members()}

    with RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200
        TlsClient(channel, journey.gateway.ca_file(), "origin.test").handshake()
    for step in range(30):
        with RelayChannel(relay.port) as channel:
            if step % 3 == 0:
                channel.send(b"CONNECT orig")
            else:
                assert channel.connect(journey.host).status == 200
                tls = TlsClient(channel, journey.gateway.ca_file(), "origin.test")
                hello = tls.client_hello()
                channel.send(hello if step % 3 == 1 else hello[:20])
            if step % 2:
                channel.sock.shutdown(socket.SHUT_RDWR)
    # Idle origin connections may stay for their 30 s; tunnels may not.
    wait_until(lambda: max(descriptors().values()) < 40, "the descriptors to come back")
