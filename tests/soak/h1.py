# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 messages and WebSocket frames over a Stream, for both sides of the soak."""
import os
import random
import struct

from stream import Cut, Ended

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Malformed(Exception):
    """Bytes that no peer may send."""


async def read_head(stream):
    """(first line, {field in lower case: value})"""
    text = (await stream.read_until(b"\r\n\r\n")).decode("latin-1")
    first, *lines = text[:-4].split("\r\n")
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    return first, fields


async def read_body(stream, fields, take, *, until_end=False):
    """Give take() every piece of a content; returns only when all of it has come."""
    if fields.get("transfer-encoding", "").lower() == "chunked":
        await _read_chunks(stream, take)
    elif "content-length" in fields:
        left = int(fields["content-length"])
        while left > 0:
            piece = await _inside(stream.read_some(min(left, 1 << 16)))
            take(piece)
            left -= len(piece)
    elif until_end:
        try:
            while True:
                take(await stream.read_some())
        except Ended:
            pass


async def _inside(reading):
    """An end inside a content is a cut, however politely it is made."""
    try:
        return await reading
    except Ended as end:
        raise Cut(f"{end} inside a content") from None


async def _read_chunks(stream, take):
    while True:
        line = await _inside(stream.read_until(b"\r\n", 256))
        try:
            left = int(line.split(b";")[0], 16)
        except ValueError:
            raise Malformed(f"chunk size {line!r}") from None
        is_last = left == 0
        while left > 0:
            piece = await _inside(stream.read_some(min(left, 1 << 16)))
            take(piece)
            left -= len(piece)
        tail = await _inside(stream.read_exactly(2))
        if tail != b"\r\n":
            raise Malformed(f"a chunk ends with {tail!r}")
        if is_last:
            return


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


class Channel:
    """A request and its response, one after the other on a stream. h2stream.Channel is the same."""

    version = "h1"

    def __init__(self, stream):
        self.stream = stream
        self.fields = {}
        self.is_chunked = False
        self.trailers = {}

    # ---- a client's ----

    async def ask(self, method, authority, path, fields=(), length=None):
        """`length` of the content: None for none, "chunked" for one that is not known."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {authority}",
                 *(f"{name}: {value}" for name, value in fields), *self._framing(length)]
        await self.stream.write("\r\n".join(lines).encode() + b"\r\n\r\n")

    def _framing(self, length):
        self.is_chunked = length == "chunked"
        if self.is_chunked:
            return ["Transfer-Encoding: chunked"]
        return [] if length is None else [f"Content-Length: {length}"]

    async def answer(self):
        first, self.fields = await read_head(self.stream)
        return int(first.split(" ")[1]), self.fields

    # ---- a server's ----

    async def request(self):
        first, self.fields = await read_head(self.stream)
        method, path, _ = first.split(" ")
        return method, path, self.fields

    async def respond(self, fields, length):
        """200. `length` None: until the connection ends."""
        framing = self._framing(length) or ["Connection: close"]
        lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in fields), *framing]
        await self.stream.write("\r\n".join(lines).encode() + b"\r\n\r\n")

    # ---- contents ----

    async def write(self, piece):
        await self.stream.write(chunk(piece) if self.is_chunked else piece)

    async def finish(self):
        if self.is_chunked:
            await self.stream.write(b"0\r\n\r\n")

    async def content(self, take, *, until_end=False):
        await read_body(self.stream, self.fields, take, until_end=until_end)

    def leave(self):
        """Away, in the middle. False: the connection is gone with it."""
        self.stream.abort()
        return False

    def drop(self):
        """The exchange is over."""


# ---- WebSocket ----

def frame(opcode, payload, *, mask):
    size = len(payload)
    bit = 128 if mask else 0
    if size < 126:
        head = struct.pack(">BB", 128 | opcode, bit | size)
    elif size < 65536:
        head = struct.pack(">BBH", 128 | opcode, bit | 126, size)
    else:
        head = struct.pack(">BBQ", 128 | opcode, bit | 127, size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + unmask(payload, key)


def unmask(payload, key):
    """Masking is its own inverse."""
    size = len(payload)
    repeated = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(payload, "big") ^ repeated).to_bytes(size, "big")


async def read_frame(stream):
    """(opcode, payload), unmasked. Nobody here sends fragments."""
    first, second = await stream.read_exactly(2)
    if first & 0x70 or not first & 0x80:
        raise Malformed(f"frame begins with {first:#x}")
    size = second & 127
    if size == 126:
        size, = struct.unpack(">H", await _inside(stream.read_exactly(2)))
    elif size == 127:
        size, = struct.unpack(">Q", await _inside(stream.read_exactly(8)))
    if size > 1 << 24:
        raise Malformed(f"frame of {size} bytes")
    key = await _inside(stream.read_exactly(4)) if second & 128 else None
    payload = await _inside(stream.read_exactly(size))
    return first & 15, unmask(payload, key) if key else payload


def odd_pieces(pieces, seed):
    """Cut pieces at odd places, as no implementation would by itself."""
    draw = random.Random(seed)
    for piece in pieces:
        at = 0
        while at < len(piece):
            size = draw.choice((1, 7, 100, 1460, 4096, 16384, 30000, 65536))
            yield piece[at:at + size]
            at += size
