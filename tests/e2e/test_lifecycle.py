# SPDX-License-Identifier: Apache-2.0
"""A gateway changes its configuration and ends while it is used (threats E13, L1)."""
import os
import signal
import time

from program import wait_until
from tunnel import TlsClient, Tunnel


def answer_to_new_tunnel(journey, path="/"):
    with Tunnel(journey.gateway.port) as tunnel:
        if tunnel.upgrade(journey.session.token).status != 101:
            return None
        answer = tunnel.connect(journey.host, journey.session)
        if answer.status != 200:
            return answer.status
        tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
        return tls.request("GET", path, journey.host).status


def test_a_new_configuration_takes_over_and_old_responses_are_finished(make_journey):
    journey = make_journey()
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
        assert tls.request("GET", "/new", journey.host).status == 200
        tls.sendall(f"GET /stream HTTP/1.1\r\nHost: {journey.host}\r\n\r\n".encode())
        assert journey.origin.held.acquire(timeout=10)
        journey.gateway.config["rules"].append(
            {"name": "not-any-more", "hosts": ["origin.test"], "ports": [journey.origin.port],
             "paths": ["/new"], "action": "deny"})
        journey.gateway.write_config()
        os.kill(journey.gateway.program.pid, signal.SIGHUP)
        wait_until(lambda: answer_to_new_tunnel(journey, "/new") == 403, "the new rule to decide")
        journey.origin.release()
        assert tls.response().body == b"first\nlast\n"


def test_a_tunnel_opened_before_a_new_configuration_gets_its_first_answer(make_journey):
    """It was idle when its worker began to drain, and was closed under the client's request."""
    journey = make_journey()
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
        old = sorted(journey.gateway.roles()["worker"])
        journey.gateway.config["rules"].append(
            {"name": "another", "hosts": ["another.test"], "action": "deny"})
        journey.gateway.write_config()
        os.kill(journey.gateway.program.pid, signal.SIGHUP)
        wait_until(lambda: len(set(old) & set(journey.gateway.roles()["worker"])) == 1,
                   "the old worker without a tunnel to end")
        assert tls.request("GET", "/", journey.host).status == 200


def test_a_bad_configuration_changes_nothing(make_journey):
    journey = make_journey()
    journey.gateway.config_path.write_text("listen: nonsense\n")
    os.kill(journey.gateway.program.pid, signal.SIGHUP)
    wait_until(lambda: "the old configuration stays" in journey.gateway.program.errors(),
               "the refusal")
    assert "gateway.yaml:1" in journey.gateway.program.errors()
    assert answer_to_new_tunnel(journey) == 200


def test_a_response_under_way_is_finished_after_sigterm(make_journey):
    """No new tunnels, told at once; the old one whole; exit status 0."""
    journey = make_journey()
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        tls = TlsClient(tunnel, journey.gateway.ca_file(), "origin.test").handshake()
        tls.sendall(f"GET /stream HTTP/1.1\r\nHost: {journey.host}\r\n\r\n".encode())
        assert journey.origin.held.acquire(timeout=10)
        journey.gateway.program.child.send_signal(signal.SIGTERM)
        wait_until(lambda: "draining" in journey.gateway.program.errors(), "the gateway to drain")

        def refused():
            begin = time.monotonic()
            try:
                status = answer_to_new_tunnel(journey)
            except OSError:
                status = None
            assert time.monotonic() - begin < 5, "a new tunnel is left without an answer"
            return status != 200

        wait_until(refused, "new tunnels to be refused")
        journey.origin.release()
        assert tls.response().body == b"first\nlast\n"
    journey.gateway.stop(status=0)
