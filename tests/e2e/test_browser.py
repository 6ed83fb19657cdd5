# SPDX-License-Identifier: Apache-2.0
"""Chromium loads a page with many resources, uploads, and opens a WebSocket, all through the relay:
its ClientHello is large, with key shares that do not fit one segment, and it wants HTTP/2."""
import hashlib
import os
import pathlib
import urllib.parse

import pytest

from conftest import Journey
from gateway import free_port
from nginx import Nginx
from program import Program, clean_environment, run, wait_until

HERE = pathlib.Path(__file__).parent
RESOURCES = 150
PAGE = """<!doctype html><title>page</title>
<script>
const sum = async bytes => [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))]
    .map(byte => byte.toString(16).padStart(2, "0")).join("");
async function resource(i) {{
    return sum(await (await fetch(`/r/${{i}}`)).arrayBuffer());
}}
function socket() {{
    return new Promise((done, failed) => {{
        const ws = new WebSocket("wss://{ws}/");
        let count = 0;
        ws.onopen = () => {{ for (let i = 0; i < 20; i++) ws.send("message " + "x".repeat(i * 1000)); }};
        ws.onmessage = () => {{ if (++count === 20) {{ ws.close(); done(count); }} }};
        ws.onerror = () => failed("websocket");
    }});
}}
async function all() {{
    const sums = await Promise.all([...Array({resources}).keys()].map(resource));
    const protocols = new Set(performance.getEntriesByType("resource").map(e => e.nextHopProtocol));
    return {{sums: await sum(new TextEncoder().encode(sums.join(""))), echoes: await socket(),
             protocols: [...protocols].join(" ")}};
}}
all().catch(error => ({{error: String(error)}}))
    .then(result => fetch("/result?" + new URLSearchParams(result)));
</script>
"""


@pytest.fixture(scope="module")
def nginx(place, authority):
    nginx = Nginx(place / "page", *authority.issue("page.test"), http2=True)
    yield nginx
    nginx.stop()


@pytest.fixture(scope="module")
def ws_port(place, authority):
    port = free_port()
    directory = place / "ws-server"
    directory.mkdir()
    certificate, key = authority.issue("ws.test")
    program = Program("ws", ["/usr/bin/python3", HERE / "ws_server.py", certificate, key,
                             str(port)],
                      env=clean_environment(directory), directory=directory)
    wait_until(lambda: "listening" in program.output(), "the WebSocket server")
    yield port
    program.stop()


@pytest.fixture(scope="module")
def real(place, authority, nginx, ws_port):
    rules = [{"name": name, "hosts": [f"{name}.test"], "ports": [port], "action": "allow"}
             for name, port in (("page", nginx.port), ("ws", ws_port))]
    journey = Journey(place / "browser", authority, rules=rules,
                      hosts={"page.test": "127.0.0.1", "ws.test": "127.0.0.1"})
    yield journey
    journey.stop()


def trust(home, authority):
    """Chromium takes its roots from this data base."""
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    for words in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "exeat", "-i", authority]):
        run(["certutil", "-d", f"sql:{database}", *words],
            env=clean_environment(home), cwd=home, check=0)


def test_chromium_loads_a_page_with_many_resources(real, nginx, ws_port, tmp_path):
    resources = nginx.directory / "files" / "r"
    resources.mkdir()
    sums = ""
    for i in range(RESOURCES):
        content = os.urandom(1000 + 977 * i)
        (resources / str(i)).write_bytes(content)
        sums += hashlib.sha256(content).hexdigest()
    (nginx.directory / "files" / "page.html").write_text(
        PAGE.format(ws=f"ws.test:{ws_port}", resources=RESOURCES))
    (nginx.directory / "files" / "result").write_text("thanks")
    trust(tmp_path, real.gateway.ca_file())
    with real.container.relay() as relay:
        browser = Program(
            "chromium",
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             f"--user-data-dir={tmp_path}/profile", f"--proxy-server=http://127.0.0.1:{relay.port}",
             "--remote-debugging-port=0", f"https://page.test:{nginx.port}/page.html"],
            env=clean_environment(tmp_path), directory=tmp_path)
        log = nginx.directory / "access.log"
        try:
            line = wait_until(lambda: [line for line in log.read_text().splitlines()
                                       if "/result?" in line], "the browser's result", 60)[0]
        finally:
            browser.stop()
    result = dict(urllib.parse.parse_qsl(line.split("/result?")[1].split(" ")[0]))
    assert result == {"sums": hashlib.sha256(sums.encode()).hexdigest(), "echoes": "20",
                      "protocols": "h2"}
