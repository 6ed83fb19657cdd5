# SPDX-License-Identifier: Apache-2.0
"""Byte streams over TCP, with TLS by memory: a clean end and a cut are told apart."""
import asyncio
import socket
import ssl
import struct

HIGH = 1 << 18  # bytes not read yet, above which the socket is not read


class Ended(Exception):
    """The peer ended the stream as TLS (or TCP, without it) wants it."""


class Cut(Exception):
    """The stream broke: reset, or TLS without close_notify."""


class Stream(asyncio.Protocol):
    def __init__(self):
        self.transport = None
        self.data = bytearray()
        self.end = None      # an exception once no more bytes come
        self._tls = None
        self._in = self._out = None
        self._waiter = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._is_paused = False

    # ---- asyncio's side ----

    def connection_made(self, transport):
        self.transport = transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        if self._tls is None:
            self.data += data
        else:
            self._in.write(data)
            self._decrypt()
        if len(self.data) > HIGH and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self):
        self._finish(Ended("end of the connection") if self._tls is None
                     else Cut("TCP ended without close_notify"))
        return True  # what is being written may go on

    def connection_lost(self, exc):
        self._finish(Cut(f"connection lost: {exc}") if exc or self._tls else Ended("closed"))
        self._writable.set()

    def pause_writing(self):
        self._writable.clear()

    def resume_writing(self):
        self._writable.set()

    def _decrypt(self):
        if self._tls is None or not self._tls.shaken:
            return
        try:
            while True:
                piece = self._tls.engine.read(1 << 16)
                if not piece:
                    self._finish(Ended("close_notify"))
                    return
                self.data += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._finish(Ended("close_notify"))
        except ssl.SSLError as error:
            self._finish(Cut(f"TLS: {error}"))

    def _finish(self, end):
        if self.end is None:
            self.end = end
        self._wake()

    def _wake(self):
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ---- reading ----

    async def _more(self):
        if self.end is not None:
            raise self.end
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _take(self, count):
        piece = bytes(self.data[:count])
        del self.data[:count]
        return piece

    async def read_some(self, most=1 << 16):
        """At least one byte; raises Ended or Cut."""
        while not self.data:
            await self._more()
        return self._take(min(most, len(self.data)))

    async def read_exactly(self, count):
        while len(self.data) < count:
            await self._more()
        return self._take(count)

    async def read_until(self, mark, most=1 << 17):
        start = 0
        while True:
            at = self.data.find(mark, start)
            if at >= 0:
                return self._take(at + len(mark))
            start = max(0, len(self.data) - len(mark) + 1)
            if len(self.data) > most:
                raise Cut(f"no {mark!r} within {most} bytes")
            await self._more()

    # ---- writing ----

    def put(self, data):
        if self.transport.is_closing():
            raise Cut("closed while writing")
        if self._tls is not None:
            try:
                self._tls.engine.write(data)
            except ssl.SSLError as error:
                raise Cut(f"write: {error}") from None
            data = self._out.read()
        self.transport.write(bytes(data))

    async def write(self, data):
        self.put(data)
        await self._writable.wait()
        if self.transport.is_closing():
            raise Cut("closed while writing")

    # ---- TLS ----

    async def start_tls(self, context, name=None):
        """Client with `name`, else server. Bytes that have come already are its first."""
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = _Tls(context.wrap_bio(self._in, self._out, server_side=name is None,
                                          server_hostname=name))
        self._in.write(bytes(self.data))
        self.data.clear()
        while True:
            try:
                self._tls.engine.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                await self._more()
            except ssl.SSLError as error:
                self._flush()
                raise Cut(f"handshake: {error}") from None
        self._tls.shaken = True
        self._flush()
        self._decrypt()
        return self

    def _flush(self):
        data = self._out.read()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def alpn(self):
        return self._tls.engine.selected_alpn_protocol()

    # ---- ending ----

    def close(self):
        """Say close_notify where TLS is spoken, then FIN."""
        if self.transport.is_closing():
            return
        if self._tls is not None and self._tls.shaken:
            try:
                self._tls.engine.unwrap()
            except ssl.SSLError:
                pass
            self._flush()
        self.transport.close()

    def abort(self):
        """Away at once, with a reset."""
        sock = self.transport.get_extra_info("socket")
        if not self.transport.is_closing() and sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class _Tls:
    def __init__(self, engine):
        self.engine = engine
        self.shaken = False


async def connect(host, port):
    loop = asyncio.get_running_loop()
    try:
        _, stream = await loop.create_connection(Stream, host, port)
    except OSError as error:
        raise Cut(f"connect: {error}") from None
    return stream
