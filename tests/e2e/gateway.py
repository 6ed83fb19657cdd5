# SPDX-License-Identifier: Apache-2.0
"""exeat-gateway as an operator runs it: a configuration, a CA, sessions, and the server."""
import json
import os
import pathlib
import re
import socket
import urllib.request

from program import Program, clean_environment, command_line, run, wait_until

def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


BUILD = pathlib.Path(os.environ.get("EXEAT_BUILD", pathlib.Path(__file__).parents[2] / "build"))


def program_path(name, layer):
    for path in (BUILD / "src" / layer / name, BUILD / name):
        if path.exists():
            return path
    raise AssertionError(f"no {name} in {BUILD}; EXEAT_BUILD names the build directory")


def gateway_path():
    return program_path("exeat-gateway", "gateway")


def scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else json.dumps(str(value))


def yaml_lines(value, indent=0):
    """Block YAML of dicts, lists and scalars."""
    pad = " " * indent
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, (dict, list)) and inner:
                yield f"{pad}{key}:"
                yield from yaml_lines(inner, indent + 2)
            elif isinstance(inner, (dict, list)):
                yield f"{pad}{key}: {'{}' if isinstance(inner, dict) else '[]'}"
            else:
                yield f"{pad}{key}: {scalar(inner)}"
    else:
        for inner in value:
            if isinstance(inner, (dict, list)):
                first, *more = yaml_lines(inner, indent + 2)
                yield f"{pad}- {first.strip()}"
                yield from more
            else:
                yield f"{pad}- {scalar(inner)}"


class Session:
    def __init__(self, session_id, token):
        self.id = session_id
        self.token = token

    def write(self, path):
        """The token as a file that the relay may take."""
        path = pathlib.Path(path)
        path.write_text(self.token + "\n")
        path.chmod(0o600)
        return path


class Gateway:
    def __init__(self, directory, *, roots, hosts, rules, credentials=None, tls=None, more=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.environment = clean_environment(self.directory)
        self.config_path = self.directory / "gateway.yaml"
        self.state = self.directory / "state"
        self.audit_path = self.directory / "audit.log"
        self.program = None
        self.port = self.tls_port = None
        self.listens = [{"address": "127.0.0.1:0"}]
        if tls:
            self.listens.append({"address": f"127.0.0.1:{free_port()}",
                                 "tls": {"certificate": tls[0], "key": tls[1]}})
        secrets = self.directory / "secrets"
        secrets.mkdir(exist_ok=True)
        for name, value in (credentials or {}).items():
            (secrets / name).write_text(value + "\n")
            (secrets / name).chmod(0o600)
        self.config = {
            "listen": self.listens,
            "state_dir": "state",
            "workers": 2,
            "audit": {"file": "audit.log"},
            "origins": {"roots": str(roots), "networks": ["127.0.0.0/8"]},
            "resolver": {"hosts": hosts},
            "credentials": {name: {"file": f"secrets/{name}"} for name in credentials or {}},
            "rules": rules,
        }
        self.config.update(more or {})
        self.config = {key: value for key, value in self.config.items() if value not in ({}, None)}
        self.write_config()

    def write_config(self):
        self.config_path.write_text("\n".join(yaml_lines(self.config)) + "\n")

    def command(self, *words, check=0):
        return run([gateway_path(), *words], env=self.environment, cwd=self.directory, check=check)

    def ca_init(self):
        self.command("ca", "init", "-c", self.config_path)
        return self

    def session_create(self, name=None, tenant=None):
        path = self.directory / f"token-{name or 'new'}-{os.urandom(4).hex()}"
        words = (["--id", name] if name else []) + (["--tenant", tenant] if tenant else [])
        done = self.command("session", "create", "-c", self.config_path, "--token-file", path,
                            *words)
        token = path.read_text().strip()
        path.unlink()
        assert token and token not in done.stdout.decode() + done.stderr.decode()
        found = re.search(r"^(?:session[: ]+)?([A-Za-z0-9_.-]+)\s*$", done.stdout.decode(), re.M)
        assert found, done.stdout
        return Session(found.group(1), token)

    def start(self):
        self.program = Program("gateway", [gateway_path(), "serve", "-c", self.config_path],
                               env=self.environment, directory=self.directory)
        ports = self.program.expect(r"listening on \S*?:(\d+)\b", len(self.listens))
        self.port = int(ports[0])
        self.tls_port = int(ports[1]) if len(ports) > 1 else None
        return self

    def stop(self, status=0):
        if self.program is not None:
            self.program.stop(status=status)
            self.program = None

    # ---- what it tells ----

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def ca_pem(self, path="/v1/ca-cert"):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url + path, timeout=10) as answer:
            return answer.read()

    def ca_file(self):
        path = self.directory / "gateway-ca.pem"
        if not path.exists():
            path.write_bytes(self.ca_pem())
        return path

    def roles(self):
        """{role: [pid, ...]} of its child processes, by their command lines."""
        roles = {}
        for pid in self.program.members():
            for word in command_line(pid):
                if word.startswith("--role="):
                    roles.setdefault(word.removeprefix("--role="), []).append(pid)
        return roles

    def records(self):
        """The audit records so far; every line is one JSON object."""
        if not self.audit_path.exists():
            return []
        return [json.loads(line) for line in self.audit_path.read_text().splitlines()]

    def record_where(self, what="a record", **fields):
        """The first record with these fields, once it is there."""
        def look():
            for record in self.records():
                if all(record.get(name) == value for name, value in fields.items()):
                    return record
            return None

        return wait_until(look, f"{what} with {fields}")
