# SPDX-License-Identifier: Apache-2.0
"""The WebSocket engine as a program (tests/tools/ws-echo), against the package `websockets` in both
roles and against bytes that no library would send: threats I1-I4, I5 and I8."""
import asyncio
import base64
import contextlib
import hashlib
import os
import pathlib
import socket
import struct
import subprocess

import pytest
import websockets

PROGRAM = pathlib.Path(os.environ.get("EXEAT_BUILD", "build")) / "tests/tools/ws-echo"
LIMIT = 2_000_000
MASK = b"\x11\x22\x33\x44"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
DEADLINE = 20


@pytest.fixture(scope="module")
def port():
    """The port of a running echo server."""
    with subprocess.Popen([PROGRAM, "server", "--port", "0", "--limit", str(LIMIT)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        try:
            yield int(child.stdout.readline().rsplit(b":", 1)[1])
            assert child.poll() is None, child.stderr.read()
        finally:
            child.terminate()
            child.communicate(timeout=DEADLINE)


def masked(payload, mask=MASK):
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def frame(first, payload=b"", mask=MASK):
    """One frame with the shortest length there is."""
    size = len(payload)
    bit = 0x80 if mask else 0
    if size < 126:
        length = bytes([bit | size])
    elif size < 65536:
        length = bytes([bit | 126]) + struct.pack(">H", size)
    else:
        length = bytes([bit | 127]) + struct.pack(">Q", size)
    return bytes([first]) + length + (mask + masked(payload, mask) if mask else payload)


class Wire:
    """A connection on which frames are written and read byte by byte."""

    def __init__(self, sock, masks):
        self.sock = sock
        self.masks = masks  # what comes must be masked
        self.data = b""
        sock.settimeout(DEADLINE)

    def send(self, data):
        # A peer that has refused may have closed while the rest is written.
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(data)

    def read(self, count):
        while len(self.data) < count:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError(self.data)
            self.data += more
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def head(self):
        while b"\r\n\r\n" not in self.data:
            more = self.sock.recv(65536)
            assert more, self.data
            self.data += more
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        return head.decode()

    def next(self):
        """(first byte, payload) of the next frame; the shortest length is demanded."""
        first, second = self.read(2)
        size = second & 0x7f
        if size == 126:
            size, = struct.unpack(">H", self.read(2))
            assert size >= 126
        elif size == 127:
            size, = struct.unpack(">Q", self.read(8))
            assert size >= 65536
        assert bool(second & 0x80) == self.masks
        mask = self.read(4) if self.masks else b""
        payload = self.read(size)
        return first, masked(payload, mask) if mask else payload

    def message(self):
        """(opcode, payload) of the next message, put together from its frames."""
        first, payload = self.next()
        opcode = first & 15
        while not first & 0x80:
            first, more = self.next()
            assert first & 15 == 0
            payload += more
        return opcode, payload

    def close_code(self):
        """The code of the close frame, whatever parts of a message come before it; then the end."""
        while True:
            first, payload = self.next()
            if first == 0x88:
                break
            assert first & 15 in (0, 1, 2)
        assert self.data == b"" and self.sock.recv(1) == b""
        return struct.unpack(">H", payload[:2])[0] if payload else 1005


@contextlib.contextmanager
def client(port, more=""):
    """A raw client behind its handshake."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as sock:
        wire = Wire(sock, masks=False)
        wire.send(f"GET /echo HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                  f"Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n"
                  f"Sec-WebSocket-Version: 13\r\n{more}\r\n".encode())
        wire.answer = wire.head()
        assert wire.answer.startswith("HTTP/1.1 101 ")
        yield wire


@contextlib.contextmanager
def server(*arguments):
    """ws-echo as a client, met by a raw server behind its handshake."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/case?n=1"
        with subprocess.Popen([PROGRAM, "client", url, "--limit", str(LIMIT), *arguments],
                              stderr=subprocess.PIPE) as child:
            try:
                sock, _ = listener.accept()
                with sock:
                    wire = Wire(sock, masks=True)
                    wire.request = wire.head()
                    key = next(line.split(": ")[1] for line in wire.request.split("\r\n")
                               if line.startswith("Sec-WebSocket-Key"))
                    accept = base64.b64encode(hashlib.sha1(
                        f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
                    wire.send(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                              f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
                              .encode())
                    yield wire
                wire.status = child.wait(DEADLINE)
            finally:
                child.kill()


# ---- The package `websockets`, both roles ----

def messages():
    for size in (0, 1, 2, 125, 126, 127, 1000, 65535, 65536, 65537, 300_000, 1 << 20):
        yield bytes(i * 31 & 255 for i in range(min(size, 5000))).ljust(size, b"\x80")
        yield ("tüx€𝄞" * (size // 13 + 1))[:size]


async def talk(peer):
    """Everything that a peer of ours must send back."""
    for message in messages():
        await peer.send(message)
        assert await peer.recv() == message
    for parts in (["a", "", "b€"], [b"\xff", b"", b"\x00" * 70_000], ["", ""]):
        await peer.send(parts)
        assert await peer.recv() == ("" if isinstance(parts[0], str) else b"").join(parts)
    for i in range(50):
        pong = await peer.ping(os.urandom(i * 125 // 49))
        await asyncio.wait_for(pong, DEADLINE)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_client_gets_back_what_it_sends(port, compression):
    """Threat I8: permessage-deflate may be offered and is not taken."""
    async def session():
        async with websockets.connect(f"ws://127.0.0.1:{port}/", max_size=None,
                                      compression=compression) as peer:
            assert peer.extensions == []
            await talk(peer)
            await peer.close(1000, "done")
            assert peer.close_code == 1000
    asyncio.run(asyncio.wait_for(session(), 60))


def test_a_server_gets_back_what_it_sends():
    async def session():
        done = asyncio.get_running_loop().create_future()

        async def handler(peer):
            try:
                assert peer.path == "/case?n=1&agent=exeat"
                await talk(peer)
                await peer.close(1000)
                done.set_result(peer.close_code)
            except BaseException as error:
                done.set_exception(error)
                raise

        async with websockets.serve(handler, "127.0.0.1", 0, max_size=None) as service:
            number = service.sockets[0].getsockname()[1]
            child = await asyncio.create_subprocess_exec(
                PROGRAM, "client", f"ws://127.0.0.1:{number}/case?n=1", "--agent", "exeat")
            assert await done == 1000
            assert await child.wait() == 0
    asyncio.run(asyncio.wait_for(session(), 60))


def test_pings_between_and_within_messages_are_answered_at_once(port):
    with client(port) as wire:
        wire.send(frame(0x01, b"ab") + frame(0x89, b"one") + frame(0x00, b"cd") +
                  frame(0x89) + frame(0x8a, b"unasked") + frame(0x80, b"ef"))
        frames = [wire.next() for _ in range(5)]
        assert [seen for seen in frames if seen[0] & 15 == 10] == [(0x8a, b"one"), (0x8a, b"")]
        assert b"".join(payload for first, payload in frames if first & 15 != 10) == b"abcdef"


def test_a_message_longer_than_all_buffers_streams(port):
    """Threat I2: no whole-message buffer; what is sent back comes before the message ends."""
    with client(port) as wire:
        got = b""
        opcode = 0x02
        for i in range(64):
            wire.send(frame(opcode, bytes([i]) * 100_000))
            opcode = 0x00
            while len(got) < (i + 1) * 100_000:
                first, payload = wire.next()
                assert not first & 0x80
                got += payload
        wire.send(frame(0x80))
        assert wire.next() == (0x80, b"")
        assert got == b"".join(bytes([i]) * 100_000 for i in range(64))


# ---- Closing ----

GOOD_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
              4000, 4999]
BAD_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize("code", GOOD_CODES)
def test_a_close_is_answered_with_its_code(port, code):
    with client(port) as wire:
        wire.send(frame(0x88, struct.pack(">H", code) + "gründe".encode()))
        assert wire.close_code() == code


@pytest.mark.parametrize("code", BAD_CODES)
def test_a_close_code_that_may_not_be_sent_is_1002(port, code):
    with client(port) as wire:
        wire.send(frame(0x88, struct.pack(">H", code)))
        assert wire.close_code() == 1002


def test_a_close_without_code_is_answered_by_one(port):
    with client(port) as wire:
        wire.send(frame(0x88))
        assert wire.close_code() == 1005


def test_nothing_after_a_close_is_delivered(port):
    """Threat I4."""
    with client(port) as wire:
        wire.send(frame(0x88, b"\x03\xe8") + frame(0x81, b"late") + frame(0x88, b"\x03\xe9"))
        assert wire.close_code() == 1000


def test_a_close_of_one_byte_is_1002(port):
    with client(port) as wire:
        wire.send(frame(0x88, b"\x03"))
        assert wire.close_code() == 1002


def test_a_close_reason_that_is_not_utf8_is_1007(port):
    """Threat I5."""
    with client(port) as wire:
        wire.send(frame(0x88, b"\x03\xe8ok\xff"))
        assert wire.close_code() == 1007


def test_the_client_waits_for_the_server_to_end():
    with server() as wire:
        wire.send(frame(0x81, b"hi", mask=None))
        assert wire.message() == (1, b"hi")
        wire.send(frame(0x88, b"\x03\xe8", mask=None))
        assert wire.next() == (0x88, b"\x03\xe8")
    assert wire.status == 0


def test_the_client_says_that_a_server_went_without_a_close():
    with server() as wire:
        wire.send(frame(0x01, b"cut", mask=None))
        assert wire.next() == (0x01, b"cut")
    assert wire.status == 1


# ---- Text ----

SEQUENCES = [b"\x80", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xf0\x8f\xbf\xbf",
             b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xff", b"\xe2\x82\x41", b"\xf0\x9d\x84\x41"]


@pytest.mark.parametrize("bad", SEQUENCES, ids=lambda bad: bad.hex())
def test_text_that_is_not_utf8_is_1007_wherever_it_stands(port, bad):
    for at in range(6):
        good = "aß€𝄞b".encode()
        cut = ["", "a", "aß", "aß€", "aß€𝄞", "aß€𝄞b"][at].encode()
        text = cut + bad + good
        for pieces in ([text], [text[i:i + 1] for i in range(len(text))]):
            with client(port) as wire:
                data = b"".join(frame((0x01 if i == 0 else 0) | (0x80 if i + 1 == len(pieces) else 0),
                                      piece) for i, piece in enumerate(pieces))
                wire.send(data)
                assert wire.close_code() == 1007


def test_text_that_goes_wrong_is_refused_before_its_frame_ends(port):
    with client(port) as wire:
        wire.send(frame(0x81, b"ok" + b"\xff" + b"x" * 1000)[:20])
        assert wire.close_code() == 1007


def test_text_that_ends_within_a_character_is_1007(port):
    with client(port) as wire:
        wire.send(frame(0x01, "€".encode()[:2]) + frame(0x80))
        assert wire.close_code() == 1007


def test_a_character_may_be_cut_by_frames_and_binary_is_not_read(port):
    with client(port) as wire:
        wire.send(b"".join(frame(first, bytes([byte])) for first, byte in
                           zip((0x01, 0, 0, 0x80), "𝄞".encode())))
        assert wire.message() == (1, "𝄞".encode())
        wire.send(frame(0x82, b"\xff\x00\x80"))
        assert wire.message() == (2, b"\xff\x00\x80")


# ---- Frames that are wrong: refused within the head (threat I1) ----

def length_head(first, length):
    return bytes([first]) + length + MASK


BAD_FRAMES = {
    **{f"rsv{bit:02x}": bytes([0x80 | bit | 2]) for bit in (0x10, 0x20, 0x40, 0x70)},
    **{f"opcode{code}": bytes([0x80 | code]) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "unmasked": frame(0x82, b"x", mask=None),
    "high_bit": length_head(0x82, b"\xff" + b"\x80" + bytes(7)),
    "length_16_of_125": length_head(0x82, b"\xfe\x00\x7d"),
    "length_16_of_0": length_head(0x82, b"\xfe\x00\x00"),
    "length_64_of_65535": length_head(0x82, b"\xff" + struct.pack(">Q", 65535)),
    "length_64_of_1": length_head(0x82, b"\xff" + struct.pack(">Q", 1)),
    "ping_of_126": b"\x89\xfe\x00\x7e",
    "ping_in_parts": frame(0x09, b"x"),
    "close_in_parts": frame(0x08),
    "continuation_of_nothing": frame(0x80, b"x"),
    "text_within_text": frame(0x01, b"x") + frame(0x81, b"y"),
    "binary_within_text": frame(0x01, b"x") + frame(0x02, b"y"),
}


@pytest.mark.parametrize("data", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_a_frame_that_is_wrong_is_1002(port, data):
    for pieces in ([data], [data[i:i + 1] for i in range(len(data))]):
        with client(port) as wire:
            for piece in pieces:
                wire.send(piece)
            assert wire.close_code() == 1002


def test_a_frame_over_the_limit_is_1009_within_its_head(port):
    """Threat I3: at the limit it passes, one byte more is refused with nothing of it read."""
    with client(port) as wire:
        wire.send(length_head(0x82, b"\xff" + struct.pack(">Q", LIMIT + 1)))
        assert wire.close_code() == 1009
    with client(port) as wire:
        payload = os.urandom(1000) * (LIMIT // 1000)
        wire.send(frame(0x82, b"\x00" * LIMIT)[:-LIMIT] + masked(payload))
        assert wire.message() == (2, payload)


@pytest.mark.parametrize("data,code", [
    (frame(0x82, b"x"), 1002), (frame(0x8b, mask=None), 1002), (frame(0xc2, mask=None), 1002),
    (b"\x82\x7e\x00\x01", 1002), (b"\x82\x7f" + struct.pack(">Q", LIMIT + 1), 1009),
    (frame(0x81, b"\xff", mask=None), 1007), (frame(0x88, b"\x03\xed", mask=None), 1002),
], ids=["masked", "opcode11", "rsv1", "length_16_of_1", "over_limit", "not_utf8", "code1005"])
def test_the_client_refuses_frames_that_are_wrong(data, code):
    with server() as wire:
        wire.send(data)
        assert wire.close_code() == code
    assert wire.status == 1


# ---- The handshake ----

def test_an_extension_is_not_taken(port):
    """Threat I8."""
    with client(port, "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                      "Sec-WebSocket-Protocol: chat\r\n") as wire:
        assert "sec-websocket-extensions" not in wire.answer.lower()
        assert "sec-websocket-protocol" not in wire.answer.lower()


@pytest.mark.parametrize("lines,status", [
    (["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}"], 426),
    (["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: short",
      "Sec-WebSocket-Version: 13"], 400),
    (["Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13"], 426),
    (["Bad header: x"], 400),
])
def test_a_request_that_is_no_upgrade_is_refused(port, lines, status):
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as sock:
        wire = Wire(sock, masks=False)
        wire.send("\r\n".join(["GET / HTTP/1.1", "Host: a", *lines, "", ""]).encode())
        assert wire.head().startswith(f"HTTP/1.1 {status} ")
        assert sock.recv(1) == b""


def test_the_server_ends_after_one_connection_if_asked():
    with subprocess.Popen([PROGRAM, "server", "--port", "0", "--once"],
                          stdout=subprocess.PIPE) as child:
        number = int(child.stdout.readline().rsplit(b":", 1)[1])
        with client(number) as wire:
            wire.send(frame(0x88, b"\x03\xe8"))
            assert wire.close_code() == 1000
        assert child.wait(DEADLINE) == 0


def test_help_tells_what_it_does():
    for arguments, status in (["--help"], 0), ([], 2), (["client"], 2), (["client", "http://a/"], 1):
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, timeout=DEADLINE,
                              check=False)
        assert done.returncode == status
        assert b"ws-echo" in done.stdout + done.stderr
