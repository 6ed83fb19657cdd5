# SPDX-License-Identifier: Apache-2.0
"""A TCP origin whose every move the test makes itself."""
import contextlib
import hashlib
import socket
import struct
import threading

SECONDS = 20


class Peer:
    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(SECONDS)
        self.port = self._listener.getsockname()[1]

    @contextlib.contextmanager
    def accept(self):
        """The next connection."""
        sock, _ = self._listener.accept()
        sock.settimeout(SECONDS)
        with sock:
            yield sock

    def close(self):
        self._listener.close()


def reset(sock):
    """End a connection so that nobody takes it for complete."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_exactly(recv, length):
    data = bytearray()
    while len(data) < length:
        more = recv()
        if not more:
            break
        data += more
    return bytes(data)


def read_to_end(sock):
    """All bytes until FIN; ConnectionResetError for a reset."""
    data = bytearray()
    while more := sock.recv(65536):
        data += more
    return bytes(data)


def pattern(length, seed=0):
    """Bytes that differ everywhere, so that a block too many or too few is seen."""
    block = hashlib.shake_256(bytes([seed])).digest(1 << 20)
    return b"".join(block[i % 251:] + block[:i % 251] for i in range(length // len(block) + 1))[:length]


class Sender(threading.Thread):
    """Sends in the background; `sent` says how far it got."""

    def __init__(self, send, data, step=65536):
        super().__init__(daemon=True)
        self.send, self.data, self.step = send, data, step
        self.sent = 0
        self.error = None
        self.start()

    def run(self):
        try:
            for at in range(0, len(self.data), self.step):
                self.send(self.data[at:at + self.step])
                self.sent = min(at + self.step, len(self.data))
        except OSError as error:
            self.error = error

    def finish(self):
        self.join(SECONDS)
        assert not self.is_alive() and self.error is None, (self.sent, self.error)
