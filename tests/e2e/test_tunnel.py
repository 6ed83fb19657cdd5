# SPDX-License-Identifier: Apache-2.0
"""What happens inside a tunnel, seen by a client that decides how its bytes are cut."""
import contextlib
import ssl
import time

import pytest

from program import wait_until
from tunnel import BINARY, RelayChannel, TlsClient, Tunnel


@pytest.fixture
def tunnel(journey):
    """A tunnel to the origin, its CONNECT answered."""
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        yield tunnel


def request_of(journey, path="/", *fields):
    lines = [f"GET {path} HTTP/1.1", f"Host: {journey.host}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def test_a_second_message_in_the_same_read_does_not_wait_for_a_third(journey, tunnel):
    """Finished and the request came together; the request was left until the next keepalive."""
    tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test")
    tunnel.send(tls.client_hello())
    write, held = tunnel.channel.send, []
    tunnel.channel.send = held.append
    tls.handshake()
    tls.sendall(request_of(journey))
    assert len(held) >= 2
    write(b"".join(held))
    tunnel.channel.send = write
    tunnel.channel.sock.settimeout(5)
    assert tls.response().status == 200


@pytest.mark.heavy
def test_the_gateway_keeps_a_silent_tunnel_alive(journey, tunnel):
    """An empty chunk when nothing was said for 30 s (protocol.md section 3)."""
    tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
    assert tls.request("GET", "/", journey.host).status == 200
    tunnel.channel.sock.settimeout(45)
    assert tunnel.read_frame() == (BINARY, b"\x0a\x00")
    assert tls.request("GET", "/", journey.host).status == 200


def test_all_of_a_connection_in_messages_of_one_byte(journey, tunnel):
    tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test")
    tls.cut = 1
    assert tls.handshake().request("GET", "/", journey.host).status == 200


def test_pipelined_requests_are_answered_in_order(journey, tunnel):
    """Threat A8."""
    tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
    tls.sendall(b"".join(request_of(journey, f"/bytes/{n}") for n in (3, 0, 5, 70000)))
    assert [len(tls.response().body) for _ in range(4)] == [3, 0, 5, 70000]


def test_a_pipelined_request_for_another_host_ends_the_connection(journey, tunnel):
    """Threats A8, C2: the first is served, the second refused, the third never looked at."""
    tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
    other = b"GET /stolen HTTP/1.1\r\nHost: other.test\r\n\r\n"
    tls.sendall(request_of(journey, "/bytes/3") + other + request_of(journey, "/third"))
    assert tls.response().status == 200
    answer = tls.response()
    assert (answer.status, answer.reason) == (421, "name_mismatch")
    assert tls.read(1) == b""
    assert not any(request.target in ("/stolen", "/third") for request in journey.origin.requests)


@pytest.mark.parametrize("name", ["other.test", "origin.test.other.test", "rigin.test"])
def test_another_server_name_is_an_alert(journey, tunnel, name):
    """Threat C1: unrecognized_name, a record, and no request at the origin."""
    tls = TlsClient(tunnel, journey.gateway.ca_file(), name)
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        tls.handshake()
    record = journey.gateway.record_where(reason="name_mismatch", method="CONNECT")
    assert record["decision"] == "deny" and not journey.origin.requests


def test_a_client_that_trusts_somebody_else_is_named_in_the_audit(journey, tunnel):
    tls = TlsClient(tunnel, journey.authority.certificate, "origin.test")
    with pytest.raises(ssl.SSLError):
        tls.handshake()
    tls._flush()
    wait_until(lambda: [record for record in journey.gateway.records()
                        if "refused our certificate" in record["detail"]], "a record of it")


def test_plain_http_in_the_tunnel_is_told_that_no_rule_allows_it(journey, tunnel):
    """Threat C7."""
    tunnel.send(request_of(journey))
    answer = tunnel.answer()
    assert (answer.status, answer.reason) == (403, "policy_denied")
    assert b"plain http" in answer.body


def test_a_client_that_ends_with_its_handshake_is_let_go_at_once(journey, tunnel):
    """Its close_notify comes in one piece with its Finished: the tunnel waited for the deadline."""
    tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test")
    with pytest.raises(ssl.SSLWantReadError):
        tls.tls.do_handshake()
    tunnel.send(tls._out.read())
    while True:
        try:
            tls._in.write(tunnel.recv())
            tls.tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            pass
    with pytest.raises(ssl.SSLWantReadError):
        tls.tls.unwrap()
    start = time.monotonic()
    tunnel.send(tls._out.read())
    while tunnel.recv():
        pass
    assert time.monotonic() - start < 5


def test_an_interim_response_and_a_body_that_waits_for_it(journey, tunnel):
    tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
    answer = tls.request("POST", "/upload", journey.host, body=b"x" * 1000,
                         fields=["Expect: 100-continue"])
    assert answer.status == 200


def test_a_head_request_has_no_content(journey, tunnel):
    tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
    assert tls.request("HEAD", "/bytes/1000", journey.host).body == b""
    assert tls.request("GET", "/bytes/10", journey.host).status == 200


def test_idle_connections_that_the_origin_has_closed_are_replaced(journey, relay):
    with RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200
        tls = TlsClient(channel, journey.gateway.ca_file(), "origin.test").handshake()
        for _ in range(3):
            assert tls.request("GET", "/bytes/10", journey.host).status == 200
            journey.origin.drop()


def test_a_get_is_sent_again_when_its_used_connection_dies_unanswered(journey, tunnel):
    tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
    assert tls.request("GET", "/bytes/10", journey.host).status == 200
    assert tls.request("GET", "/fresh", journey.host).status == 200
    assert [r.target for r in journey.origin.requests].count("/fresh") == 2


def test_a_post_is_never_sent_again(journey, tunnel):
    tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
    assert tls.request("GET", "/bytes/10", journey.host).status == 200
    answer = tls.request("POST", "/fresh", journey.host, body=b"once")
    assert (answer.status, answer.reason) == (502, "origin_closed")
    assert [r.target for r in journey.origin.requests].count("/fresh") == 1


def test_a_tunnel_too_many_is_told_so_and_the_others_go_on(make_journey):
    """503 with its reason, never a connection closed without a word (threat K2)."""
    journey = make_journey(more={"workers": 1, "limits": {"tunnels": 4, "tunnels_per_tenant": 4}})
    with contextlib.ExitStack() as stack:
        tunnels = [stack.enter_context(Tunnel(journey.gateway.port).open(journey.session))
                   for _ in range(4)]
        with Tunnel(journey.gateway.port) as another:
            answer = another.upgrade(journey.session.token)
        assert (answer.status, answer.reason) == (503, "limit_reached")
        assert tunnels[0].connect(journey.host, journey.session).status == 200


def test_without_buffers_reading_pauses_and_everything_arrives_in_the_end(make_journey):
    """More streams than buffers: the worker neither spins nor loses a byte (threats K2, K4)."""
    journey = make_journey(more={"workers": 1, "limits": {"buffers": 40}})
    with contextlib.ExitStack() as stack:
        streams = []
        for _ in range(12):
            tunnel = stack.enter_context(Tunnel(journey.gateway.port).open(journey.session))
            assert tunnel.connect(journey.host, journey.session).status == 200
            streams.append(TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake())
        for tls in streams:
            tls.sendall(request_of(journey, "/bytes/16000000"))
        wait_until(lambda: "reading pauses" in journey.gateway.program.errors(), "the pause")
        assert [len(tls.response().body) for tls in streams] == [16000000] * 12
