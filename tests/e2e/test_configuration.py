# SPDX-License-Identifier: Apache-2.0
"""What an operator sees: the commands, and every configuration error with its place."""
import re
import shutil
import stat

import pytest

from gateway import Gateway, gateway_path
from program import Program, run
from relay import relay_path

GOOD = """\
listen:
  - address: 127.0.0.1:0
state_dir: state
audit:
  file: audit.log
origins:
  roots: roots.pem
  networks: [127.0.0.0/8]
resolver:
  hosts: {origin.test: 127.0.0.1}
credentials:
  datadog: {file: secrets/dd}
rules:
  - name: api
    hosts: [origin.test]
    ports: [443]
    methods: [GET]
    paths: ["/api/**"]
    inject:
      - header: DD-API-KEY
        credential: datadog
        format: "{}"
    action: allow
"""


@pytest.fixture
def bench(tmp_path, authority):
    """A directory with a good configuration and all the files that it names."""
    gateway = Gateway(tmp_path, roots=authority.certificate, hosts={}, rules=[])
    (tmp_path / "secrets").mkdir(exist_ok=True)
    (tmp_path / "secrets/dd").write_text("a-key\n")
    (tmp_path / "secrets/dd").chmod(0o600)
    (tmp_path / "roots.pem").write_bytes(authority.certificate.read_bytes())
    gateway.config_path.write_text(GOOD)
    return gateway.ca_init()


def check(gateway, status):
    return gateway.command("check", "-c", gateway.config_path, check=status)


def test_a_good_configuration_is_good(bench):
    done = check(bench, 0)
    assert b"error" not in done.stdout + done.stderr


# what is changed, into what, the line of the error, a word that it must say
ERRORS = [
    ("    ports: [443]", "    prots: [443]", 16, "ports"),
    ("    ports: [443]", "    ports: [0]", 16, "1"),
    ("    ports: [443]", "    ports: [65536]", 16, "65536"),
    ("    ports: [443]", "    ports: https", 16, "expected"),
    ("    hosts: [origin.test]", "    hosts: [ori gin]", 15, "ori gin"),
    ("    hosts: [origin.test]", "    hosts: ['*origin.test']", 15, "*origin.test"),
    ("    hosts: [origin.test]", "    hosts: []", 15, "expected"),
    ("    action: allow", "    action: permit", 23, "permit"),
    ("        credential: datadog", "        credential: unknown", 21, "unknown"),
    ('        format: "{}"', '        format: "x"', 22, "{}"),
    ("      - header: DD-API-KEY", '      - header: "DD API KEY"', 20, "header"),
    ("  - address: 127.0.0.1:0", "  - address: 127.0.0.1", 2, "127.0.0.1"),
    ("  - address: 127.0.0.1:0", "  - address: example.com:80", 2, "example.com"),
    ("  networks: [127.0.0.0/8]", "  networks: [127.0.0.0/33]", 8, "127.0.0.0/33"),
    ("  datadog: {file: secrets/dd}", "  datadog: {file: secrets/none}", 12, "secrets/none"),
    ("  datadog: {file: secrets/dd}", "  datadog: {}", 12, "file"),
    ("  roots: roots.pem", "  roots: nowhere.pem", 7, "nowhere.pem"),
    ("  hosts: {origin.test: 127.0.0.1}", "  hosts: {origin.test: localhost}", 10, "localhost"),
    ("state_dir: state", "state_dir: state\nstate_dir: again", 4, "again"),
    ("state_dir: state", "surprise: 1", 3, "surprise"),
    ("rules:", "rules: [", 13, "expected"),
    ('    paths: ["/api/**"]', '    paths: ["api"]', 18, "/"),
]


@pytest.mark.parametrize("before, after, line, word", ERRORS,
                         ids=[after.strip().replace("\n", " ") for _, after, _, _ in ERRORS])
def test_an_error_says_file_line_and_what_was_expected(bench, before, after, line, word):
    assert before in GOOD
    bench.config_path.write_text(GOOD.replace(before, after))
    done = check(bench, 1)
    errors = done.stderr.decode()
    places = [int(found) for found in re.findall(r"gateway\.yaml:(\d+)", errors)]
    assert places, errors
    if after != "rules: [":  # what is missing there is seen later
        assert line in places, errors
    assert word in errors, errors


def test_all_errors_are_told_at_once(bench):
    bench.config_path.write_text(GOOD.replace("[443]", "[0]").replace("allow", "permit")
                                 .replace("127.0.0.0/8", "nonsense"))
    errors = check(bench, 1).stderr.decode()
    assert {8, 16, 23} <= {int(found) for found in re.findall(r"gateway\.yaml:(\d+)", errors)}


@pytest.mark.parametrize("value", ["two\nlines\n", "a\0b\n", "", "x" * 9000 + "\n", "ü\n"])
def test_a_credential_that_cannot_be_a_header_is_named_and_not_shown(bench, value):
    """Threat D5: refused when the configuration is loaded, by its name."""
    (bench.directory / "secrets/dd").write_text(value)
    errors = check(bench, 1).stderr.decode()
    assert "datadog" in errors
    if len(value) > 3:
        assert value.strip() not in errors


def test_serve_refuses_what_check_refuses(bench):
    bench.config_path.write_text(GOOD.replace("[443]", "[0]"))
    done = bench.command("serve", "-c", bench.config_path, check=1)
    assert b"gateway.yaml:16" in done.stderr and b"listening" not in done.stdout


def test_serve_without_a_ca_says_what_to_do(bench):
    shutil.rmtree(bench.state)
    done = bench.command("serve", "-c", bench.config_path, check=1)
    assert b"ca init" in done.stderr and b"listening" not in done.stdout


@pytest.mark.parametrize("text", ["", "- a list\n", "a: &x 1\nb: *x\n", "\tx: 1\n", "[" * 5000,
                                  "listen: \xff\n", "x: !!python/object 1\n"])
def test_files_that_are_no_configuration(bench, text):
    bench.config_path.write_text(text, encoding="latin-1")
    assert b"gateway.yaml" in check(bench, 1).stderr


def test_a_file_that_is_not_there(bench):
    done = bench.command("check", "-c", "nowhere.yaml", check=1)
    assert b"nowhere.yaml" in done.stderr


def test_the_ca_is_made_once_and_its_key_is_private(bench):
    keys = [path for path in bench.directory.rglob("*")
            if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert len(keys) == 1
    assert stat.S_IMODE(keys[0].stat().st_mode) == 0o600
    before = keys[0].read_bytes()
    done = bench.command("ca", "init", "-c", bench.config_path, check=1)
    assert done.stderr
    assert keys[0].read_bytes() == before
    shown = bench.command("ca", "show", "-c", bench.config_path)
    assert b"PRIVATE" not in shown.stdout


def test_a_token_file_is_private_and_never_overwritten(bench):
    path = bench.directory / "token"
    bench.command("session", "create", "-c", bench.config_path, "--token-file", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    bench.command("session", "create", "-c", bench.config_path, "--token-file", path, check=1)
    assert path.read_bytes() == before


def test_tokens_are_not_in_the_state_directory(bench):
    session = bench.session_create()
    for path in bench.state.rglob("*"):
        if path.is_file():
            assert session.token.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("words, status", [
    ([], 2), (["nonsense"], 2), (["serve"], 2), (["serve", "--nonsense"], 2), (["ca"], 2),
    (["session", "create"], 2), (["--help"], 0), (["--version"], 0),
])
def test_the_gateways_command_line(bench, words, status):
    done = bench.command(*words, check=status)
    assert (done.stderr if status else done.stdout).strip()


@pytest.mark.parametrize("words, status", [
    ([], 2), (["nonsense"], 2), (["run"], 2), (["run", "--nonsense", "--", "true"], 2),
    (["relay", "--port", "70000"], 2), (["--help"], 0), (["--version"], 0),
])
def test_the_relays_command_line(bench, words, status):
    done = run([relay_path(), *words], env=bench.environment, cwd=bench.directory, check=status)
    assert (done.stderr if status else done.stdout).strip()


def test_the_gateway_ends_well_on_sigterm(bench):
    program = Program("gateway", [gateway_path(), "serve", "-c", bench.config_path],
                      env=bench.environment, directory=bench.directory)
    program.expect("listening on")
    program.stop(status=0)
