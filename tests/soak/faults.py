#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that does to connections what networks do, by a schedule that a seed decides.

The faults of the n-th connection at a place follow from (seed, place, n) alone: "--plan" prints
them. Every fault that happened becomes a line of JSON, with the slot it happened to.

    cut     FIN to both sides                        reset   RST to both sides
    half    FIN in one direction, the rest of that direction is lost
    hang    nothing moves in one direction for longer than the gateway waits
    refuse  accepted and reset
    stall   a pause            slice   byte by byte            delay   a pause before each piece
"""
import argparse
import asyncio
import json
import random
import re
import signal
import socket
import struct
import sys
import time

import h1

FATAL = ("cut", "reset", "half", "hang")
HARMLESS = ("stall", "slice", "delay")
HANG_S = 14
UP, DOWN = "up", "down"
PIECE = 1 << 16


def plan(seed, place, number):
    """[(direction, after bytes, kind, amount)] of one connection, in the order of `after`."""
    draw = random.Random(f"{seed}/{place}/{number}")
    faults = []
    for _ in range(draw.choice((0, 0, 1, 1, 2))):
        kind = draw.choice(HARMLESS)
        amount = {"stall": draw.uniform(0.05, 1.5), "slice": draw.randrange(1, 1500),
                  "delay": draw.uniform(0.001, 0.02)}[kind]
        faults.append((draw.choice((UP, DOWN)), _offset(draw), kind, amount))
    if draw.random() < 0.02:
        faults.append((UP, 0, "refuse", 0))
    elif draw.random() < 0.25:
        kind = draw.choices(FATAL, (4, 4, 3, 1))[0]
        faults.append((draw.choice((UP, DOWN)), _offset(draw), kind, 0))
    return sorted(faults, key=lambda fault: fault[1])


def _offset(draw):
    """Where in a direction: small numbers as likely as large ones."""
    return int(10 ** draw.uniform(0, 6.6))


class Link:
    """One connection through the proxy."""

    def __init__(self, proxy, place, number, near, slot):
        self.proxy = proxy
        self.place = place
        self.number = number
        self.near = near
        self.far = None
        self.slot = slot
        self.faults = {UP: [], DOWN: []}
        if number is not None:
            for direction, after, kind, amount in plan(proxy.seed, place.name, number):
                self.faults[direction].append((after, kind, amount))
        self.begin = b""  # of the direction up, until the slot is known
        self.is_over = False

    async def run(self):
        loop = asyncio.get_running_loop()
        if any(kind == "refuse" for _, kind, _ in self.faults[UP]):
            self.happened("refuse", UP, 0)
            self.end(reset=True)
            return
        tasks = []
        self.far = socket.socket()
        self.far.setblocking(False)
        self.far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await loop.sock_connect(self.far, ("127.0.0.1", self.place.target))
            tasks = [asyncio.ensure_future(self.pump(UP, self.near, self.far)),
                     asyncio.ensure_future(self.pump(DOWN, self.far, self.near))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not self.is_over:  # one direction has ended; the other has its time
                await asyncio.wait(tasks, timeout=15)
        except OSError:
            self.is_over = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.end()

    def end(self, reset=False):
        self.is_over = True
        for sock in (self.near, self.far):
            if sock is None or sock.fileno() < 0:
                continue
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()

    def happened(self, kind, direction, at):
        self.proxy.tell({"t": time.monotonic(), "place": self.place.name, "number": self.number,
                         "slot": self.slot, "kind": kind, "direction": direction, "at": at})

    async def pump(self, direction, source, sink):
        loop = asyncio.get_running_loop()
        faults = list(self.faults[direction])
        room = bytearray(PIECE)
        view = memoryview(room)
        passed = 0
        slices, delay = 0, None
        try:
            while not self.is_over:
                most = min(PIECE, max(1, faults[0][0] - passed)) if faults else PIECE
                size = await loop.sock_recv_into(source, view[:most])
                if size == 0:
                    sink.shutdown(socket.SHUT_WR)
                    return
                if direction == UP and self.slot is None:
                    self.find_slot(view[:size])
                if delay:
                    await asyncio.sleep(delay)
                single = min(slices, size)
                for at in range(single):
                    await loop.sock_sendall(sink, view[at:at + 1])
                    if at % 16 == 0:
                        await asyncio.sleep(0)
                slices -= single
                await loop.sock_sendall(sink, view[single:size])
                passed += size
                while faults and passed >= faults[0][0] and not self.is_over:
                    _, kind, amount = faults.pop(0)
                    self.happened(kind, direction, passed)
                    if kind == "slice":
                        slices = amount
                    elif kind == "delay":
                        delay = amount
                    elif kind in ("stall", "hang"):
                        await asyncio.sleep(HANG_S if kind == "hang" else amount)
                    elif kind == "half":
                        sink.shutdown(socket.SHUT_WR)
                        await self.swallow(source)
                        return
                    else:
                        self.end(reset=kind == "reset")
        except OSError:
            self.end(reset=True)

    @staticmethod
    async def swallow(source):
        loop = asyncio.get_running_loop()
        while await loop.sock_recv(source, PIECE):
            pass

    def find_slot(self, data):
        """Which slot's tunnel this is: the first message is its CONNECT (docs/protocol.md)."""
        if self.place.is_sealed or len(self.begin) > 4096:
            return
        self.begin += bytes(data)
        head, mark, rest = self.begin.partition(b"\r\n\r\n")
        if not mark or len(rest) < 8:
            return
        length = rest[1] & 127
        start = 4 if length == 126 else 2
        text = h1.unmask(rest[start + 4:], rest[start:start + 4])
        found = re.search(rb"CONNECT s(\d+)\.", text)
        if found:
            self.slot = int(found.group(1))


class Place:
    """Where the proxy stands. `target`: the port it leads to."""

    def __init__(self, name, target, is_sealed):
        self.name = name
        self.target = target
        self.is_sealed = is_sealed  # TLS: nobody sees whose tunnel it is
        self.count = 0


class Proxy:
    def __init__(self, seed, log):
        self.seed = seed
        self.log = log
        self.is_armed = False
        self.links = set()

    def tell(self, event):
        self.log.write(json.dumps(event) + "\n")
        self.log.flush()

    async def serve(self, place, listener, slot):
        loop = asyncio.get_running_loop()
        while True:
            try:
                near, _ = await loop.sock_accept(listener)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = None
            if self.is_armed:
                number = place.count
                place.count += 1
            link = Link(self, place, number, near, slot)
            task = asyncio.ensure_future(link.run())
            self.links.add(task)
            task.add_done_callback(self.links.discard)


def listen(address, port):
    sock = socket.create_server((address, port), backlog=512)
    sock.setblocking(False)
    return sock


async def run(options):
    loop = asyncio.get_running_loop()
    with open(options.log, "a", encoding="ascii") as log:
        proxy = Proxy(options.seed, log)
        stop = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, setattr, proxy, "is_armed", True)
        loop.add_signal_handler(signal.SIGTERM, stop.set_result, None)
        tasks = []
        for text in options.places:
            name, target = text.split("=")
            name, _, port = name.partition(":")
            place = Place(name, int(target), port != "" or name.endswith("tls"))
            if port == "":
                listener = listen("127.0.0.1", 0)
                print(f"{name} listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
                tasks.append(asyncio.ensure_future(proxy.serve(place, listener, None)))
            for slot in range(options.slots if port else 0):
                listener = listen(f"127.0.2.{slot + 1}", int(port))
                tasks.append(asyncio.ensure_future(proxy.serve(place, listener, slot)))
        print("ready", flush=True)
        await stop
        for task in [*tasks, *proxy.links]:
            task.cancel()
        await asyncio.gather(*tasks, *proxy.links, return_exceptions=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--plan", type=int, metavar="N", help="print the faults of the first N")
    parser.add_argument("--log", help="file for the faults that happened")
    parser.add_argument("--slots", type=int, default=0, help="at 127.0.2.1 and so on")
    parser.add_argument("places", nargs="*", metavar="NAME[:PORT]=TARGET",
                        help="listen on any port of 127.0.0.1, or on PORT for each slot")
    options = parser.parse_args()
    if options.plan:
        for place in ("ws", "wstls", "h1", "plain", "pass", "tcp"):
            for number in range(options.plan):
                print(place, number, *plan(options.seed, place, number))
        return 0
    asyncio.run(run(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
