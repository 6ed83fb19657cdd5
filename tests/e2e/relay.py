# SPDX-License-Identifier: Apache-2.0
"""exeat as it is run in a container: around one command, or alone."""
import os
import pathlib

from gateway import program_path
from program import Program, clean_environment, run


def relay_path():
    return program_path("exeat", "relay")


class Container:
    """A home directory, a token and the variables that open the four gates."""

    def __init__(self, directory, gateway, session, *, roots):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.session = session
        self.roots = roots
        self.environment = clean_environment(
            self.directory, EXEAT_REMOTE="1", EXEAT_ENABLED="1", EXEAT_SESSION_ID=session.id,
            EXEAT_GATEWAY_URL=gateway.url)

    def token_file(self):
        return self.session.write(self.directory / f"token-{os.urandom(4).hex()}")

    def options(self, token_file=None):
        return ["--token-file", token_file or self.token_file(), "--system-roots", self.roots]

    def run(self, *command, seconds=60, check=0, stdin=b"", options=(), environment=None):
        """`exeat run` around one command."""
        return run([relay_path(), "run", *self.options(), *options, "--", *command],
                   env={**self.environment, **(environment or {})}, cwd=self.directory,
                   seconds=seconds, check=check, stdin=stdin)

    def relay(self, *options, name="relay"):
        return Relay(self, options, name)


class Relay:
    """`exeat relay`: it stays until it is stopped."""

    def __init__(self, container, options, name):
        self.container = container
        self.program = Program(name, [relay_path(), "relay", *container.options(), *options],
                               env=container.environment, directory=container.directory)
        self.port = int(self.program.expect(r"listening on 127\.0\.0\.1:(\d+)")[0])

    def stop(self):
        self.program.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
