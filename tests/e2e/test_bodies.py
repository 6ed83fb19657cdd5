# SPDX-License-Identifier: Apache-2.0
"""Bytes arrive as they were sent: large, many at once, cut anywhere."""
import concurrent.futures
import hashlib
import json

import pytest

from origin import body_digest
from tunnel import RelayChannel, TlsClient

MIB = 1 << 20


@pytest.mark.heavy
@pytest.mark.parametrize("way", ["bytes", "chunked"])
def test_64_mib_come_down(journey, way):
    done = journey.container.run("sh", "-c", "curl -sSf $0 | sha256sum",
                                 f"{journey.url}/{way}/{64 * MIB}", seconds=120)
    assert done.stdout.split()[0].decode() == body_digest(64 * MIB)


@pytest.mark.heavy
@pytest.mark.parametrize("chunked", [False, True])
def test_64_mib_go_up(journey, chunked):
    fields = ["-H", "Transfer-Encoding: chunked"] if chunked else []
    source = journey.directory / "64MiB"
    if not source.exists():
        with source.open("wb") as out:
            for _ in range(64):
                out.write(hashlib.sha256(out.tell().to_bytes(8, "big")).digest() * (MIB // 32))
    done = journey.container.run("curl", "-sSf", "-T", source, *fields, journey.url + "/upload",
                                 seconds=120)
    answer = json.loads(done.stdout)
    assert answer["bytes"] == 64 * MIB
    assert answer["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 65535, 524288, 524289])
def test_sizes_around_the_borders_of_records_and_chunks(journey, relay, size):
    with RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200
        tls = TlsClient(channel, journey.gateway.ca_file(), "origin.test").handshake()
        answer = tls.request("GET", f"/bytes/{size}", journey.host)
        assert hashlib.sha256(answer.body).hexdigest() == body_digest(size)
        answer = tls.request("POST", "/upload", journey.host, body=b"x" * size,
                             fields=[] if size else ["Content-Length: 0"])
        assert json.loads(answer.body) == {
            "sha256": hashlib.sha256(b"x" * size).hexdigest(), "bytes": size}


def test_200_requests_at_once(journey, tmp_path):
    """Each on a tunnel of its own: curl makes 200 connections."""
    config = tmp_path / "urls"
    config.write_text("".join(f'url = "{journey.url}/bytes/{1000 + i}"\noutput = "{tmp_path}/{i}"\n'
                              for i in range(200)))
    journey.container.run("curl", "-sSf", "--parallel", "--parallel-immediate", "--parallel-max",
                          "200", "-K", config, seconds=90)
    for i in range(200):
        assert hashlib.sha256((tmp_path / str(i)).read_bytes()).hexdigest() == body_digest(1000 + i)


def test_200_tunnels_open_at_once(journey, relay):
    """All 200 are held open by the origin at the same time, then all are answered."""
    ca = journey.gateway.ca_file()

    def one(_):
        with RelayChannel(relay.port) as channel:
            assert channel.connect(journey.host).status == 200
            tls = TlsClient(channel, ca, "origin.test").handshake()
            return tls.request("GET", "/hold", journey.host).body

    with concurrent.futures.ThreadPoolExecutor(200) as threads:
        answers = [threads.submit(one, i) for i in range(200)]
        held = 0
        while held < 200 and journey.origin.held.acquire(timeout=60):
            held += 1
        journey.origin.release()
        assert held == 200
        assert {answer.result(60) for answer in answers} == {b"released\n"}


def test_a_client_hello_that_comes_with_the_connect(journey, relay):
    with RelayChannel(relay.port) as channel:
        tls = TlsClient(channel, journey.gateway.ca_file(), "origin.test")
        assert channel.connect(journey.host, coalesced=tls.client_hello()).status == 200
        assert tls.handshake().request("GET", "/", journey.host).status == 200


def test_a_client_hello_in_single_bytes(journey, relay):
    with RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200
        tls = TlsClient(channel, journey.gateway.ca_file(), "origin.test")
        tls.cut = 1
        assert tls.handshake().request("GET", "/", journey.host).status == 200


def test_the_connect_itself_in_single_bytes(journey, relay):
    with RelayChannel(relay.port) as channel:
        tls = TlsClient(channel, journey.gateway.ca_file(), "origin.test")
        head = f"CONNECT {journey.host} HTTP/1.0\r\n\r\n".encode()
        for byte in head + tls.client_hello():
            channel.send(bytes([byte]))
        assert channel.answer().status == 200
        assert tls.handshake().request("GET", "/", journey.host).status == 200


def test_a_body_streams_before_it_has_ended(journey, relay):
    """The first chunk is with the client while the origin still holds the last."""
    with RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200
        tls = TlsClient(channel, journey.gateway.ca_file(), "origin.test").handshake()
        tls.sendall(f"GET /stream HTTP/1.1\r\nHost: {journey.host}\r\n\r\n".encode())
        seen = b""
        buffer = bytearray(4096)
        while b"first" not in seen:
            count = tls.readinto(buffer)
            assert count, seen
            seen += buffer[:count]
        assert b"last" not in seen
        journey.origin.release()
        while not seen.endswith(b"0\r\n\r\n"):
            count = tls.readinto(buffer)
            assert count, seen
            seen += buffer[:count]
        assert b"last" in seen


def test_requests_of_one_connection_reuse_the_origins(journey, relay):
    """Origin connections are kept within a session: fifty requests need one handshake."""
    with RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200
        tls = TlsClient(channel, journey.gateway.ca_file(), "origin.test").handshake()
        for _ in range(50):
            assert tls.request("GET", "/", journey.host).status == 200
    used = {request.connection.number for request in journey.origin.requests}
    assert len(journey.origin.requests) == 50
    assert len(used) == 1
