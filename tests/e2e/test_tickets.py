# SPDX-License-Identifier: Apache-2.0
"""Session tickets for clients in tunnels (threat H7): good for one session and host, nowhere else."""
import ssl

import pytest

from tunnel import TlsClient, Tunnel


class Client:
    """A client that keeps its tickets from one tunnel to the next."""

    def __init__(self, journey, version):
        self.journey = journey
        self.context = ssl.create_default_context(cafile=journey.gateway.ca_file())
        self.context.minimum_version = self.context.maximum_version = version
        self.ticket = None

    def visit(self, name, session, ticket=None):
        """One request; whether its TLS was resumed. The ticket that came is kept."""
        port = self.journey.origin.port
        with Tunnel(self.journey.gateway.port) as tunnel:
            assert tunnel.open(session).connect(f"{name}:{port}", session).status == 200
            tls = TlsClient(tunnel, self.journey.gateway.ca_file(), name)
            tls.tls = self.context.wrap_bio(tls._in, tls._out, server_hostname=name,
                                            session=ticket)
            answer = tls.handshake().request("GET", "/hello", f"{name}:{port}")
            assert answer.status == 200, answer
            self.ticket = tls.tls.session
            return tls.tls.session_reused


def one_worker(make_journey, **more):
    """Each worker has keys of its own."""
    return make_journey(more={"workers": 1, **more})


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_resumes_its_own_session_and_no_other(make_journey, version):
    journey = one_worker(make_journey)
    client = Client(journey, version)
    other = journey.gateway.session_create()
    assert not client.visit("origin.test", journey.session)
    assert client.visit("origin.test", journey.session, client.ticket)
    assert client.ticket.has_ticket
    kept = client.ticket
    assert not client.visit("origin.test", other, kept)  # H7: tickets across tenants
    assert client.visit("origin.test", other, client.ticket)


def test_no_ticket_where_the_configuration_says_so(make_journey):
    journey = one_worker(make_journey, tls={"tickets": 0})
    client = Client(journey, ssl.TLSVersion.TLSv1_3)
    assert not client.visit("origin.test", journey.session)
    assert not client.ticket.has_ticket
