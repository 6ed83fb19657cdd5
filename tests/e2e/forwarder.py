# SPDX-License-Identifier: Apache-2.0
"""A port for clients that know no proxy: each connection to it is one CONNECT at the relay."""
import socket
import threading

from tunnel import RelayChannel


class Forwarder:
    def __init__(self, relay_port, target):
        self.relay_port = relay_port
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.threads = []
        self._start(self._accept)

    def _start(self, target, *words):
        thread = threading.Thread(target=target, args=words, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self._start(self._serve, sock)

    def _serve(self, sock):
        with sock, RelayChannel(self.relay_port) as channel:
            if channel.connect(self.target).status != 200:
                return
            back = threading.Thread(target=self._copy, args=(channel.recv, sock))
            back.start()
            self._copy(lambda: sock.recv(65536), channel.sock)
            back.join()

    @staticmethod
    def _copy(recv, to):
        try:
            while data := recv():
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
