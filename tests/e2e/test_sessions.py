# SPDX-License-Identifier: Apache-2.0
"""Who may open a tunnel, and for how long (threats G3, G4; protocol.md sections 2 to 5)."""
import time

import pytest

from gateway import Session
from program import wait_until
from tunnel import RelayChannel, TlsClient, Tunnel

PATHS = ["/v1/tunnel", "/v1/code/upstreamproxy/ws"]


def good_request(journey):
    """The whole way by hand, without the relay."""
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
        return tls.request("GET", "/", journey.host).status


@pytest.mark.parametrize("path", PATHS)
def test_both_profiles_paths_are_served(journey, path):
    with Tunnel(journey.gateway.port).open(journey.session, path=path) as tunnel:
        answer = tunnel.connect(journey.host, journey.session)
        assert answer.head == b"HTTP/1.1 200 Connection Established"


@pytest.mark.parametrize("path", ["/v1/ca-cert", "/v1/code/upstreamproxy/ca-cert"])
def test_both_profiles_get_the_ca_without_a_token(journey, path):
    pem = journey.gateway.ca_pem(path)
    assert pem.startswith(b"-----BEGIN CERTIFICATE-----") and b"PRIVATE" not in pem


def test_the_tls_listener_serves_the_same(journey):
    authority = journey.authority.certificate
    with Tunnel(journey.gateway.tls_port, authority).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
        assert tls.request("GET", "/", journey.host).status == 200


def test_the_relay_goes_through_wss(journey):
    done = journey.container.run(
        "curl", "-sS", journey.url + "/",
        environment={"EXEAT_GATEWAY_URL": f"https://127.0.0.1:{journey.gateway.tls_port}"})
    assert done.stdout == b"hello from the origin\n"


def test_the_relay_does_not_give_its_token_to_a_strange_gateway(journey, make_journey, tmp_path):
    """Threat H11: a certificate that the relay does not trust gets no token; CMD runs anyway."""
    from authority import Authority
    from origin import Origin
    stranger = Origin(*Authority(tmp_path / "stranger").issue("127.0.0.1"))
    try:
        done = journey.container.run(
            "sh", "-c", "env", environment={"EXEAT_GATEWAY_URL": f"https://127.0.0.1:{stranger.port}"})
    finally:
        stranger.close()
    assert b"HTTPS_PROXY" not in done.stdout
    assert done.stderr.decode().count("warning") == 1
    assert stranger.connections, "the relay never asked the stranger"
    assert sum(connection.received for connection in stranger.connections) == 0


@pytest.mark.parametrize("without, fields, status, reason", [
    (["Authorization"], [], 401, "token_missing"),
    (["Authorization"], [("Authorization", "Bearer wrong")], 401, "token_invalid"),
    (["Authorization"], [("Authorization", "Bearer ")], 401, None),
    (["Authorization"], [("Authorization", "Basic Og==")], 401, None),
    (["Authorization"], [("Authorization", "Bearer " + "x" * 5000)], 401, None),
    (["Content-Type"], [], 415, "wrong_content_type"),
    (["Content-Type"], [("Content-Type", "text/plain")], 415, "wrong_content_type"),
])
def test_the_upgrade_is_refused_in_words(journey, without, fields, status, reason):
    with Tunnel(journey.gateway.port) as tunnel:
        answer = tunnel.upgrade(journey.session.token, without=without, fields=fields)
    assert answer.status == status, answer
    assert answer.reason == reason if reason else answer.reason
    assert answer.body
    assert good_request(journey) == 200


def test_an_unknown_path_is_a_404(journey):
    with Tunnel(journey.gateway.port) as tunnel:
        answer = tunnel.upgrade(journey.session.token, path="/v2/tunnel")
    assert (answer.status, answer.reason) == (404, "not_found")


def test_the_hello_must_name_the_tokens_session(journey):
    other = journey.gateway.session_create()
    for wrong in (Session("cse_other", journey.session.token),
                  Session(other.id, journey.session.token),
                  Session(journey.session.id, other.token)):
        with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
            answer = tunnel.connect(journey.host, wrong)
        assert (answer.status, answer.reason) == (407, "session_mismatch")
        assert answer.fields["proxy-authenticate"].startswith("Basic")


def test_the_list_of_sessions_shows_no_token(journey):
    done = journey.gateway.command("session", "list", "-c", journey.gateway.config_path)
    assert journey.session.id.encode() in done.stdout
    assert journey.session.token.encode() not in done.stdout


def test_a_revoked_session_is_refused_and_its_tunnels_close(journey):
    """Threat G3: new ones within 1 s, live ones within 5 s; the other session lives on."""
    session = journey.gateway.session_create()
    with Tunnel(journey.gateway.port).open(session) as live, \
            Tunnel(journey.gateway.port).open(journey.session) as other:
        assert live.connect(journey.host, session).status == 200
        assert other.connect(journey.host, journey.session).status == 200
        tls = TlsClient(live, journey.gateway.ca_file(), "origin.test").handshake()
        assert tls.request("GET", "/key", journey.host).status == 200
        journey.gateway.command("session", "revoke", session.id, "-c",
                                journey.gateway.config_path)
        begin = time.monotonic()

        def refused():
            with Tunnel(journey.gateway.port) as tunnel:
                answer = tunnel.upgrade(session.token)
            return answer if answer.status == 401 else None

        assert wait_until(refused, "the revoked token to be refused", 1).reason in (
            "session_revoked", "token_invalid")
        live.channel.sock.settimeout(6)
        live.drain()
        assert time.monotonic() - begin < 5
        tls = TlsClient(other, journey.gateway.ca_file(), "origin.test").handshake()
        assert tls.request("GET", "/", journey.host).status == 200


def test_revoking_what_is_not_there_is_an_error(journey):
    done = journey.gateway.command("session", "revoke", "cse_nobody", "-c",
                                   journey.gateway.config_path, check=1)
    assert b"cse_nobody" in done.stderr


def test_a_client_of_the_relay_is_told_that_the_session_was_revoked(journey):
    session = journey.gateway.session_create()
    container = journey.container_for(session, "revoked")
    with container.relay() as relay:
        journey.gateway.command("session", "revoke", session.id, "-c",
                                journey.gateway.config_path)

        def refused():
            with RelayChannel(relay.port) as channel:
                answer = channel.connect(journey.host)
            return answer if answer.status != 200 else None

        answer = wait_until(refused, "the relay to refuse")
    assert answer.reason in ("session_revoked", "token_invalid")
