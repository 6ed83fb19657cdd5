# SPDX-License-Identifier: Apache-2.0
"""A WebSocket server of the package `websockets` over TLS, which sends every message back:
CERTIFICATE KEY PORT.
"""
import asyncio
import ssl
import sys

import websockets


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def main(certificate, key, port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with websockets.serve(echo, "127.0.0.1", int(port), ssl=context, max_size=1 << 24):
        print("listening", flush=True)
        await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
