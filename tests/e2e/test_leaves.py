# SPDX-License-Identifier: Apache-2.0
"""Leaf certificates: one for all who wait for it, and no more for a tenant than its share (threat H4)."""
import contextlib
import ssl

import pytest

from attack import Arena
from origin import Origin
from program import wait_until
from tunnel import TlsClient, Tunnel

NAMES = [f"n{number}.many.test" for number in range(60)]


@pytest.fixture
def arena(tmp_path, authority):
    """A gateway that makes a leaf a second for a tenant, two at once, and an origin of many names."""
    origin = Origin(*authority.issue("*.many.test", label=f"many-{tmp_path.name}"))
    made = Arena(tmp_path / "arena", authority, hosts=dict.fromkeys(NAMES, "127.0.0.1"),
                 rules=[{"name": "many", "hosts": ["*.many.test"], "ports": [origin.port],
                         "action": "allow"}],
                 more={"limits": {"leaves_per_second": 1}})
    made.many = origin
    yield made
    made.stop()
    origin.close()


@contextlib.contextmanager
def client(arena, session, name):
    """A client whose tunnel is open and who has not begun with TLS."""
    with Tunnel(arena.gateway.port).open(session) as tunnel:
        answer = tunnel.connect(f"{name}:{arena.many.port}", session)
        assert answer.status == 200, answer
        yield TlsClient(tunnel, arena.gateway.ca_file(), name)


def shakes(arena, session, name):
    """Whether the gateway shows a certificate; the alert is the only other way for it to end."""
    with client(arena, session, name) as tls:
        try:
            tls.handshake()
        except ssl.SSLError as error:
            assert "INTERNAL_ERROR" in str(error).upper(), error
            return False
    return True


def test_a_tenant_that_asks_for_many_names_is_refused_and_others_are_not(arena):
    """Threat H4: its sessions share the limit, which alert, audit and log name; other tenants have theirs."""
    greedy = [arena.gateway.session_create(tenant="greedy") for _ in range(2)]
    modest = arena.gateway.session_create(tenant="modest")
    names = iter(NAMES)
    asked = [shakes(arena, greedy[0], next(names)) for _ in range(2)]
    assert asked == [True, True], "what two seconds bring"
    refused = next(name for number, name in enumerate(names)
                   if not shakes(arena, greedy[number % 2], name))
    assert shakes(arena, modest, next(names))
    record = arena.gateway.record_where("the refusal", host=refused, reason="tenant_limit")
    assert record["tenant"] == "greedy" and record["decision"] == "error"
    assert "limits.leaves_per_second" in record["detail"]
    assert "limits.leaves_per_second" in arena.gateway.program.errors()
    assert shakes(arena, greedy[0], NAMES[0]), "what is there needs no mint"
    wait_until(lambda: shakes(arena, greedy[1], refused), "a leaf a second")


def test_ten_tunnels_to_a_new_host_at_once_are_one_leaf(arena):
    """Threat H4: ten leaves could not be had here; all show the one with the same serial number."""
    session = arena.gateway.session_create()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client(arena, session, NAMES[0])) for _ in range(10)]
        for tls in clients:
            tls.channel.send(tls.client_hello())
        shown = {tls.handshake().tls.getpeercert(binary_form=True) for tls in clients}
    assert len(shown) == 1
    assert shakes(arena, session, NAMES[1]), "one of the two at once is left"
