# SPDX-License-Identifier: Apache-2.0
"""A hostile origin: it plays a script on each connection, and remembers every byte that came.

A script is a list of steps. A step is bytes, which are sent, or a function of the connection:

    raw.play(HEAD, b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello", CUT)

`before` plays in the clear, in place of the TLS handshake: for what no TLS library would say.
"""
import socket
import ssl
import struct
import threading

SECONDS = 30


class Ended(Exception):
    """The peer has ended, or the script is told to."""


class Peer:
    """One connection as the script sees it."""

    def __init__(self, sock, number):
        self.sock = sock
        self.number = number
        self.received = b""  # inside TLS
        self.taken = 0       # of them, by read_until() and read()
        self.is_open = False # the TLS handshake is complete
        self.has_ended = threading.Event()

    def send(self, data):
        self.sock.sendall(data)

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Ended
        self.received += data

    def read_until(self, marker):
        """What came up to and with the marker."""
        while marker not in self.received[self.taken:]:
            self._more()
        return self.read(self.received.index(marker, self.taken) + len(marker) - self.taken)

    def read(self, count):
        while len(self.received) < self.taken + count:
            self._more()
        data = self.received[self.taken:self.taken + count]
        self.taken += count
        return data

    def read_all(self):
        """Until the other side ends."""
        while True:
            self._more()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        raise Ended

    def cut(self):
        """FIN without close_notify: Python's sockets send none of their own accord."""
        self.sock.shutdown(socket.SHUT_WR)
        self.read_all()

    def close_notify(self):
        """The end as it should be."""
        try:
            self.sock.unwrap()
        except (OSError, ssl.SSLError):
            pass
        raise Ended


def HEAD(peer):
    """The step that waits for the head of a request."""
    peer.read_until(b"\r\n\r\n")


def REST(peer):
    """The step that listens to the end."""
    peer.read_all()


def CUT(peer):
    peer.cut()


def END(peer):
    peer.close_notify()


def RESET(peer):
    peer.reset()


def when(event):
    """A step that waits until a test sets its event."""
    def wait(_peer):
        if not event.wait(SECONDS):
            raise AssertionError("the test never set its event")
    return wait


class RawOrigin:
    def __init__(self, certificate, key, *, alpn=("http/1.1",), address=("127.0.0.1", 0)):
        self.peers = []
        self._steps = [REST]
        self._before = None
        self._lock = threading.Lock()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.context.set_alpn_protocols(list(alpn))
        self._listener = socket.create_server(address, backlog=512)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    # ---- what a test asks ----

    def play(self, *steps, before=None):
        """The script of the connections to come; what came before is forgotten."""
        with self._lock:
            self._steps = list(steps)
            self._before = before
            self.peers = []

    @property
    def received(self):
        """Every byte that came inside TLS, of all connections since play()."""
        with self._lock:
            return b"".join(peer.received for peer in self.peers)

    def drop(self):
        with self._lock:
            peers = list(self.peers)
        for peer in peers:
            try:
                peer.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
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
                peer = Peer(sock, len(self.peers))
                self.peers.append(peer)
                steps, before = self._steps, self._before
            threading.Thread(target=self._serve, args=(peer, steps, before), daemon=True).start()

    def _serve(self, peer, steps, before):
        try:
            peer.sock.settimeout(SECONDS)
            peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if before is not None:
                before(peer)
            peer.sock = self.context.wrap_socket(peer.sock, server_side=True)
            peer.is_open = True
            for step in steps:
                if isinstance(step, bytes):
                    peer.send(step)
                else:
                    step(peer)
        except (Ended, OSError, ssl.SSLError):
            pass
        finally:
            peer.sock.close()
            peer.has_ended.set()
