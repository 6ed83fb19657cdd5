#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An HTTPS origin that remembers exactly what reached it.

    /            200 and a line of text                 /headers     the fields as received, JSON
    /key         403 without the required header        /upload      SHA-256 of the body, JSON
    /bytes/N     N bytes with Content-Length            /chunked/N   N bytes in chunks
    /ends/N      N bytes until the connection ends      /hold        answers once release() was called
    /stream      one chunk, the rest on release()
    /close       closes without an answer               /raw         what `raw_answer` holds
    /key/socket  101 for a WebSocket with the required header, then every byte back
    /switch      101 for nobody asked                      /fresh       answers on a connection that has served nothing yet, closes any other

As a program it is the origin of "make demo": every path needs the header.
"""
import argparse
import base64
import hashlib
import json
import pathlib
import signal
import socket
import ssl
import sys
import threading

BLOCK = bytes(range(256)) * 256  # 64 KiB
HEAD_MAX = 128 * 1024


def body_blocks(length):
    """The bytes of /bytes/N and /chunked/N."""
    while length > 0:
        yield BLOCK[:min(length, len(BLOCK))]
        length -= len(BLOCK)


def body_digest(length):
    digest = hashlib.sha256()
    for block in body_blocks(length):
        digest.update(block)
    return digest.hexdigest()


class Request:
    def __init__(self, head, connection):
        lines = head.decode("latin-1").split("\r\n")
        self.head = head
        self.connection = connection
        self.method, self.target, self.version = lines[0].split(" ", 2)
        self.fields = [tuple(part.strip(" \t") for part in line.split(":", 1))
                       for line in lines[1:] if line]
        self.body_len = 0
        self.body_sha256 = hashlib.sha256()

    def values(self, name):
        return [value for field, value in self.fields if field.lower() == name.lower()]

    def value(self, name, default=None):
        values = self.values(name)
        return values[0] if values else default


class Connection:
    """What one client has done: its handshake and every byte of its requests' heads."""

    def __init__(self, number):
        self.number = number
        self.handshake = None  # None while it runs, True, or the error
        self.received = 0      # bytes inside TLS
        self.answered = 0      # requests


class Origin:
    """Without a certificate it speaks plain HTTP."""

    def __init__(self, certificate=None, key=None, *, require=None, require_everywhere=False,
                 address="127.0.0.1", port=0):
        self.require = require or {}
        self.require_everywhere = require_everywhere
        self.raw_answer = b""
        self.connections = []
        self._requests = []
        self.released = threading.Event()
        self.held = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._sockets = set()
        self._context = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate, key)
            self._context.set_alpn_protocols(["http/1.1"])
        self._listener = socket.create_server(
            (address, port), backlog=512,
            family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    # ---- what a test asks ----

    @property
    def requests(self):
        with self._lock:
            return list(self._requests)

    def forget(self):
        """Connections that are kept by the gateway are known on; what they brought is not."""
        with self._lock:
            self._requests = []

    def release(self):
        self.released.set()

    def hold(self):
        self.released.clear()

    def drop(self):
        """End every connection that is open."""
        with self._lock:
            sockets = list(self._sockets)
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.released.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        self.drop()

    # ---- the server ----

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                connection = Connection(len(self.connections))
                self.connections.append(connection)
                self._sockets.add(sock)
            threading.Thread(target=self._serve, args=(sock, connection), daemon=True).start()

    def _serve(self, sock, connection):
        plain = sock
        try:
            sock.settimeout(120)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                if self._context is not None:
                    sock = self._context.wrap_socket(sock, server_side=True)
            except (OSError, ssl.SSLError) as error:
                connection.handshake = error
                return
            connection.handshake = True
            with self._lock:
                self._sockets.discard(plain)
                self._sockets.add(sock)
            while self._serve_one(sock, connection):
                pass
        except (OSError, ValueError, ssl.SSLError):
            pass
        finally:
            with self._lock:
                self._sockets.discard(sock)
                self._sockets.discard(plain)
            sock.close()

    def _serve_one(self, sock, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more or len(data) > HEAD_MAX:
                return False
            connection.received += len(more)
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        request = Request(head, connection)
        if request.value("expect", "").lower() == "100-continue":
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        for block in self._body(sock, connection, request, rest):
            request.body_len += len(block)
            request.body_sha256.update(block)
        with self._lock:
            self._requests.append(request)
        connection.answered += 1
        return self._answer(sock, request)

    @staticmethod
    def _body(sock, connection, request, rest):
        def more():
            block = sock.recv(1 << 18)
            if not block:
                raise OSError("closed inside a body")
            connection.received += len(block)
            return block

        if request.value("transfer-encoding", "").lower() == "chunked":
            while True:
                while b"\r\n" not in rest:
                    rest += more()
                line, _, rest = rest.partition(b"\r\n")
                size = int(line.split(b";")[0], 16)
                while len(rest) < size + 2:
                    rest += more()
                if size == 0:
                    return
                yield rest[:size]
                rest = rest[size + 2:]
        left = int(request.value("content-length", "0"))
        while left > 0:
            block = rest[:left] or more()
            rest = b""
            yield block
            left -= len(block)

    def _answer(self, sock, request):
        path = request.target.partition("?")[0]
        word, _, number = path[1:].partition("/")
        if self._refuses(request, path):
            return self._send(sock, request, 403, "the key is missing\n")
        if word == "bytes":
            self._head(sock, 200, f"Content-Length: {int(number)}", "application/octet-stream")
            if request.method != "HEAD":
                for block in body_blocks(int(number)):
                    sock.sendall(block)
            return True
        if word == "chunked":
            self._head(sock, 200, "Transfer-Encoding: chunked", "application/octet-stream")
            for block in body_blocks(int(number)):
                sock.sendall(b"%x\r\n%b\r\n" % (len(block), block))
            sock.sendall(b"0\r\n\r\n")
            return True
        if word == "ends":
            sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            for block in body_blocks(int(number)):
                sock.sendall(block)
            sock.unwrap()
            return False
        if word == "headers":
            return self._send(sock, request, 200, json.dumps(request.fields) + "\n")
        if word == "upload":
            return self._send(sock, request, 200, json.dumps(
                {"sha256": request.body_sha256.hexdigest(), "bytes": request.body_len}) + "\n")
        if word == "hold":
            self.held.release()
            self.released.wait(120)
            return self._send(sock, request, 200, "released\n")
        if word == "stream":
            self._head(sock, 200, "Transfer-Encoding: chunked", "text/plain")
            sock.sendall(b"6\r\nfirst\n\r\n")
            self.held.release()
            self.released.wait(120)
            sock.sendall(b"5\r\nlast\n\r\n0\r\n\r\n")
            return True
        if word == "close" or (word == "fresh" and request.connection.answered > 1):
            return False
        if path.endswith("/socket") and request.value("upgrade") == "websocket":
            return self._switch(sock, request)
        if word == "switch":
            return self._switch(sock, request)
        if word == "raw":
            sock.sendall(self.raw_answer)
            return False
        return self._send(sock, request, 200, "hello from the origin\n")

    @staticmethod
    def _switch(sock, request):
        key = request.value("sec-websocket-key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        sock.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                      f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\nhello").encode())
        while True:
            data = sock.recv(65536)
            if not data or data.endswith(b"bye"):
                if isinstance(sock, ssl.SSLSocket):
                    sock.unwrap()
                return False
            sock.sendall(data)

    def _refuses(self, request, path):
        if not self.require_everywhere and not path.startswith("/key"):
            return False
        return any(request.values(name) != [value] for name, value in self.require.items())

    @staticmethod
    def _head(sock, status, framing, kind):
        words = {200: "OK", 403: "Forbidden"}
        sock.sendall(f"HTTP/1.1 {status} {words[status]}\r\nContent-Type: {kind}\r\n"
                     f"{framing}\r\n\r\n".encode())

    def _send(self, sock, request, status, text):
        self._head(sock, status, f"Content-Length: {len(text.encode())}", "text/plain")
        if request.method != "HEAD":
            sock.sendall(text.encode())
        return request.value("connection", "").lower() != "close"


def main():
    parser = argparse.ArgumentParser(description="The origin of make demo.")
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--header", required=True, help="name of the header it wants")
    parser.add_argument("--value-file", required=True, help="file that holds the header's value")
    options = parser.parse_args()
    value = pathlib.Path(options.value_file).read_text(encoding="ascii").strip()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    origin = Origin(options.certificate, options.key, require={options.header: value},
                    require_everywhere=True)
    print(f"listening on 127.0.0.1:{origin.port}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    origin.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
