# SPDX-License-Identifier: Apache-2.0
"""The kinds of exchanges: what is asked, and what the answer must be. HTTP/1.1 and HTTP/2 alike."""
import asyncio
import base64
import hashlib
import json
import os

import content
import h1
from server import GUID, event_text
from stream import Cut

# What the gateway may answer to an exchange whose connections were hit.
GATEWAY_ERRORS = {408, 502, 503, 504}


class Wrong(Exception):
    """Bytes or an answer that no fault explains."""


class Refused(Exception):
    """An error that the gateway told."""


def size_draw(draw, most=22):
    """0 bytes to 4 MiB, small ones more often."""
    return draw.choice((0, 1)) if draw.random() < 0.05 else int(2 ** draw.uniform(0, most))


class Task:
    """One exchange on one channel. Each do_...() is true when the tunnel may go on."""

    def __init__(self, exchange, channel, draw, authority, plan):
        self.exchange = exchange
        self.channel = channel
        self.draw = draw
        self.authority = authority
        self.plan = plan
        self.fields = []

    # ---- parts ----

    async def ask(self, kind, length, *, method="GET", fields=(), framing=None):
        exchange = self.exchange
        exchange.path = f"/{kind}/{exchange.number}/{length}"
        exchange.sent = 0
        await self.channel.ask(method, self.authority, exchange.path, [*self.fields, *fields],
                               framing)

    async def answer(self, expected=200):
        status, fields = await self.channel.answer()
        self.exchange.status = status
        if status == expected:
            return fields
        reason = fields.get("exeat-reason")
        if status in GATEWAY_ERRORS and reason:
            raise Refused(f"{status} {reason}")
        raise Wrong(f"{status}, {fields}, instead of {expected}")

    async def receive(self, length, **options):
        """The content of message `number`, as it must be: whole, or a true beginning of it."""
        check = content.Check(self.exchange.number)
        try:
            await self.channel.content(check.add, **options)
        except (Cut, asyncio.CancelledError):
            if not check.is_prefix():
                raise Wrong(f"other bytes among the first {check.length} of {length}") from None
            raise
        if not check.is_whole(length):
            raise Wrong(f"complete with {check.length} of {length} bytes, "
                        f"prefix {check.is_prefix()}")
        self.exchange.received = check.length
        return True

    async def text(self):
        text = bytearray()
        await self.channel.content(text.extend)
        return bytes(text)

    async def write(self, length, is_odd):
        pieces = content.blocks(self.exchange.number, length)
        for piece in h1.odd_pieces(pieces, self.exchange.number) if is_odd else pieces:
            await self.channel.write(piece)
        await self.channel.finish()

    async def send(self, length, reply, *, is_odd=False):
        """Send a content while reply() reads the answer; what comes first is no matter."""
        writer = asyncio.ensure_future(self.write(length, is_odd))
        try:
            result = await reply()
            await writer
            self.exchange.sent = length
            return result
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    # ---- the kinds ----

    async def simple(self, kind, **options):
        length = size_draw(self.draw)
        await self.ask(kind, length)
        await self.answer()
        return await self.receive(length, **options)

    async def do_length(self):
        return await self.simple("length")

    async def do_chunked(self):
        return await self.simple("chunked")

    async def do_close(self):
        return await self.simple("close", until_end=True)

    async def do_refs(self):
        return await self.simple("refs")

    async def do_pack(self):
        length, small = size_draw(self.draw), self.draw.randrange(1, 2000)
        await self.ask("pack", length, method="POST", framing=small)

        async def reply():
            await self.answer()
            return await self.receive(length)

        return await self.send(small, reply)

    async def upload(self, framing, length):
        await self.ask("upload", length, method="POST", framing=framing)

        async def reply():
            await self.answer()
            text = await self.text()
            self.exchange.received = len(text)
            told = json.loads(text)
            if told != {"sha256": content.digest(self.exchange.number, length), "length": length}:
                raise Wrong(f"of {length} bytes the origin got {told}")
            return True

        return await self.send(length, reply, is_odd=framing == "chunked")

    async def do_upload(self):
        length = size_draw(self.draw)
        return await self.upload(length, length)

    async def do_upload_chunked(self):
        return await self.upload("chunked", size_draw(self.draw))

    async def echo(self, kind, fields=()):
        length = size_draw(self.draw, 20)
        await self.ask(kind, length, method="POST", framing="chunked", fields=fields)

        async def reply():
            await self.answer()
            return await self.receive(length)

        return await self.send(length, reply, is_odd=True)

    async def do_echo(self):
        return await self.echo("echo")

    async def do_grpc(self):
        await self.echo("grpc", [("Content-Type", "application/grpc"), ("TE", "trailers")])
        if self.channel.trailers.get("grpc-status") != "0":
            raise Wrong(f"a whole answer with the trailers {self.channel.trailers}")
        return True

    async def do_denied(self):
        await self.ask("denied", 0)
        fields = await self.answer(403)
        await self.text()
        self.exchange.received = 0  # the record counts what came from an origin
        if fields.get("exeat-reason") != "policy_denied":
            raise Wrong(f"403 {fields}")
        return fields.get("connection", "").lower() != "close"

    async def do_events(self):
        count = self.draw.randrange(1, 40)
        await self.ask("events", count)
        await self.answer()
        text = bytearray()
        number = self.exchange.number
        expected = b"".join(event_text(number, event) for event in range(count))
        try:
            await self.channel.content(text.extend)
        except Cut:
            if not expected.startswith(bytes(text)):
                raise Wrong("other events") from None
            raise
        if text != expected:
            raise Wrong(f"a complete stream of {len(text)} bytes instead of {len(expected)}")
        self.exchange.received = len(text)
        return True

    async def do_leave(self):
        """Go away in the middle of a download, without a word."""
        await self.ask("length", 1 << 20)
        await self.answer()
        self.exchange.sent = None  # how far it came is nobody's business
        return self.channel.leave()

    # ---- WebSocket ----

    async def do_socket(self):
        return await self.socket([size_draw(self.draw, 17)
                                  for _ in range(self.draw.randrange(1, 30))], 0)

    async def do_socket_long(self):
        return await self.socket([size_draw(self.draw, 12)
                                  for _ in range(self.draw.randrange(5, 20))], 3.0)

    async def socket(self, sizes, pause):
        stream, number = self.channel.stream, self.exchange.number
        key = base64.b64encode(os.urandom(16)).decode()
        await self.ask("socket", 0, fields=[
            ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key)])
        fields = await self.answer(101)
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        if fields.get("sec-websocket-accept") != accept:
            raise Wrong(f"accept {fields}")
        sent = received = 0
        for turn, size in enumerate([*sizes, 2]):
            is_last = turn == len(sizes)
            opcode = h1.CLOSE if is_last else h1.PING if size < 126 else h1.BINARY
            payload = b"\x03\xe8" if is_last else content.content(number + turn, size)
            message = h1.frame(opcode, payload, mask=True)
            await stream.write(message)
            got, back = await h1.read_frame(stream)
            if got != (h1.PONG if opcode == h1.PING else opcode) or back != payload:
                raise Wrong(f"message {turn}: {got} with {len(back)} bytes, not {size}")
            sent += len(message)
            received += len(message) - 4
            if pause and self.plan.is_going and not is_last:
                await asyncio.sleep(self.draw.uniform(0, pause))
        self.exchange.sent, self.exchange.received = sent, received
        return True
