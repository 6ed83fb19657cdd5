# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by the frame (RFC 9113), for both ends of a connection. Nothing is checked before it is
sent: a test may say anything. What comes is parsed strictly.
"""
import dataclasses
import ssl
import struct
import time

import h2_fields
from tunnel import Answer

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
NAMES = ("DATA HEADERS PRIORITY RST_STREAM SETTINGS PUSH_PROMISE PING GOAWAY WINDOW_UPDATE "
         "CONTINUATION").split()
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 1, 1, 4, 8, 32
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED,
 FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR,
 ENHANCE_YOUR_CALM) = range(12)
TABLE_SIZE, ENABLE_PUSH, STREAM_COUNT, WINDOW, FRAME_SIZE, LIST_SIZE, _, EXTENDED_CONNECT = range(1, 9)


# ---- frames, as bytes ----

def frame(kind, flags=0, stream=0, payload=b"", declared=None):
    """`declared` lies about the length."""
    length = len(payload) if declared is None else declared
    return struct.pack(">I", length)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*pairs, flags=0):
    return frame(SETTINGS, flags, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def headers(stream, block, flags=END_HEADERS):
    return frame(HEADERS, flags, stream, block)


def continuation(stream, block, flags=0):
    return frame(CONTINUATION, flags, stream, block)


def data(stream, payload, flags=0):
    return frame(DATA, flags, stream, payload)


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def ping(payload=b"exeat ??", flags=0):
    return frame(PING, flags, 0, payload)


def goaway(last=0, code=NO_ERROR, text=b""):
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + text)


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def priority(stream, parent=0, weight=15):
    return frame(PRIORITY, 0, stream, struct.pack(">IB", parent, weight))


def request_fields(authority, path="/", method="GET", more=()):
    return [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path),
            *more]


@dataclasses.dataclass
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes

    def __repr__(self):
        name = NAMES[self.kind] if self.kind < len(NAMES) else self.kind
        return f"<{name} {self.flags:#x} {self.stream} {self.payload[:40]!r}>"

    @property
    def code(self):
        """Of RST_STREAM and GOAWAY."""
        at = {RST_STREAM: 0, GOAWAY: 4}[self.kind]
        return struct.unpack(">I", self.payload[at:at + 4])[0]

    def content(self):
        """Without padding and priority."""
        payload, padding = self.payload, 0
        if self.flags & PADDED and self.kind in (DATA, HEADERS):
            padding, payload = payload[0], payload[1:]
        if self.kind == HEADERS and self.flags & PRIORITIZED:
            payload = payload[5:]
        return payload[:len(payload) - padding]


class FrameReader:
    """Frames from recv(), which gives b"" at the end."""

    def __init__(self, recv):
        self.recv = recv
        self.held = b""

    def take(self, count):
        while len(self.held) < count:
            more = self.recv()
            if not more:
                return None
            self.held += more
        taken, self.held = self.held[:count], self.held[count:]
        return taken

    def next(self):
        """None at the end."""
        head = self.take(9)
        if head is None:
            return None
        length = int.from_bytes(head[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        payload = self.take(length)
        return None if payload is None else Frame(kind, flags, stream & 0x7fffffff, payload)


class H2Client:
    """The client's end over `tls`: sendall(bytes) and read(count)."""

    def __init__(self, tls):
        self.tls = tls
        self.reader = FrameReader(self._recv)
        self.decoder = h2_fields.Decoder()
        self.seen = []        # every frame that came
        self.has_ended = False
        self.sent_all = True  # False once the peer did not take what was sent
        self.next_stream = 1
        self.updates = True   # give back window for content that came

    def _recv(self):
        try:
            return self.tls.read(65536)
        except (ConnectionError, ssl.SSLError):
            return b""

    def open(self, *pairs, preface=PREFACE):
        self.send(preface + settings(*pairs))
        return self

    def send(self, *frames):
        """False if the connection has gone: what was to be shown by a test that floods."""
        try:
            self.tls.sendall(b"".join(frames))
        except (ConnectionError, ssl.SSLError, TimeoutError):
            self.sent_all = False
        return self.sent_all

    def next(self):
        """The next frame, None at the end. SETTINGS and PING are answered."""
        got = self.reader.next()
        if got is None:
            self.has_ended = True
            return None
        self.seen.append(got)
        if got.kind == SETTINGS and not got.flags & ACK:
            self.send(settings(flags=ACK))
        elif got.kind == PING and not got.flags & ACK:
            self.send(ping(got.payload, ACK))
        elif got.kind == DATA and self.updates and got.payload:
            self.send(window_update(0, len(got.payload)))
            if not got.flags & END_STREAM:
                self.send(window_update(got.stream, len(got.payload)))
        return got

    def until(self, *kinds, stream=None):
        """The next frame of one of these kinds; None when the end comes first."""
        while True:
            got = self.next()
            if got is None or (got.kind in kinds and stream in (None, got.stream)):
                return got

    def drain(self):
        """All frames to the end; the code of the GOAWAY, or None if there was none."""
        while self.next():
            pass
        codes = [got.code for got in self.seen if got.kind == GOAWAY]
        return codes[-1] if codes else None

    # ---- requests ----

    def ask(self, authority, path="/", method="GET", more=(), body=None):
        """Sends a request, gives its stream."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        block = h2_fields.block(request_fields(authority, path, method, more))
        self.send(headers(stream, block, END_HEADERS | (END_STREAM if body is None else 0)))
        if body is not None:
            self.send(*(data(stream, body[at:at + 16384]) for at in range(0, len(body), 16384)),
                      data(stream, b"", END_STREAM))
        return stream

    def answer(self, stream):
        """An Answer, or the Frame that ended it (RST_STREAM, GOAWAY), or None at the end."""
        fields, body = None, b""
        while True:
            got = self.next()
            if got is None or got.kind == GOAWAY:
                return got
            if got.kind == HEADERS:
                block = got.content()
                while not got.flags & END_HEADERS:
                    more = self.next()
                    assert more.kind == CONTINUATION and more.stream == got.stream
                    block, got.flags = block + more.payload, got.flags | more.flags
                decoded = self.decoder.decode(block)  # in order, whosever it is
                if got.stream == stream and (fields is None or fields[0][1][0] == "1"):
                    fields = decoded
            if got.stream != stream:
                continue
            if got.kind == RST_STREAM:
                return got
            if got.kind == DATA:
                body += got.content()
            if got.flags & END_STREAM and got.kind in (DATA, HEADERS):
                return self._answer_of(fields, body)

    @staticmethod
    def _answer_of(fields, body):
        assert fields[0][0] == ":status", fields
        lines = [f"HTTP/2 {fields[0][1]} "] + [f"{name}: {value}" for name, value in fields[1:]]
        return Answer("\r\n".join(lines).encode("latin-1"), body)

    def request(self, authority, path="/", **options):
        return self.answer(self.ask(authority, path, **options))

    def timed(self, authority, path="/"):
        """Seconds that one good request takes."""
        start = time.monotonic()
        answer = self.request(authority, path)
        assert isinstance(answer, Answer) and answer.status == 200, answer
        return time.monotonic() - start
