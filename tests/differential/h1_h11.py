#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our reader of requests against h11, which was written from the RFC with another mind.

usage: h1_h11.py H1_EMIT [COUNT [FIRST]]
The rule is that of h1_llhttp.c: what we accept h11 must accept and read as the same requests; what
we refuse and h11 takes has a reason below, as has the little that h11 refuses and we take.
"""
import collections
import subprocess
import sys

import h11

# How our refusal begins, and why it is right. h11 takes what stands here.
WE_REFUSE = {
    "no message starts with": "A5: something before the request line",
    "head: bare LF": "A5: a bare LF",
    "version ": "A11: a version that is not 1.0 or 1.1",
    "folded field": "A4: a folded field",
    "field value": "A5: a control byte in a value",
    "2 Host fields": "C3: two Host fields",
    "Content-Length and Transfer-Encoding": "A1: both lengths",
    "Content-Length is not": "A2: not one run of 1 to 18 digits",
    "2 Content-Length": "A2: two lengths",
    "a field that looks like": "A2, A3: Content_Length and Transfer_Encoding",
    "Transfer-Encoding in HTTP/1.0": "A3: chunks in HTTP/1.0",
    "HTAB in": "A2, A3: HTAB beside a length, a coding or keep-alive",
    "CONNECT with content": "RFC 9110 section 9.3.6: CONNECT with content",
    "chunk size: byte 0x09": "A6: a blank behind the chunk size",
    "chunk size: byte 0x20": "A6: a blank behind the chunk size",
    "chunk size of more than": "A6: more than 16 digits",
    "trailer name: byte 0x20": "A7: a folded trailer",
    "end of a chunk line": "A6: no CRLF behind a chunk; old h11 does not look",
    "trailer name: byte 0x0a": "A5: a bare LF in the trailers",
    "trailer value": "A7: a control byte in a trailer",
    "too long chunk extensions": "A6: extensions over their limit",
    "chunk extension": "A6: a control byte in an extension",
    "field line of": "A10: a field over 16 KiB",
    "more than 128 fields": "A10: too many fields",
    "head of more than": "A10: a head over 64 KiB",
    "request target of": "A10: a target over 16 KiB",
    "target: ": "A9, E3, E4, E10, E12: what is asked for is not clear",
}
# What h11 refuses and we take: "trailer" is said of what comes after a head that it took.
THEY_REFUSE = {
    "trailer: bad Content-Length": "A7: we drop trailers; h11 reads a length in them",
    "trailer: Only Transfer-Encoding": "A7: we drop trailers; h11 reads a coding in them",
    "trailer: multiple Transfer-Encoding": "A7: we drop trailers; h11 reads a coding in them",
}


class Message:
    def __init__(self, head):
        self.head = head
        self.body = b""
        self.end = None
        self.is_last = False


def head_of(event):
    lines = [event.method, event.target, event.http_version]
    lines += [name + b":" + value for name, value in event.headers.raw_items()]
    return b"".join(line + b"\n" for line in lines)


def theirs_read(stream):
    """(messages, end, why) as h11 sees them."""
    messages = []
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=200_000)
    connection.receive_data(stream)
    while len(messages) < 16:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            is_within = messages and messages[-1].end is None
            return messages, "refuses", f"{'trailer: ' if is_within else ''}{error}"
        if event is h11.NEED_DATA:
            return messages, "waits", ""
        if isinstance(event, h11.Request):
            messages.append(Message(head_of(event)))
        elif isinstance(event, h11.Data):
            messages[-1].body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            last = messages[-1]
            last.end = len(stream) - len(connection.trailing_data[0])
            is_connect = last.head.startswith(b"CONNECT\n")
            connection.send(h11.Response(status_code=400, headers=[(b"Content-Length", b"0")]))
            connection.send(h11.EndOfMessage())
            last.is_last = connection.our_state is h11.MUST_CLOSE or is_connect
            if last.is_last:
                return messages, "closes", ""
            connection.start_next_cycle()
        else:
            return messages, "closes", ""
    return messages, "waits", ""


def ours_read(words):
    messages = []
    for i in range(2, len(words), 5):
        head, body, end, is_complete, is_last = words[i:i + 5]
        message = Message(bytes.fromhex(head))
        message.body = bytes.fromhex(body)
        message.end = int(end) if is_complete == "1" else None
        message.is_last = is_last == "1"
        messages.append(message)
    return messages, words[0], words[1]


def as_h11_writes(head):
    """h11 writes the coding, and a length, in its own way."""
    def line_of(line):
        name, colon, value = line.partition(b":")
        return name + colon + value.lower() if name.lower() == b"transfer-encoding" else line
    return b"\n".join(line_of(line) for line in head.split(b"\n"))


class Judge:
    def __init__(self):
        self.reasons = collections.Counter()
        self.same = 0

    def explain(self, reasons, why, what):
        for text, reason in reasons.items():
            if why.startswith(text):
                self.reasons[reason] += 1
                return None
        return f"{what}: {why}"

    def missing(self, end, why, reasons, what):
        if end == "refuses":
            return self.explain(reasons, why, what + " and refused")
        return f"{what} and {end}"

    def compare(self, ours, theirs):
        """None, or the difference for which there is no reason."""
        (a_list, a_end, a_why), (b_list, b_end, b_why) = ours, theirs
        for i in range(max(len(a_list), len(b_list))):
            if i >= len(a_list):
                return self.missing(a_end, a_why, WE_REFUSE, "a request of theirs is not seen by us")
            if i >= len(b_list):
                return self.missing(b_end, b_why, THEY_REFUSE, "a request of ours is not seen by h11")
            a, b = a_list[i], b_list[i]
            if as_h11_writes(a.head) != b.head:
                return "heads differ"
            if not (a.body.startswith(b.body) or b.body.startswith(a.body)):
                return "contents differ"
            if a.end is None and b.end is None:
                if a_end == "waits" and b_end == "refuses":
                    return self.explain(THEY_REFUSE, b_why, "h11 refuses content that we go on reading")
                return None
            if a.end is None:
                return self.missing(a_end, a_why, WE_REFUSE, "an end of content is not seen by us")
            if b.end is None:
                return self.missing(b_end, b_why, THEY_REFUSE, "an end of content is not seen by h11")
            if a.body != b.body or a.end != b.end:
                return "ends differ"
            if b.is_last and not a.is_last and a.head.split(b"\n")[2] == b"1.0":
                self.reasons["h11 ends every connection of HTTP/1.0"] += 1
                return None
            if b.is_last and not a.is_last:
                return "we go on behind a message that is their last"
            self.same += 1
            if a.is_last:
                return None
        return None


def main():
    emit, count, first = sys.argv[1], sys.argv[2:3] or ["20000"], sys.argv[3:4] or ["1"]
    judge = Judge()
    bad = 0
    streams = 0
    with subprocess.Popen([emit, *count, *first], stdout=subprocess.PIPE, encoding="ascii") as child:
        for line in child.stdout:
            stream, *words = line.rstrip("\n").split("\t")
            stream = bytes.fromhex(stream)
            ours, theirs = ours_read(words), theirs_read(stream)
            difference = judge.compare(ours, theirs)
            streams += 1
            if difference:
                bad += 1
                if bad <= 20:
                    print(f"seed {int(first[0]) + streams - 1}: {difference}\n  {stream[:700]}")
    if child.returncode != 0 or streams != int(count[0]):
        print(f"{emit} ended with {child.returncode} behind {streams} streams")
        bad += 1
    print(f"{streams} streams, {judge.same} requests read alike; what only one of us takes:")
    for reason, number in judge.reasons.most_common():
        print(f"{number:10}  {reason}")
    print(f"{bad} differences without a reason")
    return bad > 0 or judge.same < streams // 3


sys.exit(main())
