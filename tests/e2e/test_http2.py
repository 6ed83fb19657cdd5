# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 and HTTP/1.1 on either side, in every combination, with real programs at both ends."""
import hashlib
import json
import os
import types

import pytest

from conftest import Journey
from forwarder import Forwarder
from nghttpd import Nghttpd
from nginx import Nginx
from program import run

VERSIONS = {"h1": "--http1.1", "h2": "--http2"}


@pytest.fixture(scope="module")
def origins(place, authority):
    h1 = Nginx(place / "h1", *authority.issue("h1.test"))
    h2 = Nginx(place / "h2", *authority.issue("h2.test"), http2=True)
    echo = Nghttpd(place / "echo", *authority.issue("echo.test"))
    yield types.SimpleNamespace(h1=h1, h2=h2, echo=echo)
    for origin in (h1, h2, echo):
        origin.stop()


@pytest.fixture(scope="module")
def real(place, authority, origins):
    names = {"h1.test": origins.h1, "h2.test": origins.h2, "echo.test": origins.echo}
    rules = []
    for name, origin in names.items():
        only = {"hosts": [name], "ports": [origin.port]}
        rules += [
            {"name": f"{name}-key", **only, "paths": ["/echo-headers"], "action": "allow",
             "inject": [{"header": "DD-API-KEY", "credential": "datadog", "format": "{}"}]},
            {"name": f"{name}-deny", **only, "paths": ["/secret"], "action": "deny"},
            {"name": name, **only, "action": "allow"}]
    journey = Journey(place / "http2", authority, hosts=dict.fromkeys(names, "127.0.0.1"),
                      rules=rules)
    journey.urls = {name.split(".", maxsplit=1)[0]: f"https://{name}:{origin.port}"
                    for name, origin in names.items()}
    yield journey
    journey.stop()


def curl(real, version, *words):
    return real.container.run("curl", "-sS", "--suppress-connect-headers", VERSIONS[version], *words)


@pytest.mark.parametrize("origin", ["h1", "h2"])
@pytest.mark.parametrize("client", ["h1", "h2"])
def test_a_request_gets_its_key_whatever_versions_meet(real, constants, client, origin):
    done = curl(real, client, "-i", real.urls[origin] + "/echo-headers")
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert head.startswith({"h1": b"HTTP/1.1 200", "h2": b"HTTP/2 200"}[client])
    assert {"h1": b"protocol=HTTP/1.1\n", "h2": b"protocol=HTTP/2.0\n"}[origin] in body
    assert f"key={constants.key}\n".encode() in body
    assert f"host={origin}.test".encode() in body


@pytest.mark.parametrize("origin", ["h1", "h2"])
@pytest.mark.parametrize("client", ["h1", "h2"])
def test_a_head_request_has_a_length_and_no_content(real, client, origin):
    done = curl(real, client, "-I", real.urls[origin] + "/")
    assert b"content-length: 17" in done.stdout.lower()
    assert b"hello" not in done.stdout


@pytest.mark.parametrize("client", ["h1", "h2"])
def test_a_denial_says_why(real, client):
    done = curl(real, client, "-i", real.urls["h2"] + "/secret")
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert b" 403" in head.splitlines()[0]
    assert b"exeat-reason: policy_denied" in head.lower()
    assert json.loads(body)["rule"] == "h2.test-deny"


@pytest.mark.parametrize("client", ["h1", "h2"])
@pytest.mark.parametrize("origin", ["h1", "h2"])
def test_a_large_download_arrives_whole(real, origins, tmp_path, client, origin):
    content = os.urandom(16 << 20)
    (getattr(origins, origin).directory / "files" / "large").write_bytes(content)
    curl(real, client, "-o", tmp_path / "large", real.urls[origin] + "/large")
    assert (tmp_path / "large").read_bytes() == content


@pytest.mark.parametrize("client", ["h1", "h2"])
def test_a_large_upload_comes_back_whole(real, tmp_path, client):
    content = os.urandom(8 << 20)
    (tmp_path / "sent").write_bytes(content)
    curl(real, client, "--data-binary", f"@{tmp_path}/sent", "-H", "Expect:",
         "-o", tmp_path / "back", real.urls["echo"] + "/")
    back = (tmp_path / "back").read_bytes()
    assert hashlib.sha256(back).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize("origin", ["h1", "h2"])
def test_many_streams_at_once(real, tmp_path, origin):
    """One tunnel, one connection, 100 requests: curl shares what it can."""
    done = curl(real, "h2", "--parallel", "--parallel-max", "100",
                "-w", "%{http_code} %{num_connects}\n", "-o", "/dev/null",
                real.urls[origin] + "/?[1-100]")
    lines = done.stdout.decode().split("\n")[:-1]
    assert [line.split()[0] for line in lines] == ["200"] * 100, done.stdout


def test_each_stream_has_a_record_of_its_own(real):
    session = real.gateway.session_create()
    container = real.container_for(session, name="records")
    container.run("curl", "-sS", "--http2", "--parallel", "-o", "/dev/null",
                  real.urls["h2"] + "/?[1-20]")
    paths = sorted(record["path"] for record in real.gateway.records()
                   if record["session"] == session.id)
    assert paths == sorted(f"/?{i}" for i in range(1, 21))


@pytest.mark.parametrize("origin", ["h1", "h2"])
def test_h2load_has_every_request_answered(real, origin):
    """4 connections with 32 streams each, which are also opened and closed all the time."""
    target = real.urls[origin].removeprefix("https://")
    with real.container.relay() as relay, Forwarder(relay.port, target) as forwarder:
        done = run(["h2load", "-n", "2000", "-c", "4", "-m", "32",
                    f"--connect-to=127.0.0.1:{forwarder.port}", real.urls[origin] + "/"],
                   env=real.container.environment, cwd=real.container.directory, check=0)
    assert b"requests: 2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed" in done.stdout
    assert b"status codes: 2000 2xx" in done.stdout
