# SPDX-License-Identifier: Apache-2.0
"""One record for each exchange: what it says, and that nobody changes it unnoticed."""
import concurrent.futures
import datetime
import hashlib

import pytest

from h2_frames import DATA, END_STREAM, HEADERS, RST_STREAM, H2Client
from tunnel import RelayChannel, TlsClient, Tunnel

FIELDS = ["seq", "time", "session", "host", "port", "method", "path", "decision", "rule",
          "credential", "status", "bytes_in", "bytes_out", "ms", "prev", "hash"]


@pytest.fixture
def own(make_journey):
    """A gateway of its own, whose log holds what the test did and nothing else."""
    return make_journey()


def requests_through(journey, requests):
    """Send (method, target, body) on one tunnel; the answers."""
    with journey.container.relay() as relay, RelayChannel(relay.port) as channel:
        assert channel.connect(journey.host).status == 200
        tls = TlsClient(channel, journey.gateway.ca_file(), "origin.test").handshake()
        return [tls.request(method, target, journey.host, body=body)
                for method, target, body in requests]


def test_a_record_says_what_happened(own, constants):
    requests_through(own, [("POST", "/key?q=1", b"12345")])
    record = own.gateway.record_where(path="/key?q=1")
    assert [name for name in FIELDS if name not in record] == []
    expected = {"seq": 1, "session": own.session.id, "host": "origin.test",
                "port": own.origin.port, "method": "POST", "decision": "allow",
                "rule": "with-key", "credential": "datadog", "status": 200, "bytes_in": 5,
                "bytes_out": len("hello from the origin\n")}
    assert {name: record[name] for name in expected} == expected
    when = datetime.datetime.fromisoformat(record["time"].replace("Z", "+00:00"))
    age = datetime.datetime.now(datetime.timezone.utc) - when
    assert abs(age.total_seconds()) < 60
    assert 0 <= record["ms"] < 20000
    text = own.gateway.audit_path.read_text()
    assert constants.key not in text and own.session.token not in text


def test_every_exchange_has_one_record_in_order(own):
    requests_through(own, [("GET", f"/bytes/{i}", b"") for i in range(40)]
                     + [("GET", "/secret/x", b"")])
    own.gateway.record_where(path="/secret/x")
    records = own.gateway.records()
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    exchanges = [record for record in records if record["method"] != "CONNECT"]
    assert [record["path"] for record in exchanges] == [
        *(f"/bytes/{i}" for i in range(40)), "/secret/x"]
    assert [record["bytes_out"] for record in exchanges[:40]] == list(range(40))
    assert exchanges[-1]["decision"] == "deny" and exchanges[-1]["rule"] == "no-secrets"


def test_the_chain_is_what_the_manual_says(own):
    """`hash` is SHA-256 of the line up to ,"hash"; `prev` is the hash before."""
    requests_through(own, [("GET", f"/bytes/{i}", b"") for i in range(5)])
    own.gateway.record_where(path="/bytes/4")
    before = "0" * 64
    for line, record in zip(own.gateway.audit_path.read_text().splitlines(),
                            own.gateway.records()):
        assert record["prev"] == before
        before = record["hash"]
        assert hashlib.sha256(line[:line.index(',"hash"')].encode()).hexdigest() == before


def verify(gateway, check):
    return gateway.command("audit", "verify", "-c", gateway.config_path, check=check)


def test_the_log_verifies_until_it_is_touched(own):
    requests_through(own, [("GET", f"/bytes/{i}", b"") for i in range(5)])
    own.gateway.record_where(path="/bytes/4")
    assert b"5" in verify(own.gateway, 0).stdout
    lines = own.gateway.audit_path.read_text().splitlines(keepends=True)
    changes = {
        "edited": [*lines[:1], lines[1].replace('"GET"', '"PUT"', 1), *lines[2:]],
        "deleted": [*lines[:2], *lines[3:]],
        "swapped": [lines[1], lines[0], *lines[2:]],
    }
    own.gateway.stop()
    for name, changed in changes.items():
        assert changed != lines
        own.gateway.audit_path.write_text("".join(changed))
        done = verify(own.gateway, 1)
        assert done.stderr or done.stdout, name
    own.gateway.audit_path.write_text("".join(lines))
    verify(own.gateway, 0)


def test_the_chain_goes_on_after_a_restart(own):
    requests_through(own, [("GET", "/bytes/1", b"")])
    own.gateway.record_where(path="/bytes/1")
    own.gateway.stop()
    own.gateway.start()
    own.container.environment["EXEAT_GATEWAY_URL"] = own.gateway.url
    requests_through(own, [("GET", "/bytes/2", b"")])
    record = own.gateway.record_where(path="/bytes/2")
    assert record["seq"] == len(own.gateway.records())
    verify(own.gateway, 0)


def test_what_a_client_writes_cannot_break_the_log(own):
    """Threat J1: one exchange is one line of JSON, whatever is in its path."""
    paths = ["/%22%0d%0a%7b", "/%1b[31m", "/%00", "/%E2%80%AE", "/%ff%fe", "/" + "x" * 15000,
             '/"quoted"', "/back\\slash"]
    for path in paths:
        with own.container.relay() as relay, RelayChannel(relay.port) as channel:
            assert channel.connect(own.host).status == 200
            tls = TlsClient(channel, own.gateway.ca_file(), "origin.test").handshake()
            assert tls.request("GET", path, own.host).status in (200, 400)
    requests_through(own, [("GET", "/last", b"")])
    own.gateway.record_where(path="/last")
    assert len([r for r in own.gateway.records() if r["method"] != "CONNECT"]) >= 1
    verify(own.gateway, 0)


def test_a_burst_that_is_more_than_the_auditors_queue_holds_waits_for_it(own):
    """30 requests with a credential and a long path, in one read."""
    own.gateway.ca_file()
    with Tunnel(own.gateway.port).open(own.session) as tunnel:
        assert tunnel.connect(own.host, own.session).status == 200
        tls = TlsClient(tunnel, own.gateway.ca_file(), "origin.test", alpn=("h2",)).handshake()
        client = H2Client(tls).open()
        for number in range(30):
            client.ask(own.host, f"/key/{number}/{'x' * 14000}")
        ended = 0
        while ended < 30:
            frame = client.next()
            assert frame is not None and frame.kind != RST_STREAM
            ended += frame.kind in (HEADERS, DATA) and bool(frame.flags & END_STREAM)
    own.gateway.stop()
    assert [record["status"] for record in own.gateway.records()] == [200] * 30
    verify(own.gateway, 0)


def test_concurrent_exchanges_are_one_record_each(own):
    def one(i):
        with RelayChannel(relay.port) as channel:
            assert channel.connect(own.host).status == 200
            tls = TlsClient(channel, own.gateway.ca_file(), "origin.test").handshake()
            return [tls.request("GET", f"/bytes/{i}{j}", own.host).status for j in range(5)]

    own.gateway.ca_file()
    with own.container.relay() as relay, concurrent.futures.ThreadPoolExecutor(20) as threads:
        assert {status for answer in threads.map(one, range(10, 30)) for status in answer} == {200}
    own.gateway.stop()
    paths = [record["path"] for record in own.gateway.records() if record["method"] == "GET"]
    assert sorted(paths) == sorted(f"/bytes/{i}{j}" for i in range(10, 30) for j in range(5))
    verify(own.gateway, 0)
