#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The origin of the soak: it checks what it gets, and answers what the number in the path says.

    GET  /length/N/L   L bytes, with Content-Length      /chunked/N/L  in chunks of odd sizes
         /close/N/L    until the connection ends         /events/N/L   L server-sent events
         /socket/N/0   101, then every WebSocket message back
         /refs/N/L     what "git fetch" asks first       /denied/...   the gateway never asks
    POST /upload/N/L   checks the content of message N   /pack/N/L     L bytes for a small request
         /echo/N/L     each piece of the content back at once

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
from stream import Cut, Ended, Stream

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SECRET_HEADER = "x-soak-key"


class Server:
    def __init__(self, secret, log):
        self.secret = secret
        self.log = log
        self.tasks = set()

    def tell(self, number, **more):
        self.log.write(json.dumps({"number": number, **more}) + "\n")

    async def serve(self, stream, context):
        try:
            await stream.start_tls(context)
            while await self.serve_one(stream):
                pass
            stream.close()
        except (Cut, Ended):
            stream.abort()
        except h1.Malformed as error:
            self.tell(-1, wrong=f"malformed: {error}")
            stream.abort()

    async def serve_one(self, stream):
        first, fields = await h1.read_head(stream)
        method, target, _ = first.split(" ")
        _, kind, number, length = target.split("/")
        number, length = int(number), int(length)
        wrong = None
        if fields.get(SECRET_HEADER) != self.secret:
            wrong = f"{SECRET_HEADER}: {fields.get(SECRET_HEADER)!r}"
        self.tell(number, kind=kind, method=method, wrong=wrong)
        return await getattr(self, f"answer_{kind}")(stream, fields, number, length)

    @staticmethod
    def head(framing, kind="application/octet-stream", status="200 OK"):
        return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{framing}\r\n\r\n".encode()

    async def answer_length(self, stream, _fields, number, length):
        await stream.write(self.head(f"Content-Length: {length}"))
        await h1.write_content(stream, content.blocks(number, length), chunked=False)
        return True

    async def answer_chunked(self, stream, _fields, number, length):
        await stream.write(self.head("Transfer-Encoding: chunked"))
        await h1.write_content(stream, h1.odd_pieces(content.blocks(number, length), number),
                               chunked=True)
        return True

    async def answer_close(self, stream, _fields, number, length):
        await stream.write(self.head("Connection: close"))
        await h1.write_content(stream, content.blocks(number, length), chunked=False)
        return False

    async def answer_refs(self, stream, fields, number, length):
        return await self.answer_chunked(stream, fields, number, length)

    async def answer_events(self, stream, _fields, number, length):
        await stream.write(self.head("Transfer-Encoding: chunked\r\nCache-Control: no-store",
                                     "text/event-stream"))
        for event in range(length):
            await asyncio.sleep(0.02 + (number + event) % 7 * 0.02)
            await stream.write(h1.chunk(event_text(number, event)))
        await stream.write(b"0\r\n\r\n")
        return True

    async def answer_upload(self, stream, fields, number, length):
        check = content.Check(number)
        await h1.read_body(stream, fields, check.add)
        if not check.is_whole(length):
            self.tell(number, wrong=f"{check.length} of {length} bytes came as a whole content, "
                                    f"prefix {check.is_prefix()}")
        text = json.dumps({"sha256": check.sha.hexdigest(), "length": check.length}).encode()
        await stream.write(self.head(f"Content-Length: {len(text)}", "application/json") + text)
        return True

    async def answer_pack(self, stream, fields, number, length):
        check = content.Check(number)
        await h1.read_body(stream, fields, check.add)
        if not check.is_prefix():
            self.tell(number, wrong="the small request has other bytes")
        return await self.answer_chunked(stream, fields, number, length)

    async def answer_echo(self, stream, fields, number, length):
        check = content.Check(number)

        async def copy():
            # A piece goes back while the next is still on its way here.
            queue = asyncio.Queue()

            async def read():
                await h1.read_body(stream, fields, queue.put_nowait)
                queue.put_nowait(b"")

            reader = asyncio.ensure_future(read())
            try:
                while True:
                    piece = await _first(queue.get(), reader)
                    if not piece:
                        return
                    check.add(piece)
                    await stream.write(h1.chunk(piece))
            finally:
                reader.cancel()

        await stream.write(self.head("Transfer-Encoding: chunked"))
        await copy()
        if not check.is_whole(length):
            self.tell(number, wrong=f"{check.length} of {length} bytes came as a whole content")
        await stream.write(b"0\r\n\r\n")
        return True

    async def answer_socket(self, stream, fields, number, _length):
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


async def run(options):
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    context.set_alpn_protocols(["http/1.1"])
    stop = loop.create_future()
    loop.add_signal_handler(signal.SIGTERM, stop.set_result, None)
    with open(options.log, "a", encoding="ascii", buffering=1 << 16) as log:
        server = Server(options.secret, log)

        def accepted():
            stream = Stream()
            made = stream.connection_made

            def connection_made(transport):
                made(transport)
                task = loop.create_task(server.serve(stream, context))
                server.tasks.add(task)
                task.add_done_callback(server.tasks.discard)

            stream.connection_made = connection_made
            return stream

        listener = await loop.create_server(accepted, "127.0.0.1", 0, backlog=512)
        print(f"listening on 127.0.0.1:{listener.sockets[0].getsockname()[1]}", flush=True)
        await stop
        listener.close()
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
