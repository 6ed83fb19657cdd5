# SPDX-License-Identifier: Apache-2.0
"""nghttpd as the origin: HTTP/2 only, and it sends back what is uploaded."""
import pathlib
import socket

from gateway import free_port
from program import Program, clean_environment, wait_until


class Nghttpd:
    def __init__(self, directory, certificate, key, *options):
        self.directory = pathlib.Path(directory)
        self.files = self.directory / "files"
        self.files.mkdir(parents=True)
        self.port = free_port()
        self.program = Program(
            "nghttpd", ["nghttpd", "--address=127.0.0.1", "-d", self.files, "--echo-upload",
                        *options, str(self.port), key, certificate],
            env=clean_environment(self.directory), directory=self.directory)
        wait_until(self._listens, "nghttpd to listen")

    def _listens(self):
        assert self.program.child.poll() is None, self.program.errors()
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.program.stop()
