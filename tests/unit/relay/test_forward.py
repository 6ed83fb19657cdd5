#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests that name a whole URL, through the real relay: a gateway made of sockets sees tunnels.

usage: test_forward.py EXEAT
"""
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import test_tunnel
from test_tunnel import OK, Gateway, accept_of, drain, read_frame

SECONDS = 20
REFUSAL = (b"HTTP/1.1 403 http to a.test is denied by rule none\r\n"
           b"Content-Type: application/problem+json\r\nContent-Length: 18\r\n"
           b"Exeat-Reason: policy_denied\r\nConnection: close\r\n\r\n{\"status\":403    }")
CHUNKED = b"Transfer-Encoding: chunked"


def message(payload):
    """One chunk in one frame, of any length below 65,500."""
    size = len(payload)
    chunk = b"\x0a" + (bytes([size]) if size < 128 else
                       bytes([size & 127 | 128, size >> 7]) if size < 16384 else
                       bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])) + payload
    if len(chunk) < 126:
        return bytes([0x82, len(chunk)]) + chunk
    return struct.pack(">BBH", 0x82, 126, len(chunk)) + chunk


def payload_of(chunk):
    at = 1
    while chunk[at] & 128:
        at += 1
    return chunk[at + 1:]


class Tunnel:
    """The gateway's end: what the relay sent, in order."""

    def __init__(self, sock, head):
        sock.settimeout(SECONDS)
        self.sock, self.data, self.close_code = sock, b"", None
        sock.sendall(accept_of(head))
        self.line = self.payload().split(b"\r\n")[0]

    def payload(self):
        """The next payload, b"" at the end."""
        while True:
            try:
                opcode, data = read_frame(self.sock)
            except (EOFError, ConnectionResetError):
                return b""
            if opcode == 8:
                self.close_code = struct.unpack(">H", data)[0]
                return b""
            if opcode == 2 and data not in (b"", b"\x0a\x00"):
                return payload_of(data)

    def send(self, data):
        for start in range(0, len(data), 16000):
            self.sock.sendall(message(data[start:start + 16000]))

    def close(self, code=1000):
        self.sock.sendall(b"\x88\x02" + struct.pack(">H", code))

    def until(self, end):
        """What came up to and with `end`."""
        while end not in self.data:
            more = self.payload()
            if not more:
                raise EOFError(self.data[:200])
            self.data += more
        head, end, self.data = self.data.partition(end)
        return head + end

    def exactly(self, count):
        while len(self.data) < count:
            more = self.payload()
            if not more:
                raise EOFError(self.data[:200])
            self.data += more
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def head(self):
        return self.until(b"\r\n\r\n")

    def end(self):
        """Read to the end; all that was left."""
        left = self.data
        while more := self.payload():
            left += more
        return left


def response(body=b"", *fields, status=b"200 OK"):
    return b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields,
                         b"", body])


class Client(socket.socket):
    """A client of the relay."""

    def __init__(self, port):
        super().__init__()
        self.settimeout(SECONDS)
        self.connect(("127.0.0.1", port))
        self.held = b""

    def head(self):
        while b"\r\n\r\n" not in self.held:
            more = self.recv(65536)
            if not more:
                raise EOFError(self.held[:200])
            self.held += more
        head, _, self.held = self.held.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def exactly(self, count):
        while len(self.held) < count:
            more = self.recv(65536)
            if not more:
                raise EOFError(self.held[:200])
            self.held += more
        taken, self.held = self.held[:count], self.held[count:]
        return taken

    def end(self):
        data, was_reset = drain(self)
        return self.held + data, was_reset


def get(url, *fields, method=b"GET", version=b"HTTP/1.1"):
    return b"\r\n".join([method + b" " + url + b" " + version, b"Host: other.test", *fields, b"",
                         b""])


class Rig(unittest.TestCase):
    """The real relay, and a gateway whose tunnels run scripts."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        path = os.path.join(cls.folder.name, "ca.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", os.devnull, "-out", path,
             "-days", "2", "-subj", "/CN=test", "-addext", "keyUsage=critical,keyCertSign"],
            check=True, stderr=subprocess.DEVNULL)
        with open(path, "rb") as file:
            cls.gateway = Gateway(file.read())
        cls.relay, cls.port = test_tunnel.start_relay(cls.folder.name, cls.gateway)

    @classmethod
    def tearDownClass(cls):
        cls.relay.send_signal(signal.SIGTERM)
        assert cls.relay.wait(15) == 0
        cls.relay.stdout.close()
        cls.folder.cleanup()

    def setUp(self):
        self.tunnels, self.errors, self.threads = [], [], []

    def tearDown(self):
        for thread in self.threads:
            thread.join(SECONDS)
            self.assertFalse(thread.is_alive())
        self.assertEqual(self.errors, [])

    def serve(self, *scripts):
        """Each tunnel runs the next script, the last one for ever."""
        left = list(scripts)

        def run(sock, head):
            self.threads.append(threading.current_thread())
            script = left.pop(0) if len(left) > 1 else left[0]
            try:
                tunnel = Tunnel(sock, head)
                self.tunnels.append(tunnel)
                script(tunnel)
            except Exception as error:  # noqa: BLE001
                self.errors.append(repr(error))

        self.gateway.script = run

    def lines(self):
        return [tunnel.line for tunnel in self.tunnels]


class Forward(Rig):
    # ---- the request ----

    def test_request_is_rebuilt_in_absolute_form_with_the_host_of_its_url(self):
        seen = []

        def script(tunnel):
            tunnel.send(OK)
            seen.append(tunnel.head())
            tunnel.send(response(b"hello"))
            seen.append(tunnel.end())

        self.serve(script)
        with Client(self.port) as client:
            client.sendall(get(b"HTTP://A.test:80/x/../%7eb?q=1", b"Accept: */*",
                               b"Proxy-Connection: keep-alive", b"Proxy-Authorization: Basic eA==",
                               b"proxy_note: x", b"Connection: X-Hop, keep-alive", b"X-Hop: 1",
                               b"TE: trailers", b"Upgrade: h2c"))
            head = client.head()
            self.assertEqual(client.exactly(5), b"hello")
        self.assertIn(b"HTTP/1.1 200 OK\r\n", head)
        self.assertNotIn(b"close", head)
        self.assertEqual(self.lines(), [b"CONNECT a.test:80 HTTP/1.1"])
        self.threads[0].join(SECONDS)
        self.assertEqual(seen, [b"GET http://a.test/~b?q=1 HTTP/1.1\r\nHost: a.test\r\n"
                                b"Accept: */*\r\n\r\n", b""])
        self.assertEqual(self.tunnels[0].close_code, 1000)

    def test_https_url_keeps_its_scheme_and_goes_to_443(self):
        seen = []

        def script(tunnel):
            tunnel.send(OK)
            seen.append(tunnel.head())
            tunnel.send(response())

        self.serve(script)
        for url, line, target, host in (
                (b"https://a.test", b"a.test:443", b"https://a.test/", b"a.test"),
                (b"https://a.test:8443/p", b"a.test:8443", b"https://a.test:8443/p",
                 b"a.test:8443"),
                (b"http://[::1]:81/", b"[::1]:81", b"http://[::1]:81/", b"[::1]:81")):
            with Client(self.port) as client:
                client.sendall(get(url))
                client.head()
            self.assertEqual(self.lines()[-1], b"CONNECT " + line + b" HTTP/1.1")
            self.assertEqual(seen[-1], b"GET " + target + b" HTTP/1.1\r\nHost: " + host
                             + b"\r\n\r\n")

    def test_malformed_and_strange_requests_are_told_why(self):
        for data, status, words in (
                (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 405, b"whole URL"),
                (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 405, b"whole URL"),
                (get(b"ftp://a.test/"), 501, b"ftp: is not carried"),
                (get(b"http:a.test/"), 400, b"neither a URL nor CONNECT"),
                (get(b"a.test:80"), 400, b"neither a URL nor CONNECT"),
                (get(b"http://u:p@a.test/"), 400, b""),
                (get(b"http://0x7f.1/"), 400, b""),
                (get(b"http://a.test/", version=b"HTTP/2.0"), 501, b"version 2.0"),
                (b"GET http://a.test/ HTTP/1.1\r\n\r\n", 400, b"no Host"),
                (b"GET http://a.test/ HTTP/1.1\nHost: a\n\n", 400, b"bare LF"),
                (get(b"http://a.test/", b"X : 1"), 400, b"field name"),
                (get(b"http://a.test/", b"Content-Length: 1", CHUNKED), 400, b"together"),
                (get(b"http://a.test/", b"Connection: host"), 400, b"Connection names"),
                (get(b"http://a.test/", *[b"X: 1"] * 200), 431, b"fields"),
                (b"GET http://a.test/ HTTP/1.1\r\nX: " + b"x" * 65536, 431, b"head of more"),
                (b"GET http://a.test/", 400, b"ends before")):
            with Client(self.port) as client:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                answer, was_reset = client.end()
            self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), (data[:60], answer))
            self.assertIn(words, answer.split(b"\r\n")[0], data[:60])
            self.assertIn(b"\r\nExeat-Reason: ", answer)
            self.assertFalse(was_reset)

    # ---- refusals ----

    def test_refusal_of_the_gateway_is_the_answer_to_the_request(self):
        def script(tunnel):
            tunnel.send(REFUSAL)
            tunnel.close()

        self.serve(script)
        with Client(self.port) as client:
            client.sendall(get(b"http://a.test/"))
            head = client.head()
            self.assertTrue(head.startswith(
                b"HTTP/1.1 403 http to a.test is denied by rule none\r\n"), head)
            self.assertIn(b"\r\nExeat-Reason: policy_denied\r\n", head)
            self.assertIn(b"application/problem+json", head)
            self.assertEqual(client.exactly(18), REFUSAL[-18:])
            # the connection goes on: the refusal was complete
            client.sendall(get(b"http://a.test/", method=b"HEAD"))
            self.assertIn(b"\r\nContent-Length: 18\r\n", client.head())
            client.sendall(get(b"http://a.test/", b"Content-Length: 5", method=b"POST") + b"12345")
            self.assertIn(b"\r\nConnection: close\r\n", client.head())
            self.assertEqual(client.end(), (REFUSAL[-18:], False))
        self.assertEqual(len(self.tunnels), 3)

    def test_gateway_that_cannot_be_reached_is_502_also_for_head(self):
        def script(sock, head):
            sock.sendall(b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n")

        self.gateway.script = script
        for method in (b"GET", b"HEAD"):
            with Client(self.port) as client:
                client.sendall(get(b"http://a.test/", method=method))
                head = client.head()
                self.assertTrue(head.startswith(b"HTTP/1.1 502 "), head)
                self.assertIn(b"\r\nExeat-Reason: gateway_unreachable\r\n", head)
                body = client.end()[0]
                self.assertEqual(body == b"", method == b"HEAD", body)

    def test_tunnel_that_ends_or_breaks_at_any_byte_is_an_answer_or_a_reset(self):
        whole = OK + response(b"1234567890")
        first = len(OK) + whole[len(OK):].index(b"\r\n\r\n") + 4

        for code in (1000, 1011, None):
            for where in range(0, len(whole), 7):
                def script(tunnel, where=where, code=code):
                    tunnel.send(whole[:min(where, len(OK))])
                    if where >= len(OK):
                        tunnel.head()
                        tunnel.send(whole[len(OK):where])
                    if code is not None:
                        tunnel.close(code)

                self.serve(script)
                with Client(self.port) as client:
                    client.sendall(get(b"http://a.test/"))
                    answer, was_reset = client.end()
                if where < first:
                    self.assertTrue(answer.startswith(b"HTTP/1.1 502 "), (where, answer))
                    self.assertFalse(was_reset)
                else:
                    self.assertTrue(was_reset, (where, code))

    # ---- content ----

    def test_contents_stream_both_ways_at_once(self):
        size = 3_000_000
        data = os.urandom(1000) * (size // 1000)

        def script(tunnel):
            tunnel.send(OK)
            head = tunnel.head()
            assert b"\r\nContent-Length: %d\r\n" % size in head, head
            tunnel.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            left = size
            while left:
                piece = tunnel.exactly(min(left, 10000))
                left -= len(piece)
                tunnel.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            tunnel.send(b"0\r\n\r\n")

        self.serve(script)
        with Client(self.port) as client:
            sender = threading.Thread(target=client.sendall, args=(
                get(b"http://a.test/", b"Content-Length: %d" % size, method=b"PUT") + data,))
            sender.start()
            self.assertIn(CHUNKED, client.head())
            got = b""
            pieces = []
            while True:
                while b"\r\n" not in client.held:
                    client.held += client.recv(65536)
                length = int(client.exactly(client.held.index(b"\r\n") + 2), 16)
                piece = client.exactly(length + 2)[:-2]
                if not length:
                    break
                pieces.append(piece)
            got = b"".join(pieces)
            sender.join()
        self.assertEqual(got, data)

    def test_chunked_request_passes_and_an_http_1_0_client_gets_no_chunks(self):
        seen = []

        def script(tunnel):
            tunnel.send(OK)
            seen.append(tunnel.until(b"0\r\n\r\n"))
            tunnel.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
                        b"0\r\nTrailer: dropped\r\n\r\n")

        self.serve(script)
        with Client(self.port) as client:
            client.sendall(get(b"http://a.test/", CHUNKED, method=b"POST")
                           + b"2;x=y\r\nhi\r\n0\r\nT: 1\r\n\r\n")
            self.assertTrue(client.head().startswith(b"HTTP/1.1 103 "))
            self.assertIn(CHUNKED, client.head())
            self.assertEqual(client.exactly(13), b"3\r\nabc\r\n0\r\n\r\n")
        self.assertTrue(seen[0].endswith(b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), seen)

        def script(tunnel):
            tunnel.send(OK)
            tunnel.head()
            tunnel.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")

        self.serve(script)
        with Client(self.port) as client:
            client.sendall(b"GET http://a.test/ HTTP/1.0\r\n\r\n")
            head = client.head()
            self.assertTrue(head.startswith(b"HTTP/1.1 200 "))
            self.assertIn(b"\r\nConnection: close\r\n", head)
            self.assertEqual(client.end(), (b"abc", False))

    def test_expect_100_continue_waits_for_the_gateway(self):
        def script(tunnel):
            tunnel.send(OK)
            assert b"\r\nExpect: 100-continue\r\n" in tunnel.head()
            tunnel.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert tunnel.exactly(4) == b"body"
            tunnel.send(response())

        self.serve(script)
        with Client(self.port) as client:
            client.sendall(get(b"http://a.test/", b"Expect: 100-continue", b"Content-Length: 4",
                               method=b"POST"))
            self.assertEqual(client.head(), b"HTTP/1.1 100 Continue\r\n\r\n")
            client.sendall(b"body")
            self.assertTrue(client.head().startswith(b"HTTP/1.1 200 "))

    def test_head_has_a_length_and_no_content(self):
        def script(tunnel):
            tunnel.send(OK)
            tunnel.head()
            tunnel.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            tunnel.head()
            tunnel.send(response(b"x"))

        self.serve(script)
        with Client(self.port) as client:
            client.sendall(get(b"http://a.test/", method=b"HEAD") + get(b"http://a.test/"))
            self.assertIn(b"\r\nContent-Length: 1000\r\n", client.head())
            self.assertIn(b"\r\nContent-Length: 1\r\n", client.head())
        self.assertEqual(len(self.tunnels), 1)

    def test_answer_before_the_request_is_complete_ends_the_connection(self):
        def script(tunnel):
            tunnel.send(OK)
            tunnel.head()
            tunnel.send(response(b"no", status=b"413 Too Large"))
            tunnel.end()

        self.serve(script)
        with Client(self.port) as client:
            client.sendall(get(b"http://a.test/", b"Content-Length: 100", method=b"POST") + b"1")
            self.assertTrue(client.head().startswith(b"HTTP/1.1 413 "))
            self.assertEqual(client.end(), (b"no", False))

    def test_client_that_does_not_read_stops_the_gateway(self):
        sent = []

        def script(tunnel):
            tunnel.send(OK)
            tunnel.head()
            tunnel.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
            tunnel.sock.settimeout(1)
            try:
                while len(sent) < 4000:
                    tunnel.send(b"x" * 16000)
                    sent.append(1)
            except TimeoutError:
                pass

        self.serve(script)
        with Client(self.port) as client:
            client.sendall(get(b"http://a.test/"))
            client.head()
            self.threads[0].join(SECONDS)
        self.assertLess(len(sent), 4000)  # 64 MB: the system's buffers hold far less

    def test_head_that_dribbles_in_is_408_after_10_s(self):
        with Client(self.port) as client:
            began = time.monotonic()
            client.settimeout(0.5)
            client.sendall(b"GET http://a.test/ HTTP/1.1\r\nX: ")
            answer = b""
            while not answer and time.monotonic() - began < SECONDS:
                client.sendall(b"x")
                try:
                    answer = client.recv(65536)
                except TimeoutError:
                    pass
            self.assertTrue(answer.startswith(b"HTTP/1.1 408 "), answer)
            self.assertGreater(time.monotonic() - began, 9)

    def test_client_that_half_closes_still_gets_its_response(self):
        def script(tunnel):
            tunnel.send(OK)
            tunnel.head()
            tunnel.send(response(b"late"))

        self.serve(script)
        with Client(self.port) as client:
            client.sendall(get(b"http://a.test/"))
            client.shutdown(socket.SHUT_WR)
            answer, was_reset = client.end()
        self.assertTrue(answer.endswith(b"\r\n\r\nlate"), answer)
        self.assertFalse(was_reset)

    # ---- one connection, several requests ----

    def test_pipelined_requests_are_answered_in_order_each_through_its_tunnel(self):
        def script(tunnel):
            tunnel.send(OK)
            try:
                while True:
                    head = tunnel.head()
                    tunnel.send(response(head.split(b" ")[1]))
                    if b" raw " in head:
                        tunnel.close()
            except EOFError:
                pass

        self.serve(script)
        urls = [b"http://a.test/1", b"http://a.test/2", b"http://b.test/3", b"http://b.test:81/4",
                b"https://b.test:81/5", b"http://a.test/6"]
        with Client(self.port) as client:
            client.sendall(b"".join(get(url) for url in urls))
            for url in urls:
                client.head()
                self.assertEqual(client.exactly(len(url)), url)
            # and CONNECT on the same connection
            client.sendall(b"CONNECT c.test:443 HTTP/1.1\r\n\r\n")
            self.assertEqual(client.head(), OK)
            client.sendall(get(b"raw"))
            client.head()
            self.assertEqual(client.exactly(3), b"raw")
        self.assertEqual(self.lines(), [b"CONNECT %s HTTP/1.1" % target for target in
                                        (b"a.test:80", b"b.test:80", b"b.test:81", b"b.test:81",
                                         b"a.test:80", b"c.test:443")])
        for thread in self.threads:
            thread.join(SECONDS)
        self.assertEqual([tunnel.close_code for tunnel in self.tunnels], [1000] * 6)

    def test_tunnel_closed_while_idle_is_opened_anew_and_a_request_that_met_the_end_is_repeated(self):
        def once(tunnel):
            tunnel.send(OK)
            tunnel.head()
            tunnel.send(response(b"1"))
            tunnel.close()
            tunnel.end()

        def meets_the_end(tunnel):
            tunnel.send(OK)
            tunnel.head()
            tunnel.send(response(b"2"))
            tunnel.head()
            tunnel.close()
            tunnel.end()

        self.serve(once, meets_the_end, once)
        with Client(self.port) as client:
            for body in (b"1", b"2", b"1"):
                client.sendall(get(b"http://a.test/"))
                client.head()
                self.assertEqual(client.exactly(1), body)
        self.assertEqual(len(self.tunnels), 3)

        self.serve(meets_the_end)
        with Client(self.port) as client:
            client.sendall(get(b"http://a.test/"))
            client.head()
            client.exactly(1)
            client.sendall(get(b"http://a.test/", b"Content-Length: 1", method=b"POST") + b"x")
            self.assertTrue(client.head().startswith(b"HTTP/1.1 502 "))

    def test_connection_close_of_either_side_is_kept(self):
        def script(tunnel):
            tunnel.send(OK)
            tunnel.head()
            tunnel.send(response(b"", b"Connection: close"))
            tunnel.end()

        self.serve(script)
        with Client(self.port) as client:
            client.sendall(get(b"http://a.test/"))
            self.assertNotIn(b"close", client.head())
            client.sendall(get(b"http://a.test/", b"Connection: close"))
            self.assertIn(b"\r\nConnection: close\r\n", client.head())
            self.assertEqual(client.end(), (b"", False))
        self.assertEqual(len(self.tunnels), 2)

    # ---- WebSocket ----

    def test_after_101_bytes_go_both_ways_unread(self):
        def script(tunnel):
            tunnel.send(OK)
            head = tunnel.head()
            assert head.endswith(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), head
            tunnel.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        b"Connection: upgrade\r\n\r\nfirst\r\n\r\n")
            data = tunnel.exactly(200000)
            tunnel.send(data)
            tunnel.close()

        data = os.urandom(200000)
        self.serve(script)
        with Client(self.port) as client:
            client.sendall(get(b"http://a.test/ws", b"Connection: keep-alive, Upgrade",
                               b"Upgrade: websocket"))
            self.assertTrue(client.head().startswith(b"HTTP/1.1 101 "))
            self.assertEqual(client.exactly(9), b"first\r\n\r\n")
            sender = threading.Thread(target=client.sendall, args=(data,))
            sender.start()
            self.assertEqual(client.exactly(len(data)), data)
            sender.join()
            self.assertEqual(client.end(), (b"", False))

    def test_101_that_nobody_asked_for_is_502(self):
        def script(tunnel):
            tunnel.send(OK)
            tunnel.head()
            tunnel.send(b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            tunnel.end()

        self.serve(script)
        with Client(self.port) as client:
            client.sendall(get(b"http://a.test/"))
            self.assertTrue(client.head().startswith(b"HTTP/1.1 502 "))


if __name__ == "__main__":
    test_tunnel.EXEAT = sys.argv.pop(1)
    unittest.main()
