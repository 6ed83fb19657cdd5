# SPDX-License-Identifier: Apache-2.0
"""A raw client of the tunnel protocol, independent of the relay: WebSocket, chunks, TLS over both.

A channel is anything with send(bytes) and recv() -> bytes, b"" at the end.
"""
import base64
import http.client
import io
import os
import socket
import ssl
import struct

SECONDS = 20
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Answer:
    """Status, fields and content of a response."""

    def __init__(self, head, body=b""):
        lines = head.decode("latin-1").split("\r\n")
        self.head = head
        self.version, status, *reason = lines[0].split(" ", 2)
        self.status = int(status)
        self.phrase = reason[0] if reason else ""
        self.fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.fields[name.strip().lower()] = value.strip()
        self.body = body

    @property
    def reason(self):
        return self.fields.get("exeat-reason")

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.body[:200]!r}>"


def answer_read(recv, *, body=True):
    """(Answer, bytes after it): from recv(), which gives b"" at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = recv()
        if not more:
            raise ConnectionError(f"closed inside an answer's head: {data!r}")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    answer = Answer(head)
    left = int(answer.fields.get("content-length", 0))
    if body:
        while len(rest) < left:
            more = recv()
            if not more:
                raise ConnectionError(f"closed inside an answer's body: {rest!r}")
            rest += more
        answer.body, rest = rest[:left], rest[left:]
    return answer, rest


class SocketChannel:
    """A TCP connection; with `authority` TLS is spoken, as to a wss listener."""

    def __init__(self, port, authority=None, name="localhost"):
        self.sock = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if authority is not None:
            context = ssl.create_default_context(cafile=authority)
            self.sock = context.wrap_socket(self.sock, server_hostname=name)

    def send(self, data):
        self.sock.sendall(data)

    def recv(self):
        try:
            return self.sock.recv(65536)
        except ConnectionResetError:
            return b""

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Away at once, without a last word: nobody is waited for."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class RelayChannel(SocketChannel):
    """The client's side of the relay: CONNECT, then bytes."""

    def __init__(self, port):
        super().__init__(port)
        self.held = b""

    def connect(self, target, *, fields=(), coalesced=b"", version="HTTP/1.1"):
        lines = [f"CONNECT {target} {version}", f"Host: {target}", *fields]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + coalesced)
        return self.answer()

    def answer(self):
        answer, self.held = answer_read(super().recv)
        return answer

    def recv(self):
        if self.held:
            data, self.held = self.held, b""
            return data
        return super().recv()


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def chunk(data):
    return b"\x0a" + varint(len(data)) + data


def frame(opcode, payload, *, fin=True, mask=True, declared=None):
    """One frame; `declared` lies about its length."""
    length = len(payload) if declared is None else declared
    head = bytes([(128 if fin else 0) | opcode])
    bit = 128 if mask else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", length)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", length)
    if not mask:
        return head + payload
    key = os.urandom(4)
    repeated = int.from_bytes((key * (len(payload) // 4 + 1))[:len(payload)], "big")
    masked = (int.from_bytes(payload, "big") ^ repeated).to_bytes(len(payload), "big")
    return head + key + masked


class Tunnel:
    """One WebSocket to the gateway. recv() gives the payloads of its chunks."""

    def __init__(self, port, authority=None):
        self.channel = SocketChannel(port, authority)
        self.data = b""
        self.close_code = None

    # ---- opening ----

    def upgrade(self, token, *, path="/v1/tunnel", without=(), fields=()):
        """The answer to the upgrade. `without`: names of fields to leave out."""
        lines = [("Host", "gateway"), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
                 ("Sec-WebSocket-Version", "13"),
                 ("Sec-WebSocket-Key", base64.b64encode(os.urandom(16)).decode()),
                 ("Authorization", f"Bearer {token}"), ("Content-Type", "application/proto")]
        lines = [(name, value) for name, value in lines if name not in without] + list(fields)
        self.channel.send(f"GET {path} HTTP/1.1\r\n".encode()
                          + b"".join(f"{name}: {value}\r\n".encode() for name, value in lines)
                          + b"\r\n")
        answer, self.data = answer_read(self.channel.recv)
        return answer

    def open(self, session, **options):
        answer = self.upgrade(session.token, **options)
        assert answer.status == 101, answer
        return self

    @staticmethod
    def hello(line, session, token=None, more=""):
        basic = base64.b64encode(f"{session.id}:{token or session.token}".encode()).decode()
        return f"{line}\r\nProxy-Authorization: Basic {basic}\r\n{more}\r\n".encode()

    def connect(self, target, session, token=None):
        """The answer to the hello."""
        self.send(self.hello(f"CONNECT {target} HTTP/1.1", session, token))
        return self.answer()

    def answer(self):
        answer, rest = answer_read(self.recv)
        self.pending = rest
        return answer

    # ---- frames ----

    def send_frame(self, opcode, payload, **options):
        self.channel.send(frame(opcode, payload, **options))

    def _fill(self, count):
        while len(self.data) < count:
            more = self.channel.recv()
            if not more:
                return False
            self.data += more
        return True

    def read_frame(self):
        """(opcode, payload), or None at the end. The gateway's frames are never masked."""
        if not self._fill(2):
            return None
        opcode, length = self.data[0] & 15, self.data[1]
        assert self.data[0] & 0x70 == 0, "reserved bits"
        assert length < 128, "a masked frame from the gateway"
        start = 2
        if length == 126:
            start = 4
            if not self._fill(start):
                return None
            length = struct.unpack(">H", self.data[2:4])[0]
        elif length == 127:
            start = 10
            if not self._fill(start):
                return None
            length = struct.unpack(">Q", self.data[2:10])[0]
        if not self._fill(start + length):
            return None
        payload, self.data = self.data[start:start + length], self.data[start + length:]
        return opcode, payload

    # ---- a channel ----

    pending = b""

    def send(self, data):
        for start in range(0, len(data), 524288):
            self.send_frame(BINARY, chunk(data[start:start + 524288]))

    def recv(self):
        if self.pending:
            data, self.pending = self.pending, b""
            return data
        while True:
            found = self.read_frame()
            if found is None:
                return b""
            opcode, payload = found
            if opcode == CLOSE:
                self.close_code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                return b""
            if opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode == BINARY and payload not in (b"", b"\x0a\x00"):
                return self.payload_of(payload)

    @staticmethod
    def payload_of(message):
        assert message[0] == 0x0A, message[:8]
        length, shift, at = 0, 0, 1
        while True:
            length |= (message[at] & 127) << shift
            shift += 7
            at += 1
            if message[at - 1] < 128:
                break
        assert len(message) == at + length, "bytes after the chunk's payload"
        return message[at:]

    def drain(self):
        """Read to the end; the close code, or None when there was none."""
        while self.recv():
            pass
        return self.close_code

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class KeptReader(io.BufferedReader):
    """http.client closes its file after each response; the connection goes on."""

    def close(self):
        pass


class TlsClient(io.RawIOBase):
    """TLS over a channel, by memory, so that a test decides how its bytes are cut."""

    def __init__(self, channel, authority, name, *, alpn=("http/1.1",)):
        super().__init__()
        context = ssl.create_default_context(cafile=authority)
        context.set_alpn_protocols(list(alpn))
        self.channel = channel
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        self.cut = None  # bytes at a time, or None
        self._reader = KeptReader(self, 65536)

    def client_hello(self):
        """The first flight, which the caller sends itself."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self._out.read()

    def handshake(self):
        self._loop(self.tls.do_handshake)
        return self

    def _loop(self, step):
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self.channel.recv()
                if data:
                    self._in.write(data)
                else:
                    self._in.write_eof()
                continue
            self._flush()
            return result

    def _flush(self):
        data = self._out.read()
        if not data:
            return
        for start in range(0, len(data), self.cut or len(data)):
            self.channel.send(data[start:start + (self.cut or len(data))])

    # ---- a socket for http.client ----

    def readable(self):
        return True

    def readinto(self, buffer):
        try:
            data = self._loop(lambda: self.tls.read(len(buffer)))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return 0
        buffer[:len(data)] = data
        return len(data)

    def sendall(self, data):
        view = memoryview(data)
        while view:
            sent = self._loop(lambda: self.tls.write(view[:65536]))
            view = view[sent:]

    def makefile(self, *_args, **_options):
        """One reader for all responses: two of them may come in one record."""
        return self._reader

    def read(self, size=-1):
        return self._reader.read() if size < 0 else self._reader.read1(size)

    def request(self, method, target, host, *, fields=(), body=b"", framing=True):
        """One request on this connection, and its whole response as an Answer."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
        if body and framing:
            lines.append(f"Content-Length: {len(body)}")
        self.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return self.response(method)

    def response(self, method="GET"):
        response = http.client.HTTPResponse(self, method=method)
        response.begin()
        head = f"HTTP/1.1 {response.status} {response.reason}\r\n" + "\r\n".join(
            f"{name}: {value}" for name, value in response.getheaders())
        return Answer(head.encode("latin-1"), response.read())
