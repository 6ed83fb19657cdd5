# SPDX-License-Identifier: Apache-2.0
"""TLS towards an origin is resumed by the session that was there before, and by no other."""
import pytest

from attack import Arena
from raw_origin import END


@pytest.fixture(scope="module")
def arena(place, authority):
    arena = Arena(place / "resumption", authority)
    yield arena
    arena.stop()


def test_an_origins_tickets_serve_the_session_that_got_them(arena):
    resumed = []

    def answer(peer):
        resumed.append(peer.sock.session_reused)
        peer.read_until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        END(peer)

    arena.raw.play(answer)
    for _ in range(2):
        session = arena.gateway.session_create()
        resumed.clear()
        for _ in range(3):
            with arena.tls(session) as tls:
                assert tls.request("GET", "/", arena.target).body == b"ok"
        assert resumed == [False, True, True]
