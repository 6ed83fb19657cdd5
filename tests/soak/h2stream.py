# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 over a Stream, for both sides of the soak, by python3-h2: an engine that is not ours."""
import asyncio

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from h1 import Malformed
from stream import Cut, Ended

WINDOW = 1 << 20


class Connection:
    """Runs an engine on a stream; each of its streams has a queue of what came for it."""

    def __init__(self, stream, *, is_client, serve=None):
        self.stream = stream
        self.serve = serve     # called with each new Channel of a server
        self.channels = {}
        self.end = None
        self.engine = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=is_client, header_encoding="utf-8", validate_outbound_headers=False))
        self.engine.local_settings = h2.settings.Settings(client=is_client, initial_values={
            h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
            h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100,
            h2.settings.SettingCodes.ENABLE_PUSH: 0})
        self.engine.initiate_connection()
        self.engine.increment_flow_control_window(4 * WINDOW)
        self.task = asyncio.ensure_future(self.run())

    def put(self):
        data = self.engine.data_to_send()
        if data:
            self.stream.put(data)

    async def run(self):
        try:
            self.put()
            while True:
                events = self.engine.receive_data(await self.stream.read_some())
                for event in events:
                    self.take(event)
                self.put()
        except (Cut, Ended) as end:
            self.finish(end)
        except h2.exceptions.ProtocolError as error:
            self.finish(Malformed(f"HTTP/2: {error!r}"))

    def finish(self, end):
        self.end = self.end or end
        for channel in self.channels.values():
            channel.queue.put_nowait(self.end)
            channel.writable.set()

    def take(self, event):
        if isinstance(event, h2.events.RequestReceived) and self.serve is not None:
            channel = self.channels[event.stream_id] = Channel(self, event.stream_id)
            channel.queue.put_nowait(event)
            self.serve(channel)
            return
        if isinstance(event, h2.events.ConnectionTerminated):
            self.finish(Ended(f"GOAWAY {event.error_code}"))
        if isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            for channel in self.channels.values():
                channel.writable.set()
        channel = self.channels.get(getattr(event, "stream_id", None))
        if channel is not None and not isinstance(event, h2.events.WindowUpdated):
            channel.queue.put_nowait(event)
            if isinstance(event, h2.events.StreamReset):
                channel.was_reset = True
                channel.writable.set()
        elif isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
            # For a stream that we have cancelled; the connection's window goes on.
            self.engine.increment_flow_control_window(event.flow_controlled_length)

    def open(self):
        """A new stream of a client."""
        if self.end is not None:
            raise self.end
        return Channel(self, None)

    def close(self):
        self.task.cancel()
        self.stream.close()

    def abort(self):
        self.task.cancel()
        self.stream.abort()


class Channel:
    """One stream: a request and its response."""

    version = "h2"

    def __init__(self, connection, number):
        self.connection = connection
        self.number = number
        self.queue = asyncio.Queue()
        self.writable = asyncio.Event()
        self.was_reset = False
        self.is_over = False   # no more content comes
        self.trailers = {}

    def _check(self):
        if self.connection.end is not None:
            raise Cut(str(self.connection.end))
        if self.was_reset:
            raise Cut("the stream was reset")

    def _send_fields(self, fields, *, last):
        self._check()
        try:
            self.connection.engine.send_headers(self.number, fields, end_stream=last)
        except h2.exceptions.ProtocolError as error:
            raise Cut(f"HTTP/2: {error}") from None
        self.connection.put()

    async def ask(self, method, authority, path, fields=(), length=None, scheme="https"):
        own = [(name.lower(), value) for name, value in fields]
        if length not in (None, "chunked"):
            own.append(("content-length", str(length)))
        self.number = self.connection.engine.get_next_available_stream_id()
        self.connection.channels[self.number] = self
        self._send_fields([(":method", method), (":scheme", scheme), (":authority", authority),
                           (":path", path), *own], last=length is None)

    async def answer(self):
        fields = await self._read_fields()
        return int(fields[":status"]), fields

    async def request(self):
        fields = await self._read_fields()
        return fields[":method"], fields[":path"], fields

    async def respond(self, fields, length):
        own = [(name.lower(), value) for name, value in fields]
        if length not in (None, "chunked"):
            own.append(("content-length", str(length)))
        self._send_fields([(":status", "200"), *own], last=False)

    async def write(self, piece):
        """Content, as the windows allow."""
        engine = self.connection.engine
        view = memoryview(piece)
        while len(view):
            self._check()
            self.writable.clear()
            try:
                room = min(engine.local_flow_control_window(self.number),
                           engine.max_outbound_frame_size, len(view))
                if room > 0:
                    engine.send_data(self.number, bytes(view[:room]))
            except h2.exceptions.ProtocolError as error:
                raise Cut(f"HTTP/2: {error}") from None
            if room <= 0:
                await self.writable.wait()
                continue
            view = view[room:]
            await self.connection.stream.write(engine.data_to_send())

    async def finish(self, trailers=None):
        if trailers:
            self._send_fields(trailers, last=True)
            return
        self._check()
        try:
            self.connection.engine.end_stream(self.number)
        except h2.exceptions.ProtocolError as error:
            raise Cut(f"HTTP/2: {error}") from None
        self.connection.put()

    async def _next(self):
        event = await self.queue.get()
        if isinstance(event, (Cut, Malformed)):
            raise event
        if isinstance(event, Ended):
            raise Cut(f"{event} inside a stream")
        if isinstance(event, h2.events.StreamReset):
            raise Cut(f"reset with {event.error_code}")
        return event

    async def _read_fields(self):
        while True:
            event = await self._next()
            if isinstance(event, (h2.events.RequestReceived, h2.events.ResponseReceived)):
                self.is_over = event.stream_ended is not None
                return dict(event.headers)

    async def content(self, take, *, until_end=False):
        """`until_end` makes no difference here: a stream always says where it ends."""
        del until_end
        engine = self.connection.engine
        while not self.is_over:
            event = await self._next()
            if isinstance(event, h2.events.DataReceived):
                take(event.data)
                self.is_over = event.stream_ended is not None
                try:
                    engine.acknowledge_received_data(event.flow_controlled_length, self.number)
                except h2.exceptions.ProtocolError:
                    pass  # it has ended meanwhile
                if self.connection.end is None:
                    self.connection.put()
            elif isinstance(event, h2.events.TrailersReceived):
                self.trailers = dict(event.headers)
                self.is_over = True
            elif isinstance(event, h2.events.StreamEnded):
                self.is_over = True

    def leave(self):
        """We want no more of it; the others go on."""
        if self.number is None:
            return True
        try:
            self.connection.engine.reset_stream(self.number, h2.errors.ErrorCodes.CANCEL)
            self.connection.put()
        except (h2.exceptions.ProtocolError, Cut):
            pass
        self.drop()
        return True

    def drop(self):
        self.connection.channels.pop(self.number, None)
