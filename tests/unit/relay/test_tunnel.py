#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real relay against a gateway made of sockets: protocol.md byte for byte, and every way to break.

usage: test_tunnel.py EXEAT [keepalive]
"""
import base64
import hashlib
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

EXEAT = ""
# docs/protocol.md section 4
HELLO = bytes.fromhex(
    "0a4d434f4e4e454354206578616d706c652e636f6d3a34343320485454502f312e310d0a50726f78792d417574"
    "686f72697a6174696f6e3a2042617369632059334e6c587a4536644739720d0a0d0a")
CONNECT = b"CONNECT example.com:443 HTTP/1.1\r\nHost: dropped.example\r\n\r\n"
OK = b"HTTP/1.1 200 Connection Established\r\n\r\n"


def frame(opcode, payload):
    assert len(payload) < 126
    return bytes([0x80 | opcode, len(payload)]) + payload


def chunk(payload):
    return b"\x0a" + bytes([len(payload)]) + payload


def accept_of(head):
    key = [l.split(b": ")[1] for l in head.split(b"\r\n") if l.startswith(b"Sec-WebSocket-Key")][0]
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n")


def exactly(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def read_frame(sock):
    first, second = exactly(sock, 2)
    assert second & 0x80, "a client's frame must be masked"
    size = second & 0x7F
    if size == 126:
        size = struct.unpack(">H", exactly(sock, 2))[0]
    elif size == 127:
        size = struct.unpack(">Q", exactly(sock, 8))[0]
    mask = exactly(sock, 4)
    return first & 15, bytes(b ^ mask[i % 4] for i, b in enumerate(exactly(sock, size)))


def read_head(sock):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(sock, 1)
    return head


class Gateway:
    """One listening socket; `script(sock, head)` decides what happens to an upgrade."""

    def __init__(self, ca):
        self.ca, self.script, self.upgrades = ca, None, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            sock = self.listener.accept()[0]
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            head = read_head(sock)
            if head.startswith(b"GET /v1/ca-cert "):
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                             % (len(self.ca), self.ca))
            else:
                self.upgrades += 1
                self.script(sock, head)
        except (EOFError, OSError):
            pass
        finally:
            sock.close()


def start_relay(folder, gateway, *options):
    token = os.path.join(folder, "token")
    with open(os.open(token, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write("tok\n")
    env = {"PATH": os.environ["PATH"], "HOME": folder, "EXEAT_REMOTE": "1", "EXEAT_ENABLED": "1"}
    relay = subprocess.Popen(
        [EXEAT, "relay", "--session-id", "cse_1", "--token-file", token, "--state-dir", folder,
         "--gateway", "http://127.0.0.1:%d" % gateway.port, "--log", "error", *options],
        stdout=subprocess.PIPE, text=True, env=env)
    line = relay.stdout.readline()
    assert line.startswith("listening on 127.0.0.1:"), line
    assert not os.path.exists(token), "the token file must be gone before the port is told"
    return relay, int(line.rsplit(":", 1)[1])


def drain(sock):
    """All bytes, and whether the end was a reset."""
    data = b""
    try:
        while True:
            piece = sock.recv(65536)
            if not piece:
                return data, False
            data += piece
    except ConnectionResetError:
        return data, True


class Tunnel(unittest.TestCase):
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
        cls.relay, cls.port = start_relay(cls.folder.name, cls.gateway)

    @classmethod
    def tearDownClass(cls):
        cls.relay.send_signal(signal.SIGTERM)
        assert cls.relay.wait(15) == 0
        cls.relay.stdout.close()
        cls.folder.cleanup()

    def dial(self, data=CONNECT):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        sock.sendall(data)
        return sock

    def answer(self, script, data=CONNECT):
        ended = threading.Event()

        def wrapped(sock, head):
            try:
                script(sock, head)
            finally:
                ended.set()

        self.gateway.script, self.gateway.upgrades = wrapped, 0
        with self.dial(data) as sock:
            result = drain(sock)
        self.assertTrue(ended.wait(5))
        return result

    def test_hello_is_the_vector_of_the_protocol_and_early_bytes_follow_in_order(self):
        seen = {}

        def script(sock, head):
            seen["head"] = head
            time.sleep(0.2)
            sock.sendall(accept_of(head))
            seen["frames"] = [read_frame(sock) for _ in range(2)]
            sock.sendall(frame(2, chunk(OK)) + frame(9, b"p") + frame(1, b"text") + frame(2, b"")
                         + frame(2, chunk(b"down")))
            seen["pong"] = read_frame(sock)
            sock.sendall(frame(8, b"\x03\xe8"))

        data, was_reset = self.answer(script, CONNECT + b"early")
        self.assertEqual(data, OK + b"down")
        self.assertFalse(was_reset)
        self.assertEqual(seen["frames"], [(2, HELLO), (2, b"\x0a\x05early")])
        self.assertEqual(seen["pong"], (10, b"p"))
        self.assertTrue(seen["head"].startswith(b"GET /v1/tunnel HTTP/1.1\r\n"))
        self.assertIn(b"\r\nAuthorization: Bearer tok\r\n", seen["head"])
        self.assertIn(b"\r\nContent-Type: application/proto\r\n", seen["head"])
        self.assertNotIn(b"Sec-WebSocket-Protocol", seen["head"])
        self.assertNotIn(b"Sec-WebSocket-Extensions", seen["head"])

    @unittest.skipUnless("keepalive" in sys.argv, "takes 30 s: a run of its own")
    def test_the_relay_keeps_a_tunnel_alive_from_its_opening_on(self):
        seen = {}

        def script(sock, head):
            sock.sendall(accept_of(head))
            opened = time.monotonic()
            read_frame(sock)
            sock.sendall(frame(2, chunk(OK)))
            seen["frame"] = read_frame(sock)
            seen["seconds"] = time.monotonic() - opened
            sock.sendall(frame(8, b"\x03\xe8"))

        self.gateway.script = script
        with self.dial() as sock:
            sock.settimeout(45)
            self.assertEqual(drain(sock), (OK, False))
        self.assertEqual(seen["frame"], (2, b"\x0a\x00"))
        self.assertGreater(seen["seconds"], 25)

    def test_refusals_are_final_and_failures_are_tried_three_times(self):
        for status, shown, tries in ((401, b"502", 1), (403, b"502", 1), (415, b"502", 1),
                                     (500, b"502", 3), (503, b"503", 3)):
            def script(sock, head, status=status):
                sock.sendall(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % status)

            data, was_reset = self.answer(script)
            self.assertTrue(data.startswith(b"HTTP/1.1 " + shown), data)
            self.assertIn(b"\r\nExeat-Reason: ", data)
            self.assertFalse(was_reset)
            self.assertEqual(self.gateway.upgrades, tries, status)

    def test_wrong_accept_key_is_502_and_no_hello_is_sent(self):
        seen = {}

        def script(sock, head):
            sock.sendall(accept_of(head).replace(b"Accept: ", b"Accept: AAAA"))
            seen["after"] = sock.recv(10)

        data, _ = self.answer(script)
        self.assertTrue(data.startswith(b"HTTP/1.1 502 "), data)
        self.assertEqual(seen["after"], b"")

    def test_malformed_chunk_closes_with_1002(self):
        for bad in (b"\x0b\x00", b"\x0a\x05ab", b"\x0a\x01ab", b"\x0a\x80\x00"):
            seen = {}

            def script(sock, head, bad=bad, seen=seen):
                sock.sendall(accept_of(head))
                read_frame(sock)
                sock.sendall(frame(2, bad))
                seen["close"] = read_frame(sock)

            data, was_reset = self.answer(script)
            self.assertEqual(seen["close"], (8, b"\x03\xea"), bad)
            self.assertTrue(was_reset or data.startswith(b"HTTP/1.1 502 "), (bad, data))

    def test_gateway_lost_after_any_byte_is_an_answer_or_a_reset_never_a_clean_end(self):
        tail = frame(2, chunk(OK)) + frame(2, chunk(b"payload"))
        failures = []

        def cut(sock, head):
            # the client says in its target where to cut
            sock.sendall(accept_of(head))
            where = int(read_frame(sock)[1].split(b":")[1].split(b" ")[0]) - 1
            sock.sendall(tail[:where])

        self.gateway.script = cut

        def one(where):
            with self.dial(b"CONNECT a:%d HTTP/1.1\r\n\r\n" % (where + 1)) as sock:
                data, was_reset = drain(sock)
            if where <= 4:
                good = data.startswith(b"HTTP/1.1 502 ") and not was_reset
            else:
                good = was_reset and (OK + b"payload").startswith(data)
            if not good:
                failures.append((where, data, was_reset))

        threads = [threading.Thread(target=one, args=(i,)) for i in range(len(tail) + 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_upgrade_cut_at_any_byte_is_502(self):
        size = len(accept_of(b"Sec-WebSocket-Key: " + b"A" * 24 + b"\r\n"))
        for where in range(0, size, 16):
            def script(sock, head, where=where):
                sock.sendall(accept_of(head)[:where])

            data, _ = self.answer(script)
            self.assertTrue(data.startswith(b"HTTP/1.1 502 "), (where, data))

    def test_bad_requests_are_answered(self):
        for data, shown in ((b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 405 "),
                            (b"CONNECT a:1 HTTP/1.1\n\n", b"HTTP/1.1 400 "),
                            (b"\x16\x03\x01\x02\x00", b"HTTP/1.1 400 "),
                            (b"x" * 8193, b"HTTP/1.1 400 "), (b"\x05\x01\x00", b"\x05\xff"),
                            (b"\x04\x01\x00\x50", b"\x00\x5b")):
            with self.dial(data) as sock:
                self.assertTrue(drain(sock)[0].startswith(shown), data[:20])

    def test_client_that_half_closes_still_gets_everything(self):
        def script(sock, head):
            sock.sendall(accept_of(head))
            read_frame(sock)
            sock.sendall(frame(2, chunk(OK)))
            assert read_frame(sock) == (2, b"\x0a\x04last")
            time.sleep(0.5)
            sock.sendall(frame(2, chunk(b"answer")) + frame(8, b"\x03\xe8"))
            read_frame(sock)

        self.gateway.script = script
        with self.dial() as sock:
            self.assertEqual(exactly(sock, len(OK)), OK)
            sock.sendall(b"last")
            sock.shutdown(socket.SHUT_WR)
            self.assertEqual(drain(sock), (b"answer", False))

    def test_killed_workers_cost_no_refused_connection(self):
        """Threat L4."""
        def script(sock, head):
            sock.sendall(accept_of(head))
            read_frame(sock)
            sock.sendall(frame(2, chunk(OK)))
            read_frame(sock)

        self.gateway.script = script
        refused, good, stop = [], [], threading.Event()

        def load():
            while not stop.is_set():
                try:
                    with self.dial() as sock:
                        if sock.recv(100):
                            good.append(1)
                except ConnectionRefusedError as error:
                    refused.append(error)
                except OSError:
                    pass

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        last = 0
        for _ in range(20):
            worker = last
            while worker == last:
                with open("/proc/%d/task/%d/children" % (self.relay.pid, self.relay.pid)) as file:
                    worker = int((file.read().split() or [last])[0])
                time.sleep(0.01)
            time.sleep(0.05)
            os.kill(worker, signal.SIGKILL)
            last = worker
        time.sleep(0.5)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(refused, [])
        self.assertGreater(len(good), 20)

    def test_token_is_in_no_command_line(self):
        """Threat F5."""
        pids = [self.relay.pid]
        with open("/proc/%d/task/%d/children" % (self.relay.pid, self.relay.pid)) as file:
            pids += [int(pid) for pid in file.read().split()]
        for pid in pids:
            with open("/proc/%d/cmdline" % pid, "rb") as file:
                self.assertNotIn(b"tok\0", file.read())


if __name__ == "__main__":
    EXEAT = sys.argv.pop(1)
    if sys.argv[1:] == ["keepalive"]:
        sys.argv[1] = "Tunnel.test_the_relay_keeps_a_tunnel_alive_from_its_opening_on"
    unittest.main()
