# SPDX-License-Identifier: Apache-2.0
"""What is not the origin it claims to be gets nothing, and the client is told which it was."""
import json
import socket

import pytest

from authority import Authority
from gateway import free_port
from origin import Origin
from tunnel import RelayChannel, TlsClient, Tunnel

# kind: (Exeat-Reason, host)
KINDS = {
    "wrong_name": ("origin_cert_wrong_name", "wrong.test"),
    "expired": ("origin_cert_expired", "expired.test"),
    "untrusted": ("origin_cert_untrusted", "untrusted.test"),
}


@pytest.fixture(scope="module")
def bad(place, authority):
    """An origin of each bad kind, and a gateway that allows them all."""
    from conftest import Journey
    stranger = Authority(place / "stranger", "Nobody knows this one")
    origins = {
        "wrong_name": Origin(*authority.issue("other.test", "else.test")),
        "expired": Origin(*authority.issue("expired.test", days=-1)),
        "untrusted": Origin(*stranger.issue("untrusted.test")),
    }
    closed = free_port()
    rules = [{"name": kind.replace("_", "-"), "hosts": [KINDS[kind][1]], "ports": [origin.port],
              "action": "allow",
              "inject": [{"header": "DD-API-KEY", "credential": "datadog", "format": "{}"}]}
             for kind, origin in origins.items()]
    rules.append({"name": "nobody", "hosts": ["closed.test", "unresolved.test"],
                  "ports": [closed], "action": "allow"})
    hosts = {host: "127.0.0.1" for _, host in KINDS.values()} | {"closed.test": "127.0.0.1"}
    journey = Journey(place / "bad", authority, rules=rules, hosts=hosts)
    journey.bad = origins
    journey.closed = closed
    yield journey
    journey.stop()
    for origin in origins.values():
        origin.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_certificate_is_a_502_and_no_byte_reaches_the_origin(bad, kind):
    reason, host = KINDS[kind]
    origin = bad.bad[kind]
    with bad.container.relay(name=f"relay-{kind}") as relay, RelayChannel(relay.port) as channel:
        # The request is already on its way, as a hasty client sends it.
        answer = channel.connect(f"{host}:{origin.port}",
                                 coalesced=b"GET /stolen HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (answer.status, answer.reason) == (502, reason)
    problem = json.loads(answer.body)
    assert answer.fields["content-type"].startswith("application/problem+json")
    assert problem["status"] == 502 and reason in json.dumps(problem)
    assert origin.connections, "the gateway never asked the origin"
    for connection in origin.connections:
        assert connection.received == 0
    assert not origin.requests
    record = bad.gateway.record_where(host=host, reason=reason)
    assert record["status"] == 502 and record["decision"] == "error"


@pytest.mark.parametrize("kind", KINDS)
def test_curl_fails_with_502_for_a_bad_certificate(bad, kind):
    _, host = KINDS[kind]
    done = bad.container.run("curl", "-sS", f"https://{host}:{bad.bad[kind].port}/", check=56)
    assert b"502" in done.stderr


def test_a_refused_connection_is_a_502(bad):
    with Tunnel(bad.gateway.port).open(bad.session) as tunnel:
        answer = tunnel.connect(f"closed.test:{bad.closed}", bad.session)
    assert (answer.status, answer.reason) == (502, "connect_failed")


def test_a_port_that_the_rule_does_not_name_is_denied(bad):
    with Tunnel(bad.gateway.port).open(bad.session) as tunnel:
        answer = tunnel.connect("expired.test:443", bad.session)
    assert (answer.status, answer.reason) == (403, "policy_denied")


def test_a_private_address_is_denied_unless_its_network_is_listed(make_journey, authority):
    """origin.test is 127.0.0.1; without `networks` that is nothing to dial."""
    journey = make_journey(more={"origins": {"roots": str(authority.certificate)}})
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        answer = tunnel.connect(journey.host, journey.session)
    assert (answer.status, answer.reason) == (403, "address_denied")
    assert not journey.origin.connections
    record = journey.gateway.record_where(reason="address_denied")
    assert record["decision"] == "deny" and record["status"] == 403


@pytest.mark.parametrize("target", ["169.254.169.254:443", "[::1]:443", "[::ffff:127.0.0.1]:443",
                                    "10.0.0.1:443", "metadata.google.internal:443"])
def test_addresses_that_no_rule_names_are_denied(journey, target):
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        answer = tunnel.connect(target, journey.session)
    assert answer.status == 403 and answer.reason in ("policy_denied", "address_denied")


@pytest.mark.parametrize("raw", [
    b"not http at all\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"HTTP/1.1 999999 What\r\n\r\n",
    b"",
])
def test_an_answer_that_is_none_is_a_502(journey, relay, raw):
    journey.origin.raw_answer = raw
    with RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200
        tls = TlsClient(channel, journey.gateway.ca_file(), "origin.test").handshake()
        answer = tls.request("GET", "/raw", journey.host)
    assert answer.status == 502
    assert answer.reason == ("origin_bad_response" if raw else "origin_closed")


def test_a_truncated_answer_does_not_look_whole(journey, relay):
    """Threat H10: the client sees that bytes are missing."""
    import http.client
    journey.origin.raw_answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    with RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200
        tls = TlsClient(channel, journey.gateway.ca_file(), "origin.test").handshake()
        with pytest.raises((http.client.IncompleteRead, ConnectionError, OSError)):
            tls.request("GET", "/raw", journey.host)


def test_the_dialled_origin_is_never_the_gateway_itself(bad):
    """Threat E9: its own port is not a way in, whatever the network list says."""
    with socket.create_connection(("127.0.0.1", bad.gateway.port), 5):
        pass
    with Tunnel(bad.gateway.port).open(bad.session) as tunnel:
        answer = tunnel.connect(f"127.0.0.1:{bad.gateway.port}", bad.session)
    assert answer.status == 403
