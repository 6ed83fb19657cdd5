# SPDX-License-Identifier: Apache-2.0
"""`exeat connect`: ssh, which knows no proxy, through the gateway to a real sshd."""
import hashlib
import os
import pathlib
import pwd
import shutil
import subprocess

import pytest

from conftest import Journey
from gateway import free_port
from program import Program, clean_environment, run, wait_until
from relay import relay_path

USER = pwd.getpwuid(os.getuid()).pw_name


class Sshd:
    """An sshd of our own on a loopback port, that lets the running user in with one key."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.port = free_port()
        self.key = self._key("client")
        host_key = self._key("host")
        (self.directory / "keys").write_text(pathlib.Path(f"{self.key}.pub").read_text())
        kind, public, *_ = pathlib.Path(f"{host_key}.pub").read_text().split()
        self.known = self.directory / "known_hosts"
        self.known.write_text(f"[ssh.test]:{self.port} {kind} {public}\n")
        config = self.directory / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {host_key}\nPidFile none\n"
            f"AuthorizedKeysFile {self.directory}/keys\nStrictModes no\nUsePAM no\n"
            "PasswordAuthentication no\nPermitRootLogin yes\nPrintMotd no\n")
        if os.getuid() == 0:
            os.makedirs("/run/sshd", 0o755, exist_ok=True)  # or it does not start
        self.program = Program("sshd", [shutil.which("sshd", path="/usr/sbin"), "-D", "-e", "-f",
                                        config], env=clean_environment(self.directory),
                               directory=self.directory)
        wait_until(lambda: "Server listening on" in self.program.errors(), "sshd to listen")

    def _key(self, name):
        path = self.directory / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        return path

    def command(self, host="ssh.test"):
        """ssh up to the remote command."""
        return ["ssh", "-F", "/dev/null", "-i", self.key, "-o", "IdentitiesOnly=yes",
                "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={self.known}",
                "-o", "StrictHostKeyChecking=yes", "-p", str(self.port),
                "-o", f"ProxyCommand={relay_path()} connect %h %p", f"{USER}@{host}"]

    def stop(self):
        self.program.stop()


@pytest.fixture(scope="module")
def sshd(place):
    sshd = Sshd(place / "sshd")
    yield sshd
    sshd.stop()


@pytest.fixture(scope="module")
def own(place, authority, sshd):
    journey = Journey(place / "connect", authority, hosts={"ssh.test": "127.0.0.1"},
                      rules=[{"name": "ssh", "action": "tcp", "hosts": ["ssh.test"],
                              "ports": [sshd.port]}])
    yield journey
    journey.stop()


def test_ssh_runs_a_command_behind_the_gateway(own, sshd):
    done = own.container.run(*sshd.command(), "echo out; echo err >&2; exit 7", check=7)
    assert done.stdout == b"out\n"
    assert done.stderr == b"err\n"
    # how it ended is a race: ssh ends its ProxyCommand, and exeat run its relay
    own.gateway.record_where(kind="tcp", host="ssh.test", rule="ssh")


def test_ssh_carries_megabytes_both_ways(own, sshd):
    data = os.urandom(1 << 16) * 64
    done = own.container.run(*sshd.command(), "cat", stdin=data)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_git_clones_over_ssh(own, sshd):
    work = own.directory / "work"
    bare = own.directory / "repository.git"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t.test"]
    for words in (["init", "-q", work], ["-C", work, "commit", "-q", "--allow-empty", "-m", "one"],
                  ["clone", "-q", "--bare", work, bare]):
        run([*git, *words], env=own.container.environment, cwd=own.directory, check=0)
    command = " ".join(f"'{word}'" for word in sshd.command()[:-1])
    own.container.run("git", "clone", "-q", f"ssh://{USER}@ssh.test{bare}", "clone",
                      environment={"GIT_SSH_COMMAND": command})
    assert (own.container.directory / "clone" / ".git").is_dir()


def test_ssh_shows_why_the_gateway_refuses(own, sshd):
    done = own.container.run(*sshd.command("other.test"), "true", check=255)
    assert done.stdout == b""
    assert f"connect other.test:{sshd.port}: refused with 403 ".encode() in done.stderr
    assert b"(policy_denied)\n" in done.stderr
