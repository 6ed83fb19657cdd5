# SPDX-License-Identifier: Apache-2.0
"""gRPC through relay and gateway, with grpcio and grpc-go at either end: unary and streaming calls,
trailers, statuses, deadlines and cancellation, which must reach the server."""
import pathlib
import subprocess

import pytest

from conftest import Journey
from gateway import free_port
from program import Program, clean_environment, wait_until

HERE = pathlib.Path(__file__).parent
PYTHON = ["/usr/bin/python3", str(HERE / "grpc_peer.py")]
OKS = ["unary", "binary trailer", "status", "bidirectional", "server-streaming", "deadline",
       "cancel"]


@pytest.fixture(scope="module")
def go_peer(tmp_path_factory):
    program = tmp_path_factory.mktemp("grpc-go") / "peer"
    subprocess.run(["go", "build", "-o", program, "."], cwd=HERE / "grpc_go", check=True,
                   timeout=300)
    return [str(program)]


class Server:
    """A gRPC server of either kind as the origin."""

    def __init__(self, directory, words, certificate, key):
        directory.mkdir()
        self.port = free_port()
        self.notes = directory / "notes"
        self.notes.touch()
        self.program = Program("grpc", [*words, "server", certificate, key, str(self.port),
                                        self.notes],
                               env=clean_environment(directory), directory=directory)
        wait_until(lambda: "listening" in self.program.output(), "the gRPC server", 30)

    def cancelled(self):
        return self.notes.read_text().count("cancelled")


@pytest.fixture(scope="module")
def servers(place, authority, go_peer):
    made = {name: Server(place / f"grpc-{name}", words, *authority.issue(f"{name}.test"))
            for name, words in (("python", PYTHON), ("go", go_peer))}
    yield made
    for server in made.values():
        server.program.stop()


@pytest.fixture(scope="module")
def real(place, authority, servers):
    rules = [{"name": name, "hosts": [f"{name}.test"], "ports": [server.port], "action": "allow",
              "inject": [{"header": "DD-API-KEY", "credential": "datadog", "format": "{}"}]}
             for name, server in servers.items()]
    journey = Journey(place / "grpc", authority, rules=rules,
                      hosts={f"{name}.test": "127.0.0.1" for name in servers})
    yield journey
    journey.stop()


@pytest.mark.parametrize("server", ["python", "go"])
@pytest.mark.parametrize("client", ["python", "go"])
def test_every_kind_of_call_works(real, servers, go_peer, constants, client, server):
    target = f"{server}.test:{servers[server].port}"
    before = servers[server].cancelled()
    if client == "python":
        done = real.container.run("sh", "-c",
                                  'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH="$SSL_CERT_FILE" exec "$@"',
                                  "sh", *PYTHON, "client", target)
    else:
        done = real.container.run("sh", "-c", 'exec "$@" "$SSL_CERT_FILE"', "sh", *go_peer,
                                  "client", target)
    lines = done.stdout.decode()
    for what in OKS:
        assert f"ok {what}" in lines, lines + done.stderr.decode()
    assert constants.key in lines
    # Both the call whose deadline passed and the one that was cancelled have ended at the server.
    wait_until(lambda: servers[server].cancelled() == before + 2, "the cancellation at the server")
