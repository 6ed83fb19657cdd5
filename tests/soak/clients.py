# SPDX-License-Identifier: Apache-2.0
"""What a slot does, one thing after the other: a tunnel, and exchanges of every kind in it."""
import asyncio
import random

import h1
import h2stream
import kinds
import ledger
from kinds import GATEWAY_ERRORS, Refused, Wrong
from stream import Cut, Ended, connect

DEADLINE = 60.0
AT_ONCE = 6  # exchanges of a tunnel with HTTP/2

# How often a tunnel is what.
WAYS = {"h1": 40, "h2": 35, "plain": 8, "pass": 6, "tcp": 4, "burst": 5}
# In a tunnel that goes on.
KINDS = {"length": 30, "chunked": 14, "upload": 10, "upload-chunked": 8, "echo": 8, "denied": 4,
         "events": 4, "pack": 6}
# That end their tunnel, where it is HTTP/1.1.
LAST = {"close": 6, "socket": 10, "socket-long": 1, "leave": 4}
H2_KINDS = {**KINDS, "close": 6, "leave": 3}
WITHOUT_RULES = {kind: count for kind, count in KINDS.items() if kind != "denied"}


class Plan:
    """What all slots share."""

    def __init__(self, seed, contexts, ports, relay_ports, secret, books):
        self.seed = seed
        self.contexts = contexts        # by way; what the client trusts, and its ALPN
        self.ports = ports              # by way; of the origin
        self.relay_ports = relay_ports  # by slot
        self.secret = secret            # for what the gateway does not look into
        self.books = books
        self.is_going = True


class Slot:
    def __init__(self, plan, index):
        self.plan = plan
        self.index = index
        self.draw = random.Random(f"{plan.seed}/slot/{index}")
        self.host = f"s{index}.soak.test"
        self.origin_has_h2 = index % 2 == 1

    async def run(self):
        while self.plan.is_going:
            way = self.pick(WAYS)
            if way == "burst":
                # As "git fetch" with submodules: refs and then a pack, in some tunnels at once.
                await asyncio.gather(*(self.tunnel("h1", ["refs", "pack"]) for _ in range(4)))
            else:
                await self.tunnel(way, self.names_of(way))

    def names_of(self, way):
        """The exchanges of a tunnel."""
        count = self.draw.randrange(1, 12)
        if way == "h2":
            table = {**H2_KINDS, "grpc": 8} if self.origin_has_h2 else H2_KINDS
            return [self.pick(table) for _ in range(3 * count)]
        if way in ("pass", "tcp"):
            return [self.pick(WITHOUT_RULES) for _ in range(count)]
        # Without TLS nobody can tell the end of such a response from a cut (RFC 9112 section 8).
        last = {name: n for name, n in LAST.items() if (way, name) != ("plain", "close")}
        return [*(self.pick(KINDS) for _ in range(count - 1)), self.pick(last)]

    def pick(self, table):
        return self.draw.choices(list(table), list(table.values()))[0]

    # ---- a tunnel ----

    def authority(self, way):
        return f"{self.host}:{self.plan.ports.get(way, self.plan.ports['h1'])}"

    async def open(self, way):
        authority = self.authority(way)
        stream = await connect("127.0.0.1", self.plan.relay_ports[self.index])
        try:
            await stream.write(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
            first, fields = await h1.read_head(stream)
            status = int(first.split(" ")[1])
            if status in GATEWAY_ERRORS:
                raise Refused(f"{first} {fields.get('exeat-reason')}")
            if status != 200:
                raise Wrong(f"CONNECT: {first} {fields}")
            if way != "plain":
                await stream.start_tls(self.plan.contexts[way], self.host)
                if way == "h2" and stream.alpn() != "h2":
                    raise Wrong(f"ALPN {stream.alpn()}")
        except BaseException:
            stream.abort()
            raise
        return stream

    async def tunnel(self, way, names):
        stream = await self.attempt(f"tunnel {way}", None, lambda _: self.open(way))
        if stream is None:
            await asyncio.sleep(0.05)
        elif way == "h2" or (way in ("pass", "tcp") and stream.alpn() == "h2"):
            await self.run_h2(way, stream, names)
        else:
            await self.run_h1(way, stream, names)

    async def run_h1(self, way, stream, names):
        for name in names:
            if not await self.exchange(way, name, h1.Channel(stream)):
                stream.abort()
                return
            if not self.plan.is_going:
                break
        stream.close()

    async def run_h2(self, way, stream, names):
        connection = h2stream.Connection(stream, is_client=True)
        waiting = list(names)

        async def work():
            while waiting and self.plan.is_going:
                name = waiting.pop()
                try:
                    channel = connection.open()
                except (Cut, Ended):
                    return
                try:
                    if not await self.exchange(way, name, channel):
                        channel.leave()
                        waiting.clear()
                finally:
                    channel.drop()

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        connection.close()

    async def exchange(self, way, name, channel):
        def step(exchange):
            task = kinds.Task(exchange, channel, self.draw, self.authority(way), self.plan)
            if way in ("pass", "tcp"):
                task.fields.append(("X-Soak-Key", self.plan.secret))
                exchange.is_unread = True
            return getattr(task, "do_" + name.replace("-", "_"))()

        return await self.attempt(f"{name} {channel.version}", way, step)

    async def attempt(self, kind, way, step):
        """What step() returned, None when it failed; either way it is in the books."""
        books = self.plan.books
        exchange = books.begin(kind, self.index, way)
        try:
            result = await asyncio.wait_for(step(exchange), DEADLINE)
            books.finish(exchange, ledger.OK)
            return result
        except (Cut, Ended, Refused) as error:
            books.finish(exchange, ledger.FAILED, f"{type(error).__name__}: {error}")
        except (Wrong, h1.Malformed) as error:
            books.finish(exchange, ledger.WRONG, str(error))
        except asyncio.TimeoutError:
            books.finish(exchange, ledger.HUNG, f"nothing for {DEADLINE} s")
        return None
