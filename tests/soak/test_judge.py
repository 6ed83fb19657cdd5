# SPDX-License-Identifier: Apache-2.0
"""The judge of the soak must find what it is there to find."""
import pytest

import content
import faults
import ledger


def exchange_made(books, outcome=ledger.OK, *, status=200, sent=0, received=5):
    exchange = books.begin("length", 3)
    exchange.path = f"/length/{exchange.number}/5"
    exchange.status, exchange.sent, exchange.received = status, sent, received
    books.finish(exchange, outcome, "why")
    return exchange


def record_of(exchange, **changes):
    return {"method": "GET", "path": exchange.path, "status": 200, "bytes_in": 0, "bytes_out": 5,
            **changes}


def served(exchange):
    return {"number": exchange.number, "kind": "length", "wrong": None}


def fault_at(exchange, **changes):
    return {"t": exchange.end, "place": "ws", "slot": 3, "kind": "cut", **changes}


@pytest.fixture
def books():
    return ledger.Ledger()


def test_the_same_seed_makes_the_same_faults():
    def plans(seed):
        return [faults.plan(seed, "ws", number) for number in range(50)]

    assert plans(7) == plans(7) != plans(8)


def test_every_fault_comes_up():
    kinds = {kind for number in range(2000) for _, _, kind, _ in faults.plan(1, "ws", number)}
    assert kinds == {*faults.FATAL, *faults.HARMLESS, "refuse"} and kinds > set(ledger.FATAL)


def test_a_good_run_has_no_complaint(books):
    exchange = exchange_made(books)
    assert ledger.judge_failures(books, [], set()) == (0, [])
    assert ledger.judge_audit(books, [served(exchange)], [record_of(exchange)]) == []


def test_a_fault_explains_the_failure_of_its_slot_and_of_no_other(books):
    exchange = exchange_made(books, ledger.FAILED)
    assert ledger.judge_failures(books, [fault_at(exchange)], set()) == (1, [])
    for fault in (fault_at(exchange, slot=4), fault_at(exchange, kind="stall"),
                  fault_at(exchange, t=exchange.end + 5), fault_at(exchange, t=exchange.since - 5),
                  fault_at(exchange, slot=None, place="wstls")):
        assert len(ledger.judge_failures(books, [fault], set())[1]) == 1


@pytest.mark.parametrize("outcome", [ledger.WRONG, ledger.HUNG])
def test_no_fault_explains_wrong_bytes_or_silence(books, outcome):
    exchange = exchange_made(books, outcome)
    assert len(ledger.judge_failures(books, [fault_at(exchange)], set())[1]) == 1


@pytest.mark.parametrize("changes", [
    {"bytes_out": 4}, {"bytes_in": 1}, {"status": 499}, {"path": "/length/99/5"}])
def test_a_record_that_says_something_else_is_found(books, changes):
    exchange = exchange_made(books)
    assert ledger.judge_audit(books, [], [record_of(exchange, **changes)])


def test_a_record_too_few_or_too_many_is_found(books):
    exchange = exchange_made(books)
    assert ledger.judge_audit(books, [], [])
    assert ledger.judge_audit(books, [], [record_of(exchange)] * 2)


def test_a_request_that_reached_the_origin_without_a_record_is_found(books):
    exchange = exchange_made(books, ledger.FAILED, status=0)
    assert ledger.judge_audit(books, [], []) == []
    assert ledger.judge_audit(books, [served(exchange)], [])


def test_an_unread_tunnel_without_its_record_is_found(books):
    books.finish(books.begin("tunnel pass", 3, "pass"), ledger.OK)
    assert ledger.judge_audit(books, [], [])
    record = {"method": "CONNECT", "kind": "pass", "status": 200}
    assert ledger.judge_audit(books, [], [record]) == []
    assert ledger.judge_audit(books, [], [record] * 2)


def test_moved_and_missing_bytes_are_found():
    whole = content.content(7, 200_000)
    for bad in (whole[:-1], whole[:65536] + whole[65537:] + b"x", whole[1:] + whole[:1]):
        check = content.Check(7)
        check.add(bad)
        assert not check.is_whole(len(whole))
    check = content.Check(7)
    check.add(whole[:1000])
    assert check.is_prefix()
