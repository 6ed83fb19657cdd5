#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The origin of the soak: it checks what it gets, and answers what the number in the path says.

HTTP/1.1 or, for every second slot, HTTP/2.

    GET  /length/N/L   L bytes, with Content-Length      /chunked/N/L  in chunks of odd sizes
         /close/N/L    until the connection ends         /events/N/L   L server-sent events
         /socket/N/0   101, then every WebSocket message back
         /refs/N/L     what "git fetch" asks first       /denied/...   the gateway never asks
    POST /upload/N/L   checks the content of message N   /pack/N/L     L bytes for a small request
         /echo/N/L     each piece back at once           /grpc/N/L     that, with trailers

Every request is a line of the log; what is wrong with one is its "wrong".
"""
import argparse
import asyncio
import base64
import hashlib
import json
import signal
import ssl
import sys

import content
import h1
import h2stream
from stream import Cut, Ended, Stream

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SECRET_HEADER = "x-soak-key"
BYTES = [("Content-Type", "application/octet-stream")]


class Server:
    def __init__(self, secret, log):
        self.secret = secret
        self.log = log
        self.tasks = set()

    def tell(self, number, **more):
        self.log.write(json.dumps({"number": number, **more}) + "\n")

    def start(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def serve(self, stream, context):
        try:
            if context is not None:
                await stream.start_tls(context)
            if context is not None and stream.alpn() == "h2":
                connection = h2stream.Connection(
                    stream, is_client=False,
                    serve=lambda channel: self.start(self.serve_channel(channel)))
                await connection.task
                if isinstance(connection.end, h1.Malformed):
                    raise connection.end
            else:
                while await self.serve_one(h1.Channel(stream)):
                    pass
            stream.close()
        except (Cut, Ended):
            stream.abort()
        except h1.Malformed as error:
            self.tell(-1, wrong=f"malformed: {error}")
            stream.abort()

    async def serve_channel(self, channel):
        try:
            await self.serve_one(channel)
        except (Cut, Ended):
            pass
        finally:
            channel.drop()

    async def serve_one(self, channel):
        method, path, fields = await channel.request()
        _, kind, number, length = path.split("/")
        number, length = int(number), int(length)
        wrong = None
        if fields.get(SECRET_HEADER) != self.secret:
            wrong = f"{SECRET_HEADER}: {fields.get(SECRET_HEADER)!r}"
        self.tell(number, kind=kind, method=method, version=channel.version, wrong=wrong)
        return await getattr(self, f"answer_{kind}")(channel, fields, number, length)

    @staticmethod
    async def send(channel, pieces):
        for piece in pieces:
            await channel.write(piece)
        await channel.finish()
        return True

    async def answer_length(self, channel, _fields, number, length):
        await channel.respond(BYTES, length)
        return await self.send(channel, content.blocks(number, length))

    async def answer_chunked(self, channel, _fields, number, length):
        await channel.respond(BYTES, "chunked")
        return await self.send(channel, h1.odd_pieces(content.blocks(number, length), number))

    async def answer_close(self, channel, _fields, number, length):
        await channel.respond(BYTES, None)
        await self.send(channel, content.blocks(number, length))
        return False

    async def answer_refs(self, channel, fields, number, length):
        return await self.answer_chunked(channel, fields, number, length)

    async def answer_events(self, channel, _fields, number, length):
        await channel.respond([("Content-Type", "text/event-stream"),
                               ("Cache-Control", "no-store")], "chunked")
        for event in range(length):
            await asyncio.sleep(0.02 + (number + event) % 7 * 0.02)
            await channel.write(event_text(number, event))
        await channel.finish()
        return True

    async def answer_upload(self, channel, _fields, number, length):
        check = content.Check(number)
        await channel.content(check.add)
        if not check.is_whole(length):
            self.tell(number, wrong=f"{check.length} of {length} bytes came as a whole content, "
                                    f"prefix {check.is_prefix()}")
        text = json.dumps({"sha256": check.sha.hexdigest(), "length": check.length}).encode()
        await channel.respond([("Content-Type", "application/json")], len(text))
        return await self.send(channel, [text])

    async def answer_pack(self, channel, fields, number, length):
        check = content.Check(number)
        await channel.content(check.add)
        if not check.is_prefix():
            self.tell(number, wrong="the small request has other bytes")
        return await self.answer_chunked(channel, fields, number, length)

    async def answer_echo(self, channel, _fields, number, length, trailers=None):
        """A piece goes back while the next is still on its way here."""
        check = content.Check(number)
        queue = asyncio.Queue()
        await channel.respond(BYTES, "chunked")

        async def read():
            await channel.content(queue.put_nowait)
            queue.put_nowait(b"")

        reader = asyncio.ensure_future(read())
        try:
            while piece := await _first(queue.get(), reader):
                check.add(piece)
                await channel.write(piece)
        finally:
            reader.cancel()
        if not check.is_whole(length):
            self.tell(number, wrong=f"{check.length} of {length} bytes came as a whole content")
        if trailers:
            await channel.finish(trailers)
        else:
            await channel.finish()
        return True

    async def answer_grpc(self, channel, fields, number, length):
        """As a bidirectional call ends: with its status behind the content."""
        if fields.get("te") != "trailers":
            self.tell(number, wrong=f"te: {fields.get('te')}")
        return await self.answer_echo(channel, fields, number, length,
                                      trailers=[("grpc-status", "0")])

    async def answer_socket(self, channel, fields, _number, _length):
        stream = channel.stream
        accept = base64.b64encode(
            hashlib.sha1((fields["sec-websocket-key"] + GUID).encode()).digest()).decode()
        await stream.write((f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                            f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")
                           .encode())
        while True:
            opcode, payload = await h1.read_frame(stream)
            if opcode == h1.PING:
                opcode = h1.PONG
            await stream.write(h1.frame(opcode, payload, mask=False))
            if opcode == h1.CLOSE:
                return False


async def _first(waiting, other):
    """What `waiting` gives, unless `other` fails first."""
    task = asyncio.ensure_future(waiting)
    await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        await asyncio.wait({task}, timeout=0)
        if not task.done() and other.exception() is not None:
            task.cancel()
            raise other.exception()
    return await task


def event_text(number, event):
    """One event: its name says which, its data is its own."""
    data = hashlib.sha256(f"{number}/{event}".encode()).hexdigest()
    return f"id: {number}-{event}\ndata: {data}\n\n".encode()


def contexts_make(options):
    """The origin of every second slot speaks HTTP/2."""
    contexts = []
    for protocol in ("http/1.1", "h2"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
        context.set_alpn_protocols([protocol])
        contexts.append(context)

    def choose(engine, name, _context):
        engine.context = contexts[int(name[1:name.index(".")]) % 2]

    contexts[0].sni_callback = choose
    return contexts[0]


async def run(options):
    loop = asyncio.get_running_loop()
    stop = loop.create_future()
    loop.add_signal_handler(signal.SIGTERM, stop.set_result, None)
    with open(options.log, "a", encoding="ascii", buffering=1 << 16) as log:
        server = Server(options.secret, log)

        def listen(context):
            def accepted():
                stream = Stream()
                made = stream.connection_made

                def connection_made(transport):
                    made(transport)
                    server.start(server.serve(stream, context))

                stream.connection_made = connection_made
                return stream

            return loop.create_server(accepted, "127.0.0.1", 0, backlog=512)

        for name, context in (("origin", contexts_make(options)), ("plain", None)):
            listener = await listen(context)
            port = listener.sockets[0].getsockname()[1]
            print(f"{name} listening on 127.0.0.1:{port}", flush=True)
        await stop
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--secret", required=True, help="what the gateway must put into the request")
    parser.add_argument("--log", required=True)
    asyncio.run(run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
