# SPDX-License-Identifier: Apache-2.0
"""Real programs make the whole journey: they know nothing but their environment."""
import json
import pathlib
import subprocess

import pytest

from conftest import Journey
from nginx import Nginx
from program import run

HERE = pathlib.Path(__file__).parent
PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def nginx(place, authority):
    nginx = Nginx(place / "nginx", *authority.issue("nginx.test"))
    yield nginx
    nginx.stop()


@pytest.fixture(scope="module")
def real(place, authority, nginx):
    """A journey whose gateway knows the nginx origin too."""
    journey = Journey(
        place / "clients", authority, hosts={"nginx.test": "127.0.0.1"},
        rules=[{"name": "nginx-key", "hosts": ["nginx.test"], "ports": [nginx.port],
                "paths": ["/echo-headers"], "action": "allow",
                "inject": [{"header": "DD-API-KEY", "credential": "datadog", "format": "{}"}]},
               {"name": "nginx", "hosts": ["nginx.test"], "ports": [nginx.port],
                "action": "allow"}])
    journey.nginx = f"https://nginx.test:{nginx.port}"
    yield journey
    journey.stop()


def test_curl_gets_the_page(real):
    done = real.container.run("curl", "-sS", "-i", real.nginx + "/")
    assert done.stdout.endswith(b"hello from nginx\n")
    assert b"HTTP/1.1 200" in done.stdout


def test_curl_speaks_http_1_0(real):
    """It offers http/1.0 alone by ALPN, which was refused; and knows no chunks."""
    done = real.container.run("curl", "-sS", "--http1.0", real.nginx + "/")
    assert done.stdout.endswith(b"hello from nginx\n")
    chunked = f"{real.url}/chunked/100000"
    done = real.container.run("curl", "-sS", "--http1.0", chunked)
    assert len(done.stdout) == 100000


def test_curl_is_given_the_key_at_the_origin_only(real, constants):
    done = real.container.run("sh", "-c", "env; cat /proc/self/environ; curl -sS $0",
                              real.nginx + "/echo-headers")
    environment, _, answer = done.stdout.partition(b"host=nginx.test")
    assert f"key={constants.key}\n".encode() in answer
    assert constants.key.encode() not in environment


def test_nobody_but_the_gateway_sees_the_secrets(real, constants):
    """Neither key nor token is in the environment or on the command line of any program."""
    script = ("for f in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do cat $f 2>/dev/null; done; "
              "find . -type f -exec cat {} +")
    session = real.gateway.session_create()
    container = real.container_for(session, "looking")
    done = container.run("sh", "-c", script)
    for secret in (constants.key, constants.bearer, session.token):
        assert secret.encode() not in done.stdout
    assert b"HTTPS_PROXY=http://127.0.0.1:" in done.stdout


def test_curl_sees_the_exit_status_of_its_failures(real):
    done = real.container.run("curl", "-sS", "https://unknown.test/", check=56)
    assert b"403" in done.stderr


def test_python_urllib(real):
    script = ("import sys, urllib.request\n"
              "print(urllib.request.urlopen(sys.argv[1], timeout=20).read())")
    done = real.container.run(PYTHON, "-c", script, real.nginx + "/")
    assert b"hello from nginx" in done.stdout


def test_python_requests(real):
    script = ("import sys, requests\n"
              "session = requests.Session()\n"
              "for i in range(3):\n"
              "    answer = session.get(sys.argv[1], timeout=20)\n"
              "    print(answer.status_code, answer.text)")
    done = real.container.run(PYTHON, "-W", "ignore", "-c", script, real.nginx + "/")
    assert done.stdout.count(b"200 hello from nginx") == 3


def test_python_requests_are_told_why(real):
    """requests shows the reason phrase of a refused CONNECT, and nothing else."""
    script = "import sys, requests; requests.get(sys.argv[1], timeout=20)"
    done = real.container.run(PYTHON, "-W", "ignore", "-c", script, "https://unknown.test/",
                              check=1)
    assert b"403" in done.stderr


def test_node_https(real):
    done = real.container.run("node", HERE / "client.js", real.nginx + "/")
    assert done.stdout == b"200\nhello from nginx\n"


def test_node_is_told_why(real):
    done = real.container.run("node", HERE / "client.js", "https://unknown.test/", check=1)
    assert b"CONNECT: 403 policy_denied" in done.stderr


def git_environment():
    return {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@test", "GIT_COMMITTER_NAME": "t",
            "GIT_COMMITTER_EMAIL": "t@test", "GIT_TERMINAL_PROMPT": "0"}


def test_git_clones_and_pushes(real, nginx):
    """The push is larger than git's buffer, so that its body comes in chunks."""
    bare = nginx.repository("one.git")
    script = f"""set -e
git clone -q {real.nginx}/git/one.git clone
cd clone
grep -qx one README
dd if=/dev/urandom of=large bs=1M count=3 status=none
git add large
git commit -q -m two
git push -q origin main
git fetch -q
git rev-parse HEAD
"""
    done = real.container.run("sh", "-c", script, environment=git_environment())
    head = subprocess.run(["git", "-C", bare, "rev-parse", "main"], capture_output=True,
                          check=True, env=nginx.environment).stdout
    assert done.stdout == head
    pushes = [record for record in real.gateway.records()
              if record["path"] == "/git/one.git/git-receive-pack"]
    assert {record["status"] for record in pushes} == {200}
    assert max(record["bytes_in"] for record in pushes) > 3 << 20


def test_the_bundle_holds_the_roots_and_the_gateways_ca(real):
    done = real.container.run("sh", "-c", 'cat "$SSL_CERT_FILE"; stat -c %a "$SSL_CERT_FILE"')
    assert real.authority.certificate.read_bytes().strip() in done.stdout
    assert real.gateway.ca_pem().strip() in done.stdout
    assert done.stdout.endswith(b"644\n")


def test_the_environment_is_complete(real):
    names = ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE",
             "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"]
    done = real.container.run(PYTHON, "-c", "import json, os; print(json.dumps(dict(os.environ)))")
    environment = json.loads(done.stdout)
    assert [name for name in names if not environment.get(name)] == []
    assert environment["HTTPS_PROXY"] == environment["https_proxy"]
    assert environment["HTTPS_PROXY"].startswith("http://127.0.0.1:")
    assert "169.254.0.0/16" in environment["NO_PROXY"]


@pytest.mark.parametrize("words", [("-proxy",)])
def test_openssl_accepts_the_minted_leaf(real, words, nginx):
    """The leaf names the host exactly, and its extensions are those of protocol.md section 9."""
    script = (f"openssl s_client {words[0]} ${{HTTPS_PROXY#http://}} -connect nginx.test:{nginx.port}"
              " -servername nginx.test -verify_return_error -CAfile $SSL_CERT_FILE </dev/null"
              " | openssl x509 -noout -text")
    text = real.container.run("sh", "-c", script).stdout.decode()
    assert "DNS:nginx.test" in text and "TLS Web Server Authentication" in text
    assert "Authority Key Identifier" in text and "Digital Signature" in text
    assert "prime256v1" in text and "CA:FALSE" in text


def test_exeat_run_gives_the_status_of_its_command(real):
    real.container.run("sh", "-c", "exit 7", check=7)
    real.container.run("sh", "-c", "kill -TERM $$", check=128 + 15)
    real.container.run("no-such-program-anywhere", check=127)
    real.container.run(real.directory, check=126)


def test_both_programs_tell_their_version(real):
    from gateway import gateway_path
    from relay import relay_path
    for path in (gateway_path(), relay_path()):
        done = run([path, "--version"], env=real.container.environment, cwd=real.directory, check=0)
        assert done.stdout.strip().startswith(path.name.encode())
