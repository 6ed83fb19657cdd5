# SPDX-License-Identifier: Apache-2.0
"""Inspected tunnels in which nothing moves, or only as fast as their client reads."""
import contextlib
import hashlib
import pathlib
import time

import pytest

from h2_frames import DATA, END_STREAM, HEADERS, RST_STREAM, WINDOW, H2Client, window_update
from origin import body_digest
from program import wait_until
from tunnel import TlsClient, Tunnel


@contextlib.contextmanager
def tls_opened(journey, alpn):
    with Tunnel(journey.gateway.port).open(journey.session) as tunnel:
        assert tunnel.connect(journey.host, journey.session).status == 200
        yield TlsClient(tunnel, journey.gateway.ca_file(), "origin.test", alpn=alpn).handshake()


def ticks_of(gateway):
    """Processor time of the workers, in hundredths of a second."""
    return sum(int(word) for pid in gateway.roles()["worker"] for word in
               pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])


def test_tunnels_that_wait_cost_no_processor_time(make_journey):
    """Whatever they wait for; a tunnel that wakes itself would make the loop spin."""
    journey = make_journey()
    with contextlib.ExitStack() as stack:
        for path in (None, "/", "/hold"):
            tls = stack.enter_context(tls_opened(journey, ("http/1.1",)))
            if path == "/":
                assert tls.request("GET", path, journey.host).status == 200
            elif path:
                tls.sendall(f"GET {path} HTTP/1.1\r\nHost: {journey.host}\r\n\r\n".encode())
            client = H2Client(stack.enter_context(tls_opened(journey, ("h2",)))).open()
            if path == "/":
                assert client.request(journey.host, path).status == 200
            elif path:
                client.ask(journey.host, path)
        # A client that takes only what its window allows, and never opens it again.
        client = H2Client(stack.enter_context(tls_opened(journey, ("h2",)))).open()
        client.updates = False
        stream = client.ask(journey.host, "/bytes/1000000")
        wait_until(lambda: client.next() and sum(
            len(frame.payload) for frame in client.seen if frame.kind == DATA) == 65535,
            "all that the window allows")
        assert not any(frame.flags & END_STREAM for frame in client.seen
                       if frame.stream == stream and frame.kind in (DATA, HEADERS))
        wait_until(lambda: journey.origin.held.acquire(blocking=False), "the origin to hold")
        before = ticks_of(journey.gateway)
        time.sleep(1.5)  # what is measured is this time
        assert ticks_of(journey.gateway) - before < 30
        journey.origin.release()


@pytest.mark.parametrize("window", [65535, 1000, 1 << 20])
def test_an_end_that_comes_while_the_window_is_shut_loses_no_byte(journey, window):
    """Threat H10: the origin has ended, and its last bytes wait for the client."""
    length = 300000
    with tls_opened(journey, ("h2",)) as tls:
        client = H2Client(tls).open((WINDOW, window))
        client.updates = False
        stream = client.ask(journey.host, f"/ends/{length}")
        sha, got = hashlib.sha256(), 0
        while True:
            frame = client.next()
            assert frame is not None and frame.kind != RST_STREAM, client.seen[-3:]
            if frame.kind == DATA and frame.stream == stream:
                sha.update(frame.content())
                got += len(frame.content())
                if frame.flags & END_STREAM:
                    break
                client.send(window_update(0, len(frame.payload)),
                            window_update(stream, len(frame.payload)))
        assert (got, sha.hexdigest()) == (length, body_digest(length))
