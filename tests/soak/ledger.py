# SPDX-License-Identifier: Apache-2.0
"""What became of every exchange, and the judgement: who was not hit by a fault must succeed."""
import collections
import itertools
import json
import time

AROUND = 0.5  # s: the proxy and the client look at the clock at different ends of a connection
# How long after its begin a fault can still be why something fails.
FATAL = {"cut": 0, "reset": 0, "refuse": 0, "half": 15, "hang": 15}

OK, FAILED, WRONG, HUNG = "ok", "failed", "wrong", "hung"


class Exchange:
    def __init__(self, number, kind, slot, way, since):
        self.number = number
        self.kind = kind
        self.slot = slot
        self.way = way
        self.is_unread = False  # the gateway does not look into it
        self.since = since      # the slot's connections may have been hit since then
        self.end = None
        self.outcome = None
        self.detail = ""
        self.status = 0         # of the answer, if there was one
        self.path = None
        self.sent = None        # bytes of the contents, for whom all went well
        self.received = None


class Ledger:
    def __init__(self, say=lambda text: None):
        self.say = say          # what no fault explains is told at once
        self.numbers = itertools.count(1)
        self.counts = collections.Counter()
        self.bytes = collections.Counter()
        self.expected = {}      # path: (outcome, status, sent, received)
        self.unread = set()     # numbers of what the gateway cannot have recorded
        self.failures = []      # exchanges that did not end well
        self.running = 0
        self.last_end = {}      # slot: when its last exchange ended

    def begin(self, kind, slot, way=None):
        now = time.monotonic()
        self.running += 1
        return Exchange(next(self.numbers), kind, slot, way, self.last_end.get(slot, now))

    def finish(self, exchange, outcome, detail=""):
        self.running -= 1
        exchange.end = time.monotonic()
        exchange.outcome = outcome
        exchange.detail = detail
        self.last_end[exchange.slot] = exchange.end
        self.counts[exchange.kind, outcome] += 1
        self.bytes["sent"] += exchange.sent or 0
        self.bytes["received"] += exchange.received or 0
        if exchange.is_unread:
            self.unread.add(exchange.number)
        elif exchange.path is not None:
            self.expected[exchange.path] = (outcome, exchange.status, exchange.sent,
                                            exchange.received)
        if outcome != OK:
            self.failures.append(exchange)
        if outcome in (WRONG, HUNG):
            self.say(f"{exchange.kind} {exchange.path} by {exchange.way}, slot {exchange.slot}: "
                     f"{outcome}: {detail}")

    def total(self, *outcomes):
        return sum(count for (_, outcome), count in self.counts.items() if outcome in outcomes)


def read_lines(path):
    with open(path, encoding="ascii") as lines:
        return [json.loads(line) for line in lines]


def fault_hits(exchange, event, sealed_slots):
    """Whether this fault can be why the exchange failed."""
    if event["slot"] is None:
        # Which tunnel it was is not known: too early in it, or sealed in TLS.
        if (event["place"] == "wstls") != (exchange.slot in sealed_slots):
            return False
    elif event["slot"] != exchange.slot:
        return False
    lasts = FATAL[event["kind"]]
    return exchange.since - lasts - AROUND <= event["t"] <= exchange.end + AROUND


def judge_failures(ledger, faults, sealed_slots):
    """(how many failures a fault explains, [complaints about the others])"""
    fatal = sorted((event for event in faults if event["kind"] in FATAL),
                   key=lambda event: event["t"])
    explained, complaints = 0, []
    for exchange in ledger.failures:
        is_hit = exchange.outcome == FAILED and any(
            fault_hits(exchange, event, sealed_slots) for event in fatal)
        if is_hit:
            explained += 1
        else:
            complaints.append(
                f"{exchange.kind} {exchange.path} of slot {exchange.slot} at "
                f"{exchange.end:.3f} (since {exchange.since:.3f}): {exchange.outcome}: "
                f"{exchange.detail}")
    return explained, complaints


def judge_origin(lines):
    return [f"origin: {line['number']}: {line['wrong']}" for line in lines if line.get("wrong")]


def judge_unread(ledger, records):
    """One record for each tunnel that went through unread, and for some that failed early."""
    complaints = []
    for way in ("pass", "tcp"):
        found = sum(record.get("kind") == way and record["status"] == 200 for record in records)
        opened = ledger.counts[f"tunnel {way}", OK]
        tried = opened + ledger.counts[f"tunnel {way}", FAILED]
        if not opened <= found <= tried:
            complaints.append(f"{opened} of {tried} tunnels were opened by {way}, and {found} are "
                              f"in the log")
    return complaints


def judge_audit(ledger, lines, records):
    """One record for each exchange, with the sizes that the client saw."""
    complaints = []
    found = collections.Counter()
    for record in records:
        if record["method"] == "CONNECT":
            continue
        path = record["path"]
        if path == "" and record["decision"] == "error" and record["bytes_in"] == 0:
            continue  # a head that a fault cut in two; what became of it is in the failures
        found[path] += 1
        expected = ledger.expected.get(path)
        if expected is None:
            complaints.append(f"a record of {path!r}, which nobody asked for")
            continue
        outcome, status, sent, received = expected
        if outcome != OK or sent is None:
            continue
        if (record["status"], record["bytes_in"], record["bytes_out"]) != (status, sent, received):
            complaints.append(
                f"{path}: the record says {record['status']}, {record['bytes_in']} in, "
                f"{record['bytes_out']} out; the client saw {status}, {sent}, {received}")
    for path, (outcome, status, _, _) in ledger.expected.items():
        if found[path] > 1:
            complaints.append(f"{path}: {found[path]} records")
        elif status and not found[path]:
            complaints.append(f"{path}: answered with {status} ({outcome}) and not in the log")
    complaints += judge_unread(ledger, records)
    served = {line["number"] for line in lines if "kind" in line}
    recorded = {int(path.split("/")[2]) for path in found if path.count("/") == 3}
    for number in served - recorded - ledger.unread:
        complaints.append(f"exchange {number} reached the origin and is not in the log")
    return complaints
