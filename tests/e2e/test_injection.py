# SPDX-License-Identifier: Apache-2.0
"""The gateway's header, once, and nothing of the client's in its place (threats C9, I1, D5)."""
import json

import pytest

from tunnel import RelayChannel, TlsClient


@pytest.fixture
def tls(journey, relay):
    with RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200
        yield TlsClient(channel, journey.gateway.ca_file(), "origin.test").handshake()


def received(answer):
    return [(name.lower(), value) for name, value in json.loads(answer.body)]


def test_the_header_arrives_exactly_once(journey, tls, constants):
    fields = received(tls.request("GET", "/headers", journey.host))
    assert fields.count(("authorization", f"Bearer {constants.bearer}")) == 1
    assert fields.count(("x-api-key", constants.key)) == 1


@pytest.mark.parametrize("own", [
    ["Authorization: Bearer mine"],
    ["authorization: mine", "AUTHORIZATION: mine too"],
    ["X_Api_Key: mine", "x-api_key: mine", "X-API-KEY: mine"],
    ["Authorization: mine", "X-Api-Key: mine", "Authorization: again"],
    ["Connection: keep-alive, X-Api-Key"],
])
def test_the_clients_own_copies_are_removed(journey, tls, constants, own):
    fields = received(tls.request("GET", "/headers", journey.host, fields=own))
    like = [(name.replace("_", "-"), value) for name, value in fields]
    assert [value for name, value in like if name == "authorization"] == [
        f"Bearer {constants.bearer}"]
    assert [value for name, value in like if name == "x-api-key"] == [constants.key]
    assert "mine" not in json.dumps(fields)


def test_copies_in_trailers_do_not_arrive(journey, tls, constants):
    tls.sendall(f"POST /headers HTTP/1.1\r\nHost: {journey.host}\r\nTransfer-Encoding: chunked\r\n"
                "Trailer: X-Api-Key\r\n\r\n3\r\nabc\r\n0\r\nX-Api-Key: mine\r\n\r\n".encode())
    answer = tls.response("POST")
    # Refused, or without the trailer: never with it.
    assert answer.status in (200, 400)
    if answer.status == 200:
        assert [value for name, value in received(answer) if name == "x-api-key"] == [
            constants.key]
    assert "mine" not in str([request.head for request in journey.origin.requests])


def test_a_path_without_the_rule_gets_no_key(journey, tls, constants):
    tls.request("GET", "/", journey.host)
    head = journey.origin.requests[-1].head.decode()
    assert constants.key not in head and constants.bearer not in head


@pytest.mark.parametrize("spelling", ["/secret/x", "/%73ecret/x", "/./secret/x", "/a/../secret/x",
                                      "//secret/x", "/secret/%78", "/secret%2Fx"])
def test_spellings_of_a_denied_path_do_not_reach_the_origin_as_allowed(journey, tls, spelling):
    """What policy sees is what is sent: no spelling arrives as /secret/... (threat E12)."""
    answer = tls.request("GET", spelling, journey.host)
    targets = [request.target for request in journey.origin.requests]
    assert not [target for target in targets if target.startswith("/secret/")]
    if answer.status != 200:
        assert answer.status in (400, 403) and not targets


def test_a_denied_path_is_a_403_inside_tls(journey, tls):
    answer = tls.request("GET", "/secret/of/state", journey.host)
    assert (answer.status, answer.reason) == (403, "policy_denied")
    assert answer.fields["content-type"].startswith("application/problem+json")
    assert "no-secrets" in answer.body.decode()
    assert not journey.origin.requests


def test_a_denied_method_is_a_403_and_the_next_request_goes_on(journey, tls):
    assert tls.request("GET", "/readonly/x", journey.host).status == 200
    answer = tls.request("DELETE", "/readonly/x", journey.host)
    assert (answer.status, answer.reason) == (403, "policy_denied")
    assert [request.method for request in journey.origin.requests] == ["GET"]


@pytest.mark.parametrize("host", ["other.test", "origin.test.evil", "origin.test:1"])
def test_another_host_inside_the_tunnel_is_a_421(journey, tls, host):
    answer = tls.request("GET", "/key", host)
    assert (answer.status, answer.reason) == (421, "name_mismatch")
    assert not journey.origin.requests


def test_another_name_in_the_handshake_reaches_nobody(journey, relay):
    """Threat C1: CONNECT says origin.test, the ClientHello says other.test."""
    with RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200
        with pytest.raises(OSError):
            TlsClient(channel, journey.gateway.ca_file(), "other.test").handshake()
    assert not journey.origin.requests


@pytest.mark.parametrize("head", [
    "GET / HTTP/1.1\nHost: {host}\n\n",
    "GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: {host}\r\nBad Name: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: {host}\r\nA: b\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: {host}\r\nA: b\0c\r\n\r\n",
    "GET / HTTP/1.1\r\nHost : {host}\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: +5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: xchunked\r\n\r\n",
    "GET /a b HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "GET / HTTP/9.9\r\nHost: {host}\r\n\r\n",
])
def test_what_is_not_understood_is_refused_and_not_forwarded(journey, tls, head):
    """Threats A1 to A5, A10: an error answer, and nothing at the origin."""
    tls.sendall(head.format(host=journey.host).encode("latin-1"))
    answer = tls.response()
    assert answer.status in (400, 501, 505), answer
    assert answer.reason
    assert not journey.origin.requests


def test_a_head_that_is_too_large_is_a_431(journey, tls):
    fields = [f"X-{i}: {'x' * 4000}" for i in range(20)]
    answer = tls.request("GET", "/", journey.host, fields=fields)
    assert (answer.status, answer.reason) == (431, "head_too_large")
    assert not journey.origin.requests


def test_a_malformed_chunk_ends_the_connection_not_the_gateway(journey, tls, relay):
    tls.sendall(f"POST /upload HTTP/1.1\r\nHost: {journey.host}\r\n"
                "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n".encode())
    assert tls.response("POST").status in (400, 502)
    assert not journey.origin.requests
    with RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200
        again = TlsClient(channel, journey.gateway.ca_file(), "origin.test").handshake()
        assert again.request("GET", "/", journey.host).status == 200
