# SPDX-License-Identifier: Apache-2.0
"""http:// URLs, and https:// URLs from clients that know no CONNECT, through the relay's port."""
import hashlib
import json
import os

import pytest

from conftest import KEY, Journey
from origin import Origin, body_digest
from tunnel import RelayChannel, answer_read

PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def plain(place, authority):
    """A journey with an origin that speaks plain HTTP, and rules that let some of it through."""
    origin = Origin(require={"DD-API-KEY": KEY})
    only = {"hosts": ["plain.test"], "ports": [origin.port], "schemes": ["http"]}
    key = {"header": "DD-API-KEY", "credential": "datadog", "format": "{}"}
    journey = Journey(
        place / "plain", authority,
        hosts={"plain.test": "127.0.0.1"},
        rules=[{"name": "no-plain-secrets", **only, "paths": ["/secret/**"], "action": "deny"},
               {"name": "key-in-clear", **only, "paths": ["/key", "/key/**"], "action": "allow",
                "inject": [{**key, "over_plain_http": True}]},
               {"name": "key-not-in-clear", **only, "schemes": ["http", "https"],
                "paths": ["/headers"], "action": "allow", "inject": [key]},
               {"name": "plain", **only, "action": "allow"}])
    journey.plain = origin
    journey.http = f"plain.test:{origin.port}"
    yield journey
    journey.stop()
    origin.close()


@pytest.fixture(scope="module")
def port(plain):
    with plain.container.relay(name="plain-relay") as relay:
        yield relay.port


@pytest.fixture(autouse=True)
def forget(plain):
    plain.plain.forget()
    plain.origin.forget()


# ---- real clients ----

def test_curl_gets_a_page_in_clear(plain):
    done = plain.container.run("curl", "-sS", "-i", f"http://{plain.http}/a?q=1")
    assert done.stdout.startswith(b"HTTP/1.1 200 ")
    assert done.stdout.endswith(b"hello from the origin\n")
    request = plain.plain.requests[-1]
    assert (request.method, request.target) == ("GET", "/a?q=1")
    assert request.values("host") == [plain.http]
    assert not [name for name, _ in request.fields if name.lower().startswith("proxy")]
    plain.gateway.record_where(host="plain.test", rule="plain", method="GET", status=200)


def test_curl_sends_and_gets_megabytes(plain):
    data = os.urandom(1 << 20)
    path = plain.container.directory / "data"
    path.write_bytes(data)
    for options in (("--data-binary", f"@{path}"), ("-T", path), ("-H", "Expect: 100-continue",
                    "--data-binary", f"@{path}"), ("-H", "Transfer-Encoding: chunked", "-T", path)):
        done = plain.container.run("curl", "-sS", *options, f"http://{plain.http}/upload")
        assert json.loads(done.stdout)["sha256"] == hashlib.sha256(data).hexdigest(), options
    for options in ((), ("--http1.0",)):
        for word in ("bytes", "chunked"):
            done = plain.container.run("curl", "-sS", *options, f"http://{plain.http}/{word}/3000000")
            assert hashlib.sha256(done.stdout).hexdigest() == body_digest(3000000)


def test_curl_asks_for_the_head(plain):
    done = plain.container.run("curl", "-sS", "-I", f"http://{plain.http}/bytes/12345")
    assert b"\r\nContent-Length: 12345\r\n" in done.stdout


def test_wget_gets_a_page(plain):
    done = plain.container.run("wget", "-q", "-O", "-", f"http://{plain.http}/")
    assert done.stdout == b"hello from the origin\n"


def test_python_urllib_and_requests_get_pages(plain):
    script = ("import sys, urllib.request\n"
              "print(urllib.request.urlopen(sys.argv[1]).read())\n")
    done = plain.container.run(PYTHON, "-c", script, f"http://{plain.http}/")
    assert b"hello from the origin" in done.stdout
    script = ("import sys, requests\n"
              "with requests.Session() as s:\n"
              "    for i in range(3): print(s.get(sys.argv[1]).status_code)\n"
              "    print(s.post(sys.argv[1], data=iter([b'a', b'b'])).status_code)\n")
    count = len(plain.plain.connections)
    done = plain.container.run(PYTHON, "-c", script, f"http://{plain.http}/upload")
    assert done.stdout.split() == [b"200"] * 4
    assert len(plain.plain.connections) <= count + 1  # one connection all the way


# ---- refusals ----

def test_what_is_not_allowed_is_a_403_that_names_the_rule_key(plain):
    """A rule for https alone: on port 80, which it does not have, and on the port that it has."""
    for url in ("http://origin.test/", f"http://{plain.host}/"):
        done = plain.container.run("curl", "-sS", "-i", url)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 403 "), head
        assert b"\r\nExeat-Reason: policy_denied" in head
        assert b"schemes" in head.split(b"\r\n")[0]
        assert json.loads(body)["status"] == 403
        done = plain.container.run("wget", "-O", "-", url, check=8)
        assert b"403" in done.stderr and b"schemes" in done.stderr
    assert plain.origin.requests == []


def test_a_denied_path_is_a_403(plain):
    done = plain.container.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}",
               f"http://{plain.http}/secret/x")
    assert done.stdout == b"403"
    assert plain.plain.requests == []


def test_an_unknown_host_is_a_403_and_the_connection_goes_on(plain, port):
    with RelayChannel(port) as channel:
        for _ in range(2):
            channel.send(b"GET http://unknown.test/ HTTP/1.1\r\nHost: unknown.test\r\n\r\n")
            answer = channel.answer()
            assert (answer.status, answer.reason) == (403, "policy_denied")
        channel.send(f"GET http://{plain.http}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert channel.answer().status == 200


# ---- credentials ----

def test_a_credential_travels_in_clear_only_where_the_rule_says_so(plain):
    done = plain.container.run("curl", "-sS", f"http://{plain.http}/key")
    assert done.stdout == b"hello from the origin\n"
    done = plain.container.run("curl", "-sS", "-H", "DD-API-KEY: own",
                               f"http://{plain.http}/headers")
    assert b'"Host"' in done.stdout and b"api-key" not in done.stdout.lower()


# ---- bytes ----

def test_https_in_absolute_form_is_tls_to_the_origin(journey, relay, constants):
    """As old axios and needle send it: the gateway speaks TLS, and verifies."""
    with RelayChannel(relay.port) as channel:
        channel.send(f"GET {journey.url}/headers HTTP/1.1\r\nHost: {journey.host}\r\n"
                     "Proxy-Connection: close\r\n\r\n".encode())
        answer = channel.answer()
    assert answer.status == 200
    fields = {name.lower(): value for name, value in json.loads(answer.body)}
    assert fields["host"] == journey.host
    assert fields["x-api-key"] == constants.key  # what the https rule injects
    assert journey.origin.connections[-1].handshake is True


def test_websocket_over_http_is_carried(plain, port):
    with RelayChannel(port) as channel:
        channel.send((f"GET http://{plain.http}/key/socket HTTP/1.1\r\nHost: {plain.http}\r\n"
                      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode())
        answer, rest = answer_read(lambda: channel.sock.recv(65536), body=False)
        assert answer.status == 101
        assert answer.fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        data = os.urandom(100000) + b"."
        channel.send(data)
        while len(rest) < 5 + len(data):
            rest += channel.sock.recv(65536)
        assert rest == b"hello" + data


def test_pipelined_requests_to_two_origins_are_answered_in_order(plain, port):
    urls = [f"http://{plain.http}/bytes/1", f"https://{plain.host}/bytes/2",
            f"http://{plain.http}/bytes/3"]
    with RelayChannel(port) as channel:
        channel.send(b"".join(f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for url in urls))
        rest = b""
        for length in (1, 2, 3):
            pieces = [rest]
            answer, rest = answer_read(
                lambda: pieces.pop(0) if pieces and pieces[0] else channel.sock.recv(65536))
            assert answer.status == 200
            assert len(answer.body) == length
