# SPDX-License-Identifier: Apache-2.0
"""The journey of every test: origins with a private CA, a gateway, a container with a session."""
import pathlib
import re
import types

import pytest

from authority import Authority
from gateway import Gateway
from origin import Origin
from relay import Container

KEY = "dd-0123456789abcdef-canary-of-the-tests"
BEARER = "ghp-fedcba9876543210-canary-of-the-tests"


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("exeat")


@pytest.fixture(scope="session")
def authority(place):
    return Authority(place / "authority")


def origin_rules(origin, host="origin.test"):
    """Rules of the shared gateway: what a test may do at its origin."""
    only = {"hosts": [host], "ports": [origin.port]}
    return [
        {"name": "no-secrets", **only, "paths": ["/secret/**"], "action": "deny"},
        {"name": "no-writes", **only, "methods": ["POST", "PUT", "DELETE"],
         "paths": ["/readonly/**"], "action": "deny"},
        {"name": "with-key", **only, "paths": ["/key", "/key/**"], "action": "allow",
         "inject": [{"header": "DD-API-KEY", "credential": "datadog", "format": "{}"}]},
        {"name": "with-bearer", **only, "paths": ["/headers", "/headers/**"], "action": "allow",
         "inject": [{"header": "Authorization", "credential": "hub", "format": "Bearer {}"},
                    {"header": "X-Api-Key", "credential": "datadog", "format": "{}"}]},
        {"name": "origin", **only, "action": "allow"},
    ]


class Journey:
    """Origin, gateway and container of a test, made in `directory`."""

    def __init__(self, directory, authority, *, rules=None, hosts=None, more=None, wss=False):
        self.authority = authority
        self.origin = Origin(*authority.issue("origin.test", "localhost", label="origin"),
                             require={"DD-API-KEY": KEY})
        self.host = f"origin.test:{self.origin.port}"
        self.url = f"https://{self.host}"
        self.gateway = Gateway(
            directory / "gateway", roots=authority.certificate,
            hosts={"origin.test": "127.0.0.1", **(hosts or {})},
            rules=[*origin_rules(self.origin), *(rules or [])],
            credentials={"datadog": KEY, "hub": BEARER}, more=more,
            tls=authority.issue("localhost", "127.0.0.1", label="gateway") if wss else None)
        self.directory = directory
        self.gateway.ca_init().start()
        self.session = self.gateway.session_create()
        self.container = self.container_for(self.session)

    def container_for(self, session, name="container"):
        return Container(self.directory / name, self.gateway, session,
                         roots=self.authority.certificate)

    def stop(self):
        try:
            self.gateway.stop()
        finally:
            self.origin.close()


@pytest.fixture(scope="session")
def shared(place, authority):
    """One journey for the tests that disturb nothing."""
    journey = Journey(place / "shared", authority, wss=True)
    yield journey
    journey.stop()


@pytest.fixture
def journey(shared):
    shared.origin.forget()
    shared.origin.hold()
    return shared


@pytest.fixture
def make_journey(tmp_path, authority):
    """A journey of a test's own, which it may break: make_journey(rules=..., more=...)."""
    made = []

    def make(**options):
        made.append(Journey(tmp_path / f"journey{len(made)}", authority, **options))
        return made[-1]

    yield make
    for journey in made:
        journey.stop()


@pytest.fixture
def constants():
    return types.SimpleNamespace(key=KEY, bearer=BEARER)


@pytest.fixture
def relay(journey):
    """A relay that stays for the length of a test."""
    with journey.container.relay() as relay:
        yield relay


def log_files(directory):
    return sorted(path for path in pathlib.Path(directory).rglob("*")
                  if re.search(r"\.(out|err)$", path.name) and path.stat().st_size)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show what the programs said when a test fails."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    places = {item.funcargs.get("place"), item.funcargs.get("tmp_path")} - {None}
    for directory in places:
        for path in log_files(directory):
            text = path.read_text(errors="replace")
            report.sections.append((f"{path.relative_to(directory)}", text[-6000:]))
