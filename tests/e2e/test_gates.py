# SPDX-License-Identifier: Apache-2.0
"""When the relay works, when it steps aside, and that it never stands in the way (protocol 1, 7)."""
import contextlib
import http.server
import json
import os
import signal
import socket
import threading

import pytest

from gateway import free_port
from program import Program, run, wait_until
from relay import relay_path
from tunnel import RelayChannel

PROFILES = {
    "exeat": {"remote": "EXEAT_REMOTE", "enabled": "EXEAT_ENABLED", "session": "EXEAT_SESSION_ID",
              "url": "EXEAT_GATEWAY_URL"},
    "ccr": {"remote": "CLAUDE_CODE_REMOTE", "enabled": "CCR_UPSTREAM_PROXY_ENABLED",
            "session": "CLAUDE_CODE_REMOTE_SESSION_ID", "url": "ANTHROPIC_BASE_URL"},
}


class Gates:
    """`exeat run` with the environment of one profile, to be spoiled by a test."""

    def __init__(self, journey, profile, directory):
        self.journey = journey
        self.names = PROFILES[profile]
        self.container = journey.container_for(journey.session, f"gates-{profile}")
        self.environment = {name: value for name, value in self.container.environment.items()
                            if not name.startswith("EXEAT_")}
        self.environment.update({
            self.names["remote"]: "1", self.names["enabled"]: "1",
            self.names["session"]: journey.session.id, self.names["url"]: journey.gateway.url,
            "EXEAT_STATE_DIR": str(directory / "state")})
        self.directory = directory
        self.token_path = journey.session.write(directory / "token")
        self.roots = journey.authority.certificate

    def set(self, **values):
        for name, value in values.items():
            if value is None:
                self.environment.pop(self.names[name], None)
            else:
                self.environment[self.names[name]] = value

    def run(self, *options, command=("sh", "-c", "echo ran; env; exit 3"), seconds=30):
        return run([relay_path(), "run", "--token-file", self.token_path, "--system-roots",
                    self.roots, *options, "--", *command],
                   env=self.environment, cwd=self.directory, seconds=seconds)


@pytest.fixture(params=PROFILES)
def gates(request, journey, tmp_path):
    return Gates(journey, request.param, tmp_path)


def warnings(done):
    return [line for line in done.stderr.decode().splitlines() if "warning" in line]


def expect_aside(done, *, warned):
    """CMD ran with nothing exported, and its status is ours."""
    assert done.returncode == 3, done.stderr
    assert b"ran\n" in done.stdout
    assert b"HTTPS_PROXY" not in done.stdout and b"https_proxy" not in done.stdout
    assert b"SSL_CERT_FILE" not in done.stdout
    assert len(warnings(done)) == warned, done.stderr.decode()


def expect_refused(done):
    assert done.returncode not in (0, 3), done
    assert b"ran\n" not in done.stdout
    assert done.stderr


def test_all_gates_open(gates):
    done = gates.run()
    assert done.returncode == 3
    assert b"HTTPS_PROXY=http://127.0.0.1:" in done.stdout
    assert not warnings(done)
    assert not gates.token_path.exists(), "the token file stays"


@pytest.mark.parametrize("word", ["true", "YES", " on ", "1"])
def test_words_that_are_true(gates, word):
    gates.set(remote=word, enabled=word)
    assert b"HTTPS_PROXY=" in gates.run().stdout


# gate: (what is spoiled, warnings)
GATES = {
    "not remote": (lambda gates: gates.set(remote=None), 0),
    "remote is false": (lambda gates: gates.set(remote="0"), 0),
    "not enabled": (lambda gates: gates.set(enabled="no"), 0),
    "no session": (lambda gates: gates.set(session=None), 1),
    "empty session": (lambda gates: gates.set(session=""), 1),
    "no token file": (lambda gates: gates.token_path.unlink(), 0),
    "empty token": (lambda gates: gates.token_path.write_text(" \n"), 1),
    "token is a directory": (lambda gates: (gates.token_path.unlink(), gates.token_path.mkdir()),
                             1),
}


@pytest.mark.parametrize("gate", GATES)
def test_a_closed_gate_runs_the_command_without_the_proxy(gates, gate):
    spoil, warned = GATES[gate]
    spoil(gates)
    expect_aside(gates.run(), warned=warned)


@pytest.mark.parametrize("gate", GATES)
def test_required_refuses_when_a_gate_is_closed(gates, gate):
    GATES[gate][0](gates)
    expect_refused(gates.run("--required"))


@contextlib.contextmanager
def false_gateway(answer, status=200):
    """Answers every GET with these bytes; None: never."""
    stop = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if answer is None:
                stop.wait(30)
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        stop.set()
        server.shutdown()
        server.server_close()


def not_a_ca(gates):
    return gates.journey.authority.issue("leaf.test", label="leaf-only")[0].read_bytes()


FAILURES = {
    "gateway down": lambda gates: f"http://127.0.0.1:{free_port()}",
    "no such host": lambda gates: "http://gateway.invalid:1",
    "not a url": lambda gates: "gateway",
}


@pytest.mark.parametrize("options", [[], ["--required"]], ids=["open", "required"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_gateway_that_cannot_be_reached(gates, failure, options):
    gates.set(url=FAILURES[failure](gates))
    done = gates.run(*options)
    if options:
        expect_refused(done)
    else:
        expect_aside(done, warned=1)
    assert gates.token_path.exists(), "a restart could not try again"


ANSWERS = {
    "html": (lambda gates: b"<html>sign in first</html>", 200),
    "empty": (lambda gates: b"", 200),
    "error": (lambda gates: b"no", 503),
    "cut": (lambda gates: gates.journey.gateway.ca_pem()[:200], 200),
    "no ca": (not_a_ca, 200),
    "key": (lambda gates: gates.journey.authority.key.read_bytes(), 200),
    "silence": (lambda gates: None, 200),
}


@pytest.mark.parametrize("options", [[], ["--required"]], ids=["open", "required"])
@pytest.mark.parametrize("kind", ANSWERS)
def test_a_ca_that_is_none(gates, kind, options, tmp_path):
    make, status = ANSWERS[kind]
    with false_gateway(make(gates), status) as url:
        gates.set(url=url)
        done = gates.run(*options, seconds=12)  # 5 s for the CA, not more
    if options:
        expect_refused(done)
    else:
        expect_aside(done, warned=1)
    assert gates.token_path.exists()
    assert not list(tmp_path.rglob("ca-bundle.crt*"))


def test_no_system_roots_is_an_error_not_a_bundle_of_one(gates, tmp_path):
    gates.roots = tmp_path / "nowhere.pem"
    expect_aside(gates.run(), warned=1)
    assert not list(tmp_path.rglob("ca-bundle.crt*"))
    expect_refused(gates.run("--required"))


def test_an_occupied_port_is_a_start_up_failure(gates):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        expect_aside(gates.run("--port", port), warned=1)
        expect_refused(gates.run("--port", port, "--required"))


def test_a_chosen_port(gates):
    port = free_port()
    done = gates.run("--port", str(port))
    assert f"HTTPS_PROXY=http://127.0.0.1:{port}\n".encode() in done.stdout


def test_a_nested_run_keeps_the_outer_proxy(gates):
    """Its own gates fail, and the variables it inherited pass on unchanged."""
    done = gates.run(command=["sh", "-c", f'echo $HTTPS_PROXY; exec {relay_path()} run -- '
                              'sh -c "echo \\$HTTPS_PROXY; echo \\$SSL_CERT_FILE"'])
    outer, inner, bundle = done.stdout.decode().split()
    assert outer == inner and bundle.endswith("ca-bundle.crt")


def test_the_token_by_descriptor(gates):
    """EXEAT_TOKEN_FD is read, closed, and does not reach CMD."""
    with gates.token_path.open() as token:
        fd = token.fileno()
        gates.environment["EXEAT_TOKEN_FD"] = str(fd)
        done = run([relay_path(), "run", "--system-roots", gates.roots, "--", "sh", "-c",
                    "env; ls /proc/self/fd"], env=gates.environment, cwd=gates.directory, check=0,
                   descriptors=[fd])
    assert b"HTTPS_PROXY=" in done.stdout and b"EXEAT_TOKEN_FD" not in done.stdout
    assert f"\n{fd}\n".encode() not in done.stdout or fd == 3  # 3 is what ls opens itself


def test_a_signal_reaches_the_command(gates):
    script = 'trap "echo caught; exit 9" TERM; echo ready; while :; do sleep 0.05; done'
    program = Program("run", [relay_path(), "run", "--token-file", gates.token_path,
                              "--system-roots", gates.roots, "--", "sh", "-c", script],
                      env=gates.environment, directory=gates.directory)
    program.expect("ready")
    program.stop(signal.SIGTERM, status=9)
    assert "caught" in program.output()


def test_the_command_keeps_stdin_and_stdout(gates):
    done = run([relay_path(), "run", "--token-file", gates.token_path, "--system-roots",
                gates.roots, "--", "cat"], env=gates.environment, cwd=gates.directory,
               stdin=b"through and through", check=0)
    assert done.stdout == b"through and through"


def test_env_tells_the_environment_of_a_running_relay(journey, relay):
    """As shell, JSON and dotenv; all three say the same."""
    container = journey.container

    def told(form):
        return run([relay_path(), "env", "--format", form], env=container.environment,
                   cwd=container.directory, check=0).stdout.decode()

    proxy = f"http://127.0.0.1:{relay.port}"
    assert json.loads(told("json"))["HTTPS_PROXY"] == proxy
    assert f"HTTPS_PROXY={proxy}" in told("dotenv").replace('"', "").replace("'", "")
    done = run(["sh", "-c", told("shell") + "\necho $HTTPS_PROXY $SSL_CERT_FILE"],
               env=container.environment, cwd=container.directory, check=0)
    assert done.stdout.decode().split()[0] == proxy


def test_a_gateway_that_goes_away_is_a_502_with_a_reason(make_journey):
    """The relay stays; each CONNECT is answered, and works again when the gateway is back."""
    journey = make_journey()
    with journey.container.relay() as relay:
        journey.gateway.stop()
        with RelayChannel(relay.port) as channel:
            answer = channel.connect(journey.host)
        assert (answer.status, answer.reason) == (502, "gateway_unreachable")
        journey.gateway.listens[0]["address"] = f"127.0.0.1:{journey.gateway.port}"
        journey.gateway.write_config()
        journey.gateway.start()

        def back():
            with RelayChannel(relay.port) as channel:
                return channel.connect(journey.host).status == 200

        wait_until(back, "the tunnel to work again")


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
def test_the_relays_own_user_cannot_read_its_memory(journey, tmp_path_factory):
    """Threat F1: neither environment, memory nor descriptors, by the same uid."""
    import pathlib
    import shutil
    import tempfile
    place = pathlib.Path(tempfile.mkdtemp(prefix="exeat-user-"))
    try:
        binary = place / "exeat"
        shutil.copy(relay_path(), binary)
        binary.chmod(0o755)
        token = journey.session.write(place / "token")
        roots = place / "roots.pem"
        shutil.copy(journey.authority.certificate, roots)
        for path in (place, token, roots):
            os.chown(path, 65534, 65534)
        become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
        environment = {**journey.container.environment, "HOME": str(place), "TMPDIR": str(place)}
        program = Program("user", [*become, binary, "relay", "--token-file", token,
                                   "--system-roots", roots], env=environment, directory=place)
        program.expect("listening on")
        pids = " ".join(str(pid) for pid in program.members())
        script = (f"for p in {pids}; do for f in environ mem maps; do "
                  "head -c 1 /proc/$p/$f >/dev/null 2>&1 && echo read $p $f; done; "
                  "ls /proc/$p/fd >/dev/null 2>&1 && echo listed $p; done; echo done")
        done = run([*become, "sh", "-c", script], env=environment, cwd=place, check=0)
        program.stop()
        assert done.stdout == b"done\n"
    finally:
        shutil.rmtree(place)
