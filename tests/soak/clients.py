# SPDX-License-Identifier: Apache-2.0
"""What a slot does, one thing after the other: a tunnel, and exchanges of every kind in it."""
import asyncio
import base64
import hashlib
import json
import os
import random

import content
import h1
import ledger
from server import GUID, event_text
from stream import Cut, Ended, connect

DEADLINE = 60.0
# What the gateway may answer to an exchange whose connections were hit.
GATEWAY_ERRORS = {408, 502, 503, 504}


class Wrong(Exception):
    """Bytes or an answer that no fault explains."""


class Refused(Exception):
    """An error that the gateway told."""


class Plan:
    """What all slots share."""

    def __init__(self, seed, context, origin_port, relay_ports, books):
        self.seed = seed
        self.context = context
        self.origin_port = origin_port
        self.relay_ports = relay_ports  # by slot
        self.books = books
        self.is_going = True


def size_draw(draw, most=22):
    """0 bytes to 4 MiB, small ones more often."""
    return draw.choice((0, 1)) if draw.random() < 0.05 else int(2 ** draw.uniform(0, most))


class Slot:
    KINDS = {  # in a tunnel that goes on; how often
        "length": 30, "chunked": 14, "upload": 10, "upload-chunked": 8, "echo": 8, "denied": 4,
        "events": 4, "pack": 6}
    LAST = {  # that end their tunnel
        "close": 6, "socket": 10, "socket-long": 1, "leave": 4}

    def __init__(self, plan, index):
        self.plan = plan
        self.index = index
        self.draw = random.Random(f"{plan.seed}/slot/{index}")
        self.host = f"s{index}.soak.test"
        self.authority = f"{self.host}:{plan.origin_port}"

    async def run(self):
        while self.plan.is_going:
            if self.draw.random() < 0.05:
                await self.burst()
            else:
                await self.tunnel(self.draw.randrange(1, 12))

    async def burst(self):
        """As "git fetch" with submodules: some tunnels at once, refs and then a pack in each."""
        await asyncio.gather(*(self.tunnel(2, kinds=("refs", "pack")) for _ in range(4)))

    # ---- a tunnel ----

    async def open(self):
        stream = await connect("127.0.0.1", self.plan.relay_ports[self.index])
        try:
            await stream.write(f"CONNECT {self.authority} HTTP/1.1\r\n"
                               f"Host: {self.authority}\r\n\r\n".encode())
            first, fields = await h1.read_head(stream)
            if not first.startswith("HTTP/1.1 200"):
                if int(first.split(" ")[1]) not in GATEWAY_ERRORS:
                    raise Wrong(f"CONNECT: {first} {fields}")
                raise Refused(f"{first} {fields.get('exeat-reason')}")
            await stream.start_tls(self.plan.context, self.host)
        except BaseException:
            stream.abort()
            raise
        return stream

    async def tunnel(self, count, kinds=None):
        stream = await self.attempt("tunnel", lambda _: self.open())
        if stream is None:
            await asyncio.sleep(0.05)
            return
        for position in range(count):
            if kinds is not None:
                kind = kinds[position % len(kinds)]
            elif position == count - 1:
                kind = self.pick(self.LAST)
            else:
                kind = self.pick(self.KINDS)
            name, step = kind, getattr(self, "do_" + kind.replace("-", "_"))
            if not await self.attempt(name, lambda exchange: step(stream, exchange)):
                stream.abort()
                return
            if not self.plan.is_going:
                break
        stream.close()

    def pick(self, table):
        return self.draw.choices(list(table), list(table.values()))[0]

    async def attempt(self, kind, step):
        """What step() returned, None when it failed; either way it is in the books."""
        books = self.plan.books
        exchange = books.begin(kind, self.index)
        try:
            result = await asyncio.wait_for(step(exchange), DEADLINE)
            books.finish(exchange, ledger.OK)
            return result
        except (Cut, Ended, Refused) as error:
            books.finish(exchange, ledger.FAILED, f"{type(error).__name__}: {error}")
        except (Wrong, h1.Malformed) as error:
            books.finish(exchange, ledger.WRONG, str(error))
        except asyncio.TimeoutError:
            books.finish(exchange, ledger.HUNG, f"nothing for {DEADLINE} s")
        return None

    # ---- parts of an exchange ----

    async def ask(self, stream, exchange, kind, length, *, method="GET", fields=()):
        exchange.path = f"/{kind}/{exchange.number}/{length}"
        exchange.sent = 0
        lines = [f"{method} {exchange.path} HTTP/1.1", f"Host: {self.authority}", *fields]
        await stream.write("\r\n".join(lines).encode() + b"\r\n\r\n")

    @staticmethod
    async def answer(stream, exchange, expected=200):
        first, fields = await h1.read_head(stream)
        exchange.status = int(first.split(" ")[1])
        if exchange.status == expected:
            return fields
        reason = fields.get("exeat-reason")
        if exchange.status in GATEWAY_ERRORS and reason:
            raise Refused(f"{exchange.status} {reason}")
        raise Wrong(f"{first}, {reason}, instead of {expected}")

    @staticmethod
    async def receive(stream, exchange, fields, length, **options):
        """The content of message `number`, as it must be: whole, or a true beginning of it."""
        check = content.Check(exchange.number)
        try:
            await h1.read_body(stream, fields, check.add, **options)
        except (Cut, asyncio.CancelledError):
            if not check.is_prefix():
                raise Wrong(f"other bytes among the first {check.length} of {length}") from None
            raise
        if not check.is_whole(length):
            raise Wrong(f"complete with {check.length} of {length} bytes, "
                        f"prefix {check.is_prefix()}")
        exchange.received = check.length
        return True

    @staticmethod
    async def send(stream, exchange, length, *, chunked, reply):
        """Send a content while reply() reads the answer; what comes first is no matter."""
        pieces = content.blocks(exchange.number, length)
        if chunked:
            pieces = h1.odd_pieces(pieces, exchange.number)
        writer = asyncio.ensure_future(h1.write_content(stream, pieces, chunked=chunked))
        try:
            result = await reply()
            await writer
            exchange.sent = length
            return result
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    # ---- the kinds ----

    async def simple(self, stream, exchange, kind):
        length = size_draw(self.draw)
        await self.ask(stream, exchange, kind, length)
        fields = await self.answer(stream, exchange)
        return await self.receive(stream, exchange, fields, length, until_end=kind == "close")

    async def do_length(self, stream, exchange):
        return await self.simple(stream, exchange, "length")

    async def do_chunked(self, stream, exchange):
        return await self.simple(stream, exchange, "chunked")

    async def do_close(self, stream, exchange):
        return await self.simple(stream, exchange, "close")

    async def do_refs(self, stream, exchange):
        return await self.simple(stream, exchange, "refs")

    async def do_pack(self, stream, exchange):
        length, small = size_draw(self.draw), self.draw.randrange(1, 2000)
        await self.ask(stream, exchange, "pack", length, method="POST",
                       fields=[f"Content-Length: {small}"])

        async def reply():
            fields = await self.answer(stream, exchange)
            return await self.receive(stream, exchange, fields, length)

        return await self.send(stream, exchange, small, chunked=False, reply=reply)

    async def upload(self, stream, exchange, *, chunked):
        length = size_draw(self.draw)
        await self.ask(stream, exchange, "upload", length, method="POST",
                       fields=["Transfer-Encoding: chunked" if chunked
                               else f"Content-Length: {length}"])

        async def reply():
            text = bytearray()
            await h1.read_body(stream, await self.answer(stream, exchange), text.extend)
            exchange.received = len(text)
            told = json.loads(text)
            if told != {"sha256": content.digest(exchange.number, length), "length": length}:
                raise Wrong(f"of {length} bytes the origin got {told}")
            return True

        return await self.send(stream, exchange, length, chunked=chunked, reply=reply)

    async def do_upload(self, stream, exchange):
        return await self.upload(stream, exchange, chunked=False)

    async def do_upload_chunked(self, stream, exchange):
        return await self.upload(stream, exchange, chunked=True)

    async def do_echo(self, stream, exchange):
        length = size_draw(self.draw, 20)
        await self.ask(stream, exchange, "echo", length, method="POST",
                       fields=["Transfer-Encoding: chunked"])

        async def reply():
            fields = await self.answer(stream, exchange)
            return await self.receive(stream, exchange, fields, length)

        return await self.send(stream, exchange, length, chunked=True, reply=reply)

    async def do_denied(self, stream, exchange):
        await self.ask(stream, exchange, "denied", 0)
        fields = await self.answer(stream, exchange, 403)
        text = bytearray()
        await h1.read_body(stream, fields, text.extend)
        exchange.received = 0  # the record counts what came from an origin
        if fields.get("exeat-reason") != "policy_denied":
            raise Wrong(f"403 {fields}")
        return fields.get("connection", "").lower() != "close"

    async def do_events(self, stream, exchange):
        count = self.draw.randrange(1, 40)
        await self.ask(stream, exchange, "events", count)
        fields = await self.answer(stream, exchange)
        text = bytearray()
        expected = b"".join(event_text(exchange.number, event) for event in range(count))
        try:
            await h1.read_body(stream, fields, text.extend)
        except Cut:
            if not expected.startswith(bytes(text)):
                raise Wrong("other events") from None
            raise
        if text != expected:
            raise Wrong(f"a complete stream of {len(text)} bytes instead of {len(expected)}")
        exchange.received = len(text)
        return True

    async def do_leave(self, stream, exchange):
        """Go away in the middle of a download, without a word."""
        length = 1 << 20
        await self.ask(stream, exchange, "length", length)
        await self.answer(stream, exchange)
        await stream.read_some()
        exchange.sent = None  # how far it came is nobody's business
        stream.abort()
        return True

    # ---- WebSocket ----

    async def do_socket(self, stream, exchange):
        sizes = [size_draw(self.draw, 17) for _ in range(self.draw.randrange(1, 30))]
        return await self.socket(stream, exchange, sizes, 0)

    async def do_socket_long(self, stream, exchange):
        sizes = [size_draw(self.draw, 12) for _ in range(self.draw.randrange(5, 20))]
        return await self.socket(stream, exchange, sizes, 3.0)

    async def socket(self, stream, exchange, sizes, pause):
        key = base64.b64encode(os.urandom(16)).decode()
        await self.ask(stream, exchange, "socket", 0, fields=[
            "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}"])
        fields = await self.answer(stream, exchange, 101)
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        if fields.get("sec-websocket-accept") != accept:
            raise Wrong(f"accept {fields}")
        sent = received = 0
        for turn, size in enumerate([*sizes, 2]):
            is_last = turn == len(sizes)
            opcode = h1.CLOSE if is_last else h1.PING if size < 126 else h1.BINARY
            payload = b"\x03\xe8" if is_last else content.content(exchange.number + turn, size)
            message = h1.frame(opcode, payload, mask=True)
            await stream.write(message)
            got, back = await h1.read_frame(stream)
            if got != (h1.PONG if opcode == h1.PING else opcode) or back != payload:
                raise Wrong(f"message {turn}: {got} with {len(back)} bytes, not {size}")
            sent += len(message)
            received += len(message) - 4
            if pause and self.plan.is_going and not is_last:
                await asyncio.sleep(self.draw.uniform(0, pause))
        exchange.sent, exchange.received = sent, received
        return True
